//! Heads of HTTP responses, as the Lambda API and function URLs send them.
//!
//! Source: RFC 9112 sections 4 to 6.

use std::mem::MaybeUninit;
use std::ops::Range;

const MAX_HEADERS: usize = 128;

/// What is taken from a response's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Where the body begins.
    pub length: usize,
    /// The status, 200 to 599.
    pub status: u16,
    /// How long the body is.
    pub body: BodyLength,
    /// Whether the server closes the connection behind the response.
    pub is_last: bool,
    /// `Content-Type`
    pub content_type: Option<Range<usize>>,
    /// `Date`
    pub date: Option<Range<usize>>,
    /// `Retry-After`
    pub retry_after: Option<Range<usize>>,
    /// `X-Amzn-RequestId`
    pub request_id: Option<Range<usize>>,
    /// `X-Amzn-ErrorType`
    pub error_type: Option<Range<usize>>,
    /// `X-Amz-Function-Error`
    pub function_error: Option<Range<usize>>,
    /// `X-Amz-Executed-Version`
    pub executed_version: Option<Range<usize>>,
    /// `X-Amz-Log-Result`, base64
    pub log_result: Option<Range<usize>>,
}

/// How the end of a response's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes.
    Known(u64),
    /// By the last chunk.
    Chunked,
    /// By the connection's end.
    UntilClose,
}

/// The bytes are no head of a response, or of one that cannot be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHead;

impl ResponseHead {
    /// The head at the front of `bytes`; `None` while it is not complete.
    ///
    /// Fields are ranges of `bytes`. `is_head_request` tells that the response to a HEAD request is read, which has no
    /// body whatever it says. Interim responses, Content-Length beside Transfer-Encoding, codings but chunked, and
    /// lengths that are no number or differ are errors: nothing after them could be trusted.
    pub fn parse(bytes: &[u8], is_head_request: bool) -> Result<Option<Self>, InvalidHead> {
        let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            bytes,
            &mut slots,
        );
        let length = match parsed.map_err(|_| InvalidHead)? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial => return Ok(None),
        };
        let status = response.code.filter(|code| (200..=599).contains(code)).ok_or(InvalidHead)?;
        let mut head = Self::empty(length, status, response.version == Some(0));
        let (mut content_length, mut is_chunked) = (None, false);
        for header in response.headers.iter() {
            let value = header.value;
            match head.meaning(header.name) {
                Meaning::None => {}
                Meaning::Field(field) => *field = range_of(bytes, value),
                Meaning::Connection => head.read_connection(value),
                Meaning::ContentLength => {
                    let length = parse_length(value).ok_or(InvalidHead)?;
                    if content_length.replace(length).is_some_and(|earlier| earlier != length) {
                        return Err(InvalidHead);
                    }
                }
                Meaning::TransferEncoding => {
                    if is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(InvalidHead);
                    }
                    is_chunked = true;
                }
            }
        }
        head.body = match content_length {
            _ if is_head_request || matches!(status, 204 | 304) => BodyLength::Known(0),
            Some(_) if is_chunked => return Err(InvalidHead),
            Some(length) => BodyLength::Known(length),
            None if is_chunked => BodyLength::Chunked,
            None => BodyLength::UntilClose,
        };
        head.is_last |= head.body == BodyLength::UntilClose;
        Ok(Some(head))
    }

    /// The lines of a head that was parsed, in the order sent.
    pub fn lines(bytes: &[u8]) -> Vec<(&str, &[u8])> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut slots);
        match response.parse(bytes) {
            Ok(_) => response.headers.iter().map(|line| (line.name, line.value)).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn empty(length: usize, status: u16, is_last: bool) -> Self {
        Self {
            length,
            status,
            body: BodyLength::Known(0),
            is_last,
            content_type: None,
            date: None,
            retry_after: None,
            request_id: None,
            error_type: None,
            function_error: None,
            executed_version: None,
            log_result: None,
        }
    }

    fn read_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                self.is_last = true;
            }
        }
    }

    /// Told by the length first, which is another one for nearly every name.
    fn meaning(&mut self, name: &str) -> Meaning<'_> {
        let (known, meaning) = match name.len() {
            4 => ("date", Meaning::Field(&mut self.date)),
            10 => ("connection", Meaning::Connection),
            11 => ("retry-after", Meaning::Field(&mut self.retry_after)),
            12 => ("content-type", Meaning::Field(&mut self.content_type)),
            14 => ("content-length", Meaning::ContentLength),
            16 => match name.as_bytes().last() {
                Some(b'd' | b'D') => ("x-amzn-requestid", Meaning::Field(&mut self.request_id)),
                Some(b'e' | b'E') => ("x-amzn-errortype", Meaning::Field(&mut self.error_type)),
                _ => ("x-amz-log-result", Meaning::Field(&mut self.log_result)),
            },
            17 => ("transfer-encoding", Meaning::TransferEncoding),
            20 => ("x-amz-function-error", Meaning::Field(&mut self.function_error)),
            22 => ("x-amz-executed-version", Meaning::Field(&mut self.executed_version)),
            _ => return Meaning::None,
        };
        if name.eq_ignore_ascii_case(known) { meaning } else { Meaning::None }
    }
}

/// What a header line is for.
enum Meaning<'a> {
    None,
    ContentLength,
    TransferEncoding,
    Connection,
    Field(&'a mut Option<Range<usize>>),
}

/// Where `part`, a slice of `whole`, stands in it.
fn range_of(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    Some(start..start + part.len()).filter(|range| range.end <= whole.len())
}

fn parse_length(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    crate::directive::parse_integer(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n\
        Content-Type: application/json\r\nContent-Length: 12\r\nConnection: keep-alive\r\n\
        x-amzn-RequestId: f3c8\r\nX-Amz-Function-Error: Unhandled\r\n\
        X-Amz-Executed-Version: $LATEST\r\nX-Amz-Log-Result: TE9H\r\n\
        X-Amzn-ErrorType: Foo\r\nRetry-After: 3\r\n\r\n";

    #[test]
    fn the_fields_of_the_api_are_found() {
        let head = ResponseHead::parse(HEAD, false).unwrap().unwrap();
        let text =
            |range: Option<Range<usize>>| std::str::from_utf8(&HEAD[range.unwrap()]).unwrap();
        assert_eq!((head.length, head.status, head.is_last), (HEAD.len(), 200, false));
        assert_eq!(head.body, BodyLength::Known(12));
        assert_eq!(text(head.content_type), "application/json");
        assert_eq!(text(head.date), "Mon, 23 Nov 2026 10:00:00 GMT");
        assert_eq!(text(head.retry_after), "3");
        assert_eq!(text(head.request_id), "f3c8");
        assert_eq!(text(head.error_type), "Foo");
        assert_eq!(text(head.function_error), "Unhandled");
        assert_eq!(text(head.executed_version), "$LATEST");
        assert_eq!(text(head.log_result), "TE9H");
        assert_eq!(ResponseHead::lines(HEAD).len(), 10);
        assert_eq!(ResponseHead::lines(HEAD)[2], ("Content-Length", &b"12"[..]));
    }

    #[test]
    fn a_head_is_incomplete_until_its_last_byte() {
        for end in 0..HEAD.len() {
            assert_eq!(ResponseHead::parse(&HEAD[..end], false), Ok(None), "{end}");
        }
    }

    #[test]
    fn the_end_of_the_body_is_told_in_one_way() {
        use BodyLength::*;
        for (head, is_head_request, body, is_last) in [
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n", false, Chunked, false),
            ("HTTP/1.1 200 OK\r\n", false, UntilClose, true),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n",
                false,
                Known(0),
                true,
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n", false, Known(5), true),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
                false,
                Known(5),
                false,
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", true, Known(0), false),
            ("HTTP/1.1 204 No Content\r\n", false, Known(0), false),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n", false, Known(0), false),
        ] {
            let parsed = ResponseHead::parse(format!("{head}\r\n").as_bytes(), is_head_request);
            let parsed = parsed.unwrap().unwrap();
            assert_eq!((parsed.body, parsed.is_last), (body, is_last), "{head}");
        }
    }

    #[test]
    fn heads_that_cannot_be_trusted_are_refused() {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: \r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
            "HTTP/1.1 100 Continue\r\n",
            "HTTP/1.1 600 X\r\n",
            "HTTP/2.0 200 OK\r\n",
            "200 OK\r\n",
            "HTTP/1.1 200 OK\r\na b: c\r\n",
            "HTTP/1.1 200 OK\r\na: b\u{1}c\r\n",
            "HTTP/1.1 200 OK\r\na: b\u{7f}\r\n",
        ] {
            let head = format!("{head}\r\n");
            assert_eq!(ResponseHead::parse(head.as_bytes(), false), Err(InvalidHead), "{head}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(tail in any::<Vec<u8>>()) {
            let _ = ResponseHead::parse(&tail, false);
            let _ = ResponseHead::parse(&[b"HTTP/1.1 200 OK\r\n", &tail[..]].concat(), true);
        }
    }
}
