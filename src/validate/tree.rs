//! How the schema validator sees a [`Json`] document: as it stands, without a copy.
//!
//! Two things are done on purpose. An error carries a serial number in place of the offending value, so that no value can
//! get into a message; and once [`MAX_ERRORS`] have been made the document's arrays and objects appear to end, so that a
//! long list of bad items costs no more than a short one. Errors made after that are told by their number and dropped.

use std::borrow::Cow;
use std::cell::Cell;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::ops::RangeInclusive;

use jsonschema::JsonType;
use jsonschema::json::{self, JsonNumber, NodeIdentity};
use serde_json::Value;

use super::decimal::Decimal;
use super::json::{Json, Members};

/// Errors of one document after which no more are looked for, those inside `anyOf` and `oneOf` included.
pub(super) const MAX_ERRORS: u64 = 256;

/// The same when those gave too little to tell: alternatives can use up all of them.
pub(super) const MAX_ERRORS_AT_LAST: u64 = 4_096;

/// The representation's name for the validator's type parameter.
#[derive(Debug)]
pub(super) struct Tree;

/// What checking one document has cost so far.
#[derive(Debug)]
pub(super) struct Spent {
    /// Errors made.
    pub(super) errors: Cell<u64>,
    /// Errors after which the document appears to end.
    pub(super) max_errors: u64,
    /// Patterns that were tried again with more steps.
    pub(super) long_matches: Cell<u32>,
}

impl Spent {
    /// Nothing spent yet.
    pub(super) fn new(max_errors: u64) -> Self {
        Self { errors: Cell::default(), max_errors, long_matches: Cell::default() }
    }
}

impl Default for Spent {
    fn default() -> Self {
        Self::new(MAX_ERRORS)
    }
}

/// A value of a document, and what the document has cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Json<'a>,
    pub(super) spent: &'a Spent,
}

impl Node<'_> {
    fn is_cut_short(&self) -> bool {
        self.spent.errors.get() >= self.spent.max_errors
    }
}

impl json::Json for Tree {
    type Node<'a> = Node<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    // A lookup scans up to 16 names, so one pass over the members soon costs less than the lookups.
    const KEYS_PER_LOOKUP: usize = 2;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Node<'_>) -> T) -> T {
        let (value, spent) = (Json::String(Cow::Borrowed(string)), Spent::default());
        f(Node { value: &value, spent: &spent })
    }
}

impl<'a> json::Node<'a, Tree> for Node<'a> {
    type Object = ObjectNode<'a>;
    type Array = ArrayNode<'a>;
    type Number = Number<'a>;

    fn as_object(&self) -> Option<ObjectNode<'a>> {
        match self.value {
            Json::Object(members) => Some(ObjectNode { members, parent: *self }),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<ArrayNode<'a>> {
        match self.value {
            Json::Array(items) => Some(ArrayNode { items, parent: *self }),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self.value {
            Json::String(text) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<Number<'a>> {
        match self.value {
            Json::Number(text) => Some(Number(text)),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.value {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.value, Json::Null)
    }

    fn json_type(&self) -> JsonType {
        match self.value {
            Json::Null => JsonType::Null,
            Json::Bool(_) => JsonType::Boolean,
            Json::Number(_) => JsonType::Number,
            Json::String(_) | Json::File => JsonType::String,
            Json::Array(_) => JsonType::Array,
            Json::Object(_) => JsonType::Object,
        }
    }

    fn string_length(&self) -> Option<u64> {
        match self.value {
            Json::String(text) => Some(text.chars().count() as u64),
            _ => None,
        }
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        let Json::String(text) = self.value else {
            return None;
        };
        Some(has_length_within(text, &(min..=max)))
    }

    fn equals_value(&self, expected: &Value) -> bool {
        equals(self.value, expected)
    }

    /// The number of the error that this is asked for, never the value.
    fn to_value(&self) -> Cow<'a, Value> {
        let serial = self.spent.errors.get();
        self.spent.errors.set(serial + 1);
        Cow::Owned(Value::from(serial))
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref(self.value) as usize))
    }
}

/// A number's text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a>(pub(super) &'a str);

impl JsonNumber for Number<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|number: &f64| number.is_finite())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(serde_json::from_str(self.0).unwrap_or_else(|_| 0.into()))
    }

    fn is_integer(&self) -> bool {
        Decimal::parse(self.0).is_integer()
    }

    fn is_written_as_integer(&self) -> bool {
        !self.0.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
    }
}

/// An object of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct ObjectNode<'a> {
    members: &'a Members<'a>,
    parent: Node<'a>,
}

impl<'a> json::Object<'a, Tree> for ObjectNode<'a> {
    type Node = Node<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.members.as_slice().len()
    }

    fn get(&self, key: &Box<str>) -> Option<Node<'a>> {
        self.members.get(key).map(|value| Node { value, ..self.parent })
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter { members: self.members.as_slice().iter(), parent: self.parent }
    }
}

/// The members of an object, in order.
#[derive(Clone, Debug)]
pub(super) struct MembersIter<'a> {
    members: std::slice::Iter<'a, (Cow<'a, str>, Json<'a>)>,
    parent: Node<'a>,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.members.next().filter(|_| !self.parent.is_cut_short())?;
        Some((name, Node { value, ..self.parent }))
    }
}

/// An array of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArrayNode<'a> {
    items: &'a [Json<'a>],
    parent: Node<'a>,
}

impl<'a> json::Array<'a, Tree> for ArrayNode<'a> {
    type Node = Node<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn elements(&self) -> ElementsIter<'a> {
        ElementsIter { items: self.items.iter(), parent: self.parent }
    }

    fn is_unique(&self) -> bool {
        is_unique(self.items)
    }
}

/// The items of an array, in order.
#[derive(Clone, Debug)]
pub(super) struct ElementsIter<'a> {
    items: std::slice::Iter<'a, Json<'a>>,
    parent: Node<'a>,
}

impl<'a> Iterator for ElementsIter<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        let value = self.items.next().filter(|_| !self.parent.is_cut_short())?;
        Some(Node { value, ..self.parent })
    }
}

/// True when the number of characters is in the range.
pub(super) fn has_length_within(text: &str, range: &RangeInclusive<u64>) -> bool {
    // A code point takes one to four bytes.
    let most = text.len() as u64;
    let least = most.div_ceil(4);
    if least >= *range.start() && most <= *range.end() {
        return true;
    }
    most >= *range.start()
        && least <= *range.end()
        && range.contains(&(text.chars().count() as u64))
}

/// True when a value is the one of a schema.
pub(super) fn equals(value: &Json<'_>, expected: &Value) -> bool {
    match (value, expected) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(a), Value::Bool(b)) => a == b,
        (Json::Number(a), Value::Number(b)) => {
            if let (Ok(a), Some(b)) = (a.parse::<i64>(), b.as_i64()) {
                return a == b;
            }
            Decimal::parse(a) == Decimal::parse(&b.to_string())
        }
        (Json::String(a), Value::String(b)) => a == b,
        (Json::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equals(a, b))
        }
        (Json::Object(a), Value::Object(b)) => {
            a.as_slice().len() == b.len()
                && a.as_slice()
                    .iter()
                    .all(|(name, a)| b.get(name.as_ref()).is_some_and(|b| equals(a, b)))
        }
        _ => false,
    }
}

/// True when two values are equal as JSON Schema counts it: numbers by value, objects in any order.
fn is_same(a: &Json<'_>, b: &Json<'_>) -> bool {
    match (a, b) {
        // Two files are not the same for all that is known.
        (Json::File, _) | (_, Json::File) => false,
        (Json::Number(a), Json::Number(b)) => a == b || Decimal::parse(a) == Decimal::parse(b),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.as_slice().len() == b.as_slice().len()
                && a.as_slice().iter().all(|(name, a)| b.get(name).is_some_and(|b| is_same(a, b)))
        }
        _ => a == b,
    }
}

fn is_unique(items: &[Json<'_>]) -> bool {
    const MAX_PAIRWISE: usize = 12;
    if items.len() <= MAX_PAIRWISE {
        let mut rest = items;
        while let [first, tail @ ..] = rest {
            if tail.iter().any(|other| is_same(first, other)) {
                return false;
            }
            rest = tail;
        }
        return true;
    }
    // Keyed anew each time: nobody can prepare items that share a hash.
    let keys = RandomState::new();
    let mut hashed: Vec<(u64, &Json<'_>)> =
        items.iter().map(|item| (hash(item, &keys), item)).collect();
    hashed.sort_unstable_by_key(|(hash, _)| *hash);
    hashed.chunk_by(|a, b| a.0 == b.0).all(|run| {
        let mut rest = run;
        while let [first, tail @ ..] = rest {
            if tail.iter().any(|other| is_same(first.1, other.1)) {
                return false;
            }
            rest = tail;
        }
        true
    })
}

fn hash(value: &Json<'_>, keys: &RandomState) -> u64 {
    let mut hasher = keys.build_hasher();
    std::mem::discriminant(value).hash(&mut hasher);
    match value {
        Json::Null | Json::File => {}
        Json::Bool(value) => value.hash(&mut hasher),
        Json::Number(text) => Decimal::parse(text).hash(&mut hasher),
        Json::String(text) => text.hash(&mut hasher),
        Json::Array(items) => items.iter().for_each(|item| hasher.write_u64(hash(item, keys))),
        // A sum, because the order of members is no part of the value.
        Json::Object(members) => {
            let members = members.as_slice().iter();
            let sum = members.map(|(name, value)| keys.hash_one((name, hash(value, keys))));
            hasher.write_u64(sum.fold(0, u64::wrapping_add));
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::*;

    #[test]
    fn values_are_equal_by_their_json_meaning() {
        for (a, b, expected) in [
            ("1", "1.0", true),
            ("{\"a\":1,\"b\":[2]}", "{\"b\":[2e0],\"a\":1}", true),
            ("{\"a\":1}", "{\"a\":1,\"b\":1}", false),
            ("[1,2]", "[2,1]", false),
            ("1", "true", false),
            ("0", "false", false),
            ("9007199254740993", "9007199254740992", false),
            ("\"a\"", "\"\\u0061\"", true),
        ] {
            let (left, right) = (parse(a.as_bytes(), 9).unwrap(), parse(b.as_bytes(), 9).unwrap());
            assert_eq!(is_same(&left, &right), expected, "{a} {b}");
            let value: Value = serde_json::from_str(b).unwrap();
            assert_eq!(equals(&left, &value), expected, "{a} {b}");
        }
    }

    #[test]
    fn long_arrays_are_searched_for_equals() {
        let numbers: Vec<String> = (0..50).map(|n| format!("{{\"n\":{n},\"m\":0}}")).collect();
        let unique = format!("[{}]", numbers.join(","));
        let twice = format!("[{},{{\"m\":0.0,\"n\":7}}]", numbers.join(","));
        for (text, expected) in [(unique, true), (twice, false)] {
            let Json::Array(items) = parse(text.as_bytes(), 9).unwrap() else { panic!() };
            assert_eq!(is_unique(&items), expected);
        }
    }
}
