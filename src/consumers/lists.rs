//! Lists of names that many consumers have in common: groups, tags.

use std::collections::HashMap;

use super::text::{Arena, Text};

/// One distinct list.
#[derive(Clone, Copy)]
struct List {
    start: u32,
    count: u32,
    /// all names with ", " in between
    joined: Text,
}

/// Every distinct list once, every distinct name once.
#[derive(Clone, Default)]
pub(super) struct Lists {
    lists: Vec<List>,
    items: Vec<u32>,
    names: Vec<Text>,
}

impl Lists {
    /// The names of a list, in the order written.
    pub(super) fn names<'a>(
        &'a self,
        arena: &'a Arena,
        list: u32,
    ) -> impl ExactSizeIterator<Item = &'a str> + Clone + use<'a> {
        let range = self.get(list).map(|list| {
            let start = list.start as usize;
            start..start + list.count as usize
        });
        let items = range.and_then(|range| self.items.get(range)).unwrap_or_default();
        items.iter().map(|name| self.names.get(*name as usize).map_or("", |text| arena.get(*text)))
    }

    /// The names of a list as one text: `a, b`; empty for an empty list.
    pub(super) fn joined<'a>(&self, arena: &'a Arena, list: u32) -> &'a str {
        self.get(list).map_or("", |list| arena.get(list.joined))
    }

    /// How many distinct names there are.
    pub(super) fn distinct_names(&self) -> usize {
        self.names.len()
    }

    /// What the lists take in memory besides the text, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.lists) + size_of_val(&*self.items) + size_of_val(&*self.names)
    }

    fn get(&self, list: u32) -> Option<&List> {
        self.lists.get(list as usize)
    }
}

/// Lists while a set is being built. List 0 is the empty one.
#[derive(Default)]
pub(super) struct ListsBuilder {
    lists: Lists,
    by_name: HashMap<Box<str>, u32>,
    by_items: HashMap<Box<[u32]>, u32>,
    scratch: Vec<u32>,
}

impl ListsBuilder {
    pub(super) fn new() -> Self {
        let mut builder = Self::default();
        builder.lists.lists.push(List { start: 0, count: 0, joined: Text::EMPTY });
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

    pub(super) fn names<'a>(
        &'a self,
        arena: &'a Arena,
        list: u32,
    ) -> impl ExactSizeIterator<Item = &'a str> + Clone + use<'a> {
        self.lists.names(arena, list)
    }

    pub(super) fn finish(mut self) -> Lists {
        self.lists.lists.shrink_to_fit();
        self.lists.items.shrink_to_fit();
        self.lists.names.shrink_to_fit();
        self.lists
    }

    fn name(&mut self, arena: &mut Arena, name: &str) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let number = number(self.lists.names.len());
        self.lists.names.push(arena.add(name));
        self.by_name.insert(name.into(), number);
        number
    }

    fn add(&mut self, arena: &mut Arena, items: &[u32]) -> u32 {
        let mut joined = String::new();
        for item in items {
            let name = self.lists.names.get(*item as usize).map_or("", |text| arena.get(*text));
            if !joined.is_empty() {
                joined.push_str(", ");
            }
            joined.push_str(name);
        }
        let (start, count) = (number(self.lists.items.len()), number(items.len()));
        self.lists.items.extend_from_slice(items);
        let list = number(self.lists.lists.len());
        self.lists.lists.push(List { start, count, joined: arena.add(&joined) });
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
        let lists = lists.finish();
        assert_eq!(lists.joined(&arena, ba), "b, a");
        assert_eq!(lists.names(&arena, ab).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(lists.names(&arena, none).len(), 0);
        assert_eq!(lists.distinct_names(), 2);
    }
}
