//! What all processes of a host share about the sets: words that start as zero, a run of them for each set.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// The words of one set.
#[derive(Clone, Copy)]
pub(super) struct SetWords<'w> {
    /// For `Reports`.
    pub(super) reported: &'w AtomicU64,
    /// For the exchange of versions.
    pub(super) exchange: [&'w AtomicU64; 2],
}

/// The owner's hash before them.
const WORDS_PER_SET: usize = 4;

impl<'w> SetWords<'w> {
    /// Those of the set of that name, which are claimed in one step when it has none; `None` when there is no room left.
    pub(super) fn of(set: &str, words: &'w [AtomicU64]) -> Option<Self> {
        let name = hash_of(set);
        words.chunks_exact(WORDS_PER_SET).find_map(|slot| {
            let [owner, reported, maker, unshared] = slot else { return None };
            match owner.compare_exchange(0, name, Ordering::AcqRel, Ordering::Acquire) {
                Err(owner) if owner != name => None,
                _ => Some(Self { reported, exchange: [maker, unshared] }),
            }
        })
    }
}

fn hash_of(set: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    set.hash(&mut hasher);
    // zero stands for nobody's
    hasher.finish().max(1)
}
