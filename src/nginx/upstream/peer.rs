//! Which connection a request gets, and whether a failed one is tried again.
//!
//! nginx asks `get` for a connection and tells `free` how it went, before it looks at `tries`: by setting `tries` there the
//! decision is ours. nginx's own rule goes by the client's method, and would invoke a function twice for a GET.

use super::addresses::Address;
use super::call::Call;
use super::pool::Endpoint;
use crate::lambda::retry::{Failure, may_retry};
use crate::nginx::guard::guard;
use crate::nginx::memory;
use nginx_sys::{
    NGX_BUSY, NGX_DONE, NGX_ERROR, NGX_OK, NGX_PEER_FAILED, ngx_connection_t, ngx_http_request_t,
    ngx_http_upstream_srv_conf_t, ngx_int_t, ngx_peer_connection_t, ngx_uint_t,
};
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;

/// The attempts of one request; `u->peer.data`.
struct Attempts {
    endpoint: NonNull<Endpoint>,
    request: NonNull<ngx_http_request_t>,
    address: Option<Arc<Address>>,
    /// Those of earlier attempts, whose names `$upstream_addr` shows.
    earlier: Vec<Arc<Address>>,
    count: u32,
    /// After a failure: one stale connection may mean that all are.
    fresh_only: bool,
}

/// upstream.peer.init
pub(super) unsafe extern "C" fn init(
    request: *mut ngx_http_request_t,
    upstream: *mut ngx_http_upstream_srv_conf_t,
) -> ngx_int_t {
    guard("peer init", ERROR, || {
        // SAFETY: nginx hands a live request with its upstream; `data` is the endpoint that pool.rs set.
        unsafe {
            let (Some(request), Some(endpoint)) =
                (NonNull::new(request), NonNull::new((*upstream).peer.data.cast::<Endpoint>()))
            else {
                return ERROR;
            };
            let attempts = Attempts {
                endpoint,
                request,
                address: None,
                earlier: Vec::new(),
                count: 0,
                fresh_only: false,
            };
            let Some(attempts) = memory::place((*request.as_ptr()).pool, attempts) else {
                return ERROR;
            };
            let peer = &mut (*(*request.as_ptr()).upstream).peer;
            peer.data = attempts.as_ptr().cast();
            peer.get = Some(get);
            peer.free = Some(free);
            peer.set_session = Some(set_session);
            peer.save_session = Some(save_session);
            // More than none: `free` sets what nginx looks at.
            peer.tries = 2;
            NGX_OK as ngx_int_t
        }
    })
}

unsafe extern "C" fn get(peer: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    guard("peer get", ERROR, || {
        // SAFETY: `init` set data; nginx holds no other reference to either.
        let (peer, attempts) = unsafe { (&mut *peer, &mut *data.cast::<Attempts>()) };
        // SAFETY: the request's destination shares the endpoint; the worker has one thread.
        let endpoint = unsafe { &mut *attempts.endpoint.as_ptr() };
        attempts.count += 1;
        peer.set_cached(0);
        peer.connection = null_mut();
        let pooled = if attempts.fresh_only { None } else { endpoint.take(peer.log) };
        if let Some((connection, address)) = pooled {
            attempts.aim(peer, address);
            peer.connection = connection.as_ptr();
            peer.set_cached(1);
            // SAFETY: the reference above is not used again.
            unsafe { super::warm::maintain(attempts.endpoint) };
            return NGX_DONE as ngx_int_t;
        }
        let addresses = endpoint.addresses.current();
        endpoint.next_address = endpoint.next_address.wrapping_add(1);
        let next = endpoint.next_address.checked_rem(addresses.len());
        match next.and_then(|next| addresses.get(next)) {
            Some(address) => {
                attempts.aim(peer, Arc::clone(address));
                // SAFETY: the references above are not used again.
                unsafe { super::warm::maintain(attempts.endpoint) };
                NGX_OK as ngx_int_t
            }
            None => NGX_BUSY as ngx_int_t,
        }
    })
}

impl Attempts {
    fn aim(&mut self, peer: &mut ngx_peer_connection_t, address: Arc<Address>) {
        (peer.sockaddr, peer.socklen) = address.sockaddr();
        peer.name = address.name();
        // The pointers above are into the Arc's block, which is kept until the request's pool goes.
        self.earlier.extend(self.address.replace(address));
    }
}

unsafe extern "C" fn free(peer: *mut ngx_peer_connection_t, data: *mut c_void, state: ngx_uint_t) {
    let has_failed = state & NGX_PEER_FAILED as usize != 0;
    // SAFETY: nginx hands a live peer. First of all: should what follows fail, nothing is sent a second time.
    let was_cached = unsafe {
        (*peer).tries = 0;
        let was_cached = (*peer).cached() != 0;
        if has_failed {
            // Else nginx counts a try more for a cached connection.
            (*peer).set_cached(0);
        }
        was_cached
    };
    guard("peer free", (), || {
        // SAFETY: as in `get`.
        let (peer, attempts) = unsafe { (&mut *peer, &mut *data.cast::<Attempts>()) };
        if has_failed {
            // SAFETY: the request and its call are live while its upstream is.
            let again = unsafe { attempts.failed(peer, was_cached) };
            peer.tries = usize::from(again);
            attempts.fresh_only = true;
            return;
        }
        let (Some(connection), Some(address)) =
            (NonNull::new(peer.connection), attempts.address.clone())
        else {
            return;
        };
        // SAFETY: as above; a parked connection is the pool's, and nginx is told so.
        unsafe {
            let upstream = &*(*attempts.request.as_ptr()).upstream;
            let reusable = upstream.keepalive() != 0 && upstream.request_body_sent() != 0;
            if reusable && attempts.endpoint.as_ref().may_park(connection) {
                peer.connection = null_mut();
                Endpoint::park(attempts.endpoint, connection, address);
            }
        }
    });
}

impl Attempts {
    /// # Safety
    /// The request is live and its upstream's input_filter_ctx a [`Call`].
    unsafe fn failed(&self, peer: &ngx_peer_connection_t, was_cached: bool) -> bool {
        // SAFETY: the caller's; a failed connection is closed only after `free`.
        unsafe {
            let call = &*(*(*self.request.as_ptr()).upstream).input_filter_ctx.cast::<Call>();
            let connection = peer.connection.as_ref();
            let timed_out =
                connection.is_some_and(|c| (*c.read).timedout() != 0 || (*c.write).timedout() != 0);
            let sent = connection.is_some_and(|c| c.sent > 0);
            let failure = Failure {
                attempts: self.count,
                addresses: self.endpoint.as_ref().addresses.current().len(),
                sent,
                unacknowledged: sent
                    && was_cached
                    && connection.is_some_and(|c| never_acknowledged(c)),
                received: call.has_received(),
                timed_out,
                invalid: call.response.failure.is_some(),
                asked_again: call.asks_again(),
            };
            may_retry(call.next_upstream(), &failure)
        }
    }
}

/// True when the peer's TCP acknowledged not one byte of the request: it cannot have read it.
///
/// # Safety
/// The connection is live.
pub(super) unsafe fn never_acknowledged(connection: &ngx_connection_t) -> bool {
    /// The head of Linux's `struct tcp_info`, to `tcpi_bytes_retrans` (4.19 and later).
    #[repr(C)]
    struct TcpInfo {
        head: [u8; 104],
        pacing: [u64; 2],
        bytes_acked: u64,
        bytes_received: u64,
        segments: [u32; 6],
        delivery_rate: u64,
        busy_times: [u64; 3],
        delivered: [u32; 2],
        bytes_sent: u64,
        bytes_retransmitted: u64,
    }
    // SAFETY: plain numbers; getsockopt writes at most `length` bytes into them.
    let info = unsafe {
        let mut info: TcpInfo = std::mem::zeroed();
        let mut length = size_of::<TcpInfo>() as libc::socklen_t;
        let status = libc::getsockopt(
            connection.fd,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            std::ptr::from_mut(&mut info).cast(),
            &mut length,
        );
        if status != 0 || (length as usize) < size_of::<TcpInfo>() {
            return false;
        }
        info
    };
    // bytes_acked counts the SYN.
    let acknowledged = info.bytes_acked.saturating_sub(1);
    let sent_once = info.bytes_sent.saturating_sub(info.bytes_retransmitted);
    u64::try_from(connection.sent)
        .is_ok_and(|request| request > 0 && sent_once.saturating_sub(acknowledged) >= request)
}

unsafe extern "C" fn set_session(peer: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    guard("peer session", ERROR, || {
        // SAFETY: as in `get`.
        unsafe {
            let endpoint = (*data.cast::<Attempts>()).endpoint;
            (*endpoint.as_ptr()).offer_session((*peer).connection)
        }
    })
}

unsafe extern "C" fn save_session(peer: *mut ngx_peer_connection_t, data: *mut c_void) {
    guard("peer session", (), || {
        // SAFETY: as in `get`.
        unsafe {
            let endpoint = (*data.cast::<Attempts>()).endpoint;
            (*endpoint.as_ptr()).keep_session((*peer).connection);
        }
    });
}

/// The endpoint whose peer functions a request's upstream has.
///
/// # Safety
/// `request`'s upstream was made with [`init`].
pub(super) unsafe fn endpoint_of(request: *mut ngx_http_request_t) -> NonNull<Endpoint> {
    // SAFETY: the caller's.
    unsafe { (*(*(*request).upstream).peer.data.cast::<Attempts>()).endpoint }
}
