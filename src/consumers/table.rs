//! A hash table of numbers: open addressing, linear probing, four bytes a slot.

/// An index of records that live elsewhere. It never shrinks, holds no hashes and deletes nothing.
#[derive(Clone, Default)]
pub(super) struct Table {
    /// record number + 1; 0 is an empty slot
    slots: Box<[u32]>,
    used: usize,
}

const SMALLEST: usize = 16;

impl Table {
    /// The record with this hash for which `matches` is true.
    pub(super) fn find(&self, hash: u64, mut matches: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut slot = self.home(hash);
        loop {
            let record = self.slots.get(slot)?.checked_sub(1)?;
            if matches(record) {
                return Some(record);
            }
            slot = self.next(slot);
        }
    }

    /// Adds a record; `rehash` gives the hash of a record that is in the table, for when it grows.
    pub(super) fn insert(&mut self, hash: u64, record: u32, rehash: impl Fn(u32) -> u64) {
        if (self.used + 1) * 3 > self.slots.len() * 2 {
            let larger = (self.slots.len() * 2).max(SMALLEST);
            let old = std::mem::replace(&mut self.slots, vec![0; larger].into_boxed_slice());
            for record in old.iter().filter_map(|slot| slot.checked_sub(1)) {
                self.place(rehash(record), record);
            }
        }
        self.place(hash, record);
        self.used += 1;
    }

    /// What the table takes in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    fn place(&mut self, hash: u64, record: u32) {
        let mut slot = self.home(hash);
        while let Some(place) = self.slots.get_mut(slot) {
            if *place == 0 {
                *place = record + 1;
                return;
            }
            slot = self.next(slot);
        }
    }

    fn home(&self, hash: u64) -> usize {
        // the length is a power of two, or zero
        usize::try_from(hash & (self.slots.len() as u64).saturating_sub(1)).unwrap_or(0)
    }

    fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }
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
            table.insert(hash(record), record, hash);
        }
        for record in 0..1000 {
            assert_eq!(table.find(hash(record), |other| other == record), Some(record));
        }
        assert_eq!(table.find(3, |other| other == 1000), None);
    }
}
