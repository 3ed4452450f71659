//! The conversation with Redis, on a thread of its own: callers hand over calls and never wait.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, RedisError, RedisResult, Value};

use super::address::Address;
use super::breaker::Breaker;
use super::connector::Connector;
use super::error::{StoreError, is_broken, is_forgotten, is_trouble, reason, unexpected};
use super::exact::{Demand, write_exact};
use super::link::Link;
use super::queue::{Batch, Job, Next, Queue};
use super::script::{Call, Numbers, Script, read_numbers};
use crate::rate_limit::key::FleetKey;
use crate::rate_limit::policy::{Counting, Spending, Terms};
use crate::rate_limit::rate::{Rate, Unit};
use crate::rate_limit::window::WindowKind;

/// The most calls in one pipeline.
const MAX_PIPELINE_CALLS: usize = 256;
/// How often a silent connection is tried, so that one that the server closed costs no request.
const IDLE_CHECK: Duration = Duration::from_secs(1);
/// How often a call is spoken of that Redis has refused while it answers others.
const REFUSED_EVERY: Duration = Duration::from_mins(1);
/// The counter that probes charge, in each zone; no key has this name.
const PROBE: FleetKey = FleetKey([0; 16]);

/// Time since any fixed moment.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Which Redis, and how patient its callers are.
#[derive(Clone)]
pub struct ClientConfig {
    /// The zone, for the counter that probes charge.
    pub zone: String,
    /// The Redis.
    pub address: Address,
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
    /// Redis has refused a call, and why, while it answers others; told once a minute.
    Refused(String),
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
    /// Both sides of a conversation.
    pub fn new(config: ClientConfig) -> (Self, Runner<T>) {
        let queue = Arc::new(Queue::default());
        let client = Self {
            queue: Arc::clone(&queue),
            timeout: config.timeout,
            clock: Arc::clone(&config.clock),
        };
        let runner = Runner {
            queue,
            connector: Connector::new(config.address, Arc::clone(&config.clock)),
            zone: config.zone,
            timeout: config.timeout,
            clock: config.clock,
            breaker: Breaker::open(),
            link: None,
            is_up: None,
            refused_at: None,
        };
        (client, runner)
    }

    /// Hands over a call, to be sent after the next [`wake`](Self::wake). The token comes back with its answer, or at once when
    /// the store is away or does not keep up.
    pub fn submit(&self, call: &Call, token: T) -> Result<(), T> {
        if !self.is_up() {
            return Err(token);
        }
        self.queue.push(call, token, (self.clock)() + self.timeout)
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
    zone: String,
    timeout: Duration,
    clock: Clock,
    breaker: Breaker,
    link: Option<Link>,
    /// What was told last.
    is_up: Option<bool>,
    /// When a refused call was told of.
    refused_at: Option<Duration>,
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
            let (mut forgotten, mut trouble, mut refused) = (Vec::new(), None, None);
            for (job, answer) in jobs.into_iter().zip(answers) {
                let numbers = answer
                    .and_then(|value| read_numbers(&value, job.numbers).ok_or_else(unexpected));
                match numbers {
                    Ok(numbers) => answered.push((job.token, Ok(numbers))),
                    Err(error) if is_forgotten(&error) && !is_retry => forgotten.push(job),
                    Err(error) => {
                        answered.push((job.token, Err(StoreError::of(&error))));
                        let slot = if is_trouble(&error) { &mut trouble } else { &mut refused };
                        *slot = Some(error);
                    }
                }
            }
            match (trouble, refused) {
                (Some(error), _) => self.fail(&error, complete, report),
                (None, Some(error)) => self.tell_refused(&error, report),
                (None, None) if forgotten.is_empty() => self.breaker.succeeded(),
                (None, None) => {}
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
    ) -> Vec<RedisResult<Value>> {
        if load_scripts {
            for script in Script::ALL {
                if let Err(error) = self.exchange_command(&script.load(), deadline) {
                    return jobs.iter().map(|_| Err(error.clone())).collect();
                }
            }
        }
        let sent = self.link().and_then(|link| link.send(&pipeline(packed, jobs), deadline));
        let mut broken = sent.err();
        let mut answers = Vec::with_capacity(jobs.len());
        for _ in jobs {
            let answer = match &broken {
                Some(error) => Err(error.clone()),
                None => self.link().and_then(|link| link.receive(deadline)),
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

    fn exchange_command(&mut self, command: &Cmd, deadline: Duration) -> RedisResult<Value> {
        self.link()?.ask(command, deadline)
    }

    fn link(&mut self) -> RedisResult<&mut Link> {
        self.link.as_mut().ok_or_else(|| std::io::Error::from(ErrorKind::NotConnected).into())
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
                self.tell(true, || Event::Up, report);
            }
            Err(error) => self.fail(&error, complete, report),
        }
        Some(())
    }

    /// A new connection on which a request has just been charged, as fast as requests need it: whatever would refuse theirs refuses
    /// this one.
    fn probe(&mut self) -> RedisResult<()> {
        self.link = Some(self.connector.connect()?);
        for script in Script::ALL {
            let deadline = (self.clock)() + self.timeout;
            self.exchange_command(&script.load(), deadline)?;
        }
        let call = self.probing_call();
        let deadline = (self.clock)() + self.timeout;
        let link = self.link()?;
        link.send(&call.packed, deadline)?;
        let answer = link.receive(deadline)?;
        read_numbers(&answer, call.numbers).map(drop).ok_or_else(unexpected)
    }

    /// A charge that is forgotten after a second.
    fn probing_call(&self) -> Call {
        let rates = [Rate { limit: 1, unit: Unit::Second }];
        let terms = Terms {
            rates: &rates,
            window: WindowKind::Fixed,
            cost: 1,
            counting: Counting::All,
            dry_run: false,
        };
        let demand = Demand { number: 0, zone: &self.zone, key: PROBE, terms };
        let mut call = Call::default();
        write_exact(&mut call, Spending::Charge, &[demand]);
        call
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
        self.link = None;
        self.breaker.failed((self.clock)());
        self.tell(false, || Event::Down(reason(error)), report);
        if !left.jobs.is_empty() {
            complete(away(left.jobs));
        }
    }

    /// Reports changes only.
    fn tell(&mut self, is_up: bool, event: impl FnOnce() -> Event, report: &mut impl FnMut(Event)) {
        if self.is_up.replace(is_up) != Some(is_up) {
            report(event());
        }
    }

    /// Reports now and then.
    fn tell_refused(&mut self, error: &RedisError, report: &mut impl FnMut(Event)) {
        let now = (self.clock)();
        if self.refused_at.is_none_or(|at| at + REFUSED_EVERY <= now) {
            self.refused_at = Some(now);
            report(Event::Refused(reason(error)));
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
