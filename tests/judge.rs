//! The judge before recorded traces and before simulated rollouts.
//!
//! `cargo test --profile simulation --test judge -- --nocapture` lives thousands of them in a few
//! minutes and prints what docs/judge.md tells; `SERIN_SIM_RUNS=1000` lives each a thousand times,
//! `SERIN_SIM_ONLY=R3` those whose name contains it.
//! A debug build lives few and short ones, enough to see that nothing has broken.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "a test may fail loudly, its numbers are small, and it shows what it measured"
)]

#[path = "judge/bad.rs"]
mod bad;
#[path = "judge/chance.rs"]
mod chance;
#[path = "judge/forecast.rs"]
mod forecast;
#[path = "judge/goals.rs"]
mod goals;
#[path = "judge/healthy.rs"]
mod healthy;
#[path = "judge/life.rs"]
mod life;
#[path = "judge/many.rs"]
mod many;
#[path = "judge/traces.rs"]
mod traces;
#[path = "judge/users.rs"]
mod users;
#[path = "judge/weather.rs"]
mod weather;
