//! WebSocket frames as far as a proxy must know them: where one ends, so that another may follow
//! (RFC 6455, section 5.2).

use crate::model::number::{length, long};

/// Close, with the status 1012: the service restarts, come again (RFC 6455, section 7.4.2).
pub(crate) const CLOSE_RESTART: &[u8] = b"\x88\x02\x03\xf4";

/// Where a run of bytes stands among frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: [u8; 14],
    known: usize,
    left: u64,
}

impl Frames {
    /// Whether the next byte begins a frame.
    pub(crate) const fn is_between(&self) -> bool {
        self.known == 0 && self.left == 0
    }

    /// Goes on by these bytes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = if self.left > 0 {
                let taken = bytes.len().min(length(self.left));
                self.left -= long(taken);
                taken
            } else {
                self.feed_head(bytes.first().copied().unwrap_or_default());
                1
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    fn feed_head(&mut self, byte: u8) {
        if let Some(place) = self.head.get_mut(self.known) {
            *place = byte;
        }
        self.known += 1;
        let [_, second, extended @ ..] = self.head;
        let (short, mask) = (second & 0x7f, usize::from(second & 0x80 != 0) * 4);
        let len_bytes = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.known < 2 || self.known < 2 + len_bytes + mask {
            return;
        }
        self.left = if len_bytes == 0 {
            u64::from(short)
        } else {
            let bytes = extended.iter().take(len_bytes);
            bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        self.known = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_frame_is_known_however_the_bytes_come() {
        let masked = [&[0x82, 0x85, 1, 2, 3, 4][..], &[0; 5]].concat();
        let medium = [&[0x81, 126, 1, 0][..], &[0; 256]].concat();
        let large = [
            &[0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0][..],
            vec![0; 65_536].as_slice(),
        ]
        .concat();
        let empty = vec![0x89, 0x00];
        for frame in [masked, medium, large, empty, CLOSE_RESTART.to_vec()] {
            for step in [1, 2, 3, 7, frame.len()] {
                let mut frames = Frames::default();
                let mut fed = 0;
                for piece in frame.chunks(step) {
                    assert_eq!(frames.is_between(), fed == 0, "{step} at {fed}");
                    frames.feed(piece);
                    fed += piece.len();
                }
                assert!(frames.is_between());
            }
        }
    }
}
