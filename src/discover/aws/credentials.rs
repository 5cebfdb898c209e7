//! Who we are: found in the environment, at the task's agent or at the instance, and renewed before
//! it ends.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_credential_types::Credentials;
use aws_smithy_types::date_time::{DateTime, Format};
use serde::Deserialize;

use super::{Environment, container, metadata::Metadata, profile};
use crate::{
    clock,
    model::{Moment, number::micros},
    net::web::Web,
};

/// How long before their end credentials are renewed.
const AHEAD: Duration = Duration::from_mins(5);
/// The shortest time between two renewals, whatever they say of their end.
const PAUSE: Duration = Duration::from_secs(30);
/// How long a file is good before it is read again.
const FILE: Duration = Duration::from_mins(1);

/// Where credentials are found, and those that were.
#[derive(Debug)]
pub(super) struct Wallet {
    web: Web,
    environment: Environment,
    file: Option<PathBuf>,
    pub(super) metadata: Metadata,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    credentials: Credentials,
    /// When they are looked for again; `None`: never.
    renewal: Option<Moment>,
}

/// What one place gives.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) credentials: Credentials,
    pub(super) renewal: Option<Moment>,
}

impl Wallet {
    /// Nothing is asked yet.
    pub(super) fn new(web: Web, environment: Environment, file: Option<PathBuf>) -> Self {
        Self {
            metadata: Metadata::new(web.clone(), &environment),
            web,
            environment,
            file,
            held: None,
        }
    }

    /// Credentials that are good now, as far as is known. When they cannot be renewed, the old ones
    /// are used on: it is for AWS to refuse them.
    pub(super) async fn credentials(&mut self) -> Result<Credentials, String> {
        let now = clock::wall_clock();
        if let Some(held) = &self.held
            && held.renewal.is_none_or(|renewal| now < renewal)
        {
            return Ok(held.credentials.clone());
        }
        match (self.find(now).await, &mut self.held) {
            (Ok(found), held) => {
                let credentials = found.credentials.clone();
                *held = Some(Held {
                    credentials: found.credentials,
                    renewal: found.renewal,
                });
                Ok(credentials)
            }
            (Err(error), Some(held)) => {
                tracing::warn!(error, "credentials for AWS could not be renewed");
                held.renewal = Some(now + PAUSE);
                Ok(held.credentials.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    /// AWS takes them no more: they are looked for at the next question.
    pub(super) fn doubt(&mut self) {
        if let Some(held) = &mut self.held {
            held.renewal = Some(Moment::from_micros(0));
        }
    }

    /// The file that the configuration names; else the environment, the task's role, the
    /// instance's role.
    async fn find(&mut self, now: Moment) -> Result<Found, String> {
        if let Some(path) = &self.file {
            let credentials = profile::read(path.clone()).await?;
            let renewal = Some(now + FILE);
            return Ok(Found {
                credentials,
                renewal,
            });
        }
        if let Some(credentials) = written(&self.environment) {
            return Ok(Found {
                credentials,
                renewal: None,
            });
        }
        if let Some(agent) = container::Agent::of(&self.environment)? {
            return agent.ask(&self.web, now).await;
        }
        self.metadata.credentials(now).await.map_err(|error| {
            format!(
                "no credentials for AWS: no `AWS_ACCESS_KEY_ID` and no \
                 `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` in the environment, and {error}"
            )
        })
    }
}

/// Credentials in the environment itself; they have no end that we know.
fn written(environment: &Environment) -> Option<Credentials> {
    Some(Credentials::new(
        environment.get("AWS_ACCESS_KEY_ID")?,
        environment.get("AWS_SECRET_ACCESS_KEY")?,
        environment.get("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "environment",
    ))
}

/// The form in which agents and instances tell credentials.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

/// Reads what an agent or an instance tells. Nothing of it is in the error.
pub(super) fn read(told: &[u8], now: Moment, place: &str) -> Result<Found, String> {
    let odd = |what: &str| format!("the credentials of {place} {what}");
    // An error of the reader may quote what it read.
    let told: Told = serde_json::from_slice(told).map_err(|_| odd("cannot be understood"))?;
    if told.access_key_id.is_empty() || told.secret_access_key.is_empty() {
        return Err(odd("are empty"));
    }
    let end = told.expiration.as_deref().map(moment);
    let end = end.map(|end| end.ok_or_else(|| odd("end at a time that cannot be understood")));
    let end = end.transpose()?;
    let renewal = end.map(|end| renewal(end, now));
    let expires = end.map(system_time);
    let credentials = Credentials::new(
        told.access_key_id,
        told.secret_access_key,
        told.token,
        expires,
        "role",
    );
    Ok(Found {
        credentials,
        renewal,
    })
}

/// When credentials that end then are renewed.
fn renewal(end: Moment, now: Moment) -> Moment {
    let early = end.micros().saturating_sub(micros(AHEAD));
    Moment::from_micros(early).max(now + PAUSE)
}

/// `2026-11-26T16:00:00Z`.
fn moment(text: &str) -> Option<Moment> {
    let parsed = DateTime::from_str(text, Format::DateTime).ok()?;
    let since = SystemTime::try_from(parsed)
        .ok()?
        .duration_since(UNIX_EPOCH);
    Some(Moment::from_micros(micros(since.ok()?)))
}

/// A moment as others take it.
pub(super) fn system_time(moment: Moment) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(moment.micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_795_708_980_000);

    #[test]
    fn what_ends_is_renewed_five_minutes_earlier_and_never_in_a_rush() {
        let cases = [
            ("2026-11-26T22:03:00Z", 6 * 3_600 - 300),
            ("2026-11-26T16:10:00Z", 120),
            ("2026-11-26T16:08:10Z", 30),
            ("2026-11-26T16:04:00Z", 30),
            ("2020-01-01T00:00:00Z", 30),
        ];
        for (end, expected) in cases {
            let told = format!(
                r#"{{"AccessKeyId":"AK","SecretAccessKey":"s","Token":"t","Expiration":"{end}"}}"#
            );
            let found = read(told.as_bytes(), NOW, "the agent").unwrap();
            let wait = found.renewal.unwrap().since(NOW);
            assert_eq!(wait, Duration::from_secs(expected), "{end}");
            assert_eq!(found.credentials.session_token(), Some("t"));
        }
        let endless = br#"{"AccessKeyId":"AK","SecretAccessKey":"s"}"#;
        assert_eq!(read(endless, NOW, "the agent").unwrap().renewal, None);
    }

    #[test]
    fn nothing_of_odd_credentials_is_in_the_error() {
        let cases = [
            (
                r#"{"AccessKeyId":"hush","SecretAccessKey":7}"#,
                "cannot be understood",
            ),
            (
                r#"{"AccessKeyId":"hush","SecretAccessKey":""}"#,
                "are empty",
            ),
            (
                r#"{"AccessKeyId":"hush","SecretAccessKey":"hush","Expiration":"hush"}"#,
                "end at a time that cannot be understood",
            ),
            ("hush", "cannot be understood"),
        ];
        for (told, expected) in cases {
            let error = read(told.as_bytes(), NOW, "the agent").unwrap_err();
            assert_eq!(error, format!("the credentials of the agent {expected}"));
        }
        let told = br#"{"AccessKeyId":"AK","SecretAccessKey":"hush","Token":"hush"}"#;
        let found = read(told, NOW, "the agent").unwrap();
        assert!(!format!("{found:?}").contains("hush"));
    }
}
