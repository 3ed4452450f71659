//! A hash table of record numbers: open addressing, linear probing, eight bytes a slot.

use super::image::{Fields, ImageWriter, Record};

/// An index of records that live elsewhere; it deletes nothing.
///
/// Half of a slot is the hash, so that other records are hardly ever visited, by searches or when the table grows.
#[derive(Default)]
pub(super) struct Table {
    slots: Box<[Slot]>,
    used: usize,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    hash: u32,
    /// record number + 1; 0 is an empty slot
    entry: u32,
}

impl Record for Slot {
    const SIZE: usize = 8;

    fn write(&self, to: &mut Vec<u8>) {
        self.hash.write(to);
        self.entry.write(to);
    }

    fn read(from: &mut Fields<'_>) -> Option<Self> {
        Some(Self { hash: from.u32()?, entry: from.u32()? })
    }
}

const SMALLEST: usize = 16;

/// The record with this hash for which `matches` is true, in a table of `count` slots, a power of two or none.
pub(super) fn search(
    count: usize,
    slot: impl Fn(usize) -> Option<Slot>,
    hash: u64,
    mut matches: impl FnMut(u32) -> bool,
) -> Option<u32> {
    let hash = fold(hash);
    let mut at = home(hash, count);
    for _ in 0..count {
        let slot = slot(at)?;
        let record = slot.entry.checked_sub(1)?;
        if slot.hash == hash && matches(record) {
            return Some(record);
        }
        at = next(at, count);
    }
    None
}

impl Table {
    /// The record with this hash for which `matches` is true.
    pub(super) fn find(&self, hash: u64, matches: impl FnMut(u32) -> bool) -> Option<u32> {
        search(self.slots.len(), |at| self.slots.get(at).copied(), hash, matches)
    }

    /// Adds a record, even beside one that is the same.
    pub(super) fn insert(&mut self, hash: u64, record: u32) {
        // at most seven of eight slots are used
        if (self.used + 1) * 8 > self.slots.len() * 7 {
            let larger = (self.slots.len() * 2).max(SMALLEST);
            let empty = vec![Slot::default(); larger].into_boxed_slice();
            for slot in std::mem::replace(&mut self.slots, empty) {
                if slot.entry != 0 {
                    self.place(slot);
                }
            }
        }
        self.place(Slot { hash: fold(hash), entry: record + 1 });
        self.used += 1;
    }

    /// What the table takes in an image, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// Appends the slots.
    pub(super) fn write(&self, image: &mut ImageWriter) {
        image.column(&self.slots);
    }

    fn place(&mut self, new: Slot) {
        let mut at = home(new.hash, self.slots.len());
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.entry == 0 {
                *slot = new;
                return;
            }
            at = next(at, self.slots.len());
        }
    }
}

fn home(hash: u32, count: usize) -> usize {
    hash as usize & count.saturating_sub(1)
}

fn next(at: usize, count: usize) -> usize {
    (at + 1) & (count - 1)
}

fn fold(hash: u64) -> u32 {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
    half(hash) ^ half(hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_found_again_though_hashes_collide() {
        // seven home slots for a thousand records
        let hash = |record: u32| u64::from(record % 7);
        let mut table = Table::default();
        assert_eq!(table.find(0, |_| true), None);
        for record in 0..1000 {
            table.insert(hash(record), record);
        }
        for record in 0..1000 {
            assert_eq!(table.find(hash(record), |other| other == record), Some(record));
        }
        assert_eq!(table.find(3, |other| other == 1000), None);
    }
}
