//! Takes the key out of what goes on, everything else byte for byte as it was.
//!
//! Every editor returns the new bytes, or `None` when there is nothing to take out.

use super::arguments::{ArgumentName, arguments};
use super::body::{BodyKind, BodyView};
use super::json_body;
use super::places::cookies;
use crate::multipart;

/// A query, without `?`, without these arguments.
pub fn query(query: &[u8], names: &[ArgumentName]) -> Option<Vec<u8>> {
    if !arguments(query).any(|argument| argument.is_one_of(names)) {
        return None;
    }
    let kept: Vec<&[u8]> = arguments(query)
        .filter(|argument| !argument.is_one_of(names))
        .map(|argument| argument.whole)
        .collect();
    Some(kept.join(&b'&'))
}

/// A request's URI as received without these arguments, and without `?` when no other is left.
pub fn uri(uri: &[u8], names: &[ArgumentName]) -> Option<Vec<u8>> {
    let mark = uri.iter().position(|byte| *byte == b'?')?;
    let rest = query(uri.get(mark + 1..)?, names)?;
    let mut new = uri.get(..mark)?.to_vec();
    if !rest.is_empty() {
        new.push(b'?');
        new.extend_from_slice(&rest);
    }
    Some(new)
}

/// A Cookie header's value without these cookies; an empty one should not be sent.
pub fn cookie(value: &[u8], names: &[Box<[u8]>]) -> Option<Vec<u8>> {
    let goes = |name: &[u8]| names.iter().any(|other| **other == *name);
    if !cookies(value).any(|(_, name, _)| goes(name)) {
        return None;
    }
    let kept: Vec<&[u8]> =
        cookies(value).filter(|(_, name, _)| !goes(name)).map(|(whole, ..)| whole).collect();
    Some(kept.join(&b';').trim_ascii_start().to_vec())
}

/// A body without these fields.
pub fn body(body: &BodyView<'_>, names: &[ArgumentName]) -> Option<Vec<u8>> {
    let named = |field: &[u8]| names.iter().any(|name| name.as_bytes() == field);
    match body.kind {
        BodyKind::Urlencoded => query(body.bytes, names),
        BodyKind::Json => json_body::without(body.bytes, |field| named(field.as_bytes())),
        BodyKind::Multipart(boundary) => {
            let goes: Vec<_> = multipart::parts(body.bytes, boundary)
                .filter(|part| part.text_field().is_some_and(|field| named(&field)))
                .map(|part| part.whole)
                .collect();
            let mut rest = Vec::with_capacity(body.bytes.len());
            let mut from = 0;
            for part in &goes {
                rest.extend_from_slice(body.bytes.get(from..part.start)?);
                from = part.end;
            }
            // a body that began with the delimiter goes on doing so
            let tail = body.bytes.get(from..)?;
            let bare = rest.is_empty() && body.bytes.starts_with(b"--");
            rest.extend_from_slice(tail.strip_prefix(b"\r\n").filter(|_| bare).unwrap_or(tail));
            (!goes.is_empty()).then_some(rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<ArgumentName> {
        names.iter().filter_map(|name| ArgumentName::new(name)).collect()
    }

    fn text(bytes: Option<Vec<u8>>) -> Option<String> {
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn only_the_key_leaves_the_query() {
        for (written, expected) in [
            ("apikey=x", Some("")),
            ("a=%20+&apikey=x&b", Some("a=%20+&b")),
            ("apikey=x&a=1&apikey=y", Some("a=1")),
            ("a&&%61pikey=x&", Some("a&&")),
            ("a=apikey=x", None),
            ("apikey[]=x&Apikey=y", None),
            ("", None),
        ] {
            let edited = query(written.as_bytes(), &names(&["apikey"]));
            assert_eq!(text(edited).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn the_question_mark_goes_with_the_last_argument() {
        for (written, expected) in [
            ("/a%2Fb?apikey=x", Some("/a%2Fb")),
            ("/a?apikey=x&b=?", Some("/a?b=?")),
            ("/apikey=x", None),
            ("/a?", None),
        ] {
            let edited = uri(written.as_bytes(), &names(&["apikey"]));
            assert_eq!(text(edited).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn only_the_key_leaves_the_cookies() {
        for (written, expected) in [
            ("key=x", Some("")),
            ("key=x; a=1;b=2", Some("a=1;b=2")),
            ("a=1; key=x; b=\"q q\"", Some("a=1; b=\"q q\"")),
            ("a=1; Key=x; xkey=y", None),
        ] {
            let edited = cookie(written.as_bytes(), &[(*b"key").into()]);
            assert_eq!(text(edited).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn only_the_keys_part_leaves_a_multipart_body() {
        let part = |name: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{name}!\r\n")
        };
        let kind = BodyKind::Multipart((*b"b").into());
        let edit = |written: &str| {
            text(body(&BodyView { kind: &kind, bytes: written.as_bytes() }, &names(&["key"])))
        };
        let (a, key, c) = (part("a"), part("key"), part("c"));
        assert_eq!(edit(&format!("{a}{key}{c}--b--\r\n")), Some(format!("{a}{c}--b--\r\n")));
        assert_eq!(edit(&format!("{key}{c}--b--")), Some(format!("{c}--b--")));
        assert_eq!(edit(&format!("{a}{c}{key}--b--")), Some(format!("{a}{c}--b--")));
        assert_eq!(edit(&format!("\r\n{key}{key}--b--")), Some("\r\n--b--".to_owned()));
        assert_eq!(edit(&format!("{a}--b--")), None);
    }

    proptest! {
        #[test]
        fn other_arguments_are_never_touched(
            before in "([a-z%+=;/?]{0,6}&)*",
            key in "(apikey|%61pikey|ap%69key)=[^&]{0,9}",
            after in "(&[a-z%+=;/?]{0,6})*",
        ) {
            let written = format!("{before}{key}{after}");
            let edited = text(query(written.as_bytes(), &names(&["apikey"])));
            // one separator goes with the key, the one behind it if there is one
            let expected = match after.strip_prefix('&') {
                Some(rest) => format!("{before}{rest}"),
                None => before.strip_suffix('&').unwrap_or(&before).to_owned(),
            };
            prop_assert_eq!(edited, Some(expected));
        }

        #[test]
        fn json_keeps_its_other_members(
            members in proptest::collection::vec((any::<bool>(), "[a-j]{1,3}", "\\PC{0,8}", " {0,2}"), 0..6),
        ) {
            let quote = |text: &str| serde_json::to_string(text).unwrap();
            let write = |all: bool| {
                let members: Vec<String> = members
                    .iter()
                    .filter(|(is_key, ..)| all || !is_key)
                    .map(|(is_key, name, value, space)| {
                        let name = if *is_key { "key" } else { name };
                        format!("{}{space}:{space}{}", quote(name), quote(value))
                    })
                    .collect();
                format!("{{{}}}", members.join(","))
            };
            let written = write(true);
            let kind = BodyKind::Json;
            let edited =
                text(body(&BodyView { kind: &kind, bytes: written.as_bytes() }, &names(&["key"])));
            let expected = members.iter().any(|(is_key, ..)| *is_key).then(|| write(false));
            prop_assert_eq!(edited, expected);
        }

        #[test]
        fn no_body_makes_an_editor_fail(bytes: Vec<u8>, which in 0..3_usize) {
            let kinds = [BodyKind::Urlencoded, BodyKind::Json, BodyKind::Multipart((*b"-").into())];
            let edited = body(&BodyView { kind: &kinds[which], bytes: &bytes }, &names(&["k", "-"]));
            prop_assert!(edited.is_none_or(|edited| edited.len() <= bytes.len()));
        }
    }
}
