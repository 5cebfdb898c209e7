//! `serin convert`: the file of another proxy as a file of Serin.

mod marathon_lb;

use std::path::Path;

use self::marathon_lb::Settings;
use super::{
    Trouble,
    args::{Convert, From},
    screen::Screen,
    validate,
};
use crate::config;

/// Prints the file.
pub(super) fn convert(screen: &mut Screen, wanted: &Convert) -> Result<(), Trouble> {
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
