//! Which bad version of a set's files has been reported, for all processes of a host.
//!
//! Every worker watches the files by itself; a fault is to be logged by one of them. Words that all share hold, for each set,
//! its name's hash and that of the version that was reported last. No lock: a word is claimed or swapped in one step.

use std::sync::atomic::{AtomicU64, Ordering};

use super::words::SetWords;

/// The reports of one set, in words that start as zero and are shared by all processes.
///
/// With no room left for another set, every process reports for itself.
#[derive(Clone, Copy, Debug)]
pub struct Reports<'w> {
    version: Option<&'w AtomicU64>,
}

impl<'w> Reports<'w> {
    /// Those of the set of that name; its words are claimed when it has none.
    pub fn of(set: &str, words: &'w [AtomicU64]) -> Self {
        Self { version: SetWords::of(set, words).map(|words| words.reported) }
    }

    /// True when nobody has reported this version yet; from then on somebody has.
    ///
    /// `version` is [`Watcher::fault`](super::Watcher::fault).
    pub fn is_first(&self, version: u64) -> bool {
        // zero stands for none
        let version = version.max(1);
        self.version.is_none_or(|word| word.swap(version, Ordering::AcqRel) != version)
    }

    /// The files are good again: the next fault is news, whatever it is.
    pub fn clear(&self) {
        if let Some(word) = self.version {
            word.store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<const N: usize>() -> [AtomicU64; N] {
        [const { AtomicU64::new(0) }; N]
    }

    #[test]
    fn one_of_many_is_the_first() {
        let words = words::<8>();
        let first: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| usize::from(Reports::of("a", &words).is_first(7))))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(first, 1);
    }

    #[test]
    fn another_version_another_set_and_a_fault_after_good_times_are_news() {
        let words = words::<8>();
        let (a, b) = (Reports::of("a", &words), Reports::of("b", &words));
        assert!(a.is_first(1) && b.is_first(1) && a.is_first(2));
        assert!(!a.is_first(2) && !b.is_first(1) && !Reports::of("a", &words).is_first(2));
        a.clear();
        assert!(a.is_first(2) && !b.is_first(1));
    }

    #[test]
    fn without_room_everybody_reports() {
        let words = words::<7>();
        assert!(Reports::of("a", &words).is_first(1));
        let none = Reports::of("b", &words);
        assert!(none.is_first(1) && none.is_first(1));
        none.clear();
        assert!(Reports::of("c", &[]).is_first(0));
    }
}
