//! The small things that can stand in the file: texts, numbers, names.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde_json::{Value as Json, json};

use super::{
    Cidr,
    tree::{Node, Value},
    units::{self, Margin, Misfit},
    walk::{Shape, Walk, scalar},
};
use crate::model::{ListenerName, NameError, RouteName, Share, SplitName, UpstreamName};

const DURATION: &str = "^([0-9]+(\\.[0-9]+)?(us|ms|s|m|h|d))+$";
const PERCENT: &str = "^[0-9]+(\\.[0-9]+)?%$";

fn pattern(pattern: &str) -> Json {
    json!({ "type": "string", "pattern": pattern })
}

/// Any text that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub String);

/// A duration that may be `0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OrZero(pub Duration);

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(pub u64);

/// A flow-control window of HTTP/2, in bytes: at most what its 31 bits hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window(pub u32);

/// A rate: `2%` is 0.02.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ratio(pub f64);

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count<const MIN: u64, const MAX: u64>(pub u64);

impl Count<1, 65_535> {
    /// A port that is known to be one.
    pub(super) fn of(port: u16) -> Self {
        Self(port.into())
    }
}

/// A file that holds a secret: a path, or `file:` and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretFile(pub PathBuf);

impl Shape for Text {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "a text", |text| {
            if text.trim().is_empty() || text.chars().any(char::is_control) {
                return Err(Misfit::value(text, "a text with at least one letter"));
            }
            Ok(Self(text.into()))
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "minLength": 1 })
    }
}

impl Shape for bool {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let expects = "`true` or `false`";
        match &node.value {
            Value::Scalar { text, plain: true } if text == "true" => return Some(true),
            Value::Scalar { text, plain: true } if text == "false" => return Some(false),
            Value::Scalar { text, .. } => {
                let small = text.to_lowercase();
                let help = match small.as_str() {
                    "yes" | "on" | "y" | "true" | "1" => "write `true`",
                    "no" | "off" | "n" | "false" | "0" => "write `false`",
                    _ => "",
                };
                let message = format!("expected {expects}, found `{text}`");
                walk.error(node.at, "wrong_type", message, help);
            }
            Value::Null | Value::Broken | Value::List(_) | Value::Map(_) => {
                walk.wrong_kind(node, expects);
            }
        }
        None
    }

    fn describe() -> Json {
        json!({ "type": "boolean" })
    }
}

impl<const MIN: u64, const MAX: u64> Shape for Count<MIN, MAX> {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let expects = format!("a whole number from {MIN} to {MAX}");
        let plain = matches!(&node.value, Value::Scalar { plain: true, .. });
        scalar(node, walk, &expects, |text| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if !digits {
                return Err(Misfit::value(text, &expects));
            }
            if !plain {
                let message = format!("\"{text}\" is a text, not a number");
                return Err(Misfit::new("wrong_type", message, "remove the quotes"));
            }
            if text.len() > 1 && text.starts_with('0') {
                let message = format!("`{text}` starts with 0");
                let help = "some YAML readers take it for an octal number: remove the 0";
                return Err(Misfit::new("bad_value", message, help));
            }
            let n = text.parse().ok().filter(|n| (MIN..=MAX).contains(n));
            let range = || Misfit::new("out_of_range", format!("`{text}` is not {expects}"), "");
            n.map(Self).ok_or_else(range)
        })
    }

    fn describe() -> Json {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

impl Shape for OrZero {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "a duration such as `30s`", |text| {
            units::duration(text).map(Self)
        })
    }

    fn describe() -> Json {
        pattern(DURATION)
    }
}

impl Shape for Duration {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "a duration such as `30s`", |text| {
            let long = units::duration(text)?;
            let range = || Misfit::new("out_of_range", "this time cannot be zero".into(), "");
            if long.is_zero() {
                Err(range())
            } else {
                Ok(long)
            }
        })
    }

    fn describe() -> Json {
        pattern(DURATION)
    }
}

impl Shape for Bytes {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "a size such as `64KiB`", |text| {
            let bytes = units::size(text)?;
            let range = || Misfit::new("out_of_range", "this size cannot be zero".into(), "");
            if bytes == 0 {
                Err(range())
            } else {
                Ok(Self(bytes))
            }
        })
    }

    fn describe() -> Json {
        pattern("^[0-9]+(B|KiB|MiB|GiB|kB|MB|GB)$")
    }
}

impl Shape for Window {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        const MAX: u32 = (1 << 31) - 1;
        scalar(node, walk, "a size such as `64KiB`", |text| {
            let bytes = u32::try_from(units::size(text)?).ok();
            let range = || {
                let message = format!("`{text}` is no window of HTTP/2");
                Misfit::new(
                    "out_of_range",
                    message,
                    "a window has 1 byte to 2147483647 bytes",
                )
            };
            let fits = bytes.filter(|bytes| (1..=MAX).contains(bytes));
            fits.map(Self).ok_or_else(range)
        })
    }

    fn describe() -> Json {
        Bytes::describe()
    }
}

impl Shape for Share {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "a share such as `5%`", units::share)
    }

    fn describe() -> Json {
        pattern(PERCENT)
    }
}

impl Shape for Ratio {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "a rate such as `2%`", |text| {
            units::ratio(text).map(Self)
        })
    }

    fn describe() -> Json {
        pattern(PERCENT)
    }
}

impl Shape for Margin {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(
            node,
            walk,
            "a margin such as `+0.5pp` or `+20%`",
            units::margin,
        )
    }

    fn describe() -> Json {
        pattern("^(\\+?[0-9]+(\\.[0-9]+)?(%|pp|x) *\\+?)+$")
    }
}

impl Shape for Cidr {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "a network such as `10.0.0.0/8`", units::cidr)
    }

    fn describe() -> Json {
        json!({ "type": "string" })
    }
}

impl Shape for SocketAddr {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let expects = "an address and a port such as `0.0.0.0:8080` or `[::1]:8080`";
        scalar(node, walk, expects, |text| {
            text.parse().map_err(|_| {
                let mut misfit = Misfit::value(text, expects);
                if text.starts_with(':') {
                    misfit.help = format!("write `0.0.0.0{text}` for every address");
                }
                misfit
            })
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "examples": ["0.0.0.0:8080", "[::]:8080"] })
    }
}

impl Shape for PathBuf {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        Text::read(node, walk).map(|Text(text)| Self::from(text))
    }

    fn describe() -> Json {
        Text::describe()
    }
}

impl Shape for SecretFile {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if let Value::Scalar { text, .. } = &node.value
            && text.starts_with("${")
        {
            let message = "a secret from the environment is not available yet";
            let help = "name a file that holds the secret: `file:/path`";
            walk.error(node.at, "not_available_yet", message, help);
            return None;
        }
        let Text(text) = Text::read(node, walk)?;
        Some(Self(PathBuf::from(
            text.strip_prefix("file:").unwrap_or(&text),
        )))
    }

    fn describe() -> Json {
        Text::describe()
    }
}

fn name<T>(
    node: &Node,
    walk: &mut Walk,
    parse: impl FnOnce(&str) -> Result<T, NameError>,
) -> Option<T> {
    scalar(node, walk, "a name", |text| {
        parse(text).map_err(|error| Misfit::new("bad_name", error.to_string(), ""))
    })
}

macro_rules! names {
    ($($name:ty),+) => {
        $(impl Shape for $name {
            fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
                name(node, walk, <$name>::new)
            }

            fn describe() -> Json {
                pattern("^[A-Za-z0-9_.-]{1,63}$")
            }
        })+
    };
}

names!(ListenerName, RouteName, SplitName, UpstreamName);
