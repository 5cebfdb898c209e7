//! Traces: Serin as a span of its own between the client's and the endpoint's.
//!
//! Without `tracing:` nothing of this is done, and what clients say passes through. With it, each
//! request gets a span and each of its attempts one below it, and endpoints are told which. Spans
//! are sent for traces that are sampled, and for requests whose attempt at a canary has failed.
//! Workers write them as JSON and never wait: a thread sends them (`export.rs`).

mod context;
mod export;
mod span;

use std::{io, num::NonZero, sync::Arc, thread::JoinHandle};

pub(crate) use self::context::{LEN, Parent, parent};
pub(super) use self::span::Spans;
use super::{
    access_log::Line,
    outlet::{Outlet, Way, way},
};
use crate::{
    measure::Outlets,
    model::{Point, Share, SpanId, TraceId},
    plan,
};

/// A request in its trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace {
    /// The trace.
    pub(super) id: TraceId,
    /// The client's span, if it has told one.
    pub(super) parent: Option<SpanId>,
    /// The request's span.
    pub(super) span: SpanId,
    /// Whether the trace is recorded.
    pub(super) is_sampled: bool,
    /// Whether the client's `tracestate` belongs to it.
    pub(super) keeps_state: bool,
}

impl Trace {
    /// What an endpoint is told, if its parent is this span.
    pub(super) fn told_by(&self, span: SpanId) -> [u8; LEN] {
        context::write(self.id, span, self.is_sampled)
    }
}

/// The way to the thread that sends spans; one for all workers.
#[derive(Debug, Clone)]
pub struct Tracing {
    way: Way,
    settings: Arc<Settings>,
}

#[derive(Debug)]
struct Settings {
    sample: Share,
    always_on_failure: bool,
}

impl Tracing {
    /// Starts the thread; what becomes of spans is counted. It ends when the last worker has let
    /// go of its end, and the collector has the last spans or does not take them.
    pub fn start(
        settings: &plan::Tracing,
        outlets: &Outlets,
    ) -> Result<(Self, JoinHandle<()>), StartError> {
        let (way, queue) = way(outlets.spans_dropped.clone());
        let exporter = export::Exporter::new(settings, outlets.clone())?;
        let thread = std::thread::Builder::new()
            .name("spans".into())
            .spawn(move || exporter.run(&queue))?;
        let settings = Arc::new(Settings {
            sample: settings.sample,
            always_on_failure: settings.always_on_failure,
        });
        Ok((Self { way, settings }, thread))
    }
}

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The collector's address, or whom to believe, cannot be used.
    #[error("{0}")]
    Collector(String),
    /// There is no thread for it.
    #[error("cannot start the thread that sends spans")]
    Thread(#[from] io::Error),
}

/// A worker's end.
#[derive(Debug)]
pub(crate) struct Tracer {
    outlet: Outlet,
    settings: Arc<Settings>,
}

impl Tracer {
    /// A worker's end of this.
    pub(super) fn new(tracing: Tracing) -> Self {
        Self {
            outlet: Outlet::new(tracing.way),
            settings: tracing.settings,
        }
    }

    /// A request begins, as a part of its client's trace or of a new one.
    pub(super) fn begin(&self, parent: Option<Parent>, random: &mut fastrand::Rng) -> Trace {
        let fresh = NonZero::new(random.u128(..)).unwrap_or(NonZero::<u128>::MIN);
        let sampled = parent.and_then(|parent| parent.is_sampled);
        let point = Point::from_hash(random.u64(..));
        Trace {
            id: parent.map_or(fresh.into(), |parent| parent.trace),
            parent: parent.and_then(|parent| parent.span),
            span: new_span(random),
            is_sampled: sampled.unwrap_or_else(|| self.settings.sample.covers(point)),
            keeps_state: parent.is_some_and(|parent| parent.has_state),
        }
    }

    /// Whether the spans of a request are wanted that has ended.
    pub(super) fn wants(&self, trace: &Trace, has_canary_failed: bool) -> bool {
        trace.is_sampled || has_canary_failed && self.settings.always_on_failure
    }

    /// Adds the spans of a request.
    pub(super) fn tell(&self, spans: &Spans<'_>, line: &Line<'_>) {
        self.outlet.add(spans.count(), |out| spans.write(line, out));
    }

    /// Hands spans to the thread.
    pub(super) fn flush(&self) {
        self.outlet.flush();
    }
}

/// A new span's number.
pub(super) fn new_span(random: &mut fastrand::Rng) -> SpanId {
    let number = NonZero::new(random.u64(..)).unwrap_or(NonZero::<u64>::MIN);
    number.into()
}
