//! Replies that go to the client as they come: InvokeWithResponseStream and function URLs.
//!
//! Until the head of the client's response is known nothing has been sent, and whatever goes wrong is a refusal as any other.
//! Afterwards a broken stream can only be cut off, which ending.rs does. nginx reads no more than its buffer holds while the
//! client does not take it.

use super::call::Call;
use super::collect::filled;
use super::ending::{note, note_log, refuse};
use super::output::{append, is_api_header, is_passed, pass_api_headers, push, write_head};
use crate::lambda::reply::{is_dropped, read_prelude};
use crate::lambda::{
    BodyLength, ChunkedDecoder, ErrorName, EventStreamDecoder, Failure, InvalidReply,
    PreludeSplitter, ResponseHead, Split, StreamError, announces_prelude,
};
use crate::nginx::request::Request;
use nginx_sys::{NGX_AGAIN, NGX_ERROR, NGX_OK, ngx_http_upstream_t, ngx_int_t, off_t};
use std::ops::Range;

const OK: ngx_int_t = NGX_OK as ngx_int_t;
const AGAIN: ngx_int_t = NGX_AGAIN as ngx_int_t;
const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
/// What stands for output that came together with the head.
const PRIMER_BYTES: usize = 1;
/// The type of a stream that does not tell its own.
const BYTES: &[u8] = b"application/octet-stream";
/// The type of the API's frames, which is not the content's.
const FRAMES: &[u8] = b"application/vnd.amazon.eventstream";

/// A response's body on its way to the client.
pub(super) struct Stream {
    length: BodyLength,
    /// What is missing of a body of known length.
    left: u64,
    /// How much more the function may say.
    room: u64,
    chunks: ChunkedDecoder,
    /// `None` for a function URL, whose body is the client's as it is.
    events: Option<EventStreamDecoder>,
    /// Takes in the prelude, until it is whole.
    prelude: Option<PreludeSplitter>,
    /// Output that came together with the head.
    pending: Vec<u8>,
    /// Whether `pending` is to be handed on for a byte that stands for it.
    is_primed: bool,
    is_over: bool,
    /// Whether the connection may serve another request afterwards.
    is_last: bool,
    /// Pieces of a read that are content, and those that are output; kept for their memory.
    content: Vec<Range<usize>>,
    output: Vec<Range<usize>>,
}

/// True when a response's body is to be streamed. What the API answers in a function's place is read as a whole.
pub(super) fn is_wanted(call: &Call, head: &ResponseHead) -> bool {
    if call.url.is_some() {
        return head.status < 400 || head.error_type.is_none();
    }
    call.location().plan.pass.stream && head.status == 200 && head.function_error.is_none()
}

/// True when a response says itself that it is over `lambda_max_response`. The length of the API's frames says nothing.
pub(super) fn is_too_large(call: &Call, head: &ResponseHead) -> bool {
    let max = call.location().plan.max_stream_bytes;
    call.url.is_some() && matches!(head.body, BodyLength::Known(length) if length > max)
}

/// Begins a stream at the response's head, which is the front of `have`.
pub(super) fn open(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
    have: &[u8],
    head: &ResponseHead,
) {
    let plan = &call.location().plan;
    note(request, have, head, plan.log_tail);
    let is_url = call.url.is_some();
    let content_type = head.content_type.clone().and_then(|range| have.get(range));
    let content_type = content_type.unwrap_or_default();
    let has_prelude = !is_url && announces_prelude(content_type);
    // Short of memory a header is missing; nginx's own next step fails then.
    let _ = if is_url {
        pass_url_head(request, upstream, call, have, head)
    } else {
        upstream.headers_in.status_n = 200;
        let own = !content_type.is_empty() && !content_type.starts_with(FRAMES);
        let content_type = if own { content_type } else { BYTES };
        let typed = match has_prelude {
            true => Some(()),
            false => push(request, upstream, b"Content-Type", content_type),
        };
        typed.and_then(|()| pass_api_headers(request, upstream, plan, have))
    };
    let left = match head.body {
        BodyLength::Known(length) => length,
        _ => 0,
    };
    call.response.stream = Some(Stream {
        length: head.body,
        left,
        room: plan.max_stream_bytes,
        chunks: ChunkedDecoder::default(),
        events: (!is_url).then(EventStreamDecoder::default),
        prelude: has_prelude.then(PreludeSplitter::default),
        pending: Vec::new(),
        is_primed: false,
        is_over: is_url && head.body == BodyLength::Known(0),
        is_last: head.is_last,
        content: Vec::new(),
        output: Vec::new(),
    });
}

/// The status and headers of a function URL's response.
fn pass_url_head(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &Call,
    have: &[u8],
    head: &ResponseHead,
) -> Option<()> {
    let plan = &call.location().plan;
    upstream.headers_in.status_n = head.status.into();
    upstream.headers_in.content_length_n = match head.body {
        BodyLength::Known(length) if !request.is_head() && !matches!(head.status, 204 | 304) => {
            off_t::try_from(length).unwrap_or(-1)
        }
        _ => -1,
    };
    for (name, value) in ResponseHead::lines(have) {
        if request.is_head() && name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            upstream.headers_in.content_length_n = length.unwrap_or(-1);
        } else if !is_dropped(name) && (!is_api_header(name) || is_passed(plan, name)) {
            push(request, upstream, name.as_bytes(), value)?;
        }
    }
    Some(())
}

/// u->process_header for a stream: NGX_AGAIN until there is something to send.
pub(super) fn advance(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
) -> ngx_int_t {
    let skipped = std::mem::take(&mut call.response.decoded_end);
    // SAFETY: pos..last of the buffer is what has been read.
    let piece: &[u8] = unsafe { filled(&upstream.buffer) };
    let piece = piece.get(skipped..).unwrap_or_default();
    let Some(stream) = call.response.stream.as_mut() else { return ERROR };
    let read = stream.decode(request, piece).and_then(|()| stream.take_head(piece));
    // All of it is taken: nginx may read on for ever.
    upstream.buffer.pos = upstream.buffer.start;
    upstream.buffer.last = upstream.buffer.start;
    match read {
        Err(failure) => return refuse(request, upstream, call, &failure),
        Ok(Head::More) => return AGAIN,
        Ok(Head::Ready) => {}
        Ok(Head::Prelude(json)) => {
            let written = match read_prelude(&json) {
                Ok(reply) => write_head(request, upstream, &reply),
                Err(invalid) => {
                    return refuse(request, upstream, call, &Failure::InvalidReply(invalid));
                }
            };
            if written.is_none() {
                return ERROR;
            }
        }
    }
    let Some(stream) = call.response.stream.as_mut() else { return ERROR };
    if stream.is_over {
        upstream.set_keepalive(u32::from(!stream.is_last));
    }
    if !stream.pending.is_empty() || stream.is_over {
        stream.is_primed = true;
        count(upstream, stream.pending.len(), PRIMER_BYTES);
        // SAFETY: a byte of the buffer, which is larger. nginx hands it to the filter at once.
        upstream.buffer.last = unsafe { upstream.buffer.start.add(PRIMER_BYTES) };
    }
    OK
}

/// Sets right what nginx counts in `$upstream_response_length`: what the function has said, and not the `read` bytes.
fn count(upstream: &mut ngx_http_upstream_t, said: usize, read: usize) {
    // SAFETY: null or the attempt's state.
    if let Some(state) = unsafe { upstream.state.as_mut() } {
        state.response_length += said as off_t - read as off_t;
    }
}

/// How far the head of the client's response is.
enum Head {
    More,
    Ready,
    /// It is in this JSON.
    Prelude(Vec<u8>),
}

impl Stream {
    /// `u->length` at the start: 0 for nothing more, -1 when the connection's end is a good one, else what never gets 0 by itself.
    pub(super) fn length(&self) -> off_t {
        match self.length {
            BodyLength::UntilClose if self.events.is_none() => -1,
            _ => 1,
        }
    }

    /// True when all of it has come.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Puts the pieces of a read that are the function's output into `self.output`.
    ///
    /// Pieces found before an error are good.
    fn decode(&mut self, request: Request<'_>, piece: &[u8]) -> Result<(), Failure> {
        self.output.clear();
        self.content.clear();
        self.unframe(piece)?;
        let is_whole = match self.length {
            BodyLength::Known(_) => self.left == 0,
            BodyLength::Chunked => self.chunks.is_done(),
            BodyLength::UntilClose => false,
        };
        let Some(events) = self.events.as_mut() else {
            self.output.append(&mut self.content);
            self.take_room()?;
            self.is_over = is_whole;
            return Ok(());
        };
        for range in &self.content {
            let base = range.start;
            let output = &mut self.output;
            let frames = piece.get(range.clone()).unwrap_or_default();
            let fed = events.feed(frames, |at| output.push(base + at.start..base + at.end));
            fed.map_err(failure_of)?;
        }
        self.take_room()?;
        match self.events.as_ref().and_then(EventStreamDecoder::completion) {
            Some(completion) => {
                if let Some(log) = &completion.log_result {
                    note_log(request, log);
                }
                if let Some(name) = &completion.error {
                    return Err(Failure::FunctionError(name.clone()));
                }
                self.is_over = is_whole || self.length == BodyLength::UntilClose;
            }
            None if is_whole => return Err(Failure::InvalidAnswer),
            None => {}
        }
        Ok(())
    }

    /// Cuts the output where the room for it ends.
    fn take_room(&mut self) -> Result<(), Failure> {
        for (at, range) in self.output.iter_mut().enumerate() {
            match self.room.checked_sub(range.len() as u64) {
                Some(room) => self.room = room,
                None => {
                    // Less than the range is long, so that it fits.
                    range.end = range.start + usize::try_from(self.room).unwrap_or(0);
                    self.room = 0;
                    self.output.truncate(at + 1);
                    return Err(Failure::AnswerTooLarge);
                }
            }
        }
        Ok(())
    }

    fn unframe(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let content = &mut self.content;
        match self.length {
            BodyLength::Chunked => self
                .chunks
                .feed(piece, |range| content.push(range))
                .map_err(|_| Failure::InvalidAnswer),
            BodyLength::Known(_) => {
                let length = piece.len() as u64;
                self.left = self.left.checked_sub(length).ok_or(Failure::InvalidAnswer)?;
                content.push(0..piece.len());
                Ok(())
            }
            BodyLength::UntilClose => {
                content.push(0..piece.len());
                Ok(())
            }
        }
    }

    /// Keeps the output of a read for when the head is sent.
    fn take_head(&mut self, piece: &[u8]) -> Result<Head, Failure> {
        let mut json = None;
        for range in &self.output {
            let mut output = piece.get(range.clone()).unwrap_or_default();
            if let Some(splitter) = &mut self.prelude {
                match splitter.feed(output) {
                    Ok(Split::More) => continue,
                    Ok(Split::Body(at)) => output = output.get(at..).unwrap_or_default(),
                    Err(_) => return Err(InvalidReply::NotJson.into()),
                }
                json = self.prelude.take().map(|splitter| splitter.json().to_vec());
            }
            self.pending.extend_from_slice(output);
        }
        match json {
            Some(json) => Ok(Head::Prelude(json)),
            None if self.prelude.is_some() && self.is_over => Err(InvalidReply::NotJson.into()),
            None if self.prelude.is_some() => Ok(Head::More),
            // Without a prelude a function has said nothing until it says the first byte.
            None if self.events.is_some() && self.pending.is_empty() && !self.is_over => {
                Ok(Head::More)
            }
            None => Ok(Head::Ready),
        }
    }
}

fn failure_of(error: StreamError) -> Failure {
    match error {
        StreamError::Exception(name) if is_throttle(&name) => {
            Failure::Throttled { retry_after_s: 1 }
        }
        StreamError::Exception(name) => Failure::Api(name),
        StreamError::Checksum | StreamError::Malformed | StreamError::Trailing => {
            Failure::InvalidAnswer
        }
    }
}

fn is_throttle(name: &ErrorName) -> bool {
    matches!(name.as_str(), "TooManyRequestsException" | "ThrottlingException")
}

/// u->input_filter for a stream: `size` bytes were read behind `buffer.last`; `None` when memory is short.
///
/// # Safety
/// The call's request is live, and the bytes are initialised.
pub(super) unsafe fn pass(
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
    size: usize,
) -> Option<()> {
    let stream = call.response.stream.as_mut()?;
    if call.response.failure.is_some() {
        // What comes behind a broken piece is nobody's.
        return Some(());
    }
    // SAFETY: the caller's; pieces lie in the buffer, which nginx does not use again before they are sent, and `pending` is
    // not touched again.
    unsafe {
        if std::mem::take(&mut stream.is_primed) {
            let range = stream.pending.as_mut_ptr_range();
            if !stream.pending.is_empty() {
                append(call.request, upstream, range.start, range.end)?;
            }
        } else {
            let start = upstream.buffer.last;
            upstream.buffer.last = start.add(size);
            let piece = std::slice::from_raw_parts(start, size);
            let decoded = stream.decode(Request::new(call.request), piece);
            let said = stream.output.iter().map(ExactSizeIterator::len).sum();
            count(upstream, said, size);
            for range in &stream.output {
                append(call.request, upstream, start.add(range.start), start.add(range.end))?;
            }
            if let Err(failure) = decoded {
                call.response.failure = Some(failure);
                // nginx sends what is queued, then ends the request with 502.
                upstream.set_error(1);
                return Some(());
            }
        }
    }
    if stream.is_over {
        upstream.length = 0;
        upstream.set_keepalive(u32::from(!stream.is_last));
    }
    Some(())
}
