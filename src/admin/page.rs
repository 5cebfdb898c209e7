//! `GET /`: the page that people watch a rollout on. Its files are in the binary, so it works where
//! nothing else can be reached, and it may load nothing from elsewhere.
//!
//! The page knows only what the API says: it reads the event stream and the evidence of rollouts,
//! and acts through the same calls as the command line.

use axum::{
    extract::{self, Path},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{State, guard::Denial};

/// What the page may do: run its own script, use its own styles, ask its own address.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// Names a file beside this one.
macro_rules! asset {
    ($name:literal, $kind:expr) => {
        Asset {
            name: $name,
            kind: $kind,
            text: include_str!(concat!("page/", $name)),
        }
    };
}

const INDEX: Asset = asset!("index.html", "text/html; charset=utf-8");
const ASSETS: &[Asset] = &[
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("main.js", SCRIPT),
    asset!("acts.js", SCRIPT),
    asset!("aftermath.js", SCRIPT),
    asset!("culprits.js", SCRIPT),
    asset!("differences.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("endpoints.js", SCRIPT),
    asset!("errors.js", SCRIPT),
    asset!("health.js", SCRIPT),
    asset!("latency.js", SCRIPT),
    asset!("memory.js", SCRIPT),
    asset!("plot.js", SCRIPT),
    asset!("stream.js", SCRIPT),
    asset!("timeline.js", SCRIPT),
    asset!("traffic.js", SCRIPT),
    asset!("verdict.js", SCRIPT),
    asset!("words.js", SCRIPT),
];

/// `GET /`. It tells nothing by itself.
pub(super) async fn index(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
) -> Response {
    if !state.handle.admission().has_page {
        let help = "write `dashboard: true` under `admin:`; `serin status -w` shows the same";
        let message = "the page is turned off";
        return Denial::new(StatusCode::NOT_FOUND, "not_found", message, help).into_response();
    }
    serve(&INDEX, &headers)
}

/// `GET /page/{file}`.
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    asset.map_or_else(
        || {
            let message = format!("the page has no file `{name}`");
            let help = "GET / is the page";
            Denial::new(StatusCode::NOT_FOUND, "not_found", message, help).into_response()
        },
        |asset| serve(asset, &headers),
    )
}

/// A browser keeps a file and asks whether it is still the same: after an upgrade it is not.
fn serve(asset: &Asset, headers: &HeaderMap) -> Response {
    let tag = format!("\"{:016x}\"", digest(asset.text));
    let known = headers.get(header::IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let shared = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    let more = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (shared, more, asset.text).into_response()
}

/// FNV-1a: it tells versions of a file apart, no more.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 150 << 10;

    #[test]
    fn script_and_styles_are_small_and_load_nothing_from_elsewhere() {
        let all: usize = ASSETS.iter().map(|asset| asset.text.len()).sum();
        assert!(all <= BYTES_MAX, "{all} bytes");
        for asset in ASSETS.iter().chain([&INDEX]) {
            // The names of markup languages are no addresses.
            let text = asset.text.replace("http://www.w3.org/", "");
            let is_foreign = text.contains("http:") || text.contains("https:");
            assert!(!is_foreign, "{} names a foreign address", asset.name);
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(
                    !text.contains(word),
                    "{}: text only, no `{word}`",
                    asset.name
                );
            }
        }
    }

    #[test]
    fn every_file_that_is_named_is_served_and_every_served_one_is_named() {
        let texts: Vec<&str> = ASSETS.iter().chain([&INDEX]).map(|it| it.text).collect();
        for asset in ASSETS {
            let (plain, module) = (format!("page/{}", asset.name), format!("./{}", asset.name));
            let is_named = |text: &&str| text.contains(&plain) || text.contains(&module);
            assert!(texts.iter().any(is_named), "{} is not used", asset.name);
        }
        for text in texts {
            for rest in text.split("from \"./").skip(1) {
                let name = rest.split('"').next().unwrap();
                assert!(ASSETS.iter().any(|asset| asset.name == name), "{name}");
            }
        }
    }
}
