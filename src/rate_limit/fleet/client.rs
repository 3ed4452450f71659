//! The conversation with Redis, on a thread of its own: callers hand over calls and never wait.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use redis::{Connection, RedisError, ServerErrorKind, Value};

use super::breaker::Breaker;
use super::connector::Connector;
use super::error::{StoreError, is_broken, is_trouble, reason};
use super::queue::{Batch, Job, Next, Queue};
use super::script::{Call, Numbers, Script, read_numbers};

/// The most calls in one pipeline.
const MAX_PIPELINE_CALLS: usize = 256;
/// How often a silent connection is tried, so that one that the server closed costs no request.
const IDLE_CHECK: Duration = Duration::from_secs(1);
/// How far a read timeout may be behind the deadline before it is set again: setting it is a system call.
const TIMEOUT_SLACK: Duration = Duration::from_millis(5);

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

/// What an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Requests are counted in the store again.
    Up,
    /// Requests are not counted in the store; why. Never contains the URL.
    Down(String),
}

/// What Redis said to a call.
pub type Answer = Result<Numbers, StoreError>;

/// Answers, each with the token that came with its call.
pub type Answers<T> = Vec<(T, Answer)>;

/// The callers' side. A worker has one for each store.
pub struct Client<T> {
    queue: Arc<Queue<T>>,
    timeout: Duration,
    clock: Clock,
}

impl<T> Client<T> {
    /// Both sides of a conversation; an error when the URL is none.
    pub fn new(config: ClientConfig) -> Result<(Self, Runner<T>), RedisError> {
        let redis = redis::Client::open(config.url.as_str())?;
        let queue = Arc::new(Queue::default());
        let client = Self {
            queue: Arc::clone(&queue),
            timeout: config.timeout,
            clock: Arc::clone(&config.clock),
        };
        let runner = Runner {
            queue,
            connector: Connector::new(redis),
            timeout: config.timeout,
            clock: config.clock,
            breaker: Breaker::open(),
            connection: None,
            armed_at: None,
            reported: None,
        };
        Ok((client, runner))
    }

    /// Hands over a call, to be sent after the next [`wake`](Self::wake). The token comes back with its answer, or at once when
    /// the store is away or does not keep up.
    pub fn submit(&self, call: &Call, token: T) -> Result<(), T> {
        if !self.is_up() {
            return Err(token);
        }
        self.queue.push(&call.packed, token, (self.clock)() + self.timeout)
    }

    /// Has the calls sent: once for all that are handed over together, because it may take a system call.
    pub fn wake(&self) {
        self.queue.wake();
    }

    /// Whether calls are taken.
    pub fn is_up(&self) -> bool {
        self.queue.is_open()
    }
}

impl<T> Drop for Client<T> {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}

/// The thread's side.
pub struct Runner<T> {
    queue: Arc<Queue<T>>,
    connector: Connector,
    timeout: Duration,
    clock: Clock,
    breaker: Breaker,
    connection: Option<Connection>,
    /// When the connection's read timeout was set; forgotten with each pipeline.
    armed_at: Option<Duration>,
    reported: Option<bool>,
}

impl<T> Drop for Runner<T> {
    fn drop(&mut self) {
        self.queue.close(&mut Batch::default());
    }
}

impl<T> Runner<T> {
    /// Serves calls until the client is dropped.
    ///
    /// Every token that was taken comes back through `complete`, in time: an exchange is given up when its oldest call is too
    /// old, and without a connection nothing waits.
    pub fn run(mut self, mut complete: impl FnMut(Answers<T>), mut report: impl FnMut(Event)) {
        self.queue.serve_here();
        let mut batch = Batch::default();
        loop {
            let next = match self.breaker.until_probe((self.clock)()) {
                None => self.serve(&mut batch, &mut complete, &mut report),
                Some(delay) => self.wait_and_probe(delay, &mut complete, &mut report),
            };
            if next.is_none() {
                return;
            }
        }
    }

    /// All calls that wait, or a look at a silent connection; `None` when there is nobody left to serve.
    fn serve(
        &mut self,
        batch: &mut Batch<T>,
        complete: &mut impl FnMut(Answers<T>),
        report: &mut impl FnMut(Event),
    ) -> Option<()> {
        match self.queue.take(batch, IDLE_CHECK) {
            Next::Serve => {}
            Next::Idle => {
                let deadline = (self.clock)() + self.timeout;
                if let Err(error) = self.exchange_command(&redis::cmd("PING"), deadline) {
                    self.fail(&error, complete, report);
                }
                return Some(());
            }
            Next::End => return None,
        }
        let Batch { packed, jobs } = batch;
        while !jobs.is_empty() {
            let number = jobs.len().min(MAX_PIPELINE_CALLS);
            let part: Vec<_> = jobs.drain(..number).collect();
            if self.breaker.is_closed() {
                self.converse(packed, part, complete, report);
            } else {
                complete(away(part));
            }
        }
        Some(())
    }

    /// Sends calls as one pipeline and hands out the answers; calls of scripts that Redis has forgotten are sent again.
    fn converse(
        &mut self,
        packed: &[u8],
        mut jobs: Vec<Job<T>>,
        complete: &mut impl FnMut(Answers<T>),
        report: &mut impl FnMut(Event),
    ) {
        let now = (self.clock)();
        let late = jobs.iter().take_while(|job| job.deadline <= now).count();
        if late > 0 {
            complete(jobs.drain(..late).map(|job| (job.token, Err(StoreError::Timeout))).collect());
        }
        for is_retry in [false, true] {
            // The oldest call's.
            let Some(deadline) = jobs.first().map(|job| job.deadline) else { return };
            let answers = self.exchange(packed, &jobs, deadline, is_retry);
            let mut answered = Vec::with_capacity(jobs.len());
            let (mut forgotten, mut trouble) = (Vec::new(), None);
            for (job, answer) in jobs.into_iter().zip(answers) {
                match answer {
                    Err(error) if error.kind() == ServerErrorKind::NoScript.into() && !is_retry => {
                        forgotten.push(job);
                    }
                    Err(error) => {
                        answered.push((job.token, Err(StoreError::of(&error))));
                        if is_trouble(&error) {
                            trouble = Some(error);
                        }
                    }
                    Ok(value) => {
                        let unreadable = || StoreError::Refused("ERR".to_owned());
                        answered.push((job.token, read_numbers(&value).ok_or_else(unreadable)));
                    }
                }
            }
            match trouble {
                Some(error) => self.fail(&error, complete, report),
                None if forgotten.is_empty() => self.breaker.succeeded(),
                None => {}
            }
            if !answered.is_empty() {
                complete(answered);
            }
            jobs = forgotten;
        }
    }

    /// One answer for each call. After an error of the connection the rest has the same error.
    fn exchange(
        &mut self,
        packed: &[u8],
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
        let mut broken = self.send(&pipeline(packed, jobs), deadline).err();
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

    /// Probes when the probe is due; `None` when there is nobody left to serve.
    fn wait_and_probe(
        &mut self,
        delay: Duration,
        complete: &mut impl FnMut(Answers<T>),
        report: &mut impl FnMut(Event),
    ) -> Option<()> {
        if self.queue.rest(delay) == Next::End {
            return None;
        }
        match self.probe() {
            Ok(()) => {
                self.breaker.probed();
                self.queue.open();
                self.tell(Event::Up, report);
            }
            Err(error) => self.fail(&error, complete, report),
        }
        Some(())
    }

    /// A new connection that answers as fast as requests need it.
    fn probe(&mut self) -> redis::RedisResult<()> {
        self.connection = Some(self.connector.connect()?);
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

    /// Opens the breaker. Nothing waits through a probe: what is in the queue comes back at once, and nothing is added.
    fn fail(
        &mut self,
        error: &RedisError,
        complete: &mut impl FnMut(Answers<T>),
        report: &mut impl FnMut(Event),
    ) {
        let mut left = Batch::default();
        self.queue.close(&mut left);
        self.connection = None;
        self.breaker.failed((self.clock)());
        self.tell(Event::Down(reason(error)), report);
        if !left.jobs.is_empty() {
            complete(away(left.jobs));
        }
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

fn away<T>(jobs: Vec<Job<T>>) -> Answers<T> {
    jobs.into_iter().map(|job| (job.token, Err(StoreError::Away))).collect()
}

/// The bytes of all calls: as they lie, unless some of those between were answered already.
fn pipeline<'a, T>(packed: &'a [u8], jobs: &[Job<T>]) -> Cow<'a, [u8]> {
    let bytes = |job: &Job<T>| packed.get(job.bytes.clone()).unwrap_or_default();
    let run = jobs.first().zip(jobs.last()).map(|(first, last)| first.bytes.start..last.bytes.end);
    let length: usize = jobs.iter().map(|job| job.bytes.len()).sum();
    match run.and_then(|run| packed.get(run)) {
        Some(run) if run.len() == length => Cow::Borrowed(run),
        _ => Cow::Owned(jobs.iter().map(bytes).collect::<Vec<_>>().concat()),
    }
}

fn no_connection() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::NotConnected).into()
}

fn is_replica(role: &[Value]) -> bool {
    matches!(role.first(), Some(Value::BulkString(name)) if name == b"slave")
}
