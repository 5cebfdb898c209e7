//! Small pieces of field values (pure).

/// Appends a number as 16 hexadecimal digits.
pub(crate) fn hex(value: u64, out: &mut Vec<u8>) {
    out.extend((0..16).rev().map(|shift| digit(value >> (shift * 4))));
}

/// Writes two numbers as 32 hexadecimal digits.
pub(crate) fn hex_into(high: u64, low: u64, out: &mut [u8; 32]) {
    let mut digits = [0; 32];
    let (first, second) = digits.split_at_mut(16);
    for (half, value) in [(first, high), (second, low)] {
        for (place, shift) in half.iter_mut().zip((0..16).rev()) {
            *place = digit(value >> (shift * 4));
        }
    }
    *out = digits;
}

fn digit(value: u64) -> u8 {
    let low = u8::try_from(value & 15).unwrap_or_default();
    if low < 10 {
        b'0' + low
    } else {
        b'a' + low - 10
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_number_has_sixteen_digits() {
        let mut out = Vec::new();
        super::hex(0x0123_4567_89ab_cdef, &mut out);
        assert_eq!(out, b"0123456789abcdef");
        let mut id = [0; 32];
        super::hex_into(1, 0xf, &mut id);
        assert_eq!(&id, b"0000000000000001000000000000000f");
    }
}
