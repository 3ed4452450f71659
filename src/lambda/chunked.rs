//! The chunked transfer coding.
//!
//! Source: RFC 9112 section 7.1. Bare line feeds are refused: AWS sends none, and leniency here is how responses are
//! smuggled.

use std::ops::Range;

const MAX_EXTENSION_BYTES: u32 = 4_096;
const MAX_TRAILER_BYTES: u32 = 16_384;

/// A decoder that may be fed in any pieces.
#[derive(Clone, Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    /// What is left of the chunk; while its size is read, the size so far.
    left: u64,
    /// Bytes of the extension or trailer so far.
    skipped: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    SizeStart,
    Size,
    Extension,
    SizeEnd,
    Data,
    DataEnd,
    DataEndLine,
    TrailerStart,
    Trailer,
    TrailerEnd,
    LastEnd,
    Done,
}

/// The bytes are not a chunked body, or something follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidChunk;

impl ChunkedDecoder {
    /// True when the last chunk and its trailer are through.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes the next piece and hands out the ranges of `piece` that are content, in order.
    pub fn feed(
        &mut self,
        piece: &[u8],
        mut content: impl FnMut(Range<usize>),
    ) -> Result<(), InvalidChunk> {
        let mut at = 0;
        while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
            if self.state == State::Data {
                let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
                content(at..at + length);
                at += length;
                self.left -= length as u64;
                if self.left == 0 {
                    self.state = State::DataEnd;
                }
            } else {
                let byte = rest.first().copied().unwrap_or_default();
                self.state = self.step(byte).ok_or(InvalidChunk)?;
                at += 1;
            }
        }
        Ok(())
    }

    /// Takes the next piece and moves its content to its front; the content's length.
    pub fn feed_in_place(&mut self, piece: &mut [u8]) -> Result<usize, InvalidChunk> {
        let mut ranges = Vec::new();
        self.feed(piece, |range| ranges.push(range))?;
        let mut length = 0;
        for range in ranges {
            let moved = range.len();
            piece.copy_within(range, length);
            length += moved;
        }
        Ok(length)
    }

    fn step(&mut self, byte: u8) -> Option<State> {
        use State::*;
        Some(match (self.state, byte) {
            (SizeStart | Size, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                // Sixteen digits would do, but no reply is that long.
                if self.left >> 48 != 0 {
                    return None;
                }
                self.left = self.left << 4 | u64::from(digit);
                Size
            }
            (Size, b'\r') => SizeEnd,
            (Size, b';' | b' ' | b'\t') => {
                self.skipped = 0;
                Extension
            }
            (Extension, b'\r') => SizeEnd,
            (Extension, byte) if byte != b'\n' => {
                self.skip(MAX_EXTENSION_BYTES)?;
                Extension
            }
            (SizeEnd, b'\n') if self.left == 0 => {
                self.skipped = 0;
                TrailerStart
            }
            (SizeEnd, b'\n') => Data,
            (DataEnd, b'\r') => DataEndLine,
            (DataEndLine, b'\n') => SizeStart,
            (TrailerStart, b'\r') => LastEnd,
            (Trailer, b'\r') => TrailerEnd,
            (TrailerStart | Trailer, byte) if byte != b'\n' => {
                self.skip(MAX_TRAILER_BYTES)?;
                Trailer
            }
            (TrailerEnd, b'\n') => TrailerStart,
            (LastEnd, b'\n') => Done,
            _ => return None,
        })
    }

    fn skip(&mut self, max_bytes: u32) -> Option<()> {
        self.skipped += 1;
        (self.skipped <= max_bytes).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), InvalidChunk> {
        let (mut decoder, mut content) = (ChunkedDecoder::default(), Vec::new());
        for piece in pieces {
            decoder.feed(piece, |range| content.extend_from_slice(&piece[range]))?;
        }
        Ok((content, decoder.is_done()))
    }

    const BODY: &[u8] =
        b"5\r\nhello\r\n6;a=\"b\"\r\n world\r\n0A \r\n0123456789\r\n0\r\nX: y\r\n\r\n";

    #[test]
    fn content_is_the_same_wherever_the_body_is_cut() {
        let expected = Ok((b"hello world0123456789".to_vec(), true));
        assert_eq!(decoded(&[BODY]), expected);
        for first in 0..BODY.len() {
            for second in first..BODY.len() {
                let pieces = [&BODY[..first], &BODY[first..second], &BODY[second..]];
                assert_eq!(decoded(&pieces), expected, "{first} {second}");
            }
        }
    }

    #[test]
    fn content_is_moved_to_the_front() {
        let (mut decoder, mut piece) = (ChunkedDecoder::default(), BODY.to_vec());
        assert_eq!(decoder.feed_in_place(&mut piece), Ok(21));
        assert_eq!(&piece[..21], b"hello world0123456789");
    }

    #[test]
    fn a_body_that_ends_early_is_not_done() {
        for end in 0..BODY.len() {
            assert!(!decoded(&[&BODY[..end]]).unwrap().1, "{end}");
        }
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        for body in [
            &b"hello"[..],
            b"\r\n",
            b"g\r\n",
            b"-1\r\n",
            b"5\nhello",
            b"5\r\nhelloX",
            b"5\r\nhello\n",
            b"5;a\nb\r\n",
            b"0\r\n\n",
            b"0\r\nX: y\n",
            b"0\r\n\r\nmore",
            b"ffffffffffffff\r\n",
        ] {
            assert_eq!(decoded(&[body]), Err(InvalidChunk), "{:?}", String::from_utf8_lossy(body));
        }
        let endless = [b"5;".to_vec(), vec![b'x'; 5_000]].concat();
        assert_eq!(decoded(&[&endless]), Err(InvalidChunk));
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_comes_back(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect();
            prop_assert_eq!(decoded(&pieces), Ok((chunks.concat(), true)));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(body in any::<Vec<u8>>()) {
            let _ = decoded(&[&body]);
        }
    }
}
