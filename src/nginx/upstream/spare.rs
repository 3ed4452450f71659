//! Buffers of ended invocations, for those that begin.

use std::cell::RefCell;

/// Larger ones go back to the system.
const MAX_BYTES: usize = 16 * 1024;
const MAX_COUNT: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, one that has room where there is one.
pub(super) fn take() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps a buffer that nobody needs any more.
pub(super) fn give(mut buffer: Vec<u8>) {
    SPARE.with_borrow_mut(|spare| {
        if (1..=MAX_BYTES).contains(&buffer.capacity()) && spare.len() < MAX_COUNT {
            buffer.clear();
            spare.push(buffer);
        }
    });
}
