//! What a schema wants texts to be read as: the types that parameters and form fields are turned into.

use std::borrow::Cow;
use std::cell::Cell;

use jsonschema::Uri;
use serde_json::Value;

use super::json::{self, Json};

/// The types that a schema allows, through its references, `allOf`, `anyOf` and `oneOf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    types: u8,
    items: Option<Box<Shape>>,
    properties: Vec<(String, Shape)>,
    additional: Option<Box<Shape>>,
}

const NULL: u8 = 1;
const BOOLEAN: u8 = 2;
const NUMBER: u8 = 4;
const STRING: u8 = 8;
const ARRAY: u8 = 16;
const OBJECT: u8 = 32;
const SCALAR: u8 = NULL | BOOLEAN | NUMBER | STRING;

/// References and applicators are followed so far.
const MAX_LEVELS: u8 = 12;
/// Properties of properties are looked at so far; texts have no deeper structure.
const MAX_STRUCTURE_LEVELS: u8 = 3;
/// Subschemas looked at for one schema; what refers to itself many times over ends here.
const MAX_SUBSCHEMAS: u32 = 4_096;

/// Fetches the document of an address without fragment.
pub(super) type Fetch<'f> = dyn Fn(&Uri<String>) -> Option<Value> + 'f;

/// A schema as far as reading texts goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As one text, turned into the scalar type that fits.
    Typed,
    /// As one string.
    Text,
    /// As a list of items.
    Array,
    /// As named properties.
    Object,
}

impl Shape {
    /// The shape of a schema whose document is `uri`.
    pub(super) fn of(schema: &Value, fetch: &Fetch<'_>, uri: &str) -> Self {
        Self::walk(schema, schema, fetch, uri)
    }

    /// The shape of a schema inside a document that refers to nothing else.
    pub(super) fn within(document: &Value, schema: &Value, uri: &str) -> Self {
        Self::walk(document, schema, &|_| None, uri)
    }

    fn walk(document: &Value, schema: &Value, fetch: &Fetch<'_>, uri: &str) -> Self {
        let Ok(base) = Uri::parse(uri.to_owned()) else {
            return Self::default();
        };
        let left = Cell::new(MAX_SUBSCHEMAS);
        let levels = Levels { applied: MAX_LEVELS, structure: MAX_STRUCTURE_LEVELS };
        Walk { document, base, fetch, left: &left }.shape(schema, levels)
    }

    /// The ways to read a text, the likeliest first.
    pub(super) fn readings(&self) -> impl Iterator<Item = Reading> {
        let any_scalar = self.types == 0 || self.types & SCALAR != 0;
        let typed = self.types & (NUMBER | BOOLEAN | NULL) != 0;
        let text = self.types == 0 || self.types & STRING != 0 || !typed && any_scalar;
        [
            (self.types & OBJECT != 0, Reading::Object),
            (self.types & ARRAY != 0, Reading::Array),
            (typed, Reading::Typed),
            (text, Reading::Text),
        ]
        .into_iter()
        .filter_map(|(applies, reading)| applies.then_some(reading))
    }

    /// True when a list of items is allowed.
    pub(super) fn allows_array(&self) -> bool {
        self.types & ARRAY != 0
    }

    /// True when only structures are allowed, no scalars.
    pub(super) fn is_structure(&self) -> bool {
        self.types != 0 && self.types & SCALAR == 0
    }

    /// The shape of an array's items.
    pub(super) fn items(&self) -> &Shape {
        self.items.as_deref().unwrap_or(&ANY)
    }

    /// The shape of a named property.
    pub(super) fn property(&self, name: &str) -> &Shape {
        let declared = self.properties.iter().find(|(other, _)| other == name);
        declared.map(|(_, shape)| shape).or(self.additional.as_deref()).unwrap_or(&ANY)
    }

    /// True when the schema names this property.
    pub(super) fn declares(&self, name: &str) -> bool {
        self.properties.iter().any(|(other, _)| other == name)
    }

    /// The name of a property that can only be an object, or an array of objects.
    pub(super) fn structured_property(&self) -> Option<&str> {
        let is_object = |shape: &Shape| shape.is_structure() && !shape.allows_array();
        let found = self.properties.iter().find(|(_, shape)| {
            is_object(shape) || shape.allows_array() && is_object(shape.items())
        });
        found.map(|(name, _)| name.as_str())
    }

    /// True when the schema names any property.
    pub(super) fn declares_any(&self) -> bool {
        !self.properties.is_empty()
    }

    /// A text as the scalar that fits, or a string when none does.
    pub(super) fn scalar<'a>(&self, text: Cow<'a, str>) -> Json<'a> {
        if self.types & NUMBER != 0 && json::is_number(&text) {
            return Json::Number(text);
        }
        match &*text {
            "true" if self.types & BOOLEAN != 0 => Json::Bool(true),
            "false" if self.types & BOOLEAN != 0 => Json::Bool(false),
            "null" if self.types & NULL != 0 => Json::Null,
            _ => Json::String(text),
        }
    }

    fn union(mut self, other: Self) -> Self {
        self.types = if self.types == 0 || other.types == 0 { 0 } else { self.types | other.types };
        self.merge_parts(other);
        self
    }

    fn intersection(mut self, other: Self) -> Self {
        self.types = match (self.types, other.types) {
            (0, types) | (types, 0) => types,
            (a, b) => a & b,
        };
        self.merge_parts(other);
        self
    }

    fn merge_parts(&mut self, other: Self) {
        self.items = self.items.take().or(other.items);
        self.additional = self.additional.take().or(other.additional);
        for (name, shape) in other.properties {
            match self.properties.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) if *known == Shape::default() => *known = shape,
                Some(_) => {}
                None => self.properties.push((name, shape)),
            }
        }
    }
}

static ANY: Shape = Shape { types: 0, items: None, properties: Vec::new(), additional: None };

struct Walk<'d> {
    document: &'d Value,
    base: Uri<String>,
    fetch: &'d Fetch<'d>,
    left: &'d Cell<u32>,
}

/// How much deeper to look.
#[derive(Clone, Copy)]
struct Levels {
    applied: u8,
    structure: u8,
}

impl Levels {
    fn apply(self) -> Option<Self> {
        Some(Self { applied: self.applied.checked_sub(1)?, ..self })
    }

    fn descend(self) -> Option<Self> {
        Some(Self { structure: self.structure.checked_sub(1)?, ..self })
    }
}

impl Walk<'_> {
    fn shape(&self, schema: &Value, levels: Levels) -> Shape {
        let (Some(applied), Some(left)) = (levels.apply(), self.left.get().checked_sub(1)) else {
            return Shape::default();
        };
        self.left.set(left);
        let mut shape = Shape { types: types(schema), ..Shape::default() };
        if let Some(inner) = levels.descend() {
            let below =
                |name: &str| schema.get(name).map(|schema| Box::new(self.shape(schema, inner)));
            (shape.items, shape.additional) = (below("items"), below("additionalProperties"));
            if let Some(Value::Object(properties)) = schema.get("properties") {
                let named =
                    |(name, schema): (&String, &Value)| (name.clone(), self.shape(schema, inner));
                shape.properties = properties.iter().map(named).collect();
            }
        }
        if let Some(Value::String(reference)) = schema.get("$ref") {
            shape = shape.intersection(self.referenced(reference, applied));
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            shape = shape.intersection(self.shape(part, applied));
        }
        for name in ["anyOf", "oneOf"] {
            let branches = schema.get(name).and_then(Value::as_array).into_iter().flatten();
            let any = branches.map(|branch| self.shape(branch, applied)).reduce(Shape::union);
            shape = shape.intersection(any.unwrap_or_default());
        }
        shape
    }

    fn referenced(&self, reference: &str, levels: Levels) -> Shape {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let in_document = |document: &Value, walk: &Walk<'_>| {
            let pointer = super::param::decode::percent_decode(fragment.as_bytes(), false);
            let pointer = String::from_utf8_lossy(&pointer).into_owned();
            document.pointer(&pointer).map(|schema| walk.shape(schema, levels)).unwrap_or_default()
        };
        if address.is_empty() {
            return in_document(self.document, self);
        }
        let resolved = jsonschema::uri::resolve_against(&self.base.borrow(), address);
        let Some((base, document)) =
            resolved.ok().and_then(|uri| Some((uri.clone(), (self.fetch)(&uri)?)))
        else {
            return Shape::default();
        };
        in_document(&document, &Walk { document: &document, base, ..*self })
    }
}

fn types(schema: &Value) -> u8 {
    let named = |name: &str| match name {
        "null" => NULL,
        "boolean" => BOOLEAN,
        "integer" | "number" => NUMBER,
        "string" => STRING,
        "array" => ARRAY,
        "object" => OBJECT,
        _ => 0,
    };
    let of_value = |value: &Value| match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOLEAN,
        Value::Number(_) => NUMBER,
        Value::String(_) => STRING,
        Value::Array(_) => ARRAY,
        Value::Object(_) => OBJECT,
    };
    let has = |names: &[&str]| names.iter().any(|name| schema.get(*name).is_some());
    match (schema.get("type"), schema.get("const"), schema.get("enum")) {
        (Some(Value::String(name)), ..) => named(name),
        (Some(Value::Array(many)), ..) => {
            many.iter().filter_map(Value::as_str).fold(0, |types, name| types | named(name))
        }
        (_, Some(value), _) => of_value(value),
        (.., Some(Value::Array(values))) => {
            values.iter().fold(0, |types, value| types | of_value(value))
        }
        _ if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) => {
            NUMBER | STRING
        }
        _ if has(&["items", "prefixItems", "minItems", "maxItems", "uniqueItems"]) => ARRAY,
        _ if has(&["properties", "required", "additionalProperties", "patternProperties"]) => {
            OBJECT
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(schema: &str) -> Shape {
        let schema = serde_json::from_str(schema).unwrap();
        Shape::of(&schema, &|_| None, "file:///s.json")
    }

    #[test]
    fn texts_become_what_the_schema_allows() {
        let text = |text: &str| Json::String(text.to_owned().into());
        let number = |text: &str| Json::Number(text.to_owned().into());
        for (schema, given, expected) in [
            (r#"{"type":"integer"}"#, "5", number("5")),
            (r#"{"type":"integer"}"#, "05", text("05")),
            (r#"{"type":"number"}"#, "-1.5e3", number("-1.5e3")),
            (r#"{"type":"boolean"}"#, "true", Json::Bool(true)),
            (r#"{"type":"boolean"}"#, "True", text("True")),
            (r#"{"type":["integer","null"]}"#, "null", Json::Null),
            (r#"{"type":"string"}"#, "5", text("5")),
            (r#"{"enum":[1,2]}"#, "1", number("1")),
            (r##"{"$ref":"#/$defs/n","$defs":{"n":{"type":"number"}}}"##, "1", number("1")),
            (r#"{"allOf":[{"type":"integer"},{"minimum":3}]}"#, "1", number("1")),
            (r#"{"anyOf":[{"type":"integer"},{"type":"boolean"}]}"#, "false", Json::Bool(false)),
            ("{}", "1", text("1")),
            ("true", "1", text("1")),
        ] {
            assert_eq!(shape(schema).scalar(given.into()), expected, "{schema} {given}");
        }
    }

    #[test]
    fn a_schema_says_how_a_text_can_be_read() {
        use Reading::{Array, Object, Text, Typed};
        for (schema, expected) in [
            (r#"{"type":"array"}"#, vec![Array]),
            (r#"{"type":"object"}"#, vec![Object]),
            (r#"{"items":{}}"#, vec![Array]),
            (r#"{"type":"integer"}"#, vec![Typed]),
            (r#"{"type":["integer","string"]}"#, vec![Typed, Text]),
            (r#"{"oneOf":[{"type":"string"},{"type":"array"}]}"#, vec![Array, Text]),
            ("{}", vec![Text]),
        ] {
            assert_eq!(shape(schema).readings().collect::<Vec<_>>(), expected, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let list = shape(r##"{"type":"array","items":{"$ref":"#"}}"##);
        assert!(list.items().allows_array());
    }
}
