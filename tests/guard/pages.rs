//! What a page from elsewhere can make a browser ask of an address on an operator's machine, where
//! anybody may act: everything that it can send is tried on every act.

use crate::{
    house::{ADMIN, House, bearer},
    tries,
};
use serin::model::Access;

const OPEN: &str = "admin: { http: \"127.0.0.1:0\", anonymous: admin }";

#[tokio::test]
async fn a_foreign_page_moves_nothing_whatever_it_sends() {
    let house = House::open(OPEN);
    let own = format!("origin: http://{}\r\n", house.at);
    let json = "content-type: application/json\r\n";
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let ways = [
        (
            "a page's script",
            format!("origin: http://evil.example\r\n{json}"),
        ),
        ("a sandboxed frame", format!("origin: null\r\n{json}")),
        (
            "the same name, another port",
            format!("origin: http://127.0.0.1:1\r\n{json}"),
        ),
        (
            "https in front of it",
            format!("origin: https://{}\r\n{json}", house.at),
        ),
        ("a form", format!("origin: http://evil.example\r\n{form}")),
        ("a form of an old browser", form.to_owned()),
        (
            "a plain-text form",
            "content-type: text/plain\r\n".to_owned(),
        ),
        (
            "a form with files",
            "content-type: multipart/form-data; boundary=x\r\n".to_owned(),
        ),
        ("a form that says it is ours", format!("{own}{form}")),
        (
            "a beacon",
            format!("{own}content-type: text/plain;charset=UTF-8\r\n"),
        ),
        (
            "its browser says so",
            format!("sec-fetch-site: cross-site\r\n{json}"),
        ),
        (
            "a sister site",
            format!("sec-fetch-site: same-site\r\n{json}"),
        ),
        (
            "a form that leads here",
            format!(
                "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\n\
                 sec-fetch-dest: document\r\n{json}"
            ),
        ),
    ];
    for (name, extra) in &ways {
        for (route, line, body) in tries(&house) {
            if route.needs <= Access::Read || route.method == "GET" {
                continue;
            }
            for body in [body, ""] {
                let answer = house.ask(&line, extra, body).await;
                let is_refused = matches!(answer.status, 403 | 415);
                assert!(
                    is_refused,
                    "{name}: {line}: {} {}",
                    answer.status, answer.body
                );
                assert!(house.is_untouched(), "{name}: {line}");
            }
        }
    }
    house.close().await;
}

#[tokio::test]
async fn a_name_that_a_stranger_lets_lead_here_reads_and_moves_nothing() {
    let house = House::open(OPEN);
    let json = "content-type: application/json\r\n";
    for host in [
        "evil.example",
        "evil.example:9900",
        "127.0.0.1.evil.example",
        "localhost.evil",
    ] {
        let own = format!("origin: http://{host}\r\nsec-fetch-site: same-origin\r\n{json}");
        for (route, line, body) in tries(&house) {
            let answer = house.ask_as(host, &line, &own, body).await;
            if route.needs > Access::None {
                assert_eq!(answer.status, 403, "{host}: {line}: {}", answer.body);
            }
            assert!(house.is_untouched(), "{host}: {line}");
        }
        let bare = house.ask_as(host, "GET /v1/splits", "", "").await;
        assert_eq!(bare.status, 403, "{host}: {}", bare.body);
    }
    for host in [
        "localhost",
        "localhost:1",
        "127.0.0.1",
        "[::1]:9900",
        "10.0.0.1:80",
    ] {
        let answer = house.ask_as(host, "GET /v1/splits", "", "").await;
        assert_eq!(answer.status, 200, "{host}: {}", answer.body);
    }
    house.close().await;
}

#[tokio::test]
async fn our_own_page_and_a_link_to_it_work() {
    let house = House::open(OPEN);
    let link = "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\n\
                sec-fetch-dest: document\r\n";
    assert_eq!(house.ask("GET /", link, "").await.status, 200);
    let framed = link.replace("document", "iframe");
    assert_eq!(house.ask("GET /", &framed, "").await.status, 403);
    let image =
        "sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\nsec-fetch-dest: image\r\n";
    assert_eq!(house.ask("GET /v1/splits", image, "").await.status, 403);
    let own = format!(
        "origin: http://{}\r\nsec-fetch-site: same-origin\r\ncontent-type: application/json\r\n",
        house.at
    );
    let answer = house.ask("POST /v1/splits/shop:pause", &own, "{}").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    house.close().await;
}

#[tokio::test]
async fn a_page_that_knows_a_token_may_have_a_name() {
    let house = House::open("admin: { http: \"127.0.0.1:0\", tokens_file: @/tokens }");
    let own = |token: &str| {
        format!(
            "origin: http://serin.internal\r\nsec-fetch-site: same-origin\r\n\
             content-type: application/json\r\n{}",
            bearer(token)
        )
    };
    let pause = "POST /v1/splits/shop:pause";
    let answer = house
        .ask_as("serin.internal", pause, &own(ADMIN), "{}")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = house
        .ask_as("serin.internal", "GET /v1/splits", "", "")
        .await;
    assert_eq!(answer.status, 403, "without one it is a stranger's name");
    house.close().await;
}

#[tokio::test]
async fn the_page_can_be_turned_off() {
    let house = House::open("admin: { http: \"127.0.0.1:0\", dashboard: false }");
    assert_eq!(house.ask("GET /", "", "").await.status, 404);
    assert_eq!(house.ask("GET /v1/splits", "", "").await.status, 200);
    house.close().await;
}
