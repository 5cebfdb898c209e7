//! Where operators and scrapers ask, and who may do what.

use std::{net::SocketAddr, path::PathBuf};

use serde_json::{Value as Json, json};

use super::{
    Default, KeyInfo, Node, Optional, Placed, Required, Shape, Walk, block, describe_block,
    short::{any_of, text},
    word, words,
};
use crate::{
    config::leaf::{SecretFile, Text},
    model::Access,
};

block! {
    /// Where operators and scrapers ask, and who may do what.
    struct AdminBlock {
        /// The address and port for HTTP.
        http: SocketAddr = Optional,
        /// The path of a unix socket. Who may open it may do everything: serin's user and group.
        unix: PathBuf = Optional,
        /// A file with the tokens that callers of `http` show (`Authorization: Bearer TOKEN`), one
        /// a line: `ROLE NAME TOKEN`. Roles are `read`, `operate` and `admin`. It is watched.
        tokens_file: SecretFile = Optional,
        /// How TLS is spoken on `http`; the files are watched. Without it: plain text.
        tls: AdminTlsBlock = Optional,
        /// A file with the authorities (PEM) that sign callers' certificates. It is watched.
        client_ca: SecretFile = Optional,
        /// What owners of certificates may do. Those that are not named here may `read`.
        certificates: Vec<Placed<CallerBlock>> = Optional,
        /// What callers of `http` may do who show neither token nor certificate: `none`, `read`,
        /// `operate` or `admin`. Without it: `none` if there is a `tokens_file` or a `client_ca`,
        /// else `admin` on a loopback address (`read` with `preset: sidecar`), else `read`.
        anonymous: Access = Optional,
        /// Whether there is a page at `/`.
        dashboard: bool = Default("true"),
    } later []
}

block! {
    /// What is shown to callers.
    struct AdminTlsBlock {
        /// A file with the certificate and those that lead to its authority (PEM).
        cert: SecretFile = Required,
        /// A file with its private key (PEM), readable by serin only.
        key: SecretFile = Required,
    } later []
}

block! {
    /// What the owner of a certificate may do.
    struct CallerBlock {
        /// The whole subject of the certificate, most specific part first: `CN=deploy,O=Example`.
        subject: Text = Required,
        /// What its owner may do: `none`, `read`, `operate` or `admin`.
        role: Access = Required,
    } later []
}

/// `admin: "127.0.0.1:9900"`, `admin: none`, `admin: { http, unix }`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) enum AdminForm {
    None,
    Http(SocketAddr),
    Block(Box<AdminBlock>),
}

impl Shape for AdminForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        match text(node) {
            Some("none") => Some(Self::None),
            Some(_) => SocketAddr::read(node, walk).map(Self::Http),
            None => AdminBlock::read(node, walk).map(|block| Self::Block(Box::new(block))),
        }
    }

    fn describe() -> Json {
        any_of(&[
            json!({ "const": "none" }),
            SocketAddr::describe(),
            AdminBlock::describe(),
        ])
    }
}

words!(Access {
    "none" => Self::None,
    "read" => Self::Read,
    "operate" => Self::Operate,
    "admin" => Self::Admin,
} later []);
