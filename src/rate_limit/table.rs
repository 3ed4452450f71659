//! The counter table of a zone: fixed-size entries in shared words, one entry a key and unit.
//!
//! The caller holds the zone's mutex round every call, so the words need no ordering among themselves. A process may be
//! killed between any two stores, though, and the mutex is then released for the next one: every order of stores here
//! leaves a table that is sane at each step. What a kill can cost is written beside the stores; it is never a count that
//! is too high and never an entry that stays taken.
//!
//! Entries sit in buckets of eight and a key may be in either of two buckets. An entry is reused in place once its time is
//! over; a live one never makes room for another.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::rate::Unit;
use super::window::{Count, Window, WindowKind};

/// Bytes of one counter.
pub const ENTRY_BYTES: usize = ENTRY_WORDS * 8;

/// Counters that one MiB of zone holds before the first key may find its two buckets full.
///
/// The table has 32,768 entries a MiB; the rest is the slack that two-choice hashing wants. A key takes one counter for
/// each unit of its rates.
pub const COUNTERS_PER_MIB: usize = 29_000;

/// The smallest zone, in bytes.
pub const MIN_ZONE_BYTES: u64 = 32 * 1024;

/// How far a window may lie ahead of a caller's clock before the clock is taken to have been set back.
///
/// Workers read the clock at slightly different times, so a little is normal: the caller then counts in the newer window.
pub const CLOCK_STEP_MS: u64 = 5_000;

const LAYOUT: u64 = 0x6170_6967_6174_0001; // "apigat", version 1

const ENTRY_WORDS: usize = 4;
const BUCKET_ENTRIES: usize = 8;
const BUCKET_WORDS: usize = BUCKET_ENTRIES * ENTRY_WORDS;
const HEADER_WORDS: usize = BUCKET_WORDS;

// Words of the header.
const H_LAYOUT: usize = 0;
const H_WORDS: usize = 1;
const H_SEED: usize = 2; // and 3
const H_OCCUPIED: usize = 4;
const H_FULL: usize = 5;
const H_SWEEP: usize = 6;

// Words of an entry.
const E_KEY: usize = 0; // low half of the key's hash
const E_TAG: usize = 1; // 31 bits of the high half, 33 bits of the window's start in seconds; 0 is a free entry
const E_CURRENT: usize = 2; // 24 bits of lifetime, 40 bits of count
const E_PREVIOUS: usize = 3;

const START_BITS: u32 = 33;
const START_MASK: u64 = (1 << START_BITS) - 1;
const COUNT_BITS: u32 = 40;

/// The most that a counter can show; it stays there rather than wrapping round.
pub const MAX_COUNT: u64 = (1 << COUNT_BITS) - 1;

/// The secret of a zone's key hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub [u64; 2]);

/// A counter's key: a 128-bit keyed hash of everything that identifies it but the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

/// What became of a zone's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The counters in it are kept.
    Kept,
    /// It was emptied.
    Fresh(FreshReason),
}

/// Why a zone's memory was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreshReason {
    /// It held nothing yet.
    New,
    /// It was written by a version of this module with another layout.
    Layout,
    /// It was written for a zone of another size.
    Size,
}

/// The memory is too small for one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall;

/// How full a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// Entries in use; those whose time is over count until they are swept.
    pub occupied: u64,
    /// Entries there are.
    pub capacity: u64,
    /// Times that a new key found no free entry, since the zone was made.
    pub full: u64,
}

/// A place in the table, valid while the mutex is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

/// A view of a zone's words.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    words: &'a [AtomicU64],
    buckets: usize,
}

impl<'a> Table<'a> {
    /// A view of words that may hold a table already, and whether its counters were kept.
    ///
    /// `fresh_seed` is used when they were not: it must be random, because it is what keeps a client from choosing keys
    /// that collide.
    pub fn attach(words: &'a [AtomicU64], fresh_seed: Seed) -> Result<(Self, Attached), TooSmall> {
        let table = Self::view(words)?;
        let attached = match table.word(H_LAYOUT).load(Relaxed) {
            0 => Attached::Fresh(FreshReason::New),
            LAYOUT if table.word(H_WORDS).load(Relaxed) == words.len() as u64 => Attached::Kept,
            LAYOUT => Attached::Fresh(FreshReason::Size),
            _ => Attached::Fresh(FreshReason::Layout),
        };
        if attached != Attached::Kept {
            table.clear(fresh_seed);
        }
        Ok((table, attached))
    }

    /// A view of words that were attached before, by this process or the one it was forked from.
    pub fn view(words: &'a [AtomicU64]) -> Result<Self, TooSmall> {
        let buckets = words.len().saturating_sub(HEADER_WORDS) / BUCKET_WORDS;
        if buckets == 0 { Err(TooSmall) } else { Ok(Self { words, buckets }) }
    }

    /// Whether two views are of the same words.
    pub fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.words, other.words)
    }

    /// The secret for this table's fingerprints.
    pub fn seed(&self) -> Seed {
        Seed([self.word(H_SEED).load(Relaxed), self.word(H_SEED + 1).load(Relaxed)])
    }

    /// How full the table is.
    pub fn stats(&self) -> TableStats {
        TableStats {
            occupied: self.word(H_OCCUPIED).load(Relaxed),
            capacity: (self.buckets * BUCKET_ENTRIES) as u64,
            full: self.word(H_FULL).load(Relaxed),
        }
    }

    /// The counter's slot if it has one, and what it holds in the window of `now_ms`.
    ///
    /// A window that another worker opened a moment ahead of this clock is kept; see [`CLOCK_STEP_MS`].
    pub fn find(&self, key: Fingerprint, unit: Unit, now_ms: u64) -> (Option<Slot>, Count) {
        let hash = UnitHash::new(key, unit);
        for bucket in buckets_of(hash.key, self.buckets) {
            let (entries, []) = self.bucket(bucket).as_chunks::<ENTRY_WORDS>() else { continue };
            let is_it = |[key, tag, ..]: &[AtomicU64; ENTRY_WORDS]| {
                key.load(Relaxed) == hash.key && holds(tag.load(Relaxed), hash)
            };
            if let Some(position) = entries.iter().position(is_it) {
                let entry = bucket * BUCKET_ENTRIES + position;
                return (Some(Slot(entry)), self.count(entry, unit, now_ms));
            }
        }
        (None, Count::empty(unit, now_ms))
    }

    /// A slot for a counter that [`find`](Self::find) did not find; `None` when there is no room in its buckets, which is
    /// counted. It may move other counters: slots found before are no longer valid.
    ///
    /// Sweeps one bucket on the way, so that entries are freed about as fast as they are asked for.
    ///
    /// The slot is free until [`write`](Self::write) has filled it, which must be the next call.
    pub fn insert(&self, key: Fingerprint, unit: Unit, now_ms: u64) -> Option<Slot> {
        self.sweep(1, now_ms);
        let hash = UnitHash::new(key, unit);
        let [first, second] = buckets_of(hash.key, self.buckets);
        let entry = match [self.free_entry(first, now_ms), self.free_entry(second, now_ms)] {
            [(more, Some(entry)), (fewer, _)] if more >= fewer => Some(entry),
            [_, (_, Some(entry))] => Some(entry),
            _ => self.make_room(first, now_ms),
        };
        let Some(entry) = entry else {
            self.add(H_FULL, 1);
            return None;
        };
        let start_s = Window::at(unit, now_ms).start_ms / 1_000;
        self.fill(entry, [hash.key, hash.tag | tagged_start(start_s), 0, 0]);
        Some(Slot(entry))
    }

    /// Writes a counter's new state. The window may only be the one that `find` answered, or a later one.
    pub fn write(&self, slot: Slot, unit: Unit, kind: WindowKind, count: Count) {
        let Slot(entry) = slot;
        let (tag, before) = (self.load(entry, E_TAG), self.load(entry, E_CURRENT));
        let start = tagged_start(count.window.start_ms / 1_000);
        if tag & START_MASK == start {
            if self.load(entry, E_PREVIOUS) != count.previous {
                self.store(entry, E_PREVIOUS, count.previous.min(MAX_COUNT));
            }
            // Whoever counted in this window before has given the entry at least the window's own time.
            let lifetime = match kind {
                WindowKind::Fixed if before > MAX_COUNT => before & !MAX_COUNT,
                // A directive with a fixed window may share the counter with a sliding one.
                _ => lifetime_bits(lifetime_s(unit, kind, count.window).max(lifetime_of(before))),
            };
            self.store(entry, E_CURRENT, lifetime | count.current.min(MAX_COUNT));
            return;
        }
        let lifetime = lifetime_bits(lifetime_s(unit, kind, count.window));
        // Killed after the first of these: a share too much for a moment in the old window, or none in the new one.
        // Killed after the second: the sliding share of the previous window is lost.
        self.store(entry, E_PREVIOUS, count.previous.min(MAX_COUNT));
        self.store(entry, E_CURRENT, lifetime);
        self.store(entry, E_TAG, (tag & !START_MASK) | start);
        self.store(entry, E_CURRENT, lifetime | count.current.min(MAX_COUNT));
    }

    /// Frees what is over in the next so many buckets.
    pub fn sweep(&self, buckets: usize, now_ms: u64) {
        let occupied = self.word(H_OCCUPIED);
        let mut next = self.word(H_SWEEP).load(Relaxed) as usize % self.buckets;
        for _ in 0..buckets.min(self.buckets) {
            for entry in entries_of(next) {
                if self.load(entry, E_TAG) != 0 && !self.is_live(entry, now_ms) {
                    put(occupied, occupied.load(Relaxed).saturating_sub(1));
                    self.store(entry, E_TAG, 0);
                }
            }
            next = (next + 1) % self.buckets;
        }
        put(self.word(H_SWEEP), next as u64);
    }

    fn clear(&self, seed: Seed) {
        // The layout is written last: killed on the way, the next process clears again.
        for word in self.words {
            put(word, 0);
        }
        let [low, high] = seed.0;
        put(self.word(H_SEED), low);
        put(self.word(H_SEED + 1), high);
        put(self.word(H_WORDS), self.words.len() as u64);
        put(self.word(H_LAYOUT), LAYOUT);
    }

    /// How many entries of a bucket are free, and one of them.
    fn free_entry(&self, bucket: usize, now_ms: u64) -> (usize, Option<usize>) {
        let free = entries_of(bucket).filter(|entry| !self.is_live(*entry, now_ms));
        free.fold((0, None), |(number, first), entry| (number + 1, first.or(Some(entry))))
    }

    /// Moves one counter of a full bucket to its other bucket, if any has room there.
    fn make_room(&self, bucket: usize, now_ms: u64) -> Option<usize> {
        entries_of(bucket).find_map(|entry| {
            let fields = [E_KEY, E_TAG, E_CURRENT, E_PREVIOUS].map(|field| self.load(entry, field));
            let [first, second] = buckets_of(fields[E_KEY], self.buckets);
            let (_, free) = self.free_entry(if first == bucket { second } else { first }, now_ms);
            // Killed before the old entry is filled: the counter is there twice until its time is over, and one of the
            // two, always the same, is found.
            self.fill(free?, fields);
            Some(entry)
        })
    }

    /// Frees an entry, fills it and takes it with its last word: killed on the way, it is free.
    fn fill(&self, entry: usize, [key, tag, current, previous]: [u64; ENTRY_WORDS]) {
        if self.load(entry, E_TAG) == 0 {
            self.add(H_OCCUPIED, 1);
        }
        self.store(entry, E_TAG, 0);
        self.store(entry, E_KEY, key);
        self.store(entry, E_CURRENT, current);
        self.store(entry, E_PREVIOUS, previous);
        self.store(entry, E_TAG, tag);
    }

    /// The words of a bucket's entries.
    fn bucket(&self, bucket: usize) -> &'a [AtomicU64] {
        let first = HEADER_WORDS + bucket * BUCKET_WORDS;
        self.words.get(first..first + BUCKET_WORDS).unwrap_or_default()
    }

    fn is_live(&self, entry: usize, now_ms: u64) -> bool {
        let tag = self.load(entry, E_TAG);
        if tag == 0 {
            return false;
        }
        let start_ms = start_ms_of(tag);
        let lifetime_ms = lifetime_of(self.load(entry, E_CURRENT)) * 1_000;
        start_ms <= now_ms + CLOCK_STEP_MS && now_ms < start_ms + lifetime_ms
    }

    /// The counter's state carried into the window of `now_ms`.
    fn count(&self, entry: usize, unit: Unit, now_ms: u64) -> Count {
        let start_ms = start_ms_of(self.load(entry, E_TAG));
        let mut count = Count::empty(unit, now_ms);
        if start_ms > now_ms + CLOCK_STEP_MS {
            return count;
        }
        if start_ms > now_ms {
            count.window = Window::at(unit, start_ms);
        }
        let current = self.load(entry, E_CURRENT) & MAX_COUNT;
        if start_ms == count.window.start_ms {
            count.current = current;
            count.previous = self.load(entry, E_PREVIOUS) & MAX_COUNT;
        } else if Window::at(unit, start_ms).end_ms == count.window.start_ms {
            count.previous = current;
        }
        count
    }

    fn word(&self, index: usize) -> &'a AtomicU64 {
        // Every index is below the length: `view` proved it for the header and the buckets.
        #[expect(clippy::indexing_slicing, reason = "positions come from the table's own size")]
        &self.words[index]
    }

    fn load(&self, entry: usize, field: usize) -> u64 {
        self.word(HEADER_WORDS + entry * ENTRY_WORDS + field).load(Relaxed)
    }

    fn store(&self, entry: usize, field: usize, value: u64) {
        put(self.word(HEADER_WORDS + entry * ENTRY_WORDS + field), value);
    }

    fn add(&self, header: usize, number: u64) {
        let word = self.word(header);
        put(word, word.load(Relaxed).saturating_add(number));
    }
}

/// The bytes that so many counters need.
pub fn zone_bytes_for(counters: u64) -> u64 {
    let mib = counters.div_ceil(COUNTERS_PER_MIB as u64);
    mib * (1 << 20)
}

/// Whether an entry with this tag, whose key is that of the hash, is the counter's.
fn holds(tag: u64, hash: UnitHash) -> bool {
    tag != 0 && tag & !START_MASK == hash.tag
}

#[derive(Clone, Copy)]
struct UnitHash {
    key: u64,
    tag: u64,
}

impl UnitHash {
    fn new(Fingerprint(key): Fingerprint, unit: Unit) -> Self {
        // The unit moves a key's counters to unrelated buckets. The fingerprint is a keyed hash already, so this only mixes.
        let low = mix((key as u64) ^ (unit as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { key: low, tag: ((key >> 64) as u64) & !START_MASK }
    }
}

/// The two buckets that a counter may be in; they differ unless there is only one.
fn buckets_of(key: u64, number: usize) -> [usize; 2] {
    let scaled = |half: u64| (((half & 0xffff_ffff) * number as u64) >> 32) as usize;
    let (first, second) = (scaled(key), scaled(key >> 32));
    if first == second { [first, (first + 1) % number] } else { [first, second] }
}

/// One is added to a start in seconds when it is stored, so that the tag of a taken entry is never 0.
fn tagged_start(start_s: u64) -> u64 {
    (start_s + 1) & START_MASK
}

/// The one place that stores, so that tests can stop after any store, as a kill would.
fn put(word: &AtomicU64, value: u64) {
    #[cfg(test)]
    if !tests::is_alive() {
        return;
    }
    word.store(value, Relaxed);
}

/// Source: the finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn entries_of(bucket: usize) -> std::ops::Range<usize> {
    bucket * BUCKET_ENTRIES..(bucket + 1) * BUCKET_ENTRIES
}

fn start_ms_of(tag: u64) -> u64 {
    ((tag & START_MASK).saturating_sub(1)) * 1_000
}

/// How long a counter is needed that was charged in a window: until it is over, or until the next one is.
fn lifetime_s(unit: Unit, kind: WindowKind, window: Window) -> u64 {
    let until_ms = match kind {
        WindowKind::Fixed => window.end_ms,
        WindowKind::Sliding => window.next(unit).end_ms,
    };
    (until_ms - window.start_ms) / 1_000
}

/// A lifetime in the upper bits of a word: seconds, or minutes where that is exact, in 24 bits. The longest, two leap years, fits.
fn lifetime_bits(lifetime_s: u64) -> u64 {
    let lifetime =
        if lifetime_s.is_multiple_of(60) { ((lifetime_s / 60) << 1) | 1 } else { lifetime_s << 1 };
    lifetime << COUNT_BITS
}

fn lifetime_of(word: u64) -> u64 {
    let lifetime = word >> COUNT_BITS;
    if lifetime & 1 == 1 { (lifetime >> 1) * 60 } else { lifetime >> 1 }
}

#[cfg(test)]
mod tests;
