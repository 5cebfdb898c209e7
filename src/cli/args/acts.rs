//! Verbs that change something.

use clap::{Args, Subcommand};

use super::Ask;

/// `serin eject`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Eject {
    /// For how long, such as 30s, 10m, 2h [default: until `serin uneject`]
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    pub(in crate::cli) seconds: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) act: EndpointAct,
}

/// An act on an endpoint.
#[derive(Debug, Args)]
pub(in crate::cli) struct EndpointAct {
    /// Its address and port, as `serin endpoints` shows it
    #[arg(value_name = "ADDRESS")]
    pub(in crate::cli) endpoint: String,
    /// Of this upstream only
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) upstream: Option<String>,
    /// Why, for those who read the log
    #[arg(short, long, value_name = "TEXT")]
    pub(in crate::cli) reason: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) ask: Ask,
}

/// `30s`, `10m`, `2h`.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "expected a time such as 30s, 10m or 2h".to_owned();
    let unit = [("s", 1), ("m", 60), ("h", 3_600)];
    let mut known = unit.iter();
    let found = known.find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    found.filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

/// An act on a split.
#[derive(Debug, Args)]
pub(in crate::cli) struct Act {
    /// On which split
    pub(in crate::cli) split: String,
    #[command(flatten)]
    pub(in crate::cli) terms: Terms,
}

/// `serin gate`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Gate {
    /// Go on past the gate
    Open(Act),
    /// Hold the rollout at the gate; analysis goes on
    Close(Act),
}

/// Under what terms one acts.
#[derive(Debug, Args)]
pub(in crate::cli) struct Terms {
    /// Why, for the audit log
    #[arg(short, long, value_name = "TEXT")]
    pub(in crate::cli) reason: Option<String>,
    /// Only if the rollout has this epoch (`serin status` shows it)
    #[arg(long, value_name = "EPOCH")]
    pub(in crate::cli) if_epoch: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) ask: Ask,
}

/// `serin set-weight`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SetWeight {
    /// On which split
    pub(in crate::cli) split: String,
    /// The canary's share: 0% to 100% in steps of 0.01%
    pub(in crate::cli) weight: String,
    #[command(flatten)]
    pub(in crate::cli) terms: Terms,
}

/// `serin promote`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Promote {
    /// On which split
    pub(in crate::cli) split: String,
    /// To 100 % at once, past all steps
    #[arg(long)]
    pub(in crate::cli) full: bool,
    #[command(flatten)]
    pub(in crate::cli) terms: Terms,
}
