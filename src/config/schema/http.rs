//! The texts that HTTP puts rules on: field names, cookie names, hosts, paths, methods.

use serde_json::{Value as Json, json};

use super::{Node, Shape, Walk};
use crate::config::{units::Misfit, walk::scalar};

/// A header field's name, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::config) struct HeaderName(pub String);

/// A cookie's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::config) struct CookieName(pub String);

/// A host name or address without port, lower case; `*.` before it if it stands for subdomains.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::config) struct HostName(pub String);

/// A host name or address without port, lower case, that stands for itself only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::config) struct DomainName(pub String);

/// A path that starts with `/` and has no query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::config) struct UrlPath(pub String);

/// A request method.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::config) struct Method(pub String);

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(token)
}

/// The address of a server of the rim without a `/` at its end: scheme, host, perhaps a port and a
/// path, no query. A user in it is refused with where to `say_who` instead.
pub(super) fn server<'a>(
    text: &'a str,
    expects: &'static str,
    say_who: &'static str,
) -> Result<&'a str, Misfit> {
    let misfit = || Misfit::value(text, expects);
    let uri: ::http::Uri = text.parse().map_err(|_| misfit())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|_| is_web).ok_or_else(misfit)?;
    if authority.as_str().contains('@') {
        let message = "this address holds no user and no password".to_owned();
        return Err(Misfit::new("bad_value", message, say_who));
    }
    let ends = authority.as_str().ends_with(':') || authority.as_str().starts_with(':');
    if ends || uri.query().is_some() {
        return Err(misfit());
    }
    Ok(text.trim_end_matches('/'))
}

/// RFC 9110 section 4.2, as far as a host that is compared needs it.
pub(super) fn is_host(text: &str) -> bool {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    if let Some(address) = inner {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        let bytes = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        bytes && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

impl HeaderName {
    pub(super) fn parse(text: &str) -> Result<Self, Misfit> {
        if text.starts_with(':') || !is_token(text) {
            let message = format!("`{text}` cannot be the name of a header field");
            let help = "use letters, digits and `-`, without the colon";
            return Err(Misfit::new("bad_header_name", message, help));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl CookieName {
    pub(super) fn parse(text: &str) -> Result<Self, Misfit> {
        if !is_token(text) {
            let message = format!("`{text}` cannot be the name of a cookie");
            let help = "use letters, digits, `_`, `-` and `.`";
            return Err(Misfit::new("bad_cookie_name", message, help));
        }
        Ok(Self(text.into()))
    }
}

impl HostName {
    pub(super) fn parse(text: &str) -> Result<Self, Misfit> {
        let bare = text.strip_prefix("*.").unwrap_or(text);
        if is_host(bare) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let help = if text.contains("://") {
            "write the name only, without `http://`"
        } else if text == "*" {
            "remove the key to take every host"
        } else if text.contains(':') {
            "write the name without its port"
        } else if text.contains('*') {
            "`*` stands for the first labels only: `*.example.com`"
        } else if !text.is_ascii() {
            "write an international name in its `xn--` form"
        } else {
            "use letters, digits, `-` and `.`"
        };
        Err(Misfit::new(
            "bad_host",
            format!("`{text}` is not a host name"),
            help,
        ))
    }
}

impl DomainName {
    fn parse(text: &str) -> Result<Self, Misfit> {
        let HostName(name) = HostName::parse(text)?;
        if name.starts_with('*') {
            let message = format!("`{text}` is not one host name");
            return Err(Misfit::new("bad_host", message, "write a name without `*`"));
        }
        Ok(Self(name))
    }
}

impl UrlPath {
    pub(super) fn parse(text: &str) -> Result<Self, Misfit> {
        let bad =
            |what: &str, help: &str| Err(Misfit::new("bad_path", format!("`{text}` {what}"), help));
        if !text.starts_with('/') {
            return bad("does not start with `/`", &format!("write `/{text}`"));
        }
        if text.contains(['?', '#']) {
            return bad(
                "is more than a path",
                "queries and fragments are not matched: remove them",
            );
        }
        if text.contains('*') {
            return bad(
                "has a `*`",
                "a path is exact; `path_prefix` takes all below it",
            );
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return bad("cannot come in a request", "write such characters as `%20`");
        }
        Ok(Self(text.into()))
    }
}

impl Method {
    fn parse(text: &str) -> Result<Self, Misfit> {
        let message = || format!("`{text}` is not a request method");
        if !is_token(text) {
            return Err(Misfit::new(
                "bad_method",
                message(),
                "write `GET`, `POST` and so on",
            ));
        }
        if text.bytes().any(|b| b.is_ascii_lowercase()) {
            let help = format!(
                "methods are case-sensitive: write `{}`",
                text.to_uppercase()
            );
            return Err(Misfit::new("bad_method", message(), &help));
        }
        Ok(Self(text.into()))
    }
}

macro_rules! texts {
    ($($type:ident: $expects:literal,)+) => {
        $(impl Shape for $type {
            fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
                scalar(node, walk, $expects, $type::parse)
            }

            fn describe() -> Json {
                json!({ "type": "string", "minLength": 1 })
            }
        })+
    };
}

texts! {
    HeaderName: "the name of a header field",
    CookieName: "the name of a cookie",
    HostName: "a host name",
    DomainName: "a host name",
    UrlPath: "a path such as `/api`",
    Method: "a method such as `GET`",
}
