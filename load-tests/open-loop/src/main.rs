//! An open loop: requests leave at a fixed rate whatever becomes of those before, and each one's
//! latency counts from the moment it was to leave. So a proxy that stalls is charged for all that
//! had to wait, which a closed loop such as wrk's never sees.
//!
//! `open-loop ADDRESS RATE SECONDS CONNECTIONS REQUEST-FILE` prints one line of JSON. The file
//! holds the request as it goes over the wire; answers must have a `Content-Length`. The first
//! second is warm-up and is not counted.

mod line;
mod load;

use std::{env, fs, io, process::ExitCode, time::Duration};

use crate::load::{Load, Seen};

/// What is sent before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let Some(load) = load(&words) else {
        eprintln!("usage: open-loop ADDRESS RATE SECONDS CONNECTIONS REQUEST-FILE");
        return ExitCode::from(2);
    };
    match load.and_then(Load::run) {
        Ok(seen) => {
            println!("{}", json(&seen));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("open-loop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn load(words: &[String]) -> Option<io::Result<Load>> {
    let [address, rate, seconds, connections, file] = words else {
        return None;
    };
    let address = address.parse().ok()?;
    let rate: f64 = rate.parse().ok().filter(|it| *it > 0.0)?;
    let seconds: f64 = seconds.parse().ok().filter(|it| *it > 0.0)?;
    let connections = connections.parse().ok().filter(|it| *it > 0)?;
    let request = match fs::read(file) {
        Ok(request) => request,
        Err(error) => return Some(Err(error)),
    };
    Some(Load::new(
        address,
        connections,
        request,
        Duration::from_secs_f64(1.0 / rate),
        (WARM_UP, Duration::from_secs_f64(seconds)),
    ))
}

fn json(seen: &Seen) -> String {
    let us = |quantile| seen.latency.value_at_quantile(quantile) as f64 / 1e3;
    format!(
        "{{\"requests\":{},\"counted\":{},\"failed\":{},\"p50_us\":{:.1},\"p99_us\":{:.1},\
         \"p999_us\":{:.1}}}",
        seen.answered,
        seen.latency.len(),
        seen.failed,
        us(0.5),
        us(0.99),
        us(0.999)
    )
}
