//! The masters of one Marathon: who is asked, who is put aside, and where they send us.
//!
//! A follower answers for its leader, but for events, where it sends us there: our credentials go
//! along, for the leader is no stranger. They never go from TLS to plain text.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{cluster::Cluster, login::Login};
use crate::{
    discover::DiscoverError,
    net::web::{Limits, Trust, Web},
};

/// For all masters together, so that an error is told soon.
const ROUND: Duration = Duration::from_secs(12);
/// How often one question may be sent elsewhere.
const REDIRECTS: usize = 3;
/// Of an answer.
const LONGEST: usize = 256 << 20;

/// Masters, the best one first.
#[derive(Debug)]
pub(super) struct Masters {
    all: Vec<Master>,
    trust: Trust,
    web: Option<Web>,
    login: Login,
}

#[derive(Debug)]
struct Master {
    url: String,
    /// When it last failed, unless it has answered since.
    failed: Option<Instant>,
}

/// What is wanted of a master.
trait Asking {
    type Answer;
    const ACCEPT: &str;
    async fn ask(web: &Web, request: Request<Bytes>, time: Duration) -> Asked<Self::Answer>;
}

type Asked<T> = Result<Response<T>, String>;

/// A whole answer.
struct Whole;
/// An answer that goes on.
struct Open;

impl Asking for Whole {
    type Answer = Bytes;
    const ACCEPT: &str = "application/json";

    async fn ask(web: &Web, request: Request<Bytes>, time: Duration) -> Asked<Bytes> {
        let limits = Limits {
            time,
            body: LONGEST,
        };
        web.ask(request, limits)
            .await
            .map_err(|error| error.to_string())
    }
}

impl Asking for Open {
    type Answer = Incoming;
    const ACCEPT: &str = "text/event-stream";

    async fn ask(web: &Web, request: Request<Bytes>, time: Duration) -> Asked<Incoming> {
        web.open(request, time)
            .await
            .map_err(|error| error.to_string())
    }
}

impl Masters {
    pub(super) fn new(cluster: &Cluster) -> Self {
        let master = |url: &String| Master {
            url: url.clone(),
            failed: None,
        };
        Self {
            all: cluster.masters.iter().map(master).collect(),
            trust: cluster.ca.clone().map_or(Trust::System, Trust::Authorities),
            web: None,
            login: Login::new(&cluster.login),
        }
    }

    /// A whole answer of the first master that gives one.
    pub(super) async fn ask(&mut self, path: &str) -> Result<Bytes, DiscoverError> {
        self.round::<Whole>(path).await
    }

    /// A stream of the first master that begins one.
    pub(super) async fn open(&mut self, path: &str) -> Result<Incoming, DiscoverError> {
        self.round::<Open>(path).await
    }

    async fn round<A: Asking>(&mut self, path: &str) -> Result<A::Answer, DiscoverError> {
        let web = self.web().await?;
        let until = Instant::now() + ROUND;
        // Who answers stays first; of those who do not, the one that may have mended the longest.
        self.all.sort_by_key(|master| master.failed);
        let mut errors = Vec::new();
        let count = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        for (place, master) in (0..count).zip(&mut self.all) {
            let left = until.saturating_duration_since(Instant::now());
            let time = left / count.saturating_sub(place).max(1);
            match talk::<A>(
                &web,
                &mut self.login,
                &format!("{}{path}", master.url),
                time,
            )
            .await
            {
                Ok(answer) => {
                    master.failed = None;
                    return Ok(answer);
                }
                Err(error) => {
                    master.failed = Some(Instant::now());
                    errors.push(format!("{}: {error}", master.url));
                }
            }
        }
        let errors = format!("Marathon does not answer: {}", errors.join("; "));
        Err(DiscoverError::Unreachable(errors))
    }

    async fn web(&mut self) -> Result<Web, DiscoverError> {
        if let Some(web) = &self.web {
            return Ok(web.clone());
        }
        let trust = self.trust.clone();
        let made = tokio::task::spawn_blocking(move || Web::new(&trust)).await;
        let made = made.map_err(|error| error.to_string());
        let web = made
            .and_then(|made| made.map_err(|error| error.to_string()))
            .map_err(DiscoverError::Unreachable)?;
        self.web = Some(web.clone());
        Ok(web)
    }
}

/// One question, followed to where it is answered.
async fn talk<A: Asking>(
    web: &Web,
    login: &mut Login,
    url: &str,
    time: Duration,
) -> Result<A::Answer, String> {
    let mut at: Uri = url.parse().map_err(|_| format!("`{url}` is no address"))?;
    let (mut redirects, mut is_renewed) = (0, false);
    loop {
        let mut request = Request::get(at.clone())
            .header(header::ACCEPT, A::ACCEPT)
            .header(header::USER_AGENT, "serin");
        if let Some(proof) = login.proof(web).await? {
            request = request.header(header::AUTHORIZATION, proof);
        }
        let request = request
            .body(Bytes::new())
            .map_err(|error| error.to_string())?;
        let answer = A::ask(web, request, time).await?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer.into_body());
        }
        if status == StatusCode::UNAUTHORIZED && login.forget() && !is_renewed {
            is_renewed = true;
        } else if status.is_redirection() && redirects < REDIRECTS {
            redirects += 1;
            at = elsewhere(&at, answer.headers().get(header::LOCATION), login)?;
        } else {
            return Err(format!("it answers {status}"));
        }
    }
}

/// Where a redirection leads.
fn elsewhere(
    from: &Uri,
    location: Option<&http::HeaderValue>,
    login: &Login,
) -> Result<Uri, String> {
    let text = location.and_then(|location| location.to_str().ok());
    let text = text.ok_or("it sends us elsewhere, but not where")?;
    let to: Uri = match text.strip_prefix('/') {
        Some(_) => {
            let mut parts = from.clone().into_parts();
            parts.path_and_query = text.parse().ok();
            Uri::from_parts(parts).map_err(|error| error.to_string())?
        }
        None => text
            .parse()
            .map_err(|_| format!("it sends us to `{text}`"))?,
    };
    let is_exposed = from.scheme_str() == Some("https") && to.scheme_str() != Some("https");
    if is_exposed && login.is_somebody() {
        return Err(format!(
            "it sends us to {to}, where others can read who we are"
        ));
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MasterLogin;

    #[test]
    fn a_redirection_is_followed_but_not_out_of_tls_with_credentials() {
        let nobody = Login::new(&MasterLogin::None);
        let somebody = Login::new(&MasterLogin::ServiceAccount("x".into()));
        let cases = [
            (
                "http://a:1/v2",
                "http://b:2/v2/events?x=1",
                true,
                Some("http://b:2/v2/events?x=1"),
            ),
            ("https://a/v2", "/v3", true, Some("https://a/v3")),
            ("https://a/v2", "https://b/v2", true, Some("https://b/v2")),
            ("https://a/v2", "http://b/v2", true, None),
            ("https://a/v2", "http://b/v2", false, Some("http://b/v2")),
        ];
        for (from, location, has_login, expected) in cases {
            let login = if has_login { &somebody } else { &nobody };
            let location = http::HeaderValue::from_static(location);
            let to = elsewhere(&from.parse().unwrap(), Some(&location), login);
            assert_eq!(
                to.ok().map(|to| to.to_string()).as_deref(),
                expected,
                "{from}"
            );
        }
        assert!(elsewhere(&"http://a".parse().unwrap(), None, &nobody).is_err());
    }
}
