//! Names that may come more than once: header lines and query arguments.

use smallvec::SmallVec;

use crate::lambda::event::json::Text;

/// Entries in the order received, those of one name linked to each other.
///
/// Shape: names and values are borrowed. Linking is quadratic for a few entries and sorts beyond that, so that a
/// client that sends thousands buys no more than a sort.
#[derive(Debug, Default)]
pub(crate) struct MultiMap<'a> {
    /// As many without an allocation as most requests have.
    entries: SmallVec<[Entry<'a>; 20]>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    name: Text<'a>,
    value: Text<'a>,
    /// The next entry of the same name.
    next: u32,
    /// Where the last entry of the name is; [`NOT_FIRST`] in all but the first.
    last: u32,
}

const NONE: u32 = u32::MAX;
const NOT_FIRST: u32 = u32::MAX;
const FEW: usize = 32;

impl<'a> MultiMap<'a> {
    pub(crate) fn with_capacity(entries: usize) -> Self {
        Self { entries: SmallVec::with_capacity(entries) }
    }

    pub(crate) fn push(&mut self, name: &'a [u8], value: &'a [u8]) {
        let (name, value) = (name.into(), value.into());
        self.entries.push(Entry { name, value, next: NONE, last: NOT_FIRST });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Links the entries of each name; to be called once, after the last `push`.
    pub(crate) fn link(&mut self) {
        if self.entries.len() <= FEW { self.link_few() } else { self.link_many() }
    }

    fn link_few(&mut self) {
        for position in 0..self.entries.len() {
            let (before, rest) = self.entries.split_at_mut(position);
            let Some(entry) = rest.first_mut() else { return };
            let same = before.iter_mut().find(|earlier| {
                earlier.last != NOT_FIRST && earlier.name.bytes == entry.name.bytes
            });
            let number = position as u32;
            let Some(first) = same else {
                entry.last = number;
                continue;
            };
            let last = std::mem::replace(&mut first.last, number);
            if let Some(previous) = before.get_mut(last as usize) {
                previous.next = number;
            }
        }
    }

    fn link_many(&mut self) {
        let mut order: Vec<(&[u8], u32)> = self
            .entries
            .iter()
            .zip(0_u32..)
            .map(|(entry, number)| (entry.name.bytes, number))
            .collect();
        order.sort_unstable();
        for same in order.chunk_by(|(a, _), (b, _)| a == b) {
            for pair in same.windows(2) {
                if let [(_, earlier), (_, later)] = pair
                    && let Some(entry) = self.entries.get_mut(*earlier as usize)
                {
                    entry.next = *later;
                }
            }
            if let [(_, first), ..] = same
                && let [.., (_, last)] = same
                && let Some(entry) = self.entries.get_mut(*first as usize)
            {
                entry.last = *last;
            }
        }
    }

    /// Each name once, in the order of first appearance, with its values.
    pub(crate) fn names(&self) -> impl Iterator<Item = (Text<'a>, Values<'_, 'a>)> {
        self.entries.iter().filter(|entry| entry.last != NOT_FIRST).map(|entry| {
            (entry.name, Values { entries: &self.entries, next: Some(entry), last: entry.last })
        })
    }
}

/// The values of one name in the order received; never empty.
#[derive(Clone)]
pub(crate) struct Values<'m, 'a> {
    entries: &'m [Entry<'a>],
    next: Option<&'m Entry<'a>>,
    last: u32,
}

impl<'a> Values<'_, 'a> {
    /// The value that single-value maps keep.
    pub(crate) fn last_value(&self) -> Text<'a> {
        let last = self.entries.get(self.last as usize);
        last.map_or_else(|| b"".as_slice().into(), |entry| entry.value)
    }

    /// True when the name came once.
    pub(crate) fn is_single(&self) -> bool {
        self.next.is_none_or(|entry| entry.next == NONE)
    }
}

impl<'a> Iterator for Values<'_, 'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.next?;
        self.next = self.entries.get(entry.next as usize);
        Some(entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped(pairs: &[(&str, &str)]) -> Vec<(String, Vec<String>, String)> {
        let text = |text: Text<'_>| String::from_utf8(text.bytes.to_vec()).unwrap();
        let mut map = MultiMap::with_capacity(pairs.len());
        pairs.iter().for_each(|(name, value)| map.push(name.as_bytes(), value.as_bytes()));
        map.link();
        map.names()
            .map(|(name, values)| {
                (text(name), values.clone().map(text).collect(), text(values.last_value()))
            })
            .collect()
    }

    #[test]
    fn values_of_one_name_are_linked_in_the_order_received() {
        let seen = grouped(&[("a", "1"), ("b", "2"), ("a", "3"), ("c", ""), ("a", "4")]);
        let expected =
            [("a", vec!["1", "3", "4"], "4"), ("b", vec!["2"], "2"), ("c", vec![""], "")];
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, values, last)| {
                let values = values.iter().map(|value| (*value).to_owned()).collect();
                ((*name).to_owned(), values, (*last).to_owned())
            })
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn many_entries_are_linked_as_few_are() {
        let names: Vec<String> = (0..100).map(|number| format!("n{}", number % 7)).collect();
        let values: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let pairs: Vec<(&str, &str)> =
            names.iter().zip(&values).map(|(name, value)| (&**name, &**value)).collect();
        let seen = grouped(&pairs);
        assert_eq!(seen.len(), 7);
        for (number, (name, values, last)) in seen.iter().enumerate() {
            assert_eq!(*name, format!("n{number}"));
            let expected: Vec<String> = (number..100).step_by(7).map(|n| n.to_string()).collect();
            assert_eq!(*values, expected);
            assert_eq!(Some(last), expected.last());
        }
    }
}
