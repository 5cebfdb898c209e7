//! `serin convert`: the file of another proxy as a file of Serin.

mod draft;
mod envoy;
mod haproxy;
mod kubernetes;
mod marathon_lb;
mod nginx;
mod traefik;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde_json::Value;

use self::marathon_lb::Settings;
use super::{Trouble, screen::Screen, validate};
use crate::config;

/// What is to be converted, and what the labels do not say.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Whose labels or file it is
    #[arg(
        long,
        value_enum,
        value_name = "haproxy|nginx|envoy|traefik|flagger|argo|marathon-lb",
        hide_possible_values = true
    )]
    from: From,
    /// The file; of marathon-lb what `GET /v2/apps` answers, or one app; `-` is standard input
    file: PathBuf,
    /// Where Marathon is (marathon-lb only)
    #[arg(long, value_name = "URL", default_value = "http://master.mesos:8080")]
    marathon: String,
    /// Where to listen (marathon-lb only: other files say it)
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:80")]
    listen: SocketAddr,
    /// Only apps of this `HAPROXY_GROUP` [default: all that have one]
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
}

/// What can be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    /// `haproxy.cfg`.
    Haproxy,
    /// `nginx.conf`.
    Nginx,
    /// A static bootstrap.
    Envoy,
    /// Static and dynamic files.
    Traefik,
    /// `Canary` objects.
    Flagger,
    /// `Rollout` objects.
    Argo,
    /// `HAPROXY_*` labels of Marathon apps.
    MarathonLb,
}

/// Prints the file.
pub(super) fn convert(screen: &mut Screen, wanted: &Arguments) -> Result<(), Trouble> {
    let is_stdin = wanted.file == Path::new("-");
    let text = validate::read(&wanted.file, is_stdin).map_err(|error| {
        let message = format!("cannot read {}: {error}", wanted.file.display());
        Trouble::unasked(message, "name a file, or `-` for standard input")
    })?;
    let made = match wanted.from {
        From::Haproxy => haproxy::convert(&text),
        From::Nginx => nginx::convert(&text),
        From::Envoy => envoy::convert(&text),
        From::Traefik => traefik::convert(&text),
        From::Flagger => kubernetes::flagger(&text),
        From::Argo => kubernetes::argo(&text),
        From::MarathonLb => {
            let settings = Settings {
                marathon: &wanted.marathon,
                listen: wanted.listen,
                group: wanted.group.as_deref(),
            };
            marathon_lb::convert(&text, &settings)
        }
    };
    let made = made.map_err(|error| {
        let help = match wanted.from {
            From::MarathonLb => "save what `GET /v2/apps` of Marathon answers, and name that file",
            From::Haproxy
            | From::Nginx
            | From::Envoy
            | From::Traefik
            | From::Flagger
            | From::Argo => "is `--from` the right one for this file?",
        };
        Trouble::refused(error, help)
    })?;
    // What is printed can be used.
    if let Err(problems) = config::load(&made, "the converted file") {
        let help = "tell us of it, with the file that it came from";
        return Err(Trouble::refused(format!("{problems}"), help));
    }
    Ok(screen.write(&made)?)
}

/// A text that YAML takes for a text.
fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let is_word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
        .contains(&text.to_ascii_lowercase().as_str());
    if is_plain && !is_word {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests;
