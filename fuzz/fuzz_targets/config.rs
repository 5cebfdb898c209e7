//! The text of a config file: a config or problems that can be shown, and the same each time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin::config::load;

fuzz_target!(|text: &str| {
    match load(text, "serin.yaml") {
        Ok((config, warnings)) => {
            assert!(!warnings.has_errors());
            let again = load(text, "serin.yaml").map(|(config, _)| config);
            assert_eq!(Some(config), again.ok());
        }
        Err(problems) => {
            assert!(problems.has_errors());
            assert!(!problems.to_string().is_empty());
        }
    }
});
