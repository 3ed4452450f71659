//! Connections to Redis, made in the background and within a time.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use redis::{Connection, RedisError, RedisResult};

/// How long a connection may take to be made: names, TCP, TLS and AUTH.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The most attempts that are left behind at a time.
const MAX_ATTEMPTS: usize = 8;

/// Where to connect to.
pub(super) struct Connector {
    redis: redis::Client,
    /// One reference more for each attempt.
    attempts: Arc<()>,
}

impl Connector {
    pub(super) fn new(redis: redis::Client) -> Self {
        Self { redis, attempts: Arc::new(()) }
    }

    /// A new connection, or an error in time.
    ///
    /// The client has no limit of time for names and for the handshake of TLS, where a server that is silent would hold this up
    /// for ever. So each attempt has a thread, and one that takes too long is left behind.
    pub(super) fn connect(&self) -> RedisResult<Connection> {
        if Arc::strong_count(&self.attempts) > MAX_ATTEMPTS {
            return Err(timed_out());
        }
        let (sender, receiver) = channel();
        let (redis, attempt) = (self.redis.clone(), Arc::clone(&self.attempts));
        std::thread::Builder::new().name("apigate-connect".to_owned()).spawn(move || {
            let _attempt = attempt;
            // Nobody may be there to take it.
            let _ = sender.send(redis.get_connection_with_timeout(CONNECT_TIMEOUT));
        })?;
        receiver.recv_timeout(CONNECT_TIMEOUT).unwrap_or_else(|_| Err(timed_out()))
    }
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
