//! What may be wrong with the files that `tls` names, and how it is mended.

use std::path::PathBuf;

/// Something that keeps a listener or an upstream from speaking TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsProblem {
    /// Whose it is, in words: `listener web`.
    pub owner: String,
    /// The file; `None`: it is in none.
    pub path: Option<PathBuf>,
    /// What is wrong.
    pub why: ReadError,
}

/// What is wrong with a file that `tls` names. Says nothing of what a key file holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file of certificates that has none.
    #[error("it holds no certificate in PEM form")]
    NoCertificate,
    /// What is there is no certificate.
    #[error("its certificate number {0} cannot be read")]
    BadCertificate(usize),
    /// A key file that has no key.
    #[error("it holds no private key in PEM form")]
    NoKey,
    /// A key that cannot sign.
    #[error("its private key cannot be used")]
    BadKey,
    /// A key of another certificate.
    #[error("it is not the key of the certificate {}", .0.display())]
    OtherKey(PathBuf),
    /// What is there is no OCSP answer.
    #[error("it holds no OCSP answer in DER form")]
    BadOcsp,
    /// Nobody is trusted.
    #[error("the system trusts no certificate authority")]
    NoRoots,
    /// A name that no certificate can have.
    #[error("`{0}` cannot be the name of a server")]
    BadServerName(String),
    /// rustls refuses the whole.
    #[error("TLS cannot be spoken like this: {0}")]
    Refused(String),
}

impl ReadError {
    /// How it is mended.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoCertificate | Self::BadCertificate(_) => {
                "the file begins with `-----BEGIN CERTIFICATE-----`, the server's own first"
            }
            Self::NoKey => {
                "the file begins with `-----BEGIN PRIVATE KEY-----`; \
                 `openssl pkey -in OLD -out NEW` takes a password off or converts it"
            }
            Self::BadKey => "use an ECDSA key (P-256, P-384), Ed25519, or RSA of 2048 bits or more",
            Self::OtherKey(_) => "write both files new, from the same request",
            Self::BadOcsp => "write it with `openssl ocsp ... -respout FILE`, or remove `ocsp`",
            Self::NoRoots => "install `ca-certificates`, or name the authority: `ca: PATH`",
            Self::BadServerName(_) => "write a name that the endpoints' certificates have",
            Self::Refused(_) => "",
        }
    }
}
