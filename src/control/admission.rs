//! Who may ask admin, and for what: as the file in force and those that it names say.
//!
//! A token is kept as its hash only, from the moment on that its file was read: nothing that prints
//! or dumps this can show one. Admin reads this at each request, so that a token that was taken out
//! of its file is good for nothing a moment later.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{
    config::{Admin, Config},
    model::Access,
    plan::{ServerTls, Tls},
};

/// The shortest token: one of these letters cannot be guessed.
const TOKEN_LENGTH_MIN: usize = 20;
/// A token of fewer different characters was typed, not drawn.
const TOKEN_CHARACTERS_MIN: usize = 8;
/// The longest name of a token.
const NAME_LENGTH_MAX: usize = 64;

/// Who may ask, and for what.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Admission {
    /// What callers over TCP may do who prove nothing.
    pub anonymous: Access,
    /// What owners of tokens may do.
    pub tokens: Tokens,
    /// What owners of certificates may do, by subject; others may read.
    pub certificates: Vec<(String, Access)>,
    /// What connections over TCP shake hands with; `None`: plain text.
    pub tls: Option<ServerTls>,
    /// Whether there is a page.
    pub has_page: bool,
}

impl Admission {
    /// As a file says, with the tokens and certificates that it names.
    pub(super) fn of(config: &Config, tokens: &Tokens, tls: &Tls) -> Self {
        let Admin {
            anonymous,
            certificates,
            has_page,
            ..
        } = &config.admin;
        let named = certificates.iter();
        Self {
            anonymous: *anonymous,
            tokens: tokens.clone(),
            certificates: named.map(|it| (it.subject.clone(), it.role)).collect(),
            tls: tls.admin.clone(),
            has_page: *has_page,
        }
    }

    /// Whether a certificate is one way to prove who one is.
    pub fn asks_for_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(ServerTls::asks_clients)
    }

    /// What the owner of a certificate may do.
    pub fn of_certificate(&self, subject: &str) -> Access {
        let mut named = self.certificates.iter();
        let found = named.find(|(known, _)| known == subject);
        found.map_or(Access::Read, |(_, access)| *access)
    }
}

/// The tokens of a file.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tokens(Vec<Token>);

#[derive(Clone, PartialEq, Eq)]
struct Token {
    name: String,
    access: Access,
    digest: [u8; 32],
}

impl Tokens {
    /// Reads lines such as `operate deploy 6fJ0...`; empty lines and those that begin with `#` are
    /// passed over. A name may stand twice, so that a token can be replaced without a gap. Else
    /// which line is wrong, and how; what stands there is not repeated.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut tokens: Vec<Token> = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let token = token(line).map_err(|why| (number, why))?;
            if tokens.iter().any(|known| known.digest == token.digest) {
                return Err((number, "the same token stands above".to_owned()));
            }
            tokens.push(token);
        }
        if tokens.is_empty() {
            return Err((1, "there is no token".to_owned()));
        }
        Ok(Self(tokens))
    }

    /// Whose token this is, and what its owner may do. All are compared, whole, whatever is found:
    /// how long it takes says nothing.
    pub fn find(&self, shown: &[u8]) -> Option<(&str, Access)> {
        let digest: [u8; 32] = Sha256::digest(shown).into();
        let mut found = None;
        for token in &self.0 {
            let pairs = token.digest.iter().zip(&digest);
            let difference = pairs.fold(0, |all, (one, other)| all | (one ^ other));
            if difference == 0 {
                found = Some((token.name.as_str(), token.access));
            }
        }
        found
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Shows names and roles, which are no secrets.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|token| (&token.name, token.access));
        f.debug_map().entries(shown).finish()
    }
}

fn token(line: &str) -> Result<Token, String> {
    let parts: Vec<&str> = line.split_whitespace().collect();
    let [role, name, secret] = parts[..] else {
        return Err("expected three words, `ROLE NAME TOKEN`".to_owned());
    };
    let access = Access::of(role).filter(|access| *access > Access::None);
    let access = access.ok_or("the role is none of `read`, `operate` and `admin`")?;
    if !is_name(name) {
        return Err("the name has other characters than letters, digits and `._@-`".to_owned());
    }
    let bytes = secret.as_bytes();
    if bytes.len() < TOKEN_LENGTH_MIN {
        return Err(format!(
            "the token has fewer than {TOKEN_LENGTH_MIN} characters"
        ));
    }
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err("the token has other characters than printable ASCII".to_owned());
    }
    let mut different = bytes.to_vec();
    different.sort_unstable();
    different.dedup();
    if different.len() < TOKEN_CHARACTERS_MIN {
        return Err("the token can be guessed".to_owned());
    }
    Ok(Token {
        name: name.to_owned(),
        access,
        digest: Sha256::digest(bytes).into(),
    })
}

/// What may stand for a person or a program in the audit log: nothing that could be taken for
/// words of ours.
pub fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    (1..=NAME_LENGTH_MAX).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# who\nread grafana 0123456789abcdefghij\n\n  operate deploy \
                        ABCDEFGHIJ0123456789  \nadmin kim@example zyxwvutsrqponmlkjihg\n\
                        operate deploy another-token-of-deploy\n";

    #[test]
    fn a_token_is_known_whole_and_never_shown() {
        let tokens = Tokens::parse(FILE).unwrap();
        let cases = [
            ("0123456789abcdefghij", Some(("grafana", Access::Read))),
            ("ABCDEFGHIJ0123456789", Some(("deploy", Access::Operate))),
            ("another-token-of-deploy", Some(("deploy", Access::Operate))),
            ("zyxwvutsrqponmlkjihg", Some(("kim@example", Access::Admin))),
            ("0123456789abcdefghi", None),
            ("0123456789abcdefghijk", None),
            ("0123456789ABCDEFGHIJ", None),
            ("", None),
            ("deploy", None),
        ];
        for (shown, expected) in cases {
            assert_eq!(tokens.find(shown.as_bytes()), expected, "{shown}");
        }
        let printed = format!("{tokens:?}");
        assert!(
            printed.contains("deploy") && !printed.contains("0123"),
            "{printed}"
        );
        assert_eq!(Tokens::default().find(b""), None);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_without_the_token() {
        let cases = [
            ("", 1, "no token"),
            ("# only words\n", 1, "no token"),
            ("read x 0123456789abcdefghij\noperate y", 2, "three words"),
            ("read x y 0123456789abcdefghij", 1, "three words"),
            ("root x 0123456789abcdefghij", 1, "the role"),
            ("none x 0123456789abcdefghij", 1, "the role"),
            ("read x,y 0123456789abcdefghij", 1, "the name"),
            ("read x 0123456789abcdefghi", 1, "fewer than 20"),
            ("read x aaaaaaaaaaaaaaaaaaaaaaaaaa", 1, "guessed"),
            ("read x 0123456789abcdefghij\u{e9}", 1, "printable"),
            (
                "read x 0123456789abcdefghij\nadmin y 0123456789abcdefghij",
                2,
                "stands above",
            ),
        ];
        for (text, line, part) in cases {
            let (at, why) = Tokens::parse(text).unwrap_err();
            assert_eq!(at, line, "{text}: {why}");
            assert!(why.contains(part), "{text}: {why}");
            assert!(!why.contains("0123") && !why.contains("aaaa"), "{why}");
        }
    }

    #[test]
    fn owners_of_certificates_may_read_unless_more_is_said() {
        let admission = Admission {
            certificates: vec![
                ("CN=deploy".to_owned(), Access::Operate),
                ("CN=gone".to_owned(), Access::None),
            ],
            ..Admission::default()
        };
        assert_eq!(admission.of_certificate("CN=deploy"), Access::Operate);
        assert_eq!(admission.of_certificate("CN=gone"), Access::None);
        assert_eq!(admission.of_certificate("CN=deploy,O=x"), Access::Read);
    }
}
