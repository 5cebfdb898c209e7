//! What can be typed. The doc comments here are the help texts.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Moves live traffic from an old version to a new one, and back by itself when the new one is bad.
#[derive(Debug, Parser)]
#[command(
    name = "serin",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(after_help = "Exit codes: 0 done, 1 refused or found wrong, 2 could not be asked.")]
pub(super) struct Line {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// The help of `--admin`.
const ADMIN: &str =
    "Where the admin API is: HOST:PORT or unix:PATH [env: SERIN_ADMIN] [default: 127.0.0.1:9900]";

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Done by this process.
    #[command(flatten)]
    Here(Here),
    /// Asked of a running proxy.
    #[command(flatten)]
    There(There),
}

/// Verbs that this process does.
#[derive(Debug, Subcommand)]
pub(super) enum Here {
    /// Serve traffic as a file says, until SIGTERM or Ctrl-C
    Run(Run),
    /// Check config files: all problems at once, with line, column and what to write instead
    Validate(Validate),
    /// Tell what a file would lead to: who moves, what it takes and costs, what cannot decide
    Plan(super::plan::Arguments),
    /// Tell what differs between two files, or between a file and what the running proxy obeys
    Diff(super::plan::DiffArguments),
    /// Make a config file of another proxy's
    Convert(super::convert::Arguments),
    /// Print the JSON Schema of the config file, for completion in editors
    Schema,
    /// Tell which version a request would get, and why
    Explain(Explain),
    /// Print a signed value that chooses a version, for testers
    Override(Override),
    /// Tell what the judge would have said of a recorded rollout
    Replay(Replay),
    /// Watch a canary break and be rolled back, with nothing to install
    Demo(super::demo::Arguments),
}

/// `validate`
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Config files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Verbs that a running proxy is asked.
#[derive(Debug, Subcommand)]
pub(super) enum There {
    /// Show splits, versions and verdicts
    Status(Status),
    /// Show the evidence: what the judge has seen, and what was decided
    Why(Why),
    /// List rollouts: what became of them, and why
    Rollouts(Rollouts),
    /// Show what has happened
    Events(Events),
    /// List endpoints: which get requests, which do not, and why
    Endpoints(Endpoints),
    /// Let an endpoint have no requests
    Eject(Eject),
    /// Let it have requests again
    Uneject(EndpointAct),
    /// Let the program that is at its path now take the place of the running one
    Upgrade(Ask),
    /// Give the canary a share, and hold it there
    SetWeight(SetWeight),
    /// Go to the next step of a rollout
    Promote(Promote),
    /// Hold the canary's share; analysis goes on
    Pause(Act),
    /// Go on with a paused rollout
    Resume(Act),
    /// Take the canary to 0 %
    Abort(Act),
    /// Start a new rollout of the same canary version
    Retry(Act),
    /// Take back a promotion: the canary to 0 %, while the old version is still there
    Undo(Act),
    /// Open or close the gate that a rollout waits at
    #[command(subcommand)]
    Gate(Gate),
    /// Ask whether the process lives, or is ready for traffic (for health checks)
    Health(Health),
}

/// Where the admin API is, and how to print.
#[derive(Debug, Args)]
pub(super) struct Ask {
    /// Where the admin API is.
    #[arg(long, value_name = "ADDR", help = ADMIN)]
    pub(super) admin: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Text, hide_possible_values = true)]
    #[arg(value_name = "text|json", hide_default_value = true)]
    pub(super) output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `serin status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Only this split
    pub(super) split: Option<String>,
    /// Keep showing, four times a second, until Ctrl-C
    #[arg(short, long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) ask: Ask,
}

/// `serin why`.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Only this split; or a rollout that is over, as `serin rollouts` names it (SPLIT-EPOCH)
    pub(super) split: Option<String>,
    /// A rollout, whatever splits are called
    #[arg(long, value_name = "ID", conflicts_with = "split")]
    pub(super) rollout: Option<String>,
    #[command(flatten)]
    pub(super) ask: Ask,
}

/// `serin rollouts`.
#[derive(Debug, Args)]
pub(super) struct Rollouts {
    /// Only those of this split
    pub(super) split: Option<String>,
    #[command(flatten)]
    pub(super) ask: Ask,
}

/// `serin events`.
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Keep showing what happens, until Ctrl-C
    #[arg(short, long)]
    pub(super) follow: bool,
    #[command(flatten)]
    pub(super) ask: Ask,
}

/// `serin endpoints`.
#[derive(Debug, Args)]
pub(super) struct Endpoints {
    /// Only those of this upstream
    pub(super) upstream: Option<String>,
    #[command(flatten)]
    pub(super) ask: Ask,
}

/// `serin eject`.
#[derive(Debug, Args)]
pub(super) struct Eject {
    /// For how long, such as 30s, 10m, 2h [default: until `serin uneject`]
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    pub(super) seconds: Option<u64>,
    #[command(flatten)]
    pub(super) act: EndpointAct,
}

/// An act on an endpoint.
#[derive(Debug, Args)]
pub(super) struct EndpointAct {
    /// Its address and port, as `serin endpoints` shows it
    #[arg(value_name = "ADDRESS")]
    pub(super) endpoint: String,
    /// Of this upstream only
    #[arg(long, value_name = "NAME")]
    pub(super) upstream: Option<String>,
    /// Why, for those who read the log
    #[arg(short, long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) ask: Ask,
}

/// `30s`, `10m`, `2h`.
fn seconds(text: &str) -> Result<u64, String> {
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
pub(super) struct Act {
    /// On which split
    pub(super) split: String,
    #[command(flatten)]
    pub(super) terms: Terms,
}

/// `serin gate`.
#[derive(Debug, Subcommand)]
pub(super) enum Gate {
    /// Go on past the gate
    Open(Act),
    /// Hold the rollout at the gate; analysis goes on
    Close(Act),
}

/// Under what terms one acts.
#[derive(Debug, Args)]
pub(super) struct Terms {
    /// Why, for the audit log
    #[arg(short, long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Only if the rollout has this epoch (`serin status` shows it)
    #[arg(long, value_name = "EPOCH")]
    pub(super) if_epoch: Option<u64>,
    #[command(flatten)]
    pub(super) ask: Ask,
}

/// `serin set-weight`.
#[derive(Debug, Args)]
pub(super) struct SetWeight {
    /// On which split
    pub(super) split: String,
    /// The canary's share: 0% to 100% in steps of 0.01%
    pub(super) weight: String,
    #[command(flatten)]
    pub(super) terms: Terms,
}

/// `serin promote`.
#[derive(Debug, Args)]
pub(super) struct Promote {
    /// On which split
    pub(super) split: String,
    /// To 100 % at once, past all steps
    #[arg(long)]
    pub(super) full: bool,
    #[command(flatten)]
    pub(super) terms: Terms,
}

/// `serin health`.
#[derive(Debug, Args)]
pub(super) struct Health {
    /// Ask whether traffic may be sent here
    #[arg(long)]
    pub(super) ready: bool,
    /// Where the admin API is.
    #[arg(long, value_name = "ADDR", help = ADMIN)]
    pub(super) admin: Option<String>,
}

/// `serin override`.
#[derive(Debug, Args)]
pub(super) struct Override {
    /// In which split
    pub(super) split: String,
    /// Which version
    pub(super) version: String,
    /// The file whose `override: { signed_by: ... }` names the secret
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
}

/// `serin run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The file; it is watched, and a save is in force at once
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Where rollouts are kept over a restart, instead of the file's `state_dir`
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// How to log on standard error; `SERIN_LOG` chooses the level, such as `debug`
    #[arg(long, value_enum, value_name = "text|json", default_value_t = LogFormat::Text)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub(super) log_format: LogFormat,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `serin replay`.
#[derive(Debug, Args)]
#[command(
    override_usage = "serin replay <REC> [--config <FILE>] [--split <NAME>]\n       \
                            serin replay <TRACE.jsonl> <SETTINGS.json>"
)]
pub(super) struct Replay {
    /// A record out of `records` in the state directory; or a trace: one JSON object a tick
    #[arg(value_name = "REC")]
    pub(super) recording: PathBuf,
    /// For a trace: the judge's settings, one JSON object
    #[arg(value_name = "SETTINGS.json")]
    pub(super) settings: Option<PathBuf>,
    /// Judge the record by the criteria of this file instead of those that it was judged by
    #[arg(short, long, value_name = "FILE", conflicts_with = "settings")]
    pub(super) config: Option<PathBuf>,
    /// By this split of the file, instead of the one with the record's name
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(super) split: Option<String>,
    /// How to print what comes of a record; of a trace it is always JSON
    #[arg(short, long, value_enum, default_value_t = Output::Text, hide_possible_values = true)]
    #[arg(value_name = "text|json", hide_default_value = true)]
    pub(super) output: Output,
}

/// `serin explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The request's path, or a URL
    pub(super) target: String,
    /// The file that says how traffic is split
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// The request's method
    #[arg(short = 'X', long, default_value = "GET")]
    pub(super) method: String,
    /// A field of the request's head, such as `Cookie: a=b`; may be given again
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(super) headers: Vec<String>,
    /// The client's address
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(super) client: IpAddr,
}
