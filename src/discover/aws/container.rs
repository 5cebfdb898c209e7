//! The role of the task that we run in: its agent tells credentials over HTTP.
//!
//! An address in the environment is trusted with our token only if nobody on the way can read it:
//! this machine, the agent's link-local addresses, or TLS.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header::AUTHORIZATION};

use super::{
    Environment,
    credentials::{Found, read},
};
use crate::{
    model::Moment,
    net::web::{Limits, Web},
};

const LIMITS: Limits = Limits {
    time: Duration::from_secs(2),
    body: 64 * 1024,
};

/// The agents of ECS and of EKS.
const AGENTS: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

/// Who tells the credentials of a task's role.
#[derive(Debug)]
pub(super) struct Agent {
    uri: Uri,
    token: Token,
}

/// What we show to the agent.
enum Token {
    None,
    Text(String),
    /// It is written anew now and then.
    File(String),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Text(_) => "Text",
            Self::File(_) => "File",
        })
    }
}

impl Agent {
    /// The one that the environment names, if it names one.
    pub(super) fn of(environment: &Environment) -> Result<Option<Self>, String> {
        const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
        const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        let (name, text) = match (environment.get(RELATIVE), environment.get(FULL)) {
            (Some(path), _) => (RELATIVE, format!("http://169.254.170.2{path}")),
            (None, Some(whole)) => (FULL, whole.to_owned()),
            (None, None) => return Ok(None),
        };
        let uri: Uri = text
            .parse()
            .map_err(|_| format!("`{name}` is no address: `{text}`"))?;
        if !is_safe(&uri) {
            return Err(format!(
                "`{name}` is `{text}`, where credentials could be read on the way: it must be \
                 `https`, or `http` to this machine or to 169.254.170.2"
            ));
        }
        let token = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
        let token = match environment.get(&format!("{token}_FILE")) {
            Some(path) => Token::File(path.to_owned()),
            None => environment
                .get(token)
                .map_or(Token::None, |text| Token::Text(text.to_owned())),
        };
        Ok(Some(Self { uri, token }))
    }

    /// Asks for credentials.
    pub(super) async fn ask(&self, web: &Web, now: Moment) -> Result<Found, String> {
        let place = format!("the task's agent at `{}`", self.uri);
        let mut request = Request::get(&self.uri);
        if let Some(token) = self.token().await? {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request
            .body(Bytes::new())
            .map_err(|_| format!("the token for {place} cannot stand in a header field"))?;
        let answer = web.ask(request, LIMITS).await;
        let answer = answer.map_err(|error| format!("{place} cannot be asked: {error}"))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("{place} answered {}", answer.status().as_u16()));
        }
        read(answer.body(), now, &place)
    }

    async fn token(&self) -> Result<Option<String>, String> {
        match &self.token {
            Token::None => Ok(None),
            Token::Text(text) => Ok(Some(text.clone())),
            Token::File(path) => {
                let text = super::profile::text(path.into()).await?;
                Ok(Some(text.trim().to_owned()))
            }
        }
    }
}

fn is_safe(uri: &Uri) -> bool {
    let Some(host) = uri.host() else {
        return false;
    };
    let host = host.trim_matches(['[', ']']);
    let is_near = || match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || AGENTS.contains(&address),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_near(),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_only_where_nobody_reads_it_on_the_way() {
        let cases = [
            ("http://127.0.0.1/v2", true),
            ("http://127.9.0.1:51679/v2", true),
            ("http://[::1]:80/v2", true),
            ("http://localhost:1/", true),
            ("http://169.254.170.2/v2/x", true),
            ("http://169.254.170.23/v1", true),
            ("http://[fd00:ec2::23]/v1", true),
            ("https://credentials.internal/v1", true),
            ("http://169.254.169.254/latest", false),
            ("http://10.0.0.1/v2", false),
            ("http://credentials.internal/v1", false),
            ("http://127.0.0.1.example/v2", false),
            ("http://localhost.example/v2", false),
            ("ftp://127.0.0.1/v2", false),
            ("/v2/x", false),
        ];
        for (uri, expected) in cases {
            assert_eq!(is_safe(&uri.parse().unwrap()), expected, "{uri}");
            let environment = Environment::of([(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(),
                uri.to_owned(),
            )]);
            assert_eq!(Agent::of(&environment).is_ok(), expected, "{uri}");
        }
    }

    #[test]
    fn a_path_is_asked_at_the_tasks_agent_and_comes_first() {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = Environment::of([
            variable(
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                "/v2/credentials/7",
            ),
            variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/x"),
            variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush"),
        ]);
        let agent = Agent::of(&environment).unwrap().unwrap();
        assert_eq!(agent.uri, "http://169.254.170.2/v2/credentials/7");
        assert!(!format!("{agent:?} {environment:?}").contains("hush"));
    }
}
