//! `/metrics`: control's totals and snapshot as Prometheus text, made anew for each scrape.
//!
//! Names and labels are part of the product's promise. Label values come from the file or from
//! closed sets of words, never from a request; and the number of series has a bound on top.

mod classic;
mod format;
mod open;
mod outlets;
mod process;
mod push;
mod repeats;
mod rollout;
mod text;
mod traffic;
mod upstreams;

use axum::{
    extract,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

pub(super) use self::push::{to_emf, to_statsd};
use self::{
    format::Format,
    text::{Kind, Text},
};
use super::{State, guard::Denial};
use crate::{
    control::{Status, Totals},
    measure::ListenerGauges,
    model::{
        Role,
        number::{long, real, real_len},
    },
};

/// `GET /metrics`.
pub(super) async fn scrape(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
) -> Response {
    let prefix = {
        let config = state.handle.config();
        let config = config.borrow();
        config.metrics.prefix.clone()
    };
    let Some((text, _)) = collect(&state, &prefix).await else {
        let message = "the control loop has ended";
        return Denial::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "closing",
            message,
            "the process ends",
        )
        .into_response();
    };
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let format = Format::wanted(accept.unwrap_or_default());
    let content_type = [(header::CONTENT_TYPE, format.content_type())];
    (content_type, format.write(&text)).into_response()
}

/// All families as they are now, with the totals that they are made of; `None`: the process ends.
async fn collect(state: &State, prefix: &str) -> Option<(Text, Totals)> {
    let totals = state.handle.totals().await?;
    let status = state.handle.status();
    let budget = {
        let config = state.handle.config();
        let config = config.borrow();
        let routes = config.splits.iter().flat_map(|split| {
            split
                .routes
                .iter()
                .map(|route| (split.name.clone(), route.name.clone()))
        });
        traffic::Budget::new(config.metrics.max_series, routes)
    };
    // Reading /proc is quick, but it is a file system all the same.
    let process = tokio::task::spawn_blocking(process::read)
        .await
        .unwrap_or_default();
    let mut text = Text::new(prefix);
    render(&mut text, &status, &totals, &budget);
    outlets::write(&mut text, &state.process.outlets);
    process.write(&mut text);
    Some((text, totals))
}

fn render(text: &mut Text, status: &Status, totals: &Totals, budget: &traffic::Budget) {
    build(text);
    let overflow = traffic::write(text, totals, budget);
    repeats::write(text, totals);
    rollout::write(text, status, totals);
    upstreams::write(text, status, totals);
    listeners(text, totals);
    clients(text, totals);
    users(text, status);
    certificates(text, status);
    config(text, status);
    workers(text, totals);
    text.family(
        "metrics_overflow",
        Kind::Counter,
        "Requests counted under route=\"_other\".",
    );
    text.sample(&[], real(overflow));
    text.family(
        "metrics_series",
        Kind::Gauge,
        "Series in this answer before this one.",
    );
    text.sample(&[], real_len(text.series()));
}

fn build(text: &mut Text) {
    text.family("build", Kind::Info, "The program. Always 1.");
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("rustc", env!("SERIN_RUSTC")),
        ("tls_backend", "rustls/aws-lc-rs"),
    ];
    text.sample(&labels, 1.0);
}

fn listeners(text: &mut Text, totals: &Totals) {
    text.family(
        "listener_connections",
        Kind::Gauge,
        "Connections of clients.",
    );
    for listener in &totals.listeners {
        let labels = [("listener", listener.name.as_str()), ("state", "open")];
        text.sample(&labels, real(listener.open));
    }
    let help = "Connections accepted and turned away.";
    text.family("listener_accepts", Kind::Counter, help);
    results(text, totals, |listener| {
        [
            ("accepted", listener.accepted),
            ("refused", listener.refused),
        ]
    });
    let help = "TLS handshakes with clients.";
    text.family("tls_handshakes", Kind::Counter, help);
    results(text, totals, |listener| {
        let (done, failed) = listener.handshakes;
        [("ok", done), ("failed", failed)]
    });
}

/// Two counters of each listener.
fn results(
    text: &mut Text,
    totals: &Totals,
    counters: fn(&ListenerGauges) -> [(&'static str, u64); 2],
) {
    for listener in &totals.listeners {
        for (result, count) in counters(listener) {
            let labels = [("listener", listener.name.as_str()), ("result", result)];
            text.sample(&labels, real(count));
        }
    }
}

fn clients(text: &mut Text, totals: &Totals) {
    let help = "What clients sent or did that was refused or cut off.";
    text.family("rejections", Kind::Counter, help);
    for (cause, count) in &totals.rejections {
        text.sample(&[("reason", cause.as_str())], real(*count));
    }
    let help = "Long-lived streams that are open: WebSocket, server-sent events, gRPC.";
    text.family("exposed_streams", Kind::Gauge, help);
    for ((split, version), count) in &totals.streams {
        let labels = [("split", split.as_str()), ("version", version.as_str())];
        text.sample(&labels, real(*count));
    }
}

fn users(text: &mut Text, status: &Status) {
    let help = "Different users that were assigned to a version since its rollout began.";
    text.family("exposed_users", Kind::Gauge, help);
    for split in &status.splits {
        let canary = split.canary.as_ref().map(|canary| (Role::Canary, canary));
        let versions = std::iter::once((Role::Stable, &split.stable)).chain(canary);
        for (role, version) in versions {
            if let Some(users) = split.arm(role).and_then(|arm| arm.users) {
                let labels = [
                    ("split", split.name.as_str()),
                    ("version", version.as_str()),
                ];
                text.sample(&labels, real(users));
            }
        }
    }
}

fn certificates(text: &mut Text, status: &Status) {
    text.family(
        "certificate_expiry_timestamp_seconds",
        Kind::Gauge,
        "When the first certificate of a listener ends, in seconds since the epoch.",
    );
    for (listener, ends) in &status.certificates {
        text.sample(
            &[("listener", listener.as_str())],
            real(ends.millis()) / 1e3,
        );
    }
}

fn config(text: &mut Text, status: &Status) {
    let config = &status.config;
    let (good, bad) = config.reloads;
    text.family(
        "config_reloads",
        Kind::Counter,
        "Reads of a changed file since the start.",
    );
    text.sample(&[("result", "success")], real(good));
    text.sample(&[("result", "failure")], real(bad));
    let help = "1 if the last read of the file was good; 0: an older one is in force.";
    text.family("config_last_reload_successful", Kind::Gauge, help);
    text.sample(&[], f64::from(u8::from(config.problem.is_none())));
    let help = "When the file in force was read, in seconds since the epoch.";
    text.family("config_last_reload_timestamp_seconds", Kind::Gauge, help);
    text.sample(&[], real(config.loaded_at.millis()) / 1e3);
    text.family("config", Kind::Info, "The file in force. Always 1.");
    text.sample(&[("hash", &format!("{:016x}", config.hash))], 1.0);
}

fn workers(text: &mut Text, totals: &Totals) {
    text.family(
        "worker_busy_ratio",
        Kind::Gauge,
        "Share of its time that a worker is busy.",
    );
    for (number, worker) in totals.workers.iter().enumerate() {
        text.sample(&[("worker", &long(number).to_string())], worker.busy);
    }
    text.family(
        "journal_failures",
        Kind::Counter,
        "Writes of rollout state that failed.",
    );
    text.sample(&[], real(totals.journal_failures));
    text.family(
        "record_failures",
        Kind::Counter,
        "Records of rollouts that ended early because a write failed.",
    );
    text.sample(&[], real(totals.record_failures));
}
