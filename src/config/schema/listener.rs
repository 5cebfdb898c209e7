//! Who may come, where, how, and with what.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value as Json, json};

use super::{
    Default, KeyInfo, Many, Node, Optional, Placed, Required, Shape, Walk, block, describe_block,
    short::{any_of, text},
    word, words,
};
use crate::{
    config::{
        Cidr, ClientAuth, ProxyMode, UnknownSni,
        leaf::{Bytes, Count, SecretFile, Window},
    },
    model::ListenerName,
};

block! {
    /// One address to accept on.
    struct ListenerBlock {
        /// Its name.
        name: ListenerName = Required,
        /// The address and port to accept on.
        address: SocketAddr = Required,
        /// What is spoken: `h1`; `h2`, which clients choose in the TLS handshake; `h2c`, HTTP/2
        /// without TLS, by clients that know; `grpc` over either; `websocket` if upgrades are let
        /// through. Without it: all that goes with or without `tls`.
        protocols: Vec<Placed<Protocol>> = Optional,
        /// How TLS is spoken. Without it: plain text.
        tls: TlsBlock = Optional,
        /// Whether the PROXY protocol, version 1 or 2, tells who the client is: `disabled`,
        /// `accept`, `require`, or a mapping.
        proxy_protocol: ProxyProtocolForm = Default("disabled"),
        /// How long a client may take.
        timeouts: ListenerTimeoutsBlock = Default("{}"),
        /// What a client may send.
        limits: LimitsBlock = Default("{}"),
        /// Networks whose `X-Forwarded-*` is believed and appended to; others' is replaced.
        trusted_proxies: Vec<Placed<Cidr>> = Default("[]"),
    } later []
}

block! {
    /// How TLS is spoken to clients. The files are watched: a new certificate holds for the next
    /// handshake.
    struct TlsBlock {
        /// The name that a client asks for picks one, by the names in the certificates; the first
        /// is the default.
        certificates: Vec<Placed<CertificateBlock>> = Required,
        /// A file with the authorities (PEM) that sign clients' certificates. Without it: clients
        /// show none.
        client_ca: SecretFile = Optional,
        /// Whether a client must show a certificate: `required` or `optional`. Without it:
        /// `required` if there is a `client_ca`.
        client_auth: ClientAuth = Optional,
        /// What a client gets that asks for a name that no certificate has, or for none: the
        /// `default` certificate, or a `reject`.
        unknown_sni: UnknownSni = Default("default"),
    } later []
}

block! {
    /// A certificate and its key.
    struct CertificateBlock {
        /// A file with the certificate and those that lead to its authority (PEM).
        cert: SecretFile = Required,
        /// A file with its private key (PEM), readable by serin only.
        key: SecretFile = Required,
        /// A file with the authority's word that it still holds (an OCSP answer, DER), which is
        /// sent along. Without it: none.
        ocsp: SecretFile = Optional,
    } later []
}

block! {
    /// Whether and from whom the PROXY protocol tells who the client is.
    struct ProxyProtocolBlock {
        /// `accept`: who is in `from` may begin with it; `require`: it must, and nobody else may
        /// come.
        mode: ProxyMode = Required,
        /// Networks that are believed. Without it: `trusted_proxies`.
        from: Vec<Placed<Cidr>> = Optional,
    } later []
}

block! {
    /// How long a client may take.
    struct ListenerTimeoutsBlock {
        /// From the first byte of a request's head to its end; absolute.
        request_header: Duration = Default("5s"),
        /// From the connection to the end of the TLS handshake; absolute.
        tls_handshake: Duration = Default("5s"),
        /// Between two pieces of a body, in either direction.
        body_idle: Duration = Default("10s"),
        /// Between two requests on one connection.
        idle: Duration = Default("60s"),
        /// Without a byte either way on an upgraded connection.
        stream_idle: Duration = Default("5m"),
    } later []
}

block! {
    /// What a client may send.
    struct LimitsBlock {
        /// Connections of this listener at a time, over all workers.
        max_connections: Many = Default("10000"),
        /// Connections of one client address at a time, over all workers. Without it: no limit.
        max_connections_per_ip: Many = Optional,
        /// Bytes of a whole request head; more is answered 431.
        max_headers: Bytes = Default("64KiB"),
        /// Fields of a request head; more is answered 431.
        max_header_fields: Count<1, 10_000> = Default("100"),
        /// Bytes of one field line; more is answered 431.
        max_header_line: Bytes = Default("32KiB"),
        /// Bytes of the request target; more is answered 414.
        max_target: Bytes = Default("8KiB"),
        /// Bytes of a request body; more is answered 413. Without it: no limit.
        max_body: Bytes = Optional,
        /// Bytes a second, over 10 s, below which a body that moves too slowly is cut off, either
        /// way; `none` lets it take its time.
        min_rate: MinRate = Default("512B"),
        /// HTTP/2: streams of one connection at a time.
        max_streams_per_connection: Many = Default("100"),
        /// HTTP/2: bytes of a request's field list, each field counted as RFC 9113 does; more is
        /// answered 431.
        max_header_list: Bytes = Default("32KiB"),
        /// HTTP/2: streams of one connection that may be reset, or provoke a reset, in 10 s; more
        /// ends the connection.
        max_resets: Many = Default("100"),
        /// HTTP/2: SETTINGS, PING, PRIORITY and empty frames of one connection a second; more
        /// ends it.
        max_control_frames: Many = Default("150"),
        /// HTTP/2: CONTINUATION frames of one head; more ends the connection.
        max_continuation_frames: Many = Default("8"),
        /// HTTP/2: bytes of one stream that may be on their way to us.
        stream_window: Window = Default("64KiB"),
        /// HTTP/2: bytes of all streams of one connection that may be on their way to us.
        connection_window: Window = Default("1MiB"),
    } later []
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Protocol {
    H1,
    H2,
    H2c,
    Grpc,
    Websocket,
}

/// `proxy_protocol: accept`, `proxy_protocol: { mode, from }`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) enum ProxyProtocolForm {
    Mode(ProxyMode),
    Block(ProxyProtocolBlock),
}

impl Shape for ProxyProtocolForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if text(node).is_some() {
            return ProxyMode::read(node, walk).map(Self::Mode);
        }
        ProxyProtocolBlock::read(node, walk).map(Self::Block)
    }

    fn describe() -> Json {
        any_of(&[ProxyMode::describe(), ProxyProtocolBlock::describe()])
    }
}

/// `min_rate: 512B`, `min_rate: none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct MinRate(pub Option<u64>);

impl Shape for MinRate {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if text(node) == Some("none") {
            return Some(Self(None));
        }
        Bytes::read(node, walk).map(|Bytes(rate)| Self(Some(rate)))
    }

    fn describe() -> Json {
        any_of(&[json!({ "const": "none" }), Bytes::describe()])
    }
}

words!(Protocol {
    "h1" => Self::H1,
    "h2" => Self::H2,
    "h2c" => Self::H2c,
    "grpc" => Self::Grpc,
    "websocket" => Self::Websocket,
} later ["h3"]);
words!(ClientAuth { "required" => Self::Required, "optional" => Self::Optional, } later []);
words!(UnknownSni { "default" => Self::Default, "reject" => Self::Reject, } later []);
words!(ProxyMode {
    "disabled" => Self::Disabled,
    "accept" => Self::Accept,
    "require" => Self::Require,
} later []);
