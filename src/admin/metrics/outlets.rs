//! What is told of requests beside serving them, and what of it was lost.

use super::text::{Kind, Text};
use crate::{measure::Outlets, model::number::real};

/// Writes it.
pub(super) fn write(text: &mut Text, outlets: &Outlets) {
    let counters = [
        (
            "access_log_dropped",
            &outlets.log_dropped,
            "Lines of the access log that were lost.",
        ),
        (
            "spans_exported",
            &outlets.spans_exported,
            "Spans that the collector has taken.",
        ),
        (
            "spans_dropped",
            &outlets.spans_dropped,
            "Spans that were lost.",
        ),
    ];
    for (name, counter, help) in counters {
        text.family(name, Kind::Counter, help);
        text.sample(&[], real(counter.get()));
    }
}
