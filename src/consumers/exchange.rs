//! Who makes a new version of a set, for all processes of a host: one of them, and the others take it from there.
//!
//! Words that all share say which process is at work on which version, and where the last finished one can be had. No lock:
//! a word is claimed in one step, and a claim ends with its process. Whatever goes wrong, a process can always make the
//! version by itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::registry::{ConsumerSet, Image};
use super::words::SetWords;

/// Where an image can be had: a process and its number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// the process
    pub pid: u32,
    /// its descriptor
    pub descriptor: u32,
}

/// How images get from one process to another.
pub trait Carrier: Send {
    /// This process.
    fn pid(&self) -> u32;

    /// True while that process is there.
    fn is_alive(&self, pid: u32) -> bool;

    /// Puts an image where other processes can have it; `None` when that cannot be done.
    fn put(&mut self, version: u64, image: &[u8]) -> Option<(Offer, Image)>;

    /// The image that another process has put there, if it is still there and of that version.
    fn get(&mut self, version: u64, offer: Offer) -> Option<Image>;
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

/// The words of one set and a way to carry images.
pub struct Exchange {
    words: Option<[&'static AtomicU64; Self::WORDS]>,
    carrier: Box<dyn Carrier>,
}

impl Exchange {
    /// How many words a set needs; they start as zero.
    pub const WORDS: usize = 3;

    /// For the set of that name, in words that all processes of the host share; with no room left in them every process is
    /// on its own.
    pub fn of(set: &str, words: &'static [AtomicU64], carrier: Box<dyn Carrier>) -> Self {
        Self { words: SetWords::of(set, words).map(|words| words.exchange), carrier }
    }

    /// What to do about a version of the set of that name.
    pub fn turn(&mut self, name: &str, version: u64) -> Turn {
        let Some([maker, made, place]) = self.words else { return Turn::Make };
        if made.load(Ordering::Acquire) == version {
            let offer = unpack(place.load(Ordering::Acquire));
            // the image says itself of which version it is
            let image = self.carrier.get(version, offer);
            if let Some(set) = image.and_then(|image| ConsumerSet::from_image(name, image)) {
                return Turn::Take(Box::new(set));
            }
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
        let Some([_, made, place]) = self.words else { return set };
        let shared = self.carrier.put(version, set.image()).and_then(|(offer, image)| {
            let twin = ConsumerSet::from_image(set.name(), image)?;
            // not to be read together with the new place
            made.store(0, Ordering::Release);
            place.store(pack(offer), Ordering::Release);
            made.store(version, Ordering::Release);
            Some(Arc::new(twin))
        });
        self.leave(version);
        shared.unwrap_or(set)
    }

    /// Gives up a turn without a version to offer.
    pub fn leave(&mut self, version: u64) {
        if let Some([maker, ..]) = self.words {
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

fn pack(offer: Offer) -> u64 {
    u64::from(offer.pid) << 32 | u64::from(offer.descriptor)
}

fn unpack(place: u64) -> Offer {
    Offer { pid: low(place >> 32), descriptor: low(place) }
}

fn low(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::Mutex;

    use super::*;
    use crate::consumers::{ConsumerEntry, SetBuilder};

    type Versioned = (u64, Arc<[u8]>);

    /// All processes of a host.
    #[derive(Default)]
    pub(in crate::consumers) struct Host {
        images: HashMap<(u32, u32), Versioned>,
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

        fn put(&mut self, version: u64, image: &[u8]) -> Option<(Offer, Image)> {
            let mut host = self.host.lock().unwrap();
            let offer = Offer { pid: self.pid, descriptor: host.images.len() as u32 };
            let image: Arc<[u8]> = image.into();
            host.images.insert((offer.pid, offer.descriptor), (version, Arc::clone(&image)));
            Some((offer, Box::new(Mapped(image))))
        }

        fn get(&mut self, version: u64, offer: Offer) -> Option<Image> {
            let host = self.host.lock().unwrap();
            let (known, image) = host.images.get(&(offer.pid, offer.descriptor))?;
            let there = *known == version && !host.dead.contains(&offer.pid);
            there.then(|| Box::new(Mapped(Arc::clone(image))) as Image)
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
        Box::leak(Box::new([0; 5].map(AtomicU64::new)))
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
                set.consumers().map(|it| it.name().to_owned()).collect::<Vec<_>>().join(" ")
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
    fn what_cannot_be_had_any_more_is_made_again() {
        let (host, words) = (SharedHost::default(), words());
        let [mut a, mut b] = [1, 2].map(|pid| process(pid, &host, words));
        assert_eq!(taken(a.turn("s", 7)), "make");
        a.made(7, set("bob"));
        host.lock().unwrap().dead.insert(1);
        assert_eq!(taken(b.turn("s", 7)), "make");
        host.lock().unwrap().images.values_mut().for_each(|(_, image)| *image = (*b"x").into());
        host.lock().unwrap().dead.clear();
        assert_eq!(taken(b.turn("s", 7)), "make");
    }

    #[test]
    fn without_words_everybody_makes_their_own() {
        let host = SharedHost::default();
        let mut alone = process(1, &host, &[]);
        assert_eq!(taken(alone.turn("s", 7)), "make");
        alone.made(7, set("bob"));
        assert_eq!(taken(alone.turn("s", 7)), "make");
        assert!(host.lock().unwrap().images.is_empty());
    }
}
