//! Small pieces of field values (pure).

/// Appends a number as 16 hexadecimal digits.
pub(crate) fn hex(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&hex_digits(value));
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
    #[test]
    fn a_number_has_sixteen_digits() {
        let mut out = Vec::new();
        super::hex(0x0123_4567_89ab_cdef, &mut out);
        assert_eq!(out, b"0123456789abcdef");
        for value in [
            0,
            9,
            10,
            0xf,
            u64::MAX,
            0xfedc_ba98_7654_3210,
            0x90a0_0000_0000_000a,
        ] {
            let digits = super::hex_digits(value);
            assert_eq!(digits.as_slice(), format!("{value:016x}").as_bytes());
        }
    }
}
