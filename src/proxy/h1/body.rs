//! Bodies on their way: which bytes of what was read belong to the message, and what is sent on
//! instead of them. Whole runs pass as they lie in the read buffer; nothing is copied in vain.

use std::ops::Range;

use super::{
    chunked::{Chunked, push_last, push_size},
    framing::Framing,
};
use crate::model::number::{length, long};

/// A body that cannot be read to its end. What was sent on of it stays without an end, so that
/// nobody takes it for whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.as_str())]
#[non_exhaustive]
pub enum BodyError {
    /// The line before a chunk is not a size in hexadecimal.
    ChunkSize,
    /// A chunk extension is malformed or too long.
    ChunkExtension,
    /// A chunk is not followed by CRLF.
    ChunkEnd,
    /// A trailer is not a header field.
    Trailer,
    /// There are too many trailers.
    TrailersTooLarge,
    /// The sender stopped before the end.
    Truncated,
}

impl BodyError {
    /// The message, for answers that are made without allocating.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChunkSize => "chunk size is malformed",
            Self::ChunkExtension => "chunk extension is malformed or longer than 256 bytes",
            Self::ChunkEnd => "chunk does not end where its size says",
            Self::Trailer => "trailer is malformed",
            Self::TrailersTooLarge => "trailers are larger than 8 KiB or more than 32",
            Self::Truncated => "body ends before its end",
        }
    }
}

/// What became of some bytes that were read. To be sent, in this order: what was appended to
/// `out`, then `input[forward]`, then `suffix`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// So many bytes of the input are dealt with; the next step begins behind them.
    pub consumed: usize,
    /// The piece of the input that is sent on as it is; may be empty.
    pub forward: Range<usize>,
    /// What is sent after it.
    pub suffix: &'static [u8],
    /// Whether the body is at its end; bytes behind `consumed` belong to the next message.
    pub done: bool,
}

/// One body on its way from one side to the other.
#[derive(Debug)]
pub struct BodyRelay {
    inbound: Inbound,
    received: u64,
    done: bool,
}

#[derive(Debug)]
enum Inbound {
    Length(u64),
    Chunked(Chunked),
    UntilClose { wrap: bool },
}

impl BodyRelay {
    /// A body that comes framed as `incoming` and leaves framed as `outgoing`: the same, or what
    /// [`Framing::towards`] says.
    pub fn new(incoming: Framing, outgoing: Framing) -> Self {
        let inbound = match incoming {
            Framing::None => Inbound::Length(0),
            Framing::Length(length) => Inbound::Length(length),
            Framing::Chunked => Inbound::Chunked(Chunked::new(outgoing == Framing::Chunked)),
            Framing::UntilClose => Inbound::UntilClose {
                wrap: outgoing == Framing::Chunked,
            },
        };
        Self {
            inbound,
            received: 0,
            done: incoming.is_empty(),
        }
    }

    /// Takes bytes that were read. Call it again with the rest while `consumed` is less than the
    /// input and the body is not done: a step forwards one piece only.
    pub fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, BodyError> {
        if self.done {
            return Ok(Step {
                done: true,
                ..Step::default()
            });
        }
        let (step, payload) = match &mut self.inbound {
            Inbound::Length(left) => {
                let taken = input.len().min(length(*left));
                *left -= long(taken);
                (whole(taken, *left == 0), taken)
            }
            Inbound::UntilClose { wrap } => {
                let mut step = whole(input.len(), false);
                if *wrap && !input.is_empty() {
                    push_size(long(input.len()), out);
                    step.suffix = b"\r\n";
                }
                (step, input.len())
            }
            Inbound::Chunked(chunked) => chunked.step(input, out)?,
        };
        self.received += long(payload);
        self.done = step.done;
        Ok(step)
    }

    /// The sender has ended its body: with these trailer lines, or by closing, or too early.
    pub fn end(&mut self, trailers: &[u8], out: &mut Vec<u8>) -> Result<(), BodyError> {
        if self.done {
            return Ok(());
        }
        let Inbound::UntilClose { wrap } = self.inbound else {
            return Err(BodyError::Truncated);
        };
        if wrap {
            push_last(trailers, out)?;
        }
        self.done = true;
        Ok(())
    }

    /// Ends a body of unknown length before its sender does, if that can be done here; `false` if
    /// the middle of a chunk, or a length that was promised, is in the way.
    pub fn end_early(&mut self, trailers: &[u8], out: &mut Vec<u8>) -> bool {
        let can = match &self.inbound {
            Inbound::UntilClose { wrap } => *wrap,
            Inbound::Chunked(chunked) => chunked.can_end(),
            Inbound::Length(_) => false,
        };
        self.done |= can && push_last(trailers, out).is_ok();
        self.done
    }

    /// The trailers that pass, as lines, once the end of a chunked body was read.
    pub fn trailers(&self) -> &[u8] {
        match &self.inbound {
            Inbound::Chunked(chunked) => chunked.trailers(),
            Inbound::Length(_) | Inbound::UntilClose { .. } => &[],
        }
    }

    /// Whether the body is at its end.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// How many bytes of payload have come, without any framing.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many bytes of payload are still to come, if that is known.
    pub fn remaining(&self) -> Option<u64> {
        match self.inbound {
            Inbound::Length(left) => Some(left),
            Inbound::Chunked(_) | Inbound::UntilClose { .. } => None,
        }
    }
}

fn whole(taken: usize, done: bool) -> Step {
    Step {
        consumed: taken,
        forward: 0..taken,
        suffix: b"",
        done,
    }
}
