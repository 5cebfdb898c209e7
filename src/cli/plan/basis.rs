//! What a file is compared with, and what is known of the traffic.

use std::{collections::BTreeMap, path::Path};

use super::{
    super::{Trouble, args::Ask, client::Client},
    Arguments, load,
    sides::Records,
    time::shape,
    users::Moves,
};
use crate::{
    admin::wire::{self, InForce},
    config::{self, Config},
    control::{Traffic, read_record},
    measure::Latencies,
    model::{SplitName, number::real},
};

/// Stable's error rate if only a rate is given.
const ERROR_RATE: f64 = 0.005;

/// What a file is compared with.
#[derive(Debug)]
pub(super) struct Basis {
    /// As people call it.
    pub(super) name: String,
    /// What is written.
    pub(super) config: Config,
    /// What was decided.
    pub(super) records: Records,
    /// Whether it is a file, and not what a proxy obeys.
    is_file: bool,
}

/// What the running proxy sees; empty if there is none.
#[derive(Debug, Default)]
pub(super) struct Seen {
    splits: Vec<wire::Split>,
    /// Endpoints that get requests, by upstream.
    pub(super) usable: BTreeMap<String, usize>,
    /// Where it was asked, and why it has not answered.
    trouble: Option<(String, String)>,
}

/// The file that was named, else what the running proxy obeys; `None` and why, if there is none.
pub(super) async fn basis(
    against: Option<&Path>,
    ask: &Ask,
) -> Result<(Option<Basis>, Vec<String>), Trouble> {
    if let Some(file) = against {
        let loaded = load(file)?;
        let (_, config) =
            loaded.map_err(|problems| super::super::offline::faulty(file, &problems))?;
        let basis = Basis {
            name: file.display().to_string(),
            config,
            records: Records::new(),
            is_file: true,
        };
        return Ok((Some(basis), Vec::new()));
    }
    let client = Client::new(&ask.admin)?;
    let asked: Result<InForce, Trouble> = client.get("/v1/config/in-force").await;
    let in_force = match asked {
        Ok(in_force) => in_force,
        Err(trouble) => {
            let note = format!("compared with nothing: {}", trouble.message);
            return Ok((None, vec![note]));
        }
    };
    let name = format!("what {} obeys", client.shown());
    let (config, _warnings) = config::load(&in_force.text, &name).map_err(|problems| {
        let help = "it may be of another version: compare two files with --against";
        Trouble::unasked(
            format!("{name} cannot be read: {}", problems.summary()),
            help,
        )
    })?;
    let records = in_force.records.iter().filter_map(|(name, record)| {
        let name = SplitName::new(name).ok()?;
        Some((name, read_record(&record.to_string())?))
    });
    let basis = Basis {
        records: records.collect(),
        name,
        config,
        is_file: false,
    };
    Ok((Some(basis), Vec::new()))
}

/// Asks for splits and upstreams; that nobody answers is no error yet.
pub(super) async fn seen(ask: &Ask) -> Seen {
    let client = match Client::new(&ask.admin) {
        Ok(client) => client,
        Err(trouble) => {
            return Seen {
                trouble: Some((String::new(), trouble.message)),
                ..Seen::default()
            };
        }
    };
    let splits: Result<wire::Splits, Trouble> = client.get("/v1/splits").await;
    let upstreams: Result<wire::Upstreams, Trouble> = client.get("/v1/upstreams").await;
    match (splits, upstreams) {
        (Ok(splits), Ok(upstreams)) => {
            let usable = upstreams.upstreams.into_iter();
            Seen {
                splits: splits.splits,
                usable: usable.map(|it| (it.name, it.usable_endpoints)).collect(),
                trouble: None,
            }
        }
        (Err(trouble), _) | (_, Err(trouble)) => Seen {
            trouble: Some((client.shown().to_owned(), trouble.message)),
            ..Seen::default()
        },
    }
}

impl Seen {
    /// Adds how many users have been on the canary.
    pub(super) fn expose(&self, moves: Moves) -> Moves {
        let mut splits = self.splits.iter();
        let split = splits.find(|split| split.name == moves.splits.0.as_str());
        let mut versions = split.into_iter().flat_map(|split| &split.versions);
        let canary = versions.find(|version| version.role == "canary");
        Moves {
            exposed: canary.and_then(|canary| canary.users),
            ..moves
        }
    }
}

/// The traffic of every split of the new file, as given or as the proxy sees it. What a split with
/// a canary has is needed, unless only files are compared.
pub(super) fn traffic(
    config: &Config,
    wanted: &Arguments,
    (seen, basis): (&Seen, Option<&Basis>),
    notes: &mut Vec<String>,
) -> Result<BTreeMap<SplitName, Traffic>, Trouble> {
    let only = wanted.split.as_deref();
    let names = || config.splits.iter().filter(|split| split.canary.is_some());
    if let Some(only) = only
        && !names().any(|split| split.name.as_str() == only)
    {
        let known: Vec<&str> = names().map(|split| split.name.as_str()).collect();
        return Err(Trouble::refused(
            format!("there is no split `{only}` with a canary"),
            format!("there are: {}", known.join(", ")),
        ));
    }
    let mut traffic = BTreeMap::new();
    for split in &config.splits {
        let is_needed =
            split.canary.is_some() && only.is_none_or(|only| split.name.as_str() == only);
        let found = seen.splits.iter().find(|it| it.name == split.name.as_str());
        let known = match (wanted.rate, found) {
            (Some(rate), _) => Ok(Traffic {
                rate,
                error_rate: wanted.error_rate.unwrap_or(ERROR_RATE),
                latency: Latencies::new(),
            }),
            (None, Some(found)) => of(found, wanted.error_rate),
            (None, None) => match &seen.trouble {
                Some((_, why)) => Err(why.clone()),
                None => Err(format!("{} is not there yet", split.name)),
            },
        };
        let is_fatal = !basis.is_some_and(|basis| basis.is_file)
            && (seen.trouble.is_some() || found.is_some());
        match known {
            Ok(known) => drop(traffic.insert(split.name.clone(), known)),
            Err(why) if is_needed && is_fatal => return Err(unknown(&why)),
            Err(why) if is_needed => notes.push(format!(
                "how long {} takes and what it costs is not known without its rate ({why}): give \
                 it with --rate",
                split.name
            )),
            Err(_) => {}
        }
    }
    Ok(traffic)
}

fn of(seen: &wire::Split, error_rate: Option<f64>) -> Result<Traffic, String> {
    let rate = seen.versions.iter().map(|version| version.rate).sum();
    if rate <= 0.0 {
        return Err(format!("{} has no traffic", seen.name));
    }
    let mut versions = seen.versions.iter();
    let stable = versions.find(|version| version.role == "stable");
    let failed = stable.map(|stable| real(stable.failures) / real(stable.requests.max(1)));
    Ok(Traffic {
        rate,
        error_rate: error_rate.or(failed).unwrap_or(ERROR_RATE),
        latency: stable
            .and_then(|stable| stable.latency_ms)
            .map_or_else(Latencies::new, shape),
    })
}

fn unknown(why: &str) -> Trouble {
    let help = "give it with --rate (requests a second of both versions), or name a running proxy \
                with --admin";
    Trouble::unasked(format!("the rate of requests is not known: {why}"), help)
}
