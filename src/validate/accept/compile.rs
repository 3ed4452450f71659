//! From a schema to rules.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value};

use super::super::files::escape;
use super::super::keywords;
use super::super::param::decode;
use super::super::tree::Tree;
use super::Acceptor;
use super::rule::{Additional, ArrayRule, MAX_PROPERTIES, ObjectRule, Rule, Scalars, TextRule};

/// Where a schema's parts are taken from.
pub(in crate::validate) struct Source<'s> {
    /// What references are looked up in.
    pub(in crate::validate) document: &'s Value,
    pub(in crate::validate) draft: Draft,
    /// Compiles a schema of its own, one without references.
    pub(in crate::validate) build: &'s Build<'s, Value>,
    /// Compiles the part of the document at a pointer, where that can be done.
    pub(in crate::validate) build_at: Option<&'s Build<'s, str>>,
}

/// Makes a validator of a schema, or of where one stands.
type Build<'s, T> = dyn Fn(&T) -> Option<Validator<Tree>> + 's;

/// Keywords that ask nothing of a value.
const ANNOTATIONS: [&str; 17] = [
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "discriminator",
    "example",
    "examples",
    "externalDocs",
    "id",
    "readOnly",
    "title",
    "writeOnly",
    "xml",
];

/// Keywords that rules know.
const ASSERTIONS: [&str; 21] = [
    "additionalProperties",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "type",
    "uniqueItems",
];

/// Keywords by which one part of a schema refers to another, or changes what such references mean.
const REFERENCES: [&str; 9] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$ref",
    "$schema",
    "$vocabulary",
];

/// Rules of one schema; one with more is left to the tree.
const MAX_RULES: usize = 4_096;
/// Schemas within schemas; deeper ones are left to the tree.
const MAX_LEVELS: usize = 64;
/// References to references.
const MAX_HOPS: usize = 8;

/// The rules of the part of a document at a pointer; `None` when they would be no gain, or cannot be told for certain.
pub(in crate::validate) fn compile(source: &Source<'_>, pointer: &str) -> Option<Acceptor> {
    let below = |value: &Value| has_identity(value, source.draft, true);
    if source.document.as_object()?.values().any(below) {
        return None;
    }
    let mut compiler = Compiler { source, rules: Vec::new(), known: HashMap::new() };
    let schema = source.document.pointer(pointer)?;
    compiler.schema(schema, pointer, MAX_LEVELS)?;
    match compiler.rules.first() {
        Some(Rule { tree: Some(_), .. }) | None => None,
        Some(_) => Some(Acceptor { rules: compiler.rules }),
    }
}

/// True when a part of the document has an address of its own, by which references are resolved.
fn has_identity(value: &Value, draft: Draft, below: bool) -> bool {
    match value {
        Value::Object(object) => {
            let named = |name: &str| below && object.get(name).is_some_and(Value::is_string);
            named("$id")
                || named("$schema")
                || draft == Draft::Draft4 && named("id")
                || object.values().any(|value| has_identity(value, draft, true))
        }
        Value::Array(items) => items.iter().any(|item| has_identity(item, draft, true)),
        _ => false,
    }
}

fn has_reference(value: &Value) -> bool {
    match value {
        Value::Object(object) => {
            object.keys().any(|name| REFERENCES.contains(&&**name))
                || object.values().any(has_reference)
        }
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}

struct Compiler<'s> {
    source: &'s Source<'s>,
    rules: Vec<Rule>,
    /// Rules by the pointers of their schemas.
    known: HashMap<String, usize>,
}

impl<'s> Compiler<'s> {
    /// The number of a schema's rule.
    fn schema(&mut self, schema: &'s Value, pointer: &str, levels: usize) -> Option<usize> {
        let (schema, pointer) = self.resolve(schema, pointer)?;
        if let Some(number) = self.known.get(&pointer) {
            return Some(*number);
        }
        let levels = levels.checked_sub(1)?;
        let number = self.reserve()?;
        self.known.insert(pointer.clone(), number);
        let rule = match schema {
            Value::Bool(true) => self.anything(number),
            Value::Bool(false) => Rule::default(),
            Value::Object(object) if is_plain(object) => self.rule(object, &pointer, levels)?,
            _ => Rule { tree: Some(self.validator(schema, &pointer)?), ..Rule::default() },
        };
        *self.rules.get_mut(number)? = rule;
        Some(number)
    }

    fn reserve(&mut self) -> Option<usize> {
        let number = self.rules.len();
        self.rules.push(Rule::default());
        (number < MAX_RULES).then_some(number)
    }

    /// What a reference leads to.
    fn resolve(&self, mut schema: &'s Value, pointer: &str) -> Option<(&'s Value, String)> {
        let mut pointer = pointer.to_owned();
        for _ in 0..MAX_HOPS {
            let Some(reference) = schema.as_object().and_then(|object| object.get("$ref")) else {
                return Some((schema, pointer));
            };
            let ignores_others =
                matches!(self.source.draft, Draft::Draft4 | Draft::Draft6 | Draft::Draft7);
            let is_alone = schema
                .as_object()?
                .keys()
                .all(|name| name == "$ref" || ignores_others || ANNOTATIONS.contains(&&**name));
            let target = reference.as_str()?.strip_prefix('#').filter(|_| is_alone)?;
            let target = decode::percent_decode(target.as_bytes(), false).into_owned();
            pointer = String::from_utf8(target).ok()?;
            schema = self.source.document.pointer(&pointer)?;
        }
        None
    }

    fn validator(&self, schema: &Value, pointer: &str) -> Option<Validator<Tree>> {
        match self.source.build_at {
            Some(build_at) => build_at(pointer),
            None if has_reference(schema) => None,
            None => (self.source.build)(schema),
        }
    }

    /// The rule that everything conforms to, below as well.
    fn anything(&self, number: usize) -> Rule {
        Rule {
            scalars: ALL,
            array: Some(ArrayRule { items: number, length: ANY_LENGTH }),
            object: Some(Box::new(ObjectRule {
                properties: Vec::new(),
                required: 0,
                additional: Additional::Rule(number),
                length: ANY_LENGTH,
            })),
            ..Rule::default()
        }
    }

    /// The number of the rule that everything conforms to.
    fn any(&mut self) -> Option<usize> {
        // No pointer of a schema: those begin with a slash or are empty.
        const ANYTHING: &str = "true";
        if let Some(number) = self.known.get(ANYTHING) {
            return Some(*number);
        }
        let number = self.reserve()?;
        self.known.insert(ANYTHING.to_owned(), number);
        let rule = self.anything(number);
        *self.rules.get_mut(number)? = rule;
        Some(number)
    }

    fn rule(
        &mut self,
        schema: &'s Map<String, Value>,
        pointer: &str,
        levels: usize,
    ) -> Option<Rule> {
        let (scalars, arrays, objects) = types(schema)?;
        let mut rule = Rule {
            scalars,
            values: values(schema)?,
            text: self.text(schema)?,
            numbers: keywords::number_rules(schema)?,
            ..Rule::default()
        };
        if rule.values.is_some() {
            return Some(rule);
        }
        if arrays {
            let items = match schema.get("items") {
                Some(items) => self.schema(items, &format!("{pointer}/items"), levels)?,
                None => self.any()?,
            };
            let length = length(schema, "minItems", "maxItems")?;
            rule.array = Some(ArrayRule { items, length });
        }
        if objects {
            rule.object = Some(Box::new(self.object(schema, pointer, levels)?));
        }
        Some(rule)
    }

    fn text(&self, schema: &Map<String, Value>) -> Option<TextRule> {
        let mut checked = Map::new();
        for name in ["format", "pattern"] {
            checked.extend(schema.get(name).map(|value| (name.to_owned(), value.clone())));
        }
        let is_email = checked.len() == 1 && checked.get("format").is_some_and(|it| it == "email");
        let check = match checked.is_empty() {
            true => None,
            false => Some((self.source.build)(&Value::Object(checked))?),
        };
        Some(TextRule { length: length(schema, "minLength", "maxLength")?, is_email, check })
    }

    fn object(
        &mut self,
        schema: &'s Map<String, Value>,
        pointer: &str,
        levels: usize,
    ) -> Option<ObjectRule> {
        let additional = match schema.get("additionalProperties") {
            None => Additional::Rule(self.any()?),
            Some(Value::Bool(false)) => Additional::Refused,
            Some(other) => {
                let pointer = format!("{pointer}/additionalProperties");
                Additional::Rule(self.schema(other, &pointer, levels)?)
            }
        };
        let mut properties: Vec<(Box<str>, usize)> = Vec::new();
        let written = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (name, below) in written {
            let pointer = format!("{pointer}/properties/{}", escape(name));
            properties.push((name.as_str().into(), self.schema(below, &pointer, levels)?));
        }
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        for name in &names {
            // A name that is asked for and not described is one of the others; where those are refused, nothing conforms.
            if let Additional::Rule(rule) = additional
                && !properties.iter().any(|(known, _)| **known == **name)
            {
                properties.push(((*name).into(), rule));
            }
        }
        properties.sort();
        if properties.len() > MAX_PROPERTIES {
            return None;
        }
        let position = |name: &&str| properties.iter().position(|(known, _)| **known == **name);
        let positions: Option<Vec<usize>> = names.iter().map(position).collect();
        let required = positions?.into_iter().fold(0, |bits, position| bits | 1 << position);
        let length = length(schema, "minProperties", "maxProperties")?;
        Some(ObjectRule { properties, required, additional, length })
    }
}

/// True when rules know every keyword.
fn is_plain(schema: &Map<String, Value>) -> bool {
    let is_list = |name: &str| schema.get(name).is_some_and(Value::is_array);
    let known = |name: &String| {
        ASSERTIONS.contains(&&**name) || ANNOTATIONS.contains(&&**name) || name.starts_with("x-")
    };
    let is_unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
    schema.keys().all(known) && !is_list("items") && !is_unique
}

const ALL: Scalars =
    Scalars { null: true, boolean: true, integer: true, number: true, string: true };
const ANY_LENGTH: RangeInclusive<u64> = 0..=u64::MAX;

/// The scalar types that are allowed, and whether arrays and objects are.
fn types(schema: &Map<String, Value>) -> Option<(Scalars, bool, bool)> {
    let names: Vec<&str> = match schema.get("type") {
        None => return Some((ALL, true, true)),
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(_) => return None,
    };
    let has = |name: &str| names.contains(&name);
    let scalars = Scalars {
        null: has("null"),
        boolean: has("boolean"),
        integer: has("integer"),
        number: has("number"),
        string: has("string"),
    };
    Some((scalars, has("array"), has("object")))
}

/// What `enum` and `const` allow besides arrays and objects.
fn values(schema: &Map<String, Value>) -> Option<Option<Vec<Value>>> {
    let listed = match (schema.get("enum"), schema.get("const")) {
        (None, None) => return Some(None),
        (Some(Value::Array(values)), None) => values.as_slice(),
        (None, Some(value)) => std::slice::from_ref(value),
        _ => return None,
    };
    let scalars = listed.iter().filter(|value| !value.is_array() && !value.is_object());
    Some(Some(scalars.cloned().collect()))
}

fn length(schema: &Map<String, Value>, least: &str, most: &str) -> Option<RangeInclusive<u64>> {
    let limit = |name: &str, default: u64| match schema.get(name) {
        None => Some(default),
        Some(limit) => limit.as_u64(),
    };
    Some(limit(least, 0)?..=limit(most, u64::MAX)?)
}
