//! Who a client's certificate is for, as a text that can stand in a header field.
//!
//! RFC 4514: most specific part first, `CN=shop,O=Example`; what could be taken for a part's end
//! is escaped, and so is every byte that is not printable ASCII. A certificate cannot make up parts
//! that its authority did not sign.

use std::fmt::Write as _;

use rustls::pki_types::CertificateDer;
use x509_parser::{
    objects::{oid_registry, oid2abbrev},
    prelude::{FromDer, X509Certificate},
    x509::AttributeTypeAndValue,
};

/// The subject of a certificate; `None`: it has none, or cannot be read.
pub(super) fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let parts: Vec<_> = parsed.subject().iter_rdn().collect();
    let mut text = String::new();
    for part in parts.into_iter().rev() {
        let mut between = if text.is_empty() { "" } else { "," };
        for attribute in part.iter() {
            text.push_str(between);
            write_attribute(attribute, &mut text);
            between = "+";
        }
    }
    Some(text).filter(|text| !text.is_empty())
}

fn write_attribute(attribute: &AttributeTypeAndValue<'_>, text: &mut String) {
    let kind = attribute.attr_type();
    match oid2abbrev(kind, oid_registry()) {
        Ok(known) => text.push_str(known),
        Err(_) => text.push_str(&kind.to_id_string()),
    }
    text.push('=');
    if let Ok(value) = attribute.as_str() {
        return write_escaped(value, text);
    }
    // No text: its bytes (section 2.4).
    text.push('#');
    for byte in attribute.as_slice() {
        hex(*byte, text);
    }
}

/// Section 2.4: escaped with a backslash, or as `\` and two hexadecimal digits.
fn write_escaped(value: &str, text: &mut String) {
    let last = value.len().saturating_sub(1);
    for (place, byte) in value.bytes().enumerate() {
        let is_edge = place == 0 || place == last;
        let is_mark = matches!(byte, b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' | b'=');
        match byte {
            b' ' if is_edge => text.push_str("\\ "),
            b'#' if place == 0 => text.push_str("\\#"),
            _ if is_mark => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                text.push('\\');
                hex(byte, text);
            }
        }
    }
}

fn hex(byte: u8, text: &mut String) {
    // Writing to a string cannot fail.
    let _written = write!(text, "{byte:02X}");
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn a_subject_cannot_be_taken_for_another_one() {
        let cases: [(&[(DnType, &str)], &str); 5] = [
            (&[(DnType::CommonName, "shop")], "CN=shop"),
            (
                &[
                    (DnType::OrganizationName, "Example"),
                    (DnType::CommonName, "shop"),
                ],
                "CN=shop,O=Example",
            ),
            (
                &[(DnType::OrganizationName, "x,CN=admin")],
                "O=x\\,CN\\=admin",
            ),
            (
                &[(DnType::CommonName, " #a\r\nx-admin: 1\u{e9}")],
                "CN=\\ #a\\0D\\0Ax-admin: 1\\C3\\A9",
            ),
            (
                &[(DnType::CommonName, "#a\"+;<>\\ ")],
                "CN=\\#a\\\"\\+\\;\\<\\>\\\\\\ ",
            ),
        ];
        for (parts, expected) in cases {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, value) in parts {
                params.distinguished_name.push(kind.clone(), *value);
            }
            let certificate = params.self_signed(&KeyPair::generate().unwrap());
            let certificate = certificate.unwrap();
            assert_eq!(subject(certificate.der()).as_deref(), Some(expected));
        }
    }
}
