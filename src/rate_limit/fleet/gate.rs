//! The door through which calls go to the conversation's thread.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether calls are taken, and how many callers are about to hand one over.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_up: AtomicBool,
    entering: AtomicUsize,
}

impl Gate {
    /// Runs `enter` while the gate is open; `None` when it is closed.
    pub(super) fn pass<R>(&self, enter: impl FnOnce() -> R) -> Option<R> {
        self.entering.fetch_add(1, Ordering::SeqCst);
        let entered = self.is_up.load(Ordering::SeqCst).then(enter);
        self.entering.fetch_sub(1, Ordering::SeqCst);
        entered
    }

    /// After this nobody hands over a call: what is queued is all there is, and nothing waits through a probe.
    pub(super) fn close(&self) {
        self.is_up.store(false, Ordering::SeqCst);
        while self.entering.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }

    pub(super) fn open(&self) {
        self.is_up.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_up.load(Ordering::SeqCst)
    }
}
