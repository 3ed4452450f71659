//! Counters in shared memory, found by what they are called.
//!
//! Series are added one behind the other and stay until the zone is made anew; each is a record of its labels' text and its
//! numbers. A worker has records of its own, which no other writes to, so that counting costs no more than an addition; who
//! reads adds up the records of one name. Adding a record wants the zone's mutex. A worker that is killed meanwhile leaves
//! nothing, or a record that is found a second time and added up like any other.

use super::Family;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// The most bytes of one series' labels.
pub const MAX_LABELS_BYTES: usize = 1_024;

const LAYOUT: u64 = 0x6170_696d_6574_0001; // "apimet", version 1

// words of the header
const H_LAYOUT: usize = 0;
const H_NEXT: usize = 1;
const H_DROPPED: usize = 2;
const HEADS: usize = 8;
const HEAD_COUNT: usize = 1_024;
const RECORDS: usize = HEADS + HEAD_COUNT;
// words of a record
const R_NEXT: usize = 0;
const R_HASH: usize = 1;
const R_SHAPE: usize = 2; // family, worker and length of the labels, 16 bits each
const R_LABELS: usize = 3;

const FIELD_BITS: u32 = 16;
const FIELD_MASK: u64 = (1 << FIELD_BITS) - 1;
/// Records begin at cache lines: workers do not disturb each other.
const LINE_WORDS: usize = 8;

/// A view of a zone's words.
#[derive(Clone, Copy, Debug)]
pub struct Counters<'a> {
    words: &'a [AtomicU64],
}

/// The numbers of a series.
pub type Cells<'a> = &'a [AtomicU64];

/// Where a record's parts are, in words from its beginning.
#[derive(Clone, Copy)]
struct Shape {
    family: Family,
    worker: u16,
    labels_bytes: usize,
}

impl Shape {
    fn pack(self) -> u64 {
        let labels_bytes = u64::try_from(self.labels_bytes).unwrap_or(FIELD_MASK);
        self.family as u64 | u64::from(self.worker) << FIELD_BITS | labels_bytes << (2 * FIELD_BITS)
    }

    fn unpack(word: u64) -> Option<Self> {
        let field =
            |number: u32| usize::try_from((word >> (number * FIELD_BITS)) & FIELD_MASK).ok();
        Some(Self {
            family: *Family::ALL.get(field(0)?)?,
            worker: u16::try_from(field(1)?).ok()?,
            labels_bytes: field(2)?,
        })
    }

    fn cells_at(self) -> usize {
        R_LABELS + self.labels_bytes.div_ceil(size_of::<u64>())
    }

    fn words(self) -> usize {
        (self.cells_at() + self.family.cells()).next_multiple_of(LINE_WORDS)
    }
}

impl<'a> Counters<'a> {
    /// A view of words that may hold counters already; `None` when they are too few. The caller holds the mutex.
    pub fn attach(words: &'a [AtomicU64]) -> Option<Self> {
        let counters = Self::view(words)?;
        if counters.load(H_LAYOUT) != LAYOUT {
            words.iter().take(RECORDS).for_each(|word| word.store(0, Ordering::Relaxed));
            counters.store(H_NEXT, RECORDS as u64);
            counters.store(H_LAYOUT, LAYOUT);
        }
        Some(counters)
    }

    /// A view of words that [`attach`](Self::attach) has seen.
    pub fn view(words: &'a [AtomicU64]) -> Option<Self> {
        (words.len() > RECORDS + LINE_WORDS).then_some(Self { words })
    }

    /// The numbers of a worker's series, added if it is new; `None`, and noted, when there is no room. The caller holds the
    /// mutex.
    pub fn find_or_add(&self, family: Family, worker: u16, labels: &str) -> Option<Cells<'a>> {
        let hash = hash(family, worker, labels);
        let head = HEADS + usize::try_from(hash % HEAD_COUNT as u64).unwrap_or(0);
        let mut at = self.load_index(head);
        while at != 0 {
            if self.load(at + R_HASH) == hash
                && let Some((shape, text)) = self.read(at)
                && (shape.family, shape.worker, text.as_slice())
                    == (family, worker, labels.as_bytes())
            {
                return self.cells(at, shape);
            }
            at = self.load_index(at + R_NEXT);
        }
        let added = self.add(family, worker, labels, hash, head);
        if added.is_none() {
            self.store(H_DROPPED, self.load(H_DROPPED) + 1);
        }
        added
    }

    fn add(
        &self,
        family: Family,
        worker: u16,
        labels: &str,
        hash: u64,
        head: usize,
    ) -> Option<Cells<'a>> {
        let shape = Shape { family, worker, labels_bytes: labels.len() };
        let at = self.load_index(H_NEXT);
        let next = at + shape.words();
        if labels.len() > MAX_LABELS_BYTES || next > self.words.len() {
            return None;
        }
        self.store(at + R_HASH, hash);
        self.store(at + R_SHAPE, shape.pack());
        self.store(at + R_NEXT, self.load(head));
        for (index, bytes) in labels.as_bytes().chunks(size_of::<u64>()).enumerate() {
            let mut word = [0; size_of::<u64>()];
            word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            self.store(at + R_LABELS + index, u64::from_le_bytes(word));
        }
        let cells = self.cells(at, shape)?;
        cells.iter().for_each(|cell| cell.store(0, Ordering::Relaxed));
        // Who reads goes as far as this says.
        self.words.get(H_NEXT)?.store(next as u64, Ordering::Release);
        self.store(head, at as u64);
        Some(cells)
    }

    /// All series of all workers added up, by family and labels. Numbers go on changing meanwhile.
    pub fn sums(&self) -> Vec<(Family, BTreeMap<String, Vec<u64>>)> {
        let mut sums: Vec<_> = Family::ALL
            .iter()
            .map(|family| (*family, BTreeMap::<String, Vec<u64>>::new()))
            .collect();
        let (mut at, end) = (RECORDS, self.end());
        while at < end
            && let Some((shape, labels)) = self.read(at)
        {
            if let (Some(cells), Some((_, series))) =
                (self.cells(at, shape), sums.get_mut(shape.family as usize))
            {
                let labels = String::from_utf8_lossy(&labels).into_owned();
                let sum = series.entry(labels).or_insert_with(|| vec![0; cells.len()]);
                let numbers = cells.iter().map(|cell| cell.load(Ordering::Relaxed));
                sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
            }
            at += shape.words();
        }
        sums
    }

    /// Hands over the labels of a family's series that were added since `from`, which is 0 or what the last call answered. A
    /// series of several workers comes once for each.
    pub fn read_on(&self, family: Family, from: usize, mut take: impl FnMut(String)) -> usize {
        let (mut at, end) = (from.max(RECORDS), self.end());
        while at < end
            && let Some(shape) = Shape::unpack(self.load(at + R_SHAPE))
        {
            if shape.family == family
                && let Some((_, labels)) = self.read(at)
            {
                take(String::from_utf8_lossy(&labels).into_owned());
            }
            at += shape.words();
        }
        at
    }

    /// Where the next record begins.
    fn end(&self) -> usize {
        let next = self.words.get(H_NEXT).map_or(0, |next| next.load(Ordering::Acquire));
        usize::try_from(next).unwrap_or(0)
    }

    /// How many series found no room.
    pub fn dropped(&self) -> u64 {
        self.load(H_DROPPED)
    }

    fn read(&self, at: usize) -> Option<(Shape, Vec<u8>)> {
        let shape = Shape::unpack(self.load(at + R_SHAPE))?;
        let words = self.words.get(at + R_LABELS..at + shape.cells_at())?;
        let mut labels: Vec<u8> =
            words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        labels.truncate(shape.labels_bytes);
        Some((shape, labels))
    }

    fn cells(&self, at: usize, shape: Shape) -> Option<Cells<'a>> {
        let first = at + shape.cells_at();
        self.words.get(first..first + shape.family.cells())
    }

    fn load(&self, index: usize) -> u64 {
        self.words.get(index).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn load_index(&self, index: usize) -> usize {
        usize::try_from(self.load(index)).unwrap_or(0)
    }

    fn store(&self, index: usize, value: u64) {
        if let Some(word) = self.words.get(index) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

fn hash(family: Family, worker: u16, labels: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (family as u8, worker, labels).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(words: usize) -> Vec<AtomicU64> {
        (0..words).map(|_| AtomicU64::new(0)).collect()
    }

    fn add(counters: &Counters<'_>, worker: u16, labels: &str, number: u64) -> Option<()> {
        let cells = counters.find_or_add(Family::Requests, worker, labels)?;
        cells[0].fetch_add(number, Ordering::Relaxed);
        Some(())
    }

    fn requests(counters: &Counters<'_>) -> Vec<(String, u64)> {
        let (family, series) = counters.sums().swap_remove(0);
        assert_eq!(family, Family::Requests);
        series.into_iter().map(|(labels, numbers)| (labels, numbers[0])).collect()
    }

    #[test]
    fn workers_are_added_up_and_a_reload_keeps_what_there_is() {
        let words = zone(4_096);
        let counters = Counters::attach(&words).unwrap();
        for (worker, labels, number) in [(0, "a", 1), (1, "a", 2), (0, "a", 4), (0, "bcdefghij", 8)]
        {
            add(&counters, worker, labels, number).unwrap();
        }
        let again = Counters::attach(&words).unwrap();
        assert_eq!(requests(&again), [("a".to_owned(), 7), ("bcdefghij".to_owned(), 8)]);
    }

    #[test]
    fn families_and_workers_do_not_share_numbers() {
        let words = zone(8_192);
        let counters = Counters::attach(&words).unwrap();
        let cells: Vec<_> = Family::ALL
            .iter()
            .flat_map(|family| [0, 1].map(|worker| (*family, worker)))
            .map(|(family, worker)| counters.find_or_add(family, worker, "x").unwrap())
            .collect();
        for (number, cells) in cells.iter().enumerate() {
            assert!(cells.iter().all(|cell| cell.swap(number as u64 + 1, Ordering::Relaxed) == 0));
        }
        let (_, histograms) = counters.sums().swap_remove(Family::LambdaSeconds as usize);
        assert_eq!(histograms["x"], vec![11 + 12; Family::LambdaSeconds.cells()]);
    }

    #[test]
    fn names_are_read_on_from_where_reading_ended() {
        let words = zone(8_192);
        let counters = Counters::attach(&words).unwrap();
        let read = |from| {
            let mut names = Vec::new();
            let end = counters.read_on(Family::ConsumerRequests, from, |name| names.push(name));
            (names, end)
        };
        assert_eq!(read(0).0, [""; 0]);
        add(&counters, 0, "other family", 1).unwrap();
        for (worker, name) in [(0, "a"), (1, "a"), (0, "b")] {
            counters.find_or_add(Family::ConsumerRequests, worker, name).unwrap();
        }
        let (names, end) = read(0);
        assert_eq!(names, ["a", "a", "b"]);
        counters.find_or_add(Family::ConsumerRequests, 0, "c").unwrap();
        assert_eq!(read(end).0, ["c"]);
    }

    #[test]
    fn what_finds_no_room_is_noted_and_disturbs_nothing() {
        let words = zone(RECORDS + 3 * LINE_WORDS);
        let counters = Counters::attach(&words).unwrap();
        for labels in ["a", "b", "c"] {
            add(&counters, 0, labels, 1).unwrap();
        }
        assert!(add(&counters, 0, "d", 1).is_none());
        assert!(add(&counters, 0, "a", 1).is_some());
        assert_eq!(counters.dropped(), 1);
        assert_eq!(requests(&counters).len(), 3);
        assert!(Counters::attach(&zone(RECORDS)).is_none());
        let long = "x".repeat(MAX_LABELS_BYTES + 1);
        let words = zone(8_192);
        assert!(add(&Counters::attach(&words).unwrap(), 0, &long, 1).is_none());
    }

    #[test]
    fn memory_of_another_layout_is_made_anew() {
        let words: Vec<AtomicU64> = (0..4_096).map(|_| AtomicU64::new(u64::MAX)).collect();
        let counters = Counters::attach(&words).unwrap();
        assert!(requests(&counters).is_empty());
        add(&counters, 3, "route=\"/\"", 5).unwrap();
        assert_eq!(requests(&counters), [("route=\"/\"".to_owned(), 5)]);
    }
}
