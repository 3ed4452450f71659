//! One listener: how it accepts, which faults it shows, what it counts.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::HandshakeKind;

use crate::double::Double;
use crate::serve;

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Imds,
    Container,
    Sts,
    SecretsManager,
    LambdaHttp,
    LambdaHttps,
    Alb,
    Control,
}

impl Kind {
    /// All of them, in the order of the ready line.
    pub(crate) const ALL: [Self; 8] = [
        Self::Imds,
        Self::Container,
        Self::Sts,
        Self::SecretsManager,
        Self::LambdaHttp,
        Self::LambdaHttps,
        Self::Alb,
        Self::Control,
    ];

    /// The name in options, the ready line and the control API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Imds => "imds",
            Self::Container => "container",
            Self::Sts => "sts",
            Self::SecretsManager => "secretsmanager",
            Self::LambdaHttp => "lambda_http",
            Self::LambdaHttps => "lambda_https",
            Self::Alb => "alb",
            Self::Control => "control",
        }
    }
}

/// The fault a listener shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Ok,
    /// Connections are refused; established ones are reset unless `keep_existing`.
    Down { keep_existing: bool },
    /// Requests are read, then the connection is reset.
    Reset,
    /// Requests get this status.
    Error(u16),
    /// Requests wait first.
    Slow(u64),
    /// Requests wait until the mode changes.
    Hang,
}

/// A listener.
pub(crate) struct Site {
    pub(crate) kind: Kind,
    pub(crate) mode: watch::Sender<Mode>,
    /// Whether connections are taken at present.
    listening: watch::Sender<bool>,
    /// Raised at each change, so that a timed mode does not undo a later one.
    pub(crate) mode_generation: AtomicU64,
    /// Milliseconds; 0 is none.
    pub(crate) idle_timeout_ms: AtomicU64,
    /// Requests a connection serves; 0 is any number.
    pub(crate) close_after_requests: AtomicU64,
    /// Close without having said `Connection: close`.
    pub(crate) silent_close: AtomicBool,
    connections: AtomicU64,
    open: AtomicU64,
    /// Requests read.
    pub(crate) requests: AtomicU64,
    tls_full: AtomicU64,
    tls_resumed: AtomicU64,
    tls_failed: AtomicU64,
    port: Port,
}

/// A port that stays ours while nothing listens on it: a bound socket that never listens holds it.
struct Port {
    _holder: Socket,
    address: SocketAddr,
}

impl Port {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let holder = Self::socket(address)?;
        let address = holder.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { _holder: holder, address })
    }

    fn socket(address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    }

    fn listen(&self) -> io::Result<TcpListener> {
        let socket = Self::socket(self.address)?;
        socket.listen(4096)?;
        TcpListener::from_std(socket.into())
    }
}

impl Site {
    /// A listener bound to `ip` and `port` (0: the kernel's choice).
    pub(crate) fn bind(kind: Kind, ip: IpAddr, port: u16) -> io::Result<Self> {
        Ok(Self {
            kind,
            mode: watch::Sender::new(Mode::Ok),
            listening: watch::Sender::new(false),
            mode_generation: AtomicU64::new(0),
            idle_timeout_ms: AtomicU64::new(0),
            close_after_requests: AtomicU64::new(0),
            silent_close: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            tls_full: AtomicU64::new(0),
            tls_resumed: AtomicU64::new(0),
            tls_failed: AtomicU64::new(0),
            port: Port::bind(SocketAddr::new(ip, port))?,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address
    }

    /// Returns when the listening socket is as the mode wants it.
    pub(crate) async fn settled(&self) {
        let wanted = !matches!(*self.mode.borrow(), Mode::Down { .. });
        // The sender is this site's own: it cannot be gone.
        let mut listening = self.listening.subscribe();
        let reached = listening.wait_for(|listening| *listening == wanted);
        // A timed mode can be over before the listener has followed it.
        let _ = tokio::time::timeout(Duration::from_millis(200), reached).await;
    }

    /// The counts as the control API shows them.
    pub(crate) fn counts(&self) -> Value {
        let mut counts = json!({
            "connections": self.connections.load(Relaxed),
            "open": self.open.load(Relaxed),
            "requests": self.requests.load(Relaxed),
        });
        if self.kind == Kind::LambdaHttps {
            counts["tls_full"] = self.tls_full.load(Relaxed).into();
            counts["tls_resumed"] = self.tls_resumed.load(Relaxed).into();
            counts["tls_failed"] = self.tls_failed.load(Relaxed).into();
        }
        counts
    }

    /// Sets all counts but that of open connections to zero.
    pub(crate) fn reset_counts(&self) {
        let counters = [
            &self.connections,
            &self.requests,
            &self.tls_full,
            &self.tls_resumed,
            &self.tls_failed,
        ];
        counters.into_iter().for_each(|counter| counter.store(0, Relaxed));
    }

    /// Starts to listen; when this returns connections are taken.
    pub(crate) fn start(self: Arc<Self>, double: Arc<Double>) -> io::Result<()> {
        let first = self.port.listen()?;
        tokio::spawn(accept(self, double, first));
        Ok(())
    }
}

/// Takes connections; closes the listening socket while the mode is `Down`.
async fn accept(site: Arc<Site>, double: Arc<Double>, first: TcpListener) {
    let mut mode = site.mode.subscribe();
    let mut listener = Some(first);
    loop {
        if matches!(*mode.borrow_and_update(), Mode::Down { .. }) {
            listener = None;
        } else if listener.is_none() {
            match site.port.listen() {
                Ok(new) => listener = Some(new),
                Err(error) => {
                    eprintln!("aws-double: cannot listen on {}: {error}", site.address());
                    return;
                }
            }
        }
        site.listening.send_if_modified(|listening| {
            std::mem::replace(listening, listener.is_some()) != listener.is_some()
        });
        let Some(open) = &listener else {
            if mode.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return },
            accepted = open.accept() => if let Ok((socket, _)) = accepted {
                let _ = socket.set_nodelay(true);
                site.connections.fetch_add(1, Relaxed);
                tokio::spawn(connection(site.clone(), double.clone(), socket));
            },
        }
    }
}

async fn connection(site: Arc<Site>, double: Arc<Double>, socket: TcpStream) {
    site.open.fetch_add(1, Relaxed);
    if site.kind == Kind::LambdaHttps {
        let acceptor = TlsAcceptor::from(double.authority.config());
        let mut mode = site.mode.subscribe();
        let handshake = tokio::select! {
            done = acceptor.accept(socket) => done.ok(),
            () = serve::cut(&mut mode) => None,
        };
        match handshake {
            Some(stream) => {
                let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                let counter = if resumed { &site.tls_resumed } else { &site.tls_full };
                counter.fetch_add(1, Relaxed);
                serve::serve(&site, &double, stream).await;
            }
            None => drop(site.tls_failed.fetch_add(1, Relaxed)),
        }
    } else {
        serve::serve(&site, &double, socket).await;
    }
    site.open.fetch_sub(1, Relaxed);
}
