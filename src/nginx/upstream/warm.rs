//! Connections made ahead of need (`min_idle`).

use super::addresses::Address;
use super::peer;
use super::pool::{self, Endpoint};
use crate::nginx::guard::guard;
use crate::nginx::log;
use nginx_sys::{
    NGX_AGAIN, NGX_DECLINED, NGX_ERROR, NGX_OK, NGX_SSL_BUFFER, NGX_SSL_CLIENT,
    SSL_CTRL_SET_TLSEXT_HOSTNAME, SSL_ctrl, SSL_get_verify_result, TLSEXT_NAMETYPE_host_name,
    ngx_add_timer, ngx_connection_t, ngx_create_pool, ngx_cycle, ngx_del_timer,
    ngx_event_connect_peer, ngx_event_t, ngx_exiting, ngx_http_request_t, ngx_int_t, ngx_msec_t,
    ngx_peer_connection_t, ngx_ssl_check_host, ngx_ssl_create_connection, ngx_ssl_handshake,
    ngx_terminate,
};
use std::ffi::{CString, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

const CONNECT_TIMEOUT_MS: ngx_msec_t = 5_000;
/// How long a server that refuses is left alone.
const AGAIN_AFTER_MS: ngx_msec_t = 1_000;
const POOL_BYTES: usize = 128;

/// A connection on its way; its `data` until it is parked.
struct Warming {
    endpoint: NonNull<Endpoint>,
    address: Arc<Address>,
}

/// Begins one connection when fewer than `min_idle` are there; each that is done begins the next, and one that fails is
/// tried again after [`AGAIN_AFTER_MS`].
///
/// # Safety
/// The endpoint is live and no reference to it is held.
pub(in crate::nginx) unsafe fn maintain(endpoint: NonNull<Endpoint>) {
    // SAFETY: the caller's; the worker has one thread.
    unsafe {
        let this = &mut *endpoint.as_ptr();
        let enough = this.idle_count() >= this.settings.min_idle || this.warming > 0;
        let waits = this.warm_again.timer_set() != 0;
        if enough || waits || ngx_exiting != 0 || ngx_terminate != 0 {
            return;
        }
        if !begin(endpoint) {
            try_later(endpoint);
        }
    }
}

/// # Safety
/// As for [`maintain`].
unsafe fn try_later(endpoint: NonNull<Endpoint>) {
    // SAFETY: the caller's; the endpoint, and the event in it, live until `Endpoint::retire` takes the timer back.
    unsafe {
        let event = &mut (*endpoint.as_ptr()).warm_again;
        event.handler = Some(again);
        event.data = endpoint.as_ptr().cast();
        event.log = (*ngx_cycle).log;
        // A worker that ends does not wait for it.
        event.set_cancelable(1);
        ngx_add_timer(event, AGAIN_AFTER_MS);
    }
}

unsafe extern "C" fn again(event: *mut ngx_event_t) {
    guard("warming", (), || {
        // SAFETY: `try_later` set data to the endpoint.
        unsafe {
            if let Some(endpoint) = NonNull::new((*event).data.cast::<Endpoint>()) {
                maintain(endpoint);
            }
        }
    });
}

unsafe extern "C" fn get(_peer: *mut ngx_peer_connection_t, _data: *mut c_void) -> ngx_int_t {
    NGX_OK as ngx_int_t
}

/// False when it has failed at once.
unsafe fn begin(endpoint: NonNull<Endpoint>) -> bool {
    // SAFETY: as in `maintain`; the peer is on the stack for the call, what it points to is in the Warming.
    unsafe {
        let this = &mut *endpoint.as_ptr();
        let addresses = this.addresses.current();
        this.next_address = this.next_address.wrapping_add(1);
        let next = this.next_address.checked_rem(addresses.len());
        let Some(address) = next.and_then(|next| addresses.get(next)).cloned() else {
            return false;
        };
        let warming = Box::new(Warming { endpoint, address });
        let mut peer: ngx_peer_connection_t = std::mem::zeroed();
        (peer.sockaddr, peer.socklen) = warming.address.sockaddr();
        peer.name = warming.address.name();
        peer.get = Some(get);
        peer.log = (*ngx_cycle).log;
        let status = ngx_event_connect_peer(&mut peer);
        if status == NGX_ERROR as ngx_int_t || status == NGX_DECLINED as ngx_int_t {
            if !peer.connection.is_null() {
                pool::close(peer.connection);
            }
            return false;
        }
        this.warming += 1;
        let connection = &mut *peer.connection;
        connection.data = Box::into_raw(warming).cast();
        connection.pool = ngx_create_pool(POOL_BYTES, (*ngx_cycle).log);
        // A graceful quit closes idle connections through their read handler.
        connection.set_idle(1);
        (*connection.read).handler = Some(connected);
        (*connection.write).handler = Some(connected);
        ngx_add_timer(connection.write, CONNECT_TIMEOUT_MS);
        if connection.pool.is_null() {
            end(connection, false);
        } else if status == NGX_OK as ngx_int_t {
            connected(connection.write);
        }
        true
    }
}

unsafe extern "C" fn connected(event: *mut ngx_event_t) {
    guard("warming", (), || {
        // SAFETY: the event is of a connection that `begin` made.
        unsafe {
            let connection = (*event).data.cast::<ngx_connection_t>();
            if (*connection).close() != 0 || (*event).timedout() != 0 || has_failed(&*connection) {
                end(connection, false);
                return;
            }
            if (*(*connection).write).ready() == 0 {
                return;
            }
            let warming = &*(*connection).data.cast::<Warming>();
            let endpoint = &mut *warming.endpoint.as_ptr();
            if endpoint.ssl.is_null() {
                end(connection, true);
                return;
            }
            if !begin_tls(endpoint, connection) {
                end(connection, false);
            } else if ngx_ssl_handshake(connection) != NGX_AGAIN as ngx_int_t {
                handshaken(connection);
            }
        }
    });
}

unsafe fn has_failed(connection: &ngx_connection_t) -> bool {
    let mut error: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: an integer is read into an integer.
    let status = unsafe {
        let value = std::ptr::from_mut(&mut error).cast();
        libc::getsockopt(connection.fd, libc::SOL_SOCKET, libc::SO_ERROR, value, &mut length)
    };
    status != 0 || error != 0
}

unsafe fn begin_tls(endpoint: &mut Endpoint, connection: *mut ngx_connection_t) -> bool {
    let flags = (NGX_SSL_BUFFER | NGX_SSL_CLIENT) as usize;
    let Ok(name) = CString::new(endpoint.settings.server_name.as_str()) else { return false };
    // SAFETY: a connected socket and the endpoint's TLS context; OpenSSL copies the name.
    unsafe {
        if ngx_ssl_create_connection(endpoint.ssl, connection, flags) != NGX_OK as ngx_int_t {
            return false;
        }
        let ssl = (*connection).ssl;
        SSL_ctrl(
            (*ssl).connection,
            SSL_CTRL_SET_TLSEXT_HOSTNAME as _,
            TLSEXT_NAMETYPE_host_name as _,
            name.as_ptr().cast_mut().cast(),
        );
        endpoint.offer_session(connection);
        // nginx's callback for new sessions calls it unchecked.
        (*ssl).save_session = Some(save_session);
        (*ssl).handler = Some(handshaken);
    }
    true
}

unsafe extern "C" fn save_session(connection: *mut ngx_connection_t) {
    guard("warming", (), || {
        // SAFETY: an idle connection's data is a Warming or, parked, the pool's; in use it is the request.
        unsafe {
            let handshaking = (*(*connection).ssl).handshaked() == 0;
            let endpoint = if (*connection).idle() == 0 {
                peer::endpoint_of((*connection).data.cast::<ngx_http_request_t>())
            } else if handshaking {
                (*(*connection).data.cast::<Warming>()).endpoint
            } else {
                Endpoint::of_parked(connection)
            };
            (*endpoint.as_ptr()).keep_session(connection);
        }
    });
}

unsafe extern "C" fn handshaken(connection: *mut ngx_connection_t) {
    guard("warming", (), || {
        // SAFETY: nginx calls it when the handshake of our connection has ended.
        unsafe {
            let warming = &*(*connection).data.cast::<Warming>();
            let endpoint = &*warming.endpoint.as_ptr();
            let done = (*(*connection).ssl).handshaked() != 0;
            end(connection, done && is_trusted(endpoint, connection));
        }
    });
}

/// The checks that nginx makes for a request's connection (ngx_http_upstream_ssl_handshake).
unsafe fn is_trusted(endpoint: &Endpoint, connection: *mut ngx_connection_t) -> bool {
    if !endpoint.settings.verify {
        return true;
    }
    let mut name = endpoint.server_name();
    // SAFETY: a finished handshake; the name is the configuration's.
    let (result, named) = unsafe {
        let ssl = (*(*connection).ssl).connection;
        let named = ngx_ssl_check_host(connection, &mut name) == NGX_OK as ngx_int_t;
        (SSL_get_verify_result(ssl), named)
    };
    if result != 0 || !named {
        let host = &endpoint.settings.server_name;
        log::process(
            log::Level::Error,
            format_args!("lambda: certificate of \"{host}\" is not trusted, verify={result}"),
        );
    }
    result == 0 && named
}

unsafe fn end(connection: *mut ngx_connection_t, good: bool) {
    // SAFETY: data is the Warming that `begin` leaked; nobody uses it after this.
    unsafe {
        let warming = Box::from_raw((*connection).data.cast::<Warming>());
        let endpoint = warming.endpoint;
        (*endpoint.as_ptr()).warming -= 1;
        if (*(*connection).write).timer_set() != 0 {
            ngx_del_timer((*connection).write);
        }
        if !good || ngx_exiting != 0 {
            pool::close(connection);
            if ngx_exiting == 0 && ngx_terminate == 0 {
                try_later(endpoint);
            }
            return;
        }
        (*connection).requests = 0;
        Endpoint::park(endpoint, NonNull::new_unchecked(connection), warming.address);
        maintain(endpoint);
    }
}
