//! `serin convert`: the file of another proxy as a file of Serin.

mod marathon_lb;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

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
        value_name = "marathon-lb",
        hide_possible_values = true
    )]
    from: From,
    /// What `GET /v2/apps` of Marathon answers, or one app; `-` is standard input
    file: PathBuf,
    /// Where Marathon is
    #[arg(long, value_name = "URL", default_value = "http://master.mesos:8080")]
    marathon: String,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:80")]
    listen: SocketAddr,
    /// Only apps of this `HAPROXY_GROUP` [default: all that have one]
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
}

/// What can be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
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
        let help = "save what `GET /v2/apps` of Marathon answers, and name that file";
        Trouble::refused(error, help)
    })?;
    // What is printed can be used.
    if let Err(problems) = config::load(&made, "the converted file") {
        let help = "tell us of it, with the labels that it came from";
        return Err(Trouble::refused(format!("{problems}"), help));
    }
    Ok(screen.write(&made)?)
}
