//! Streams a document into a [`SetBuilder`], keeping track of where it is.
//!
//! Serde's own messages quote the values they complain about, and a value may be a key. So reasons are worded here and kept
//! aside; of the parser's error only the line is used.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::FileError;
use super::draft::Document;
use super::values::{Plain, TextOrObject};
use crate::consumers::builder::SetBuilder;
use crate::consumers::entry::{KeyEntry, check_group, looks_like_a_name};

/// What is read so far, and where the reading is.
pub(super) struct Reader<'b> {
    pub(super) builder: &'b mut SetBuilder,
    /// Top-level `keyauth_credentials` and `acls` of Kong's, which may stand before their consumers.
    pub(super) later: Vec<Later>,
    /// True behind `_format_version`.
    pub(super) is_kong: bool,
    path: Vec<Step>,
    expected: &'static str,
    failure: Option<String>,
}

/// Something of a consumer that is named elsewhere in the file.
pub(super) struct Later {
    /// id or username
    pub(super) consumer: String,
    pub(super) what: LaterWhat,
    /// where it stands
    pub(super) pointer: String,
}

pub(super) enum LaterWhat {
    Key(KeyEntry<'static>),
    Group(String),
}

enum Step {
    Field(&'static str),
    Index(usize),
}

impl<'b> Reader<'b> {
    pub(super) fn new(builder: &'b mut SetBuilder) -> Self {
        let (later, path) = (Vec::new(), Vec::new());
        Self { builder, later, is_kong: false, path, expected: "", failure: None }
    }

    /// The seed that reads the whole document.
    pub(super) fn document(&mut self) -> Whole<'_, 'b> {
        self.expected = "an object";
        Whole(self)
    }

    /// Gives their keys and groups to consumers that are named elsewhere.
    pub(super) fn finish(self) -> Result<(), FileError> {
        for Later { consumer, what, pointer } in self.later {
            let refuse = |reason| FileError { line: None, pointer: pointer.clone(), reason };
            let owner = self
                .builder
                .find(&consumer)
                .ok_or_else(|| refuse(format!("there is no consumer \"{consumer}\"")))?;
            match what {
                LaterWhat::Key(key) => self.builder.add_key(owner, &key).map_err(refuse)?,
                LaterWhat::Group(group) => self.builder.add_group(owner, &group),
            }
        }
        Ok(())
    }

    /// The error of a parser that gave up: our own reason, else the parser's, else that the value is of another kind.
    pub(super) fn error(&mut self, line: Option<u64>, parser: Option<&str>) -> FileError {
        let reason = match (self.failure.take(), parser) {
            (Some(reason), _) => reason,
            (None, Some(reason)) => return FileError { line, ..FileError::whole(reason) },
            (None, None) => format!("it must be {}", self.expected),
        };
        FileError { line, pointer: self.pointer(), reason }
    }

    /// Where the reading is.
    pub(super) fn pointer(&self) -> String {
        self.path.iter().fold(String::new(), |pointer, step| match step {
            Step::Field(name) => format!("{pointer}/{name}"),
            Step::Index(index) => format!("{pointer}/{index}"),
        })
    }

    /// A parser's error that stands for a reason of ours.
    pub(super) fn fail<E: serde::de::Error>(&mut self, reason: impl Into<String>) -> E {
        self.failure.get_or_insert_with(|| reason.into());
        E::custom("refused")
    }

    /// Reads a value of a plain type, `None` for null.
    pub(super) fn value<'de, T, A>(
        &mut self,
        expected: &'static str,
        map: &mut A,
    ) -> Result<Option<T>, A::Error>
    where
        T: Deserialize<'de>,
        A: MapAccess<'de>,
    {
        self.expected = expected;
        map.next_value()
    }

    /// Reads a text that `check` accepts, `None` for null.
    pub(super) fn name<'de, A: MapAccess<'de>>(
        &mut self,
        check: fn(&str) -> Result<(), String>,
        map: &mut A,
    ) -> Result<Option<Cow<'de, str>>, A::Error> {
        let Some(Plain(name)) = self.value("a string", map)? else { return Ok(None) };
        check(&name).map_err(|reason| self.fail(reason))?;
        Ok(Some(name))
    }

    /// Reads a list of texts that `check` accepts; null is an empty one.
    pub(super) fn names<'de, A: MapAccess<'de>>(
        &mut self,
        check: fn(&str) -> Result<(), String>,
        map: &mut A,
    ) -> Result<Vec<Cow<'de, str>>, A::Error> {
        self.expected = "a list of strings";
        map.next_value_seed(Names { reader: self, check, skips_objects: false })
    }

    /// Reads a list of groups' names; null is an empty one. Kong's consumer groups, which are objects, mean nothing here.
    pub(super) fn groups<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
    ) -> Result<Vec<Cow<'de, str>>, A::Error> {
        self.expected = "a list of strings";
        let skips_objects = self.is_kong;
        map.next_value_seed(Names { reader: self, check: check_group, skips_objects })
    }

    /// Reads a list of objects; null is an empty one.
    pub(super) fn objects<'de, S, A>(&mut self, map: &mut A) -> Result<S::Collected, A::Error>
    where
        S: Shape<'de>,
        A: MapAccess<'de>,
    {
        self.expected = "a list of objects";
        map.next_value_seed(Objects::<S>(self, PhantomData))
    }
}

/// An object with known fields.
pub(super) trait Shape<'de>: Default {
    /// What a list of them becomes.
    type Collected: Default;
    /// Fields that are read.
    const FIELDS: &'static [&'static str];
    /// Fields that are another gateway's and mean nothing here.
    const IGNORED: &'static [&'static str];

    /// Reads one field's value.
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        reader: &mut Reader<'_>,
        map: &mut A,
    ) -> Result<(), A::Error>;

    /// A field of another name: nothing when it may be skipped, else what to say about it.
    fn unknown(&mut self, name: &str, _: &Reader<'_>) -> Result<(), String> {
        Err(unknown_field(name))
    }

    /// Takes the object when all of its fields are read.
    fn done(self, reader: &mut Reader<'_>, collected: &mut Self::Collected) -> Result<(), String>;
}

/// `unknown field "x"`; a name that could as well be a misplaced key is not repeated.
pub(super) fn unknown_field(name: &str) -> String {
    match looks_like_a_name(name) {
        true => format!("unknown field \"{name}\""),
        false => "unknown field".to_owned(),
    }
}

/// The whole document.
pub(super) struct Whole<'r, 'b>(&'r mut Reader<'b>);

impl<'de> DeserializeSeed<'de> for Whole<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let reader = self.0;
        let document: Document = from.deserialize_map(Object(reader, PhantomData))?;
        document.done(reader, &mut ()).map_err(|reason| reader.fail(reason))
    }
}

struct Object<'r, 'b, S>(&'r mut Reader<'b>, PhantomData<S>);

impl<'de, S: Shape<'de>> DeserializeSeed<'de> for Object<'_, '_, S> {
    type Value = S;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, S: Shape<'de>> Visitor<'de> for Object<'_, '_, S> {
    type Value = S;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<S, A::Error> {
        let reader = self.0;
        let (mut shape, mut seen) = (S::default(), 0_u32);
        while let Some(Plain(name)) = map.next_key()? {
            let Some(position) = S::FIELDS.iter().position(|field| *field == name) else {
                if !S::IGNORED.contains(&&*name) {
                    shape.unknown(&name, reader).map_err(|reason| reader.fail(reason))?;
                }
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = S::FIELDS.get(position).copied().unwrap_or_default();
            reader.path.push(Step::Field(field));
            if seen & 1 << position != 0 {
                return Err(reader.fail("the field is there twice"));
            }
            seen |= 1 << position;
            shape.field(field, reader, &mut map)?;
            reader.path.pop();
        }
        Ok(shape)
    }
}

struct Objects<'r, 'b, S>(&'r mut Reader<'b>, PhantomData<S>);

impl<'de, S: Shape<'de>> DeserializeSeed<'de> for Objects<'_, '_, S> {
    type Value = S::Collected;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Collected, D::Error> {
        from.deserialize_option(self)
    }
}

impl<'de, S: Shape<'de>> Visitor<'de> for Objects<'_, '_, S> {
    type Value = S::Collected;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<S::Collected, E> {
        Ok(S::Collected::default())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<S::Collected, E> {
        Ok(S::Collected::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<S::Collected, D::Error> {
        from.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<S::Collected, A::Error> {
        let reader = self.0;
        let mut collected = S::Collected::default();
        for index in 0.. {
            reader.path.push(Step::Index(index));
            reader.expected = "an object";
            let Some(shape) = list.next_element_seed(Object::<S>(reader, PhantomData))? else {
                break;
            };
            shape.done(reader, &mut collected).map_err(|reason| reader.fail(reason))?;
            reader.path.pop();
        }
        reader.path.pop();
        Ok(collected)
    }
}

struct Names<'r, 'b> {
    reader: &'r mut Reader<'b>,
    check: fn(&str) -> Result<(), String>,
    skips_objects: bool,
}

impl<'de> DeserializeSeed<'de> for Names<'_, '_> {
    type Value = Vec<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Names<'_, '_> {
    type Value = Vec<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Self { reader, check, skips_objects } = self;
        let mut names = Vec::new();
        for index in 0.. {
            reader.path.push(Step::Index(index));
            reader.expected = "a string";
            let name = if skips_objects {
                let Some(TextOrObject(name)) = list.next_element()? else { break };
                name
            } else {
                let Some(Plain(name)) = list.next_element()? else { break };
                Some(name)
            };
            if let Some(name) = name {
                check(&name).map_err(|reason| reader.fail(reason))?;
                names.push(name);
            }
            reader.path.pop();
        }
        reader.path.pop();
        Ok(names)
    }
}
