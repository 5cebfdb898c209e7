//! The numbers by which a trace and its parts are told from all others (W3C Trace Context).

use std::{fmt, num::NonZero};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $number:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Of these bytes; `None` if they are all zero, which stands for no number.
            pub fn new(bytes: [u8; $bytes]) -> Option<Self> {
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// Of lower-case hexadecimal digits, two for each byte, and nothing else.
            pub fn parse(text: &[u8]) -> Option<Self> {
                let mut bytes = [0; $bytes];
                let (pairs, rest) = text.as_chunks::<2>();
                if pairs.len() != $bytes || !rest.is_empty() {
                    return None;
                }
                for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
                    *byte = digit(*high)? << 4 | digit(*low)?;
                }
                Self::new(bytes)
            }

            /// Its bytes.
            pub const fn bytes(self) -> [u8; $bytes] {
                self.0
            }
        }

        impl From<NonZero<$number>> for $name {
            fn from(number: NonZero<$number>) -> Self {
                Self(number.get().to_be_bytes())
            }
        }

        impl fmt::Display for $name {
            /// Lower-case hexadecimal digits.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

number!(
    /// A trace: all that one request of a user leads to, in every program that it meets.
    TraceId,
    16,
    u128
);
number!(
    /// A span: what one program, or one attempt of it, does for a trace.
    SpanId,
    8,
    u64
);

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_lower_case_digits_of_its_length_and_not_zero() {
        let id = TraceId::parse(b"4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        assert_eq!(id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(id.bytes()[..3], [0x4b, 0xf9, 0x2f]);
        for bad in [
            "",
            "4bf92f3577b34da6a3ce929d0e0e473",
            "4bf92f3577b34da6a3ce929d0e0e47361",
            "4bf92f3577b34da6a3ce929d0e0e473600",
            "4BF92F3577B34DA6A3CE929D0E0E4736",
            "4bf92f3577b34da6a3ce929d0e0e473g",
            "00000000000000000000000000000000",
        ] {
            assert_eq!(TraceId::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(SpanId::new([0; 8]), None);
        let span = SpanId::parse(b"00f067aa0ba902b7").unwrap();
        assert_eq!(span.to_string(), "00f067aa0ba902b7");
    }
}
