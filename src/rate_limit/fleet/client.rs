//! The conversation with Redis, on a thread of its own: callers hand over calls and never wait.

use std::sync::Arc;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::time::Duration;

use redis::{Connection, RedisError, ServerErrorKind, Value};

use super::breaker::Breaker;
use super::gate::Gate;
use super::script::{Call, Numbers, Script, read_numbers};

/// The most calls that wait; more mean that the store does not keep up.
const MAX_QUEUED_CALLS: usize = 16_384;
/// The most calls in one pipeline.
const MAX_PIPELINE_CALLS: usize = 256;
/// How often a silent connection is tried, so that one that the server closed costs no request.
const IDLE_CHECK: Duration = Duration::from_secs(1);
/// How far a read timeout may be behind the deadline before it is set again: setting it is a system call.
const TIMEOUT_SLACK: Duration = Duration::from_millis(5);
/// How long a connection may take to be made in the background: names, TCP, TLS and AUTH.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Time since any fixed moment.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Which Redis, and how patient its callers are.
#[derive(Clone)]
pub struct ClientConfig {
    /// `redis://` or `rediss://`, with user, password and database.
    pub url: String,
    /// How long a call may take from when it was handed over.
    pub timeout: Duration,
    /// The clock of both sides.
    pub clock: Clock,
}

/// Why a call was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// It was not answered in time.
    Timeout,
    /// There is no connection, or it broke.
    Away,
    /// Redis answered with an error; its code, such as `READONLY`.
    Refused(String),
}

/// What an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Requests are counted in the store again.
    Up,
    /// Requests are not counted in the store; why. Never contains the URL.
    Down(String),
}

struct Job<T> {
    call: Call,
    token: T,
    deadline: Duration,
}

/// The callers' side. A worker has one for each store.
pub struct Client<T> {
    jobs: SyncSender<Job<T>>,
    gate: Arc<Gate>,
    timeout: Duration,
    clock: Clock,
}

impl<T> Client<T> {
    /// Both sides of a conversation; an error when the URL is none.
    pub fn new(config: ClientConfig) -> Result<(Self, Runner<T>), RedisError> {
        let redis = redis::Client::open(config.url.as_str())?;
        let (jobs, queue) = sync_channel(MAX_QUEUED_CALLS);
        let gate = Arc::new(Gate::default());
        let client = Self {
            jobs,
            gate: Arc::clone(&gate),
            timeout: config.timeout,
            clock: Arc::clone(&config.clock),
        };
        let runner = Runner {
            queue,
            gate,
            redis,
            timeout: config.timeout,
            clock: config.clock,
            breaker: Breaker::open(),
            connection: None,
            armed_at: None,
            reported: None,
        };
        Ok((client, runner))
    }

    /// Hands over a call. The token comes back with its answer, or at once when the store is away or does not keep up.
    pub fn submit(&self, call: Call, token: T) -> Result<(), T> {
        let mut refused = Some(token);
        self.gate.pass(|| {
            let deadline = (self.clock)() + self.timeout;
            if let Some(token) = refused.take() {
                let sent = self.jobs.try_send(Job { call, token, deadline });
                refused = sent
                    .err()
                    .map(|(TrySendError::Full(job) | TrySendError::Disconnected(job))| job.token);
            }
        });
        refused.map_or(Ok(()), Err)
    }

    /// Whether calls are taken.
    pub fn is_up(&self) -> bool {
        self.gate.is_open()
    }
}

/// The thread's side.
pub struct Runner<T> {
    queue: Receiver<Job<T>>,
    gate: Arc<Gate>,
    redis: redis::Client,
    timeout: Duration,
    clock: Clock,
    breaker: Breaker,
    connection: Option<Connection>,
    /// When the connection's read timeout was set; forgotten with each pipeline.
    armed_at: Option<Duration>,
    reported: Option<bool>,
}

impl<T> Runner<T> {
    /// Serves calls until the client is dropped.
    ///
    /// Every token that was taken comes back through `complete`, in time: an exchange is given up when its oldest call is too
    /// old, and without a connection nothing waits.
    pub fn run(
        mut self,
        mut complete: impl FnMut(T, Result<Numbers, StoreError>),
        mut report: impl FnMut(Event),
    ) {
        loop {
            let next = match self.breaker.until_probe((self.clock)()) {
                None => self.serve(&mut complete, &mut report),
                Some(delay) => self.wait_and_probe(delay, &mut complete, &mut report),
            };
            if next.is_none() {
                self.gate.close();
                return;
            }
        }
    }

    /// One pipeline, or a look at a silent connection; `None` when there is nobody left to serve.
    fn serve(
        &mut self,
        complete: &mut impl FnMut(T, Result<Numbers, StoreError>),
        report: &mut impl FnMut(Event),
    ) -> Option<()> {
        let first = match self.queue.recv_timeout(IDLE_CHECK) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                let deadline = (self.clock)() + self.timeout;
                if let Err(error) = self.exchange_command(&redis::cmd("PING"), deadline) {
                    self.fail(&error, report);
                }
                return Some(());
            }
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let mut jobs = vec![first];
        while jobs.len() < MAX_PIPELINE_CALLS {
            match self.queue.try_recv() {
                Ok(job) => jobs.push(job),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        let now = (self.clock)();
        let (late, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.deadline <= now);
        for job in late {
            complete(job.token, Err(StoreError::Timeout));
        }
        self.converse(jobs, complete, report);
        Some(())
    }

    /// Sends calls as one pipeline and hands out the answers; calls of scripts that Redis has forgotten are sent again.
    fn converse(
        &mut self,
        mut jobs: Vec<Job<T>>,
        complete: &mut impl FnMut(T, Result<Numbers, StoreError>),
        report: &mut impl FnMut(Event),
    ) {
        for is_retry in [false, true] {
            let Some(deadline) = jobs.iter().map(|job| job.deadline).min() else { return };
            let answers = self.exchange(&jobs, deadline, is_retry);
            let (mut forgotten, mut trouble) = (Vec::new(), None);
            for (job, answer) in jobs.into_iter().zip(answers) {
                match answer {
                    Err(error) if error.kind() == ServerErrorKind::NoScript.into() && !is_retry => {
                        forgotten.push(job);
                    }
                    Err(error) => {
                        complete(job.token, Err(store_error(&error)));
                        if is_trouble(&error) {
                            trouble = Some(error);
                        }
                    }
                    Ok(value) => {
                        let numbers = read_numbers(value);
                        complete(job.token, numbers.ok_or(StoreError::Refused("ERR".to_owned())));
                    }
                }
            }
            match trouble {
                Some(error) => self.fail(&error, report),
                None if forgotten.is_empty() => self.breaker.succeeded(),
                None => {}
            }
            jobs = forgotten;
        }
    }

    /// One answer for each call. After an error of the connection the rest has the same error.
    fn exchange(
        &mut self,
        jobs: &[Job<T>],
        deadline: Duration,
        load_scripts: bool,
    ) -> Vec<redis::RedisResult<Value>> {
        if load_scripts {
            for script in Script::ALL {
                if let Err(error) = self.exchange_command(&script.load(), deadline) {
                    return jobs.iter().map(|_| Err(error.clone())).collect();
                }
            }
        }
        let calls: Vec<&[u8]> = jobs.iter().map(|job| job.call.packed.as_slice()).collect();
        let packed = calls.concat();
        let mut broken = self.send(&packed, deadline).err();
        let mut answers = Vec::with_capacity(jobs.len());
        for _ in jobs {
            let answer = match &broken {
                Some(error) => Err(error.clone()),
                None => self.receive(deadline),
            };
            if let Err(error) = &answer
                && is_broken(error)
            {
                broken.get_or_insert_with(|| error.clone());
            }
            answers.push(answer);
        }
        answers
    }

    fn exchange_command(
        &mut self,
        command: &redis::Cmd,
        deadline: Duration,
    ) -> redis::RedisResult<Value> {
        self.send(&command.get_packed_command(), deadline)?;
        self.receive(deadline)
    }

    fn send(&mut self, packed: &[u8], deadline: Duration) -> redis::RedisResult<()> {
        let left = self.left(deadline)?;
        self.armed_at = None;
        let connection = self.connection.as_mut().ok_or_else(no_connection)?;
        connection.set_write_timeout(Some(left))?;
        connection.send_packed_command(packed)
    }

    fn receive(&mut self, deadline: Duration) -> redis::RedisResult<Value> {
        let left = self.left(deadline)?;
        let now = deadline.saturating_sub(left);
        let connection = self.connection.as_mut().ok_or_else(no_connection)?;
        if self.armed_at.is_none_or(|at| at + TIMEOUT_SLACK <= now) {
            connection.set_read_timeout(Some(left))?;
            self.armed_at = Some(now);
        }
        connection.recv_response()?.extract_error()
    }

    fn left(&self, deadline: Duration) -> redis::RedisResult<Duration> {
        let left = deadline.saturating_sub((self.clock)());
        if left.is_zero() {
            return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        }
        Ok(left)
    }

    /// Fails what comes in until the probe is due, then probes; `None` when there is nobody left to serve.
    fn wait_and_probe(
        &mut self,
        delay: Duration,
        complete: &mut impl FnMut(T, Result<Numbers, StoreError>),
        report: &mut impl FnMut(Event),
    ) -> Option<()> {
        match self.queue.recv_timeout(delay) {
            Ok(job) => {
                complete(job.token, Err(StoreError::Away));
                return Some(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        match self.probe() {
            Ok(()) => {
                self.breaker.probed();
                self.gate.open();
                self.tell(Event::Up, report);
            }
            Err(error) => self.fail(&error, report),
        }
        Some(())
    }

    /// A new connection that answers as fast as requests need it.
    fn probe(&mut self) -> redis::RedisResult<()> {
        self.connection = Some(self.redis.get_connection_with_timeout(CONNECT_TIMEOUT)?);
        for script in Script::ALL {
            let deadline = (self.clock)() + self.timeout;
            self.exchange_command(&script.load(), deadline)?;
        }
        // A replica answers reads; only a server that may write will do.
        let deadline = (self.clock)() + self.timeout;
        let role = self.exchange_command(&redis::cmd("ROLE"), deadline);
        match role {
            Ok(Value::Array(role)) if is_replica(&role) => Err(RedisError::from((
                redis::ErrorKind::Server(ServerErrorKind::ReadOnly),
                "the server is a replica",
            ))),
            Err(error) if is_broken(&error) => Err(error),
            _ => Ok(()), // a user may lack the right to ask
        }
    }

    fn fail(&mut self, error: &RedisError, report: &mut impl FnMut(Event)) {
        self.gate.close();
        self.connection = None;
        self.breaker.failed((self.clock)());
        self.tell(Event::Down(reason(error)), report);
    }

    /// Reports changes only.
    fn tell(&mut self, event: Event, report: &mut impl FnMut(Event)) {
        let is_up = event == Event::Up;
        if self.reported != Some(is_up) {
            self.reported = Some(is_up);
            report(event);
        }
    }
}

fn no_connection() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::NotConnected).into()
}

fn is_replica(role: &[Value]) -> bool {
    matches!(role.first(), Some(Value::BulkString(name)) if name == b"slave")
}

/// Whether nothing more can be read after this error.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error() || error.is_timeout()
}

/// Whether the connection should be given up: it is broken, or the server will refuse the next call just so.
fn is_trouble(error: &RedisError) -> bool {
    const LASTING: [&str; 8] =
        ["READONLY", "NOAUTH", "NOPERM", "WRONGPASS", "LOADING", "MASTERDOWN", "MISCONF", "OOM"];
    let says = |code: &str| {
        // Before Redis 7 an error inside a script is an ERR with the code somewhere in its text.
        error.code() == Some(code) || error.detail().is_some_and(|detail| detail.contains(code))
    };
    is_broken(error) || LASTING.into_iter().any(says)
}

fn store_error(error: &RedisError) -> StoreError {
    if error.is_timeout() {
        StoreError::Timeout
    } else if is_broken(error) {
        StoreError::Away
    } else {
        StoreError::Refused(error.code().unwrap_or("ERR").to_owned())
    }
}

/// The reason in few words, without what Redis or the configuration says in detail.
fn reason(error: &RedisError) -> String {
    match error.code() {
        Some(code) if !is_broken(error) => format!("redis answered {code}"),
        _ if error.is_timeout() => "redis did not answer in time".to_owned(),
        _ if error.is_connection_refusal() => "redis refused the connection".to_owned(),
        _ => format!("no connection to redis: {}", error.category()),
    }
}
