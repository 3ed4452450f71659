//! The addresses behind an endpoint's name, kept fresh off the event loop.

use crate::nginx::log;
use arc_swap::ArcSwap;
use nginx_sys::{ngx_str_t, sockaddr, socklen_t};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One address in the forms that nginx wants.
pub(in crate::nginx) struct Address {
    socket: SocketAddr,
    raw: RawAddress,
    text: Box<str>,
    /// Over `text`.
    name: ngx_str_t,
}

// SAFETY: the pointer in `name` is into the address's own text, which nobody changes.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

enum RawAddress {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
}

impl Address {
    fn new(socket: SocketAddr) -> Self {
        let raw = match socket {
            SocketAddr::V4(v4) => RawAddress::V4(libc::sockaddr_in {
                sin_family: libc::AF_INET as _,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            }),
            SocketAddr::V6(v6) => RawAddress::V6(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as _,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            }),
        };
        let text: Box<str> = socket.to_string().into();
        let name = ngx_str_t { len: text.len(), data: text.as_ptr().cast_mut() };
        Self { socket, raw, text, name }
    }

    /// For `connect`; valid while the address lives.
    pub(super) fn sockaddr(&self) -> (*mut sockaddr, socklen_t) {
        match &self.raw {
            RawAddress::V4(raw) => {
                (std::ptr::from_ref(raw).cast_mut().cast(), size_of::<libc::sockaddr_in>() as _)
            }
            RawAddress::V6(raw) => {
                (std::ptr::from_ref(raw).cast_mut().cast(), size_of::<libc::sockaddr_in6>() as _)
            }
        }
    }

    /// `$upstream_addr`; valid while the address lives.
    pub(super) fn name(&self) -> *mut ngx_str_t {
        debug_assert_eq!(self.name.len, self.text.len());
        std::ptr::from_ref(&self.name).cast_mut()
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.socket == other.socket
    }
}

/// The addresses of one host name. A name that stops resolving keeps the last ones.
pub(in crate::nginx) struct AddressList {
    host: String,
    port: u16,
    current: ArcSwap<Vec<Arc<Address>>>,
    /// Whether the resolver was ever asked.
    is_asked: AtomicBool,
    /// Whether it had no answer when it was asked last.
    is_lost: AtomicBool,
}

impl AddressList {
    /// An empty list: nothing is resolved yet.
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (is_asked, is_lost) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { host, port, current: ArcSwap::default(), is_asked, is_lost }
    }

    /// The name that is resolved.
    pub(in crate::nginx) fn host(&self) -> &str {
        &self.host
    }

    /// True when the host is an address itself and never changes.
    pub(in crate::nginx) fn is_fixed(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_ok()
    }

    /// Asks the system's resolver. Blocks: for the master at configuration and for helper threads.
    pub(in crate::nginx) fn resolve(&self) -> io::Result<()> {
        let answer = (&*self.host, self.port).to_socket_addrs();
        if answer.is_err() {
            self.is_asked.store(true, Ordering::Release);
        }
        let mut found: Vec<SocketAddr> = answer?.collect();
        found.sort_unstable();
        found.dedup();
        let current = self.current.load();
        let known: Vec<SocketAddr> = current.iter().map(|address| address.socket).collect();
        if !found.is_empty() && found != known {
            self.current
                .store(Arc::new(found.into_iter().map(Address::new).map(Arc::new).collect()));
        }
        self.is_asked.store(true, Ordering::Release);
        Ok(())
    }

    /// Asks again, on a helper thread; what is news for the log.
    pub(in crate::nginx) fn refresh(&self) -> Option<(log::Level, String)> {
        let before = self.current.load_full();
        let answer = self.resolve();
        let was_lost = self.is_lost.swap(answer.is_err(), Ordering::Relaxed);
        let host = &self.host;
        match answer {
            Err(error) if !was_lost => {
                let text =
                    format!("\"{host}\" does not resolve, its last addresses stay, error={error}");
                Some((log::Level::Error, text))
            }
            Err(_) => None,
            Ok(()) => {
                let now = self.current.load_full();
                let texts: Vec<&str> = now.iter().map(|address| &*address.text).collect();
                let text = format!("\"{host}\" has the addresses {}", texts.join(", "));
                (!Arc::ptr_eq(&before, &now)).then_some((log::Level::Notice, text))
            }
        }
    }

    /// True until the resolver has answered for the first time.
    pub(in crate::nginx) fn is_pending(&self) -> bool {
        self.is_empty() && !self.is_asked.load(Ordering::Acquire)
    }

    /// The addresses of this moment.
    pub(super) fn current(&self) -> arc_swap::Guard<Arc<Vec<Arc<Address>>>> {
        self.current.load()
    }

    /// True while no address was ever found.
    pub(in crate::nginx) fn is_empty(&self) -> bool {
        self.current.load().is_empty()
    }
}
