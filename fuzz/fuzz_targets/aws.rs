//! What AWS may answer: endpoints that can be asked, sorted and without doubles, or a line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin::{
    discover::fuzzing::{addresses, instances, refused, tasks},
    model::Endpoint,
};

fuzz_target!(|bytes: &[u8]| {
    let found = [tasks(bytes), instances(bytes)];
    for all in found.into_iter().flatten() {
        assert!(all.is_sorted_by(|one, next| one.address < next.address), "{all:?}");
        assert!(all.iter().all(can_be_asked), "{all:?}");
    }
    if let Ok(text) = str::from_utf8(bytes) {
        let _known = addresses(text);
    }
    for words in refused(bytes) {
        assert!(!words.chars().any(char::is_control) && words.len() < 4_096, "{words:?}");
    }
});

fn can_be_asked(endpoint: &Endpoint) -> bool {
    let (ip, port) = (endpoint.address.ip(), endpoint.address.port());
    port > 0 && !ip.is_unspecified() && !ip.is_multicast()
}
