//! The demo on the screen: news as lines, and below them a block that is drawn anew; or JSON lines.
//!
//! The numbers of the block are what users got over the last two seconds, not what Serin says of
//! itself; the share and the verdict are Serin's.

use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    time::Duration,
};

use serde_json::json;

use super::{load::Answer, version};
use crate::{
    clock,
    control::{News, SplitStatus, Status},
    model::{
        Moment, Role, Share,
        number::{length, long, millis, real_len, whole},
    },
};

/// How far back the numbers go.
const WINDOW: Duration = Duration::from_secs(2);
/// Without a terminal, one line is printed in this many frames.
const PLAIN_FRAMES: u32 = 4;
/// Width of the bar that shows the share.
const BAR: f64 = 40.0;

/// Where frames and news go.
#[derive(Debug)]
enum Screen {
    /// A block that is drawn over the last one, so many lines high.
    Terminal(usize),
    /// A line now and then; how many frames were left out.
    Plain(u32),
    /// JSON, one object a line.
    Json,
}

/// What is shown.
#[derive(Debug)]
pub(super) struct View {
    screen: Screen,
    began: Moment,
    recent: VecDeque<Answer>,
    errors: u64,
}

/// One version in the block.
#[derive(Debug, PartialEq)]
struct Arm {
    role: Role,
    rate: f64,
    p50: Duration,
    p99: Duration,
    errors: usize,
}

impl View {
    /// An empty view.
    pub(super) fn new(is_json: bool, began: Moment) -> Self {
        let screen = match (is_json, io::stdout().is_terminal()) {
            (true, _) => Screen::Json,
            (false, true) => Screen::Terminal(0),
            (false, false) => Screen::Plain(PLAIN_FRAMES),
        };
        Self {
            screen,
            began,
            recent: VecDeque::new(),
            errors: 0,
        }
    }

    /// Takes an answer into the numbers.
    pub(super) fn answered(&mut self, answer: &Answer) {
        self.errors += u64::from(answer.is_error());
        self.recent.push_back(*answer);
        let is_old = |it: &Answer| answer.at.since(it.at) > WINDOW;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
    }

    /// Shows a line of news.
    pub(super) fn tell(&mut self, news: &News) -> io::Result<()> {
        if matches!(self.screen, Screen::Json) {
            return print(&json!({
                "event": news.what,
                "at_ms": millis(news.at.since(self.began)),
                "share": news.share.map(Share::ratio),
                "by": news.by,
                "text": news.text,
            }));
        }
        let share = news
            .share
            .map(|share| format!(" {share}"))
            .unwrap_or_default();
        self.line(
            news.at,
            &format!("{}{share}: {}", words(news.what), news.text),
        )
    }

    /// Says what is going to be seen.
    pub(super) fn open(
        &mut self,
        (proxy, admin): (SocketAddr, Option<SocketAddr>),
        plan: &str,
    ) -> io::Result<()> {
        let page = admin.map(|admin| format!("http://{admin}/"));
        if matches!(self.screen, Screen::Json) {
            return print(&json!({ "event": "open", "proxy": proxy.to_string(), "page": page }));
        }
        let page = page
            .map(|page| format!("\nWatch it at {page}"))
            .unwrap_or_default();
        writeln!(
            io::stdout().lock(),
            "Serin at {proxy}, in front of two versions of a shop. The canary gets 5%, 10%, 25%,\n\
             50% and then all of the traffic, as long as it is no worse than stable. {plan}{page}\n"
        )
    }

    /// Shows a line of the demo's own.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        let now = clock::now();
        if matches!(self.screen, Screen::Json) {
            let at_ms = millis(now.since(self.began));
            return print(&json!({ "event": "fault", "at_ms": at_ms, "text": text }));
        }
        self.line(now, text)
    }

    fn line(&mut self, at: Moment, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        self.erase(&mut out)?;
        let seconds = at.since(self.began).as_secs_f64();
        writeln!(out, "{seconds:6.2} s  {text}")?;
        out.flush()
    }

    /// Takes the last block away.
    fn erase(&mut self, out: &mut impl Write) -> io::Result<()> {
        if let Screen::Terminal(lines @ 1..) = self.screen {
            write!(out, "\x1b[{lines}A\x1b[J")?;
            self.screen = Screen::Terminal(0);
        }
        Ok(())
    }

    /// Draws a frame.
    pub(super) fn draw(&mut self, status: &Status) -> io::Result<()> {
        let Some(split) = status.splits.first() else {
            return Ok(());
        };
        let now = clock::now();
        let arms = [Role::Stable, Role::Canary].map(|role| self.arm(role));
        let seconds = now.since(self.began).as_secs_f64();
        match &mut self.screen {
            Screen::Json => print(&frame(now.since(self.began), split, &arms)),
            Screen::Plain(left_out) if *left_out + 1 < PLAIN_FRAMES => {
                *left_out += 1;
                Ok(())
            }
            Screen::Plain(left_out) => {
                *left_out = 0;
                let line = plain(split, &arms, self.errors);
                writeln!(io::stdout().lock(), "{seconds:6.2} s  {line}")
            }
            Screen::Terminal(_) => {
                let lines = block(split, &arms, self.errors);
                let mut out = io::stdout().lock();
                self.erase(&mut out)?;
                for line in &lines {
                    writeln!(out, "{line}")?;
                }
                self.screen = Screen::Terminal(lines.len());
                out.flush()
            }
        }
    }

    fn arm(&self, role: Role) -> Arm {
        let mine = || {
            self.recent
                .iter()
                .filter(|answer| answer.role == Some(role))
        };
        let mut times: Vec<Duration> = mine().map(|answer| answer.took).collect();
        times.sort_unstable();
        let quantile = |q: f64| {
            let rank = length(whole(q * real_len(times.len())));
            times
                .get(rank)
                .or(times.last())
                .copied()
                .unwrap_or_default()
        };
        let errors = mine().filter(|answer| answer.is_error()).count();
        let rate = real_len(times.len()) / WINDOW.as_secs_f64();
        Arm {
            role,
            rate,
            p50: quantile(0.50),
            p99: quantile(0.99),
            errors,
        }
    }
}

/// Prints a JSON line.
fn print(value: &serde_json::Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}

fn frame(at: Duration, split: &SplitStatus, arms: &[Arm; 2]) -> serde_json::Value {
    let [stable, canary] = arms;
    json!({
        "event": "frame",
        "at_ms": millis(at),
        "phase": split.phase,
        "step": split.step.map(|(step, _)| long(step)),
        "share": split.share.ratio(),
        "observed": split.observed,
        "stable": arm_json(stable),
        "canary": arm_json(canary),
    })
}

fn arm_json(arm: &Arm) -> serde_json::Value {
    json!({
        "requests_per_second": arm.rate,
        "p50_ms": millis(arm.p50),
        "p99_ms": millis(arm.p99),
        "errors": long(arm.errors),
    })
}

fn plain(split: &SplitStatus, [stable, canary]: &[Arm; 2], errors: u64) -> String {
    let short = |arm: &Arm| {
        let (name, rate, p99) = (version(arm.role), arm.rate, millis(arm.p99));
        format!("{name} {rate:.0}/s p99 {p99} ms")
    };
    format!(
        "canary at {:<5} {:<12} {} | {} | errors users saw: {errors}",
        split.share.to_string(),
        words(split.phase),
        short(stable),
        short(canary)
    )
}

fn block(split: &SplitStatus, arms: &[Arm; 2], errors: u64) -> Vec<String> {
    let filled = length(whole((split.share.ratio() * BAR).round()));
    let empty = length(whole(BAR)) - filled;
    let seen = split
        .observed
        .map_or(String::new(), |seen| format!(", seen {:.1}%", seen * 100.0));
    let step = split
        .step
        .map_or(String::new(), |(step, all)| format!(", step {step}/{all}"));
    let judge = split
        .judgement
        .as_ref()
        .map_or("nothing yet", |judgement| &judgement.why);
    let mut lines = vec![
        String::new(),
        format!(
            "  canary   {}{} {}{seen}",
            "█".repeat(filled),
            "░".repeat(empty),
            split.share
        ),
        format!("  rollout  {}{step}", words(split.phase)),
    ];
    lines.extend(arms.iter().map(|arm| {
        let (name, rate, errors) = (version(arm.role), arm.rate, arm.errors);
        let (p50, p99) = (millis(arm.p50), millis(arm.p99));
        format!(
            "  {name:<7}  {rate:>5.0} req/s   p50 {p50:>4} ms   p99 {p99:>4} ms   errors {errors}"
        )
    }));
    lines.push(format!("  judge    {}", shortened(judge, 90)));
    lines.push(format!("  users    saw {errors} errors so far"));
    lines
}

/// A word of machines as people write it.
fn words(label: &str) -> String {
    label.replace('_', " ")
}

/// As much of a text as fits on a line, so that the block keeps its height.
fn shortened(text: &str, columns: usize) -> String {
    match text.char_indices().nth(columns) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_last_two_seconds() {
        let mut view = View::new(true, Moment::ZERO);
        let status = http::StatusCode::from_u16(500).ok();
        for at in [0, 100, 3_000, 3_100, 3_200, 3_300] {
            view.answered(&Answer {
                user: 1,
                role: Some(Role::Canary),
                status,
                took: Duration::from_millis(at),
                at: Moment::from_millis(at),
            });
        }
        let arm = view.arm(Role::Canary);
        assert_eq!((arm.errors, view.errors), (4, 6));
        assert_eq!(
            (arm.p50, arm.p99),
            (Duration::from_millis(3_200), Duration::from_millis(3_300))
        );
        assert!((arm.rate - 2.0).abs() < 1e-9, "{}", arm.rate);
    }

    #[test]
    fn a_long_text_keeps_to_its_line() {
        assert_eq!(shortened("abcdef", 3), "abc...");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
