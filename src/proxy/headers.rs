//! Small pieces of field values (pure).

use std::{io::Write, net::IpAddr};

/// The longest address: an IPv4 one in IPv6, written out.
const ADDRESS: usize = 45;

/// An address as text, kept in place: every connection has one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressText {
    bytes: [u8; ADDRESS],
    len: usize,
}

impl AddressText {
    /// Of this address; an IPv4 one in IPv6 is written as the IPv4 one that it is.
    pub(crate) fn new(address: IpAddr) -> Self {
        let mut bytes = [0; ADDRESS];
        let mut rest = bytes.as_mut_slice();
        // There is room for every address, so that writing cannot fail.
        let _written = match address.to_canonical() {
            // Without the machinery of formatting: it would be a part of what a connection costs.
            IpAddr::V4(address) => address.octets().iter().enumerate().try_for_each(|(at, n)| {
                let dot: &[u8] = if at == 0 { b"" } else { b"." };
                rest.write_all(dot)?;
                rest.write_all(itoa::Buffer::new().format(*n).as_bytes())
            }),
            IpAddr::V6(address) => write!(rest, "{address}"),
        };
        let len = ADDRESS - rest.len();
        Self { bytes, len }
    }

    /// The text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A number as 16 hexadecimal digits, all made at once: a digit for each byte of two words.
pub(crate) fn hex_digits(value: u64) -> [u8; 16] {
    const fn each(b: u8) -> u64 {
        u64::from_be_bytes([b; 8])
    }
    let [high, low] = [value >> 32, value & 0xffff_ffff].map(|half| {
        // Four bits a byte.
        let pairs = (half | half << 16) & 0x0000_ffff_0000_ffff;
        let bytes = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
        let nibbles = (bytes | bytes << 4) & each(0x0f);
        let is_letter = ((nibbles + each(6)) >> 4) & each(1);
        (nibbles + each(b'0') + is_letter * u64::from(b'a' - b'9' - 1)).to_be_bytes()
    });
    let mut digits = [0; 16];
    let (first, second) = digits.split_at_mut(8);
    first.copy_from_slice(&high);
    second.copy_from_slice(&low);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_everybody_writes_them() {
        for text in [
            "0.0.0.0",
            "192.0.2.255",
            "::1",
            "2001:db8:1111:2222:3333:4444:5555:6666",
        ] {
            let address = AddressText::new(text.parse().unwrap());
            assert_eq!(address.as_bytes(), text.as_bytes());
        }
        let mapped = AddressText::new("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(mapped.as_bytes(), b"192.0.2.1");
    }

    #[test]
    fn a_number_has_sixteen_digits() {
        assert_eq!(&hex_digits(0x0123_4567_89ab_cdef), b"0123456789abcdef");
        for value in [
            0,
            9,
            10,
            0xf,
            u64::MAX,
            0xfedc_ba98_7654_3210,
            0x90a0_0000_0000_000a,
        ] {
            let digits = hex_digits(value);
            assert_eq!(digits.as_slice(), format!("{value:016x}").as_bytes());
        }
    }
}
