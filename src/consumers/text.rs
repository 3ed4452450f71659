//! All text of a set in one piece of memory.

use std::fmt;

use super::image::{Fields, Record};

/// A name in a set: of a consumer, a group or a tag. UTF-8, which is looked at only where a `str` is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The name as it goes over the wire.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The name; empty for bytes that are no UTF-8, which no set has.
    pub fn as_str(self) -> &'a str {
        str::from_utf8(self.0).unwrap_or_default()
    }

    /// True where there is none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(name: &'a str) -> Self {
        Self(name.as_bytes())
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text in an [`Arena`], or in the set that was made of it.
#[derive(Clone, Copy)]
pub(super) struct Text {
    offset: u32,
    length: u32,
}

impl Text {
    pub(super) const EMPTY: Self = Self { offset: 0, length: 0 };

    /// The two numbers as bytes, for records that keep either these or a UUID.
    pub(super) fn pack(self) -> [u8; 16] {
        (u128::from(self.offset) << 32 | u128::from(self.length)).to_le_bytes()
    }

    pub(super) fn unpack(bytes: [u8; 16]) -> Self {
        let packed = u128::from_le_bytes(bytes);
        let half = |bits: u128| u32::try_from(bits & u128::from(u32::MAX)).unwrap_or(0);
        Self { offset: half(packed >> 32), length: half(packed) }
    }

    pub(super) fn offset(self) -> usize {
        self.offset as usize
    }

    pub(super) fn len(self) -> usize {
        self.length as usize
    }
}

impl Record for Text {
    const SIZE: usize = 8;

    fn write(&self, to: &mut Vec<u8>) {
        self.offset.write(to);
        self.length.write(to);
    }

    fn read(from: &mut Fields<'_>) -> Option<Self> {
        Some(Self { offset: from.u32()?, length: from.u32()? })
    }
}

/// The text of a set in the making, appended only.
#[derive(Default)]
pub(super) struct Arena {
    text: String,
    overflowed: bool,
}

impl Arena {
    /// Adds a text. Past 4 GiB nothing more is kept and [`Arena::overflowed`] says so.
    pub(super) fn add(&mut self, text: &str) -> Text {
        let end = self.text.len().checked_add(text.len()).and_then(|end| u32::try_from(end).ok());
        match (u32::try_from(self.text.len()), u32::try_from(text.len()), end) {
            (Ok(offset), Ok(length), Some(_)) => {
                self.text.push_str(text);
                Text { offset, length }
            }
            _ => {
                self.overflowed = true;
                Text::EMPTY
            }
        }
    }

    pub(super) fn get(&self, text: Text) -> &str {
        self.text.get(text.offset()..text.offset() + text.len()).unwrap_or_default()
    }

    pub(super) fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_packed_or_not() {
        let mut arena = Arena::default();
        let (first, second) = (arena.add("über"), arena.add("b"));
        assert_eq!((arena.get(first), arena.get(second)), ("über", "b"));
        assert_eq!(arena.get(Text::unpack(second.pack())), "b");
        assert_eq!(arena.get(Text::EMPTY), "");
    }
}
