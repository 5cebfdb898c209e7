//! What it means that AWS does not answer a question, in words that tell what to mend.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::DATE};
use serde_json::Value as Json;

use super::{Action, credentials::system_time};
use crate::{discover::DiscoverError, model::Moment};

/// More of a sentence of AWS's is left out.
const SENTENCE_MAX: usize = 240;

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::discover) enum CallError {
    /// It is too much for AWS: ask more slowly.
    #[error("{0}")]
    Throttled(String),
    /// Our credentials are not taken: look for others.
    #[error("{0}")]
    Credentials(String),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] DiscoverError),
}

impl CallError {
    /// Whether to ask more slowly.
    pub(in crate::discover) const fn is_throttled(&self) -> bool {
        matches!(self, Self::Throttled(_))
    }
}

impl From<CallError> for DiscoverError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Throttled(words) | CallError::Credentials(words) => Self::Unreachable(words),
            CallError::Other(error) => error,
        }
    }
}

/// An answer that is none.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    pub(super) action: Action,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// AWS's word for it, such as `ThrottlingException`.
    pub(super) code: String,
    /// AWS's sentence about it.
    pub(super) sentence: String,
}

const THROTTLED: [&str; 7] = [
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];
const DENIED: [&str; 4] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedException",
    "UnauthorizedOperation",
];
const UNKNOWN_KEY: [&str; 7] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

impl Refusal<'_> {
    /// In words, and what follows from it.
    pub(super) fn understood(&self, now: Moment) -> CallError {
        let (action, code) = (self.action, self.code.as_str());
        let is_too_much = self.status == StatusCode::TOO_MANY_REQUESTS
            || self.status == StatusCode::SERVICE_UNAVAILABLE
            || self.sentence.contains("Rate exceeded")
            || THROTTLED.contains(&code);
        if is_too_much {
            return CallError::Throttled(format!("AWS throttles {action}{}", self.said()));
        }
        if self.is_about_time() {
            let skew = self.skew(now);
            return CallError::Credentials(format!(
                "AWS refuses {action}: this machine's clock is {skew}; set it right (NTP){}",
                self.said()
            ));
        }
        if DENIED.contains(&code) {
            // The sentence of EC2 is a long cipher.
            let said = if self.sentence.contains("ncoded authorization") {
                String::new()
            } else {
                self.said()
            };
            let error = DiscoverError::Unreachable(format!(
                "AWS denies {action}: allow this action in the policy of the role that Serin \
                 has{said}"
            ));
            return error.into();
        }
        if UNKNOWN_KEY.contains(&code) {
            return CallError::Credentials(format!(
                "AWS does not take the credentials for {action}{}",
                self.said()
            ));
        }
        let status = self.status.as_u16();
        DiscoverError::Unreachable(format!("{action} answered {status}{}", self.said())).into()
    }

    fn is_about_time(&self) -> bool {
        let codes = ["RequestExpired", "RequestTimeTooSkewed"];
        codes.contains(&self.code.as_str())
            || self.sentence.contains("Signature expired")
            || self.sentence.contains("Signature not yet current")
    }

    /// How far our clock is from theirs.
    fn skew(&self, now: Moment) -> String {
        let theirs = self.headers.get(DATE).and_then(|date| date.to_str().ok());
        let theirs = theirs.and_then(|date| httpdate::parse_http_date(date).ok());
        let Some(theirs) = theirs else {
            return "wrong".to_owned();
        };
        let ours = system_time(now);
        match ours.duration_since(theirs) {
            Ok(ahead) => format!("{} ahead of theirs", roughly(ahead)),
            Err(behind) => format!("{} behind theirs", roughly(behind.duration())),
        }
    }

    /// AWS's own words, as much as a line of a log bears.
    fn said(&self) -> String {
        let code = clean(&self.code);
        let sentence = clean(&self.sentence);
        match (code.is_empty(), sentence.is_empty()) {
            (true, true) => String::new(),
            (false, true) => format!(" ({code})"),
            (true, false) => format!(" ({sentence})"),
            (false, false) => format!(" ({code}: {sentence})"),
        }
    }
}

fn roughly(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 120 {
        format!("{seconds} s")
    } else {
        format!("{} min", seconds / 60)
    }
}

/// Without what could break a line, and not too long.
fn clean(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let short: String = plain.take(SENTENCE_MAX).collect();
    short.trim().trim_end_matches('.').to_owned()
}

/// Code and sentence of an error told in JSON; the code may be in a field of the head.
pub(super) fn of_json(headers: &HeaderMap, body: &[u8]) -> (String, String) {
    let told: Json = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| told.get(key).and_then(Json::as_str);
    let header = headers.get("x-amzn-errortype");
    let header = header.and_then(|value| value.to_str().ok());
    let code = text("__type")
        .or(text("code"))
        .or(header)
        .unwrap_or_default();
    // `com.amazonaws.ecs#ClusterNotFoundException:http://...`
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let sentence = text("message").or(text("Message")).unwrap_or_default();
    (code.to_owned(), sentence.to_owned())
}

/// Code and sentence of an error told in XML.
pub(super) fn of_xml(body: &str) -> (String, String) {
    let Ok(document) = roxmltree::Document::parse(body) else {
        return (String::new(), String::new());
    };
    let text = |name: &str| {
        let mut found = document
            .descendants()
            .filter(|node| node.has_tag_name(name));
        let text = found.next().and_then(|node| node.text());
        text.unwrap_or_default().to_owned()
    };
    (text("Code"), text("Message"))
}
