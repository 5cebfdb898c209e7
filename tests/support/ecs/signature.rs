//! Whether a question is signed as Amazon wants it (Signature Version 4): computed here anew, from
//! what came over the wire.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{Key, Seen, World};

/// The key that has signed; else what is wrong: a code and a sentence.
pub(super) fn check<'a>(
    world: &'a World,
    seen: &Seen,
    service: &str,
) -> Result<&'a Key, (&'static str, String)> {
    let wrong = |code, sentence: &str| Err((code, sentence.to_owned()));
    let Some(shown) = seen.field("authorization") else {
        return wrong(
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        );
    };
    let part = |name: &str| {
        let (_, rest) = shown.split_once(&format!("{name}="))?;
        rest.split(',').next()
    };
    let parts = (part("Credential"), part("SignedHeaders"), part("Signature"));
    let (Some(credential), Some(signed), Some(signature)) = parts else {
        return wrong("IncompleteSignatureException", "a part is missing");
    };
    let scope: Vec<&str> = credential.split('/').collect();
    let [id, date, region, of, "aws4_request"] = scope[..] else {
        return wrong("IncompleteSignatureException", "the scope is broken");
    };
    if (region, of) != (world.region.as_str(), service) {
        let sentence = format!("Credential should be scoped to {}/{service}", world.region);
        return wrong("InvalidSignatureException", &sentence);
    }
    let Some(key) = world.keys.iter().find(|key| key.id == id) else {
        return wrong(
            "UnrecognizedClientException",
            "The security token is invalid",
        );
    };
    if seen.field("x-amz-security-token") != key.token.as_deref() {
        return wrong(
            "UnrecognizedClientException",
            "The security token is not this key's",
        );
    }
    for needed in ["host", "x-amz-date"] {
        if !signed.split(';').any(|name| name == needed) {
            return wrong("InvalidSignatureException", "a field is not signed");
        }
    }
    let time = seen.field("x-amz-date").unwrap_or_default();
    let canonical = canonical(seen, signed);
    let scope = format!("{date}/{region}/{of}/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(&Sha256::digest(canonical))
    );
    let mut secret = format!("AWS4{}", key.secret).into_bytes();
    for part in [date, region, of, "aws4_request", &text] {
        secret = mac(&secret, part);
    }
    if hex(&secret) == signature {
        Ok(key)
    } else {
        wrong(
            "InvalidSignatureException",
            "The request signature does not match",
        )
    }
}

fn canonical(seen: &Seen, signed: &str) -> String {
    let method = seen.line.split(' ').next().unwrap();
    let mut fields = String::new();
    for name in signed.split(';') {
        writeln!(fields, "{name}:{}", seen.field(name).unwrap_or_default()).unwrap();
    }
    let body = hex(&Sha256::digest(&seen.body));
    format!("{method}\n{}\n\n{fields}\n{signed}\n{body}", seen.path())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}
