//! Credentials in shared memory: one process of the host fetches, all others read.
//!
//! A table of slots lies in a zone as zeroed 64-bit words. A slot belongs to one source. Its leader is the process that
//! fetches; the leader's word has its pid and its last sign of life, so that a death at any instant only ends a lease.
//!
//! There are two buffers. Generation `g` is written to buffer `g % 2` and comes into force by one store of `current`;
//! until then readers read the other buffer, which nobody writes. A publisher that dies midway leaves half a buffer that is
//! not in force. A publisher that was stopped so long that another took its place may tear the buffer in force: the
//! checksum tells, and the buffer before serves.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::credentials::Credentials;
use super::provider::error::{FailureKind, FetchError};
use super::region::Region;
use super::source::{Fetched, SourceId};

/// The most sources of one configuration.
pub const MAX_SOURCES: usize = 32;
/// Slots of one table: those of a configuration, and of the one before it.
pub const TABLE_SLOTS: usize = 2 * MAX_SOURCES;
/// The most bytes of access key, secret, token and region together.
pub const MAX_PAYLOAD_BYTES: usize = 8 * 1024;
/// A leader that gave no sign for so long is replaced, alive or not. Longer than any fetch takes.
pub const LEASE_S: u64 = 60;

// words of a slot
const ID: usize = 0;
const CURRENT: usize = 1;
const LEADER: usize = 2;
const WANTED: usize = 3;
const FAILURES: usize = 4;
const FAILURE_KIND: usize = 5;
const FAILED_AT_S: usize = 6;
const FETCHES_GOOD: usize = 7;
const FETCHES_BAD: usize = 8;
const BUFFERS: usize = 9;
// words of a buffer
const GENERATION: usize = 0;
const CHECKSUM: usize = 1;
const SOURCE: usize = 2;
const EXPIRES_S: usize = 3;
const FETCHED_AT_S: usize = 4;
const LENGTHS: usize = 5;
const PAYLOAD: usize = 6;

const BUFFER_WORDS: usize = PAYLOAD + MAX_PAYLOAD_BYTES / 8;
const SLOT_WORDS: usize = BUFFERS + 2 * BUFFER_WORDS;
/// Readers that lose the race against publishers so often give up; a publisher comes once in seconds.
const READ_TRIES: usize = 8;

/// The words of one slot.
pub const fn slot_words() -> usize {
    SLOT_WORDS
}

/// The words of a table of [`TABLE_SLOTS`]; all zero at first.
pub const fn table_words() -> usize {
    TABLE_SLOTS * SLOT_WORDS
}

/// One source's place in the table.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    words: &'a [AtomicU64],
    id: SourceId,
}

impl std::fmt::Debug for Slot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("id", &self.id).field("status", &self.status()).finish()
    }
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Counts publications, from 1.
    pub generation: u64,
    /// Perhaps over: see [`Credentials::usable_at`].
    pub credentials: Credentials,
    /// The instance's region, where the source looked for it.
    pub region: Option<Region>,
    /// When it was fetched, in seconds since 1970.
    pub fetched_at_unix_s: u64,
}

/// What metrics, health and status documents show of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotStatus {
    /// 0 while nothing was published.
    pub generation: u64,
    /// The leader's pid, 0 without one.
    pub leader: u32,
    /// Fetches that failed since the last good one.
    pub failures: u64,
    /// Why the last one failed; `None` after a good one.
    pub last_failure: Option<FailureKind>,
    /// When, in seconds since 1970; 0 if never.
    pub failed_at_unix_s: u64,
    /// Good fetches since the table was made.
    pub fetches_good: u64,
    /// Failed fetches since the table was made.
    pub fetches_bad: u64,
}

/// The slot of a source, claimed if it has none yet. `None` when the table is full of slots whose leaders live.
pub fn find_or_claim(table: &[AtomicU64], id: SourceId, now_unix_s: u64) -> Option<Slot<'_>> {
    let slots = || table.chunks_exact(SLOT_WORDS).map(|words| Slot { words, id });
    let mine = |slot: &Slot<'_>| slot.load(ID) == id.as_u64();
    if let Some(found) = slots().find(mine) {
        return Some(found);
    }
    // in order, so that two processes with the same source meet at the same free slot
    slots().find(|slot| slot.swap_owner(0)).or_else(|| {
        slots().find(|slot| {
            let (owner, leader) = (slot.load(ID), slot.load(LEADER));
            !Lease::unpack(leader).holds_at(now_unix_s) && slot.swap_owner(owner)
        })
    })
}

/// Who leads and when it last gave a sign, in one word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Lease {
    pid: u32,
    renewed_at_s: u32,
}

impl Lease {
    fn unpack(word: u64) -> Self {
        let low = |word: u64| u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0);
        Self { pid: low(word >> 32), renewed_at_s: low(word) }
    }

    fn pack(self) -> u64 {
        u64::from(self.pid) << 32 | u64::from(self.renewed_at_s)
    }

    fn new(pid: u32, now_unix_s: u64) -> Self {
        Self { pid, renewed_at_s: u32::try_from(now_unix_s).unwrap_or(u32::MAX) }
    }

    /// A lease of the future is a clock set back, and no lease.
    fn holds_at(self, now_unix_s: u64) -> bool {
        self.pid != 0 && now_unix_s.abs_diff(self.renewed_at_s.into()) <= LEASE_S
    }
}

impl<'a> Slot<'a> {
    fn word(&self, index: usize) -> &'a AtomicU64 {
        // a slot is cut to SLOT_WORDS and every index is a sum of the constants above
        static MISSING: AtomicU64 = AtomicU64::new(0);
        self.words.get(index).unwrap_or(&MISSING)
    }

    fn load(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Acquire)
    }

    fn store(&self, index: usize, value: u64) {
        self.word(index).store(value, Ordering::Release);
    }

    fn swap(&self, index: usize, old: u64, new: u64) -> bool {
        let order = (Ordering::AcqRel, Ordering::Acquire);
        self.word(index).compare_exchange(old, new, order.0, order.1).is_ok()
    }

    /// Takes the slot from an owner (0: nobody). What the owner published stays and is told by the id inside it.
    fn swap_owner(&self, owner: u64) -> bool {
        let mine = self.id.as_u64();
        self.swap(ID, owner, mine) || self.load(ID) == mine
    }

    fn is_mine(&self) -> bool {
        self.load(ID) == self.id.as_u64()
    }

    /// The number of the last publication, 0 if none: one atomic load. Unchanged, what was read before still holds.
    pub fn generation(&self) -> u64 {
        self.load(CURRENT)
    }

    /// What was published last; `None` if nothing was for this source.
    pub fn read(&self) -> Option<Snapshot> {
        for _ in 0..READ_TRIES {
            let current = self.generation();
            let newest = self.read_buffer(current);
            let found = newest.or_else(|| self.read_buffer(current.checked_sub(1)?));
            // pairs with the fence of `Publication::carry_out`: who has read a word of a later publication sees its number
            fence(Ordering::Acquire);
            if self.word(CURRENT).load(Ordering::Relaxed) == current {
                return found;
            }
        }
        None
    }

    fn read_buffer(&self, generation: u64) -> Option<Snapshot> {
        let start = buffer_start(generation);
        let load = |index: usize| self.word(start + index).load(Ordering::Relaxed);
        if generation == 0 || load(GENERATION) != generation || load(SOURCE) != self.id.as_u64() {
            return None;
        }
        let lengths = Lengths::unpack(load(LENGTHS))?;
        let mut words: Vec<u64> = (SOURCE..PAYLOAD).map(load).collect();
        words.extend((PAYLOAD..PAYLOAD + lengths.total().div_ceil(8)).map(load));
        if checksum(generation, &words) != load(CHECKSUM) {
            return None;
        }
        let payload = words.get(PAYLOAD - SOURCE..)?;
        let bytes: Vec<u8> = payload.iter().flat_map(|word| word.to_le_bytes()).collect();
        let [key, secret, token, region] = lengths.split(&bytes)?;
        let expires_at_unix_s = Some(load(EXPIRES_S)).filter(|end| *end != 0);
        Some(Snapshot {
            generation,
            credentials: Credentials::new(key, secret, Some(token), expires_at_unix_s)?,
            region: Region::parse(region),
            fetched_at_unix_s: load(FETCHED_AT_S),
        })
    }

    /// True when this process leads from now on, or still does; each call is a sign of life. `is_alive` says whether a pid
    /// is a living process.
    pub fn try_lead(&self, pid: u32, now_unix_s: u64, is_alive: impl Fn(u32) -> bool) -> bool {
        let seen = self.load(LEADER);
        let lease = Lease::unpack(seen);
        let free = lease.pid == pid || !lease.holds_at(now_unix_s) || !is_alive(lease.pid);
        self.is_mine() && free && self.swap(LEADER, seen, Lease::new(pid, now_unix_s).pack())
    }

    /// Gives the lead away, so that another need not wait for the lease to end.
    pub fn resign(&self, pid: u32) {
        let seen = self.load(LEADER);
        if self.is_mine() && Lease::unpack(seen).pid == pid {
            self.swap(LEADER, seen, 0);
        }
    }

    /// Puts credentials in force for all processes, as leader. The new generation; `None` when this process leads no more or
    /// the credentials are too large.
    pub fn publish(&self, pid: u32, fetched: &Fetched, now_unix_s: u64) -> Option<u64> {
        let publication = Publication::new(self.generation(), self.id, fetched, now_unix_s)?;
        if !self.is_mine() || Lease::unpack(self.load(LEADER)).pid != pid {
            return None;
        }
        publication.carry_out(self, usize::MAX).then_some(publication.generation)
    }

    /// Counts a good fetch, as leader.
    pub fn record_success(&self) {
        self.store(FAILURES, 0);
        self.store(FAILURE_KIND, 0);
        self.word(FETCHES_GOOD).fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a failed fetch, as leader.
    pub fn record_failure(&self, error: &FetchError, now_unix_s: u64) {
        self.store(FAILURE_KIND, error.kind().code());
        self.store(FAILED_AT_S, now_unix_s);
        self.word(FAILURES).fetch_add(1, Ordering::AcqRel);
        self.word(FETCHES_BAD).fetch_add(1, Ordering::AcqRel);
    }

    /// Asks the leader for other credentials than those of this generation, which AWS has refused. Any process may.
    pub fn request_refresh(&self, generation: u64) {
        if generation <= self.generation() {
            self.word(WANTED).fetch_max(generation + 1, Ordering::AcqRel);
        }
    }

    /// True when somebody has asked for other credentials than those in force.
    pub fn refresh_wanted(&self) -> bool {
        self.load(WANTED) > self.generation()
    }

    /// What is to be shown of it.
    pub fn status(&self) -> SlotStatus {
        SlotStatus {
            generation: self.generation(),
            leader: Lease::unpack(self.load(LEADER)).pid,
            failures: self.load(FAILURES),
            last_failure: FailureKind::from_code(self.load(FAILURE_KIND)),
            failed_at_unix_s: self.load(FAILED_AT_S),
            fetches_good: self.load(FETCHES_GOOD),
            fetches_bad: self.load(FETCHES_BAD),
        }
    }
}

fn buffer_start(generation: u64) -> usize {
    if generation.is_multiple_of(2) { BUFFERS } else { BUFFERS + BUFFER_WORDS }
}

fn checksum(generation: u64, words: &[u64]) -> u64 {
    let mut crc = crc32fast::Hasher::new();
    for word in [&[generation], words].into_iter().flatten() {
        crc.update(&word.to_le_bytes());
    }
    crc.finalize().into()
}

/// The lengths of access key, secret, token and region.
#[derive(Clone, Copy)]
struct Lengths([u16; 4]);

impl Lengths {
    fn unpack(word: u64) -> Option<Self> {
        let part = |shift: u32| u16::try_from(word >> shift & u64::from(u16::MAX)).unwrap_or(0);
        let lengths = Self([part(0), part(16), part(32), part(48)]);
        (lengths.total() <= MAX_PAYLOAD_BYTES).then_some(lengths)
    }

    fn pack(self) -> u64 {
        self.0.iter().rev().fold(0, |word, length| word << 16 | u64::from(*length))
    }

    fn total(self) -> usize {
        self.0.iter().copied().map(usize::from).sum()
    }

    fn split(self, mut bytes: &[u8]) -> Option<[&str; 4]> {
        let mut parts = [""; 4];
        for (part, length) in parts.iter_mut().zip(self.0) {
            let (head, tail) = bytes.split_at_checked(length.into())?;
            *part = std::str::from_utf8(head).ok()?;
            bytes = tail;
        }
        Some(parts)
    }
}

/// The stores that put credentials in force, in order.
struct Publication {
    before: u64,
    generation: u64,
    stores: Vec<(usize, u64)>,
}

impl Publication {
    fn new(before: u64, id: SourceId, fetched: &Fetched, now_unix_s: u64) -> Option<Self> {
        let credentials = &fetched.credentials;
        let parts = [
            credentials.access_key_id.as_str(),
            credentials.secret_access_key.as_str(),
            credentials.session_token.as_deref().unwrap_or_default(),
            fetched.region.as_ref().map_or("", Region::as_str),
        ];
        let mut lengths = [0_u16; 4];
        for (length, part) in lengths.iter_mut().zip(parts) {
            *length = u16::try_from(part.len()).ok()?;
        }
        let lengths = Lengths(lengths);
        if lengths.total() > MAX_PAYLOAD_BYTES {
            return None;
        }
        let expires = credentials.expires_at_unix_s.unwrap_or(0);
        let mut words = vec![id.as_u64(), expires, now_unix_s, lengths.pack()];
        words.extend(parts.concat().as_bytes().chunks(8).map(|chunk| {
            chunk.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte))
        }));
        let generation = before + 1;
        let start = buffer_start(generation);
        let checksum = checksum(generation, &words);
        let mut stores: Vec<(usize, u64)> = (start + SOURCE..).zip(words).collect();
        stores.extend([(start + CHECKSUM, checksum), (start + GENERATION, generation)]);
        Some(Self { before, generation, stores })
    }

    /// True when it is in force. `limit` is the number of stores after which tests let the publisher die.
    fn carry_out(&self, slot: &Slot<'_>, limit: usize) -> bool {
        fence(Ordering::Release);
        for (index, value) in self.stores.iter().take(limit) {
            slot.word(*index).store(*value, Ordering::Relaxed);
        }
        limit > self.stores.len() && slot.swap(CURRENT, self.before, self.generation)
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
