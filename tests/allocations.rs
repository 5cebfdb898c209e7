//! A request allocates nothing once all is warm: real workers, real sockets, and an allocator that
//! keeps a backtrace of whatever another thread than the test's own asks of it.
//!
//! Left out is what a worker does by the clock, not by the request: its tick, and what it must make
//! anew because the tick took it away. The latter is counted against the samples that were handed
//! over, twenty a second at most.

#![expect(
    unsafe_code,
    clippy::disallowed_types,
    reason = "an allocator is unsafe to write, and what it saw is asked for by another thread"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where it stands, its helpers too"
)]

#[path = "support/mod.rs"]
mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    backtrace::Backtrace,
    cell::Cell,
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use support::{
    client::Client,
    origin::{Origin, ok},
    proxy::one_worker,
};

/// Requests before anything is counted, and requests that are.
const WARM_UP: usize = 300;
const COUNTED: usize = 1_000;
/// Kept connections, used in turn.
const CLIENTS: usize = 2;
/// In the backtrace of whatever a worker does by the clock.
const TICK: &str = "::tick::{";
/// In the backtrace of what is made anew after a tick, by the request that needs it first: counters
/// that went away with the sample, and a place in the wheel, which turned.
const ANEW: [&str; 2] = ["at ./src/measure/", "at ./src/proxy/timer.rs"];
/// At most so often a sample: two tallies and four histograms of two pieces, of three cells, and
/// the wheel.
const ANEW_MAX: usize = 40;
/// A connection that had nothing to do for so long is at rest: awake again, it gets one box.
const REST: Duration = Duration::from_millis(40);

const HEAD: &str = "Host: a.test\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Referer: https://a.test/catalogue/garden/tools?page=3\r\n\
    Cache-Control: no-cache\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    X-Device-Id: d41d8cd98f00b204e9800998\r\n";

/// A split of clients with cookies, in which no rule fits but the last.
const RULES: &str = "    sticky: {}
    classify:
      - { when: client_abort, as: ignored, unless_slower_than: 2s }
      - { when: { path: /healthz }, as: ignored }
      - { when: { path_prefix: /head, status: [404, 5xx] }, as: failure }
      - { when: { grpc_status: [UNAVAILABLE, INTERNAL] }, as: failure }
      - { when: { path_prefix: /head }, as: tracked }\n";

struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

static IS_WATCHING: AtomicBool = AtomicBool::new(false);
static SEEN: Mutex<Vec<Backtrace>> = Mutex::new(Vec::new());

thread_local! {
    /// The test's own thread, or one that is just telling where it stands.
    static IS_LET_BE: Cell<bool> = const { Cell::new(false) };
}

impl Watched {
    fn tell() {
        let is_watching = IS_WATCHING.load(Ordering::SeqCst);
        let is_let_be = || IS_LET_BE.try_with(|it| it.replace(true)).unwrap_or(true);
        if is_watching && !is_let_be() {
            SEEN.lock().unwrap().push(Backtrace::force_capture());
            IS_LET_BE.set(false);
        }
    }
}

// SAFETY: the system's allocator does all of it; telling neither changes nor keeps memory of its.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::tell();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::tell();
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// One kind of request.
struct Case {
    name: &'static str,
    /// Added to the split, or behind it.
    split: &'static str,
    method: &'static str,
    body: usize,
    answer: Vec<u8>,
}

impl Case {
    fn request(&self, cookie: Option<&str>) -> Vec<u8> {
        let cookie = cookie.map(|it| format!("Cookie: theme=dark; {it}\r\n"));
        let length = (self.body > 0).then(|| format!("Content-Length: {}\r\n", self.body));
        let more = cookie.unwrap_or_default() + &length.unwrap_or_default();
        let body = "b".repeat(self.body);
        format!("{} /head HTTP/1.1\r\n{HEAD}{more}\r\n{body}", self.method).into_bytes()
    }

    /// Where workers allocated for requests; all requests are answered.
    async fn allocations(&self) -> Vec<String> {
        let answer = self.answer.clone();
        let origin = Origin::answering(move |_| answer.clone()).await;
        let mut proxy = one_worker(&[origin.address], &[origin.address], 10, self.split);
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = Client::connect(proxy.address).await;
            client.send(self.request(None)).await;
            let answer = client.answer_to(self.method).await;
            let cookie = answer.field("set-cookie").map(str::to_owned);
            let is_sticky = self.split.contains("sticky");
            assert_eq!(cookie.is_some(), is_sticky, "{}", self.name);
            let cookie = cookie.as_deref().and_then(|it| it.split(';').next());
            clients.push((client, self.request(cookie)));
        }
        let (mut samples, mut rests) = (0, 0);
        let mut asked = [Instant::now(); CLIENTS];
        for number in 0..WARM_UP + COUNTED {
            if number == WARM_UP {
                (samples, rests) = (0, 0);
                IS_WATCHING.store(true, Ordering::SeqCst);
            }
            let at = number % CLIENTS;
            let (client, request) = clients.get_mut(at).unwrap();
            let before = asked.get_mut(at).unwrap();
            let began = std::mem::replace(before, Instant::now());
            client.send(&*request).await;
            let answer = client.answer_to(self.method).await;
            let got = (answer.status, answer.is_whole, answer.field("set-cookie"));
            assert_eq!(got, (200, true, None), "{}", self.name);
            samples += proxy.samples_waiting();
            rests += usize::from(began.elapsed() > REST);
        }
        IS_WATCHING.store(false, Ordering::SeqCst);
        let seen = std::mem::take(&mut *SEEN.lock().unwrap());
        let told = seen.iter().map(ToString::to_string);
        let by_requests = told.filter(|trace| !trace.contains(TICK));
        let is_anew = |trace: &String| ANEW.iter().any(|name| trace.contains(name));
        let (anew, found): (Vec<_>, Vec<_>) = by_requests.partition(is_anew);
        // One sample was begun before, one is not handed over yet.
        let anew_max = ANEW_MAX * (samples + 2);
        let too_many = [(found, rests), (anew, anew_max)].into_iter();
        let too_many = too_many.filter(|(traces, most)| traces.len() > *most);
        too_many.flat_map(|(traces, _)| traces).collect()
    }
}

/// The innermost places of this crate in a backtrace.
fn place(trace: &str) -> String {
    let lines: Vec<_> = trace.lines().map(str::trim).collect();
    let frames = lines.windows(2).filter_map(|pair| match pair {
        [name, at] if at.starts_with("at ./src/") => Some(format!("  {name} {at}\n")),
        _ => None,
    });
    frames.take(6).collect()
}

fn cases() -> Vec<Case> {
    let head = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 26 Nov 2026 08:00:00 GMT\r\n\
                Content-Type: text/plain\r\nConnection: keep-alive\r\nVary: Accept-Encoding\r\n\
                Cache-Control: private, max-age=0\r\nX-Frame-Options: SAMEORIGIN\r\n";
    let chunk = format!("800\r\n{}\r\n", "c".repeat(0x800));
    let case = |name, answer| Case {
        name,
        split: "",
        method: "GET",
        body: 0,
        answer,
    };
    let usual = || ok(&"b".repeat(1_000));
    let ten = format!("{head}Content-Length: 1000\r\n\r\n{}", "b".repeat(1_000));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    vec![
        case("twelve fields up, eight down", ten.into_bytes()),
        Case {
            split: RULES,
            ..case("a client with its cookie, counted by rules", usual())
        },
        Case {
            method: "POST",
            body: 16 << 10,
            ..case("16 KiB up", usual())
        },
        Case {
            split: "access_log: { path: /dev/null }\n",
            ..case("a line of the access log", usual())
        },
        Case {
            split: "tracing: { otlp: \"http://127.0.0.1:9\", sample: 0% }\n",
            ..case("a part of a trace that is not recorded", usual())
        },
        case("64 KiB down", ok(&"b".repeat(64 << 10))),
        case("chunks down", chunked.into_bytes()),
    ]
}

#[tokio::test]
async fn a_request_allocates_nothing_once_all_is_warm() {
    IS_LET_BE.set(true);
    let mut problems = Vec::new();
    for case in cases() {
        let mut places = BTreeMap::<String, usize>::new();
        for trace in case.allocations().await {
            *places.entry(place(&trace)).or_default() += 1;
        }
        let name = case.name;
        let told = places.iter().map(|(place, count)| {
            format!("{name}: {count} allocations in {COUNTED} requests at\n{place}")
        });
        problems.extend(told);
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
