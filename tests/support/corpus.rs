//! The messages of `tests/fixtures/conformance`.

use base64::{Engine, engine::general_purpose::STANDARD};

/// One vector: bytes to send, in parts.
#[derive(Debug)]
pub struct Vector {
    pub id: String,
    pub parts: Vec<Vec<u8>>,
}

impl Vector {
    /// All parts as one stream.
    pub fn stream(&self) -> Vec<u8> {
        self.parts.concat()
    }
}

/// Requests that a client sends, each file with its name.
const REQUESTS: [(&str, &str); 4] = [
    (
        "garden",
        include_str!("../fixtures/conformance/garden.jsonl"),
    ),
    (
        "smuggler",
        include_str!("../fixtures/conformance/smuggler.jsonl"),
    ),
    (
        "desync",
        include_str!("../fixtures/conformance/desync.jsonl"),
    ),
    (
        "llhttp-request",
        include_str!("../fixtures/conformance/llhttp-request.jsonl"),
    ),
];

/// All vectors of the request files. llhttp's come without Host, which HTTP/1.1 asks for; each is
/// there twice, as it is and with one.
pub fn requests() -> Vec<Vector> {
    let mut all = Vec::new();
    for (name, text) in REQUESTS {
        for vector in load(text, "send") {
            if name == "llhttp-request"
                && let Some(part) = with_host(&vector.parts[0])
            {
                let mut parts = vector.parts.clone();
                parts[0] = part;
                all.push(Vector {
                    id: format!("{}+host", vector.id),
                    parts,
                });
            }
            all.push(vector);
        }
    }
    all
}

/// All vectors that an origin sends.
pub fn responses() -> Vec<Vector> {
    load(
        include_str!("../fixtures/conformance/llhttp-response.jsonl"),
        "origin_sends",
    )
}

fn load(text: &str, key: &str) -> Vec<Vector> {
    text.lines().map(|line| vector(line, key)).collect()
}

fn vector(line: &str, key: &str) -> Vector {
    let value: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
    let parts = value[key].as_array().expect("parts are a list").iter();
    Vector {
        id: value["id"].as_str().expect("an id").to_owned(),
        parts: parts
            .map(|part| {
                STANDARD
                    .decode(part.as_str().expect("base64"))
                    .expect("base64")
            })
            .collect(),
    }
}

/// The message with a Host behind its first line, if it has none.
fn with_host(message: &[u8]) -> Option<Vec<u8>> {
    let lower = message.to_ascii_lowercase();
    if lower.windows(7).any(|window| window == b"\r\nhost:") {
        return None;
    }
    let start = if message.starts_with(b"\r\n") { 2 } else { 0 };
    let line = message[start..]
        .windows(2)
        .position(|window| window == b"\r\n")?
        + start
        + 2;
    Some([&message[..line], b"Host: a.test\r\n", &message[line..]].concat())
}
