//! A list of endpoints, as discovery reads it: endpoints that can be asked, or an error in a line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin::config::load_endpoints;

fuzz_target!(|text: &str| {
    match load_endpoints(text) {
        Ok(endpoints) => {
            for endpoint in endpoints {
                assert!(!endpoint.host.is_empty() && endpoint.port > 0);
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
});
