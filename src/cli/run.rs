//! `serin run`: serves until it is told to stop.

use std::io::{self, Write as _};

use super::{Trouble, args::Run, logs};
use crate::app::{self, Options, StartError};

/// The file is wrong.
const FAULTY: u8 = 1;

/// Blocks until the process is told to stop and has drained; the result is the exit code.
pub(super) fn run(run: Run) -> Result<u8, Trouble> {
    let logs = logs::start(run.log_format);
    let options = Options {
        config: run.config,
        state_dir: run.state_dir,
    };
    match app::run(&options, |filter| logs.let_through(filter)) {
        Ok(()) => Ok(0),
        // What is wrong with the file is shown as `validate` shows it.
        Err(StartError::Config(problems)) => {
            let (name, summary) = (&problems.name, problems.summary());
            writeln!(
                io::stderr(),
                "{problems}\n{name}: {summary}; nothing was started"
            )?;
            Ok(FAULTY)
        }
        Err(StartError::Other(error)) => Err(Trouble::refused(format!("{error:#}"), "")),
    }
}
