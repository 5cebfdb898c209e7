//! The judge before recorded traces and before simulated rollouts.
//!
//! `SERIN_SIM_RUNS=500 cargo test --release --test judge -- --nocapture` runs every simulated
//! rollout 500 times and prints the measured numbers; without it a few of each are enough to see
//! that nothing has broken.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test may fail loudly, and its numbers are small"
)]

#[path = "judge/forecast.rs"]
mod forecast;
#[path = "judge/life.rs"]
mod life;
#[path = "judge/rates.rs"]
mod rates;
#[path = "judge/traces.rs"]
mod traces;
#[path = "judge/users.rs"]
mod users;
