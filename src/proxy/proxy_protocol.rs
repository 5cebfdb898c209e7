//! The PROXY protocol, versions 1 and 2, as pure functions: the addresses that the one before us
//! tells in front of a connection's own bytes, and the same told to the one behind us.
//!
//! Who may say so is not known here. What is said is read strictly: a header that begins as one
//! and goes on otherwise is broken, never content. Nothing is read beyond its end, and its length
//! is bounded before it is waited for. After `proxy-protocol.txt` of HAProxy.

mod text;
mod tlv;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use self::text::write_v1;

/// The first bytes of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of version 2 before what has the length that they tell.
const FIXED: usize = 16;
/// The longest rest of version 2. Addresses and all that is defined fit in 1 KiB.
const LENGTH_MAX: usize = 4_096;
/// Bytes of two IPv4 addresses with ports.
const V4: usize = 12;
/// Bytes of two IPv6 addresses with ports.
const V6: usize = 36;
/// Bytes of two unix paths.
const UNIX: usize = 216;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The beginning of a header; more is needed.
    Partial,
    /// A header, and how many bytes it has.
    Whole(Header, usize),
    /// No header: the connection's own bytes.
    Absent,
    /// Begun as a header, and none. The connection cannot be believed.
    Broken(Broken),
}

/// What a header says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// The two ends of the connection as the client sees it. `None`: those of this connection hold
    /// (a health check of the one before us, or addresses that are not of the internet).
    pub ends: Option<Ends>,
    /// The id of the VPC endpoint that the connection came through, as AWS tells it.
    pub vpc_endpoint: Option<Box<str>>,
}

/// Both ends of a connection. An IPv4 address in IPv6's clothes is read as what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Who connected.
    pub client: SocketAddr,
    /// To what.
    pub server: SocketAddr,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// Version 1: no end of the line within 107 bytes.
    #[error("the line does not end")]
    Endless,
    /// Version 1: the line is not as it must be.
    #[error("the line is malformed")]
    Line,
    /// Version 2: another version, or a command that there is none.
    #[error("unknown version or command")]
    Command,
    /// Version 2: addresses of a kind that no stream has.
    #[error("unknown kind of addresses")]
    Family,
    /// Version 2: longer than 4 KiB.
    #[error("the header is too long")]
    Long,
    /// Version 2: too short for its addresses, or a field that goes beyond its end.
    #[error("the header is too short for what it says")]
    Short,
    /// Version 2: the checksum is another, or there are two.
    #[error("the checksum is wrong")]
    Checksum,
    /// Version 2: a field whose value cannot be.
    #[error("a field is malformed")]
    Field,
}

/// Reads the header at the beginning of a connection's bytes.
pub fn read(bytes: &[u8]) -> Reading {
    if begins(bytes, text::PREFIX) {
        return told(text::read(bytes));
    }
    if begins(bytes, SIGNATURE) {
        return told(read_v2(bytes));
    }
    Reading::Absent
}

/// Whether bytes go as far as they go like these.
fn begins(bytes: &[u8], like: &[u8]) -> bool {
    bytes.iter().zip(like).all(|(one, other)| one == other)
}

fn told(read: Result<Option<(Header, usize)>, Broken>) -> Reading {
    match read {
        Ok(Some((header, length))) => Reading::Whole(header, length),
        Ok(None) => Reading::Partial,
        Err(broken) => Reading::Broken(broken),
    }
}

fn read_v2(bytes: &[u8]) -> Result<Option<(Header, usize)>, Broken> {
    let is_local = match bytes.get(SIGNATURE.len()) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(Broken::Command),
    };
    let Some((&[.., family, high, low], rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LENGTH_MAX {
        return Err(Broken::Long);
    }
    let whole = FIXED + length;
    let (Some(rest), Some(header)) = (rest.get(..length), bytes.get(..whole)) else {
        return Ok(None);
    };
    // The one before us speaks for itself: the rest is to be skipped, whatever it is.
    if is_local {
        return Ok(Some((Header::default(), whole)));
    }
    let (ends, fields) = match family {
        // Of a kind that the sender does not know: skipped, too.
        0x00 => return Ok(Some((Header::default(), whole))),
        0x11 => addresses::<V4>(rest, |[a, b, c, d, e, f, g, h, ports @ ..]| {
            let client = Ipv4Addr::new(*a, *b, *c, *d);
            let server = Ipv4Addr::new(*e, *f, *g, *h);
            Some(ends(client.into(), server.into(), *ports))
        })?,
        0x21 => addresses::<V6>(rest, |bytes| {
            let (client, rest) = bytes.split_first_chunk::<16>()?;
            let (server, rest) = rest.split_first_chunk::<16>()?;
            let (ports, _) = rest.split_first_chunk::<4>()?;
            let (client, server) = (Ipv6Addr::from(*client), Ipv6Addr::from(*server));
            Some(ends(client.into(), server.into(), *ports))
        })?,
        0x31 => addresses::<UNIX>(rest, |_| None)?,
        _ => return Err(Broken::Family),
    };
    let vpc_endpoint = tlv::read(header, fields)?;
    Ok(Some((Header { ends, vpc_endpoint }, whole)))
}

/// The addresses at the beginning of these bytes, and what is behind them.
fn addresses<const N: usize>(
    bytes: &[u8],
    read: impl FnOnce(&[u8; N]) -> Option<Ends>,
) -> Result<(Option<Ends>, &[u8]), Broken> {
    let (addresses, fields) = bytes.split_first_chunk::<N>().ok_or(Broken::Short)?;
    Ok((read(addresses), fields))
}

fn ends(client: IpAddr, server: IpAddr, [a, b, c, d]: [u8; 4]) -> Ends {
    Ends {
        client: SocketAddr::new(client.to_canonical(), u16::from_be_bytes([a, b])),
        server: SocketAddr::new(server.to_canonical(), u16::from_be_bytes([c, d])),
    }
}

/// Writes a header of version 2.
pub fn write_v2(ends: Ends, out: &mut Vec<u8>) {
    let (client, server) = ends.ips();
    out.extend_from_slice(SIGNATURE);
    match (client, server) {
        (IpAddr::V4(client), IpAddr::V4(server)) => {
            out.extend_from_slice(&[0x21, 0x11, 0, 12]);
            out.extend_from_slice(&client.octets());
            out.extend_from_slice(&server.octets());
        }
        (client, server) => {
            out.extend_from_slice(&[0x21, 0x21, 0, 36]);
            out.extend_from_slice(&in_v6(client).octets());
            out.extend_from_slice(&in_v6(server).octets());
        }
    }
    out.extend_from_slice(&ends.client.port().to_be_bytes());
    out.extend_from_slice(&ends.server.port().to_be_bytes());
}

/// Writes a header of version 2 for a connection of our own, such as a health check.
pub fn write_v2_local(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0x20, 0, 0, 0]);
}

impl Ends {
    /// The two addresses; an IPv4 address in IPv6's clothes is one.
    fn ips(&self) -> (IpAddr, IpAddr) {
        let (client, server) = (self.client.ip(), self.server.ip());
        (client.to_canonical(), server.to_canonical())
    }
}

/// A header has room for one kind of addresses: IPv4 has its place in IPv6.
fn in_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests;
