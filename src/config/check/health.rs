//! Whether the keys of a health check fit together.

use crate::config::{
    UpstreamProtocol,
    schema::{CheckProtocol, HealthCheckBlock, UpstreamBlock},
    tree::Place,
    walk::Walk,
};

pub(super) fn check(block: &UpstreamBlock, walk: &mut Walk) {
    let Some(check) = block.health_check.as_ref().map(|at| &at.value) else {
        return;
    };
    if let (Some(interval), Some(timeout)) = (&check.interval, &check.timeout)
        && timeout.value > interval.value
    {
        let at = if timeout.is_written {
            timeout.at
        } else {
            interval.at
        };
        let help = "write a `timeout` of at most the `interval`";
        walk.error(at, "conflict", "`timeout` is longer than `interval`", help);
    }
    let Some(asked) = &check.protocol else { return };
    for (key, at, belongs) in written(check) {
        if asked.value != belongs {
            let message = format!("`{key}` means nothing to this kind of check");
            let word = match belongs {
                CheckProtocol::Grpc => "grpc",
                CheckProtocol::Http => "http",
                CheckProtocol::Tcp => "tcp",
            };
            let help = format!("write `protocol: {word}`, or remove it");
            walk.error(at, "conflict", message, help);
        }
    }
    let protocol = block.protocol.as_ref().map(|at| at.value);
    if asked.value == CheckProtocol::Grpc && protocol == Some(UpstreamProtocol::H1) {
        let message = "gRPC needs HTTP/2, and the upstream speaks HTTP/1.1";
        let help = "write `protocol: h2c` (or h2) for the upstream, or check with `tcp`";
        walk.error(asked.at, "conflict", message, help);
    }
}

/// Keys that a person wrote and that belong to one kind of check.
fn written(check: &HealthCheckBlock) -> Vec<(&'static str, Place, CheckProtocol)> {
    let path = check.path.as_ref().filter(|at| at.is_written);
    let expect = check.expect.as_ref().filter(|at| at.is_written);
    let keys = [
        path.map(|at| ("path", at.at, CheckProtocol::Http)),
        expect.map(|at| ("expect", at.at, CheckProtocol::Http)),
        check
            .service
            .as_ref()
            .map(|at| ("service", at.at, CheckProtocol::Grpc)),
    ];
    keys.into_iter().flatten().collect()
}
