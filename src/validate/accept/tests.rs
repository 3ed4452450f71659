use serde_json::Value;

use super::super::json;
use super::super::schema::{Part, Schema};
use super::super::shape::Shape;
use super::*;
use jsonschema::Draft;

fn schema(text: &str, draft: Draft) -> Schema {
    let options = || jsonschema::options_for::<Tree>().with_draft(draft);
    let schema: Value = serde_json::from_str(text).unwrap();
    Schema::whole(&options, draft, &schema, Shape::default()).unwrap()
}

const ORDER: &str = r##"{
    "type": "object",
    "required": ["id", "items", "note"],
    "properties": {
        "id": {"type": "integer", "minimum": 0, "exclusiveMaximum": 100},
        "mail": {"type": ["string", "null"], "format": "email", "maxLength": 20},
        "kind": {"enum": ["a", "b", 1, null]},
        "items": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"$ref": "#/$defs/item"}},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
        "more": {"type": "object", "additionalProperties": {"type": "number", "multipleOf": 0.5}},
        "either": {"oneOf": [{"type": "string"}, {"type": "array"}]}
    },
    "additionalProperties": true,
    "$defs": {
        "item": {
            "type": "object",
            "additionalProperties": false,
            "maxProperties": 2,
            "properties": {
                "name": {"type": "string", "minLength": 2, "pattern": "^[a-zé]+$"},
                "part": {"$ref": "#/$defs/item"},
                "ok": {"type": "boolean"}
            }
        }
    }
}"##;

#[test]
fn what_conforms_is_accepted_and_what_does_not_is_not() {
    let schema = schema(ORDER, Draft::Draft202012);
    let order = |part: &str| format!(r#"{{"id":1,"items":[{{}}],"note":0{part}}}"#);
    for (text, expected) in [
        (order(""), true),
        (order(r#","mail":"a.b@c.example""#), true),
        (order(r#","mail":"\"a b\"@c.example""#), true),
        (order(r#","mail":null"#), true),
        (order(r#","mail":"nobody""#), false),
        (order(r#","mail":"a.very.long.one@c.example""#), false),
        (order(r#","mail":5"#), false),
        (order(r#","kind":"b""#), true),
        (order(r#","kind":"\u0062""#), true),
        (order(r#","kind":1.0"#), true),
        (order(r#","kind":null"#), true),
        (order(r#","kind":"c""#), false),
        (order(r#","kind":true"#), false),
        (order(r#","kind":["a"]"#), false),
        (order(r#","more":{"x":1.5,"y":-2e0,"z":0}"#), true),
        (order(r#","more":{"x":1.25}"#), false),
        (order(r#","more":{"x":"1"}"#), false),
        (order(r#","tags":["a","b"]"#), true),
        (order(r#","tags":["a","\u0061"]"#), false),
        (order(r#","either":"x""#), true),
        (order(r#","either":5"#), false),
        (order(r#","other":{"any":[{"thing":null}]}"#), true),
        (r#"{"id":0,"items":[{"name":"éa","part":{"ok":true}}],"note":[]}"#.to_owned(), true),
        (r#"{"id":99,"items":[{},{"part":{"part":{"part":{}}}}],"note":[]}"#.to_owned(), true),
        (r#"{"id":100,"items":[{}],"note":0}"#.to_owned(), false),
        (r#"{"id":-1,"items":[{}],"note":0}"#.to_owned(), false),
        (r#"{"id":1.5,"items":[{}],"note":0}"#.to_owned(), false),
        (r#"{"id":1,"items":[],"note":0}"#.to_owned(), false),
        (r#"{"id":1,"items":[{},{},{}],"note":0}"#.to_owned(), false),
        (r#"{"id":1,"items":[{"name":"é"}],"note":0}"#.to_owned(), false),
        (r#"{"id":1,"items":[{"name":"a1"}],"note":0}"#.to_owned(), false),
        (r#"{"id":1,"items":[{"x":1}],"note":0}"#.to_owned(), false),
        (r#"{"id":1,"items":[{"name":"ab","ok":true,"part":{}}],"note":0}"#.to_owned(), false),
        (r#"{"id":1,"items":[{"part":{"part":{"x":1}}}],"note":0}"#.to_owned(), false),
        (r#"{"id":1,"items":[{}]}"#.to_owned(), false),
        (r#"[]"#.to_owned(), false),
    ] {
        assert_eq!(schema.accepts(text.as_bytes(), 64), expected, "{text}");
        let value = json::parse(text.as_bytes(), 64).unwrap();
        assert_eq!(schema.is_valid(&value), expected, "{text}");
    }
}

#[test]
fn what_is_no_json_is_not_accepted() {
    let schema = schema(r#"{"properties":{"a":{"type":"integer"}}}"#, Draft::Draft202012);
    for text in [
        "",
        "{",
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"{"b":1,"b":1}"#,
        r#"{"b":1,"\u0062":1}"#,
        r#"{"b":{"c":[{"d":1,"d":1}]}}"#,
        r#"{"b":[[[]]]}"#,
        r#"{"a":01}"#,
        r#"{"a":1}}"#,
        r#"{"a":1,}"#,
        r#"{"b":"\uD800"}"#,
        "\u{feff}{}",
    ] {
        assert!(!schema.accepts(text.as_bytes(), 3), "{text}");
        assert!(json::parse(text.as_bytes(), 3).is_err(), "{text}");
    }
    assert!(!schema.accepts(b"{\"b\":\"\xff\"}", 3));
    assert!(schema.accepts(br#"{"b":[[]]}"#, 3));
    assert!(schema.accepts(b"\t{ \"a\" : 1 , \"b\" : [ 1 , { } ] }\r\n", 3));
}

#[test]
fn an_object_with_many_names_of_its_own_is_left_to_the_tree() {
    let schema = schema(r#"{"type":"object"}"#, Draft::Draft202012);
    let object = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(schema.accepts(object(MAX_UNKNOWN_NAMES).as_bytes(), 3));
    assert!(!schema.accepts(object(MAX_UNKNOWN_NAMES + 1).as_bytes(), 3));
}

#[test]
fn schemas_that_cannot_be_followed_in_one_pass_accept_nothing() {
    for (text, draft) in [
        ("true", Draft::Draft202012),
        (r#"{"anyOf":[{"type":"object"}]}"#, Draft::Draft202012),
        (
            r##"{"items":{"not":{"$ref":"#/$defs/a"}},"$defs":{"a":{"type":"null"}}}"##,
            Draft::Draft202012,
        ),
        (r##"{"items":{"$ref":"#/$defs/a","maxItems":0},"$defs":{"a":{}}}"##, Draft::Draft202012),
        (
            r##"{"properties":{"a":{"$id":"https://example.org/a","type":"array"}}}"##,
            Draft::Draft202012,
        ),
        (r##"{"properties":{"a":{"id":"https://example.org/a","type":"array"}}}"##, Draft::Draft4),
    ] {
        assert!(!schema(text, draft).accepts(b"[]", 64), "{text}");
    }
}

#[test]
fn siblings_of_a_reference_count_from_draft_2019_on() {
    let text = r##"{"items":{"$ref":"#/definitions/a","maxLength":1},"definitions":{"a":{"type":"string"}}}"##;
    assert!(schema(text, Draft::Draft7).accepts(br#"["abc"]"#, 64));
    assert!(!schema(text, Draft::Draft201909).accepts(br#"["abc"]"#, 64));
}

#[test]
fn parts_of_a_document_with_references_are_compiled_where_they_stand() {
    let document = serde_json::json!({
        "paths": {"/a b": {"type": "array", "items": {"allOf": [{"$ref": "#/components/n"}]}}},
        "components": {"n": {"type": "integer"}},
    });
    let uri = "file:///openapi";
    let draft = Draft::Draft202012;
    let registry = jsonschema::Registry::new()
        .draft(draft)
        .add(uri, draft.create_resource(document.clone()))
        .and_then(|registry| registry.prepare())
        .unwrap();
    let options = || jsonschema::options_for::<Tree>().with_draft(draft).with_registry(&registry);
    let part = Part { document: &document, uri, pointer: "/paths/~1a b" };
    let schema = Schema::part(&options, draft, &part, Shape::default()).unwrap();
    assert!(schema.accepts(b"[1,2]", 64));
    assert!(!schema.accepts(b"[1,\"2\"]", 64));
}
