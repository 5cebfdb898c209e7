//! The program: what was typed goes to [`serin::cli`], and its answer is the exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    serin::cli::run(std::env::args_os())
}
