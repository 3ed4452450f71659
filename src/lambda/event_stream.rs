//! The event stream of InvokeWithResponseStream.
//!
//! Sources: "Amazon event stream encoding" (smithy.io, `application/vnd.amazon.eventstream`); AWS Lambda API reference,
//! `InvokeWithResponseStreamResponseEvent`.

use std::fmt;
use std::ops::Range;

use crc32fast::Hasher;

use super::api::{ErrorName, text_member};

const PRELUDE_BYTES: usize = 12;
const CRC_BYTES: usize = 4;
const MAX_HEADER_BYTES: usize = 128 * 1024;
const MAX_MESSAGE_BYTES: usize = 24 * 1024 * 1024;
/// As much of a message that is not payload as is kept: a log tail of 4 KiB in base64, and names.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// A decoder that may be fed in any pieces.
///
/// Payload is handed out before its message's checksum is known, so that nothing waits for the end of a message; when the
/// checksum is wrong the stream ends in an error instead of a completion.
#[derive(Debug)]
pub struct EventStreamDecoder {
    state: State,
    /// Bytes of the part that is being collected, and how many it needs.
    part: Vec<u8>,
    needed: usize,
    /// Bytes of the message's payload that are still to come.
    left: usize,
    /// What is kept of a message that is not output.
    kept: Vec<u8>,
    checksum: Hasher,
    kind: Kind,
    completion: Option<Completion>,
}

/// How a stream ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The function's error in mid-stream.
    pub error: Option<ErrorName>,
    /// The log's tail, base64.
    pub log_result: Option<String>,
}

/// Why a stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// A checksum does not fit.
    Checksum,
    /// Lengths or headers make no sense.
    Malformed,
    /// Bytes follow the completion.
    Trailing,
    /// The API ended the stream with an exception.
    Exception(ErrorName),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum => f.write_str("event stream checksum is wrong"),
            Self::Malformed => f.write_str("event stream is malformed"),
            Self::Trailing => f.write_str("event stream goes on after its end"),
            Self::Exception(name) => write!(f, "event stream ended with \"{}\"", name.as_str()),
        }
    }
}

impl std::error::Error for StreamError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Prelude,
    Headers,
    Payload,
    Checksum,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    PayloadChunk,
    InvokeComplete,
    Exception(ErrorName),
    Other,
}

impl Default for EventStreamDecoder {
    fn default() -> Self {
        Self {
            state: State::Prelude,
            part: Vec::new(),
            needed: PRELUDE_BYTES,
            left: 0,
            kept: Vec::new(),
            checksum: Hasher::new(),
            kind: Kind::Other,
            completion: None,
        }
    }
}

impl EventStreamDecoder {
    /// How the stream ended; `None` while it goes on.
    pub fn completion(&self) -> Option<&Completion> {
        self.completion.as_ref()
    }

    /// Takes the next piece and hands out the ranges of `piece` that are the function's output, in order.
    ///
    /// Ranges handed out before an error are good.
    pub fn feed(
        &mut self,
        piece: &[u8],
        mut output: impl FnMut(Range<usize>),
    ) -> Result<(), StreamError> {
        let mut at = 0;
        while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
            if self.completion.is_some() {
                return Err(StreamError::Trailing);
            }
            if self.state == State::Payload {
                let taken = rest.get(..self.left).unwrap_or(rest);
                self.take_payload(taken);
                if self.kind == Kind::PayloadChunk {
                    output(at..at + taken.len());
                }
                at += taken.len();
            } else {
                let missing = self.needed.saturating_sub(self.part.len());
                let taken = rest.get(..missing).unwrap_or(rest);
                self.part.extend_from_slice(taken);
                at += taken.len();
                if self.part.len() == self.needed {
                    self.end_part()?;
                }
            }
        }
        Ok(())
    }

    fn take_payload(&mut self, taken: &[u8]) {
        self.checksum.update(taken);
        if self.kind == Kind::InvokeComplete {
            let room = MAX_KEPT_BYTES.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(taken.get(..room).unwrap_or(taken));
        }
        self.left -= taken.len();
        if self.left == 0 {
            self.expect(State::Checksum, CRC_BYTES);
        }
    }

    fn expect(&mut self, state: State, needed: usize) {
        self.part.clear();
        (self.state, self.needed) = (state, needed);
    }

    fn end_part(&mut self) -> Result<(), StreamError> {
        match self.state {
            State::Prelude => self.end_prelude(),
            State::Headers => {
                self.checksum.update(&self.part);
                self.kind = Kind::parse(&self.part).ok_or(StreamError::Malformed)?;
                self.expect_payload();
                Ok(())
            }
            State::Checksum | State::Payload => self.end_message(),
        }
    }

    fn end_prelude(&mut self) -> Result<(), StreamError> {
        let [total, headers, checksum] = [0, 4, 8].map(|at| integer_at(&self.part, at));
        let (total, headers) = (to_usize(total)?, to_usize(headers)?);
        let covered = self.part.get(..8).unwrap_or_default();
        if Some(crc32fast::hash(covered)) != checksum {
            return Err(StreamError::Checksum);
        }
        let overhead = PRELUDE_BYTES + CRC_BYTES + headers;
        if headers > MAX_HEADER_BYTES || total > MAX_MESSAGE_BYTES || total < overhead {
            return Err(StreamError::Malformed);
        }
        self.checksum = Hasher::new();
        self.checksum.update(&self.part);
        self.left = total - overhead;
        self.kept.clear();
        self.kind = Kind::Other;
        if headers == 0 {
            self.expect_payload();
        } else {
            self.expect(State::Headers, headers);
        }
        Ok(())
    }

    fn expect_payload(&mut self) {
        match self.left {
            0 => self.expect(State::Checksum, CRC_BYTES),
            _ => self.expect(State::Payload, 0),
        }
    }

    fn end_message(&mut self) -> Result<(), StreamError> {
        if integer_at(&self.part, 0) != Some(self.checksum.clone().finalize()) {
            return Err(StreamError::Checksum);
        }
        self.expect(State::Prelude, PRELUDE_BYTES);
        match std::mem::replace(&mut self.kind, Kind::Other) {
            Kind::Exception(name) => Err(StreamError::Exception(name)),
            Kind::InvokeComplete => {
                let text = |name| text_member(&self.kept, &[name]).filter(|text| !text.is_empty());
                self.completion = Some(Completion {
                    error: text("ErrorCode").map(|code| ErrorName::new(code.as_bytes())),
                    log_result: text("LogResult"),
                });
                Ok(())
            }
            Kind::PayloadChunk | Kind::Other => Ok(()),
        }
    }
}

impl Kind {
    /// The kind that a message's headers tell; `None` when they cannot be read.
    fn parse(mut headers: &[u8]) -> Option<Self> {
        let (mut message, mut event, mut exception) = (&b"event"[..], &b""[..], None);
        while let Some((&name_length, rest)) = headers.split_first() {
            let (name, rest) = rest.split_at_checked(name_length.into())?;
            let (&value_type, rest) = rest.split_first()?;
            let (length, rest) = match value_type {
                0 | 1 => (0, rest),
                2 => (1, rest),
                3 => (2, rest),
                4 => (4, rest),
                5 | 8 => (8, rest),
                9 => (16, rest),
                6 | 7 => {
                    let (length, rest) = rest.split_first_chunk::<2>()?;
                    (u16::from_be_bytes(*length).into(), rest)
                }
                _ => return None,
            };
            let (value, rest) = rest.split_at_checked(length)?;
            match name {
                b":message-type" => message = value,
                b":event-type" => event = value,
                b":exception-type" | b":error-code" => exception = Some(value),
                _ => {}
            }
            headers = rest;
        }
        Some(match (message, event) {
            (b"event", b"PayloadChunk") => Self::PayloadChunk,
            (b"event", b"InvokeComplete") => Self::InvokeComplete,
            (b"event", _) => Self::Other,
            _ => Self::Exception(ErrorName::new(exception.unwrap_or_default())),
        })
    }
}

fn integer_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

fn to_usize(integer: Option<u32>) -> Result<usize, StreamError> {
    integer.and_then(|integer| integer.try_into().ok()).ok_or(StreamError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message with string headers.
    fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut lines = Vec::new();
        for (name, value) in headers {
            lines.push(name.len() as u8);
            lines.extend_from_slice(name.as_bytes());
            lines.push(7);
            lines.extend_from_slice(&(value.len() as u16).to_be_bytes());
            lines.extend_from_slice(value.as_bytes());
        }
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(16 + lines.len() as u32 + payload.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&(lines.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes.extend_from_slice(&lines);
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes
    }

    fn event(kind: &str, payload: &[u8]) -> Vec<u8> {
        let headers = [(":message-type", "event"), (":event-type", kind)];
        message(&headers, payload)
    }

    type Decoded = (Vec<u8>, Result<(), StreamError>, Option<Completion>);

    fn decoded(pieces: &[&[u8]]) -> Decoded {
        let (mut decoder, mut output) = (EventStreamDecoder::default(), Vec::new());
        for piece in pieces {
            let result = decoder.feed(piece, |range| output.extend_from_slice(&piece[range]));
            if result.is_err() {
                return (output, result, decoder.completion().cloned());
            }
        }
        (output, Ok(()), decoder.completion().cloned())
    }

    /// The vector `empty_message` of the AWS SDKs' event stream tests.
    #[test]
    fn a_published_empty_message_is_read() {
        let empty = [0, 0, 0, 16, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(decoded(&[&empty]), (vec![], Ok(()), None));
    }

    #[test]
    fn output_is_the_same_wherever_the_stream_is_cut() {
        let stream = [
            event("PayloadChunk", b"hello "),
            event("PayloadChunk", b""),
            event("initial-response", b"{}"),
            event("PayloadChunk", b"world"),
            event("InvokeComplete", br#"{"ErrorCode":null,"LogResult":"TE9H"}"#),
        ]
        .concat();
        let end = Completion { error: None, log_result: Some("TE9H".to_owned()) };
        let expected = (b"hello world".to_vec(), Ok(()), Some(end));
        assert_eq!(decoded(&[&stream]), expected);
        for cut in 0..stream.len() {
            assert_eq!(decoded(&[&stream[..cut], &stream[cut..]]), expected, "{cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decoded(&bytes), expected);
    }

    #[test]
    fn an_error_of_the_function_is_in_the_completion() {
        let payload = br#"{"ErrorCode":"Function.Unhandled","ErrorDetails":"secret"}"#;
        let (_, result, end) = decoded(&[&event("InvokeComplete", payload)]);
        assert_eq!(result, Ok(()));
        assert_eq!(end.unwrap().error.unwrap().as_str(), "Function.Unhandled");
    }

    #[test]
    fn exceptions_end_the_stream() {
        for (headers, expected) in [
            ([(":message-type", "exception"), (":exception-type", "throttled")], "throttled"),
            ([(":message-type", "error"), (":error-code", "InternalError")], "InternalError"),
        ] {
            let stream = [event("PayloadChunk", b"x"), message(&headers, b"{}")].concat();
            let (output, result, end) = decoded(&[&stream]);
            let expected = StreamError::Exception(ErrorName::new(expected.as_bytes()));
            assert_eq!((output, result, end), (b"x".to_vec(), Err(expected), None));
        }
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let stream = event("InvokeComplete", b"{}");
        for at in 0..stream.len() {
            let mut flipped = stream.clone();
            flipped[at] ^= 1;
            let (_, result, end) = decoded(&[&flipped]);
            assert!(result.is_err(), "{at}");
            assert_eq!(end, None, "{at}");
        }
    }

    #[test]
    fn bytes_behind_the_end_and_impossible_lengths_are_refused() {
        let stream = [event("InvokeComplete", b"{}"), vec![0]].concat();
        assert_eq!(decoded(&[&stream]).1, Err(StreamError::Trailing));
        for (total, headers) in [(15_u32, 0_u32), (20, 5), (u32::MAX, 0), (1 << 20, 200_000)] {
            let mut prelude = [total.to_be_bytes(), headers.to_be_bytes()].concat();
            prelude.extend_from_slice(&crc32fast::hash(&prelude).to_be_bytes());
            assert_eq!(decoded(&[&prelude]).1, Err(StreamError::Malformed), "{total} {headers}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in any::<Vec<u8>>(), headers in any::<Vec<u8>>()) {
            let _ = decoded(&[&bytes]);
            let _ = Kind::parse(&headers);
        }
    }
}
