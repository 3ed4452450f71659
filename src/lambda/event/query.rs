//! Query arguments and forms as events spell them.

use crate::lambda::event::multimap::MultiMap;
use crate::lambda::percent;

/// Names and values of `a=1&b`, in decoded form: one buffer and the ends of each name and value in it.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    bytes: Vec<u8>,
    ends: Vec<(usize, usize)>,
    /// Which arguments have no `=`.
    valueless: Vec<bool>,
}

impl Decoded {
    /// Every argument decoded once; empty ones between `&`s are none.
    pub(crate) fn from_query(query: &[u8]) -> Self {
        let mut decoded = Self::default();
        if query.is_empty() {
            return decoded;
        }
        decoded.bytes.reserve(query.len());
        for (name, value) in arguments(query) {
            percent::push_decoded_argument(&mut decoded.bytes, name);
            let name_end = decoded.bytes.len();
            percent::push_decoded_argument(&mut decoded.bytes, value.unwrap_or_default());
            decoded.ends.push((name_end, decoded.bytes.len()));
            decoded.valueless.push(value.is_none());
        }
        decoded
    }

    /// The arguments by name; those without `=` have the value that `valueless` gives them.
    pub(crate) fn map<'a>(&'a self, valueless: &'a [u8]) -> MultiMap<'a> {
        let (mut map, mut start) = (MultiMap::with_capacity(self.ends.len()), 0);
        for ((name_end, end), is_valueless) in self.ends.iter().zip(&self.valueless) {
            let name = self.bytes.get(start..*name_end).unwrap_or_default();
            let value = self.bytes.get(*name_end..*end).unwrap_or_default();
            map.push(name, if *is_valueless { valueless } else { value });
            start = *end;
        }
        map.link();
        map
    }
}

/// The arguments by name, as sent.
pub(crate) fn undecoded(query: &[u8]) -> MultiMap<'_> {
    let mut map = MultiMap::default();
    for (name, value) in arguments(query) {
        map.push(name, value.unwrap_or_default());
    }
    map.link();
    map
}

/// Name and value of each argument; no value without a `=`.
fn arguments(query: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    query.split(|byte| *byte == b'&').filter(|argument| !argument.is_empty()).map(|argument| {
        match argument.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                let (name, value) = argument.split_at(at);
                (name, value.get(1..))
            }
            None => (argument, None),
        }
    })
}

/// A query as sent, its bytes that may not stand in a URI encoded.
pub(crate) fn printable(query: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if query.iter().all(u8::is_ascii_graphic) {
        return query.into();
    }
    let mut encoded = Vec::with_capacity(query.len() + 16);
    percent::push_encoded(&mut encoded, query, |byte| byte.is_ascii_graphic());
    encoded.into()
}
