//! Tables and properties of the whole room.

mod affinity;
mod balance;
mod classify;
mod compile;
mod explain;
mod retry;
mod route;
mod split;
mod version_override;
mod warm_up;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use proptest::test_runner::{Config as ProptestConfig, RngSeed};

use super::{Chance, Head, Inputs, Keys, Plan, Secrets, Shift, Split, Tls, Upstream};
use crate::{
    config::{self, Config, KeySource, Match, PathMatch, Sticky},
    model::{
        Endpoint, Epoch, Generation, Moment, Nonce, Point, Share, SplitName, Stage, UpstreamName,
    },
};

/// Properties are tried with the same inputs each time; `PROPTEST_RNG_SEED` tries others.
pub(super) fn same_each_time() -> ProptestConfig {
    let config = ProptestConfig::default();
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    ProptestConfig {
        cases: 128,
        rng_seed,
        failure_persistence: None,
        ..config
    }
}

/// A request's head for tests: `field` reads the first of a name, as the proxy's does.
#[derive(Debug, Clone)]
struct Request {
    method: String,
    host: String,
    path: String,
    fields: Vec<(String, Vec<u8>)>,
    client: IpAddr,
}

impl Request {
    fn to(host: &str, path: &str) -> Self {
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (host, path) = (host.to_owned(), path.to_owned());
        Self {
            method: "GET".to_owned(),
            host,
            path,
            fields: Vec::new(),
            client,
        }
    }

    fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }
}

impl Head for Request {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }

    fn host(&self) -> &[u8] {
        self.host.as_bytes()
    }

    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_slice())
    }

    fn cookies<'a>(&'a self, each: &mut dyn FnMut(&'a [u8])) {
        self.fields
            .iter()
            .filter(|(name, _)| name == "cookie")
            .for_each(|(_, value)| each(value));
    }

    fn client(&self) -> IpAddr {
        self.client
    }
}

const COOKIE: &str = "shop_ver";

fn sticky(key: &[KeySource]) -> Sticky {
    let cookie = config::Cookie {
        name: COOKIE.to_owned(),
        max_age: Some(Duration::from_hours(24)),
        path: "/".to_owned(),
        domain: None,
        http_only: true,
        secure: false,
        same_site: config::SameSite::Lax,
    };
    Sticky {
        key: key.to_vec(),
        cookie,
        secret_file: None,
    }
}

fn takes(hosts: &[&str], path: PathMatch) -> Match {
    Match {
        name: "default".parse_name(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        path,
        headers: Vec::new(),
        methods: Vec::new(),
    }
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

fn exact(path: &str) -> PathMatch {
    PathMatch::Exact(path.to_owned())
}

/// Any name out of a text, for short tests.
trait ParseName {
    fn parse_name<T: Named>(&self) -> T;
}

trait Named {
    fn named(text: &str) -> Self;
}

macro_rules! named {
    ($($name:ident)*) => {
        $(impl Named for crate::model::$name {
            fn named(text: &str) -> Self {
                Self::new(text).unwrap()
            }
        })*
    };
}

named!(ListenerName RouteName SplitName UpstreamName VersionName);

impl ParseName for str {
    fn parse_name<T: Named>(&self) -> T {
        T::named(self)
    }
}

/// A split of `old` and `new` that takes everything.
fn written_split(name: &str, sticky: Option<Sticky>) -> config::Split {
    config::Split {
        name: name.parse_name(),
        routes: vec![takes(&[], prefix("/"))],
        stable: "old".parse_name(),
        canary: Some("new".parse_name()),
        weight: None,
        sticky,
        version_override: None,
        on_unhealthy: config::OnUnhealthy::FallbackToStable,
        retry_policy: config::RetryPolicy::default(),
        hedge: None,
        assets: None,
        request_start: config::RequestStart::default(),
        timeouts: config::SplitTimeouts::default(),
        classify: Vec::new(),
        rollout: None,
        analysis: config::Analysis {
            false_rollback_rate: 0.001,
            min_requests: 30,
            warm_up: Duration::ZERO,
            error_rate: config::RateMargin {
                ratio: 1.05,
                absolute: 0.0005,
            },
            latency_margins: [0.1; 6],
            critical_errors: None,
            critical_latency: None,
            dry_run: config::DryRun::default(),
            slo: None,
            burst_tolerance: Duration::from_secs(1),
            absolute: Vec::new(),
        },
    }
}

fn upstream(name: &str) -> config::Upstream {
    let second = Duration::from_secs(1);
    config::Upstream {
        name: name.parse_name(),
        source: config::Source::Static(Vec::new()),
        protocol: config::UpstreamProtocol::H1,
        tls: None,
        proxy_protocol: None,
        timeouts: config::UpstreamTimeouts {
            connect: second,
            response_header: second,
            body_idle: second,
            idle: second,
        },
        max_idle_connections: 32,
        buffer: config::Buffer::default(),
        health_check: None,
        balance: config::Balance::default(),
        outlier_detection: None,
        circuit_breaker: None,
        warm_up: None,
    }
}

/// A listener with every default.
fn listener(port: u16) -> config::Listener {
    let text = format!("listen: \"127.0.0.1:{port}\"\n{REST}");
    let (config, _) = config::load(&text, "x.yaml").unwrap();
    config.listeners[0].clone()
}

/// What a file needs besides its listeners.
const REST: &str =
    "upstreams: { a: { static: [\"127.0.0.1:1\"] } }\nsplits: { s: { stable: a } }\n";

fn address(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Everything that a plan is made of; tests change what they are about.
struct World {
    config: Config,
    endpoints: HashMap<UpstreamName, Arc<[Endpoint]>>,
    shifts: HashMap<SplitName, Shift>,
    secrets: Secrets,
    tls: Tls,
    keys: Keys,
    now: Moment,
}

impl World {
    /// Two upstreams, `old` at port 1 and `new` at port 2, and these splits.
    fn new(splits: Vec<config::Split>) -> Self {
        let config = Config {
            hash: 0,
            text: config::Written::default(),
            listeners: vec![listener(8080)],
            admin: config::Admin::default(),
            workers: None,
            state_dir: None,
            upstreams: vec![upstream("old"), upstream("new")],
            splits,
            drain: config::Drain {
                timeout: Duration::ZERO,
                lag: Duration::ZERO,
                long_lived: None,
            },
            access_log: None,
            tracing: None,
            metrics: config::Metrics {
                prefix: "serin".into(),
                max_series: 1,
                statsd: None,
                emf: None,
            },
        };
        let one = |port| Arc::from([Endpoint::new(address(port))]);
        Self {
            config,
            endpoints: [("old".parse_name(), one(1)), ("new".parse_name(), one(2))].into(),
            shifts: HashMap::new(),
            secrets: Secrets {
                default: b"a secret of this machine".to_vec(),
                files: [(
                    PathBuf::from("/preview.key"),
                    b"a secret of testers".to_vec(),
                )]
                .into(),
            },
            tls: Tls::default(),
            keys: Keys::default(),
            now: Moment::ZERO,
        }
    }

    fn shift(&mut self, split: &str, epoch: u64, points: u16) -> &mut Self {
        let share = Share::from_basis_points(points).unwrap();
        let shift = Shift {
            epoch: Epoch(epoch),
            nonce: Nonce(7),
            stage: Stage(1),
            share,
        };
        self.shifts.insert(split.parse_name(), shift);
        self
    }

    fn plan_after(&mut self, previous: Option<&Plan>) -> Plan {
        let generation = previous.map_or(Generation(1), |plan| plan.generation.next());
        let inputs = Inputs {
            config: &self.config,
            endpoints: &self.endpoints,
            shifts: &self.shifts,
            secrets: &self.secrets,
            tls: &self.tls,
            previous,
            generation,
            now: self.now,
        };
        super::compile(&inputs, &mut self.keys)
    }

    fn plan(&mut self) -> Plan {
        self.plan_after(None)
    }
}

/// An upstream of so many endpoints, at ports from 1 on, of which a part may be ejected.
pub(super) fn ward(endpoints: u16, part: u16) -> Arc<Upstream> {
    let rule = config::OutlierDetection {
        consecutive_failures: 3,
        base_ejection_time: Duration::from_secs(10),
        max_ejection_time: Duration::from_mins(5),
        max_ejection: Share::from_basis_points(part).unwrap(),
    };
    let half = Share::from_basis_points(5_000).unwrap();
    balanced(&vec![1; usize::from(endpoints)], |upstream| {
        upstream.outlier_detection = Some(rule);
        upstream.balance.panic_threshold = half;
        upstream.balance.slow_start = Duration::from_secs(10);
    })
}

/// An upstream of endpoints with these weights, at ports from 1 on.
fn balanced(weights: &[u32], change: impl FnOnce(&mut config::Upstream)) -> Arc<Upstream> {
    let mut world = World::new(vec![written_split("shop", None)]);
    change(&mut world.config.upstreams[0]);
    world
        .endpoints
        .insert("old".parse_name(), weighted(weights));
    Arc::clone(&world.plan().upstreams[0])
}

/// Endpoints with these weights, at ports from 1 on.
fn weighted(weights: &[u32]) -> Arc<[Endpoint]> {
    let numbered = weights.iter().zip(1..);
    let endpoint = |(weight, port): (&u32, u16)| Endpoint {
        weight: *weight,
        ..Endpoint::new(address(port))
    };
    numbered.map(endpoint).collect()
}

/// The split `shop` in rollout `epoch` with a share.
fn shop(sticky: Option<Sticky>, epoch: u64, points: u16) -> Arc<Split> {
    let mut world = World::new(vec![written_split("shop", sticky)]);
    let plan = world.shift("shop", epoch, points).plan();
    Arc::clone(&plan.splits[0])
}

/// What chance brings to the nth request of a test.
fn chance(n: u64) -> Chance {
    let fresh = super::rotation::mix(n);
    Chance {
        point: Point::from_hash(n.wrapping_mul(6_181)),
        fresh,
    }
}

/// A client with a cookie jar.
#[derive(Debug, Clone, Default)]
struct Browser {
    uid: Option<String>,
    jar: Option<String>,
}

impl Browser {
    fn request(&self) -> Request {
        let mut request = Request::to("shop.example", "/");
        if let Some(uid) = &self.uid {
            request = request.with("cookie", format!("theme=dark; uid={uid}"));
        }
        if let Some(value) = &self.jar {
            request = request.with("cookie", format!("a=b; {COOKIE}={value};x=y"));
        }
        request
    }

    /// One request: the version's part, as answered; the jar keeps what was set.
    fn visit(&mut self, split: &Split, n: u64) -> super::Assignment {
        let assignment = split.assign(&self.request(), chance(n));
        if let Some(remember) = assignment.remember {
            let mut line = Vec::new();
            split
                .affinity
                .as_ref()
                .unwrap()
                .write_cookie(remember, &mut line);
            self.jar = Some(cookie_value(&line));
        }
        assignment
    }
}

/// What a browser keeps of a `Set-Cookie` line.
fn cookie_value(line: &[u8]) -> String {
    let line = std::str::from_utf8(line).unwrap();
    let value = line
        .strip_prefix(&format!("Set-Cookie: {COOKIE}="))
        .unwrap();
    assert!(
        value.ends_with("; Path=/; Max-Age=86400; SameSite=Lax; HttpOnly\r\n"),
        "{line}"
    );
    value.split(';').next().unwrap().to_owned()
}
