//! Answers as they may come from a server that has lost its mind. The same text has the same ones.

use serde_json::{Value as Json, json};

/// So many mutations of a text, each with a seed of its own.
pub(crate) fn mutations(text: &str, count: u64) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..count).map(move |seed| {
        let mut chance = fastrand::Rng::with_seed(seed);
        match serde_json::from_str::<Json>(text) {
            // What is still JSON gets further.
            Ok(mut told) if chance.u8(..) < 192 => {
                for _ in 0..chance.u8(1..4) {
                    replace(&mut told, &mut chance);
                }
                told.to_string().into_bytes()
            }
            Ok(_) | Err(_) => {
                let mut bytes = text.as_bytes().to_vec();
                for _ in 0..chance.u8(1..4) {
                    cut(&mut bytes, &mut chance);
                }
                bytes
            }
        }
    })
}

/// Puts something else in the place of one value, somewhere.
fn replace(told: &mut Json, chance: &mut fastrand::Rng) {
    let inside: Vec<&mut Json> = match told {
        Json::Object(entries) => entries.values_mut().collect(),
        Json::Array(items) => items.iter_mut().collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
    };
    if inside.is_empty() || chance.u8(..) < 16 {
        let odd = [
            Json::Null,
            json!(""),
            json!("0.0.0.0"),
            json!("224.0.0.1"),
            json!("STOPPED"),
            json!("x".repeat(5_000)),
            json!("\u{0}\u{202e}\r\n"),
            json!(-1),
            json!(0),
            json!(70_000),
            json!(1e300),
            json!(true),
            json!([]),
            json!({}),
            json!([[[]]]),
        ];
        *told = odd[chance.usize(..odd.len())].clone();
        return;
    }
    let place = chance.usize(..inside.len());
    if let Some(inner) = inside.into_iter().nth(place) {
        replace(inner, chance);
    }
}

/// Takes bytes away, doubles some, or changes one.
fn cut(bytes: &mut Vec<u8>, chance: &mut fastrand::Rng) {
    if bytes.is_empty() {
        return;
    }
    let from = chance.usize(..bytes.len());
    let to = (from + chance.usize(1..40)).min(bytes.len());
    match chance.u8(..4) {
        0 => drop(bytes.drain(from..to)),
        1 => bytes.truncate(from),
        2 => {
            let part = bytes[from..to].to_vec();
            bytes.splice(from..from, part);
        }
        _ => bytes[from] = chance.u8(..),
    }
}
