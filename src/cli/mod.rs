//! What a person types, and what they see.
//!
//! *Owns:* subcommands, their help, how they print, exit codes.
//! *Does not know:* what a config means, how a request is forwarded.
//! *Invariants:* every error says what is wrong and what to do next; 0 is done, 1 is refused or
//! found wrong, 2 could not be asked.
//! *Read next:* `args/`, then `crate::app`.

mod acts;
mod args;
mod audit;
mod bundle;
mod client;
mod convert;
mod demo;
mod endpoints;
mod events;
mod figures;
mod forecast;
mod logs;
mod offline;
mod plan;
mod process;
mod progress;
mod record;
pub mod replay;
mod rollouts;
mod run;
mod schema;
mod screen;
mod shell;
mod status;
mod table;
mod top;
mod upgrade;
pub mod validate;
mod why;

use std::{ffi::OsString, fmt, io, process::ExitCode};

use clap::Parser as _;

use self::{
    args::{Gate, Here, Line, There, Verb},
    screen::Screen,
};

/// Runs what was typed; the first argument is the program's name.
pub fn run(typed: impl Iterator<Item = OsString>) -> ExitCode {
    let line = match Line::try_parse_from(typed) {
        Ok(line) => line,
        Err(error) => {
            // Help that nobody reads is no error.
            let _closed = error.print();
            return ExitCode::from(u8::from(error.use_stderr()) * 2);
        }
    };
    match dispatch(line.verb) {
        Ok(code) => ExitCode::from(code),
        Err(trouble) if trouble.is_closed_pipe => ExitCode::SUCCESS,
        Err(trouble) => {
            tell(&trouble);
            ExitCode::from(trouble.code)
        }
    }
}

fn dispatch(verb: Verb) -> Result<u8, Trouble> {
    match verb {
        Verb::Here(verb) => here(verb),
        Verb::There(verb) => {
            runtime()?.block_on(ask(&mut Screen::open(), verb))?;
            Ok(0)
        }
    }
}

/// For a few questions to an admin API.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Verbs that this process does. `run` may write its access log to standard output, so no screen
/// is open while it runs.
fn here(verb: Here) -> Result<u8, Trouble> {
    match verb {
        Here::Run(it) => run::run(it),
        Here::Override(it) => offline::sign(&mut Screen::open(), &it).map(|()| 0),
        Here::Explain(it) => offline::explain(&mut Screen::open(), &it).map(|()| 0),
        Here::Validate(it) => Ok(validate::validate(
            &it.files,
            it.is_json(),
            &mut Screen::open(),
        )),
        Here::Plan(it) => runtime()?.block_on(plan::plan(&mut Screen::open(), &it)),
        Here::Diff(it) => runtime()?.block_on(plan::diff(&mut Screen::open(), &it)),
        Here::Convert(it) => convert::convert(&mut Screen::open(), &it).map(|()| 0),
        Here::Schema(it) => Ok(schema::schema(&it, &mut Screen::open())),
        Here::Completions(it) => shell::completions(&mut Screen::open(), &it).map(|()| 0),
        Here::Man(it) => shell::man(&mut Screen::open(), &it).map(|()| 0),
        Here::Demo(it) => Ok(demo::run(&it)?),
        Here::Replay(it) => {
            let mut screen = Screen::open();
            let has_colour = screen.has_colour();
            match &it.settings {
                Some(settings) => Ok(replay::replay(&it.recording, settings, &mut screen)?),
                None => record::replay(&it, has_colour, &mut screen).map(|()| 0),
            }
        }
    }
}

/// Verbs that ask a running proxy.
async fn ask(screen: &mut Screen, verb: There) -> Result<(), Trouble> {
    match verb {
        There::Status(wanted) => status::status(screen, wanted).await,
        There::Top(wanted) => top::top(wanted).await,
        There::Why(wanted) => why::why(screen, wanted).await,
        There::Rollouts(wanted) => rollouts::rollouts(screen, wanted).await,
        There::Events(wanted) => events::events(screen, wanted).await,
        There::Endpoints(wanted) => endpoints::endpoints(screen, wanted).await,
        There::Eject(it) => endpoints::act(screen, "eject", it.seconds, it.act).await,
        There::Uneject(it) => endpoints::act(screen, "uneject", None, it).await,
        There::Audit(it) => audit::audit(screen, it).await,
        There::Drain(it) => process::drain(screen, &it).await,
        There::Log(it) => process::log(screen, it).await,
        There::Debug(bundle::Debug::Bundle(it)) => bundle::bundle(screen, &it).await,
        There::Upgrade(it) => upgrade::upgrade(screen, &it).await,
        There::SetWeight(it) => acts::set_weight(screen, &it.split, it.weight, it.terms).await,
        There::Promote(it) => {
            acts::act(screen, &it.split, "promote", Some(it.full), it.terms).await
        }
        There::Pause(it) => acts::act(screen, &it.split, "pause", None, it.terms).await,
        There::Resume(it) => acts::act(screen, &it.split, "resume", None, it.terms).await,
        There::Abort(it) => acts::act(screen, &it.split, "abort", None, it.terms).await,
        There::Retry(it) => acts::act(screen, &it.split, "retry", None, it.terms).await,
        There::Undo(it) => acts::act(screen, &it.split, "undo", None, it.terms).await,
        There::Gate(Gate::Open(it)) => {
            acts::act(screen, &it.split, "open-gate", None, it.terms).await
        }
        There::Gate(Gate::Close(it)) => {
            acts::act(screen, &it.split, "close-gate", None, it.terms).await
        }
        There::Health(wanted) => acts::health(screen, &wanted).await,
    }
}

/// Why a verb was not done, and what to do next.
#[derive(Debug)]
struct Trouble {
    message: String,
    help: String,
    code: u8,
    is_closed_pipe: bool,
}

impl Trouble {
    /// The answer was no, or something was found wrong.
    fn refused(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
            code: 1,
            is_closed_pipe: false,
        }
    }

    /// The question could not be put.
    fn unasked(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code: 2,
            ..Self::refused(message, help)
        }
    }

    /// The same as an answer that was no.
    fn into_refusal(self) -> Self {
        Self { code: 1, ..self }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        let is_closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        let help = "is the disk full, or the terminal gone?";
        Self {
            is_closed_pipe,
            ..Self::unasked(format!("cannot write: {error}"), help)
        }
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        let closed = error.downcast_ref::<io::Error>();
        let is_closed_pipe = closed.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        Self {
            is_closed_pipe,
            ..Self::unasked(format!("{error:#}"), "")
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        if !self.help.is_empty() {
            writeln!(f, "  help: {}", self.help)?;
        }
        Ok(())
    }
}

fn tell(trouble: &Trouble) {
    use io::Write as _;
    // There is nowhere left to tell it.
    let _closed = write!(io::stderr(), "{trouble}");
}
