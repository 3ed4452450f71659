//! One listener: how it accepts, which faults it shows, what it counts.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::BytesMut;
use serde_json::{Value, json};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::HandshakeKind;
use tokio_rustls::server::TlsStream;

use crate::double::Double;
use crate::functions::InFlight;
use crate::http1::{Delivery, End, ReadError, Request, Response, Wait, read_request};

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
    requests: AtomicU64,
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
        let _ = self.listening.subscribe().wait_for(|listening| *listening == wanted).await;
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
            () = cut(&mut mode) => None,
        };
        match handshake {
            Some(stream) => {
                let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                let counter = if resumed { &site.tls_resumed } else { &site.tls_full };
                counter.fetch_add(1, Relaxed);
                serve(&site, &double, stream).await;
            }
            None => drop(site.tls_failed.fetch_add(1, Relaxed)),
        }
    } else {
        serve(&site, &double, socket).await;
    }
    site.open.fetch_sub(1, Relaxed);
}

/// A stream over TCP whose socket can be reached.
trait Transport: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Transport for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Makes the close that follows an RST.
fn reset_on_close(socket: &impl Transport) {
    let _ = SockRef::from(socket.tcp()).set_linger(Some(Duration::ZERO));
}

/// Returns when the mode cuts established connections.
async fn cut(mode: &mut watch::Receiver<Mode>) {
    if mode.wait_for(|m| *m == Mode::Down { keep_existing: false }).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Returns when the peer has closed; what it sends meanwhile is kept for the next request.
async fn hangup<S: Transport>(socket: &mut S, buffer: &mut BytesMut) {
    const MAX_AHEAD_BYTES: usize = 1 << 20;
    while buffer.len() < MAX_AHEAD_BYTES {
        if !matches!(socket.read_buf(buffer).await, Ok(1..)) {
            return;
        }
    }
    std::future::pending::<()>().await;
}

async fn idle(timeout_ms: u64) {
    match timeout_ms {
        0 => std::future::pending().await,
        ms => tokio::time::sleep(Duration::from_millis(ms)).await,
    }
}

async fn serve<S: Transport>(site: &Site, double: &Double, mut socket: S) {
    let mut mode = site.mode.subscribe();
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    let mut served = 0;
    loop {
        let idle_timeout_ms = site.idle_timeout_ms.load(Relaxed);
        let read = tokio::select! {
            biased;
            read = read_request(&mut socket, &mut buffer) => read,
            () = cut(&mut mode) => return reset_on_close(&socket),
            () = idle(idle_timeout_ms) => return drop(socket.shutdown().await),
        };
        let mut request = match read {
            Ok(request) => request,
            Err(ReadError::Gone) => return,
            Err(ReadError::Refused(status)) => return refuse(socket, double, status).await,
        };
        site.requests.fetch_add(1, Relaxed);
        served += 1;
        let last = served == site.close_after_requests.load(Relaxed);
        let silent = last && site.silent_close.load(Relaxed);
        request.keep_alive &= !last || silent;
        let closes = last || !request.keep_alive;

        let mut watcher = mode.clone();
        let end = tokio::select! {
            biased;
            end = reply(site, double, request, (&mut socket, &mut buffer), &mut mode) => end,
            () = cut(&mut watcher) => End::Reset,
        };
        match end {
            End::KeepAlive if !closes => {}
            End::Reset => return reset_on_close(&socket),
            End::Fin => return,
            End::KeepAlive | End::Close => return close(socket).await,
        }
    }
}

/// Answers one request and returns what becomes of the connection.
async fn reply<S: Transport>(
    site: &Site,
    double: &Double,
    request: Request,
    (socket, buffer): (&mut S, &mut BytesMut),
    mode: &mut watch::Receiver<Mode>,
) -> End {
    let now = *mode.borrow();
    let pause = async {
        match now {
            Mode::Slow(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Mode::Hang => drop(mode.wait_for(|m| *m != Mode::Hang).await),
            _ => {}
        }
    };
    tokio::select! {
        biased;
        () = pause => {}
        () = hangup(socket, buffer) => return End::Reset,
    }
    let delivery = match now {
        Mode::Reset => return End::Reset,
        Mode::Error(status) => {
            let body = json!({"message": "the double was told to fail"});
            Response::json(status, &body).deliver(&request, double.clock.now_ms())
        }
        _ => tokio::select! {
            biased;
            delivery = double.handle(site, request) => delivery,
            () = hangup(socket, buffer) => return End::Reset,
        },
    };
    deliver(delivery, socket, buffer).await
}

async fn deliver<S: Transport>(delivery: Delivery, socket: &mut S, buffer: &mut BytesMut) -> End {
    let Delivery { wait, segments, end, in_flight } = delivery;
    tokio::select! {
        biased;
        () = wait_for(wait, in_flight.as_ref()) => {}
        () = hangup(socket, buffer) => return End::Reset,
    }
    for segment in segments {
        if segment.delay_ms > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(segment.delay_ms)) => {}
                () = hangup(socket, buffer) => return End::Reset,
            }
        }
        if socket.write_all(&segment.bytes).await.is_err() || socket.flush().await.is_err() {
            return End::Reset;
        }
    }
    if let Some(in_flight) = in_flight {
        in_flight.done();
    }
    end
}

async fn wait_for(wait: Wait, in_flight: Option<&InFlight>) {
    match wait {
        Wait::None => {}
        Wait::Millis(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Wait::Forever => std::future::pending().await,
        Wait::Held(gate) => {
            let _held = in_flight.map(InFlight::hold);
            if let Ok(permit) = gate.acquire().await {
                permit.forget();
            }
        }
    }
}

async fn refuse<S: Transport>(mut socket: S, double: &Double, status: u16) {
    let request = Request::default();
    let response = Response::json(status, &json!({"message": crate::http1::reason(status)}));
    for segment in response.encode(&request, double.clock.now_ms()) {
        let _ = socket.write_all(&segment.bytes).await;
    }
    close(socket).await;
}

/// Closes in good order: what the peer still sends is read for a while, so that no RST overtakes the reply.
async fn close<S: Transport>(mut socket: S) {
    const LINGER: Duration = Duration::from_secs(1);
    let _ = socket.shutdown().await;
    let mut rest = BytesMut::with_capacity(4096);
    let drain = async {
        while matches!(socket.read_buf(&mut rest).await, Ok(1..)) {
            rest.clear();
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}
