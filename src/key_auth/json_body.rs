//! Top-level strings of a JSON object: found, or cut out byte by byte.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{NotJson, Reader};

/// A body that nests deeper is taken for broken.
const MAX_DEPTH: usize = 128;

/// The string members for whose names `position` has a number; `None` when the body is not one JSON object.
pub(super) fn strings(
    body: &[u8],
    position: impl Fn(&str) -> Option<usize>,
) -> Option<Vec<(usize, Cow<'_, str>)>> {
    let members = members(body, position).ok()?;
    Some(members.into_iter().filter_map(|member| member.found).collect())
}

/// The body without its string members whose names `named` accepts, all else as it was; `None` when there are none or the
/// body is not one JSON object.
pub(super) fn without(body: &[u8], named: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let members = members(body, |name| named(name).then_some(0)).ok()?;
    members.iter().find(|member| member.found.is_some())?;
    let first = members.first()?.place.start;
    let mut rest = body.get(..first)?.to_vec();
    let (mut kept, mut previous_end) = (false, first);
    for Member { place, found } in &members {
        if found.is_none() {
            // the separator as it was, but none before the first
            let start = if kept { previous_end } else { place.start };
            rest.extend_from_slice(body.get(start..place.end)?);
            kept = true;
        }
        previous_end = place.end;
    }
    rest.extend_from_slice(body.get(previous_end..)?);
    Some(rest)
}

/// A top-level member.
struct Member<'a> {
    /// From its name to its value's end.
    place: Range<usize>,
    /// Its name's number and its value, when it is a string that was asked for.
    found: Option<(usize, Cow<'a, str>)>,
}

/// The top-level members of a body that is one JSON object, and nothing but good JSON.
fn members(
    body: &[u8],
    position: impl Fn(&str) -> Option<usize>,
) -> Result<Vec<Member<'_>>, NotJson> {
    let mut reader = Reader::new(body, MAX_DEPTH)?;
    if reader.peek() != Some(b'{') {
        return Err(reader.wrong("expected an object"));
    }
    let mut members = Vec::new();
    let mut is_over = reader.enter(b'}')?;
    while !is_over {
        let start = reader.offset();
        let number = position(&reader.name()?);
        let found = match (number, reader.peek()) {
            (Some(number), Some(b'"')) => Some((number, reader.string()?)),
            _ => skip(&mut reader).map(|()| None)?,
        };
        members.push(Member { place: start..reader.offset(), found });
        is_over = reader.leaves(b'}')?;
    }
    reader.end()?;
    Ok(members)
}

/// Reads a value that is nobody's.
fn skip(reader: &mut Reader<'_>) -> Result<(), NotJson> {
    match reader.peek() {
        Some(b'"') => drop(reader.string()?),
        Some(b'{') => {
            let mut is_over = reader.enter(b'}')?;
            while !is_over {
                reader.name()?;
                skip(reader)?;
                is_over = reader.leaves(b'}')?;
            }
        }
        Some(b'[') => {
            let mut is_over = reader.enter(b']')?;
            while !is_over {
                skip(reader)?;
                is_over = reader.leaves(b']')?;
            }
        }
        Some(b'-' | b'0'..=b'9') => drop(reader.number()?),
        _ => drop(reader.literal()?),
    }
    Ok(())
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
            (r#"{"k":"a","x":"\ud800"}"#, None),
            (r#"{"k":"a","x":{"\udc00":1}}"#, None),
            (r#"{"k":"a","x":01}"#, None),
            ("", None),
        ] {
            let found: Option<Vec<String>> = find(body);
            assert_eq!(found, expected, "{body}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_no_json_and_has_no_key() {
        for other in [&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80"] {
            let body = [br#"{"k":"a","x":["#, &b"\""[..], other, br#""]}"#].concat();
            assert_eq!(strings(&body, |_| Some(0)), None, "{other:?}");
            assert_eq!(without(&body, |_| true), None, "{other:?}");
        }
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let body = |depth: usize| {
            format!("{{\"k\":\"a\",\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
        };
        assert!(strings(body(MAX_DEPTH - 1).as_bytes(), |_| None).is_some());
        assert!(strings(body(MAX_DEPTH).as_bytes(), |_| None).is_none());
        assert!(strings("[".repeat(1_000_000).as_bytes(), |_| None).is_none());
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
