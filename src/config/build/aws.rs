//! Endpoints that Amazon knows, as others see them.

use std::collections::BTreeMap;

use super::{listener::path, plain};
use crate::config::{
    Aws, CloudMap, Ecs,
    leaf::{SecretFile, Text},
    schema::{ApiUrl, Attributes, CloudMapBlock, EcsBlock, PollInterval, Region},
    walk::Placed,
};

pub(super) fn ecs(block: &EcsBlock) -> Option<Ecs> {
    Some(Ecs {
        aws: aws(
            (block.region.as_ref(), block.endpoint.as_ref()),
            block.credentials_file.as_ref(),
            block.interval.as_ref(),
        )?,
        cluster: text(block.cluster.as_ref())?,
        service: text(block.service.as_ref())?,
        port: u16::try_from(block.port.as_ref()?.value.0).ok()?,
        container: text(block.container.as_ref()),
        deployment: plain(block.deployment.as_ref()),
        task_definition: text(block.task_definition.as_ref()),
    })
}

pub(super) fn cloud_map(block: &CloudMapBlock) -> Option<CloudMap> {
    let attributes = plain(block.attributes.as_ref());
    Some(CloudMap {
        aws: aws(
            (block.region.as_ref(), block.endpoint.as_ref()),
            block.credentials_file.as_ref(),
            block.interval.as_ref(),
        )?,
        namespace: text(block.namespace.as_ref())?,
        service: text(block.service.as_ref())?,
        port: block
            .port
            .as_ref()
            .and_then(|port| u16::try_from(port.value.0).ok()),
        attributes: attributes.map_or_else(BTreeMap::new, |Attributes(all)| all),
        version_attribute: text(block.version_attribute.as_ref())?,
    })
}

fn aws(
    (region, endpoint): (Option<&Placed<Region>>, Option<&Placed<ApiUrl>>),
    credentials_file: Option<&Placed<SecretFile>>,
    interval: Option<&Placed<PollInterval>>,
) -> Option<Aws> {
    let PollInterval(interval) = plain(interval)?;
    Some(Aws {
        region: plain(region).map(|Region(region)| region),
        endpoint: plain(endpoint).map(|ApiUrl(url)| url),
        credentials_file: path(credentials_file),
        interval,
    })
}

fn text(at: Option<&Placed<Text>>) -> Option<String> {
    plain(at).map(|Text(text)| text)
}
