//! Who makes a new version of a set, for all processes of a host: one of them, and the others take it from there.
//!
//! A word that all share says which process is at work on which version; it is claimed in one step, and a claim ends with its
//! process. The last finished version outlives whoever made it: a process that starts takes it, whatever the files are like by
//! then. Whatever goes wrong, a process can always make a version by itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::registry::{ConsumerSet, Image};
use super::words::SetWords;

/// How images get from one process to all others of its configuration, those that start later included.
pub trait Carrier: Send {
    /// This process.
    fn pid(&self) -> u32;

    /// True while that process is there.
    fn is_alive(&self, pid: u32) -> bool;

    /// Puts an image in the place of the last one and answers it as it is there; `None` when that cannot be done, and then
    /// there is none.
    fn put(&mut self, version: u64, image: &[u8]) -> Option<Image>;

    /// The image that was put last, and its version.
    fn last(&mut self) -> Option<(u64, Image)>;
}

/// What to do about a version that is not in force here.
pub enum Turn {
    /// It is made already.
    Take(Box<ConsumerSet>),
    /// This process is to make it.
    Make,
    /// Another process is at it.
    Wait,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

/// The words of one set, which start as zero, and a way to carry images.
pub struct Exchange {
    /// who is at work on what, and the version that was made last if it could not be shared
    words: Option<[&'static AtomicU64; 2]>,
    carrier: Box<dyn Carrier>,
}

impl Exchange {
    /// For the set of that name, in words that all processes of the host share; with no room left in them every process is
    /// on its own.
    pub fn of(set: &str, words: &'static [AtomicU64], carrier: Box<dyn Carrier>) -> Self {
        Self { words: SetWords::of(set, words).map(|words| words.exchange), carrier }
    }

    /// The version of the set of that name that was made last, by whomever.
    pub fn last(&mut self, name: &str) -> Option<(u64, ConsumerSet)> {
        self.words?;
        let (version, image) = self.carrier.last()?;
        Some((version, ConsumerSet::from_image(name, image)?))
    }

    /// True when a version may be in force elsewhere that cannot be had.
    pub fn has_lost(&self) -> bool {
        self.words.is_none_or(|[_, unshared]| unshared.load(Ordering::Acquire) != 0)
    }

    /// What to do about a version of the set of that name.
    pub fn turn(&mut self, name: &str, version: u64) -> Turn {
        let Some([maker, _]) = self.words else { return Turn::Make };
        if let Some((made, set)) = self.last(name)
            && made == version
        {
            return Turn::Take(Box::new(set));
        }
        let claim = claim(version, self.carrier.pid());
        let mut current = maker.load(Ordering::Acquire);
        loop {
            if current != claim
                && current >> 32 == claim >> 32
                && self.carrier.is_alive(low(current))
            {
                return Turn::Wait;
            }
            match maker.compare_exchange(current, claim, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Turn::Make,
                Err(other) => current = other,
            }
        }
    }

    /// Offers a version that this process has made, and answers the set to keep: the one that is shared, if it can be.
    pub fn made(&mut self, version: u64, set: Arc<ConsumerSet>) -> Arc<ConsumerSet> {
        let Some([maker, unshared]) = self.words else { return set };
        if maker.load(Ordering::Acquire) >> 32 != claim(version, 0) >> 32 {
            // Somebody is at a newer one, or has made it.
            return set;
        }
        let image = self.carrier.put(version, set.image());
        let shared = image.and_then(|image| ConsumerSet::from_image(set.name(), image));
        unshared.store(if shared.is_some() { 0 } else { version }, Ordering::Release);
        self.leave(version);
        shared.map_or(set, Arc::new)
    }

    /// Gives up a turn without a version to offer.
    pub fn leave(&mut self, version: u64) {
        if let Some([maker, _]) = self.words {
            let claim = claim(version, self.carrier.pid());
            // another's claim is left alone
            let _ = maker.compare_exchange(claim, 0, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

/// Half of the version, and the process.
fn claim(version: u64, pid: u32) -> u64 {
    version << 32 | u64::from(pid)
}

fn low(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;

    use super::*;
    use crate::consumers::{ConsumerEntry, SetBuilder};

    type Versioned = (u64, Arc<[u8]>);

    /// All processes of a host.
    #[derive(Default)]
    pub(in crate::consumers) struct Host {
        image: Option<Versioned>,
        /// true where memory files are forbidden
        pub(in crate::consumers) shares_nothing: bool,
        dead: HashSet<u32>,
    }

    pub(in crate::consumers) type SharedHost = Arc<Mutex<Host>>;

    struct Process {
        pid: u32,
        host: SharedHost,
    }

    struct Mapped(Arc<[u8]>);

    impl AsRef<[u8]> for Mapped {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Carrier for Process {
        fn pid(&self) -> u32 {
            self.pid
        }

        fn is_alive(&self, pid: u32) -> bool {
            !self.host.lock().unwrap().dead.contains(&pid)
        }

        fn put(&mut self, version: u64, image: &[u8]) -> Option<Image> {
            let image: Arc<[u8]> = image.into();
            let mut host = self.host.lock().unwrap();
            host.image = (!host.shares_nothing).then(|| (version, Arc::clone(&image)));
            host.image.is_some().then(|| Box::new(Mapped(image)) as Image)
        }

        fn last(&mut self) -> Option<(u64, Image)> {
            let host = self.host.lock().unwrap();
            let (version, image) = host.image.as_ref()?;
            Some((*version, Box::new(Mapped(Arc::clone(image)))))
        }
    }

    pub(in crate::consumers) fn process(
        pid: u32,
        host: &SharedHost,
        words: &'static [AtomicU64],
    ) -> Exchange {
        Exchange::of("s", words, Box::new(Process { pid, host: Arc::clone(host) }))
    }

    pub(in crate::consumers) fn words() -> &'static [AtomicU64] {
        Box::leak(Box::new([0; 4].map(AtomicU64::new)))
    }

    fn set(name: &str) -> Arc<ConsumerSet> {
        let mut builder = SetBuilder::new("s");
        let username = Some(name.to_owned().into());
        builder.add(&ConsumerEntry { username, ..Default::default() }, false).unwrap();
        Arc::new(builder.finish().unwrap())
    }

    fn taken(turn: Turn) -> String {
        match turn {
            Turn::Take(set) => {
                set.consumers().map(|it| it.name().to_string()).collect::<Vec<_>>().join(" ")
            }
            Turn::Make => "make".to_owned(),
            Turn::Wait => "wait".to_owned(),
        }
    }

    #[test]
    fn one_makes_a_version_and_the_others_take_it() {
        let (host, words) = (SharedHost::default(), words());
        let [mut a, mut b, mut late] = [1, 2, 3].map(|pid| process(pid, &host, words));
        assert_eq!(taken(a.turn("s", 7)), "make");
        assert_eq!(taken(b.turn("s", 7)), "wait");
        assert_eq!(taken(a.turn("s", 7)), "make");
        a.made(7, set("bob"));
        assert_eq!(taken(b.turn("s", 7)), "bob");
        assert_eq!(taken(late.turn("s", 7)), "bob");
        assert_eq!(taken(b.turn("s", 8)), "make");
        b.made(8, set("alice"));
        assert_eq!(taken(a.turn("s", 8)), "alice");
    }

    #[test]
    fn a_turn_ends_with_its_process_and_with_a_version_that_is_bad() {
        let (host, words) = (SharedHost::default(), words());
        let [mut a, mut b, mut c] = [1, 2, 3].map(|pid| process(pid, &host, words));
        assert_eq!(taken(a.turn("s", 7)), "make");
        host.lock().unwrap().dead.insert(1);
        assert_eq!(taken(b.turn("s", 7)), "make");
        assert_eq!(taken(c.turn("s", 7)), "wait");
        b.leave(7);
        assert_eq!(taken(c.turn("s", 7)), "make");
        // who is late leaves the turn of another
        b.leave(7);
        host.lock().unwrap().dead.clear();
        assert_eq!(taken(a.turn("s", 7)), "wait");
        // a newer version waits for nobody
        assert_eq!(taken(a.turn("s", 8)), "make");
    }

    #[test]
    fn a_version_outlives_its_maker() {
        let (host, words) = (SharedHost::default(), words());
        let [mut a, mut b] = [1, 2].map(|pid| process(pid, &host, words));
        assert!(b.last("s").is_none());
        assert_eq!(taken(a.turn("s", 7)), "make");
        a.made(7, set("bob"));
        host.lock().unwrap().dead.insert(1);
        assert_eq!(taken(b.turn("s", 7)), "bob");
        assert_eq!(b.last("s").map(|(version, set)| (version, set.len())), Some((7, 1)));
    }

    #[test]
    fn a_version_that_cannot_be_shared_is_known_to_be_lost() {
        let (host, words) = (SharedHost::default(), words());
        let [mut a, b] = [1, 2].map(|pid| process(pid, &host, words));
        for (version, shares_nothing) in [(7, false), (8, true), (9, false)] {
            host.lock().unwrap().shares_nothing = shares_nothing;
            assert_eq!(taken(a.turn("s", version)), "make");
            a.made(version, set("bob"));
            assert_eq!(b.has_lost(), shares_nothing, "{version}");
        }
        assert!(process(1, &host, &[]).has_lost());
    }

    #[test]
    fn what_is_no_set_is_made_again() {
        let (host, words) = (SharedHost::default(), words());
        host.lock().unwrap().image = Some((7, (*b"x").into()));
        let mut a = process(1, &host, words);
        assert!(a.last("s").is_none());
        assert_eq!(taken(a.turn("s", 7)), "make");
    }

    #[test]
    fn who_is_late_does_not_put_an_old_version_in_the_place_of_a_new_one() {
        let (host, words) = (SharedHost::default(), words());
        let [mut slow, mut quick] = [1, 2].map(|pid| process(pid, &host, words));
        assert_eq!(taken(slow.turn("s", 7)), "make");
        assert_eq!(taken(quick.turn("s", 8)), "make");
        assert_eq!(slow.made(7, set("bob")).len(), 1);
        assert!(quick.last("s").is_none());
        quick.made(8, set("alice"));
        slow.made(7, set("bob"));
        assert_eq!(taken(slow.turn("s", 8)), "alice");
    }

    #[test]
    fn without_words_everybody_makes_their_own() {
        let host = SharedHost::default();
        let mut alone = process(1, &host, &[]);
        assert_eq!(taken(alone.turn("s", 7)), "make");
        alone.made(7, set("bob"));
        assert_eq!(taken(alone.turn("s", 7)), "make");
        assert!(host.lock().unwrap().image.is_none());
    }
}
