//! `--fail-if`: what a plan may not lead to.

/// One condition under which the plan is refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Limit {
    /// As typed.
    text: String,
    what: What,
    /// It is met above this.
    above: f64,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Moved,
    Flips,
    Shadowed,
    Undecidable,
    Harm,
    Restart,
}

/// What a plan leads to, as far as limits go.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Measured {
    /// The largest share of a split's users that move.
    pub(super) moved: f64,
    /// Users that go back, or their share.
    pub(super) flips: f64,
    /// Matches that get nothing.
    pub(super) shadowed: f64,
    /// Steps that cannot decide in their time.
    pub(super) undecidable: f64,
    /// Requests that fail at worst; without end if nobody finds it.
    pub(super) harm: f64,
    /// Keys that wait for the next start.
    pub(super) restart: f64,
}

/// As it is typed: `moved>6%`, `flips>0`, `shadowed>0`, `undecidable`, `harm>200`, `restart`.
pub(super) fn parse(text: &str) -> Result<Limit, String> {
    let wrong =
        || "expected moved>6%, flips>0, shadowed>0, harm>200, undecidable or restart".to_owned();
    let (name, limit) = match text.split_once('>') {
        Some((name, limit)) => (name.trim(), Some(limit.trim())),
        None => (text.trim(), None),
    };
    let what = match name {
        "moved" => What::Moved,
        "flips" => What::Flips,
        "shadowed" => What::Shadowed,
        "undecidable" => What::Undecidable,
        "harm" => What::Harm,
        "restart" => What::Restart,
        _ => return Err(wrong()),
    };
    let above = match limit {
        None => 0.0,
        Some(limit) => {
            let (number, unit) = match limit.strip_suffix('%') {
                Some(number) => (number, 100.0),
                None => (limit, 1.0),
            };
            let number: f64 = number.parse().map_err(|_| wrong())?;
            // A bare 6 would mean 600 %.
            let is_bare = what == What::Moved && unit < 2.0 && number != 0.0;
            let is_sound = number.is_finite() && number >= 0.0 && !is_bare;
            if !is_sound {
                return Err(wrong());
            }
            number / unit
        }
    };
    Ok(Limit {
        text: text.to_owned(),
        what,
        above,
    })
}

impl Limit {
    /// What is met, in words; `None`: all is well.
    pub(super) fn met(&self, measured: &Measured) -> Option<String> {
        let found = match self.what {
            What::Moved => measured.moved,
            What::Flips => measured.flips,
            What::Shadowed => measured.shadowed,
            What::Undecidable => measured.undecidable,
            What::Harm => measured.harm,
            What::Restart => measured.restart,
        };
        let shown = match self.what {
            What::Moved => format!("{:.2}%", 100.0 * found),
            What::Flips if found > 0.0 && found < 1.0 => format!("{:.2}%", 100.0 * found),
            What::Harm if found.is_infinite() => "without end".to_owned(),
            What::Flips | What::Shadowed | What::Undecidable | What::Harm | What::Restart => {
                format!("{found:.0}")
            }
        };
        (found > self.above).then(|| format!("{}: it is {shown}", self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_met_above_their_number() {
        let measured = Measured {
            moved: 0.06,
            harm: 200.0,
            shadowed: 1.0,
            ..Measured::default()
        };
        let cases = [
            ("moved>6%", None),
            ("moved>5.9%", Some("moved>5.9%: it is 6.00%")),
            ("harm>200", None),
            ("harm>199", Some("harm>199: it is 200")),
            ("shadowed", Some("shadowed: it is 1")),
            ("flips>0", None),
            ("undecidable", None),
        ];
        for (text, expected) in cases {
            assert_eq!(
                parse(text).unwrap().met(&measured).as_deref(),
                expected,
                "{text}"
            );
        }
        let endless = Measured {
            harm: f64::INFINITY,
            ..measured
        };
        let met = parse("harm>1").unwrap().met(&endless);
        assert_eq!(met.as_deref(), Some("harm>1: it is without end"));
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in [
            "",
            "moved>6",
            "moved>-1%",
            "moved>x%",
            "users>1",
            "harm>inf",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
