//! Numbers with units, as people write them: `500ms`, `64KiB`, `5%`, `+0.5pp`, `1.05x`.
//!
//! A unit is never optional. `5` as a weight could mean 5 %, 5 of 100 parts or 5 to 1, and a guess
//! would be wrong for somebody; so it is refused with the ways to write it.

use std::{net::IpAddr, time::Duration};

use super::{Cidr, RateMargin};
use crate::model::Share;

/// Says why a text is not the value that is wanted, and how to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    /// A word for machines.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl Misfit {
    /// A misfit of any kind.
    pub(super) fn new(code: &'static str, message: String, help: &str) -> Self {
        Self {
            code,
            message,
            help: help.into(),
        }
    }

    /// The text is not of the wanted form.
    pub(super) fn value(text: &str, expects: &str) -> Self {
        Self::new("bad_value", format!("`{text}` is not {expects}"), "")
    }
}

const UNITS_OF_TIME: [(&str, f64); 6] = [
    ("us", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3_600.0),
    ("d", 86_400.0),
];

const UNITS_OF_SIZE: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// A decimal number without sign or exponent, and what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.starts_with('.') || digits.ends_with('.') || digits.len() > 15 {
        return None;
    }
    Some((digits.parse().ok()?, unit))
}

fn missing_unit(text: &str, help: String) -> Misfit {
    Misfit {
        code: "missing_unit",
        message: format!("`{text}` has no unit"),
        help,
    }
}

/// `500ms`, `1.5s`, `1h30m`; at most a year.
pub(super) fn duration(text: &str) -> Result<Duration, Misfit> {
    let misfit = || Misfit::value(text, "a duration such as `500ms`, `30s`, `10m` or `1h30m`");
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let (n, tail) = number(rest).ok_or_else(misfit)?;
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        if unit.is_empty() {
            return Err(missing_unit(
                text,
                format!("write `{n}s`, `{n}ms` or `{n}m`"),
            ));
        }
        let known = UNITS_OF_TIME.iter().find(|(name, _)| *name == unit);
        let (_, factor) = known.ok_or_else(misfit)?;
        seconds += n * factor;
        rest = next;
    }
    if text.is_empty() {
        return Err(misfit());
    }
    if seconds > 366.0 * 86_400.0 {
        let message = format!("`{text}` is longer than a year");
        return Err(Misfit::new("out_of_range", message, ""));
    }
    // Whole microseconds: 1.5s and 1500ms are the same moment apart, whatever the float says.
    Ok(Duration::from_micros(crate::model::number::whole(
        (seconds * 1e6).round(),
    )))
}

/// `64KiB`, `10MB`, `512B`.
pub(super) fn size(text: &str) -> Result<u64, Misfit> {
    let misfit = || Misfit::value(text, "a size such as `64KiB`, `10MiB` or `512B`");
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let n: u64 = digits.parse().map_err(|_| misfit())?;
    if unit.is_empty() {
        return Err(missing_unit(text, format!("write `{n}B` or `{n}KiB`")));
    }
    let (_, factor) = UNITS_OF_SIZE
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(misfit)?;
    let too_large = || Misfit::new("out_of_range", format!("`{text}` is too large"), "");
    n.checked_mul(*factor)
        .filter(|n| *n <= 1 << 50)
        .ok_or_else(too_large)
}

/// `5%`, `0.01%`, in steps of 0.01 %.
pub(super) fn share(text: &str) -> Result<Share, Misfit> {
    let misfit = || Misfit::value(text, "a share such as `5%` or `0.01%`");
    let (n, unit) = number(text).ok_or_else(misfit)?;
    if unit.is_empty() {
        return Err(missing_unit(
            text,
            format!("write `{n}%` for {n} in 100 requests"),
        ));
    }
    if unit != "%" {
        return Err(misfit());
    }
    if n > 100.0 {
        let message = format!("`{text}` is more than `100%`");
        return Err(Misfit::new("out_of_range", message, ""));
    }
    let points = (n * 100.0).round();
    if (n * 100.0 - points).abs() > 1e-6 {
        let message = format!("`{text}` is finer than the steps of 0.01%");
        return Err(Misfit::new(
            "out_of_range",
            message,
            "round it to two decimals",
        ));
    }
    let points = u16::try_from(crate::model::number::whole(points)).map_err(|_| misfit())?;
    Share::from_basis_points(points).map_err(|_| misfit())
}

/// `2%` as 0.02; any fineness.
pub(super) fn ratio(text: &str) -> Result<f64, Misfit> {
    let misfit = || Misfit::value(text, "a rate such as `2%` or `0.1%`");
    let (n, unit) = number(text).ok_or_else(misfit)?;
    match unit {
        "" => Err(missing_unit(text, format!("write `{n}%`"))),
        "%" if n <= 100.0 => Ok(n / 100.0),
        "%" => Err(Misfit::new(
            "out_of_range",
            format!("`{text}` is more than `100%`"),
            "",
        )),
        _ => Err(misfit()),
    }
}

/// A margin: terms such as `+5%`, `1.05x` (both relative) and `+0.05pp` (points of a rate).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Margin {
    /// The relative part, if one is written: 0.2 for `+20%` and `1.2x`.
    pub relative: Option<f64>,
    /// Percentage points as a ratio of requests, if written: 0.005 for `+0.5pp`.
    pub points: Option<f64>,
}

impl Margin {
    /// As a margin of a rate: what is not written is not tolerated.
    pub(super) fn of_rate(self) -> RateMargin {
        RateMargin {
            ratio: 1.0 + self.relative.unwrap_or(0.0),
            absolute: self.points.unwrap_or(0.0),
        }
    }
}

/// `+0.5pp`, `+20%`, `1.2x`, `+5% +0.05pp`.
pub(super) fn margin(text: &str) -> Result<Margin, Misfit> {
    let expects = "a margin such as `+0.5pp`, `+20%`, `1.2x` or `+5% +0.05pp`";
    let misfit = || Misfit::value(text, expects);
    let mut margin = Margin {
        relative: None,
        points: None,
    };
    for term in text.split([' ', '+']).filter(|term| !term.is_empty()) {
        let (n, unit) = number(term).ok_or_else(misfit)?;
        let (slot, value) = match unit {
            "pp" => (&mut margin.points, n / 100.0),
            "%" => (&mut margin.relative, n / 100.0),
            "x" => (&mut margin.relative, n - 1.0),
            "" => {
                let help = format!("write `+{n}pp` (percentage points) or `+{n}%` (relative)");
                return Err(missing_unit(text, help));
            }
            _ => return Err(misfit()),
        };
        if slot.replace(value).is_some() {
            return Err(misfit());
        }
    }
    let too_small = margin.relative.is_some_and(|more| more < 0.0);
    let too_large = margin.relative.is_some_and(|more| more > 99.0)
        || margin.points.is_some_and(|points| points > 1.0);
    if margin.relative.is_none() && margin.points.is_none() {
        return Err(misfit());
    }
    if too_small || too_large {
        let message = format!("`{text}` is out of range");
        let help = "a factor is 1x to 100x, a difference at most 100pp";
        return Err(Misfit::new("out_of_range", message, help));
    }
    Ok(margin)
}

/// `10.0.0.0/8`, `::1/128`, or one address.
pub(super) fn cidr(text: &str) -> Result<Cidr, Misfit> {
    let misfit = || Misfit::value(text, "a network such as `10.0.0.0/8` or `::1/128`");
    let (address, prefix) = text
        .split_once('/')
        .map_or((text, None), |(a, p)| (a, Some(p)));
    let address: IpAddr = address.parse().map_err(|_| misfit())?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(prefix) => prefix
            .parse()
            .ok()
            .filter(|p| *p <= longest)
            .ok_or_else(misfit)?,
    };
    Ok(Cidr { address, prefix })
}

#[cfg(test)]
mod tests;
