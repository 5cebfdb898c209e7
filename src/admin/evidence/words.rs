//! Numbers as people read them.

use crate::model::number::{real, whole};

/// A count with its thousands apart.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A ratio in per cent: as many digits as say something.
pub(super) fn percent(ratio: f64) -> String {
    format!("{}%", short(100.0 * ratio))
}

/// A difference of two ratios in percentage points.
pub(super) fn points(difference: f64) -> String {
    let points = 100.0 * difference;
    let sign = if points > 0.0 { "+" } else { "" };
    format!("{sign}{} pp", short(points))
}

/// Evidence is a product of many factors: tiny and huge are normal.
pub(super) fn evidence(evidence: f64) -> String {
    match evidence {
        tiny if tiny > 0.0 && tiny < 0.01 => "< 0.01".to_owned(),
        huge if huge >= 1e6 => "> 1,000,000".to_owned(),
        large if large >= 1_000.0 => count(whole(large.round())),
        plain => short(plain),
    }
}

/// A time that has passed.
pub(super) fn duration(seconds: f64) -> String {
    let all = whole(seconds.round());
    match (all / 86_400, all / 3_600 % 24, all / 60 % 60, all % 60) {
        (0, 0, 0, _) if seconds < 10.0 => format!("{} s", short(seconds)),
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, 0) => format!("{m} min"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, 0, _) => format!("{h} h"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, 0, ..) => format!("{d} d"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

/// A latency.
pub(super) fn latency(millis: f64) -> String {
    if millis >= 1_000.0 {
        format!("{} s", short(millis / 1_000.0))
    } else {
        format!("{} ms", short(millis))
    }
}

/// A moment of the wire as people write it: to the second, or with tenths of it.
pub(super) fn moment(at: &str) -> String {
    let day = at.get(..10).unwrap_or(at);
    let time = at.get(11..21).unwrap_or_default();
    format!("{day} {time} UTC")
}

/// The time of day of a moment of the wire.
pub(super) fn clock(at: &str) -> &str {
    at.get(11..21).unwrap_or(at)
}

/// What a test looks at, in words.
pub(super) fn cause(cause: &str) -> String {
    let (kind, metric) = cause.rsplit_once(':').unwrap_or(("", cause));
    let is_plain = matches!(kind, "absolute" | "rule");
    let what = match metric.strip_prefix("latency_") {
        Some(quantile) if is_plain => format!("latency {quantile}"),
        Some(quantile) => format!("requests slower than stable's {quantile}"),
        None if metric == "error_rate" => "failed requests".to_owned(),
        None => metric.to_owned(),
    };
    match kind {
        "" => what,
        "critical" => format!("{what} (the fast test for gross failures)"),
        "slo" => format!("{what} (the promised rate)"),
        _ if is_plain => format!("{what} (a plain threshold)"),
        other => format!("{what} ({other})"),
    }
}

/// Two digits that say something, and no zeros at the end.
fn short(x: f64) -> String {
    let size = x.abs();
    let text = match size {
        0.0..0.000_5 => return "0".to_owned(),
        0.000_5..0.095 => format!("{x:.3}"),
        0.095..9.95 => format!("{x:.2}"),
        9.95..99.5 => format!("{x:.1}"),
        _ => format!("{x:.0}"),
    };
    if text.contains('.') {
        let text = text.trim_end_matches('0').trim_end_matches('.');
        return text.to_owned();
    }
    text
}

/// Hits among trials as a ratio; 0 of nothing.
pub(super) fn ratio(hits: u64, trials: u64) -> f64 {
    if trials == 0 {
        0.0
    } else {
        real(hits) / real(trials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_say_something() {
        let cases = [
            (count(0), "0"),
            (count(999), "999"),
            (count(1_234_567), "1,234,567"),
            (percent(0.000_48), "0.048%"),
            (percent(0.122_8), "12.3%"),
            (percent(1.0), "100%"),
            (points(-0.001), "-0.1 pp"),
            (points(0.297_5), "+29.8 pp"),
            (points(0.0), "0 pp"),
            (evidence(0.001), "< 0.01"),
            (evidence(12.5), "12.5"),
            (evidence(5_429.7), "5,430"),
            (evidence(f64::MAX), "> 1,000,000"),
            (duration(0.25), "0.25 s"),
            (duration(90.0), "1 min 30 s"),
            (duration(7_200.0), "2 h"),
            (duration(90_000.0), "1 d 1 h"),
            (latency(5.023), "5.02 ms"),
            (latency(30_000.0), "30 s"),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn causes_are_words() {
        assert_eq!(cause("error_rate"), "failed requests");
        assert_eq!(
            cause("critical:latency_p99"),
            "requests slower than stable's p99 (the fast test for gross failures)"
        );
        assert_eq!(
            cause("absolute:latency_p99"),
            "latency p99 (a plain threshold)"
        );
    }
}
