//! Certificates: whatever a client shows and a file holds. A subject fits in a header field, and
//! has as many parts as were signed.

#![no_main]

use std::{collections::HashMap, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use serin::{
    config::{self, Config},
    net::subject_of,
    plan::{Tls, tls_files},
};
use x509_parser::prelude::{FromDer, X509Certificate};

const TEXT: &str = "
listeners:
  - name: tls
    address: 127.0.0.1:1
    tls: { certificates: [{ cert: c, key: k, ocsp: o }], client_ca: a }
upstreams:
  old: { static: [\"127.0.0.1:2\"], tls: { ca: a } }
splits:
  shop: { stable: old }
";

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let read = config::load(TEXT, "fuzz.yaml");
    read.expect("the text is right").0
});

fuzz_target!(|bytes: &[u8]| {
    if let Some(subject) = subject_of(bytes) {
        assert!(subject.bytes().all(|b| (b' '..=b'~').contains(&b)));
        let (_, parsed) = X509Certificate::from_der(bytes).expect("it was read before");
        let attributes = parsed.subject().iter_attributes().count();
        assert_eq!(parts(&subject), attributes, "{subject}");
    }
    // Nothing but problems can come of it: no key is among these bytes that fits.
    let files = tls_files(&CONFIG).into_iter();
    let files: HashMap<_, _> = files.map(|path| (path.to_owned(), bytes.to_vec())).collect();
    let (tls, problems) = Tls::read(&CONFIG, &files, &[]);
    assert!(tls.certificates().count() == 0 && !problems.is_empty());
});

/// How many parts a reader of RFC 4514 sees.
fn parts(subject: &str) -> usize {
    let (mut count, mut bytes) = (1, subject.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            b',' | b'+' => count += 1,
            _ => {}
        }
    }
    count
}
