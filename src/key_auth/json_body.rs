//! Top-level strings of a JSON object: found by serde_json, cut out byte by byte.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

type Found<'a> = Vec<(usize, Cow<'a, str>)>;

/// The string members for whose names `position` has a number; `None` when the body is not one JSON object.
pub(super) fn strings(body: &[u8], position: impl Fn(&str) -> Option<usize>) -> Option<Found<'_>> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let found = json.deserialize_map(Members(position)).ok()?;
    json.end().ok()?;
    Some(found)
}

/// The body without its string members whose names `named` accepts, all else as it was; `None` when there are none or the
/// body is not one JSON object.
pub(super) fn without(body: &[u8], named: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    // from here on the text is known to be good JSON
    strings(body, |name| named(name).then_some(0)).filter(|found| !found.is_empty())?;
    let members = members(body)?;
    let goes = |member: &Member| {
        let name = body.get(member.name.clone()).unwrap_or_default();
        let name: Option<Cow<'_, str>> = serde_json::from_slice(name).ok();
        body.get(member.value.start) == Some(&b'"') && name.is_some_and(|name| named(&name))
    };
    let mut rest = body.get(..members.first()?.name.start)?.to_vec();
    let (mut kept, mut previous_end) = (false, members.first()?.name.start);
    for member in &members {
        if !goes(member) {
            // the separator as it was, but none before the first
            let start = if kept { previous_end } else { member.name.start };
            rest.extend_from_slice(body.get(start..member.value.end)?);
            kept = true;
        }
        previous_end = member.value.end;
    }
    rest.extend_from_slice(body.get(previous_end..)?);
    Some(rest)
}

struct Member {
    name: Range<usize>,
    value: Range<usize>,
}

/// Where the top-level members of a good JSON object stand.
fn members(body: &[u8]) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    let mut at = skip_space(body, 0);
    at = skip_space(body, at + 1);
    while body.get(at)? != &b'}' {
        let name = at..string_end(body, at)?;
        // a colon stands between
        let start = skip_space(body, skip_space(body, name.end) + 1);
        let value = start..value_end(body, start)?;
        at = skip_space(body, value.end);
        if body.get(at)? == &b',' {
            at = skip_space(body, at + 1);
        }
        members.push(Member { name, value });
    }
    Some(members)
}

fn skip_space(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Behind the string that begins at `start`.
fn string_end(body: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match body.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Behind the value that begins at `start`.
fn value_end(body: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match body.get(at)? {
            b'"' => at = string_end(body, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b',' | b'}' | b']' if depth == 0 => {
                // a number or a word ends where something else begins, space not included
                let value = body.get(start..at)?;
                return Some(start + value.trim_ascii_end().len());
            }
            _ => at += 1,
        }
        let ended = matches!(body.get(at - 1), Some(b'"' | b'}' | b']'));
        if depth == 0 && ended {
            return Some(at);
        }
    }
}

struct Members<F>(F);

impl<'de, F: Fn(&str) -> Option<usize>> Visitor<'de> for Members<F> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut found = Vec::new();
        while let Some(name) = map.next_key_seed(Value)? {
            match (self.0)(&name.unwrap_or_default()) {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(position) => {
                    found.extend(map.next_value_seed(Value)?.map(|value| (position, value)));
                }
            }
        }
        Ok(found)
    }
}

/// Any value: its text for a string, `None` for anything else.
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_top_level_strings_of_a_whole_object_are_found() {
        let find = |body: &str| {
            strings(body.as_bytes(), |name| (name == "k").then_some(7))
                .map(|found| found.into_iter().map(|(_, value)| value.into_owned()).collect())
        };
        let some = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect());
        for (body, expected) in [
            (r#"{"k":"a"}"#, some(&["a"])),
            (r#" {"x":[{"k":"no"}],"\u006b":"a\u0062","k":""} "#, some(&["ab", ""])),
            (r#"{"k":1,"x":{"k":"no"},"K":"no"}"#, some(&[])),
            (r#"{"k":["a"]}"#, some(&[])),
            ("{}", some(&[])),
            (r#"[{"k":"a"}]"#, None),
            (r#"{"k":"a"} x"#, None),
            (r#"{"k":"a""#, None),
            (r#"{"k":"a",}"#, None),
            ("", None),
        ] {
            let found: Option<Vec<String>> = find(body);
            assert_eq!(found, expected, "{body}");
        }
    }

    #[test]
    fn a_member_goes_with_one_comma_and_nothing_else() {
        for (body, expected) in [
            (r#"{"k":"a"}"#, Some("{}")),
            (r#"{"k":"a","b":1}"#, Some(r#"{"b":1}"#)),
            (r#"{"b":1,"k":"a"}"#, Some(r#"{"b":1}"#)),
            (
                r#"{ "b" : [1, {"k":"in"}] , "k" : "a\"," , "c":"}" }"#,
                Some(r#"{ "b" : [1, {"k":"in"}] , "c":"}" }"#),
            ),
            (r#"{"k":"a","k":"b","c":-1.5e3 }"#, Some(r#"{"c":-1.5e3 }"#)),
            (r#"{"c":true ,"k":"a", "d":null , "\u006b":"b"}"#, Some(r#"{"c":true, "d":null}"#)),
            ("{\n  \"k\": \"a\",\n  \"b\": 2\n}\n", Some("{\n  \"b\": 2\n}\n")),
            (r#"{"k":5}"#, None),
            (r#"{"b":{"k":"a"}}"#, None),
            (r#"{"k":"a"}}"#, None),
        ] {
            let rest = without(body.as_bytes(), |name| name == "k");
            assert_eq!(rest.as_deref(), expected.map(str::as_bytes), "{body}");
        }
    }
}
