//! Spans on their way to a collector, by OTLP over HTTP, in JSON.
//!
//! This runs in a thread of its own, and what it waits for it waits for alone: spans that find the
//! queue full are lost and counted, and so are those that the collector does not take. Nothing is
//! sent twice. That it fails is told once, and that it works again.

use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header::CONTENT_TYPE};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

use super::StartError;
use crate::{
    measure::Outlets,
    net::web::{Limits, Trust, Web},
    plan::Tracing,
    proxy::{outlet::Block, text::quoted},
};

/// How long spans are gathered for a request to the collector.
const GATHER: Duration = Duration::from_millis(500);
/// Bytes of spans at which they are gathered no longer.
const FULL: usize = 1 << 20;
/// What an answer of the collector may cost.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(10),
    body: 64 << 10,
};

/// What sends spans.
#[derive(Debug)]
pub(super) struct Exporter {
    web: Web,
    runtime: Runtime,
    url: String,
    headers_file: Option<PathBuf>,
    /// What a request begins with.
    start: Vec<u8>,
    outlets: Outlets,
    is_failing: bool,
}

/// What ends the lists that `start` has begun.
const END: &[u8] = b"]}]}]}";

impl Exporter {
    pub(super) fn new(settings: &Tracing, outlets: Outlets) -> Result<Self, StartError> {
        let trust = settings
            .ca
            .clone()
            .map_or(Trust::System, Trust::Authorities);
        let web = Web::new(&trust).map_err(|error| StartError::Collector(error.to_string()))?;
        // Connections to the collector are looked after between two requests, too.
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime
            .worker_threads(1)
            .thread_name("spans")
            .enable_all()
            .build()?;
        let mut start = Vec::new();
        start.extend_from_slice(
            b"{\"resourceSpans\":[{\"resource\":{\"attributes\":[\
              {\"key\":\"service.name\",\"value\":{\"stringValue\":",
        );
        quoted(settings.service_name.as_bytes(), &mut start);
        start
            .extend_from_slice(b"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"serin\",\"version\":");
        quoted(env!("CARGO_PKG_VERSION").as_bytes(), &mut start);
        start.extend_from_slice(b"},\"spans\":[");
        let mut exporter = Self {
            web,
            runtime,
            url: format!("{}/v1/traces", settings.otlp),
            headers_file: settings.headers_file.clone(),
            start,
            outlets,
            is_failing: false,
        };
        exporter
            .request(Vec::new())
            .map_err(StartError::Collector)?;
        Ok(exporter)
    }

    /// Sends spans until there are no more.
    pub(super) fn run(mut self, queue: &Receiver<Block>) {
        while let Ok(first) = queue.recv() {
            let (mut body, mut count) = (self.start.clone(), 0);
            let until = Instant::now() + GATHER;
            let mut take = |block: Block, body: &mut Vec<u8>| {
                body.extend_from_slice(&block.bytes);
                count += block.count;
                block.give_back();
            };
            take(first, &mut body);
            while body.len() < FULL {
                let left = until.saturating_duration_since(Instant::now());
                match queue.recv_timeout(left) {
                    Ok(block) => take(block, &mut body),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
            // The last comma.
            body.pop();
            body.extend_from_slice(END);
            self.send(body, count);
        }
        self.runtime.shutdown_background();
    }

    fn send(&mut self, body: Vec<u8>, count: u64) {
        let sent = self.request(body).and_then(|request| self.ask(request));
        match sent {
            Ok(refused) => {
                let refused = refused.min(count);
                self.outlets.spans_exported.add(count - refused);
                self.outlets.spans_dropped.add(refused);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!(url = self.url, "the collector takes spans again");
                }
            }
            Err(error) => {
                self.outlets.spans_dropped.add(count);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(error, url = self.url, "spans cannot be sent: they are lost");
                }
            }
        }
    }

    fn request(&mut self, body: Vec<u8>) -> Result<Request<Bytes>, String> {
        let mut request = Request::post(&self.url);
        if let Some(headers) = request.headers_mut() {
            self.read_headers(headers)?;
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.body(body.into()).map_err(|error| error.to_string())
    }

    /// Reads the fields of the file, which may have changed.
    #[expect(clippy::disallowed_methods, reason = "a thread that may block")]
    fn read_headers(&self, headers: &mut HeaderMap) -> Result<(), String> {
        let Some(path) = &self.headers_file else {
            return Ok(());
        };
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        for (nth, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // What the line says may be a secret.
            let bad = || format!("{}:{nth}: not `Name: value`", path.display());
            let (name, value) = line.split_once(':').ok_or_else(bad)?;
            let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| bad())?;
            let mut value = HeaderValue::from_str(value.trim()).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(())
    }

    /// How many spans the collector has refused of those that it was sent.
    fn ask(&self, request: Request<Bytes>) -> Result<u64, String> {
        let answer = self.runtime.block_on(self.web.ask(request, LIMITS));
        let answer = answer.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("the collector answers {}", answer.status()));
        }
        Ok(refused(answer.body()))
    }
}

/// What a collector says of spans that it has not taken; nothing that can be read: it has all.
fn refused(answer: &[u8]) -> u64 {
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let count = answer.pointer("/partialSuccess/rejectedSpans");
    let of_text = |count: &serde_json::Value| count.as_str()?.parse().ok();
    count
        .and_then(|count| count.as_u64().or_else(|| of_text(count)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_refuses_is_read_if_it_can_be() {
        for (answer, expected) in [
            ("", 0),
            ("{}", 0),
            ("nonsense", 0),
            ("[1]", 0),
            ("{\"partialSuccess\":{}}", 0),
            ("{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}", 3),
            ("{\"partialSuccess\":{\"rejectedSpans\":4}}", 4),
            ("{\"partialSuccess\":{\"rejectedSpans\":\"-1\"}}", 0),
        ] {
            assert_eq!(refused(answer.as_bytes()), expected, "{answer}");
        }
    }
}
