//! Tells the program which compiler made it, for the `build_info` metric.

use std::{env, process::Command};

fn main() {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(compiler).arg("--version").output();
    let text = told.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let version = text
        .ok()
        .and_then(|text| text.split_whitespace().nth(1).map(str::to_owned));
    say(&format!(
        "rustc-env=SERIN_RUSTC={}",
        version.as_deref().unwrap_or("unknown")
    ));
    say("rerun-if-changed=build.rs");
}

fn say(instruction: &str) {
    println!("cargo::{instruction}");
}
