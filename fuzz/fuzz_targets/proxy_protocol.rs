//! The header of the PROXY protocol: what was read of the beginning still holds when more comes,
//! and what is written of it is read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin::proxy::proxy_protocol::{Reading, read, write_v1, write_v2};

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes);
    for len in 0..bytes.len() {
        match read(&bytes[..len]) {
            Reading::Partial => {}
            // The longest header has 4 KiB and 16 bytes; what is known early stays so.
            Reading::Broken(_) => {
                assert!(matches!(whole, Reading::Broken(_)));
                break;
            }
            early => {
                assert_eq!(early, whole);
                break;
            }
        }
    }
    if let Reading::Whole(header, len) = whole {
        assert!(len <= bytes.len());
        let Some(ends) = header.ends else { return };
        for write in [write_v1, write_v2] {
            let mut written = Vec::new();
            write(ends, &mut written);
            let Reading::Whole(again, len) = read(&written) else {
                panic!("what we write is whole");
            };
            assert_eq!((again.ends, len), (Some(ends), written.len()));
        }
    }
});
