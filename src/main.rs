//! The program: what was typed goes to [`serin::cli`], and its answer is the exit code.

use std::process::ExitCode;

// Without transparent huge pages (its feature `no_thp`): each thread would hold megabytes of which
// it uses kilobytes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    serin::cli::run(std::env::args_os())
}
