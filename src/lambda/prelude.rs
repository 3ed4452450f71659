//! The metadata that a streaming function sends before its body.
//!
//! Source: AWS Lambda, "Response streaming": JSON, then eight NUL bytes, under the content type
//! `application/vnd.awslambda.http-integration-response`.

use super::event::media_type;

const SEPARATOR_BYTES: usize = 8;
const MAX_PRELUDE_BYTES: usize = 128 * 1024;

/// True when the content type of a stream announces a prelude.
pub fn announces_prelude(content_type: &[u8]) -> bool {
    &*media_type(content_type) == b"application/vnd.awslambda.http-integration-response"
}

/// Collects a prelude that comes in any pieces.
#[derive(Clone, Debug, Default)]
pub struct PreludeSplitter {
    collected: Vec<u8>,
    nuls: usize,
}

/// What a piece was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// All of it is prelude, and more must come.
    More,
    /// The prelude is complete and the body begins at this byte of the piece, which may be its end.
    Body(usize),
}

/// No separator came within the bytes that a prelude may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndlessPrelude;

impl PreludeSplitter {
    /// Takes the next piece. Nothing may be fed once the body has begun.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Split, EndlessPrelude> {
        for (at, byte) in piece.iter().enumerate() {
            self.nuls = if *byte == 0 { self.nuls + 1 } else { 0 };
            if self.nuls == SEPARATOR_BYTES {
                self.collected.extend_from_slice(piece.get(..=at).unwrap_or_default());
                self.collected.truncate(self.collected.len() - SEPARATOR_BYTES);
                return Ok(Split::Body(at + 1));
            }
        }
        self.collected.extend_from_slice(piece);
        if self.collected.len() > MAX_PRELUDE_BYTES { Err(EndlessPrelude) } else { Ok(Split::More) }
    }

    /// The prelude's JSON, complete once [`Split::Body`] was returned.
    pub fn json(&self) -> &[u8] {
        &self.collected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preludes_are_announced_by_their_type() {
        let announced = "Application/vnd.awslambda.http-integration-response; x=y";
        assert!(announces_prelude(announced.as_bytes()));
        assert!(!announces_prelude(b"application/octet-stream"));
        assert!(!announces_prelude(b""));
    }

    #[test]
    fn the_body_is_found_wherever_the_stream_is_cut() {
        let stream = b"{\"statusCode\":200}\0\0\0\0\0\0\0\0\0body\0";
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let (mut splitter, mut body) = (PreludeSplitter::default(), None::<Vec<u8>>);
                for piece in [&stream[..first], &stream[first..second], &stream[second..]] {
                    match &mut body {
                        Some(body) => body.extend_from_slice(piece),
                        None => {
                            if let Split::Body(at) = splitter.feed(piece).unwrap() {
                                body = Some(piece[at..].to_vec());
                            }
                        }
                    }
                }
                assert_eq!(splitter.json(), b"{\"statusCode\":200}", "{first} {second}");
                assert_eq!(body.as_deref(), Some(&b"\0body\0"[..]), "{first} {second}");
            }
        }
    }

    #[test]
    fn a_prelude_that_does_not_end_is_refused() {
        let mut splitter = PreludeSplitter::default();
        let piece = [b'x'; 1_024];
        let results: Vec<_> = (0..129).map(|_| splitter.feed(&piece)).collect();
        assert_eq!(results[127], Ok(Split::More));
        assert_eq!(results[128], Err(EndlessPrelude));
    }
}
