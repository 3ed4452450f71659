use super::directives::{Action, Edit, ResponseJsonPlan};
use super::document::{Object, Value};
use super::path::Step;
use serde::de::IgnoredAny;
use std::fmt;

/// The body is not JSON, so that nothing can be said of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson;

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not JSON")
    }
}

impl std::error::Error for NotJson {}

/// True for `application/json` and types that end in `+json`, parameters aside.
///
/// Source: RFC 6839 section 3.1.
pub fn is_json(content_type: &[u8]) -> bool {
    let mut parts = content_type.split(|byte| *byte == b';');
    let media_type = parts.next().unwrap_or_default().trim_ascii();
    let suffix = media_type.len().checked_sub(5).and_then(|start| media_type.get(start..));
    media_type.eq_ignore_ascii_case(b"application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}

/// The body with all edits made: remove, rename, replace, add, each in the order written.
///
/// What is not edited stays byte for byte the same. Where names are given twice, all members of the name are edited.
pub fn edit(plan: &ResponseJsonPlan, body: &[u8]) -> Result<Vec<u8>, NotJson> {
    let text = str::from_utf8(body).map_err(|_| NotJson)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| NotJson)?;
    let inside = text.trim_matches([' ', '\t', '\r', '\n']);
    let (before, after) = text.split_once(inside).unwrap_or_default();
    let mut value = Value::Text(inside);
    for edit in &plan.edits {
        apply(edit, &mut value);
    }
    let mut out = Vec::with_capacity(body.len());
    out.extend_from_slice(before.as_bytes());
    value.write(&mut out);
    out.extend_from_slice(after.as_bytes());
    Ok(out)
}

fn apply<'a>(edit: &'a Edit, document: &mut Value<'a>) {
    match &edit.action {
        Action::Remove => each(document, &edit.parent, &mut |parent| remove(parent, &edit.last)),
        Action::Rename(name, key) => {
            each(document, &edit.parent, &mut |parent| rename(parent, &edit.last, name, key));
        }
        Action::Replace(json) => {
            let last = std::slice::from_ref(&edit.last);
            let mut replace = |value: &mut Value<'a>| *value = Value::Text(json);
            each(document, &edit.parent, &mut |parent| each(parent, last, &mut replace));
        }
        Action::Add(json, keys) => add(document, &edit.parent, &edit.last, keys, json),
    }
}

/// Calls for every value that the steps lead to. Recursion ends with the steps, whatever the document's depth.
fn each<'a>(value: &mut Value<'a>, steps: &[Step], act: &mut dyn FnMut(&mut Value<'a>)) {
    let Some((step, rest)) = steps.split_first() else { return act(value) };
    match step {
        Step::Name(name) => {
            let Some(object) = value.object() else { return };
            object.named(name).for_each(|member| each(&mut member.value, rest, act));
        }
        Step::Each => {
            let Some(array) = value.array() else { return };
            array.elements.iter_mut().for_each(|element| each(&mut element.value, rest, act));
        }
    }
}

fn remove(parent: &mut Value<'_>, last: &Step) {
    match last {
        Step::Name(name) => {
            if let Some(object) = parent.object() {
                object.members.retain(|member| !member.is_named(name));
            }
        }
        Step::Each => {
            if let Some(array) = parent.array() {
                array.elements.clear();
            }
        }
    }
}

/// The member keeps its place and value; another one that has the new name already gives way to it.
fn rename<'a>(parent: &mut Value<'a>, last: &Step, name: &str, key: &'a str) {
    let (Step::Name(old), Some(object)) = (last, parent.object()) else { return };
    if object.named(old).next().is_none() {
        return;
    }
    object.members.retain(|member| member.is_named(old) || !member.is_named(name));
    object.named(old).for_each(|member| member.rename(key));
}

/// Adds the member where it is absent, and the objects on the way to it where they are.
fn add<'a>(
    value: &mut Value<'a>,
    parent: &[Step],
    last: &Step,
    keys: &'a [Box<str>],
    json: &'a str,
) {
    let (Some((key, keys)), (step, rest)) = (keys.split_first(), parent.split_first().unzip())
    else {
        return;
    };
    match step.unwrap_or(last) {
        Step::Each => {
            let Some(array) = value.array() else { return };
            let rest = rest.unwrap_or_default();
            array
                .elements
                .iter_mut()
                .for_each(|element| add(&mut element.value, rest, last, keys, json));
        }
        Step::Name(name) => {
            let Some(object) = value.object() else { return };
            let absent = object.named(name).next().is_none();
            let Some(rest) = rest else {
                if absent {
                    object.push(key, Value::Text(json));
                }
                return;
            };
            if absent && rest.iter().all(|step| matches!(step, Step::Name(_))) {
                object.push(key, Value::Object(Object::empty()));
            }
            object.named(name).for_each(|member| add(&mut member.value, rest, last, keys, json));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::directives::tests::plan;
    use super::*;

    fn edited(words: &[&str], body: &str) -> String {
        String::from_utf8(edit(&plan(words).unwrap(), body.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn remove_takes_members_and_elements_out() {
        for (path, body, expected) in [
            ("a", r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
            ("b", r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
            ("a", r#"{"a":{"a":1}}"#, "{}"),
            ("a", "{\n  \"a\": 1,\n  \"b\": 2\n}\n", "{\n  \"b\": 2\n}\n"),
            ("b", "{\n  \"a\": 1,\n  \"b\": 2\n}\n", "{\n  \"a\": 1\n}\n"),
            ("user.password", r#"{"user":{"id":1,"password":"x"}}"#, r#"{"user":{"id":1}}"#),
            ("user.password", r#"{"user":[{"password":"x"}]}"#, r#"{"user":[{"password":"x"}]}"#),
            ("user.password", r#"{"user":"password"}"#, r#"{"user":"password"}"#),
            (
                "items[].secret",
                r#"{"items":[{"secret":1},{"x":2},3,{"x":4,"secret":[5]}]}"#,
                r#"{"items":[{},{"x":2},3,{"x":4}]}"#,
            ),
            ("items[].secret", r#"{"items":{"secret":1}}"#, r#"{"items":{"secret":1}}"#),
            ("[].secret", r#"[{"secret":1},[{"secret":2}]]"#, r#"[{},[{"secret":2}]]"#),
            ("[][].s", r#"[[{"s":1}],{"s":2}]"#, r#"[[{}],{"s":2}]"#),
            ("tags[]", r#"{"tags":[1,2], "x":3}"#, r#"{"tags":[], "x":3}"#),
            ("a", r#"{"a":1,"b":2,"a":{"c":3}}"#, r#"{"b":2}"#),
            ("a.b", r#"{"a":{"b":1},"a":{"b":2}}"#, r#"{"a":{},"a":{}}"#),
            ("secret", r#"{"s\u0065cret":1}"#, "{}"),
            (r"a\.b", r#"{"a.b":1,"a":{"b":2}}"#, r#"{"a":{"b":2}}"#),
            ("a", "[1]", "[1]"),
            ("a", "\"a\"", "\"a\""),
            ("a", " null ", " null "),
        ] {
            assert_eq!(edited(&[&format!("remove={path}")], body), expected, "{path} {body}");
        }
    }

    #[test]
    fn rename_keeps_place_and_value() {
        for (rename, body, expected) in [
            ("b:x", r#"{"a":1, "b" : 2.50,"c":3}"#, r#"{"a":1, "x" : 2.50,"c":3}"#),
            ("a:x", r#"{"b":1}"#, r#"{"b":1}"#),
            ("a:b", r#"{"b":1,"a":2}"#, r#"{"b":2}"#),
            ("a:b", r#"{"b":1}"#, r#"{"b":1}"#),
            ("a:a", r#"{"a":1}"#, r#"{"a":1}"#),
            ("u.a:b", r#"{"u":{"a":1},"a":2}"#, r#"{"u":{"b":1},"a":2}"#),
            ("u.a:u.b", r#"{"u":{"a":1}}"#, r#"{"u":{"b":1}}"#),
            ("i[].a:b", r#"{"i":[{"a":1},{"c":1}]}"#, r#"{"i":[{"b":1},{"c":1}]}"#),
            (r#"a:say "x""#, r#"{"a":1}"#, r#"{"say \"x\"":1}"#),
            (r"a\:b:c", r#"{"a:b":1}"#, r#"{"c":1}"#),
            ("a:b", r#"{"a":1,"a":2}"#, r#"{"b":1,"b":2}"#),
        ] {
            assert_eq!(edited(&[&format!("rename={rename}")], body), expected, "{rename} {body}");
        }
    }

    #[test]
    fn replace_acts_on_what_is_there_and_add_on_what_is_not() {
        for (word, body, expected) in [
            (r#"replace=a:"x""#, r#"{"a":{"b":1}, "c":2}"#, r#"{"a":"x", "c":2}"#),
            ("replace=a:1", r#"{"b":2}"#, r#"{"b":2}"#),
            ("replace=a:null", r#"{"a":1,"a":2}"#, r#"{"a":null,"a":null}"#),
            ("replace=a.b:0", r#"{"a":1}"#, r#"{"a":1}"#),
            ("replace=i[]:0", r#"{"i":[1,[2], "3"]}"#, r#"{"i":[0,0, 0]}"#),
            ("replace=i[].s: \"***\" ", r#"{"i":[{"s":1},{}]}"#, r#"{"i":[{"s":"***"},{}]}"#),
            ("add=a:1", r#"{"b":2}"#, r#"{"b":2,"a":1}"#),
            ("add=a:1", "{\n  \"b\": 2\n}", "{\n  \"b\": 2,\n  \"a\": 1\n}"),
            ("add=a:1", "{}", r#"{"a":1}"#),
            ("add=a:1", r#"{"a":null}"#, r#"{"a":null}"#),
            ("add=a.b:1", r#"{"a":{"c":2}}"#, r#"{"a":{"c":2,"b":1}}"#),
            ("add=a.b.c:1", "{}", r#"{"a":{"b":{"c":1}}}"#),
            ("add=a.b:1", r#"{"a":"text"}"#, r#"{"a":"text"}"#),
            ("add=a[].b:1", r#"{"a":[{},{"b":2},3]}"#, r#"{"a":[{"b":1},{"b":2},3]}"#),
            ("add=a[].b:1", "{}", "{}"),
            ("add=[].b:1", "[{}]", r#"[{"b":1}]"#),
            ("add=a:1", "[]", "[]"),
        ] {
            assert_eq!(edited(&[word], body), expected, "{word} {body}");
        }
    }

    #[test]
    fn edits_come_in_the_contracts_order_however_they_are_written() {
        let words = [r#"add=a:"added""#, r#"replace=b:"replaced""#, "rename=a:b", "remove=b"];
        let body = r#"{"a":1,"b":2,"c":3}"#;
        assert_eq!(edited(&words, body), r#"{"b":"replaced","c":3,"a":"added"}"#);
    }

    #[test]
    fn numbers_order_and_spaces_stay_as_they_are() {
        let body =
            "\n{ \"z\":12345678901234567890.10 ,\"x\":1,\t\"a\":-0.0E+5, \"m\" : [ 1.50 ] } \n";
        let expected = "\n{ \"z\":12345678901234567890.10 ,\t\"a\":-0.0E+5, \"m\" : [ 1.50 ] } \n";
        assert_eq!(edited(&["remove=x", "remove=m[].n"], body), expected);
    }

    #[test]
    fn a_body_of_any_depth_is_edited_without_recursion_into_it() {
        let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
        let body = format!(r#"{{"deep":{deep},"x":1}}"#);
        assert_eq!(edited(&["remove=x"], &body), format!(r#"{{"deep":{deep}}}"#));
    }

    #[test]
    fn what_is_not_json_is_not_edited() {
        let plan = plan(&["remove=a"]).unwrap();
        for body in [
            &b""[..],
            b" ",
            b"{",
            br#"{"a":1}x"#,
            br#"{"a":1}{"a":2}"#,
            br#"{"a":01}"#,
            br#"{"a":1,}"#,
            b"{'a':1}",
            b"<html>",
            b"\xef\xbb\xbf{\"a\":1}",
            b"{\"b\":\"\xff\"}",
            b"NaN",
        ] {
            assert_eq!(edit(&plan, body), Err(NotJson), "{body:?}");
        }
    }

    #[test]
    fn json_types_are_told_by_name_and_suffix() {
        for (content_type, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("application/vnd.api+JSON ;v=1", true),
            ("application/jsonp", false),
            ("text/json", false),
            ("application/json-seq", false),
            ("text/html;x=+json", false),
            ("", false),
        ] {
            assert_eq!(is_json(content_type.as_bytes()), expected, "{content_type}");
        }
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;
        use serde_json::{Value as Json, json};

        /// Documents whose names are few, so that paths meet them.
        fn document() -> impl Strategy<Value = Json> {
            let leaf = prop_oneof![
                Just(json!(null)),
                any::<i64>().prop_map(Json::from),
                ".*".prop_map(Json::from)
            ];
            leaf.prop_recursive(4, 64, 4, |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                    prop::collection::btree_map("[ab\"]", inner, 0..3)
                        .prop_map(|members| Json::Object(members.into_iter().collect())),
                ]
            })
        }

        proptest! {
            #[test]
            fn edits_do_what_they_would_on_a_parsed_document(document in document(), pretty: bool) {
                let body = if pretty { format!("{document:#}") } else { document.to_string() };
                let mut expected = document;
                if let Some(Json::Object(b)) = expected.get_mut("a").and_then(|a| a.get_mut("b")) {
                    b.remove("a");
                }
                if let Some(Json::Array(elements)) = expected.get_mut("b") {
                    let objects = elements.iter_mut().filter_map(Json::as_object_mut);
                    objects.filter_map(|object| object.get_mut("\"")).for_each(|quote| *quote = json!(7));
                }
                if let Json::Object(members) = &mut expected {
                    members.entry("n").or_insert(json!([1]));
                }
                let words = ["remove=a.b.a", "replace=b[].\":7", "add=n:[1]"];
                let edited: Json = serde_json::from_str(&edited(&words, &body)).unwrap();
                prop_assert_eq!(edited, expected);
            }

            #[test]
            fn no_text_makes_the_edit_panic(body in prop::collection::vec(any::<u8>(), 0..64), json in "[\\[\\]{}:,\"a1 \\\\]{0,24}") {
                let plan = plan(&["remove=a.a", "rename=a:b", "replace=[].a:1", "add=a.b:2"]).unwrap();
                let _ = edit(&plan, &body);
                if let Ok(edited) = edit(&plan, json.as_bytes()) {
                    prop_assert!(serde_json::from_slice::<IgnoredAny>(&edited).is_ok());
                }
            }
        }
    }
}
