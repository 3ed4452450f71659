//! lambda_pass through a user's `upstream { }` block: its servers, its balancing, its keepalive, and our rule of retries.

use super::call::Call;
use super::peer::never_acknowledged;
use crate::lambda::retry::{Failure, may_retry};
use crate::nginx::guard::guard;
use crate::nginx::memory;
use nginx_sys::{
    NGX_ERROR, NGX_OK, NGX_PEER_FAILED, ngx_event_free_peer_pt, ngx_event_get_peer_pt,
    ngx_event_save_peer_session_pt, ngx_event_set_peer_session_pt, ngx_http_request_t,
    ngx_http_upstream_srv_conf_t, ngx_int_t, ngx_peer_connection_t, ngx_str_t, ngx_uint_t,
};
use std::ffi::c_void;
use std::ptr::NonNull;

const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;

/// A copy of the block that nginx takes for one, with the block itself behind it.
#[repr(C)]
pub(super) struct Wrapped {
    upstream: ngx_http_upstream_srv_conf_t,
    block: *mut ngx_http_upstream_srv_conf_t,
    /// What `upstream.host` points to.
    _name: Box<str>,
}

impl Wrapped {
    /// The block with [`init`] before its own.
    ///
    /// The block itself is left alone: proxy_pass may use it too. `name` is for SNI and verification, for the block's is
    /// nobody's.
    ///
    /// # Safety
    /// The block outlives what is made.
    pub(super) unsafe fn new(block: *mut ngx_http_upstream_srv_conf_t, name: &str) -> Box<Self> {
        // SAFETY: the caller's; a block is plain data.
        let mut upstream = unsafe { std::ptr::read(block) };
        let name: Box<str> = name.into();
        upstream.host = ngx_str_t { len: name.len(), data: name.as_ptr().cast_mut() };
        upstream.peer.init = Some(init);
        Box::new(Self { upstream, block, _name: name })
    }

    /// For `conf.upstream`; valid while the box lives.
    pub(super) fn as_upstream(&self) -> *mut ngx_http_upstream_srv_conf_t {
        std::ptr::from_ref(self).cast::<ngx_http_upstream_srv_conf_t>().cast_mut()
    }
}

/// One request's peer: the block's own functions, and ours round them.
struct Peer {
    request: NonNull<ngx_http_request_t>,
    data: *mut c_void,
    get: ngx_event_get_peer_pt,
    free: ngx_event_free_peer_pt,
    set_session: ngx_event_set_peer_session_pt,
    save_session: ngx_event_save_peer_session_pt,
    count: u32,
    /// The block's servers, as far as its balancer would try them.
    addresses: usize,
}

unsafe extern "C" fn init(
    request: *mut ngx_http_request_t,
    upstream: *mut ngx_http_upstream_srv_conf_t,
) -> ngx_int_t {
    guard("peer init", ERROR, || {
        // SAFETY: `Wrapped::new` made the upstream, the first field of a Wrapped; the request is live.
        unsafe {
            let block = (*upstream.cast::<Wrapped>()).block;
            let (Some(stock), Some(request)) = ((*block).peer.init, NonNull::new(request)) else {
                return ERROR;
            };
            let status = stock(request.as_ptr(), block);
            if status != NGX_OK as ngx_int_t {
                return status;
            }
            let peer = &mut (*(*request.as_ptr()).upstream).peer;
            let ours = Peer {
                request,
                data: peer.data,
                get: peer.get,
                free: peer.free,
                set_session: peer.set_session,
                save_session: peer.save_session,
                count: 0,
                addresses: peer.tries,
            };
            let Some(ours) = memory::place((*request.as_ptr()).pool, ours) else { return ERROR };
            peer.data = ours.as_ptr().cast();
            peer.get = Some(get);
            peer.free = Some(free);
            peer.set_session = Some(set_session);
            peer.save_session = Some(save_session);
            peer.notify = None;
        }
        NGX_OK as ngx_int_t
    })
}

unsafe extern "C" fn get(peer: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    guard("peer get", ERROR, || {
        // SAFETY: `init` set data; nginx hands a live peer.
        unsafe {
            let ours = &mut *data.cast::<Peer>();
            ours.count += 1;
            ours.get.map_or(ERROR, |get| get(peer, ours.data))
        }
    })
}

unsafe extern "C" fn free(peer: *mut ngx_peer_connection_t, data: *mut c_void, state: ngx_uint_t) {
    let failed = state & NGX_PEER_FAILED as usize != 0;
    // Should the decision fail, nothing is sent a second time.
    let again = guard("peer free", false, || {
        // SAFETY: `init` set data; the request and its call are live while its upstream is.
        unsafe { failed && (*data.cast::<Peer>()).may_go_on(&*peer) }
    });
    // SAFETY: as above.
    unsafe {
        let ours = &*data.cast::<Peer>();
        if let Some(free) = ours.free {
            free(peer, ours.data, state);
        }
        if failed {
            // Else nginx counts a try more for a cached connection.
            (*peer).set_cached(0);
            (*peer).tries = if again { (*peer).tries.max(1) } else { 0 };
        }
    }
}

impl Peer {
    /// Whether a failed attempt is followed by another.
    ///
    /// # Safety
    /// The request is live and its upstream's input_filter_ctx a [`Call`].
    unsafe fn may_go_on(&self, peer: &ngx_peer_connection_t) -> bool {
        // SAFETY: the caller's; a failed connection is closed only after `free`.
        let (call, connection) = unsafe {
            let upstream = (*self.request.as_ptr()).upstream;
            (&*(*upstream).input_filter_ctx.cast::<Call>(), peer.connection.as_ref())
        };
        // SAFETY: a connection has both events.
        let timed_out = connection
            .is_some_and(|c| unsafe { (*c.read).timedout() != 0 || (*c.write).timedout() != 0 });
        let failure = Failure {
            attempts: self.count,
            addresses: self.addresses,
            sent: connection.is_some_and(|c| c.sent > 0),
            // SAFETY: a live connection's descriptor.
            unacknowledged: peer.cached() != 0
                && connection.is_some_and(|c| unsafe { never_acknowledged(c) }),
            received: call.has_received(),
            timed_out,
            invalid: call.response.failure.is_some(),
            asked_again: call.asks_again(),
        };
        may_retry(call.next_upstream(), &failure)
    }
}

unsafe extern "C" fn set_session(peer: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    guard("peer session", ERROR, || {
        // SAFETY: `init` set data.
        unsafe {
            let ours = &*data.cast::<Peer>();
            ours.set_session.map_or(NGX_OK as ngx_int_t, |set| set(peer, ours.data))
        }
    })
}

unsafe extern "C" fn save_session(peer: *mut ngx_peer_connection_t, data: *mut c_void) {
    guard("peer session", (), || {
        // SAFETY: `init` set data.
        unsafe {
            let ours = &*data.cast::<Peer>();
            if let Some(save) = ours.save_session {
                save(peer, ours.data);
            }
        }
    });
}
