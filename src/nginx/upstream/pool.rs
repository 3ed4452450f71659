//! An endpoint's connections: kept open between requests, per worker.
//!
//! nginx's own keepalive module serves `upstream {}` blocks alone, whose addresses are fixed at configuration. This pool is
//! the `peer` of a hand-made upstream, so that everything else (TLS, timeouts, buffers, variables) stays nginx's.

use super::addresses::{Address, AddressList};
use super::peer;
use crate::nginx::guard::guard;
use nginx_sys::{
    NGX_AGAIN, NGX_OK, SSL_SESSION, SSL_SESSION_free, SSL_SESSION_is_resumable, in_port_t,
    ngx_add_timer, ngx_close_connection, ngx_connection_t, ngx_current_msec, ngx_cycle,
    ngx_del_timer, ngx_destroy_pool, ngx_event_t, ngx_exiting, ngx_handle_read_event,
    ngx_http_upstream_srv_conf_t, ngx_int_t, ngx_log_t, ngx_msec_t, ngx_ssl_get_session,
    ngx_ssl_set_session, ngx_ssl_shutdown, ngx_ssl_t, ngx_str_t, ngx_terminate,
};
use std::cell::UnsafeCell;
use std::ptr::{NonNull, null_mut};
use std::rc::Rc;
use std::sync::Arc;

const OK: ngx_int_t = NGX_OK as ngx_int_t;
const AGAIN: ngx_int_t = NGX_AGAIN as ngx_int_t;
/// TLS 1.3 tickets are used once each; a server sends two with every connection.
const MAX_SESSIONS: usize = 32;
/// A connection that has just served a request is not looked at again: should it be dead after all, its peer acknowledges
/// nothing, and the request is tried on another.
const TRUSTED_IDLE_MS: ngx_msec_t = 250;
/// A connection is closed when it is this old, so that load balancers' changes are followed.
const MAX_AGE_MS: ngx_msec_t = 3_600_000;

/// How an endpoint is reached and how many connections to it are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::nginx) struct Settings {
    /// Name or address to connect to.
    pub(in crate::nginx) host: String,
    /// Port to connect to.
    pub(in crate::nginx) port: u16,
    /// Whether connections are TLS.
    pub(in crate::nginx) is_tls: bool,
    /// TLS: the certificates that are trusted instead of the system's.
    pub(in crate::nginx) trusted_certificate: Option<std::path::PathBuf>,
    /// TLS: the name for SNI and verification.
    pub(in crate::nginx) server_name: String,
    /// TLS: whether the certificate is verified.
    pub(in crate::nginx) verify: bool,
    /// The most idle connections a worker keeps.
    pub(in crate::nginx) max_idle: usize,
    /// How long a connection may be idle.
    pub(in crate::nginx) idle_timeout_ms: ngx_msec_t,
    /// Idle connections that are made ahead of need.
    pub(in crate::nginx) min_idle: usize,
}

/// A pool of connections to one endpoint.
pub(in crate::nginx) struct Endpoint {
    /// What nginx takes for an `upstream {}` block.
    upstream: ngx_http_upstream_srv_conf_t,
    pub(super) settings: Settings,
    pub(super) addresses: Arc<AddressList>,
    /// Null for plain HTTP.
    pub(super) ssl: *mut ngx_ssl_t,
    /// The last one parked is the first one taken; the first ages out.
    idle: Vec<NonNull<Idle>>,
    pub(super) next_address: usize,
    pub(super) warming: usize,
    /// Armed after a connection could not be made ahead of need.
    pub(super) warm_again: ngx_event_t,
    sessions: Vec<NonNull<SSL_SESSION>>,
}

/// A parked connection; what its `data` points to.
struct Idle {
    endpoint: NonNull<Endpoint>,
    connection: NonNull<ngx_connection_t>,
    address: Arc<Address>,
    parked_at_ms: ngx_msec_t,
}

/// An endpoint as destinations share it. Requests and connections point to it without a share of their own: theirs is that of
/// their destination, which they hold.
#[derive(Clone)]
pub(in crate::nginx) struct SharedEndpoint(Rc<UnsafeCell<Endpoint>>);

impl SharedEndpoint {
    /// A new endpoint, without addresses yet.
    ///
    /// # Safety
    /// `ssl` is null or outlives the endpoint.
    pub(in crate::nginx) unsafe fn new(settings: Settings, ssl: *mut ngx_ssl_t) -> Self {
        // SAFETY: an all-zero upstream is what nginx itself starts from, and an all-zero event is one that is not armed.
        let (mut upstream, warm_again): (ngx_http_upstream_srv_conf_t, ngx_event_t) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        // nginx sends it as SNI and compares it with the certificate.
        let name = &settings.server_name;
        upstream.host = ngx_str_t { len: name.len(), data: name.as_ptr().cast_mut() };
        upstream.port = settings.port as in_port_t;
        #[cfg(nginx1_27_3)]
        {
            upstream.resolver_timeout = ngx_msec_t::MAX;
        }
        upstream.peer.init = Some(peer::init);
        let addresses = Arc::new(AddressList::new(&settings.host, settings.port));
        let shared = Self(Rc::new(UnsafeCell::new(Endpoint {
            upstream,
            settings,
            addresses,
            ssl,
            idle: Vec::new(),
            next_address: 0,
            warming: 0,
            warm_again,
            sessions: Vec::new(),
        })));
        let mut raw = shared.as_ptr();
        // SAFETY: nobody else has it yet.
        unsafe { raw.as_mut().upstream.peer.data = raw.as_ptr().cast() };
        shared
    }

    /// The endpoint itself, live while anybody shares it. The worker's only thread holds no reference to it across calls.
    pub(in crate::nginx) fn as_ptr(&self) -> NonNull<Endpoint> {
        // SAFETY: a cell is never null.
        unsafe { NonNull::new_unchecked(self.0.get()) }
    }

    /// True when nobody else shares it.
    pub(in crate::nginx) fn is_alone(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

impl Endpoint {
    /// For `conf.upstream`.
    pub(in crate::nginx) fn as_upstream(&mut self) -> *mut ngx_http_upstream_srv_conf_t {
        &mut self.upstream
    }

    /// The name that certificates are checked for.
    pub(super) fn server_name(&self) -> ngx_str_t {
        self.upstream.host
    }

    /// How it is reached.
    pub(in crate::nginx) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The list that a helper thread keeps fresh.
    pub(in crate::nginx) fn addresses(&self) -> Arc<AddressList> {
        Arc::clone(&self.addresses)
    }

    /// How many connections wait for requests.
    pub(super) fn idle_count(&self) -> usize {
        self.idle.len()
    }

    /// The warmest idle connection that is still good, ready for a request with this log.
    pub(super) fn take(
        &mut self,
        log: *mut ngx_log_t,
    ) -> Option<(NonNull<ngx_connection_t>, Arc<Address>)> {
        while let Some(parked) = self.idle.pop() {
            // SAFETY: entries of `idle` are boxes that `park` leaked, each in the list once.
            let parked = unsafe { Box::from_raw(parked.as_ptr()) };
            let listed = self.addresses.current().iter().any(|known| **known == *parked.address);
            // SAFETY: a parked connection is live and ours alone.
            unsafe {
                let idle_ms = ngx_current_msec.wrapping_sub(parked.parked_at_ms);
                let is_dead = idle_ms > TRUSTED_IDLE_MS && !is_quiet(parked.connection);
                if !listed || is_dead {
                    close(parked.connection.as_ptr());
                    continue;
                }
                let connection = &mut *parked.connection.as_ptr();
                connection.set_idle(0);
                connection.sent = 0;
                connection.data = null_mut();
                set_log(connection, log);
                if (*connection.read).timer_set() != 0 {
                    ngx_del_timer(connection.read);
                }
            }
            return Some((parked.connection, parked.address));
        }
        None
    }

    /// Keeps a connection for the next request; it may be closed at once when it turns out dead.
    ///
    /// # Safety
    /// `connection` is live, nobody else uses it, and `endpoint` outlives it (`retire` closes it before).
    pub(super) unsafe fn park(
        endpoint: NonNull<Self>,
        connection: NonNull<ngx_connection_t>,
        address: Arc<Address>,
    ) {
        // SAFETY: the worker's only thread; no other reference to the endpoint is live across this call.
        unsafe {
            let this = &mut *endpoint.as_ptr();
            if this.idle.len() >= this.settings.max_idle && !this.idle.is_empty() {
                let oldest = Box::from_raw(this.idle.remove(0).as_ptr());
                close(oldest.connection.as_ptr());
            }
            let parked_at_ms = ngx_current_msec;
            let parked = Idle { endpoint, connection, address, parked_at_ms };
            let parked = NonNull::from(Box::leak(Box::new(parked)));
            this.idle.push(parked);
            let c = &mut *connection.as_ptr();
            (*c.read).set_delayed(0);
            ngx_add_timer(c.read, this.settings.idle_timeout_ms);
            if (*c.write).timer_set() != 0 {
                ngx_del_timer(c.write);
            }
            (*c.write).handler = Some(ignore);
            (*c.read).handler = Some(idle_event);
            c.data = parked.as_ptr().cast();
            // A graceful quit closes idle connections through their read handler.
            c.set_idle(1);
            set_log(c, (*ngx_cycle).log);
            if (*c.read).ready() != 0 {
                idle_event(c.read);
            }
        }
    }

    /// True when a connection that has served a request may serve another.
    ///
    /// Source: the conditions of ngx_http_upstream_free_keepalive_peer.
    pub(super) unsafe fn may_park(&self, connection: NonNull<ngx_connection_t>) -> bool {
        // SAFETY: the caller's live connection.
        unsafe {
            let c = &*connection.as_ptr();
            let (read, write) = (&*c.read, &*c.write);
            let broken = read.eof() != 0
                || read.error() != 0
                || read.timedout() != 0
                || write.error() != 0
                || write.timedout() != 0;
            !broken
                && self.settings.max_idle > 0
                && ngx_current_msec.wrapping_sub(c.start_time) < MAX_AGE_MS
                && ngx_terminate == 0
                && ngx_exiting == 0
                && ngx_handle_read_event(c.read, 0) == OK
        }
    }

    /// Offers a kept TLS session to a new connection.
    pub(super) unsafe fn offer_session(&mut self, connection: *mut ngx_connection_t) -> ngx_int_t {
        while let Some(session) = self.sessions.pop() {
            // SAFETY: the list holds one reference to each session; ngx_ssl_set_session takes its own.
            unsafe {
                if SSL_SESSION_is_resumable(session.as_ptr()) == 0 {
                    SSL_SESSION_free(session.as_ptr());
                    continue;
                }
                let status = ngx_ssl_set_session(connection, session.as_ptr());
                if self.sessions.is_empty() {
                    // Better an old ticket, which a TLS 1.2 server takes again, than none.
                    self.sessions.push(session);
                } else {
                    SSL_SESSION_free(session.as_ptr());
                }
                return status;
            }
        }
        OK
    }

    /// Keeps the session that the server has just sent.
    pub(super) unsafe fn keep_session(&mut self, connection: *mut ngx_connection_t) {
        // SAFETY: a live TLS connection; the reference that is taken is the list's.
        unsafe {
            if let Some(session) = NonNull::new(ngx_ssl_get_session(connection)) {
                self.sessions.push(session);
            }
            if self.sessions.len() > MAX_SESSIONS {
                SSL_SESSION_free(self.sessions.remove(0).as_ptr());
            }
        }
    }

    /// Closes the connections that wait for requests; true when none is being made either, so that nothing points here.
    ///
    /// # Safety
    /// The endpoint is live, no reference to it is held, and no destination has it.
    pub(in crate::nginx) unsafe fn retire(endpoint: NonNull<Self>) -> bool {
        // SAFETY: the caller's; entries of `idle` are boxes that `park` leaked, and their connections ours alone.
        unsafe {
            let this = &mut *endpoint.as_ptr();
            for parked in std::mem::take(&mut this.idle) {
                let parked = Box::from_raw(parked.as_ptr());
                close(parked.connection.as_ptr());
            }
            if this.warm_again.timer_set() != 0 {
                ngx_del_timer(&mut this.warm_again);
            }
            this.warming == 0
        }
    }

    /// The endpoint of a parked connection.
    ///
    /// # Safety
    /// `connection` is parked.
    pub(super) unsafe fn of_parked(connection: *mut ngx_connection_t) -> NonNull<Self> {
        // SAFETY: `park` set data to an Idle.
        unsafe { (*(*connection).data.cast::<Idle>()).endpoint }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        for session in self.sessions.drain(..) {
            // SAFETY: the list's own reference.
            unsafe { SSL_SESSION_free(session.as_ptr()) };
        }
        for parked in self.idle.drain(..) {
            // SAFETY: leaked by `park`; the connection itself is nginx's to close with the cycle.
            drop(unsafe { Box::from_raw(parked.as_ptr()) });
        }
    }
}

/// True when nothing has come in on an idle connection: neither data nor an end.
///
/// Without the look a connection whose end is still unread in the event queue would be handed out.
unsafe fn is_quiet(connection: NonNull<ngx_connection_t>) -> bool {
    let mut byte = 0_u8;
    // SAFETY: one byte is peeked into one byte.
    let peeked = unsafe {
        let fd = (*connection.as_ptr()).fd;
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        libc::recv(fd, std::ptr::from_mut(&mut byte).cast(), 1, flags)
    };
    // SAFETY: TLS records other than data (tickets) may wait there; the connection is live.
    peeked < 0 && nginx_sys::ngx_socket_errno() == libc::EAGAIN
        || peeked > 0 && unsafe { !(*connection.as_ptr()).ssl.is_null() && drain_tls(connection) }
}

/// Lets OpenSSL read what waits (session tickets); true when it was no data and no end.
unsafe fn drain_tls(connection: NonNull<ngx_connection_t>) -> bool {
    let mut byte = 0_u8;
    // SAFETY: a live TLS connection has `recv` set; one byte is read into one byte.
    unsafe {
        let c = connection.as_ptr();
        (*c).recv.is_some_and(|recv| recv(c, &mut byte, 1) == NGX_AGAIN as isize)
    }
}

unsafe fn set_log(connection: &mut ngx_connection_t, log: *mut ngx_log_t) {
    connection.log = log;
    // SAFETY: a connection has both events; its pool is set for upstream connections.
    unsafe {
        (*connection.read).log = log;
        (*connection.write).log = log;
        if let Some(pool) = connection.pool.as_mut() {
            pool.log = log;
        }
    }
}

unsafe extern "C" fn ignore(_event: *mut ngx_event_t) {}

/// An idle connection has an event: the idle timeout, a graceful quit, the server's end, or a TLS ticket.
unsafe extern "C" fn idle_event(event: *mut ngx_event_t) {
    guard("idle connection", (), || {
        // SAFETY: `park` set this handler; data is the connection, whose data is its Idle.
        unsafe {
            let connection = (*event).data.cast::<ngx_connection_t>();
            let ended = (*connection).close() != 0 || (*event).timedout() != 0;
            if !ended && is_quiet(NonNull::new_unchecked(connection)) {
                (*event).set_ready(0);
                if ngx_handle_read_event(event, 0) == OK {
                    return;
                }
            }
            let parked = NonNull::new_unchecked((*connection).data.cast::<Idle>());
            let endpoint = parked.as_ref().endpoint;
            (*endpoint.as_ptr()).idle.retain(|other| *other != parked);
            drop(Box::from_raw(parked.as_ptr()));
            close(connection);
            super::warm::maintain(endpoint);
        }
    });
}

/// Closes a connection that is no request's.
pub(super) unsafe extern "C" fn close(connection: *mut ngx_connection_t) {
    // SAFETY: live and ours alone; nginx calls it again through ssl->handler when the shutdown must wait.
    unsafe {
        if let Some(ssl) = (*connection).ssl.as_mut() {
            ssl.set_no_wait_shutdown(1);
            ssl.set_no_send_shutdown(1);
            if ngx_ssl_shutdown(connection) == AGAIN {
                ssl.handler = Some(close);
                return;
            }
        }
        if !(*connection).pool.is_null() {
            ngx_destroy_pool((*connection).pool);
        }
        ngx_close_connection(connection);
    }
}
