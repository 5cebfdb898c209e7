//! Who asks, and what they may do.
//!
//! Over the unix socket the kernel says who it is, and whoever may open the socket may do
//! everything. Over TCP a token or a certificate says it, else the file says what anybody may do. A
//! token is read from its header only: what stands in an address ends up in logs and histories, and
//! what stands in a cookie is sent along by foreign pages.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, header};

use crate::{
    control::{Admission, is_name},
    model::Access,
};

/// Says who acts, in the caller's own words: a claim, and shown as one.
const ACTOR: &str = "x-serin-actor";

/// Who is on the other end of a connection.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// Over TCP.
    Tcp(Remote),
    /// Over the unix socket: the user, as the kernel knows it.
    Unix(Option<u32>),
}

/// The other end of a TCP connection.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    /// From where.
    pub(super) from: SocketAddr,
    /// It was taken on a loopback address.
    pub(super) is_here: bool,
    /// TLS is spoken.
    pub(super) is_tls: bool,
    /// The subject of the certificate that was proven to be theirs.
    pub(super) subject: Option<String>,
}

/// How it is known who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Anonymous,
    Token,
    Certificate,
    Socket,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) access: Access,
    pub(super) how: How,
    /// As it is told: nobody can choose it who has not proven to be this one.
    pub(super) who: String,
    /// What they call themselves.
    claim: Option<String>,
}

/// A token that is not known.
#[derive(Debug)]
pub(super) struct Unknown;

impl How {
    /// As the wire has it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Socket => "socket",
        }
    }
}

impl Peer {
    /// What is counted as one place: an address, and of IPv6 the network that one household has.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Unix(uid) => user(*uid),
            Self::Tcp(remote) => match remote.from.ip().to_canonical() {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => {
                    let network = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64));
                    format!("{network}/64")
                }
            },
        }
    }
}

impl Caller {
    /// Who asks; a token that is not known is never taken for none.
    pub(super) fn of(
        peer: &Peer,
        headers: &HeaderMap,
        admission: &Admission,
    ) -> Result<Self, Unknown> {
        let claim = headers.get(ACTOR).and_then(|actor| actor.to_str().ok());
        let claim = claim.filter(|actor| is_name(actor)).map(str::to_owned);
        let known = |access, how, who| Self {
            access,
            how,
            who,
            claim,
        };
        let remote = match peer {
            Peer::Unix(uid) => return Ok(known(Access::Admin, How::Socket, user(*uid))),
            Peer::Tcp(remote) => remote,
        };
        let from = remote.from.ip().to_canonical();
        if let Some(shown) = headers.get(header::AUTHORIZATION) {
            let token = bearer(shown.as_bytes()).ok_or(Unknown)?;
            let (name, access) = admission.tokens.find(token).ok_or(Unknown)?;
            return Ok(known(access, How::Token, format!("{name} (token, {from})")));
        }
        if let Some(subject) = &remote.subject {
            let access = admission.of_certificate(subject);
            let who = format!("{subject} (certificate, {from})");
            return Ok(known(access, How::Certificate, who));
        }
        Ok(known(admission.anonymous, How::Anonymous, from.to_string()))
    }

    /// For the audit log.
    pub(super) fn actor(&self) -> String {
        let who = &self.who;
        match &self.claim {
            Some(claim) => format!("{who}, says {claim}"),
            None => who.clone(),
        }
    }
}

fn user(uid: Option<u32>) -> String {
    uid.map_or_else(|| "unix".to_owned(), |uid| format!("uid {uid} (unix)"))
}

/// The token of `Bearer TOKEN`.
fn bearer(shown: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = shown.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Tokens;

    fn remote(from: &str, subject: Option<&str>) -> Peer {
        Peer::Tcp(Remote {
            from: from.parse().unwrap(),
            is_here: true,
            is_tls: subject.is_some(),
            subject: subject.map(str::to_owned),
        })
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter();
        lines
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn admission() -> Admission {
        Admission {
            anonymous: Access::Read,
            tokens: Tokens::parse("operate deploy 0123456789abcdefghij").unwrap(),
            certificates: vec![("CN=ops".to_owned(), Access::Admin)],
            ..Admission::default()
        }
    }

    #[test]
    fn who_asks_is_proven_or_nobody() {
        let plain = || remote("10.0.0.7:4000", None);
        let proven = |subject| remote("10.0.0.7:4000", Some(subject));
        let good = &[("authorization", "Bearer 0123456789abcdefghij")][..];
        let none = &[][..];
        let cases = [
            (plain(), none, Access::Read, "anonymous", "10.0.0.7"),
            (
                plain(),
                good,
                Access::Operate,
                "token",
                "deploy (token, 10.0.0.7)",
            ),
            (
                plain(),
                &[("authorization", "bearer  0123456789abcdefghij ")][..],
                Access::Operate,
                "token",
                "deploy (token, 10.0.0.7)",
            ),
            (
                proven("CN=ops"),
                none,
                Access::Admin,
                "certificate",
                "CN=ops (certificate, 10.0.0.7)",
            ),
            (
                proven("CN=x"),
                none,
                Access::Read,
                "certificate",
                "CN=x (certificate, 10.0.0.7)",
            ),
            (
                proven("CN=x"),
                good,
                Access::Operate,
                "token",
                "deploy (token, 10.0.0.7)",
            ),
            (
                Peer::Unix(Some(1000)),
                none,
                Access::Admin,
                "socket",
                "uid 1000 (unix)",
            ),
            (
                plain(),
                &[("x-serin-actor", "kim")][..],
                Access::Read,
                "anonymous",
                "10.0.0.7, says kim",
            ),
            (
                plain(),
                &[("x-serin-actor", "kim (token, 10.0.0.1)")][..],
                Access::Read,
                "anonymous",
                "10.0.0.7",
            ),
        ];
        for (peer, lines, access, how, actor) in cases {
            let caller = Caller::of(&peer, &headers(lines), &admission()).unwrap();
            let found = (caller.access, caller.how.as_str(), caller.actor());
            assert_eq!(found, (access, how, actor.to_owned()), "{lines:?}");
        }
    }

    #[test]
    fn a_token_that_is_not_known_is_never_taken_for_none() {
        let wrong = [
            "Bearer 0123456789abcdefghiJ",
            "Bearer ",
            "Bearer",
            "Basic ZGVwbG95OjAxMjM0NTY3ODlhYmNkZWZnaGlq",
            "0123456789abcdefghij",
            "",
        ];
        for shown in wrong {
            let shown = headers(&[("authorization", shown)]);
            let peer = remote("127.0.0.1:4000", None);
            assert!(Caller::of(&peer, &shown, &admission()).is_err());
        }
        let in_a_cookie = headers(&[("cookie", "authorization=0123456789abcdefghij")]);
        let peer = remote("127.0.0.1:4000", None);
        let caller = Caller::of(&peer, &in_a_cookie, &admission()).unwrap();
        assert_eq!(caller.how, How::Anonymous);
    }

    #[test]
    fn one_household_is_one_place() {
        let cases = [
            ("10.0.0.7:1", "10.0.0.7"),
            ("[::ffff:10.0.0.7]:1", "10.0.0.7"),
            ("[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::/64"),
        ];
        for (from, expected) in cases {
            assert_eq!(remote(from, None).place(), expected);
        }
    }
}
