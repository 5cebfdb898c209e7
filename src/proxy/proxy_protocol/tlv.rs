//! The fields behind the addresses of version 2: type, length, value. All are walked, so that a
//! header that lies about its length is found; few mean something to us.

use super::Broken;

/// CRC-32C of the whole header, with these four bytes as zeros.
const CHECKSUM: u8 = 0x03;
/// An id of at most 128 bytes.
const UNIQUE_ID: u8 = 0x05;
/// How the client spoke TLS, with fields of its own inside.
const TLS: u8 = 0x20;
/// AWS: the first byte of the value says what it is.
const AWS: u8 = 0xea;
/// AWS: the id of a VPC endpoint.
const AWS_VPC_ENDPOINT: u8 = 0x01;

/// Bytes of a type and a length.
const PREFIX: usize = 3;
/// The longest unique id.
const UNIQUE_ID_MAX: usize = 128;
/// Bytes of the field of TLS before the fields inside.
const TLS_FIXED: usize = 5;
/// The longest id of a VPC endpoint that is kept; they have 22 or so.
const VPC_ENDPOINT_MAX: usize = 64;

/// The fields of a header, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u8, &'a [u8]), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let whole = self.0.split_first_chunk::<PREFIX>();
        let split = whole.and_then(|(&[kind, high, low], rest)| {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let (value, rest) = rest.split_at_checked(length)?;
            Some((kind, value, rest))
        });
        let Some((kind, value, rest)) = split else {
            self.0 = &[];
            return Some(Err(Broken::Short));
        };
        self.0 = rest;
        Some(Ok((kind, value)))
    }
}

/// Checks the fields at the end of a header; the id of a VPC endpoint, if there is one.
pub(super) fn read(header: &[u8], fields: &[u8]) -> Result<Option<Box<str>>, Broken> {
    let mut vpc_endpoint = None;
    let mut is_checked = false;
    let mut left = fields.len();
    for field in Fields(fields) {
        let (kind, value) = field?;
        left -= PREFIX + value.len();
        match kind {
            CHECKSUM => {
                let told: [u8; 4] = value.try_into().map_err(|_| Broken::Checksum)?;
                let at = header.len() - left - told.len();
                if is_checked || checksum(header, at) != u32::from_be_bytes(told) {
                    return Err(Broken::Checksum);
                }
                is_checked = true;
            }
            UNIQUE_ID if value.len() > UNIQUE_ID_MAX => return Err(Broken::Field),
            TLS => {
                let inside = value.get(TLS_FIXED..).ok_or(Broken::Field)?;
                for field in Fields(inside) {
                    field?;
                }
            }
            AWS => {
                if let Some((&AWS_VPC_ENDPOINT, id)) = value.split_first() {
                    vpc_endpoint = Some(visible(id)?);
                }
            }
            _ => {}
        }
    }
    Ok(vpc_endpoint)
}

fn visible(id: &[u8]) -> Result<Box<str>, Broken> {
    let is_visible = !id.is_empty() && id.iter().all(u8::is_ascii_graphic);
    let id = str::from_utf8(id).ok();
    let id = id.filter(|id| is_visible && id.len() <= VPC_ENDPOINT_MAX);
    Ok(id.ok_or(Broken::Field)?.into())
}

/// CRC-32C of a header whose own checksum stands at a place. A bit at a time: headers are short,
/// and there is one a connection.
pub(super) fn checksum(header: &[u8], at: usize) -> u32 {
    /// Castagnoli's polynomial, its bits turned round.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let own = at..at + 4;
    let bytes = header.iter().enumerate();
    let bytes = bytes.map(|(place, byte)| if own.contains(&place) { 0 } else { *byte });
    !bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            let divides = sum & 1 == 1;
            (sum >> 1) ^ if divides { POLYNOMIAL } else { 0 }
        })
    })
}
