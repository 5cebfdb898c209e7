//! How a body's end is known (RFC 9112, section 6), on the way in and on the way out.

use super::head::Version;

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks, up to the last one and its trailers.
    Chunked,
    /// All bytes until the connection ends; responses only.
    UntilClose,
}

impl Framing {
    /// Whether not one byte of body follows.
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }

    /// How a response framed like this goes to a client of this version, and whether the client's
    /// connection can stay open after it.
    pub const fn towards(self, client: Version, keep_alive: bool) -> Outgoing {
        match (self, client) {
            (Self::Chunked | Self::UntilClose, Version::Http11 | Version::Http2) => Outgoing {
                framing: Self::Chunked,
                keep_alive,
            },
            (Self::Chunked | Self::UntilClose, Version::Http10) => Outgoing {
                framing: Self::UntilClose,
                keep_alive: false,
            },
            (Self::None | Self::Length(_), _) => Outgoing {
                framing: self,
                keep_alive,
            },
        }
    }
}

/// How a response goes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// How the client will know the body's end.
    pub framing: Framing,
    /// Whether the client's connection stays open.
    pub keep_alive: bool,
}
