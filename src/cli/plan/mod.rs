//! `serin plan`: what a file would lead to, before it is saved.
//!
//! *Owns:* comparing two files by what the proxy makes of them: users, matches, endpoints, steps.
//! *Does not know:* how anything is decided; it asks the rollouts, the plan and the judge.
//! *Read next:* `sides.rs`, then `users.rs`.

mod basis;
mod keys;
mod limits;
mod load;
mod routes;
mod sides;
mod time;
mod told;
mod users;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;

use self::{
    basis::Basis,
    keys::User,
    limits::{Limit, Measured},
    load::{Burden, Harm},
    routes::Routes,
    sides::Side,
    time::Planned,
    users::Moves,
};
use super::{
    Trouble,
    args::{Ask, Output},
    screen::Screen,
    validate::read,
};
use crate::{
    clock,
    config::{self, Config, Difference, Problems},
    control::{Traffic, ahead, at_next_start},
    model::SplitName,
};

/// What a plan may not lead to was found.
const REFUSED: u8 = 1;

/// What is to be compared.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file that is to be saved; `-` is standard input
    file: PathBuf,
    /// Compare with this file [default: with what the running proxy obeys]
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Only this split
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Requests a second, of both versions [default: what the running proxy sees]
    #[arg(long, value_name = "RPS", value_parser = rate)]
    rate: Option<f64>,
    /// Stable's failures [default: what the running proxy sees; with --rate 0.5%]
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    error_rate: Option<f64>,
    /// Recorded users, one a line: the value of the sticky key, or `cookie:uid=4711`
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Print the keys that move, too
    #[arg(long, requires = "keys")]
    list: bool,
    /// Exit with 1 if so: moved>6%, flips>0, shadowed>0, harm>200, undecidable, restart
    #[arg(long, value_name = "LIMIT", value_parser = limits::parse)]
    fail_if: Vec<Limit>,
    #[command(flatten)]
    ask: Ask,
}

/// `serin diff`.
#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// The old file; or the new one, if it is the only one
    first: PathBuf,
    /// The new file [default: the first is compared with what the running proxy obeys]
    second: Option<PathBuf>,
    #[command(flatten)]
    ask: Ask,
}

/// A positive number.
fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let number = number.filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0, such as 40".to_owned())
}

/// `0.5%`.
fn ratio(text: &str) -> Result<f64, String> {
    let number = text
        .strip_suffix('%')
        .and_then(|number| number.parse::<f64>().ok());
    let number = number.filter(|number| (0.0..=100.0).contains(number));
    number
        .map(|number| number / 100.0)
        .ok_or_else(|| "expected 0% to 100%, such as 0.5%".to_owned())
}

/// What is to be said.
#[derive(Debug, Default)]
struct Report {
    /// What the file is compared with; `None`: with nothing.
    basis: Option<String>,
    changes: Vec<Difference>,
    /// The files differ, and mean the same.
    is_same: bool,
    at_next_start: Vec<&'static str>,
    /// What is written and not done, by split.
    refused: Vec<(SplitName, String)>,
    moves: Vec<Moves>,
    routes: Routes,
    burdens: Vec<Burden>,
    planned: Vec<Planned>,
    harms: Vec<Harm>,
    /// What could not be said, and why.
    notes: Vec<String>,
    /// Limits that are met.
    met: Vec<String>,
}

/// Reads both files, learns the traffic, and says what follows; the exit code.
pub(super) async fn plan(screen: &mut Screen, wanted: &Arguments) -> Result<u8, Trouble> {
    let (text, config) = match load(&wanted.file)? {
        Ok(loaded) => loaded,
        Err(problems) => return faulty(screen, &problems, wanted.ask.output),
    };
    let (basis, mut notes) = basis::basis(wanted.against.as_deref(), &wanted.ask).await?;
    let seen = basis::seen(&wanted.ask).await;
    let traffic = basis::traffic(&config, wanted, (&seen, basis.as_ref()), &mut notes)?;
    let users = match &wanted.keys {
        Some(file) => Some(recorded(file)?),
        None => None,
    };
    let mut report = Report {
        notes,
        ..Report::default()
    };
    let now = clock::now();
    let (before, after) = match &basis {
        None => {
            let records = sides::Records::new();
            (None, Side::before(config, &records, now))
        }
        Some(basis) => {
            let before = Side::before(basis.config.clone(), &basis.records, now);
            let after = before.after(config, &basis.records, now);
            (Some(before), after)
        }
    };
    if let (Some(before), Some(basis)) = (&before, &basis) {
        compared(&mut report, (basis, &text), (before, &after));
        let is_wanted =
            |name: &SplitName| wanted.split.as_deref().is_none_or(|it| it == name.as_str());
        let pairs = report.routes.pairs.iter().filter(|pair| is_wanted(&pair.1));
        let moves = pairs.filter_map(|pair| users::moves((before, &after), pair, users.as_deref()));
        report.moves = moves.map(|moves| seen.expose(moves)).collect();
        report.refused.clone_from(&after.refused);
    }
    ahead_of(&mut report, &after, &traffic, wanted.split.as_deref());
    report.burdens = load::burdens(before.as_ref(), &after, &traffic, &seen.usable);
    let measured = report.measured();
    let met = wanted
        .fail_if
        .iter()
        .filter_map(|limit| limit.met(&measured));
    report.met = met.collect();
    let is_slow = report.planned.iter().any(Planned::is_slow);
    let is_refused = !report.met.is_empty() || (wanted.fail_if.is_empty() && is_slow);
    let told = match wanted.ask.output {
        Output::Json => format!("{:#}\n", told::as_json(&report, wanted.list, is_refused)),
        Output::Text | Output::Wide => told::as_text(&report, wanted.list, screen.has_colour()),
    };
    screen.write(&told)?;
    Ok(if is_refused { REFUSED } else { 0 })
}

/// Reads both files, and says what differs; the exit code is 1 if something does.
pub(super) async fn diff(screen: &mut Screen, wanted: &DiffArguments) -> Result<u8, Trouble> {
    let (old, new) = match &wanted.second {
        Some(second) => (Some(wanted.first.as_path()), second),
        None => (None, &wanted.first),
    };
    let (text, config) = match load(new)? {
        Ok(loaded) => loaded,
        Err(problems) => return faulty(screen, &problems, wanted.ask.output),
    };
    let (basis, notes) = basis::basis(old, &wanted.ask).await?;
    let Some(basis) = basis else {
        let help = "name two files, or a running proxy with --admin";
        return Err(Trouble::unasked(notes.join("; "), help));
    };
    let now = clock::now();
    let before = Side::before(basis.config.clone(), &basis.records, now);
    let after = before.after(config, &basis.records, now);
    let mut report = Report::default();
    compared(&mut report, (&basis, &text), (&before, &after));
    let told = match wanted.ask.output {
        Output::Json => format!("{:#}\n", told::as_json(&report, false, false)),
        Output::Text | Output::Wide => told::as_text(&report, false, screen.has_colour()),
    };
    screen.write(&told)?;
    Ok(if report.is_same { 0 } else { REFUSED })
}

/// Says what differs, and what the matches of both take.
fn compared(report: &mut Report, (basis, text): (&Basis, &str), (before, after): (&Side, &Side)) {
    report.basis = Some(basis.name.clone());
    report.is_same = means_the_same(&before.config, &after.config);
    if !report.is_same {
        report.changes = config::differences(&basis.config.text.0, text);
    }
    report.at_next_start = at_next_start(&before.config, &after.config);
    report.routes = routes::compare(before, after);
}

/// Whether two files say the same, in whatever words.
fn means_the_same(old: &Config, new: &Config) -> bool {
    let bare = Config {
        hash: new.hash,
        text: new.text.clone(),
        ..old.clone()
    };
    bare == *new
}

/// How long steps take and what a bad canary costs, where the traffic is known.
fn ahead_of(
    report: &mut Report,
    after: &Side,
    traffic: &BTreeMap<SplitName, Traffic>,
    only: Option<&str>,
) {
    let splits = after.config.splits.iter();
    let on_trial = splits.filter(|split| split.canary.is_some());
    for split in on_trial.filter(|split| only.is_none_or(|name| split.name.as_str() == name)) {
        let Some(traffic) = traffic.get(&split.name) else {
            continue;
        };
        let steps = ahead(split, traffic);
        report
            .harms
            .extend(load::harm(after, &split.name, traffic, &steps));
        report.planned.push(Planned {
            name: split.name.to_string(),
            traffic: traffic.clone(),
            steps,
        });
    }
}

impl Report {
    fn measured(&self) -> Measured {
        let most = |of: fn(&Moves) -> f64| self.moves.iter().map(of).fold(0.0, f64::max);
        let count = |n: usize| crate::model::number::real(u64::try_from(n).unwrap_or(u64::MAX));
        let steps = self.planned.iter().flat_map(|planned| &planned.steps);
        let slow = steps.filter(|step| step.warning.is_some()).count();
        let harms = self.harms.iter().flat_map(|harm| &harm.failed);
        let harm = harms.map(|failed| failed.unwrap_or(f64::INFINITY));
        Measured {
            moved: most(Moves::moved),
            flips: most(Moves::flips),
            shadowed: count(self.routes.shadowed.len()),
            undecidable: count(slow),
            harm: harm.fold(0.0, f64::max),
            restart: count(self.at_next_start.len()),
        }
    }
}

/// A file's text and what it says, or what is wrong with it.
fn load(file: &Path) -> Result<Result<(String, Config), Problems>, Trouble> {
    let text = text_of(file)?;
    let name = file.display().to_string();
    Ok(config::load(&text, &name).map(|(config, _warnings)| (text, config)))
}

fn text_of(file: &Path) -> Result<String, Trouble> {
    read(file, file == Path::new("-")).map_err(|error| {
        Trouble::unasked(
            format!("cannot read {}: {error}", file.display()),
            "give the path of a file, or `-`",
        )
    })
}

fn recorded(file: &Path) -> Result<Vec<User>, Trouble> {
    keys::read(&text_of(file)?).map_err(|error| {
        let help = "one user a line: the value of its key, or cookie:uid=1 client_ip=192.0.2.7";
        Trouble::unasked(format!("{}: {error}", file.display()), help)
    })
}

fn faulty(screen: &mut Screen, problems: &Problems, output: Output) -> Result<u8, Trouble> {
    let told = match output {
        Output::Json => {
            let json = serde_json::json!({ "ok": false, "problems": problems.to_json() });
            format!("{json:#}\n")
        }
        Output::Text | Output::Wide => {
            format!("{problems}\n{}: {}\n", problems.name, problems.summary())
        }
    };
    screen.write(&told)?;
    Ok(REFUSED)
}
