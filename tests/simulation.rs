//! Seeded lives of control, judge and rollout: simulated workers, lost, late and doubled samples,
//! people, saves, sources, clock jumps, restarts and lost state; the invariants hold after each
//! step. No socket, no waiting: time is a number.
//!
//! `SEED=17 cargo test --test simulation -- --nocapture` lives one life again and tells each step.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops where it stands, and tells a life on request"
)]

#[path = "simulation/checks.rs"]
mod checks;
#[path = "simulation/file.rs"]
mod file;
#[path = "simulation/records.rs"]
mod records;
#[path = "simulation/seen.rs"]
mod seen;
#[path = "simulation/traffic.rs"]
mod traffic;
#[path = "simulation/world.rs"]
mod world;

use seen::Seen;
use world::World;

/// How many lives the suite lives.
const LIVES: u64 = 32;
/// How many things happen in one.
const STEPS: usize = 150;

fn live(seed: u64, is_told: bool) -> Seen {
    let mut world = World::new(seed, is_told);
    match seed % 4 {
        0 => world.calm(),
        2 => world.begin(1),
        3 => world.climb(),
        _ => {}
    }
    for _ in 0..STEPS {
        world.step();
    }
    world.end();
    world.seen
}

#[test]
fn the_invariants_hold_in_every_life() {
    if let Ok(seed) = std::env::var("SEED") {
        let seed = seed.parse().expect("SEED is a number");
        println!("{:?}", live(seed, true));
        return;
    }
    let mut all = Seen::default();
    for seed in 0..LIVES {
        all.add(&live(seed, false));
    }
    println!("{all:?}");
    // A simulation in which nothing happens proves nothing.
    assert!(all.rollbacks > LIVES / 2, "{all:?}");
    assert!(all.passes > LIVES / 4, "{all:?}");
    assert!(all.promotions > LIVES / 4, "{all:?}");
    assert!(all.restarts > LIVES / 2, "{all:?}");
    assert!(all.states_lost > LIVES / 4, "{all:?}");
    assert!(all.rises > LIVES, "{all:?}");
    assert!(all.climbs > LIVES / 2, "{all:?}");
    assert!(all.gates > LIVES / 8, "{all:?}");
    assert!(all.records > LIVES, "{all:?}");
    assert!(all.fails_again > LIVES / 4, "{all:?}");
}

#[test]
fn the_same_seed_lives_the_same_life() {
    assert_eq!(live(7, false), live(7, false));
}
