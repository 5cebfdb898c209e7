//! What can be typed. The doc comments here are the help texts.

mod acts;
mod asks;
mod here;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use self::{
    acts::{Act, Eject, EndpointAct, Gate, Promote, SetWeight, Terms},
    asks::{Endpoints, Events, Health, Rollouts, Status, Why},
    here::{Explain, LogFormat, Override, Replay, Run, Validate},
};

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
    /// Print every key of the config file: JSON Schema for editors, or the manual
    Schema(super::schema::Arguments),
    /// Tell which version a request would get, and why
    Explain(Explain),
    /// Print a signed value that chooses a version, for testers
    Override(Override),
    /// Tell what the judge would have said of a recorded rollout
    Replay(Replay),
    /// Watch a canary break and be rolled back, with nothing to install
    Demo(super::demo::Arguments),
    /// Print what completes serin's words in a shell
    Completions(super::shell::Completions),
    /// Print the man page, or write one of each verb
    Man(super::shell::Man),
}

/// Verbs that a running proxy is asked.
#[derive(Debug, Subcommand)]
pub(super) enum There {
    /// Show splits, versions and verdicts
    Status(Status),
    /// Watch and act on a whole terminal: verdict, versions, differences, endpoints, news
    Top(super::top::Arguments),
    /// Show the evidence: what the judge has seen, and what was decided
    Why(Why),
    /// List rollouts: what became of them, and why
    Rollouts(Rollouts),
    /// Show what has happened
    Events(Events),
    /// List endpoints: which get requests, which do not, and why
    Endpoints(Endpoints),
    /// Show who has moved traffic, or has tried to, and what came of it
    Audit(super::audit::Arguments),
    /// Let an endpoint have no requests
    Eject(Eject),
    /// Let it have requests again
    Uneject(EndpointAct),
    /// Let the program that is at its path now take the place of the running one
    Upgrade(Ask),
    /// Let the process go down, as on SIGTERM: requests under way come to their end
    Drain(Ask),
    /// Choose which lines the process logs from now on
    Log(super::process::Log),
    /// Collect what helps to find out what is the matter
    #[command(subcommand)]
    Debug(super::bundle::Debug),
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

/// The help of `--admin`.
const ADMIN: &str = "Where the admin API is: HOST:PORT, https://HOST:PORT or unix:PATH [env: SERIN_ADMIN] [default: \
     unix:/run/serin/admin.sock if it is there, else 127.0.0.1:9900]";

/// The help of `--token-file`.
const TOKEN: &str = "A file with the token to show [env: SERIN_ADMIN_TOKEN_FILE]";

/// The help of `--ca`.
const CA: &str = "Authorities (PEM) that sign the certificate of https://HOST:PORT [env: \
                  SERIN_ADMIN_CA] [default: the system's]";

/// Where the admin API is, and who asks.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Admin {
    /// Where the admin API is.
    #[arg(long, value_name = "ADDR", help = ADMIN)]
    pub(super) admin: Option<String>,
    /// A file with a token.
    #[arg(long, value_name = "FILE", help = TOKEN)]
    pub(super) token_file: Option<PathBuf>,
    /// Who signs its certificate.
    #[arg(long, value_name = "FILE", help = CA)]
    pub(super) ca: Option<PathBuf>,
}

/// Where the admin API is, and how to print.
#[derive(Debug, Args)]
pub(super) struct Ask {
    #[command(flatten)]
    pub(super) admin: Admin,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Text, hide_possible_values = true)]
    #[arg(value_name = "text|wide|json", hide_default_value = true)]
    pub(super) output: Output,
}

/// How to print, of verbs that ask nobody.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Print {
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
    /// For people who want all columns; the same as text where there are no more.
    Wide,
    /// For programs.
    Json,
}

impl Output {
    /// Whether a program reads it.
    pub(super) const fn is_json(self) -> bool {
        matches!(self, Self::Json)
    }

    /// Whether all columns are wanted.
    pub(super) const fn is_wide(self) -> bool {
        matches!(self, Self::Wide)
    }
}
