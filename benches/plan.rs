//! What scale costs: a plan change with 5,000 endpoints, and a request's decision among many splits
//! and endpoints.
//!
//! `cargo bench --bench plan`. A change is measured twice: as the compiler sees it, and as control
//! does, from the event to the plan in force.

#![expect(clippy::unwrap_used, reason = "a bench stops where it stands")]

use std::{
    collections::HashMap,
    hint::black_box,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use serin::{
    config::{self, Config},
    control::{Control, Event, Loaded, Setup},
    discover::Discovered,
    model::{
        Endpoint, Epoch, Generation, Moment, Nonce, Point, Share, SplitName, Stage, UpstreamName,
    },
    plan::{Ask, Chance, Head, Inputs, Keys, Load, Plan, Secrets, Shift, Tls, compile},
};

/// The endpoints of the largest upstream.
const MANY: usize = 5_000;

/// A file with so many splits, all of one stable and one canary version.
fn file(splits: usize) -> Config {
    let split = |number| {
        format!(
            "\x20 shop-{number}:\n\
             \x20   match: {{ hosts: [shop-{number}.example] }}\n\
             \x20   stable: old\n\
             \x20   canary: new\n"
        )
    };
    let text = "listen: \"127.0.0.1:0\"\n\
                upstreams:\n\
                \x20 old: { static: [\"127.0.0.1:1\"] }\n\
                \x20 new: { static: [\"127.0.0.1:2\"] }\n\
                splits:\n"
        .to_owned();
    let text = text + &(0..splits).map(split).collect::<String>();
    config::load(&text, "bench.yaml").unwrap().0
}

/// Endpoints from this number on.
fn endpoints(from: usize, count: usize) -> Arc<[Endpoint]> {
    let address = |number: usize| {
        let number = u32::try_from(number).unwrap();
        let ip = Ipv4Addr::from_bits(0x0a00_0000 + number);
        Endpoint::new(SocketAddr::new(IpAddr::V4(ip), 8_080))
    };
    (from..from + count).map(address).collect()
}

/// What a plan is made of.
struct World {
    config: Config,
    endpoints: HashMap<UpstreamName, Arc<[Endpoint]>>,
    shifts: HashMap<SplitName, Shift>,
    secrets: Secrets,
    keys: Keys,
}

impl World {
    fn new(splits: usize, count: usize) -> Self {
        let config = file(splits);
        let mut world = Self {
            endpoints: HashMap::new(),
            shifts: HashMap::new(),
            secrets: Secrets::default(),
            keys: Keys::default(),
            config,
        };
        world.find(0, count);
        world.shift(1, 1_000);
        world
    }

    /// Both versions have these endpoints now.
    fn find(&mut self, from: usize, count: usize) {
        for name in ["old", "new"] {
            let name = UpstreamName::new(name).unwrap();
            self.endpoints.insert(name, endpoints(from, count));
        }
    }

    /// Every canary has this share now.
    fn shift(&mut self, stage: u64, share: u16) {
        for split in &self.config.splits {
            let shift = Shift {
                epoch: Epoch(1),
                nonce: Nonce(7),
                stage: Stage(stage),
                share: Share::from_basis_points(share).unwrap(),
            };
            self.shifts.insert(split.name.clone(), shift);
        }
    }

    fn plan(&mut self, previous: Option<&Plan>) -> Plan {
        let inputs = Inputs {
            config: &self.config,
            endpoints: &self.endpoints,
            shifts: &self.shifts,
            secrets: &self.secrets,
            tls: &Tls::default(),
            previous,
            generation: previous.map_or(Generation(1), |plan| plan.generation.next()),
            now: Moment::ZERO,
        };
        compile(&inputs, &mut self.keys)
    }
}

/// A request for one of the splits.
struct Asked(String);

impl Head for Asked {
    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn host(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn path(&self) -> &[u8] {
        b"/cart/items"
    }

    fn field(&self, _: &str) -> Option<&[u8]> {
        None
    }

    fn cookies<'a>(&'a self, _: &mut dyn FnMut(&'a [u8])) {}

    fn client(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }
}

/// The reading of a long file, which a thread of its own does before control hears of it.
fn reading(criterion: &mut Criterion) {
    let address = |number: usize| format!("\"10.1.{}.{}:80\"", number / 250, number % 250 + 1);
    let addresses: Vec<_> = (0..MANY).map(address).collect();
    let text = format!(
        "listen: \"127.0.0.1:0\"\n\
         upstreams: {{ v1: {{ static: [{}] }} }}\n\
         splits: {{ shop: {{ stable: v1 }} }}\n",
        addresses.join(", ")
    );
    criterion.bench_function("a file with 5,000 endpoints is read", |bench| {
        bench.iter(|| config::load(black_box(&text), "bench.yaml").unwrap());
    });
}

/// The compiler's part of a change.
fn compiling(criterion: &mut Criterion) {
    criterion.bench_function("a share changes beside 2 x 5,000 endpoints", |bench| {
        let mut world = World::new(1, MANY);
        let mut plan = world.plan(None);
        let mut stage = 1;
        bench.iter(|| {
            stage += 1;
            world.shift(stage, 2_000);
            plan = world.plan(Some(&plan));
        });
    });
    criterion.bench_function("50 of 2 x 5,000 endpoints change", |bench| {
        let mut world = World::new(1, MANY);
        let mut plan = world.plan(None);
        let mut is_moved = false;
        bench.iter(|| {
            is_moved = !is_moved;
            world.find(if is_moved { 50 } else { 0 }, MANY);
            plan = world.plan(Some(&plan));
        });
    });
    criterion.bench_function("the shares of 1,000 splits change", |bench| {
        let mut world = World::new(1_000, 1);
        let mut plan = world.plan(None);
        let mut stage = 1;
        bench.iter(|| {
            stage += 1;
            world.shift(stage, 2_000);
            plan = world.plan(Some(&plan));
        });
    });
}

/// Control of so many splits, at this moment.
fn opened(splits: usize, now: Moment) -> Control {
    let loaded = Loaded {
        config: file(splits),
        secrets: HashMap::new(),
        tls: Tls::default(),
        tokens: serin::control::Tokens::default(),
        warnings: config::Problems::default(),
    };
    let setup = Setup {
        path: None,
        loaded,
        state_dir: None,
    };
    Control::open_at(setup, now).control
}

/// From the answer of a source to the plan in force, and everything told.
fn controlling(criterion: &mut Criterion) {
    for splits in [1, 1_000] {
        let name = format!("control: 50 of 5,000 endpoints change, {splits} splits");
        criterion.bench_function(&name, |bench| {
            let mut now = Moment::from_millis(1_000);
            let mut control = opened(splits, now);
            let mut from = 0;
            bench.iter(|| {
                from = if from == 0 { 50 } else { 0 };
                now = now + Duration::from_millis(50);
                let found = Discovered {
                    upstream: UpstreamName::new("old").unwrap(),
                    as_of: now,
                    result: Ok(endpoints(from, MANY)),
                };
                control.on(Event::Discovered(found), now);
                // Only then the judge's side learns which endpoints are new.
                control.on(Event::Tick, now);
            });
        });
        criterion.bench_function(&format!("control: a tick, {splits} splits"), |bench| {
            let mut now = Moment::from_millis(1_000);
            let mut control = opened(splits, now);
            bench.iter(|| {
                now = now + Duration::from_millis(50);
                control.on(Event::Tick, now);
            });
        });
    }
}

/// A request's way through the plan: the split, the version, the endpoint.
fn deciding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("find, assign and choose");
    for (splits, count) in [(1, 1), (1_000, 1), (1, MANY), (1_000, MANY)] {
        let plan = World::new(splits, count).plan(None);
        let heads: Vec<_> = (0..splits)
            .map(|number| Asked(format!("shop-{number}.example")))
            .collect();
        let mut random = fastrand::Rng::with_seed(1);
        let mut at = 0;
        let name = format!("{splits} splits, {count} endpoints");
        group.bench_function(BenchmarkId::from_parameter(name), |bench| {
            bench.iter(|| {
                at = (at + 7) % heads.len();
                let head = heads.get(at)?;
                let (id, _) = plan.find(head)?;
                let split = plan.split(id)?;
                let fresh = random.u64(..);
                let chance = Chance {
                    point: Point::from_hash(fresh),
                    fresh,
                };
                let role = split.assign(head, chance).role;
                let upstream = plan.upstream(split.version(role).upstream)?;
                let ask = Ask {
                    random: random.u64(..),
                    turn: fresh,
                    hash: None,
                    now: Moment::ZERO,
                    avoid: &[],
                    most: None,
                };
                upstream.choose(|_| Load::default(), &ask).map(black_box)?;
                Some(())
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3));
    targets = deciding, reading, compiling, controlling
}
criterion_main!(benches);
