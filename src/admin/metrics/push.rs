//! Metrics for those who do not scrape: the same numbers, told again and again as `StatsD` by UDP
//! and as CloudWatch's EMF in lines of JSON.
//!
//! Both are told what has risen since the last time. Nothing waits for whoever reads: a packet
//! that nobody takes is lost, and lines are written by a thread of their own.

mod emf;
mod round;
mod statsd;

use std::{io::Write as _, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use self::round::{Point, Told};
use super::collect;
use crate::{admin::State, clock};

/// Where to tell, as the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Statsd {
        address: SocketAddr,
        is_tagged: bool,
        prefix: Arc<str>,
    },
    Emf {
        path: Option<PathBuf>,
        namespace: Arc<str>,
    },
}

/// Tells `StatsD` as long as the process lives.
pub(in crate::admin) async fn to_statsd(state: State, ending: CancellationToken) {
    let wanted = |state: &State| {
        let config = state.handle.config();
        let config = config.borrow();
        let settings = config.metrics.statsd.as_ref()?;
        let target = Target::Statsd {
            address: settings.address,
            is_tagged: settings.is_tagged,
            prefix: Arc::clone(&settings.prefix),
        };
        Some((target, settings.interval))
    };
    follow(&state, &ending, wanted).await;
}

/// Writes EMF as long as the process lives.
pub(in crate::admin) async fn to_emf(state: State, ending: CancellationToken) {
    let wanted = |state: &State| {
        let config = state.handle.config();
        let config = config.borrow();
        let settings = config.metrics.emf.as_ref()?;
        let target = Target::Emf {
            path: settings.path.clone(),
            namespace: Arc::clone(&settings.namespace),
        };
        Some((target, settings.interval))
    };
    follow(&state, &ending, wanted).await;
}

/// Tells whoever the file names, each time its interval has passed, and once more at the end.
async fn follow(
    state: &State,
    ending: &CancellationToken,
    wanted: impl Fn(&State) -> Option<(Target, Duration)>,
) {
    let mut config = state.handle.config();
    // What was counted from the start on is told, what was counted before somebody asked is not.
    let mut told = Some(Told::default());
    loop {
        config.mark_unchanged();
        let Some((target, interval)) = wanted(state) else {
            told = None;
            tokio::select! {
                () = ending.cancelled() => return,
                changed = config.changed() => if changed.is_err() { return },
            }
            continue;
        };
        let mut told_now = if let Some(told) = told.take() {
            told
        } else {
            let mut fresh = Told::default();
            let _before = points(state, &mut fresh).await;
            fresh
        };
        let mut due = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let is_over = loop {
            let is_over = tokio::select! {
                () = ending.cancelled() => true,
                changed = config.changed() => {
                    if changed.is_err() || wanted(state) != Some((target.clone(), interval)) {
                        break changed.is_err();
                    }
                    continue;
                }
                _ = due.tick() => false,
            };
            if let Some(points) = points(state, &mut told_now).await {
                tell(&target, points).await;
            }
            if is_over {
                break true;
            }
        };
        if is_over {
            return;
        }
        told = Some(told_now);
    }
}

/// What there is to tell now; `None`: the process ends.
async fn points(state: &State, told: &mut Told) -> Option<Vec<Point>> {
    let (text, totals) = collect(state, "").await?;
    Some(told.round(&text, &totals))
}

async fn tell(target: &Target, points: Vec<Point>) {
    match target {
        Target::Statsd {
            address,
            is_tagged,
            prefix,
        } => {
            let packets = statsd::packets(&points, prefix, *is_tagged);
            let any = SocketAddr::new(unspecified(*address), 0);
            let Ok(socket) = UdpSocket::bind(any).await else {
                return;
            };
            for packet in packets {
                // Nobody there is no reason to wait, or to stop.
                let _lost = socket.send_to(&packet, address).await;
            }
        }
        Target::Emf { path, namespace } => {
            let lines = emf::lines(&points, namespace, clock::now());
            let path = path.clone();
            let writing = tokio::task::spawn_blocking(move || append(path, &lines));
            if let Ok(Err(error)) = writing.await {
                tracing::warn!(%error, "metrics cannot be written as EMF");
            }
        }
    }
}

/// The address that stands for all of the same family.
const fn unspecified(address: SocketAddr) -> std::net::IpAddr {
    match address {
        SocketAddr::V4(_) => std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => std::net::IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}

/// Adds lines to a file, or to the standard output.
fn append(path: Option<PathBuf>, lines: &str) -> std::io::Result<()> {
    let Some(path) = path else {
        return std::io::stdout().lock().write_all(lines.as_bytes());
    };
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).append(true).open(path)?;
    file.write_all(lines.as_bytes())
}
