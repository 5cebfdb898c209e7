//! Numbers and moments as people read them.

use crate::admin::wire::Counts;

/// The time of day in an RFC 3339 moment.
pub(super) fn clock(at: &str) -> &str {
    at.get(11..19).unwrap_or(at)
}

/// A ratio as people read it.
pub(super) fn percent(ratio: f64) -> String {
    format!("{:.2}%", 100.0 * ratio)
}

/// Hits of trials.
pub(super) fn counts(counts: Counts) -> String {
    let Counts { hits, trials } = counts;
    format!("{hits}/{trials} = {}", percent(counts.ratio()))
}

/// Milliseconds with three figures.
pub(super) fn millis(millis: f64) -> String {
    match millis {
        short if short < 9.995 => format!("{short:.2} ms"),
        middle if middle < 99.95 => format!("{middle:.1} ms"),
        long if long < 9_999.5 => format!("{long:.0} ms"),
        longer => format!("{:.1} s", longer / 1e3),
    }
}

/// A difference of two ratios.
pub(super) fn points(difference: f64) -> String {
    format!("{:+.2}pp", 100.0 * difference)
}

/// Evidence is a product of many factors: tiny and huge are normal.
pub(super) fn evidence(evidence: f64) -> String {
    match evidence {
        tiny if tiny > 0.0 && tiny < 0.01 => "< 0.01".to_owned(),
        huge if huge >= 1e6 => "> 1000000".to_owned(),
        plain => format!("{plain:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_has_three_figures() {
        let cases = [
            (0.05, "0.05 ms"),
            (9.994, "9.99 ms"),
            (9.996, "10.0 ms"),
            (80.0, "80.0 ms"),
            (999.7, "1000 ms"),
            (12_345.0, "12.3 s"),
        ];
        for (latency, expected) in cases {
            assert_eq!(millis(latency), expected);
        }
    }
}
