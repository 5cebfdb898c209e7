//! What can be written in the file: addresses, hosts, paths, times.

/// `host:port`, as the file takes it.
pub(in crate::cli::convert) fn is_endpoint(text: &str) -> bool {
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return address.port() > 0;
    }
    text.rsplit_once(':').is_some_and(|(host, port)| {
        is_host(host) && !host.contains('*') && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// A host name, as the file takes it.
pub(in crate::cli::convert) fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix("*.").unwrap_or(host);
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_part = |part: &str| {
        let ends = part.starts_with('-') || part.ends_with('-');
        !part.is_empty() && part.len() < 64 && !ends && part.chars().all(letter)
    };
    bare.len() < 250 && bare.split('.').all(is_part)
}

/// A path, as the file takes it.
pub(in crate::cli::convert) fn is_path(path: &str) -> bool {
    let odd = ['?', '#', '%', '*', '"', '\\', ' '];
    path.starts_with('/') && !path.contains(odd) && path.is_ascii() && !path.contains("..")
}

/// The name of a field, as the file takes it.
pub(in crate::cli::convert) fn is_field(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// A time in the words of the file, of seconds that may be broken; `None`: of nothing.
fn seconds(seconds: f64) -> Option<String> {
    let millis = (seconds * 1e3).round();
    let is_sound = millis.is_finite() && (1.0..=8.64e9).contains(&millis);
    is_sound.then(|| {
        if millis % 1e3 == 0.0 {
            format!("{}s", millis / 1e3)
        } else {
            format!("{millis}ms")
        }
    })
}

/// A time as other proxies write it: `5s`, `500ms`, `1m`, or a bare number of `unit` seconds.
pub(in crate::cli::convert) fn time(text: &str, unit: f64) -> Option<String> {
    let end = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, name) = text.split_at_checked(end)?;
    let factor = match name {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "" => unit,
        _ => return None,
    };
    seconds(number.parse::<f64>().ok()? * factor)
}
