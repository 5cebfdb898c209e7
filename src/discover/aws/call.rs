//! One question to an API, signed, and its answer.
//!
//! Two protocols: JSON 1.1, which ECS and Cloud Map speak, and the older query protocol of EC2,
//! whose answers are XML. Signatures are made by `aws-sigv4`; all else of an SDK would be a hundred
//! crates more.

use std::{fmt, time::Duration};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::{
    CallError, Environment,
    credentials::{Wallet, system_time},
    refusal::{self, Refusal},
};
use crate::{
    clock,
    config::Aws,
    discover::DiscoverError,
    net::web::{Limits, Trust, Web},
};

/// One question. A hundred tasks are a third of a MiB.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(3),
    body: 16 << 20,
};
/// How often a question is asked that is too much for AWS.
const ATTEMPTS: u32 = 3;
/// The most that is waited before the second attempt; doubled before the third.
const BACKOFF: Duration = Duration::from_millis(300);

/// One of Amazon's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::discover) enum Service {
    Ec2,
    Ecs,
    CloudMap,
}

impl Service {
    /// Its name in signatures and policies.
    const fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Ecs => "ecs",
            Self::CloudMap => "servicediscovery",
        }
    }

    /// What stands before the name of an action of JSON 1.1.
    const fn target(self) -> &'static str {
        match self {
            Self::Ec2 => "",
            Self::Ecs => "AmazonEC2ContainerServiceV20141113",
            Self::CloudMap => "Route53AutoNaming_v20170314",
        }
    }

    /// The first label of its host's name.
    const fn host(self) -> &'static str {
        match self {
            Self::Ec2 | Self::Ecs => self.name(),
            // Instances are asked for at a host of their own.
            Self::CloudMap => "data-servicediscovery",
        }
    }
}

/// What is asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::discover) struct Action(
    pub(in crate::discover) Service,
    pub(in crate::discover) &'static str,
);

impl fmt::Display for Action {
    /// As policies write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}:{}`", self.0.name(), self.1)
    }
}

/// Who asks: where, and as whom.
#[derive(Debug)]
pub(in crate::discover) struct Caller {
    web: Web,
    environment: Environment,
    aws: Aws,
    wallet: Wallet,
    region: Option<String>,
}

impl Caller {
    /// Reads the authorities that the system trusts; asks nobody yet.
    pub(in crate::discover) async fn new(
        aws: Aws,
        environment: Environment,
    ) -> Result<Self, DiscoverError> {
        let web = tokio::task::spawn_blocking(|| Web::new(&Trust::System)).await;
        let web = web.map_err(|error| DiscoverError::Unreachable(error.to_string()))?;
        let web = web.map_err(|error| DiscoverError::Unreachable(error.to_string()))?;
        let file = aws.credentials_file.clone();
        Ok(Self {
            wallet: Wallet::new(web.clone(), environment.clone(), file),
            web,
            environment,
            aws,
            region: None,
        })
    }

    /// Asks in JSON 1.1.
    pub(in crate::discover) async fn json<T: DeserializeOwned>(
        &mut self,
        action: Action,
        question: &Json,
    ) -> Result<T, CallError> {
        let Action(service, name) = action;
        let target = format!("{}.{name}", service.target());
        let fields = [
            (CONTENT_TYPE.as_str(), "application/x-amz-json-1.1"),
            ("x-amz-target", &target),
        ];
        let answer = self.ask(action, &fields, question.to_string()).await?;
        serde_json::from_slice(&answer).map_err(|error| {
            // Only a place is told: the rest may be anything.
            let (line, column) = (error.line(), error.column());
            let what = format!("{action} answered what cannot be understood, at {line}:{column}");
            DiscoverError::Malformed(what).into()
        })
    }

    /// Asks in the query protocol; the answer is XML.
    pub(in crate::discover) async fn query(
        &mut self,
        action: Action,
        version: &str,
        parameters: &[(String, String)],
    ) -> Result<String, CallError> {
        let body = form((action.1, version), parameters);
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        let fields = [(CONTENT_TYPE.as_str(), content_type)];
        let answer = self.ask(action, &fields, body).await?;
        String::from_utf8(answer.to_vec()).map_err(|_| {
            let what = format!("{action} answered what is no text");
            DiscoverError::Malformed(what).into()
        })
    }

    /// Asks, and again if that is too much for AWS: after a random part (full jitter) of a time
    /// that doubles, a few times. The source's own pace slows down beyond that.
    async fn ask(
        &mut self,
        action: Action,
        fields: &[(&str, &str)],
        body: String,
    ) -> Result<Bytes, CallError> {
        let body = Bytes::from(body);
        let mut attempt = 1;
        loop {
            let asked = self.ask_once(action, fields, &body).await;
            match asked {
                Err(error) if error.is_throttled() && attempt < ATTEMPTS => {
                    let most = BACKOFF * 2_u32.pow(attempt - 1);
                    tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
                    attempt += 1;
                }
                Err(error) => {
                    if matches!(error, CallError::Credentials(_)) {
                        self.wallet.doubt();
                    }
                    return Err(error);
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }

    async fn ask_once(
        &mut self,
        action: Action,
        fields: &[(&str, &str)],
        body: &Bytes,
    ) -> Result<Bytes, CallError> {
        let region = self.region().await?;
        let place = self.place(action.0, &region);
        let request = self.signed(action, &place, (&region, fields), body).await?;
        let answer = self.web.ask(request, LIMITS).await.map_err(|error| {
            let what = format!("{action} at `{place}` has no answer: {error}");
            DiscoverError::Unreachable(what)
        })?;
        if answer.status() == StatusCode::OK {
            return Ok(answer.into_body());
        }
        Err(refused(action, &answer))
    }

    /// Where a service is asked: what the file says, else the environment of this service, else of
    /// all, else the region's address.
    pub(super) fn place(&self, service: Service, region: &str) -> String {
        let name = service.name().to_ascii_uppercase();
        let written = self.aws.endpoint.as_deref();
        let written = written
            .or_else(|| self.environment.get(&format!("AWS_ENDPOINT_URL_{name}")))
            .or_else(|| self.environment.get("AWS_ENDPOINT_URL"));
        written.map_or_else(
            || {
                let top = if region.starts_with("cn-") {
                    "amazonaws.com.cn"
                } else {
                    "amazonaws.com"
                };
                format!("https://{}.{region}.{top}", service.host())
            },
            |url| url.trim_end_matches('/').to_owned(),
        )
    }

    async fn region(&mut self) -> Result<String, DiscoverError> {
        let written = self.aws.region.as_deref();
        let written = written
            .or_else(|| self.environment.get("AWS_REGION"))
            .or_else(|| self.environment.get("AWS_DEFAULT_REGION"))
            .or(self.region.as_deref());
        if let Some(region) = written {
            return Ok(region.to_owned());
        }
        let found = self.wallet.metadata.region().await.map_err(|error| {
            let what = format!(
                "no region: write `region:`, or set `AWS_REGION`; there is none in the \
                 environment, and {error}"
            );
            DiscoverError::Unreachable(what)
        })?;
        Ok(self.region.insert(found).clone())
    }

    async fn signed(
        &mut self,
        action: Action,
        place: &str,
        (region, fields): (&str, &[(&str, &str)]),
        body: &Bytes,
    ) -> Result<Request<Bytes>, DiscoverError> {
        let credentials = self.wallet.credentials().await;
        let identity = credentials.map_err(DiscoverError::Unreachable)?.into();
        let odd = |error: &dyn fmt::Display| {
            DiscoverError::Unreachable(format!("{action} at `{place}` cannot be asked: {error}"))
        };
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(action.0.name())
            .time(system_time(clock::wall_clock()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| odd(&error))?
            .into();
        let uri = format!("{place}/");
        let signable = SignableBody::Bytes(body);
        let signable = SignableRequest::new("POST", &uri, fields.iter().copied(), signable);
        let signable = signable.map_err(|error| odd(&error))?;
        let signature = sign(signable, &parameters).map_err(|error| odd(&error))?;
        let mut request = Request::post(&uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(body.clone());
        let mut request = request.map_err(|error| odd(&error))?;
        let (instructions, _) = signature.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// The body of a question in the query protocol.
fn form((action, version): (&str, &str), parameters: &[(String, String)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action);
    form.append_pair("Version", version);
    form.extend_pairs(parameters);
    form.finish()
}

fn refused(action: Action, answer: &Response<Bytes>) -> CallError {
    let (status, headers) = (answer.status(), answer.headers());
    let (code, sentence) = match action.0 {
        Service::Ec2 => refusal::of_xml(str::from_utf8(answer.body()).unwrap_or_default()),
        Service::Ecs | Service::CloudMap => refusal::of_json(headers, answer.body()),
    };
    let refusal = Refusal {
        action,
        status,
        headers,
        code,
        sentence,
    };
    refusal.understood(clock::wall_clock())
}
