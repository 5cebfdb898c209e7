//! What endpoints tell: a bad one is named, clumps are measured, new ones are left alone.

use super::*;
use crate::{
    judge::Judgement,
    measure::{EndpointCounts, EndpointLabel},
};

/// How many endpoints each version has.
const ENDPOINTS: usize = 8;
/// Requests of stable and of the canary in a tenth of a second.
const REQUESTS: [usize; 2] = [180, 20];

/// Control with endpoints that chance chooses.
struct Fleet {
    desk: Desk,
    random: fastrand::Rng,
}

/// Of one request: whether it fails, and how long it takes.
type Truth<'a> = &'a dyn Fn(Role, usize, &mut fastrand::Rng) -> (bool, u64);

fn endpoint(role: Role, number: usize) -> Endpoint {
    let host = match role {
        Role::Stable => 1,
        Role::Canary => 2,
    };
    Endpoint::new(([10, 0, host, u8::try_from(number).unwrap()], 80).into())
}

impl Fleet {
    fn new(seed: u64) -> Self {
        Self::of(shop(10), seed)
    }

    fn of(split: Split, seed: u64) -> Self {
        let mut fleet = Self {
            desk: Desk::of(split, None),
            random: fastrand::Rng::with_seed(seed),
        };
        fleet.discover(Role::Stable, 0..ENDPOINTS);
        fleet.discover(Role::Canary, 0..ENDPOINTS);
        fleet
    }

    fn discover(&mut self, role: Role, numbers: std::ops::Range<usize>) {
        let name = match role {
            Role::Stable => "v1",
            Role::Canary => "v2",
        };
        let endpoints: Vec<_> = numbers.map(|number| endpoint(role, number)).collect();
        self.desk.on(Event::Discovered(Discovered {
            upstream: fixture::upstream_name(name),
            as_of: at(self.desk.now),
            result: Ok(endpoints.into()),
        }));
    }

    /// A tenth of a second.
    fn tick(&mut self, truth: Truth<'_>) {
        self.desk.now += 100;
        let (split, stage) = self.desk.in_force();
        let mut sample = Sample::default();
        for (role, requests) in Role::ALL.iter().zip(REQUESTS) {
            let plan = self.desk.reader.current();
            let keys: Vec<_> = plan.upstreams[usize::from(*role == Role::Canary)]
                .endpoints
                .iter()
                .map(|target| target.key)
                .collect();
            let mut cell = Cell {
                assigned: u64::try_from(requests).unwrap(),
                ..Cell::default()
            };
            for _ in 0..requests {
                let number = self.random.usize(..keys.len());
                let (has_failed, millis) = truth(*role, number, &mut self.random);
                let latency = Duration::from_millis(millis);
                cell.trials += 1;
                cell.failures += u64::from(has_failed);
                cell.latency.record(latency);
                let label = EndpointLabel {
                    split,
                    role: *role,
                    endpoint: keys[number],
                };
                let counts: &mut EndpointCounts = sample.endpoints.entry(label).or_default();
                counts.record(has_failed, latency);
            }
            sample.cells.insert(cell_key(split, stage, *role), cell);
        }
        self.desk.on(Event::Sampled(Box::new(sample)));
        self.desk.on(Event::Tick);
    }

    /// Goes on until the canary is out; what the judge said then.
    fn until_rolled_back(&mut self, truth: Truth<'_>) -> Judgement {
        for _ in 0..400 {
            self.tick(truth);
            if self.desk.phase().0 == "rolled_back" {
                let status = self.desk.handle.status();
                return status.splits[0].judgement.clone().unwrap();
            }
        }
        panic!("the canary is still there");
    }
}

/// A failure in a thousand, four to seven milliseconds.
fn healthy(_: Role, _: usize, random: &mut fastrand::Rng) -> (bool, u64) {
    (random.u32(..1_000) == 0, random.u64(4..8))
}

#[test]
fn one_bad_endpoint_is_named_and_a_bad_version_has_none() {
    const LIVES: u64 = 40;
    let mut named = 0;
    for seed in 0..LIVES {
        let bad = usize::try_from(seed).unwrap() % ENDPOINTS;
        let is_slow = seed % 4 == 3;
        let fault = 0.5 + 0.5 * f64::from(u32::try_from(seed).unwrap()) / 40.0;
        let single = |role: Role, number: usize, random: &mut fastrand::Rng| {
            let (has_failed, millis) = healthy(role, number, random);
            let is_hit = (role, number) == (Role::Canary, bad) && random.f64() < fault;
            match (is_hit, is_slow) {
                (true, true) => (has_failed, 10 * millis),
                (true, false) => (true, millis),
                (false, _) => (has_failed, millis),
            }
        };
        let mut fleet = Fleet::new(seed);
        for _ in 0..50 {
            fleet.tick(&healthy);
        }
        let judgement = fleet.until_rolled_back(&single);
        let Some(suspect) = judgement.suspect else {
            continue;
        };
        assert_eq!(suspect.address, endpoint(Role::Canary, bad).address);
        let history = &fleet.desk.handle.status().splits[0].history;
        let words = format!("one endpoint of 8, {}, has", suspect.address);
        let entry = history.iter().find(|entry| entry.what == "rolled_back");
        assert!(entry.unwrap().why.contains(&words), "{entry:?}");
        named += 1;
    }
    assert!(
        named * 100 >= LIVES * 95,
        "named in {named} of {LIVES} lives"
    );

    for seed in 0..LIVES {
        let fault = [0.03, 0.1, 0.4, 1.0][usize::try_from(seed).unwrap() % 4];
        let version = |role: Role, number: usize, random: &mut fastrand::Rng| {
            let (has_failed, millis) = healthy(role, number, random);
            let is_hit = role == Role::Canary && random.f64() < fault;
            (has_failed || is_hit, millis)
        };
        let judgement = Fleet::new(seed).until_rolled_back(&version);
        assert_eq!(judgement.suspect, None, "life {seed}");
    }
}

#[test]
fn clumps_of_stables_failures_are_measured_and_told_once() {
    let mut fleet = Fleet::new(7);
    let mut news = fleet.desk.handle.news();
    for _ in 0..300 {
        fleet.tick(&healthy);
    }
    let index = fleet.desk.handle.status().splits[0].dispersion.unwrap();
    assert!((0.5..2.0).contains(&index), "{index}");
    for second in 0..60 {
        // One endpoint has a bad tenth of a second, every two seconds.
        let bad = (second / 2) % ENDPOINTS;
        let blip = |role: Role, number: usize, random: &mut fastrand::Rng| {
            let is_hit = (role, number) == (Role::Stable, bad) && random.bool();
            (is_hit, random.u64(4..8))
        };
        for tenth in 0..10 {
            if tenth == 5 && second % 2 == 0 {
                fleet.tick(&blip);
            } else {
                fleet.tick(&healthy);
            }
        }
    }
    let index = fleet.desk.handle.status().splits[0].dispersion.unwrap();
    assert!(index > 3.0, "{index}");
    let told: Vec<_> = std::iter::from_fn(|| news.try_recv().ok())
        .filter(|news| news.what == "clumped_failures")
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].is_warning && told[0].text.contains("clumps of about"));
}

#[test]
fn what_was_measured_before_a_rollout_divides_its_evidence() {
    /// How many tenths of a second a canary with some failures more lasts after such a minute.
    fn lasts(blips: bool) -> usize {
        let mut fleet = Fleet::new(3);
        fleet.desk.ask(Command::Abort, None).unwrap();
        for tick in 0..600 {
            let blip = |role: Role, number: usize, random: &mut fastrand::Rng| {
                let is_hit = blips && (role, number) == (Role::Stable, tick / 20 % ENDPOINTS);
                (is_hit && tick % 20 == 0, random.u64(4..8))
            };
            fleet.tick(&blip);
        }
        fleet.desk.ask(Command::Retry, None).unwrap();
        let worse = |role: Role, _: usize, random: &mut fastrand::Rng| {
            let rate = if role == Role::Canary { 0.05 } else { 0.0 };
            (random.f64() < rate, random.u64(4..8))
        };
        (1..2_000)
            .find(|_| {
                fleet.tick(&worse);
                fleet.desk.phase().0 == "rolled_back"
            })
            .unwrap()
    }
    let (plain, divided) = (lasts(false), lasts(true));
    assert!(divided > 2 * plain, "{divided} after clumps, else {plain}");
}

#[test]
fn slow_tests_leave_a_batch_of_new_endpoints_alone() {
    /// How many tenths of a second a canary with some failures lasts, after a minute without.
    fn lasts(endpoints: std::ops::Range<usize>) -> usize {
        let mut split = shop(10);
        split.analysis.warm_up = Duration::from_secs(30);
        let mut fleet = Fleet::of(split, 5);
        for _ in 0..600 {
            fleet.tick(&healthy);
        }
        fleet.discover(Role::Canary, endpoints);
        let worse = |role: Role, _: usize, random: &mut fastrand::Rng| {
            let rate = if role == Role::Canary { 0.05 } else { 0.001 };
            (random.f64() < rate, random.u64(4..8))
        };
        (1..1_000)
            .find(|_| {
                fleet.tick(&worse);
                fleet.desk.phase().0 == "rolled_back"
            })
            .unwrap()
    }
    let (known, new) = (lasts(0..ENDPOINTS), lasts(0..2 * ENDPOINTS));
    assert!(known < 100, "{known} tenths of a second");
    assert!((300..400).contains(&new), "{new} tenths of a second");
}

#[test]
fn where_splits_have_thousands_of_endpoints_they_are_met_one_after_the_other() {
    let mut desk = Desk::of(shop(10), None);
    let names = ["shop", "search", "cart"];
    let splits = names.map(|name| fixture::split(name, "v1", Some("v2")));
    desk.save(2, splits.into());
    let discover = |desk: &mut Desk, count: u16| {
        let all = (1..=count).map(|port| Endpoint::new(([10, 0, 0, 1], port).into()));
        desk.on(Event::Discovered(Discovered {
            upstream: fixture::upstream_name("v1"),
            as_of: at(desk.now),
            result: Ok(all.collect::<Vec<_>>().into()),
        }));
    };
    let left = |desk: &mut Desk| {
        desk.now += 100;
        desk.on(Event::Tick);
        desk.control.meeting.left
    };
    discover(&mut desk, 6_000);
    let turns = [left(&mut desk), left(&mut desk), left(&mut desk)];
    assert_eq!(turns, [1, 0, 0], "two in a turn");
    for count in [5_999, 5_998, 5_997] {
        discover(&mut desk, count);
        let _some = left(&mut desk);
    }
    let generation = desk.reader.current().generation;
    let met = names.map(|name| {
        let name = SplitName::new(name).unwrap();
        desk.control.courses[&name].by_endpoint.met().unwrap()
    });
    let oldest = met.iter().min().unwrap();
    assert!(generation.0 - oldest.0 <= 1, "none is left behind: {met:?}");
}
