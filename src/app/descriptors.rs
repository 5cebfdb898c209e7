//! File descriptors: a proxy takes two for each connection, one to the client and one to the
//! endpoint. Without them it refuses clients, so it is said at the start what may be missing.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// For admin, logs, state, sources, and the listening sockets.
const RESERVE: u64 = 512;
/// For each connection: itself, and one to an endpoint.
const EACH: u64 = 2;

/// Takes all that the system grants, and warns if that is less than the file lets in.
pub(super) fn provide(config: &Config) {
    let granted = raise();
    let listeners = config.listeners.iter();
    let connections = listeners
        .map(|it| u64::from(it.limits.max_connections))
        .sum();
    if let Some(fitting) = too_few(granted, connections) {
        let needed = needed(connections);
        tracing::warn!(
            granted,
            needed,
            "{granted} open files are too few for {connections} connections, which take {needed}: \
             raise the limit (`LimitNOFILE=` of systemd, `ulimit -Hn`, `--ulimit nofile=` of a \
             container), or let `limits.max_connections` of all listeners sum up to {fitting}"
        );
    }
}

/// Raises the limit as far as this process may; what is granted now.
fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    // No number: no limit.
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn needed(connections: u64) -> u64 {
    connections.saturating_mul(EACH).saturating_add(RESERVE)
}

/// How many connections fit, if not all do.
fn too_few(granted: u64, connections: u64) -> Option<u64> {
    let fitting = granted.saturating_sub(RESERVE) / EACH;
    (granted < needed(connections)).then_some(fitting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_takes_two_and_the_rest_some() {
        assert_eq!(too_few(2_512, 1_000), None);
        assert_eq!(too_few(2_511, 1_000), Some(999));
        assert_eq!(too_few(100, 1_000), Some(0));
        assert_eq!(too_few(u64::MAX, u64::MAX), None);
    }
}
