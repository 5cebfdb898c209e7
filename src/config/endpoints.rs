//! The file that an upstream's `file:` names: a list of endpoints, each `HOST:PORT` or
//! `{ address: HOST:PORT, weight: N }`, in YAML or JSON.

use std::{fmt, net::IpAddr};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::StaticEndpoint;

/// Reads a list of endpoints. The error says where and what, in one line.
pub fn load_endpoints(text: &str) -> Result<Vec<StaticEndpoint>, String> {
    if text.trim().is_empty() {
        return Err("the file is empty; write `[]` for a list without endpoints".to_owned());
    }
    serde_saphyr::from_str::<Vec<Entry>>(text)
        .map(|entries| entries.into_iter().map(|entry| entry.0).collect())
        .map_err(|error| {
            let place = error
                .location()
                .map(|at| format!("{}:{}: ", at.line(), at.column()));
            let rendered = error.without_snippet().to_string();
            let message = match rendered.rsplit_once(" at line ") {
                Some((message, _)) if place.is_some() => message,
                _ => &rendered,
            };
            let message =
                message.replace("expected sequence start", "expected a list of endpoints");
            format!("{}{message}", place.unwrap_or_default())
        })
}

struct Entry(StaticEndpoint);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    address: String,
    #[serde(default = "one")]
    weight: u32,
}

const fn one() -> u32 {
    1
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`HOST:PORT` or `{ address: HOST:PORT, weight: N }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
        endpoint(text, 1).map(Entry).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        let written = Written::deserialize(MapAccessDeserializer::new(map))?;
        endpoint(&written.address, written.weight)
            .map(Entry)
            .map_err(A::Error::custom)
    }
}

fn endpoint(text: &str, weight: u32) -> Result<StaticEndpoint, String> {
    let wrong =
        || format!("`{text}` is not an endpoint; expected HOST:PORT, such as 10.0.0.1:8080");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port
        .parse::<u16>()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(wrong)?;
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_v6 = |host: &str| {
        host.parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv6())
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let host = match bare {
        Some(bare) if is_v6(bare) => bare,
        None if !host.is_empty() && host.chars().all(is_name) => host,
        _ => return Err(wrong()),
    };
    Ok(StaticEndpoint {
        host: host.to_owned(),
        port,
        weight,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "- 10.0.0.1:80\n- { address: \"[::1]:81\", weight: 3 }\n- web-1.internal:82\n";
        let json = r#"["10.0.0.1:80", {"address": "[::1]:81", "weight": 3}, "web-1.internal:82"]"#;
        let one = |host: &str, port, weight| StaticEndpoint {
            host: host.to_owned(),
            port,
            weight,
        };
        let expected = [
            one("10.0.0.1", 80, 1),
            one("::1", 81, 3),
            one("web-1.internal", 82, 1),
        ];
        assert_eq!(load_endpoints(yaml).unwrap(), expected);
        assert_eq!(load_endpoints(json).unwrap(), expected);
        assert_eq!(load_endpoints("[]").unwrap(), []);
    }

    #[test]
    fn an_error_says_where_and_what() {
        let cases = [
            ("", "the file is empty"),
            (
                "- 10.0.0.1:80\n- 10.0.0.2\n",
                "2:3: `10.0.0.2` is not an endpoint",
            ),
            ("- 10.0.0.1:0\n", "1:3: `10.0.0.1:0` is not an endpoint"),
            ("- ::1:80\n", "1:3: `::1:80` is not an endpoint"),
            ("- { adress: \"10.0.0.1:80\" }\n", "1:5: unknown field"),
            ("- 10.0.0.1:80\n- [\n", "2:3: unclosed"),
            ("endpoints: []\n", "1:1: expected a list of endpoints"),
            ("- 5\n", "1:3: "),
        ];
        for (text, expected) in cases {
            let error = load_endpoints(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
