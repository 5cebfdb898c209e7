//! Version 1: one line of text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Broken, Ends, Header, in_v6};

/// Its first bytes.
pub(super) const PREFIX: &[u8] = b"PROXY ";
/// The longest line, its end included.
const LINE_MAX: usize = 107;

pub(super) fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, Broken> {
    let within = bytes.get(..LINE_MAX).unwrap_or(bytes);
    let Some(at) = within.iter().position(|byte| *byte == b'\n') else {
        let is_full = within.len() == LINE_MAX;
        return if is_full {
            Err(Broken::Endless)
        } else {
            Ok(None)
        };
    };
    let line = within.get(..at).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| line.strip_prefix(PREFIX));
    let line = line.and_then(|line| str::from_utf8(line).ok());
    let header = line.and_then(header).ok_or(Broken::Line)?;
    Ok(Some((header, at + 1)))
}

/// What is told behind `PROXY `.
fn header(line: &str) -> Option<Header> {
    if line.contains('\r') {
        return None;
    }
    // What comes behind UNKNOWN is for nobody.
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(Header::default());
    }
    let mut words = line.split(' ');
    let kind = words.next()?;
    let [client, server] = [words.next()?, words.next()?];
    let ports = [port(words.next()?)?, port(words.next()?)?];
    if words.next().is_some() {
        return None;
    }
    let (client, server): (IpAddr, IpAddr) = match kind {
        "TCP4" => (
            client.parse::<Ipv4Addr>().ok()?.into(),
            server.parse::<Ipv4Addr>().ok()?.into(),
        ),
        "TCP6" => (
            client.parse::<Ipv6Addr>().ok()?.into(),
            server.parse::<Ipv6Addr>().ok()?.into(),
        ),
        _ => return None,
    };
    let [client_port, server_port] = ports;
    Some(Header {
        ends: Some(Ends {
            client: SocketAddr::new(client.to_canonical(), client_port),
            server: SocketAddr::new(server.to_canonical(), server_port),
        }),
        vpc_endpoint: None,
    })
}

/// Digits, as few as can be.
fn port(text: &str) -> Option<u16> {
    let are_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_shortest = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| are_digits && is_shortest)
}

/// Writes a header of version 1.
pub fn write_v1(ends: Ends, out: &mut Vec<u8>) {
    let (from, to) = (ends.client.port(), ends.server.port());
    let line = match ends.ips() {
        (IpAddr::V4(client), IpAddr::V4(server)) => {
            format!("PROXY TCP4 {client} {server} {from} {to}\r\n")
        }
        (client, server) => {
            let (client, server) = (in_v6(client), in_v6(server));
            format!("PROXY TCP6 {client} {server} {from} {to}\r\n")
        }
    };
    out.extend_from_slice(line.as_bytes());
}
