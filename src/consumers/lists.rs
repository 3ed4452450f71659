//! Lists of names that many consumers have in common: groups, tags.

use std::collections::HashMap;

use super::image::{Column, Fields, HeadReader, ImageWriter, Record};
use super::text::{Arena, Text};

/// One distinct list.
#[derive(Clone, Copy)]
pub(super) struct List {
    start: u32,
    count: u32,
    /// all names with ", " in between
    joined: Text,
}

impl Record for List {
    const SIZE: usize = 16;

    fn write(&self, to: &mut Vec<u8>) {
        self.start.write(to);
        self.count.write(to);
        self.joined.write(to);
    }

    fn read(from: &mut Fields<'_>) -> Option<Self> {
        Some(Self { start: from.u32()?, count: from.u32()?, joined: Text::read(from)? })
    }
}

/// The lists of a finished set.
pub(super) struct Lists {
    lists: Column<List>,
    items: Column<u32>,
    names: Column<Text>,
}

impl Lists {
    /// The next columns of the image.
    pub(super) fn read(head: &mut HeadReader<'_>) -> Option<Self> {
        Some(Self { lists: head.column()?, items: head.column()?, names: head.column()? })
    }

    /// The names of a list, in the order written.
    pub(super) fn names<'a>(
        &'a self,
        image: &'a [u8],
        list: u32,
    ) -> impl ExactSizeIterator<Item = Text> + Clone + use<'a> {
        let list = self.lists.get(image, list as usize);
        let range = list.map_or(0..0, |list| list.start..list.start.saturating_add(list.count));
        range.map(move |item| {
            let name = self.items.get(image, item as usize);
            name.and_then(|name| self.names.get(image, name as usize)).unwrap_or(Text::EMPTY)
        })
    }

    /// The names of a list as one text: `a, b`; empty for an empty list.
    pub(super) fn joined(&self, image: &[u8], list: u32) -> Text {
        self.lists.get(image, list as usize).map_or(Text::EMPTY, |list| list.joined)
    }

    /// How many distinct names there are.
    pub(super) fn distinct_names(&self) -> usize {
        self.names.len()
    }
}

/// Lists while a set is being built: every distinct list once, every distinct name once. List 0 is the empty one.
#[derive(Default)]
pub(super) struct ListsBuilder {
    lists: Vec<List>,
    items: Vec<u32>,
    names: Vec<Text>,
    by_name: HashMap<Box<str>, u32>,
    by_items: HashMap<Box<[u32]>, u32>,
    scratch: Vec<u32>,
}

impl ListsBuilder {
    pub(super) fn new() -> Self {
        let mut builder = Self::default();
        builder.lists.push(List { start: 0, count: 0, joined: Text::EMPTY });
        builder.by_items.insert(Box::default(), 0);
        builder
    }

    /// The number of the list with these names; repeated names count once.
    pub(super) fn intern<'n>(
        &mut self,
        arena: &mut Arena,
        names: impl Iterator<Item = &'n str>,
    ) -> u32 {
        let mut items = std::mem::take(&mut self.scratch);
        items.clear();
        for name in names {
            let item = self.name(arena, name);
            if !items.contains(&item) {
                items.push(item);
            }
        }
        let number = match self.by_items.get(&*items) {
            Some(number) => *number,
            None => self.add(arena, &items),
        };
        self.scratch = items;
        number
    }

    /// The names of a list, in the order written.
    pub(super) fn names<'a>(
        &'a self,
        arena: &'a Arena,
        list: u32,
    ) -> impl Iterator<Item = &'a str> + use<'a> {
        let list = self.lists.get(list as usize);
        let range = list.map_or(0..0, |list| {
            let start = list.start as usize;
            start..start + list.count as usize
        });
        let items = self.items.get(range).unwrap_or_default();
        items.iter().map(|item| self.text(arena, *item))
    }

    /// What the lists take in an image, in bytes.
    pub(super) fn bytes(&self) -> usize {
        List::SIZE * self.lists.len() + u32::SIZE * self.items.len() + Text::SIZE * self.names.len()
    }

    /// Appends the columns that [`Lists::read`] reads.
    pub(super) fn write(&self, image: &mut ImageWriter) {
        image.column(&self.lists);
        image.column(&self.items);
        image.column(&self.names);
    }

    fn text<'a>(&self, arena: &'a Arena, name: u32) -> &'a str {
        self.names.get(name as usize).map_or("", |text| arena.get(*text))
    }

    fn name(&mut self, arena: &mut Arena, name: &str) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let number = number(self.names.len());
        self.names.push(arena.add(name));
        self.by_name.insert(name.into(), number);
        number
    }

    fn add(&mut self, arena: &mut Arena, items: &[u32]) -> u32 {
        let mut joined = String::new();
        for item in items {
            let name = self.text(arena, *item);
            if !joined.is_empty() {
                joined.push_str(", ");
            }
            joined.push_str(name);
        }
        let (start, count) = (number(self.items.len()), number(items.len()));
        self.items.extend_from_slice(items);
        let list = number(self.lists.len());
        self.lists.push(List { start, count, joined: arena.add(&joined) });
        self.by_items.insert(items.into(), list);
        list
    }
}

/// A count as a record number. The arena is full long before: every name takes bytes of it.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_are_one_and_keep_their_order() {
        let (mut arena, mut lists) = (Arena::default(), ListsBuilder::new());
        let mut intern = |names: &[&str]| lists.intern(&mut arena, names.iter().copied());
        let (none, ab, ba) = (intern(&[]), intern(&["a", "b"]), intern(&["b", "a"]));
        assert_eq!((none, intern(&["a", "b", "a"])), (0, ab));
        assert_ne!(ab, ba);
        assert_eq!(lists.names(&arena, ab).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(lists.names(&arena, ba).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(lists.names(&arena, none).count(), 0);
        assert_eq!(arena.get(lists.lists[ba as usize].joined), "b, a");
    }
}
