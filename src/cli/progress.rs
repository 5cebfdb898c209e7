//! What takes longer than a second says how far it is: one line on standard error, only if that is
//! a terminal, and gone at the end.

use std::{
    io::{self, IsTerminal as _, Write},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use crate::{clock, model::Moment};

/// What is over by then shows nothing.
const QUIET: Duration = Duration::from_secs(1);
/// Between two looks of a person.
const LOOK: Duration = Duration::from_millis(200);

/// One line that is written over and over.
#[derive(Debug)]
pub(super) struct Progress<W: Write> {
    out: W,
    is_seen: bool,
    begun: Moment,
    told: Option<Moment>,
}

impl Progress<io::Stderr> {
    /// On standard error, beginning now.
    pub(super) fn begin() -> Self {
        let out = io::stderr();
        let is_seen = out.is_terminal();
        Self::new(out, is_seen, clock::now())
    }

    /// Says how far it is, if it is time to.
    pub(super) fn at(&mut self, text: impl FnOnce() -> String) {
        self.tell(clock::now(), text);
    }

    /// Waits for something, and says what for.
    pub(super) async fn waiting<T>(what: &str, wanted: impl Future<Output = T>) -> T {
        let mut progress = Self::begin();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut wanted = std::pin::pin!(wanted);
        loop {
            tokio::select! {
                done = &mut wanted => return done,
                _ = look.tick() => progress.at(|| what.to_owned()),
            }
        }
    }
}

impl<W: Write> Progress<W> {
    const fn new(out: W, is_seen: bool, begun: Moment) -> Self {
        Self {
            out,
            is_seen,
            begun,
            told: None,
        }
    }

    fn tell(&mut self, now: Moment, text: impl FnOnce() -> String) {
        let took = now.since(self.begun);
        let is_soon = self.told.is_some_and(|told| now.since(told) < LOOK);
        if !self.is_seen || took < QUIET || is_soon {
            return;
        }
        self.told = Some(now);
        let (text, seconds) = (text(), took.as_secs());
        // Nobody misses it.
        let _closed =
            write!(self.out, "\r{text} ... {seconds} s\x1b[K").and_then(|()| self.out.flush());
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        if self.told.is_some() {
            // Nobody misses it.
            let _closed = write!(self.out, "\r\x1b[K").and_then(|()| self.out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(is_seen: bool, at_ms: &[u64]) -> String {
        let mut out = Vec::new();
        let mut progress = Progress::new(&mut out, is_seen, Moment::from_millis(5_000));
        for at in at_ms {
            progress.tell(Moment::from_millis(5_000 + at), || "judging".to_owned());
        }
        drop(progress);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_short_or_unseen_shows_nothing_and_what_is_long_one_line_that_goes_again() {
        assert_eq!(told(true, &[0, 500, 999]), "");
        assert_eq!(told(false, &[0, 5_000]), "");
        let shown = "\rjudging ... 1 s\x1b[K\rjudging ... 2 s\x1b[K\r\x1b[K";
        assert_eq!(told(true, &[500, 1_000, 1_100, 2_000]), shown);
    }
}
