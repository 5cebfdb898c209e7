//! A door to what is read of AWS when it does not answer, and to credentials.

use http::{HeaderMap, StatusCode};

use super::{
    Action, Service, credentials, profile,
    refusal::{Refusal, of_json, of_xml},
};
use crate::{discover::DiscoverError, model::Moment};

/// What people are told of a refusal.
pub fn refused(told: &[u8]) -> Vec<String> {
    let _role = credentials::read(told, Moment::from_millis(1), "the agent");
    let text = String::from_utf8_lossy(told);
    let _file = profile::parse(&text);
    let headers = HeaderMap::new();
    let both = [of_json(&headers, told), of_xml(&text)];
    let told = both.into_iter().map(|(code, sentence)| {
        let refusal = Refusal {
            action: Action(Service::Ecs, "ListTasks"),
            status: StatusCode::BAD_REQUEST,
            headers: &headers,
            code,
            sentence,
        };
        DiscoverError::from(refusal.understood(Moment::ZERO)).to_string()
    });
    told.collect()
}
