//! A door to what is read of Cloud Map.

use std::collections::BTreeMap;

use super::{Found, pick};
use crate::{
    config::{Aws, CloudMap},
    model::Endpoint,
};

/// The endpoints of instances; `None`: it is no such answer.
pub fn instances(told: &[u8]) -> Option<Vec<Endpoint>> {
    let found: Found = serde_json::from_slice(told).ok()?;
    let wanted = CloudMap {
        aws: Aws::default(),
        namespace: "shop".to_owned(),
        service: "web".to_owned(),
        port: Some(3000),
        attributes: BTreeMap::new(),
        version_attribute: "version".to_owned(),
    };
    Some(pick(&found, &wanted).0)
}
