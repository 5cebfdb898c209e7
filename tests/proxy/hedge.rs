//! A request that is late is sent to a second endpoint, and the answer that begins first is taken.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serin::{
    measure::{Cell, Repeat},
    model::{Outcome, Role},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, Semaphore, mpsc},
};

use crate::support::{
    client::Client,
    h2_origin::{H2Origin, give, given, read},
    origin::{Origin, answer, nowhere, ok, request},
    proxy::{Proxy, edge, one_worker},
};

/// What an origin says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    /// It has got this request.
    Asked(String),
    /// A connection was closed while its answer was awaited.
    Closed,
}

/// An origin that answers once it may, and tells what it sees.
struct Slow {
    origin: Origin,
    may: Arc<Semaphore>,
    hangs_up: Arc<Notify>,
    told: mpsc::UnboundedReceiver<Told>,
}

async fn slow(answer: &[u8]) -> Slow {
    let may = Arc::new(Semaphore::new(0));
    let (tell, told) = mpsc::unbounded_channel();
    let hangs_up = Arc::new(Notify::new());
    let (leave, answer) = (Arc::clone(&may), answer.to_vec());
    let hang = Arc::clone(&hangs_up);
    let origin = Origin::doing(move |mut stream| {
        let (may, tell, answer) = (Arc::clone(&leave), tell.clone(), answer.clone());
        let hangs_up = Arc::clone(&hang);
        async move {
            let mut buffer = Vec::new();
            while let Some(seen) = request(&mut stream, &mut buffer).await {
                let _heard = tell.send(Told::Asked(seen.line));
                let mut byte = [0];
                tokio::select! {
                    leave = may.acquire() => leave.unwrap().forget(),
                    () = hangs_up.notified() => return,
                    _ended = stream.read(&mut byte) => {
                        let _heard = tell.send(Told::Closed);
                        return;
                    }
                }
                if answer.is_empty() || stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    Slow {
        origin,
        may,
        hangs_up,
        told,
    }
}

impl Slow {
    fn at(&self) -> SocketAddr {
        self.origin.address
    }

    /// Waits until it has a request.
    async fn asked(&mut self) -> String {
        loop {
            if let Told::Asked(line) = self.told.recv().await.unwrap() {
                return line;
            }
        }
    }
}

fn repeats(cell: &Cell, repeat: Repeat) -> u64 {
    cell.repeats.sum(|label| label.repeat == repeat)
}

fn ended(cell: &Cell) -> u64 {
    cell.requests.sum(|_| true)
}

fn attempts(cell: &Cell, outcome: Outcome) -> u64 {
    cell.attempts.sum(|label| label.outcome == outcome)
}

/// A client that has sent its request.
async fn asking(proxy: &Proxy, method: &str) -> Client {
    let mut client = Client::connect(proxy.address).await;
    let head = format!("{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.send(head).await;
    client
}

/// So soon that no test waits for it, and as often as anybody asks.
const SOON: &str = "    hedge: { after: 20ms, budget: 100% }\n";
/// Whichever of two endpoints is asked first, then the other one.
async fn first_of<'a>(one: &'a mut Slow, two: &'a mut Slow) -> (&'a mut Slow, &'a mut Slow) {
    let is_one = tokio::select! {
        _asked = one.asked() => true,
        _asked = two.asked() => false,
    };
    if is_one { (one, two) } else { (two, one) }
}

/// Two endpoints, and a data plane with one worker of which they are the stable version.
async fn pair(more: &str) -> (Slow, Slow, Proxy) {
    let (one, two) = (slow(&ok("one")).await, slow(&ok("two")).await);
    let proxy = one_worker(&[one.at(), two.at()], &[], 0, more);
    (one, two, proxy)
}

#[tokio::test]
async fn the_other_endpoint_answers_for_one_that_is_late() {
    let (mut one, mut two, mut proxy) = pair(SOON).await;
    let mut client = asking(&proxy, "GET").await;
    let address = one.at();
    let (late, other) = first_of(&mut one, &mut two).await;
    assert_eq!(other.asked().await, "GET / HTTP/1.1");
    other.may.add_permits(1);
    let expected = if other.at() == address { "one" } else { "two" };
    assert_eq!(client.answer().await.text(), expected);
    let closed = late.told.recv().await;
    assert_eq!(closed, Some(Told::Closed), "it is broken off");
    let cell = proxy.counted(Role::Stable, |cell| ended(cell) == 1).await;
    assert_eq!((cell.trials, cell.failures, cell.assigned), (1, 0, 1));
    assert_eq!(repeats(&cell, Repeat::HedgeWon), 1);
    assert_eq!(attempts(&cell, Outcome::Ignored), 1);
    assert_eq!(attempts(&cell, Outcome::Success), 1);
    let waited = cell.latency.count_above(Duration::from_millis(19));
    assert_eq!(waited, 1, "as long as the client has waited");
    proxy.under_way(0).await;
    late.may.add_permits(1);
    other.may.add_permits(1);
    assert_eq!(client.get("/", "").await.status, 200);
}

#[tokio::test]
async fn the_first_endpoint_is_taken_if_it_is_faster_after_all() {
    let (mut one, mut two, mut proxy) = pair(SOON).await;
    let mut client = asking(&proxy, "HEAD").await;
    let (late, other) = first_of(&mut one, &mut two).await;
    other.asked().await;
    late.may.add_permits(1);
    assert_eq!(client.answer_to("HEAD").await.status, 200);
    assert_eq!(other.told.recv().await, Some(Told::Closed));
    let cell = proxy.counted(Role::Stable, |cell| ended(cell) == 1).await;
    assert_eq!((cell.trials, cell.failures), (1, 0));
    assert_eq!(repeats(&cell, Repeat::HedgeLost), 1);
    assert_eq!(attempts(&cell, Outcome::Ignored), 1);
}

#[tokio::test]
async fn only_listed_methods_without_a_body_are_asked_twice() {
    let (mut one, mut two, proxy) = pair(SOON).await;
    let mut others = Vec::new();
    for head in [
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /body HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi",
    ] {
        let mut client = Client::connect(proxy.address).await;
        client.send(head).await;
        first_of(&mut one, &mut two).await;
        others.push(client);
    }
    // By the time that this one is asked twice, the others would have been.
    let client = asking(&proxy, "GET").await;
    for _ in 0..2 {
        let line = tokio::select! {
            line = one.asked() => line,
            line = two.asked() => line,
        };
        assert_eq!(line, "GET / HTTP/1.1");
    }
    one.may.add_permits(4);
    two.may.add_permits(4);
    others.push(client);
    for client in &mut others {
        assert_eq!(client.answer().await.status, 200);
    }
}

#[tokio::test]
async fn without_another_endpoint_or_room_or_time_nothing_is_asked_twice() {
    let origin = slow(b"").await;
    let other = slow(b"").await;
    let (one, two) = ([origin.at()].to_vec(), [origin.at(), other.at()].to_vec());
    let cases = [
        (one, "max_requests: 9", SOON),
        (two.clone(), "max_requests: 1, max_pending: 9", SOON),
        (two, "max_requests: 9", "    hedge: { after: 1s }\n"),
    ];
    for (endpoints, limits, hedge) in cases {
        let upstream =
            format!("circuit_breaker: {{ {limits} }}, timeouts: {{ response_header: 200ms }}");
        let config = edge("", &upstream, hedge);
        let mut proxy = Proxy::with_workers(1, config, &endpoints, &[], 0);
        let mut client = Client::connect(proxy.address).await;
        assert_eq!(client.get("/", "").await.status, 504, "{limits}");
        let cell = proxy.counted(Role::Stable, |cell| ended(cell) == 1).await;
        assert_eq!(cell.attempts.sum(|_| true), 1, "{limits}");
        assert_eq!((cell.trials, cell.failures), (1, 1));
    }
}

#[tokio::test]
async fn second_attempts_are_a_share_of_the_requests() {
    let (_one, _two, mut proxy) = {
        let (one, two) = (slow(b"").await, slow(b"").await);
        let more =
            "    hedge: { after: 1ms, budget: 10% }\n    timeouts: { response_header: 40ms }\n";
        let config = edge("", "outlier_detection: none", more);
        let proxy = Proxy::with_workers(1, config, &[one.at(), two.at()], &[], 0);
        (one, two, proxy)
    };
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..30 {
        assert_eq!(client.get("/", "").await.status, 504);
    }
    let cell = proxy.counted(Role::Stable, |cell| ended(cell) == 30).await;
    let made = repeats(&cell, Repeat::HedgeLost);
    assert_eq!(made, 7, "five that were saved, and two of 29 tenths");
    assert_eq!((cell.trials, cell.failures), (30, 30));
}

#[tokio::test]
async fn a_quantile_is_waited_for_once_a_hundred_answers_are_known() {
    let (mut one, mut two, mut proxy) = pair("    hedge: { after: p99 }\n").await;
    let mut client = Client::connect(proxy.address).await;
    for slow in [&one, &two] {
        slow.may.add_permits(1_000);
    }
    for n in 0..200 {
        assert_eq!(client.get("/", "").await.status, 200);
        if n == 90 {
            let cell = proxy.counted(Role::Stable, |cell| ended(cell) == 91).await;
            assert_eq!(cell.attempts.sum(|_| true), 91, "not yet");
        }
    }
    for slow in [&mut one, &mut two] {
        slow.may.forget_permits(1_000);
        while slow.told.try_recv().is_ok() {}
    }
    client
        .send("GET /last HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    let (_late, other) = first_of(&mut one, &mut two).await;
    assert_eq!(other.asked().await, "GET /last HTTP/1.1");
    other.may.add_permits(1);
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn when_one_fails_the_other_goes_on_and_when_both_fail_nobody_else_is_asked() {
    let stable = Origin::saying("old").await;
    for fails_twice in [false, true] {
        let answer = if fails_twice { Vec::new() } else { ok("well") };
        let (mut one, mut two) = (slow(&answer).await, slow(&answer).await);
        let canary = [one.at(), two.at()];
        let mut proxy = one_worker(&[stable.address], &canary, 100, SOON);
        let mut client = asking(&proxy, "GET").await;
        let (late, other) = first_of(&mut one, &mut two).await;
        other.asked().await;
        late.hangs_up.notify_one();
        proxy
            .counted(Role::Canary, |cell| attempts(cell, Outcome::Failure) == 1)
            .await;
        other.may.add_permits(1);
        let expected = if fails_twice { 502 } else { 200 };
        assert_eq!(client.answer().await.status, expected);
        let cell = proxy.counted(Role::Canary, |cell| ended(cell) == 1).await;
        assert_eq!((cell.trials, cell.failures), (1, 1), "the first attempt's");
        assert_eq!(cell.attempts.sum(|_| true), 2);
        assert_eq!(repeats(&cell, Repeat::Rescue), 0);
    }
}

#[tokio::test]
async fn a_failing_answer_of_the_second_is_the_version_s_and_nothing_follows() {
    let stable = Origin::saying("old").await;
    let (mut one, mut two) = (
        slow(&answer(503, "no")).await,
        slow(&answer(503, "no")).await,
    );
    let mut proxy = one_worker(&[stable.address], &[one.at(), two.at()], 100, SOON);
    let mut client = asking(&proxy, "GET").await;
    let (_late, other) = first_of(&mut one, &mut two).await;
    other.asked().await;
    other.may.add_permits(1);
    assert_eq!(client.answer().await.status, 503);
    let cell = proxy.counted(Role::Canary, |cell| ended(cell) == 1).await;
    assert_eq!((cell.trials, cell.failures), (1, 1));
    assert_eq!(cell.attempts.sum(|_| true), 2);
}

#[tokio::test]
async fn an_endpoint_that_refuses_leaves_the_first_one_alone() {
    let (mut one, dead) = (slow(&ok("one")).await, nowhere().await);
    let more = format!("{SOON}    retry_policy: {{ attempts: 1 }}\n");
    let mut proxy = one_worker(&[one.at(), dead], &[], 0, &more);
    let mut client = Client::connect(proxy.address).await;
    let mut turns = 0;
    loop {
        turns += 1;
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        let first = tokio::select! {
            answer = client.answer() => answer.status,
            _asked = one.asked() => {
                let of_second = |cell: &Cell| repeats(cell, Repeat::HedgeLost) == 1;
                proxy.counted(Role::Stable, of_second).await;
                one.may.add_permits(1);
                assert_eq!(client.answer().await.text(), "one");
                break;
            }
        };
        assert_eq!(first, 502, "the dead one was the first");
    }
    let cell = proxy
        .counted(Role::Stable, |cell| ended(cell) == turns)
        .await;
    assert_eq!(cell.trials, turns);
    assert_eq!(cell.failures, turns - 1);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_and_both_attempts_end() {
    let (mut one, mut two, mut proxy) = pair(SOON).await;
    let client = asking(&proxy, "GET").await;
    let (late, other) = first_of(&mut one, &mut two).await;
    other.asked().await;
    drop(client);
    assert_eq!(late.told.recv().await, Some(Told::Closed));
    assert_eq!(other.told.recv().await, Some(Told::Closed));
    let cell = proxy.counted(Role::Stable, |cell| ended(cell) == 1).await;
    assert_eq!((cell.trials, cell.failures), (0, 0));
    assert_eq!(attempts(&cell, Outcome::ClientAbort), 1);
    proxy.under_way(0).await;
}

#[tokio::test]
async fn streams_of_http2_race_and_the_one_that_has_lost_is_reset() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let turn = Arc::new(AtomicUsize::new(0));
    let origin = || {
        let (tell, turn) = (tell.clone(), Arc::clone(&turn));
        H2Origin::doing(move |request, mut respond| {
            let (tell, is_first) = (tell.clone(), turn.fetch_add(1, Ordering::SeqCst) == 0);
            async move {
                read(request).await;
                if is_first {
                    let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
                    tell.send(reset.unwrap()).unwrap();
                } else {
                    give(given("second"), respond);
                }
            }
        })
    };
    let (one, two) = (origin().await, origin().await);
    let config = edge("", "protocol: h2c", SOON);
    let mut proxy = Proxy::with_workers(1, config, &[one.address, two.address], &[], 0);
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.text(), "second");
    assert_eq!(told.recv().await, Some(h2::Reason::CANCEL));
    let cell = proxy.counted(Role::Stable, |cell| ended(cell) == 1).await;
    assert_eq!((cell.trials, cell.failures), (1, 0));
    assert_eq!(client.get("/", "").await.text(), "second");
}
