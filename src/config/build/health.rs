//! Questions to endpoints, as others see them.

use super::{plain, split::list};
use crate::config::{
    HealthCheck, Question,
    leaf::{Count, Text},
    schema::{CheckProtocol, DomainName, HealthCheckBlock, StatusForm, UrlPath},
};

pub(super) fn health_check(block: &HealthCheckBlock) -> Option<HealthCheck> {
    let Count(healthy) = plain(block.healthy.as_ref())?;
    let Count(unhealthy) = plain(block.unhealthy.as_ref())?;
    let port = block.port.as_ref().map(|at| u16::try_from(at.value.0));
    let service = plain(block.service.as_ref()).map(|Text(service)| service);
    let UrlPath(path) = plain(block.path.as_ref())?;
    Some(HealthCheck {
        question: match plain(block.protocol.as_ref())? {
            CheckProtocol::Tcp => Question::Tcp,
            CheckProtocol::Http => Question::Http {
                path,
                expect: list(block.expect.as_ref(), |StatusForm(range)| range),
            },
            CheckProtocol::Grpc => Question::Grpc {
                service: service.unwrap_or_default(),
            },
        },
        host: plain(block.host.as_ref()).map(|DomainName(name)| name),
        port: port.transpose().ok()?,
        interval: plain(block.interval.as_ref())?,
        timeout: plain(block.timeout.as_ref())?,
        healthy: u32::try_from(healthy).ok()?,
        unhealthy: u32::try_from(unhealthy).ok()?,
    })
}
