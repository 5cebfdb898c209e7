//! HMAC-SHA256 (RFC 2104), where speed does not matter.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// The HMAC-SHA256 of `parts`, one after the other.
pub(super) fn hmac(secret: &[u8], parts: &[&str]) -> [u8; 32] {
    mac(secret, parts).finalize().into_bytes().into()
}

/// Whether `signature` is the HMAC-SHA256 of `parts`; takes the same time wherever they differ.
pub(super) fn verifies(secret: &[u8], parts: &[&str], signature: &[u8]) -> bool {
    mac(secret, parts).verify_slice(signature).is_ok()
}

fn mac(secret: &[u8], parts: &[&str]) -> Hmac<Sha256> {
    // Makes of any secret a block, as RFC 2104 section 2 does, since only for a block the type
    // knows that it cannot fail.
    let hashed: [u8; 32];
    let secret = if secret.len() > BLOCK {
        hashed = Sha256::digest(secret).into();
        &hashed
    } else {
        secret
    };
    let mut block = [0; BLOCK];
    for (to, from) in block.iter_mut().zip(secret) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac
}
