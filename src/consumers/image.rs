//! A finished set as one run of bytes, which any process can read wherever it has it.
//!
//! Columns of records of fixed size stand one behind the other, numbers little-endian, a head with the columns' lengths
//! before them. What lies outside is not there: bytes that are no set do no harm.

use std::marker::PhantomData;

use super::text::Name;

/// Something that a column is made of.
pub(super) trait Record: Sized {
    /// Bytes of one.
    const SIZE: usize;

    /// Appends [`Record::SIZE`] bytes.
    fn write(&self, to: &mut Vec<u8>);

    /// Reads what [`Record::write`] has written.
    fn read(from: &mut Fields<'_>) -> Option<Self>;
}

/// The bytes of one record, taken from the front.
pub(super) struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    pub(super) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.bytes().map(i64::from_le_bytes)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.bytes().map(|[byte]| byte != 0)
    }
}

impl Record for u8 {
    const SIZE: usize = 1;

    fn write(&self, to: &mut Vec<u8>) {
        to.push(*self);
    }

    fn read(from: &mut Fields<'_>) -> Option<Self> {
        from.bytes().map(|[byte]| byte)
    }
}

impl Record for u32 {
    const SIZE: usize = 4;

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.to_le_bytes());
    }

    fn read(from: &mut Fields<'_>) -> Option<Self> {
        from.u32()
    }
}

/// Where the records of one kind are.
pub(super) struct Column<T> {
    start: usize,
    count: usize,
    records: PhantomData<T>,
}

impl<T: Record> Column<T> {
    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// One of them; `None` for a number that none has.
    pub(super) fn get(&self, image: &[u8], index: usize) -> Option<T> {
        if index >= self.count {
            return None;
        }
        let start = self.start + index * T::SIZE;
        T::read(&mut Fields(image.get(start..start + T::SIZE)?))
    }
}

impl Column<u8> {
    /// A piece of the text; empty where there is none.
    pub(super) fn text<'a>(&self, image: &'a [u8], offset: usize, length: usize) -> Name<'a> {
        if offset.saturating_add(length) > self.count {
            return Name::default();
        }
        let start = self.start + offset;
        image.get(start..start + length).map(Name::new).unwrap_or_default()
    }
}

/// The format, and its version: another build of the module does not take what this one has written.
const MAGIC: [u8; 8] = *b"apigate\x01";
const COLUMNS: usize = 12;
const HEAD_BYTES: usize = MAGIC.len() + COLUMNS * size_of::<u64>();

/// Reads the head, column by column in the order written.
pub(super) struct HeadReader<'a> {
    counts: Fields<'a>,
    end: usize,
    image: &'a [u8],
}

impl<'a> HeadReader<'a> {
    /// `None` for bytes that are no set.
    pub(super) fn new(image: &'a [u8]) -> Option<Self> {
        let mut counts = Fields(image.get(..HEAD_BYTES)?);
        (counts.bytes() == Some(MAGIC)).then_some(Self { counts, end: HEAD_BYTES, image })
    }

    /// The next column; `None` when it does not lie inside.
    pub(super) fn column<T: Record>(&mut self) -> Option<Column<T>> {
        let count = usize::try_from(self.counts.bytes().map(u64::from_le_bytes)?).ok()?;
        let start = self.end;
        self.end = start.checked_add(count.checked_mul(T::SIZE)?)?;
        (self.end <= self.image.len()).then_some(Column { start, count, records: PhantomData })
    }

    /// True when the columns are all there is.
    pub(super) fn is_whole(&self) -> bool {
        self.end == self.image.len()
    }
}

/// Writes columns one by one.
pub(super) struct ImageWriter {
    bytes: Vec<u8>,
    columns: usize,
}

impl ImageWriter {
    /// Room for as many bytes of columns.
    pub(super) fn new(bytes: usize) -> Self {
        let mut head = Vec::with_capacity(HEAD_BYTES + bytes);
        head.extend_from_slice(&MAGIC);
        head.resize(HEAD_BYTES, 0);
        Self { bytes: head, columns: 0 }
    }

    /// Appends a column.
    pub(super) fn column<T: Record>(&mut self, records: &[T]) {
        self.count(records.len());
        for record in records {
            record.write(&mut self.bytes);
        }
    }

    /// Appends a column of bytes.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.count(text.len());
        self.bytes.extend_from_slice(text);
    }

    /// The whole image.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn count(&mut self, count: usize) {
        let at = MAGIC.len() + self.columns * size_of::<u64>();
        if let Some(place) = self.bytes.get_mut(at..at + size_of::<u64>()) {
            place.copy_from_slice(&(count as u64).to_le_bytes());
        }
        self.columns += 1;
    }
}
