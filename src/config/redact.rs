//! A file as it may be shown to others: what is or may be a secret is hidden.
//!
//! Secrets stand in files of their own, so that a good file has none. But a comment, an address with
//! a key in it, the value of a header, or a password under a key that we do not know may be one. What
//! is shown is made from the tree, which has no comments; addresses are cut to their host; and what
//! stands under a key that sounds like a secret is shown only if it is a path.

use serde_json::{Map, Value as Json};

use super::{
    parse::parse,
    tree::{Node, Value},
};

/// Stands for what is hidden.
const HIDDEN: &str = "(hidden)";
/// Parts of keys whose values are secrets, unless they are paths.
const SECRET: [&str; 10] = [
    "pass",
    "secret",
    "token",
    "credential",
    "auth",
    "private",
    "signature",
    "bearer",
    "api_key",
    "apikey",
];

/// A file as JSON, without what is or may be a secret.
pub fn redacted(text: &str) -> Json {
    parse(text)
        .root
        .map_or(Json::Null, |root| shown(&root, false))
}

fn shown(node: &Node, is_secret: bool) -> Json {
    match &node.value {
        Value::Null | Value::Broken => Json::Null,
        Value::Scalar { text, .. } if is_secret && !is_path(text) => HIDDEN.into(),
        Value::Scalar { text, .. } => without_addresses(text).into(),
        Value::List(nodes) => nodes.iter().map(|node| shown(node, is_secret)).collect(),
        Value::Map(entries) => {
            let mut map = Map::new();
            for entry in entries {
                let key = without_addresses(&entry.key);
                let is_secret = is_secret || sounds_secret(&entry.key);
                map.insert(key, shown(&entry.value, is_secret));
            }
            map.into()
        }
    }
}

/// What a client must send to be matched may be what only some know.
fn sounds_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    key == "headers" || SECRET.iter().any(|part| key.contains(part))
}

fn is_path(text: &str) -> bool {
    let path = text.strip_prefix("file:").unwrap_or(text);
    path.starts_with('/') && !path.starts_with("//")
}

/// A text in which every address is cut to what says where it leads: no user, no path, no query.
pub fn without_addresses(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let is_end = |c: char| c.is_whitespace() || "\"'`<>(){}[]|\\^,;".contains(c);
        // The brackets of an IPv6 address belong to its host.
        let bracket = after.starts_with('[').then(|| after.find(']')).flatten();
        let from = bracket.map_or(0, |end| end + 1);
        let length = after
            .get(from..)
            .and_then(|tail| tail.find(is_end))
            .map_or(after.len(), |end| from + end);
        let (address, tail) = after.split_at(length);
        let (authority, path) = match address.find(['/', '?', '#']) {
            Some(end) => address.split_at(end),
            None => (address, ""),
        };
        let host = authority.rsplit('@').next().unwrap_or_default();
        shown.push_str(host);
        if path.len() > 1 {
            shown.push_str("/...");
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_cut_to_their_host() {
        let cases = [
            ("no address", "no address"),
            ("http://a:1", "http://a:1"),
            ("http://a:1/", "http://a:1"),
            (
                "waits for https://u:p@hook.internal/T0/B0?key=1, it says no",
                "waits for https://hook.internal/..., it says no",
            ),
            (
                "\"https://a?k=v\" and http://[::1]:80/x",
                "\"https://a/...\" and http://[::1]:80/...",
            ),
            ("https://u:p@x@host/", "https://host"),
            ("://", "://"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_addresses(text), expected);
        }
    }

    #[test]
    fn what_operators_need_is_shown() {
        let text = "admin: { tokens_file: /etc/serin/tokens } # s3cret\nsplits:\n  shop:\n    \
                    sticky: { key: [cookie:uid] }\n    weight: 5%\n";
        let shown = redacted(text).to_string();
        assert_eq!(
            shown,
            "{\"admin\":{\"tokens_file\":\"/etc/serin/tokens\"},\"splits\":{\"shop\":{\"sticky\":\
             {\"key\":[\"cookie:uid\"]},\"weight\":\"5%\"}}}"
        );
    }

    /// Every place where a secret can stand.
    const PLACES: [&str; 14] = [
        "a: 1 # @\n",
        "# @\na: 1\n",
        "upstreams: { m: { marathon: { url: \"http://u:@@m:80\" } } }\n",
        "url: \"https://@:x@host/\"\n",
        "gate: { webhook: \"https://hooks.internal/services/@\" }\n",
        "gate: { webhook: \"https://hooks.internal/?key=@\" }\n",
        "match: { headers: { x-preview: \"@\" } }\n",
        "match: { headers: [ { name: x-a, value: \"@\" } ] }\n",
        "password: \"@\"\n",
        "auth: { user: a, pass: \"@\" }\n",
        "admin: { tokens: [\"@\"] }\n",
        "aws_secret_access_key: \"@\"\n",
        "Authorization: \"Bearer @\"\n",
        "signed_by: \"data://x/@\"\n",
    ];

    proptest! {
        #[test]
        fn no_secret_is_shown_wherever_it_stands(
            secret in "[A-Za-z0-9]{16,40}",
            place in 0..PLACES.len(),
        ) {
            // `@@` is the end of a user's part.
            let text = PLACES[place].replace("@@", "\u{1}").replace("https://@:x@", "https://\u{2}:x\u{3}")
                .replace('@', &secret).replace('\u{1}', &format!("{secret}@"))
                .replace('\u{2}', &secret).replace('\u{3}', "@");
            prop_assert!(text.contains(&secret));
            let shown = redacted(&text).to_string();
            prop_assert!(!shown.contains(&secret), "{text}: {shown}");
        }
    }
}
