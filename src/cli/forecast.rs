//! Forecasts in words, for `status` and `plan`.

use crate::{
    admin::wire::{Forecast, Need},
    control::roughly,
};

/// The effects, as columns of a table call them.
pub(super) const HEADINGS: [(&str, &str); 6] = [
    ("all_fail", "ALL FAIL"),
    ("errors_plus_5pp", "ERRORS +5pp"),
    ("errors_x2", "ERRORS x2"),
    ("latency_x2", "LATENCY x2"),
    ("latency_plus_20pct", "LATENCY +20%"),
    ("p99_x2", "P99 x2"),
];
/// Those that a line has room for, as a sentence calls them.
const SENTENCE: [(&str, &str); 3] = [
    ("all_fail", "a dead canary"),
    ("errors_plus_5pp", "+5 points of errors"),
    ("errors_x2", "twice the errors"),
];

/// How long it takes to find an effect, or a pass.
pub(super) fn time(need: Option<Need>) -> String {
    need.map_or_else(|| "-".to_owned(), |need| roughly(need.seconds))
}

/// What finding this effect takes.
pub(super) fn to_find(forecast: &Forecast, effect: &str) -> Option<Need> {
    let mut found = forecast.to_fail.iter();
    found.find(|finding| finding.effect == effect)?.need
}

/// One line: `a dead canary in 0.8s, ..., a pass in 30s`; empty if nothing is known.
pub(super) fn sentence(forecast: &Forecast) -> String {
    let named = SENTENCE.map(|(effect, words)| (words, to_find(forecast, effect)));
    // What is proven already is said by the verdict.
    let pass = forecast.to_pass.filter(|pass| pass.requests > 0);
    let all = named.into_iter().chain([("a pass", pass)]);
    let parts = all.filter_map(|(words, need)| {
        let time = roughly(need?.seconds);
        Some(format!("{words} in {time}"))
    });
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_that_is_there_is_not_forecast() {
        let need = |requests, seconds| Some(Need { requests, seconds });
        let mut forecast = Forecast {
            to_fail: Vec::new(),
            to_pass: need(40, 2.0),
        };
        assert_eq!(sentence(&forecast), "a pass in 2.0s");
        forecast.to_pass = need(0, 0.0);
        assert_eq!(sentence(&forecast), "");
    }
}
