//! Reading request bodies in a phase, and looking at them.

use super::request::Request;
use nginx_sys::{
    NGX_DONE, NGX_HTTP_SPECIAL_RESPONSE, ngx_http_core_run_phases, ngx_http_finalize_request,
    ngx_http_read_client_request_body, ngx_http_request_t, ngx_int_t,
};
use std::borrow::Cow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const DONE: ngx_int_t = NGX_DONE as ngx_int_t;

/// What came of asking for the body.
pub(super) enum Body {
    /// It is all there.
    Ready,
    /// It comes; the phase is run again when it is there. The handler returns this status.
    Coming(ngx_int_t),
}

/// Asks nginx for the whole body, in memory or in a temporary file. There is none to come where it has been read or thrown
/// away, nor in a subrequest: nginx would call back at once, for ever.
///
/// Source: ngx_http_mirror_module, which reads bodies in a phase in the same way.
pub(super) fn read(request: Request<'_>) -> Body {
    let raw = request.raw().as_ptr();
    // SAFETY: the request is live; nginx calls `arrived` once, at once or later.
    unsafe {
        let comes = (*raw).request_body.is_null() && (*raw).discard_body() == 0;
        if !comes || !request.is_main() {
            return Body::Ready;
        }
        (*raw).set_request_body_in_single_buf(1);
        let status = ngx_http_read_client_request_body(raw, Some(arrived));
        if status >= NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t {
            return Body::Coming(status);
        }
        // Takes back the count that reading has added.
        ngx_http_finalize_request(raw, DONE);
        Body::Coming(DONE)
    }
}

/// No guard: nothing but nginx's own functions is called, and a request that a guard lets drop here would wait for ever.
unsafe extern "C" fn arrived(request: *mut ngx_http_request_t) {
    // SAFETY: nginx hands a live request; its phases go on where the body was asked for.
    unsafe {
        (*request).set_preserve_body(1);
        (*request).write_event_handler = Some(ngx_http_core_run_phases);
        ngx_http_core_run_phases(request);
    }
}

/// How long the body is that has been read.
pub(super) fn length(request: Request<'_>) -> usize {
    let mut length = 0;
    each_buffer(request, |buffer| {
        length += match buffer.in_file() {
            0 => in_memory(buffer).len(),
            _ => usize::try_from(buffer.file_last - buffer.file_pos).unwrap_or(0),
        };
        Some(())
    });
    length
}

/// The body that has been read, in one piece, empty when the request has none; `None` when its file cannot be read, which must
/// not pass for none.
pub(super) fn whole(request: Request<'_>) -> Option<Cow<'_, [u8]>> {
    // SAFETY: the request is live; its body's chain is ended by null.
    unsafe {
        let body = (*request.raw().as_ptr()).request_body.as_ref();
        let Some(first) = body.and_then(|body| body.bufs.as_ref()) else {
            return Some(Cow::Borrowed(&[]));
        };
        let buffer = &*first.buf;
        if first.next.is_null() && buffer.in_file() == 0 {
            return Some(Cow::Borrowed(in_memory(buffer)));
        }
    }
    let mut whole = Vec::new();
    each_buffer(request, |buffer| {
        if buffer.in_file() == 0 {
            whole.extend_from_slice(in_memory(buffer));
            return Some(());
        }
        // SAFETY: the file is open while its buffer is.
        let file = unsafe { BorrowedFd::borrow_raw((*buffer.file).fd) };
        read_file(file, buffer.file_pos, buffer.file_last, &mut whole)
    })?;
    Some(Cow::Owned(whole))
}

/// A body that is read without its request, on whatever thread.
pub(super) struct Detached {
    pieces: Vec<Piece>,
}

enum Piece {
    Memory(Vec<u8>),
    File { file: OwnedFd, from: i64, to: i64 },
}

/// The body that has been read, for somebody who may outlive the request; what is in its file stays there. `None` when the
/// process has too many files open.
pub(super) fn detach(request: Request<'_>) -> Option<Detached> {
    let mut pieces = Vec::new();
    each_buffer(request, |buffer| {
        if buffer.in_file() == 0 {
            pieces.push(Piece::Memory(in_memory(buffer).to_vec()));
            return Some(());
        }
        // SAFETY: the file is open while its buffer is; the duplicate is ours.
        let file = unsafe {
            let duplicate = libc::fcntl((*buffer.file).fd, libc::F_DUPFD_CLOEXEC, 0);
            if duplicate < 0 {
                return None;
            }
            OwnedFd::from_raw_fd(duplicate)
        };
        pieces.push(Piece::File { file, from: buffer.file_pos, to: buffer.file_last });
        Some(())
    })?;
    Some(Detached { pieces })
}

impl Detached {
    /// All of it in one piece; `None` when its file cannot be read.
    pub(super) fn read(self) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        for piece in self.pieces {
            match piece {
                Piece::Memory(bytes) => whole.extend_from_slice(&bytes),
                Piece::File { file, from, to } => read_file(file.as_fd(), from, to, &mut whole)?,
            }
        }
        Some(whole)
    }
}

/// Looks at the buffers of the body that has been read, until one look is `None`.
fn each_buffer(
    request: Request<'_>,
    mut look: impl FnMut(&nginx_sys::ngx_buf_t) -> Option<()>,
) -> Option<()> {
    // SAFETY: the request is live; its body's chain is ended by null.
    unsafe {
        let body = (*request.raw().as_ptr()).request_body.as_ref();
        let mut link = body.map_or(std::ptr::null_mut(), |body| body.bufs);
        while let Some(current) = link.as_ref() {
            look(&*current.buf)?;
            link = current.next;
        }
    }
    Some(())
}

fn in_memory(buffer: &nginx_sys::ngx_buf_t) -> &[u8] {
    if buffer.pos.is_null() {
        return &[];
    }
    // SAFETY: pos..last of a memory buffer is readable and lives as long as the request.
    unsafe {
        let length = usize::try_from(buffer.last.offset_from(buffer.pos)).unwrap_or(0);
        std::slice::from_raw_parts(buffer.pos, length)
    }
}

/// A body over `client_body_buffer_size` lies in nginx's temporary file, fresh in the page cache.
fn read_file(file: BorrowedFd<'_>, from: i64, to: i64, whole: &mut Vec<u8>) -> Option<()> {
    let missing = usize::try_from(to - from).ok()?;
    let start = whole.len();
    whole.resize(start + missing, 0);
    let mut rest = whole.get_mut(start..)?;
    let mut offset = from;
    while !rest.is_empty() {
        // SAFETY: the file is open; the rest is writable.
        let read =
            unsafe { libc::pread(file.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), offset) };
        let read = usize::try_from(read).ok().filter(|read| *read > 0)?;
        offset += read as i64;
        rest = rest.get_mut(read..)?;
    }
    Some(())
}
