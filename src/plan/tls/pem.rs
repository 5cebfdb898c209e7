//! What certificate and key files say.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::ReadError;
use crate::model::Moment;

/// What matters of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// The names that it is for, lower case; `*.` before those of whole domains.
    pub(super) names: Vec<String>,
    /// The last moment at which it holds.
    pub(super) not_after: Moment,
}

/// All certificates of a file, at least one, each of which can be read.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ReadError> {
    let mut chain = Vec::new();
    for (found, number) in CertificateDer::pem_slice_iter(pem).zip(1..) {
        let certificate = found.map_err(|_| ReadError::BadCertificate(number))?;
        facts(&certificate).ok_or(ReadError::BadCertificate(number))?;
        chain.push(certificate);
    }
    if chain.is_empty() {
        return Err(ReadError::NoCertificate);
    }
    Ok(chain)
}

/// The first private key of a file.
pub(super) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, ReadError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| ReadError::NoKey)
}

/// An OCSP answer is a sequence (RFC 6960 section 4.2.1); clients look at the rest.
pub(super) fn ocsp(der: &[u8]) -> Result<Vec<u8>, ReadError> {
    const SEQUENCE: u8 = 0x30;
    if der.first() != Some(&SEQUENCE) {
        return Err(ReadError::BadOcsp);
    }
    Ok(der.to_vec())
}

/// What matters of a certificate.
pub(super) fn facts(certificate: &CertificateDer<'_>) -> Option<Facts> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| {
        let GeneralName::DNSName(name) = name else {
            return None;
        };
        Some(name.to_ascii_lowercase())
    });
    let seconds = parsed.validity().not_after.timestamp();
    let millis = u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000);
    Some(Facts {
        names: names.collect(),
        not_after: Moment::from_millis(millis),
    })
}
