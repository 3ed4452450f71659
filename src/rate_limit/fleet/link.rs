//! A connection to Redis on which nothing takes longer than a deadline, however few bytes at a time the other side sends.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use native_tls::{HandshakeError, TlsConnector, TlsStream};
use redis::{Cmd, Parser, RedisResult, Value};

use super::address::{Address, Site};
use super::client::Clock;

/// Timeouts of sockets are set in steps of this, because setting one is a system call: so much later than its deadline a read may
/// end.
const STEP: Duration = Duration::from_millis(5);

/// A connection with a user and a database.
pub(super) struct Link {
    stream: Stream,
    parser: Parser,
}

impl Link {
    /// A new connection. Only the look-up of a name may take longer than the deadline.
    pub(super) fn connect(
        address: &Address,
        clock: &Clock,
        deadline: Duration,
    ) -> RedisResult<Self> {
        let wire = |socket| Wire {
            socket,
            clock: clock.clone(),
            deadline,
            read_timeout: Duration::ZERO,
            write_timeout: Duration::ZERO,
        };
        let stream = match &address.site {
            Site::Unix(path) => Stream::Plain(wire(Socket::Unix(UnixStream::connect(path)?))),
            Site::Tcp { host, port, tls } => {
                let socket = connect(host, *port, clock, deadline)?;
                socket.set_nodelay(true)?;
                let wire = wire(Socket::Tcp(socket));
                if *tls {
                    Stream::Tls(Box::new(handshake(host, wire)?))
                } else {
                    Stream::Plain(wire)
                }
            }
        };
        let mut link = Self { stream, parser: Parser::new() };
        if let Some(password) = &address.password {
            let mut command = redis::cmd("AUTH");
            link.ask(command.arg(address.user.as_deref()).arg(password), deadline)?;
        }
        if address.database != 0 {
            link.ask(redis::cmd("SELECT").arg(address.database), deadline)?;
        }
        Ok(link)
    }

    /// The answer to a command.
    pub(super) fn ask(&mut self, command: &Cmd, deadline: Duration) -> RedisResult<Value> {
        self.send(&command.get_packed_command(), deadline)?;
        self.receive(deadline)
    }

    /// Sends commands.
    pub(super) fn send(&mut self, packed: &[u8], deadline: Duration) -> RedisResult<()> {
        self.stream.wire().deadline = deadline;
        self.stream.write_all(packed)?;
        Ok(self.stream.flush()?)
    }

    /// The next answer.
    pub(super) fn receive(&mut self, deadline: Duration) -> RedisResult<Value> {
        self.stream.wire().deadline = deadline;
        self.parser.parse_value(&mut self.stream)?.extract_error()
    }
}

/// Tries a name's addresses one after the other.
fn connect(host: &str, port: u16, clock: &Clock, deadline: Duration) -> io::Result<TcpStream> {
    let unknown = |error: io::Error| {
        io::Error::other(format!("the address of \"{host}\" is not known, {error}"))
    };
    let mut last = io::Error::other(format!("\"{host}\" has no address"));
    for address in (host, port).to_socket_addrs().map_err(unknown)? {
        match TcpStream::connect_timeout(&address, left(clock, deadline)?) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn handshake(host: &str, wire: Wire) -> io::Result<TlsStream<Wire>> {
    let connector = TlsConnector::new().map_err(|error| io::Error::other(words(&error)))?;
    connector.connect(host, wire).map_err(|error| match error {
        HandshakeError::Failure(error) => match cause(&error) {
            Some(kind) => kind.into(),
            None => io::Error::other(words(&error)),
        },
        HandshakeError::WouldBlock(_) => ErrorKind::TimedOut.into(),
    })
}

/// What the socket met, if that is why TLS failed.
fn cause(error: &native_tls::Error) -> Option<ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

/// Why there is no TLS, without the places in OpenSSL's source.
fn words(error: &native_tls::Error) -> String {
    let text = error.to_string();
    if !text.contains("certificate verify failed") {
        let reason = text.rsplit(':').map(str::trim).find(|part| part.contains(' '));
        return format!("TLS failed, {}", reason.unwrap_or("the other side may not speak it"));
    }
    let reason = text.rsplit_once('(').and_then(|(_, rest)| rest.split(')').next());
    let mut words =
        format!("its certificate is refused, {}", reason.unwrap_or("it is not trusted"));
    if let Some(error) = authorities() {
        words += &format!(", SSL_CERT_FILE cannot be read: {error}");
    }
    words
}

/// Why the certificates that the operator trusts cannot be read, if that is so: OpenSSL says nothing of it.
#[expect(clippy::disallowed_methods, reason = "OpenSSL reads both, on a helper thread")]
fn authorities() -> Option<io::Error> {
    std::fs::File::open(std::env::var_os("SSL_CERT_FILE")?).err()
}

fn left(clock: &Clock, deadline: Duration) -> io::Result<Duration> {
    let left = deadline.saturating_sub(clock());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

enum Stream {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
}

impl Stream {
    fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Plain(wire) => wire,
            Self::Tls(stream) => stream.get_mut(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(wire) => wire.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket that sets its timeout to what is left before each read and write.
struct Wire {
    socket: Socket,
    clock: Clock,
    deadline: Duration,
    read_timeout: Duration,
    write_timeout: Duration,
}

impl Wire {
    /// The timeout that the next system call should have.
    fn timeout(&self) -> io::Result<Duration> {
        let left = left(&self.clock, self.deadline)?;
        let steps = left.as_nanos().div_ceil(STEP.as_nanos());
        Ok(STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)))
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let timeout = self.timeout()?;
        if timeout != self.read_timeout {
            match &self.socket {
                Socket::Tcp(socket) => socket.set_read_timeout(Some(timeout)),
                Socket::Unix(socket) => socket.set_read_timeout(Some(timeout)),
            }?;
            self.read_timeout = timeout;
        }
        match &mut self.socket {
            Socket::Tcp(socket) => socket.read(buffer),
            Socket::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let timeout = self.timeout()?;
        if timeout != self.write_timeout {
            match &self.socket {
                Socket::Tcp(socket) => socket.set_write_timeout(Some(timeout)),
                Socket::Unix(socket) => socket.set_write_timeout(Some(timeout)),
            }?;
            self.write_timeout = timeout;
        }
        match &mut self.socket {
            Socket::Tcp(socket) => socket.write(bytes),
            Socket::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
