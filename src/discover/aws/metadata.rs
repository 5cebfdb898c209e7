//! The metadata of the instance that we run on, version 2: a token first, then what is asked.
//!
//! From a container on a bridge the answer to the token's question may get lost (a hop limit of
//! 1), and outside of AWS nobody is there: it is given a second, twice.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};

use super::{
    Environment,
    credentials::{Found, read},
};
use crate::{
    clock,
    model::Moment,
    net::web::{Limits, Web},
};

const PLACE: &str = "http://169.254.169.254";
const TOKEN: &str = "X-aws-ec2-metadata-token";
const TOKEN_PATH: &str = "/latest/api/token";
const TOKEN_SECONDS: u64 = 21_600;
const LIMITS: Limits = Limits {
    time: Duration::from_secs(1),
    body: 64 * 1024,
};
/// A role's name, a region's, a token: more is none.
const WORD_MAX: usize = 1_024;

/// How the instance is asked.
pub(super) struct Metadata {
    web: Web,
    place: String,
    is_disabled: bool,
    token: Option<(String, Moment)>,
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metadata")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Metadata {
    pub(super) fn new(web: Web, environment: &Environment) -> Self {
        let place = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        Self {
            web,
            place: place.unwrap_or(PLACE).trim_end_matches('/').to_owned(),
            is_disabled: environment.is_true("AWS_EC2_METADATA_DISABLED"),
            token: None,
        }
    }

    /// The credentials of the instance's role.
    pub(super) async fn credentials(&mut self, now: Moment) -> Result<Found, String> {
        const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
        let role = self.word(ROLES).await?;
        let told = self.get(&format!("{ROLES}{role}")).await?;
        read(&told, now, &format!("the instance's role `{role}`"))
    }

    /// The region of the instance.
    pub(super) async fn region(&mut self) -> Result<String, String> {
        self.word("/latest/meta-data/placement/region").await
    }

    /// The first line of an answer.
    async fn word(&mut self, path: &str) -> Result<String, String> {
        let told = self.get(path).await?;
        let text = str::from_utf8(&told).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default().trim();
        let is_word = !line.is_empty()
            && line.len() <= WORD_MAX
            && line.bytes().all(|byte| byte.is_ascii_graphic());
        if is_word {
            Ok(line.to_owned())
        } else {
            Err(self.odd(path, "answered nothing that can be understood"))
        }
    }

    async fn get(&mut self, path: &str) -> Result<Bytes, String> {
        // A token is refused when the instance was moved: a new one is asked for, once.
        for _ in 0..2 {
            let token = self.token().await?;
            let answer = self.ask(Method::GET, path, (TOKEN, &token)).await?;
            match answer.status() {
                StatusCode::OK => return Ok(answer.into_body()),
                StatusCode::UNAUTHORIZED => self.token = None,
                StatusCode::NOT_FOUND => {
                    return Err(self.odd(path, "knows nothing of that: has the instance a role?"));
                }
                other => return Err(self.odd(path, &format!("answered {}", other.as_u16()))),
            }
        }
        Err(self.odd(path, "refuses its own tokens"))
    }

    async fn token(&mut self) -> Result<String, String> {
        let now = clock::wall_clock();
        if let Some((token, until)) = &self.token
            && now < *until
        {
            return Ok(token.clone());
        }
        let seconds = TOKEN_SECONDS.to_string();
        let field = ("X-aws-ec2-metadata-token-ttl-seconds", seconds.as_str());
        let answer = self.ask(Method::PUT, TOKEN_PATH, field).await?;
        let token = String::from_utf8(answer.body().to_vec()).unwrap_or_default();
        if answer.status() != StatusCode::OK || token.is_empty() || token.len() > WORD_MAX {
            let status = answer.status().as_u16();
            return Err(self.odd(TOKEN_PATH, &format!("answered {status} and no token")));
        }
        // Renewed at half of its time.
        let until = now + Duration::from_secs(TOKEN_SECONDS / 2);
        self.token = Some((token.clone(), until));
        Ok(token)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        (name, value): (&str, &str),
    ) -> Result<http::Response<Bytes>, String> {
        if self.is_disabled {
            return Err("`AWS_EC2_METADATA_DISABLED` keeps us from asking the instance".to_owned());
        }
        let mut again = true;
        loop {
            let request = Request::builder()
                .method(method.clone())
                .uri(format!("{}{path}", self.place))
                .header(name, value)
                .body(Bytes::new())
                .map_err(|_| self.odd(path, "cannot be asked so"))?;
            match self.web.ask(request, LIMITS).await {
                Ok(answer) => return Ok(answer),
                Err(_) if again => again = false,
                Err(error) => return Err(self.odd(path, &format!("cannot be asked: {error}"))),
            }
        }
    }

    fn odd(&self, path: &str, what: &str) -> String {
        format!("the instance's metadata at {}{path} {what}", self.place)
    }
}
