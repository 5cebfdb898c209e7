//! Which version a client gets.

use serin::model::Role;

use crate::support::{
    client::{Answer, Client},
    origin::{self, Origin},
    proxy::{Proxy, proxy},
};

async fn pair() -> (Origin, Origin) {
    (Origin::saying("old").await, Origin::saying("new").await)
}

/// The cookie pair of a `Set-Cookie`, to send back.
fn cookie(answer: &Answer) -> Option<String> {
    let set = answer.field("set-cookie")?;
    Some(set.split(';').next().unwrap().to_owned())
}

#[derive(Debug, Default, Clone)]
struct User {
    cookie: Option<String>,
    version: String,
}

impl User {
    async fn visit(&mut self, client: &mut Client) {
        let field = self
            .cookie
            .as_ref()
            .map(|cookie| format!("Cookie: x=1; {cookie}\r\n"));
        let answer = client.get("/", &field.unwrap_or_default()).await;
        assert_eq!(answer.status, 200);
        if let Some(fresh) = cookie(&answer) {
            self.cookie = Some(fresh);
        }
        answer.text().clone_into(&mut self.version);
    }
}

async fn visit_all(users: &mut [User], proxy: &Proxy) -> usize {
    let mut client = Client::connect(proxy.address).await;
    for user in users.iter_mut() {
        user.visit(&mut client).await;
    }
    users.iter().filter(|user| user.version == "new").count()
}

#[tokio::test]
async fn a_weight_is_kept_exactly_over_ten_thousand_requests() {
    let (old, new) = pair().await;
    let mut proxy = proxy(&[old.address], &[new.address], 10, "");
    let mut client = Client::connect(proxy.address).await;
    let mut canary = 0;
    for _ in 0..10_000 {
        canary += usize::from(client.get("/", "").await.text() == "new");
    }
    assert_eq!(canary, 1_000);
    let cell = proxy
        .counted(Role::Canary, |cell| cell.trials == 1_000)
        .await;
    assert_eq!(
        (cell.assigned, cell.failures, cell.latency.count()),
        (1_000, 0, 1_000)
    );
}

#[tokio::test]
async fn sticky_users_follow_a_growing_weight_and_leave_at_a_rollback() {
    let (old, new) = pair().await;
    let mut proxy = proxy(
        &[old.address],
        &[new.address],
        5,
        "    sticky: { cookie: ver }\n",
    );
    let mut users = vec![User::default(); 1_000];
    let mut before = 0;
    for percent in [5, 10, 20, 50] {
        proxy.change(|world| world.shift(percent, 1));
        let were: Vec<_> = users.iter().map(|user| user.version.clone()).collect();
        let canary = visit_all(&mut users, &proxy).await;
        assert!(canary > before, "{canary} at {percent} %");
        let left = users
            .iter()
            .zip(&were)
            .filter(|(user, was)| *was == "new" && user.version != "new");
        assert_eq!(left.count(), 0, "nobody goes back at {percent} %");
        before = canary;
    }
    proxy.change(|world| world.shift(0, 1));
    assert_eq!(
        visit_all(&mut users, &proxy).await,
        0,
        "all are back at the next request"
    );
    proxy.change(|world| world.shift(5, 2));
    let again = visit_all(&mut users, &proxy).await;
    assert!(
        again < 100,
        "a new rollout starts with its own share, not with {again} of 1000"
    );
}

#[tokio::test]
async fn endpoints_are_counted_apart_and_a_tenth_of_stable_is_the_shadow() {
    let (good, new) = pair().await;
    let bad = Origin::answering(|_| origin::answer(500, "bad")).await;
    let stable = [good.address, bad.address];
    let mut proxy = proxy(&stable, &[new.address], 0, "");
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..2_000 {
        client.get("/", "").await;
    }
    let cell = proxy
        .counted(Role::Stable, |cell| cell.trials == 2_000)
        .await;
    let mut of_stable: Vec<_> = proxy
        .endpoints
        .iter()
        .filter(|((role, _), _)| *role == Role::Stable)
        .map(|(_, counts)| (counts.failures, counts.trials))
        .collect();
    of_stable.sort_unstable();
    let [(0, well), (failed, all)] = of_stable[..] else {
        panic!("{of_stable:?}")
    };
    assert_eq!(
        (failed, well + all),
        (all, 2_000),
        "one endpoint fails, one does not"
    );
    assert_eq!(failed, cell.failures);
    assert!(
        (130..280).contains(&proxy.shadow),
        "{} of 2,000",
        proxy.shadow
    );
}

#[tokio::test]
async fn a_key_decides_without_our_cookie() {
    let (old, new) = pair().await;
    let more = "    sticky: { key: [header:x-user], cookie: { name: ver } }\n";
    let proxy = proxy(&[old.address], &[new.address], 30, more);
    let mut client = Client::connect(proxy.address).await;
    for user in 0..50 {
        let field = format!("X-User: u{user}\r\n");
        let first = client.get("/", &field).await.body;
        for _ in 0..3 {
            assert_eq!(client.get("/", &field).await.body, first);
        }
    }
}

#[tokio::test]
async fn a_forged_cookie_is_worth_nothing() {
    let (old, new) = pair().await;
    let proxy = proxy(
        &[old.address],
        &[new.address],
        0,
        "    sticky: { cookie: ver }\n",
    );
    let mut client = Client::connect(proxy.address).await;
    for forged in [
        "ver=canary",
        "ver=",
        "ver=AAAAAAAAAAAAAAAAAAAAAAAA",
        "ver=\"x\"",
    ] {
        let answer = client.get("/", &format!("Cookie: {forged}\r\n")).await;
        assert_eq!((answer.status, answer.text()), (200, "old"), "{forged}");
    }
}
