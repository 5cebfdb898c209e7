//! Metrics for those who do not scrape: what `StatsD` hears, and the lines that CloudWatch reads.

use std::{collections::BTreeMap, fs, time::Duration};

use serde_json::Value;
use tokio::net::UdpSocket;

use super::{Client, House, get};

/// What has been heard of a series, counts added up.
async fn hear(socket: &UdpSocket, is_enough: impl Fn(&BTreeMap<String, f64>) -> bool) {
    let mut sums = BTreeMap::new();
    let hearing = async {
        let mut buffer = [0; 2_048];
        while !is_enough(&sums) {
            let length = socket.recv(&mut buffer).await.unwrap();
            assert!(length <= 1_432, "{length}");
            for line in str::from_utf8(&buffer[..length]).unwrap().lines() {
                let (name, rest) = line.split_once(':').unwrap();
                let mut parts = rest.split('|');
                let number: f64 = parts.next().unwrap().parse().unwrap();
                let kind = parts.next().unwrap();
                let tags = parts.find(|part| part.starts_with('#')).unwrap_or_default();
                let known = sums.entry(format!("{name} {kind} {tags}")).or_insert(0.0);
                *known = if kind == "c" { *known + number } else { number };
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(20), hearing).await;
    assert!(heard.is_ok(), "{sums:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statsd_hears_each_request_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let receiver = socket.local_addr().unwrap();
    let house = House::start(&format!(
        "metrics: {{ statsd: {{ address: \"{receiver}\", interval: 1s }} }}\n"
    ))
    .await;
    let mut client = Client::connect(house.address()).await;
    for user in 0..30 {
        get(&mut client, &format!("X-User: {user}\r\n")).await;
    }
    let requests = |sums: &BTreeMap<String, f64>| -> f64 {
        let known = sums.iter();
        let of_shop = known.filter(|(name, _)| {
            name.starts_with("serin.requests c #split:shop,version:")
                && name.contains("protocol:h1,code_class:2xx,outcome:success")
        });
        of_shop.map(|(_, count)| count).sum()
    };
    hear(&socket, |sums| {
        assert!(requests(sums) < 30.5, "{sums:#?}");
        let users = sums
            .keys()
            .any(|name| name.starts_with("serin.exposed_users g #split:shop"));
        let times = sums
            .keys()
            .any(|name| name.starts_with("serin.request_duration_ms d #split"));
        requests(sums) > 29.5 && users && times
    })
    .await;
    // Nobody hears it any more, and nobody is the worse for it.
    drop(socket);
    get(&mut client, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_for_cloudwatch_say_what_they_announce() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("metrics.log");
    let house = House::start(&format!(
        "metrics: {{ emf: {{ path: \"{}\", namespace: Shop, interval: 1s }} }}\n",
        path.display()
    ))
    .await;
    let mut client = Client::connect(house.address()).await;
    for _ in 0..20 {
        get(&mut client, "X-User: kim\r\n").await;
    }
    let reading = async {
        loop {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let lines: Vec<Value> = whole
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let asked: f64 = lines
                .iter()
                .filter(|line| line["split"] == "shop" && line["outcome"] == "success")
                .filter_map(|line| line["requests"].as_f64())
                .sum();
            if asked > 19.5 {
                return (lines, asked);
            }
            tokio::task::yield_now().await;
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
    let (lines, asked) = read.expect("twenty requests in 20 s");
    assert!((asked - 20.0).abs() < 0.5, "{asked}");
    for line in &lines {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Shop");
        for dimension in directive["Dimensions"][0].as_array().unwrap() {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{line}");
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            let value = &line[metric["Name"].as_str().unwrap()];
            assert!(value.is_number() || value["Values"].is_array(), "{line}");
        }
    }
}
