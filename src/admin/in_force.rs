//! The file in force with what was decided for its splits: all that is needed to say what another
//! file would lead to.
//!
//! The file names its secrets by their files. What could be one all the same is a user's name and
//! password in an address, and what stands behind the `?` of one: neither is shown.

use axum::{Json, extract};

use super::{State, wire::InForce};

/// What ends an address in a file.
const ENDS: [char; 6] = ['"', '\'', ' ', ',', '}', ']'];

/// `GET /v1/config/in-force`.
pub(super) async fn show(extract::State(state): extract::State<State>) -> Json<InForce> {
    let config = state.handle.config().borrow().clone();
    let records = state.handle.records().await;
    let records = records.into_iter().map(|(split, record)| {
        let record = serde_json::from_str(&record).unwrap_or_default();
        (split.to_string(), record)
    });
    Json(InForce {
        hash: format!("{:016x}", config.hash),
        text: redacted(&config.text.0),
        records: records.collect(),
    })
}

/// The text without what may be secret in its addresses.
fn redacted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut parts = line.split("://");
        shown.extend(parts.next());
        for part in parts {
            let end = part.find(|c: char| ENDS.contains(&c) || c.is_control());
            let (address, rest) = part
                .split_at_checked(end.unwrap_or(part.len()))
                .unwrap_or_default();
            let path = address.find(['/', '?']).unwrap_or(address.len());
            let (place, path) = address.split_at_checked(path).unwrap_or_default();
            let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
            let path = match path.split_once('?') {
                Some((path, _)) => format!("{path}?..."),
                None => path.to_owned(),
            };
            shown.extend(["://", host, &path, rest]);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_in_an_address_is_not_shown() {
        let cases = [
            ("weight: 5%\n", "weight: 5%\n"),
            (
                "url: http://m:8080/a, app: /b?c\n",
                "url: http://m:8080/a, app: /b?c\n",
            ),
            (
                "url: \"https://kim:pw@m/x?k=s\"\nb: 1",
                "url: \"https://m/x?...\"\nb: 1",
            ),
            ("[http://a@b, http://c?d]", "[http://b, http://c?...]"),
        ];
        for (text, shown) in cases {
            assert_eq!(redacted(text), shown);
        }
    }
}
