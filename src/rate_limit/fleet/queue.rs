//! Calls on their way to the conversation's thread: collected by the callers, taken all at once, and only while the store is up.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::script::Call;

/// The most calls that wait; more mean that the store does not keep up.
const MAX_QUEUED_CALLS: usize = 16_384;
/// A burst may have made them large; so much room is kept for the next calls.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// A call that was handed over.
pub(super) struct Job<T> {
    /// Who its answer is for.
    pub(super) token: T,
    /// Until when it is to be answered.
    pub(super) deadline: Duration,
    /// Where it is in [`Batch::packed`].
    pub(super) bytes: Range<usize>,
    /// How many numbers its answer has.
    pub(super) numbers: usize,
}

/// Calls in the order they were handed over.
pub(super) struct Batch<T> {
    pub(super) packed: Vec<u8>,
    pub(super) jobs: Vec<Job<T>>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { packed: Vec::new(), jobs: Vec::new() }
    }
}

impl<T> Batch<T> {
    fn clear(&mut self) {
        self.jobs.clear();
        self.packed.clear();
        self.packed.shrink_to(MAX_KEPT_BYTES);
    }
}

/// What the thread is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There are calls.
    Serve,
    /// Nobody called for a while.
    Idle,
    /// Nobody will call any more.
    End,
}

/// Between callers and one thread. Both sides hold the lock for no longer than a copy takes.
pub(super) struct Queue<T> {
    waiting: Mutex<Batch<T>>,
    /// Changed under the lock.
    is_open: AtomicBool,
    is_abandoned: AtomicBool,
    thread: OnceLock<Thread>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            is_open: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Adds a call, for the thread to find once it is awake; gives the token back when the store is away or does not keep up.
    pub(super) fn push(&self, call: &Call, token: T, deadline: Duration) -> Result<(), T> {
        let mut waiting = self.waiting.lock();
        if !self.is_open() || waiting.jobs.len() >= MAX_QUEUED_CALLS {
            return Err(token);
        }
        let start = waiting.packed.len();
        waiting.packed.extend_from_slice(&call.packed);
        let bytes = start..waiting.packed.len();
        waiting.jobs.push(Job { token, deadline, bytes, numbers: call.numbers });
        Ok(())
    }

    /// Wakes the thread, with a system call only if it sleeps.
    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// The callers have gone.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
        self.wake();
    }

    // What follows is the thread's.

    /// Names the thread that is to be woken.
    pub(super) fn serve_here(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    pub(super) fn open(&self) {
        let _waiting = self.waiting.lock();
        self.is_open.store(true, Ordering::Release);
    }

    /// After this nobody adds a call; those that were waiting are in `left`.
    pub(super) fn close(&self, left: &mut Batch<T>) {
        left.clear();
        let mut waiting = self.waiting.lock();
        self.is_open.store(false, Ordering::Release);
        std::mem::swap(&mut *waiting, left);
    }

    /// Fills `batch` with all calls that wait, or sleeps for `patience` until there are any.
    pub(super) fn take(&self, batch: &mut Batch<T>, patience: Duration) -> Next {
        batch.clear();
        self.sleep(patience, || {
            std::mem::swap(&mut *self.waiting.lock(), batch);
            !batch.jobs.is_empty()
        })
    }

    /// Sleeps for so long, unless the callers go.
    pub(super) fn rest(&self, delay: Duration) -> Next {
        self.sleep(delay, || false)
    }

    #[expect(clippy::disallowed_methods, reason = "how long the thread sleeps decides nothing")]
    fn sleep(&self, patience: Duration, mut has_work: impl FnMut() -> bool) -> Next {
        let mut until = None;
        loop {
            // Looked at first: whoever goes has handed over everything before.
            let is_abandoned = self.is_abandoned.load(Ordering::Acquire);
            if has_work() {
                return Next::Serve;
            }
            if is_abandoned {
                return Next::End;
            }
            let now = Instant::now();
            let left = until.get_or_insert(now + patience).saturating_duration_since(now);
            if left.is_zero() {
                return Next::Idle;
            }
            std::thread::park_timeout(left);
        }
    }
}
