//! What several targets need: the proxy without sockets, the strict second reader that the tests
//! have, too, and bytes that are cut in pieces.

#[path = "../../tests/support/canon.rs"]
pub mod canon;
#[path = "../../tests/support/relay.rs"]
pub mod relay;
#[path = "../../tests/support/unambiguous.rs"]
pub mod unambiguous;

/// The first byte says how the others are cut; the answer has the others, and their pieces.
pub fn cut(bytes: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    let (seed, whole) = bytes.split_first()?;
    let (mut rest, mut pieces) = (whole, Vec::new());
    let mut state = u32::from(*seed) << 8 | 1;
    while !rest.is_empty() {
        // Xorshift: small pieces and large ones.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let most = if *seed < 64 { 2 } else { usize::from(*seed) };
        let (piece, left) = rest.split_at((1 + state as usize % most).min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    Some((whole, pieces))
}
