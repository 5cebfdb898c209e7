//! `process_*`: what every Prometheus client tells of its process, from `/proc`. Where there is no
//! `/proc`, it is left out.

use super::text::{Kind, Text};
use crate::model::number::{real, real_len};

/// Ticks of a second in `/proc`: 100 on every Linux, whatever the kernel's own.
const TICKS: f64 = 100.0;
/// Bytes of a page; `/proc/self/statm` counts pages. `status` counts KiB, so it is read instead.
const KIB: f64 = 1_024.0;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Process {
    cpu_seconds: Option<f64>,
    start_time: Option<f64>,
    threads: Option<f64>,
    resident: Option<f64>,
    virtual_memory: Option<f64>,
    open_files: Option<f64>,
    max_files: Option<f64>,
}

/// Reads `/proc`: to be called where blocking is allowed.
pub(super) fn read() -> Process {
    let stat = file("/proc/self/stat");
    // The second field is the program's name in brackets, which may hold anything.
    let fields: Vec<f64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| {
            rest.split_whitespace()
                .map(|x| x.parse().unwrap_or(f64::NAN))
                .collect()
        })
        .unwrap_or_default();
    // Field n of proc(5) stands at n - 3 after the name.
    let field = |n: usize| fields.get(n - 3).copied().filter(|x| x.is_finite());
    let boot = number_after(&file("/proc/stat"), "btime ");
    let status = file("/proc/self/status");
    let files = std::fs::read_dir("/proc/self/fd")
        .ok()
        .map(|open| real_len(open.count()));
    Process {
        cpu_seconds: field(14)
            .zip(field(15))
            .map(|(user, system)| (user + system) / TICKS),
        start_time: field(22)
            .zip(boot)
            .map(|(ticks, boot)| boot + ticks / TICKS),
        threads: field(20),
        resident: number_after(&status, "VmRSS:").map(|kib| kib * KIB),
        virtual_memory: number_after(&status, "VmSize:").map(|kib| kib * KIB),
        // One of them is the directory that we read.
        open_files: files.map(|count| count - 1.0),
        max_files: number_after(&file("/proc/self/limits"), "Max open files"),
    }
}

impl Process {
    /// Writes what was found.
    pub(super) fn write(&self, text: &mut Text) {
        let gauges = [
            (
                "process_open_fds",
                self.open_files,
                "Open file descriptors.",
            ),
            (
                "process_max_fds",
                self.max_files,
                "File descriptors that may be open.",
            ),
            (
                "process_resident_memory_bytes",
                self.resident,
                "Memory in RAM.",
            ),
            (
                "process_virtual_memory_bytes",
                self.virtual_memory,
                "Address space in use.",
            ),
            ("process_threads", self.threads, "Threads."),
            (
                "process_start_time_seconds",
                self.start_time,
                "Start, in seconds since the epoch.",
            ),
        ];
        if let Some(seconds) = self.cpu_seconds {
            let help = "User and system CPU time in seconds.";
            text.common_family("process_cpu_seconds", Kind::Counter, help);
            text.sample(&[], seconds);
        }
        for (name, value, help) in gauges {
            if let Some(value) = value {
                text.common_family(name, Kind::Gauge, help);
                text.sample(&[], value);
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rim: runs on the blocking pool"
)]
fn file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The number after a word at the start of a line.
fn number_after(text: &str, word: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(word))?;
    let number = rest.split_whitespace().next()?;
    number.parse::<u64>().ok().map(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_all_of_it() {
        let mut text = Text::new("serin");
        read().write(&mut text);
        assert_eq!(text.series(), 7, "{text:?}");
    }
}
