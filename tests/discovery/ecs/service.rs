//! A service of tasks that come and go, and one of Cloud Map.

use std::collections::BTreeMap;

use super::{Watched, amazon, config, web};
use crate::support::ecs::{Host, Instance, Mood, Place, Task};

fn own(id: u8) -> Task {
    let address = format!("127.1.0.{id}:3000").parse().unwrap();
    Task::at(&id.to_string(), "web", address)
}

#[tokio::test]
async fn tasks_rise_serve_drain_and_go() {
    let amazon = amazon().await;
    amazon.change(|world| {
        world.page = 2;
        world.tasks = (1..=5).map(|id| own(id).healthy()).collect();
        world.tasks.push(own(6));
        world
            .tasks
            .push(Task::at("7", "other", "127.1.0.7:3000".parse().unwrap()).healthy());
    });
    let file = config(&[("web", web(""))]);
    let mut watched = Watched::start(&file, amazon.variables());
    let serving = "127.1.0.1:3000+ 127.1.0.2:3000+ 127.1.0.3:3000+ 127.1.0.4:3000+ 127.1.0.5:3000+";
    watched.tells("web", serving).await;

    for after in ["", "", " 127.1.0.6:3000", " 127.1.0.6:3000+"] {
        watched.tells("web", &format!("{serving}{after}")).await;
        amazon.change(|world| world.task("6").rise());
    }
    // From here on `ListTasks` does not name it, and its process is not told yet.
    let rest = serving.replace(" 127.1.0.5:3000+", "");
    amazon.change(|world| world.task("5").fall());
    let draining = " 127.1.0.5:3000+d 127.1.0.6:3000+";
    watched.tells("web", &format!("{rest}{draining}")).await;
    for after in [draining, draining, " 127.1.0.6:3000+"] {
        amazon.change(|world| world.task("5").fall());
        watched.tells("web", &format!("{rest}{after}")).await;
    }
    amazon.change(|world| world.tasks.retain(|task| task.id == "6"));
    watched.tells("web", "127.1.0.6:3000+").await;
}

#[tokio::test]
async fn a_service_has_no_task_or_hundreds() {
    let amazon = amazon().await;
    let file = config(&[("web", web(""))]);
    let mut watched = Watched::start(&file, amazon.variables());
    watched.tells("web", "").await;
    amazon.change(|world| world.tasks = (1..=250).map(|id| own(id).healthy()).collect());
    let hundreds = |shown: &str| shown.split(' ').count() == 250;
    watched.until("web", hundreds).await;
}

#[tokio::test]
async fn ports_on_hosts_are_found_and_each_hosts_address_is_asked_for_once() {
    let amazon = amazon().await;
    let host = |id: &str, address: [u8; 4]| Host {
        arn: format!("arn:host/{id}"),
        id: id.to_owned(),
        address: address.into(),
    };
    let on = |id: &str, host, port| Task::new(id, "web", 3000, Place::Host { host, port });
    amazon.change(|world| {
        world.hosts = vec![host("i-1", [127, 0, 1, 4]), host("i-2", [127, 0, 1, 5])];
        world.tasks = vec![
            on("1", 0, 32_768).healthy(),
            on("2", 0, 32_769).healthy(),
            on("3", 1, 32_768).healthy(),
        ];
    });
    let file = config(&[("web", web(""))]);
    let mut watched = Watched::start(&file, amazon.variables());
    let three = "127.0.1.4:32768+ 127.0.1.4:32769+ 127.0.1.5:32768+";
    for _ in 0..5 {
        watched.tells("web", three).await;
    }
    assert_eq!(amazon.count("DescribeInstances"), 1);
    // A host outside of AWS has no address that anybody knows: its task is left out, and told.
    amazon.change(|world| {
        world.hosts.push(host("mi-3", [127, 0, 1, 6]));
        world.tasks.push(on("4", 2, 32_768).healthy());
    });
    let error = watched.fails("web", "ECS Anywhere").await;
    assert!(
        error.contains("1 of 4 running tasks have no endpoint: task 4"),
        "{error}"
    );
    watched.tells("web", three).await;
}

#[tokio::test]
async fn the_two_sides_of_a_rolling_deployment_see_the_same_rounds() {
    let amazon = amazon().await;
    amazon.change(|world| {
        world.tasks = vec![own(1).healthy(), own(2).healthy()];
    });
    let file = config(&[
        ("old", web(", deployment: active")),
        ("new", web(", deployment: primary")),
    ]);
    let mut watched = Watched::start(&file, amazon.variables());
    let both = "127.1.0.1:3000+ 127.1.0.2:3000+";
    watched.tells("old", both).await;
    watched.tells("new", both).await;
    amazon.change(|world| {
        world.rollouts = vec![
            ("ecs-svc/2".to_owned(), "PRIMARY".to_owned()),
            ("ecs-svc/1".to_owned(), "ACTIVE".to_owned()),
        ];
        world.tasks.push(own(3).of(2));
    });
    // Nothing of the new one serves yet: the old one stands in for it.
    amazon.called("DescribeServices", 2).await;
    watched.tells("new", both).await;
    amazon.change(|world| {
        let task = world.task("3");
        *task = task.clone().healthy();
    });
    watched.tells("new", "127.1.0.3:3000+").await;
    watched.tells("old", both).await;
    let rounds = amazon.count("ListTasks");
    for _ in 0..20 {
        watched.next().await;
    }
    let more = amazon.count("ListTasks") - rounds;
    assert!(more <= 15, "{more} rounds for twenty answers, two a round");
}

#[tokio::test]
async fn whatever_the_api_does_is_told_and_mended_within_an_interval() {
    let amazon = amazon().await;
    amazon.change(|world| world.tasks = vec![own(1).healthy()]);
    let file = config(&[("web", web(""))]);
    let mut watched = Watched::start(&file, amazon.variables());
    watched.tells("web", "127.1.0.1:3000+").await;
    let moods = [
        (Mood::Down, "`ecs:ListTasks` at `http://127.0.0.1"),
        (Mood::Slow, "no whole answer in 3s"),
        (
            Mood::Garbage,
            "`ecs:ListTasks` answered what cannot be understood",
        ),
        (Mood::Throttling, "AWS throttles `ecs:ListTasks`"),
        (Mood::Denying, "allow this action in the policy of the role"),
        (Mood::Expired, "AWS does not take the credentials"),
        (Mood::Skewed, "this machine's clock is 0 s"),
        (
            Mood::Saying("ListTasks", b"{}".to_vec()),
            "`ecs:ListTasks` answered what cannot be understood",
        ),
        (
            Mood::Saying("DescribeTasks", b"{\"tasks\":[]}".to_vec()),
            "`ecs:DescribeTasks` left out some of 1 tasks",
        ),
        (
            Mood::Saying(
                "DescribeTasks",
                b"{\"tasks\":[],\"failures\":[{}]}".to_vec(),
            ),
            "`ecs:DescribeTasks` knows none of the 1 tasks",
        ),
        (
            Mood::Saying(
                "ListTasks",
                b"{\"taskArns\":[],\"nextToken\":\"x\"}".to_vec(),
            ),
            "`ecs:ListTasks` has no end",
        ),
    ];
    for (mood, words) in moods {
        amazon.change(|world| world.mood = mood);
        watched.fails("web", words).await;
        amazon.change(|world| world.mood = Mood::Well);
        watched.tells("web", "127.1.0.1:3000+").await;
    }
}

#[tokio::test]
async fn a_question_for_another_region_or_with_another_key_is_refused_and_told() {
    let amazon = amazon().await;
    amazon.change(|world| world.tasks = vec![own(1).healthy()]);
    let file = config(&[("web", web("")), ("far", web(", region: us-east-1"))]);
    let mut watched = Watched::start(&file, amazon.variables());
    watched
        .fails("far", "Credential should be scoped to eu-west-1/ecs")
        .await;
    watched.tells("web", "127.1.0.1:3000+").await;
    amazon.change(|world| world.keys[0].secret.push('x'));
    let error = watched.fails("web", "does not take the credentials").await;
    assert!(!error.contains("wJalr"), "{error}");
}

#[tokio::test]
async fn instances_of_cloud_map_are_endpoints() {
    let amazon = amazon().await;
    let instance = |id: u8, health, version: &str| {
        let pairs = [
            ("AWS_INSTANCE_IPV4", format!("127.1.0.{id}")),
            ("AWS_INSTANCE_PORT", "3000".to_owned()),
            ("version", version.to_owned()),
        ];
        Instance {
            id: id.to_string(),
            namespace: "shop.internal".to_owned(),
            service: "web".to_owned(),
            health,
            attributes: BTreeMap::from(pairs.map(|(name, value)| (name.to_owned(), value))),
        }
    };
    amazon.change(|world| {
        world.instances = vec![
            instance(1, "HEALTHY", "1"),
            instance(2, "UNKNOWN", "1"),
            instance(3, "HEALTHY", "2"),
            instance(4, "UNHEALTHY", "2"),
        ];
    });
    let upstream = |more: &str| {
        let keys = "namespace: shop.internal, service: web, interval: 100ms";
        format!("cloud_map: {{ {keys}{more} }}")
    };
    let file = config(&[
        ("all", upstream("")),
        (
            "new",
            upstream(", attributes: { version: \"2\" }, version_attribute: version"),
        ),
    ]);
    let mut watched = Watched::start(&file, amazon.variables());
    watched
        .tells("all", "127.1.0.1:3000+ 127.1.0.2:3000 127.1.0.3:3000+")
        .await;
    watched.tells("new", "127.1.0.3:3000+").await;
    amazon.change(|world| world.instances[2].health = "UNHEALTHY");
    // Nobody is healthy: everybody is asked for, and nobody is taken for dead.
    watched.tells("new", "127.1.0.3:3000 127.1.0.4:3000").await;
    amazon.change(|world| world.mood = Mood::Garbage);
    watched
        .fails("all", "`servicediscovery:DiscoverInstances` answered what")
        .await;
}
