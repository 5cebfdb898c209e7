//! `serin demo` does what it says for every fault: as a person would see it, by its exit code and
//! its last line.
//!
//! One test after another would take over a minute; side by side they take as long as the longest.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it stands"
)]

use std::process::Command;

use serde_json::Value;

/// Plays the demo with one fault; its summary.
fn play(fault: &str) -> Value {
    let done = Command::new(env!("CARGO_BIN_EXE_serin"))
        .args(["demo", "--json", "--rate", "250", "--fault", fault])
        .output()
        .unwrap();
    let out = String::from_utf8(done.stdout).unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{fault}: {}\n{out}\n{told}",
        done.status
    );
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() > 10, "{out}");
    let page = lines[0]["page"].as_str().unwrap();
    assert!(page.starts_with("http://127.0.0.1:"), "{out}");
    let summary = lines.last().unwrap().clone();
    let keys: Vec<&String> = summary.as_object().unwrap().keys().collect();
    let expected = [
        "fault",
        "fault_at_ms",
        "rolled_back",
        "rollback_after_ms",
        "cause",
        "requests",
        "client_errors",
        "canary_requests_after_fault",
    ];
    assert_eq!(keys, expected);
    assert_eq!(summary["fault"], fault);
    assert!(summary["requests"].as_u64().unwrap() > 500, "{summary}");
    summary
}

fn rolled_back(fault: &str) -> Value {
    let summary = play(fault);
    assert_eq!(summary["rolled_back"], true, "{summary}");
    assert!(
        summary["rollback_after_ms"].as_u64().unwrap() < 10_000,
        "{summary}"
    );
    assert!(
        summary["canary_requests_after_fault"].as_u64().unwrap() > 0,
        "{summary}"
    );
    summary
}

#[test]
fn a_canary_that_answers_500_is_rolled_back() {
    let summary = rolled_back("errors");
    assert!(
        summary["cause"].as_str().unwrap().contains("error_rate"),
        "{summary}"
    );
    assert_eq!(
        summary["client_errors"], 0,
        "stable has answered: {summary}"
    );
}

#[test]
fn a_canary_that_is_late_is_rolled_back_by_the_plain_rule() {
    let summary = rolled_back("latency");
    assert!(
        summary["cause"].as_str().unwrap().contains("latency"),
        "{summary}"
    );
    assert_eq!(summary["client_errors"], 0, "{summary}");
}

#[test]
fn a_canary_that_is_dead_is_rolled_back_and_hardly_a_user_sees_it() {
    let summary = rolled_back("dead");
    let errors = summary["client_errors"].as_u64().unwrap();
    assert!(
        errors <= 5,
        "only requests under way when it died may fail: {summary}"
    );
}

#[test]
fn a_good_canary_is_promoted() {
    let summary = play("none");
    assert_eq!(summary["rolled_back"], false, "{summary}");
    assert_eq!(summary["client_errors"], 0, "{summary}");
    assert_eq!(summary["fault_at_ms"], Value::Null);
}
