//! Who may do what on the admin address, over real sockets: everybody tries everything, and the
//! canary's weight moves only for those who may move it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, and writes the files that Serin reads"
)]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod bundle;
mod house;
mod pages;

use std::time::Duration;

use house::{ADMIN, House, OPERATE, READ, bearer, five};
use rustls::pki_types::ServerName;
use serin::{
    admin::{self, Route},
    model::{Access, Share},
};
use support::certificates::Authority;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

const WITH_TOKENS: &str = "admin: { http: \"127.0.0.1:0\", tokens_file: @/tokens, \
                           unix: @/state/admin.sock }";

/// A request of each route, as somebody would send it who may; its method and path, and its body.
fn tries(house: &House) -> Vec<(Route, String, &'static str)> {
    let mut tries = Vec::new();
    for route in admin::routes(house.running().handle.clone()) {
        let paths: Vec<String> = match (route.path, route.method.as_str()) {
            ("/v1/splits/{split}", "POST") => [
                "set",
                "promote",
                "pause",
                "resume",
                "abort",
                "retry",
                "undo",
                "open-gate",
                "close-gate",
            ]
            .map(|verb| format!("/v1/splits/shop:{verb}"))
            .to_vec(),
            ("/v1/endpoints/{act}", _) => ["eject", "uneject"]
                .map(|verb| format!("/v1/endpoints/127.0.0.1:2:{verb}"))
                .to_vec(),
            (path, _) => {
                let path = path.replace("{split}", "shop").replace("{id}", "shop-1");
                vec![path.replace("{what}", "evidence")]
            }
        };
        let body = match route.path {
            "/v1/splits/{split}/weights" => "{\"canary\":\"50%\"}",
            _ if route.method == "GET" => "",
            _ => "{}",
        };
        for path in paths {
            tries.push((route.clone(), format!("{} {path}", route.method), body));
        }
    }
    tries
}

#[tokio::test]
async fn every_path_asks_for_a_role_and_who_has_less_changes_nothing() {
    let house = House::open(WITH_TOKENS);
    let routes = admin::routes(house.running().handle.clone());
    let open: Vec<&str> = routes
        .iter()
        .filter(|route| route.needs == Access::None)
        .map(|route| route.path)
        .collect();
    assert_eq!(
        open,
        [
            "/healthz",
            "/readyz",
            "/startupz",
            "/v1/whoami",
            "/",
            "/page/{file}"
        ]
    );
    // Who tries a text changes nothing.
    let is_act = |route: &Route| route.method != "GET" && route.path != "/v1/config:validate";
    assert!(
        routes
            .iter()
            .filter(|route| is_act(route))
            .all(|route| route.needs > Access::Read),
        "who may look may not act: {routes:?}"
    );

    let callers = [
        ("nobody", String::new(), Access::None, 401),
        ("a query", String::new(), Access::None, 401),
        (
            "a cookie",
            format!("cookie: token={ADMIN}\r\n"),
            Access::None,
            401,
        ),
        ("read", bearer(READ), Access::Read, 403),
        ("operate", bearer(OPERATE), Access::Operate, 403),
    ];
    let json = "content-type: application/json\r\n";
    for (name, proof, has, refused) in callers {
        for (route, line, body) in tries(&house) {
            if route.needs <= has {
                continue;
            }
            let line = match name {
                "a query" => format!("{line}?access_token={ADMIN}&token={ADMIN}"),
                _ => line,
            };
            let extra = if body.is_empty() {
                proof.clone()
            } else {
                format!("{proof}{json}")
            };
            let answer = house.ask(&line, &extra, body).await;
            assert_eq!(answer.status, refused, "{name}: {line}: {}", answer.body);
            let is_told = answer
                .head
                .contains("www-authenticate: bearer realm=\"serin\"");
            assert_eq!(is_told, refused == 401, "{name}: {line}: {}", answer.head);
            assert!(
                answer.body.contains(route.needs.as_str()),
                "{line}: {}",
                answer.body
            );
            assert!(house.is_untouched(), "{name}: {line}");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn a_token_that_is_not_known_opens_nothing_and_soon_waits() {
    let house = House::open(WITH_TOKENS);
    let wrong = bearer("read-0123456789-abcdeX");
    let (mut unknown, mut late) = (0, 0);
    for (_, line, body) in tries(&house).into_iter().cycle().take(80) {
        // Health is nobody's secret, but who shows a token wants to be known.
        let json = if body.is_empty() {
            ""
        } else {
            "content-type: application/json\r\n"
        };
        let answer = house.ask(&line, &format!("{wrong}{json}"), body).await;
        match answer.status {
            401 => unknown += 1,
            429 => {
                late += 1;
                assert!(answer.head.contains("retry-after: "), "{}", answer.head);
            }
            other => panic!("{line}: {other}: {}", answer.body),
        }
        assert!(!answer.body.contains("0123456789"), "{}", answer.body);
    }
    assert!(
        (30..=40).contains(&unknown) && late >= 40,
        "{unknown}, {late}"
    );
    assert!(house.is_untouched());
    let right = house
        .ask("POST /v1/splits/shop:abort", &bearer(OPERATE), "")
        .await;
    assert_eq!(right.status, 200, "nobody is locked out: {}", right.body);
    house.close().await;
}

#[tokio::test]
async fn roles_may_do_what_they_are_for() {
    let house = House::open(WITH_TOKENS);
    let who = |token: &str| format!("{}x-serin-actor: lee\r\n", bearer(token));
    let cases = [
        (
            String::new(),
            "{\"role\":\"none\",\"who\":\"127.0.0.1\",\"how\":\"anonymous\"}",
        ),
        (
            who(READ),
            "{\"role\":\"read\",\"who\":\"grafana (token, 127.0.0.1), says lee\",\
             \"how\":\"token\"}",
        ),
        (
            bearer(ADMIN),
            "{\"role\":\"admin\",\"who\":\"kim (token, 127.0.0.1)\",\"how\":\"token\"}",
        ),
    ];
    for (extra, expected) in cases {
        assert_eq!(house.ask("GET /v1/whoami", &extra, "").await.body, expected);
    }
    assert_eq!(house.ask("GET /healthz", "", "").await.status, 200);
    assert_eq!(house.ask("GET /metrics", "", "").await.status, 401);
    assert_eq!(
        house.ask("GET /metrics", &bearer(READ), "").await.status,
        200
    );
    let json = "content-type: application/json\r\n";
    let put = "PUT /v1/splits/shop/weights";
    let answer = house
        .ask(
            put,
            &format!("{}{json}", who(OPERATE)),
            "{\"canary\":\"7%\"}",
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(house.share(), Share::from_basis_points(700).unwrap());
    let told = house.status().splits[0].history.last().unwrap().by.clone();
    assert_eq!(told, "deploy (token, 127.0.0.1), says lee");
    let answer = house
        .ask("POST /v1/config:reload", &bearer(ADMIN), "")
        .await;
    assert_eq!(answer.status, 202);

    let answer = house.ask_here("POST /v1/splits/shop:abort", "", "").await;
    assert_eq!(answer.status, 200, "whoever may open the socket may act");
    assert_eq!(house.share(), Share::ZERO);
    let told = house.status().splits[0].history.last().unwrap().by.clone();
    assert!(
        told.starts_with("uid ") && told.ends_with("(unix)"),
        "{told}"
    );
    house.close().await;
}

#[tokio::test]
async fn without_a_word_in_the_file_acts_go_through_the_socket_only() {
    // Another one may have the default address in this machine's tests: what it leads to is tried
    // with the same roles on another one.
    let house =
        House::open("admin: { http: \"127.0.0.1:0\", anonymous: read, unix: @/state/admin.sock }");
    for (route, line, body) in tries(&house) {
        let json = if body.is_empty() {
            ""
        } else {
            "content-type: application/json\r\n"
        };
        if route.needs > Access::Read {
            let answer = house.ask(&line, json, body).await;
            assert_eq!(answer.status, 403, "{line}: {}", answer.body);
            assert!(answer.body.contains("state/admin.sock"), "{}", answer.body);
            assert!(house.is_untouched(), "{line}");
        }
    }
    assert_eq!(house.ask("GET /v1/splits", "", "").await.status, 200);
    assert_eq!(
        house
            .ask_here("POST /v1/splits/shop:pause", "", "")
            .await
            .status,
        200
    );
    house.close().await;
}

#[tokio::test]
async fn a_saved_tokens_file_is_in_force_and_a_broken_one_changes_nothing() {
    let house = House::open(WITH_TOKENS);
    let new = "operate deploy another-0123456789-abcdef\n";
    house.write_tokens(new);
    let mut status = house.running().handle.watch();
    let read = status.wait_for(|status| status.config.reloads == (1, 0));
    timeout(PATIENCE, read).await.unwrap().unwrap();
    assert_eq!(
        house
            .ask("GET /v1/splits", &bearer(OPERATE), "")
            .await
            .status,
        401
    );
    let other = bearer("another-0123456789-abcdef");
    assert_eq!(house.ask("GET /v1/splits", &other, "").await.status, 200);

    house.write_tokens("operate deploy too-short-secret\n");
    let mut status = house.running().handle.watch();
    let refused = status.wait_for(|status| status.config.reloads.1 > 0);
    let status = timeout(PATIENCE, refused).await.unwrap().unwrap().clone();
    let problem = status.config.problem.clone().unwrap();
    assert!(
        problem.contains("line 1: the token has fewer than 20"),
        "{problem}"
    );
    assert!(!problem.contains("too-short-secret"), "{problem}");
    assert_eq!(house.ask("GET /v1/splits", &other, "").await.status, 200);
    house.close().await;
}

const WITH_CERTIFICATES: &str = "admin: { http: \"127.0.0.1:0\", \
     tls: { cert: @/admin.pem, key: @/admin.key }, client_ca: @/ca.pem, \
     certificates: [{ subject: CN=deploy, role: operate }], tokens_file: @/tokens }";

const PAUSE: &str = "POST /v1/splits/shop:pause";

#[tokio::test]
async fn a_certificate_proves_who_it_is() {
    let house = House::open(WITH_CERTIFICATES);
    let client = |name: Option<&str>| {
        let own = name.map(|name| house.authority.issue(&[name]));
        house.authority.client(&["http/1.1"], own.as_ref())
    };
    assert_eq!(
        house
            .ask_over(client(None), "GET /healthz", "")
            .await
            .status,
        200
    );
    let answer = house.ask_over(client(None), PAUSE, "").await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    let answer = house
        .ask_over(client(Some("grafana")), "GET /v1/whoami", "")
        .await;
    let expected = "{\"role\":\"read\",\"who\":\"CN=grafana (certificate, 127.0.0.1)\",\
                    \"how\":\"certificate\"}";
    assert_eq!(answer.body, expected);
    assert_eq!(
        house
            .ask_over(client(Some("grafana")), PAUSE, "")
            .await
            .status,
        403
    );
    assert!(house.is_untouched());
    let by_token = house.ask_over(client(None), PAUSE, &bearer(READ)).await;
    assert_eq!(by_token.status, 403, "both kinds of proof are taken");
    assert_eq!(
        house
            .ask_over(client(Some("deploy")), PAUSE, "")
            .await
            .status,
        200
    );
    assert_eq!(house.share(), five());
    let abort = "POST /v1/splits/shop:abort";
    assert_eq!(
        house
            .ask_over(client(Some("deploy")), abort, "")
            .await
            .status,
        200
    );
    assert_eq!(house.share(), Share::ZERO);
    house.close().await;
}

#[tokio::test]
async fn the_word_of_another_authority_is_worth_nothing() {
    let house = House::open(WITH_CERTIFICATES);
    let own = Authority::new().issue(&["deploy"]);
    let forged = house.authority.client(&["http/1.1"], Some(&own));
    let stream = TcpStream::connect(house.at).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connected = TlsConnector::from(forged).connect(name, stream).await;
    let mut stream = connected.unwrap();
    // Whoever is not believed is cut off: before or after these words.
    let request = format!("{PAUSE} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let _cut = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _cut = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    assert!(house.is_untouched());
    house.close().await;
}

#[tokio::test]
async fn acts_have_a_pace_and_an_abort_is_never_starved() {
    let house = House::open(WITH_TOKENS);
    let deploy = bearer(OPERATE);
    let mut statuses = Vec::new();
    for _ in 0..400 {
        statuses.push(
            house
                .ask("POST /v1/splits/shop:pause", &deploy, "")
                .await
                .status,
        );
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let abort = house.ask("POST /v1/splits/shop:abort", &deploy, "").await;
    assert_eq!(abort.status, 200, "{}", abort.body);
    assert_eq!(house.share(), Share::ZERO);
    let other = house
        .ask("POST /v1/splits/shop:retry", &bearer(ADMIN), "")
        .await;
    assert_eq!(other.status, 200, "nobody pays for another: {}", other.body);
    house.close().await;
}

#[tokio::test]
async fn nothing_listens_beyond_loopback_unless_the_file_says_so() {
    let house = House::open("admin: \"127.0.0.1:0\"");
    let mut addresses = listening();
    let own = [house.at.port(), house.running().listeners[0].1.port()];
    addresses.retain(|address| own.contains(&address.port()));
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    assert!(
        addresses.iter().all(|at| at.ip().is_loopback()),
        "{addresses:?}"
    );
    house.close().await;
}

/// The addresses that this machine's programs listen on over TCP, as the kernel tells them.
fn listening() -> Vec<std::net::SocketAddr> {
    const LISTENS: &str = "0A";
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let lines = table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (local, state) = (words.nth(1)?, words.nth(1)?);
        let (ip, port) = local.split_once(':')?;
        let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
        let port = u16::from_str_radix(port, 16).ok()?;
        (state == LISTENS).then(|| std::net::SocketAddr::from((ip, port)))
    });
    let mut found: Vec<_> = lines.collect();
    found.dedup();
    found
}
