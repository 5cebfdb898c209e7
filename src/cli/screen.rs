//! The one place that writes to the terminal.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, StdoutLock, Write},
};

/// Standard output, locked, and whether it takes colours.
#[derive(Debug)]
pub(super) struct Screen {
    out: StdoutLock<'static>,
    is_terminal: bool,
    has_colour: bool,
}

/// What a word means, and so its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// It waits for a person.
    Wait,
    /// A person should look at it.
    Bad,
    /// A heading.
    Head,
    /// Anything else.
    Plain,
}

impl Screen {
    /// Standard output.
    pub(super) fn open() -> Self {
        let out = io::stdout().lock();
        let is_terminal = out.is_terminal();
        let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            out,
            is_terminal,
            has_colour: is_terminal && is_wanted,
        }
    }

    /// Whether colours are shown.
    pub(super) const fn has_colour(&self) -> bool {
        self.has_colour
    }

    /// Writes a text as it is.
    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes over what was shown last, on a terminal; else after it.
    pub(super) fn redraw(&mut self, text: &str) -> io::Result<()> {
        if !self.is_terminal {
            return self.write(text);
        }
        // Home, each line cleared to its end, then all that is left below: nothing flickers.
        let lines = text.replace('\n', "\x1b[K\n");
        self.write(&format!("\x1b[H{lines}\x1b[J"))
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Tone {
    /// Of a phase, a verdict or an event.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "pass" | "promoted" => Self::Good,
            "paused" | "gate_closed" => Self::Wait,
            "fail" | "rolled_back" | "aborted" | "undone" => Self::Bad,
            _ => Self::Plain,
        }
    }

    /// The text in its colour.
    pub(super) fn paint(self, text: &str, has_colour: bool) -> Cow<'_, str> {
        let code = match self {
            Self::Good => "32",
            Self::Wait => "33",
            Self::Bad => "1;31",
            Self::Head => "1",
            Self::Plain => return Cow::Borrowed(text),
        };
        if has_colour && !text.is_empty() {
            Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m"))
        } else {
            text.into()
        }
    }
}
