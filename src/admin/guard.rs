//! What every request meets first, and the one shape of every refusal.
//!
//! A browser on an operator's machine can reach a loopback address, so a page from elsewhere must
//! not be able to act. An act that carries an `Origin` (browsers always send it with an act) must
//! be JSON, which no foreign page can send without our leave, and must come from our own page
//! under an address or `localhost`, which no foreign name can stand for. The same names are the
//! only ones that a loopback address answers to, so that no foreign name can be made to lead here
//! and read. Browsers that say which site asks (`Sec-Fetch-Site`) are taken at their word.

use axum::{
    BoxError, Json,
    body::HttpBody,
    extract::{FromRequest, Request, rejection::JsonRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::Authority},
    response::{IntoResponse, Response},
};

use super::{
    caller::Peer,
    wire::{Failure, Trouble},
};
use crate::control::{Refusal, RefusalKind};

/// A refusal as the wire has it.
#[derive(Debug)]
pub(super) struct Denial {
    status: StatusCode,
    code: &'static str,
    message: String,
    help: String,
}

impl Denial {
    /// A refusal: status, stable code, what is wrong, what to do.
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            help: help.into(),
        }
    }
}

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            message,
            help,
        } = self;
        let error = Trouble {
            code: code.to_owned(),
            message,
            help,
        };
        (status, Json(Failure { error })).into_response()
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal.kind {
            RefusalKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            RefusalKind::Stale => (StatusCode::PRECONDITION_FAILED, "stale_epoch"),
            RefusalKind::Conflict => (StatusCode::CONFLICT, "conflict"),
            RefusalKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            RefusalKind::Unreadable => (StatusCode::INTERNAL_SERVER_ERROR, "unreadable"),
        };
        Self::new(status, code, refusal.message, refusal.help)
    }
}

/// A JSON body. No body is the same as `{}`.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    Json<T>: FromRequest<S, Rejection = JsonRejection>,
{
    type Rejection = Denial;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Denial> {
        if request.body().is_end_stream() {
            *request.body_mut() = axum::body::Body::from("{}");
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(malformed(&rejection)),
        }
    }
}

fn malformed(rejection: &JsonRejection) -> Denial {
    let help = "send JSON with `Content-Type: application/json`, such as {\"reason\": \"...\"}";
    Denial::new(rejection.status(), "malformed", rejection.body_text(), help)
}

/// Turns away what a foreign page has made a browser ask. No browser opens a unix socket, and none
/// sends a token that its page does not know.
pub(super) fn no_foreign_page(
    peer: &Peer,
    request: &Request,
    is_token: bool,
) -> Result<(), Denial> {
    let Peer::Tcp(remote) = peer else {
        return Ok(());
    };
    let headers = request.headers();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    // A link that leads here is followed; nothing else that another site's page asks is answered.
    let is_followed = is_read
        && text("sec-fetch-mode") == Some("navigate")
        && text("sec-fetch-dest") == Some("document");
    let is_of_others = matches!(text("sec-fetch-site"), Some("cross-site" | "same-site"));
    if is_of_others && !is_followed {
        return Err(foreign_page());
    }
    let host = text(header::HOST.as_str());
    if !is_read && is_form(headers) {
        let message = "an act is JSON";
        let help = "send `Content-Type: application/json`, or no body at all";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Denial::new(status, "malformed", message, help));
    }
    let is_ours = |origin: &str| {
        let scheme = if remote.is_tls { "https" } else { "http" };
        let is_same = origin.split_once("://") == Some((scheme, host.unwrap_or_default()));
        is_same && (remote.is_tls || is_token || is_bare(host))
    };
    if let Some(origin) = text(header::ORIGIN.as_str())
        && !(is_ours(origin) && (is_read || is_json(headers)))
    {
        return Err(foreign_page());
    }
    // A name that a stranger has let lead to this machine stands in `Host` as the stranger's.
    let is_open = remote.is_here && !remote.is_tls && !is_token;
    if is_open && host.is_some() && !is_bare(host) {
        let message = "this address answers to no name but localhost";
        let help = "ask it by its IP address or as localhost, or show a token";
        return Err(Denial::new(
            StatusCode::FORBIDDEN,
            "foreign_host",
            message,
            help,
        ));
    }
    Ok(())
}

fn foreign_page() -> Denial {
    let message = "an act from a web page must be JSON and come from this address";
    let help = "open the page by its IP address or as localhost, or use the CLI";
    Denial::new(StatusCode::FORBIDDEN, "foreign_page", message, help)
}

/// Whether a host is an address or `localhost`, which no foreign name can stand for.
fn is_bare(host: Option<&str>) -> bool {
    let Some(Ok(authority)) = host.map(str::parse::<Authority>) else {
        return false;
    };
    let name = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    kind(headers).eq_ignore_ascii_case("application/json")
}

/// Whether a body is of a kind that any page may send anywhere.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = kind(headers).to_ascii_lowercase();
    let forms = [
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain",
    ];
    forms.contains(&kind.as_str())
}

/// The kind of a body, without its parameters.
fn kind(headers: &HeaderMap) -> &str {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next())
        .unwrap_or_default()
        .trim()
}

/// A path that is not there.
pub(super) async fn not_found(request: Request) -> Denial {
    let message = format!("there is no {}", request.uri().path());
    let help = "GET /v1/splits lists the splits; the API is in docs/operations.md";
    Denial::new(StatusCode::NOT_FOUND, "not_found", message, help)
}

/// A path that is there, with another method.
pub(super) async fn wrong_method(request: Request) -> Denial {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("{path} does not take {method}");
    let help = "reads are GET, acts are POST, weights are PUT";
    Denial::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        message,
        help,
    )
}

/// Too many requests at a time, or one that took too long.
pub(super) async fn overloaded(error: BoxError) -> Denial {
    let (status, message) = if error.is::<tower::timeout::error::Elapsed>() {
        (StatusCode::GATEWAY_TIMEOUT, "the answer took too long")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests at a time",
        )
    };
    Denial::new(status, "overloaded", message, "ask again in a second")
}
