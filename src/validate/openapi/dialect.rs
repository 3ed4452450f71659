//! OpenAPI's schema dialects as the JSON Schema drafts that the validator runs.
//!
//! 3.0 is draft 4 with `nullable`; 3.1 is 2020-12. In both, `int32` and `int64` bound integers, and what is `readOnly` need
//! not be sent (in 3.0, where that is the specification's word).
//!
//! Source: OpenAPI 3.0 section 4.7.24, 3.1 section 4.8.24.

use jsonschema::Draft;
use serde_json::{Map, Value, json};

use crate::validate::files::{Invalid, escape};

/// A version of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V30,
    V31,
}

impl Version {
    /// The draft that schemas are turned into.
    pub(super) fn draft(self) -> Draft {
        match self {
            Self::V30 => Draft::Draft4,
            Self::V31 => Draft::Draft202012,
        }
    }
}

/// Keywords of later drafts, which 3.0 would silently ignore.
const NOT_IN_30: [&str; 14] = [
    "const",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "minContains",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$defs",
];

const SINGLE: [&str; 11] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const NAMED: [&str; 5] =
    ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];
const LISTED: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];

/// Turns a schema of a document, and all below it, into the validator's draft; `original` is the document as written.
pub(super) fn convert(
    schema: &mut Value,
    version: Version,
    original: &Value,
    pointer: &str,
) -> Result<(), Invalid> {
    let Value::Object(object) = schema else {
        return if schema.is_boolean() && version == Version::V31 {
            Ok(())
        } else {
            Err(Invalid::at(pointer, "a schema must be an object"))
        };
    };
    for name in SINGLE {
        match object.get_mut(name) {
            None | Some(Value::Bool(_)) => {}
            Some(below) => convert(below, version, original, &format!("{pointer}/{name}"))?,
        }
    }
    for name in NAMED {
        for (key, below) in
            object.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten()
        {
            convert(below, version, original, &format!("{pointer}/{name}/{}", escape(key)))?;
        }
    }
    for name in LISTED {
        let list = object.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten();
        for (index, below) in list.enumerate() {
            convert(below, version, original, &format!("{pointer}/{name}/{index}"))?;
        }
    }
    bound_integers(object);
    if version == Version::V30 {
        forget_read_only(object, original);
        return convert_30(schema, pointer);
    }
    match object.get("$schema").and_then(Value::as_str) {
        Some(dialect) if !is_known_dialect(dialect) => {
            Err(Invalid::at(format!("{pointer}/$schema"), "unsupported dialect"))
        }
        _ => {
            object.remove("$schema");
            Ok(())
        }
    }
}

/// True for the dialects that are 2020-12 with OpenAPI's annotations.
pub(super) fn is_known_dialect(dialect: &str) -> bool {
    let dialect = dialect.trim_end_matches('#');
    dialect.starts_with("https://spec.openapis.org/oas/3.1/dialect/")
        || dialect == "https://json-schema.org/draft/2020-12/schema"
}

fn bound_integers(object: &mut Map<String, Value>) {
    let is_integer = match object.get("type") {
        Some(Value::String(name)) => name == "integer",
        Some(Value::Array(names)) => names.iter().any(|name| name == "integer"),
        _ => false,
    };
    let (least, most) = match object.get("format").and_then(Value::as_str) {
        Some("int32") if is_integer => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Some("int64") if is_integer => (i64::MIN, i64::MAX),
        _ => return,
    };
    object.entry("minimum").or_insert(least.into());
    object.entry("maximum").or_insert(most.into());
}

/// A property that only responses have is required in responses only, also where another part of an `allOf` requires it.
fn forget_read_only(object: &mut Map<String, Value>, original: &Value) {
    let mut read_only = Vec::new();
    gather_read_only(object, original, MAX_PARTS_DEPTH, &mut read_only);
    if !read_only.is_empty() {
        release(object, &read_only);
    }
}

/// Parts of parts that are looked through.
const MAX_PARTS_DEPTH: usize = 8;

fn referenced<'d>(schema: &'d Value, original: &'d Value) -> &'d Value {
    let reference = schema.get("$ref").and_then(Value::as_str);
    reference.and_then(|it| original.pointer(it.strip_prefix('#')?)).unwrap_or(schema)
}

/// The properties that are `readOnly` in a schema, or in a part of its `allOf`.
fn gather_read_only(
    object: &Map<String, Value>,
    original: &Value,
    depth: usize,
    found: &mut Vec<String>,
) {
    let is_read_only =
        |schema: &Value| referenced(schema, original).get("readOnly") == Some(&Value::Bool(true));
    let properties = object.get("properties").and_then(Value::as_object).into_iter().flatten();
    found.extend(
        properties.filter(|(_, schema)| is_read_only(schema)).map(|(name, _)| name.clone()),
    );
    let Some(depth) = depth.checked_sub(1) else { return };
    for part in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        if let Value::Object(part) = referenced(part, original) {
            gather_read_only(part, original, depth, found);
        }
    }
}

/// Takes names off `required`, in the parts of `allOf` that are written in place as well.
fn release(object: &mut Map<String, Value>, names: &[String]) {
    let is_left = |required: &mut Vec<Value>| {
        required.retain(|name| !names.iter().any(|released| name == released));
        !required.is_empty()
    };
    if object.get_mut("required").and_then(Value::as_array_mut).is_some_and(|list| !is_left(list)) {
        object.remove("required");
    }
    let parts = object.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten();
    for part in parts.filter_map(Value::as_object_mut) {
        release(part, names);
    }
}

fn convert_30(schema: &mut Value, pointer: &str) -> Result<(), Invalid> {
    let Value::Object(object) = schema else {
        return Ok(());
    };
    if object.contains_key("$ref") {
        return Ok(());
    }
    if let Some(name) = NOT_IN_30.iter().find(|name| object.contains_key(**name)) {
        let reason = format!("the keyword \"{name}\" is not part of OpenAPI 3.0");
        return Err(Invalid::at(format!("{pointer}/{name}"), reason));
    }
    if object.get("type").is_some_and(|kind| !kind.is_string()) {
        let reason = "must be one type in OpenAPI 3.0";
        return Err(Invalid::at(format!("{pointer}/type"), reason));
    }
    if object.remove("nullable") != Some(Value::Bool(true)) {
        return Ok(());
    }
    let is_plain =
        !["enum", "allOf", "anyOf", "oneOf", "not"].iter().any(|name| object.contains_key(*name));
    match object.get_mut("type") {
        Some(kind @ Value::String(_)) if is_plain => *kind = json!([kind.clone(), "null"]),
        _ => *schema = json!({ "anyOf": [{ "type": "null" }, schema.clone()] }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(version: Version, schema: &str) -> Result<Value, Invalid> {
        let original = json!({ "components": { "schemas": {
            "Id": { "readOnly": true },
            "Base": { "properties": { "id": { "readOnly": true } } },
        } } });
        let mut schema: Value = serde_json::from_str(schema).unwrap();
        convert(&mut schema, version, &original, "/s")?;
        Ok(schema)
    }

    #[test]
    fn openapi_3_0_becomes_draft_4() {
        for (given, expected) in [
            (r#"{"type":"string","nullable":true}"#, r#"{"type":["string","null"]}"#),
            (r#"{"type":"string","nullable":false}"#, r#"{"type":"string"}"#),
            (
                r#"{"type":"string","enum":["a"],"nullable":true}"#,
                r#"{"anyOf":[{"type":"null"},{"type":"string","enum":["a"]}]}"#,
            ),
            (
                r##"{"items":{"allOf":[{"$ref":"#/x"}],"nullable":true}}"##,
                r##"{"items":{"anyOf":[{"type":"null"},{"allOf":[{"$ref":"#/x"}]}]}}"##,
            ),
            (
                r#"{"type":"integer","format":"int32","minimum":0}"#,
                r#"{"type":"integer","format":"int32","minimum":0,"maximum":2147483647}"#,
            ),
            (
                r##"{"required":["id","ref","name"],"properties":{"id":{"readOnly":true},"ref":{"$ref":"#/components/schemas/Id"},"name":{}}}"##,
                r##"{"required":["name"],"properties":{"id":{"readOnly":true},"ref":{"$ref":"#/components/schemas/Id"},"name":{}}}"##,
            ),
            (
                r#"{"allOf":[{"properties":{"id":{"readOnly":true}}},{"required":["id","name"]}],"required":["id"]}"#,
                r#"{"allOf":[{"properties":{"id":{"readOnly":true}}},{"required":["name"]}]}"#,
            ),
            (
                r##"{"allOf":[{"$ref":"#/components/schemas/Base"},{"required":["id"]}]}"##,
                r##"{"allOf":[{"$ref":"#/components/schemas/Base"},{}]}"##,
            ),
            (
                r#"{"required":["id"],"properties":{"id":{"readOnly":true}}}"#,
                r#"{"properties":{"id":{"readOnly":true}}}"#,
            ),
            (
                r#"{"properties":{"nullable":{"type":"string"},"if":{}}}"#,
                r#"{"properties":{"nullable":{"type":"string"},"if":{}}}"#,
            ),
        ] {
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert_eq!(converted(Version::V30, given), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_a_version_does_not_know_is_named() {
        for (version, given, pointer) in [
            (Version::V30, r#"{"properties":{"a":{"const":1}}}"#, "/s/properties/a/const"),
            (Version::V30, r#"{"allOf":[{"if":{}}]}"#, "/s/allOf/0/if"),
            (Version::V30, "true", "/s"),
            (Version::V30, r#"{"items":{"type":["string","null"]}}"#, "/s/items/type"),
            (
                Version::V31,
                r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#,
                "/s/$schema",
            ),
            (Version::V31, r#"{"items":[]}"#, "/s/items"),
        ] {
            assert_eq!(converted(version, given).unwrap_err().pointer, pointer, "{given}");
        }
    }
}
