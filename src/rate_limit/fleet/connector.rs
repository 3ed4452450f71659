//! Connections to Redis, made in the background and within a time.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use redis::{RedisError, RedisResult};

use super::address::Address;
use super::client::Clock;
use super::link::Link;

/// How long a connection may take to be made: names, TCP, TLS and AUTH.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The most attempts that are left behind at a time.
const MAX_ATTEMPTS: usize = 8;

/// Where to connect to.
pub(super) struct Connector {
    address: Arc<Address>,
    clock: Clock,
    /// One reference more for each attempt.
    attempts: Arc<()>,
}

impl Connector {
    pub(super) fn new(address: Address, clock: Clock) -> Self {
        Self { address: Arc::new(address), clock, attempts: Arc::new(()) }
    }

    /// A new connection, or an error in time.
    ///
    /// A name may take for ever to look up. So each attempt has a thread, and one that takes too long is left behind.
    pub(super) fn connect(&self) -> RedisResult<Link> {
        if Arc::strong_count(&self.attempts) > MAX_ATTEMPTS {
            return Err(timed_out());
        }
        let (sender, receiver) = channel();
        let (address, clock) = (Arc::clone(&self.address), Arc::clone(&self.clock));
        let attempt = Arc::clone(&self.attempts);
        std::thread::Builder::new().name("apigate-connect".to_owned()).spawn(move || {
            let _attempt = attempt;
            let deadline = clock() + CONNECT_TIMEOUT;
            // Nobody may be there to take it.
            let _ = sender.send(Link::connect(&address, &clock, deadline));
        })?;
        receiver.recv_timeout(CONNECT_TIMEOUT).unwrap_or_else(|_| Err(timed_out()))
    }
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
