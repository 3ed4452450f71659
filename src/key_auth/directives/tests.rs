use std::path::Path;

use super::*;
use crate::consumers::{ConsumerEntry, SetBuilder};

fn words<'a>(name: &'a str, arguments: &'a [&'a str], line: usize) -> Words<'a> {
    Words::new(name, arguments, Place { file: "nginx.conf".into(), line }, Path::new("/"))
}

fn read(level: &mut KeyAuthDirectives, arguments: &[&str]) -> Result<(), String> {
    KeyAuth::parse(&words("key_auth", arguments, 3), level).map_err(|error| error.to_string())
}

fn read_failures(level: &mut KeyAuthDirectives, arguments: &[&str]) -> Result<(), String> {
    KeyAuthFailures::parse(&words("key_auth_failures", arguments, 4), level)
        .map_err(|error| error.to_string())
}

fn compile(arguments: &[&str]) -> Result<Option<KeyAuthPlan>, DirectiveError> {
    let mut level = KeyAuthDirectives::default();
    read(&mut level, arguments).unwrap();
    let mut builder = SetBuilder::new("partners");
    let guest = ConsumerEntry { username: Some("guest".into()), ..Default::default() };
    builder.add(&guest, false).unwrap();
    let set = builder.finish().unwrap();
    level.compile(|name| (name == "partners").then_some((5, &set)))
}

#[test]
fn wrong_words_are_named() {
    for (arguments, expected) in [
        (&["s", "header=a", "header=b", "query=a", "cookie=a", "body=a", "hide=off"][..], None),
        (&["s", "header=a b"], Some("invalid parameter \"header=a b\"")),
        (&["s", "header="], Some("invalid parameter \"header=\"")),
        (&["s", "header"], Some("invalid parameter \"header\"")),
        (&["s", "query="], Some("invalid parameter \"query=\"")),
        (&["s", "cookie=a;b"], Some("invalid parameter \"cookie=a;b\"")),
        (&["s", "header=X-Key", "header=x-key"], Some("duplicate parameter \"header=x-key\"")),
        (&["s", "query=a", "query=a"], Some("duplicate parameter \"query=a\"")),
        (&["s", "hide=yes"], Some("invalid parameter \"hide=yes\"")),
        (&["s", "hide=on", "hide=on"], Some("duplicate parameter \"hide=on\"")),
        (&["s", "scheme=Bearer"], Some("\"scheme\" requires a \"header\" parameter")),
        (&["s", "query=a", "scheme=Bearer"], Some("\"scheme\" requires a \"header\" parameter")),
        (&["s", "header=a", "scheme=two words"], Some("invalid parameter \"scheme=two words\"")),
        (&["s", "realm=a\r\nb"], Some("invalid parameter \"realm=a\r\nb\"")),
        (&["s", "key=x"], Some("invalid parameter \"key=x\"")),
        (&["s", "off"], Some("invalid parameter \"off\"")),
    ] {
        let result = read(&mut KeyAuthDirectives::default(), arguments);
        assert_eq!(result.err().as_deref(), expected, "{arguments:?}");
    }
}

#[test]
fn names_that_refer_to_nothing_are_named_where_they_stand() {
    for (arguments, expected) in [
        (&["nobody"][..], "unknown consumer set \"nobody\" in \"key_auth\""),
        (
            &["partners", "anonymous=ghost"],
            "unknown consumer \"ghost\" in consumer set \"partners\"",
        ),
    ] {
        let error = compile(arguments).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.place().unwrap().line), (expected, 3));
    }
    assert!(compile(&["partners", "anonymous=guest"]).unwrap().is_some());
}

#[test]
fn defaults_and_challenges_are_the_contracts() {
    let plan = compile(&["partners"]).unwrap().unwrap();
    assert_eq!((plan.set, plan.hide, plan.preflight, &*plan.challenge), (5, true, false, "Key"));
    assert_eq!(*plan.headers, [HeaderName::parse("x-api-key").unwrap()]);
    for (arguments, expected) in [
        (&["partners", "realm=my api"][..], "Key realm=\"my api\""),
        (&["partners", "realm=a\"b\\c"], "Key realm=\"a\\\"b\\\\c\""),
        (&["partners", "header=authorization", "scheme=Bearer"], "Bearer"),
        (&["partners", "header=authorization", "scheme=Bearer", "realm=r"], "Bearer realm=\"r\""),
    ] {
        let plan = compile(arguments).unwrap().unwrap();
        assert_eq!(&*plan.challenge, expected);
    }
    assert!(compile(&["partners", "query=k"]).unwrap().unwrap().headers.is_empty());
}

#[test]
fn off_stops_inheritance_and_silence_inherits() {
    let (mut outer, mut off) = (KeyAuthDirectives::default(), KeyAuthDirectives::default());
    read(&mut outer, &["partners"]).unwrap();
    read_failures(&mut outer, &["5r/m", "zone=z"]).unwrap();
    read(&mut off, &["off"]).unwrap();
    read_failures(&mut off, &["off"]).unwrap();
    let set = SetBuilder::new("partners").finish().unwrap();
    let find = |_: &str| Some((0, &set));
    let mut silent = KeyAuthDirectives::default();
    silent.merge(&outer);
    assert!(silent.compile(find).unwrap().is_some());
    assert_eq!(silent.compile_failures(|rate| Some(rate.to_owned())).unwrap().len(), 1);
    off.merge(&outer);
    assert!(off.compile(find).unwrap().is_none());
    assert_eq!(off.compile_failures(|_| Some(())).unwrap(), []);
    for arguments in [&["off"][..], &["partners"]] {
        let duplicate = Err("\"key_auth\" directive is duplicate".to_owned());
        assert_eq!(read(&mut outer, arguments), duplicate);
    }
}

#[test]
fn failures_need_a_zone_and_a_rate_that_can_be_read() {
    for (arguments, expected) in [
        (&["5r/m"][..], "\"key_auth_failures\" must have \"zone\" parameter"),
        (&["zone=z", "5r/m"], "no rate in \"key_auth_failures\" directive"),
        (&["5r/m", "zone="], "invalid parameter \"zone=\""),
        (&["5r/m", "zone=z", "status=200"], "invalid parameter \"status=200\""),
        (&["5r/m", "zone=z", "by=ip"], "invalid parameter \"by=ip\""),
    ] {
        let result = read_failures(&mut KeyAuthDirectives::default(), arguments);
        assert_eq!(result, Err(expected.to_owned()), "{arguments:?}");
    }
    let mut level = KeyAuthDirectives::default();
    read_failures(&mut level, &["5r/m", "zone=z"]).unwrap();
    read_failures(&mut level, &["often", "zone=y", "status=403"]).unwrap();
    let limits = level.compile_failures(|rate| Some(rate.to_owned())).unwrap();
    let read: Vec<_> = limits.iter().map(|it| (&*it.rate, &*it.zone, it.status)).collect();
    assert_eq!(read, [("5r/m", "z", 429), ("often", "y", 403)]);
    let error = level.compile_failures(|rate| rate.ends_with("r/m").then_some(())).unwrap_err();
    assert_eq!(error.to_string(), "invalid rate \"often\" in \"key_auth_failures\"");
    assert_eq!(error.place().unwrap().line, 4);
    assert!(read_failures(&mut level, &["off"]).is_err());
}

#[test]
fn limits_of_failures_need_something_that_can_fail_where_they_are_written() {
    let limits = ["10r/m", "zone=z"];
    for (outer, inner, expected) in [
        ((Some("s"), None), (None, Some(())), true),
        ((None, None), (Some("s"), Some(())), true),
        ((None, Some(())), (None, None), true),
        ((None, None), (None, Some(())), false),
        ((Some("s"), None), (Some("off"), Some(())), false),
    ] {
        let level = |(set, failures): (Option<&str>, Option<()>)| {
            let mut level = KeyAuthDirectives::default();
            if let Some(set) = set {
                read(&mut level, &[set]).unwrap();
            }
            if failures.is_some() {
                read_failures(&mut level, &limits).unwrap();
            }
            level
        };
        let mut inside = level(inner);
        inside.merge(&level(outer));
        let error = inside.check_failures().err();
        assert_eq!(error.is_none(), expected, "{outer:?} {inner:?}");
        if let Some(error) = error {
            assert_eq!(error.to_string(), "\"key_auth_failures\" requires \"key_auth\"");
            assert_eq!(error.place().unwrap().line, 4);
        }
    }
}
