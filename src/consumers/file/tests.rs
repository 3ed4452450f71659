use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::consumers::{ConsumerSet, KeyDigest};

const SECRET: &str = "S3CRETkey";

fn load(name: &str, text: &str) -> Result<ConsumerSet, String> {
    let mut builder = SetBuilder::new("partners");
    read(Path::new(name), text.as_bytes(), &mut builder).map_err(|error| error.to_string())?;
    builder.finish()
}

fn describe(set: &ConsumerSet) -> Vec<String> {
    set.consumers()
        .map(|consumer| {
            let mut text = format!("{} [{}]", consumer.name(), consumer.groups_text());
            for key in consumer.credentials() {
                let times = (key.not_before(), key.expires_at(), key.disabled());
                write!(text, " {} {times:?}", key.digest().fingerprint()).unwrap();
            }
            text
        })
        .collect()
}

#[test]
fn json_and_yaml_say_the_same() {
    let json = r#"{"$schema":"x","consumers":[
        {"username":"bob","custom_id":"7","tags":["t"],"groups":["a","b"],"keys":[
            {"id":"k1","key":"abc","expires_at":"2027-01-01T01:00:00+01:00"},
            {"sha256":"88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589",
             "not_before":"2026-01-01T00:00:00.5Z","disabled":true}]},
        {"custom_id":"only","id":null,"groups":null,"keys":[]}]}"#;
    let yaml = "
consumers:
- username: bob
  custom_id: 7
  tags: [t]
  groups: [a, b]
  keys:
  - {id: k1, key: abc, expires_at: 2027-01-01T01:00:00+01:00}
  - sha256: sha256:88D4266FD4E6338D13B845FCF289579D209C897823B9217DA3E161936F031589
    not_before: '2026-01-01T00:00:00.5Z'
    disabled: true
- custom_id: only
  id: ~
";
    let expected = [
        // sha256("abc"), sha256("abcd"); 2027-01-01T00:00:00Z, 2026-01-01T00:00:01Z
        "bob [a, b] ba7816bf (None, Some(1798761600), false) \
         88d4266f (Some(1767225601), None, true)",
        "only []",
    ];
    for (name, text) in [("a.json", json), ("a.conf", json), ("a.yml", yaml), ("a", yaml)] {
        let set = load(name, text).unwrap();
        assert_eq!(describe(&set), expected, "{name}");
        let bob = set.by_username("bob").unwrap();
        assert_eq!((bob.custom_id(), bob.tags().collect()), (Some("7".into()), vec!["t".into()]));
        assert_eq!(bob.credentials().next().unwrap().id().as_str(), "k1");
    }
}

#[test]
fn a_kong_file_serves_as_it_is() {
    let text = r#"
_format_version: "3.0"
_transform: true
services:
- name: s
  routes: [{name: r, paths: [/a]}]
plugins: [{name: key-auth}]
acls:
- {consumer: alice, group: late, tags: [x]}
keyauth_credentials:
- {consumer: 11111111-2222-4333-8444-555555555555, key: bobs-second, id: k2}
consumers:
- username: bob
  id: 11111111-2222-4333-8444-555555555555
  created_at: 1700000000
  tags: null
  plugins: [{name: rate-limiting, config: {minute: 5}}]
  keyauth_credentials:
  - {key: 0123, ttl: 3600, created_at: 1700000000, tags: [a], id: k1}
  - {key: forever, ttl: null}
  acls: [{group: gold, id: x}, {group: silver}]
- username: alice
  keyauth_credentials: [{key: alices, ttl: 0}]
"#;
    let set = load("kong.yaml", text).unwrap();
    assert_eq!(
        set.consumers().map(|it| it.groups_text().as_str()).collect::<Vec<_>>(),
        ["gold, silver", "late"]
    );
    for (key, owner, expires_at) in [
        ("0123", "bob", Some(1_700_003_600)),
        ("forever", "bob", None),
        ("bobs-second", "bob", None),
        ("alices", "alice", None),
    ] {
        let found = set.lookup(&KeyDigest::of(key.as_bytes())).unwrap();
        let name = set.consumer(found.owner()).unwrap().name().as_str();
        assert_eq!((name, found.expires_at()), (owner, expires_at), "{key}");
    }
    assert_eq!(set.by_username("bob").unwrap().credentials().count(), 3);
}

#[test]
fn what_is_wrong_is_named_by_line_and_pointer() {
    let cases = [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("{", "line 1: the file ends too early"),
        ("{\"consumers\":[{\"username\":\"a\"}", "line 1: the file ends too early"),
        ("{\"consumers\":[]} x", "line 1: it is not JSON"),
        ("{}", "it has no \"consumers\""),
        ("[]", "line 1: it must be an object"),
        ("{\"consumers\":7}", "line 1 at \"/consumers\": it must be a list of objects"),
        ("{\"consumers\":[],\"services\":[]}", "unknown field \"services\""),
        (
            "{\n\"consumers\":[\n{\"user\":\"a\"}]}",
            "line 3 at \"/consumers/0\": unknown field \"user\"",
        ),
        (
            "{\"consumers\":[{}]}",
            "line 1 at \"/consumers/0\": a consumer needs \"username\" or \"custom_id\"",
        ),
        (
            "{\"consumers\":[{\"username\":\"a\",\"username\":\"b\"}]}",
            "line 1 at \"/consumers/0/username\": the field is there twice",
        ),
        (
            "{\"consumers\":[{\"username\":\"a\"},\n{\"username\":\"a\"}]}",
            "line 2 at \"/consumers/1\": consumer \"a\" is there twice",
        ),
        (
            "{\"consumers\":[{\"username\":\"a\",\"groups\":[\"x\",\"y,z\"]}]}",
            "line 1 at \"/consumers/0/groups/1\": a group's name cannot contain a comma",
        ),
        (
            "{\"consumers\":[{\"username\":\"a\\r\\nb\"}]}",
            "line 1 at \"/consumers/0/username\": it contains a control character",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(load("a.json", text).map(|_| ()), Err(expected.to_owned()), "{text}");
    }
    for (key, expected) in [
        (r#"{"sha256":"SECRET"}"#, "/sha256\": it must be 64 hexadecimal digits"),
        (r#"{"key":""}"#, "/key\": it is empty"),
        (r#"{"key":["SECRET"]}"#, "/key\": it must be a string"),
        (r#"{"key":123456}"#, "/key\": it must be a string"),
        (r#"{"id":"x"}"#, "\": it needs \"sha256\" or \"key\""),
        (r#"{"key":"SECRET","SECRET":1}"#, "\": unknown field"),
        (r#"{"key":"SECRET","disabled":"SECRET"}"#, "/disabled\": it must be true or false"),
        (r#"{"key":"SECRET","ttl":1}"#, "\": unknown field \"ttl\""),
        (r#"{"key":"a","key":"SECRET"}"#, "/key\": the field is there twice"),
        (
            r#"{"key":"SECRET","expires_at":"tomorrow"}"#,
            "/expires_at\": it must be an RFC 3339 time such as 2027-01-31T12:00:00Z",
        ),
        (
            r#"{"key":"x","not_before":"2027-01-01T00:00:00Z","expires_at":"2026-01-01T00:00:00Z"}"#,
            "\": \"expires_at\" is not after \"not_before\"",
        ),
        (r#"{"key":"{vault://env/k}"}"#, "/key\": references to Kong's vaults are not read"),
        (r#""SECRET""#, "\": it must be an object"),
    ] {
        let text = format!(
            "{{\"consumers\":[{{\"username\":\"a\",\"keys\":[{}]}}]}}",
            key.replace("SECRET", SECRET)
        );
        let expected = format!("line 1 at \"/consumers/0/keys/0{expected}");
        assert_eq!(load("a.json", &text).map(|_| ()), Err(expected), "{key}");
    }
}

#[test]
fn a_key_of_two_consumers_names_both_and_not_the_key() {
    let text = r#"{"consumers":[{"username":"bob","keys":[{"key":"S3CRETkey"}]},
        {"username":"alice","keys":[{"key":"S3CRETkey"}]}]}"#;
    let expected = "line 2 at \"/consumers/1\": a key belongs to both \"bob\" and \"alice\"";
    assert_eq!(load("a.json", text).map(|_| ()), Err(expected.to_owned()));
}

#[test]
fn kongs_lists_are_read_as_strictly() {
    for (text, expected) in [
        ("{\"_format_version\":\"3.0\"}", "it has no \"consumers\""),
        (
            "{\"consumers\":[],\"acls\":[{\"group\":\"g\",\"consumer\":\"x\"}]}",
            "at \"/acls/0\": there is no consumer \"x\"",
        ),
        (
            "{\"consumers\":[],\"keyauth_credentials\":[{\"key\":\"k\"}]}",
            "line 1 at \"/keyauth_credentials/0\": it needs \"consumer\"",
        ),
        (
            "{\"consumers\":[{\"username\":\"a\",\"keyauth_credentials\":[{\"key\":\"k\",\"ttl\":5}]}]}",
            "line 1 at \"/consumers/0/keyauth_credentials/0\": \
             \"ttl\" needs \"created_at\" beside it",
        ),
    ] {
        assert_eq!(load("a.json", text).map(|_| ()), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn errors_in_yaml_never_show_what_stands_there() {
    for (text, expected) in [
        (
            "consumers:\n- username: a\n  keys: [{key: *S3CRETkey}]\n",
            "line 3: an alias without an anchor; a value that begins with \"*\" needs quotes",
        ),
        (
            "consumers:\n- username: a\n  keys: {key: S3CRETkey}\n",
            "line 3 at \"/consumers/0/keys\": it must be a list of objects",
        ),
        (
            "consumers:\n- username: a\n  keys:\n  - key: S3CRETkey\n    disabled: S3CRETkey\n",
            "line 5 at \"/consumers/0/keys/0/disabled\": it must be true or false",
        ),
        ("consumers: []\n---\nconsumers: []\n", "line 3: it has more than one YAML document"),
    ] {
        assert_eq!(load("a.yaml", text).map(|_| ()), Err(expected.to_owned()), "{text}");
    }
    for text in
        ["consumers:\n- key: \"S3CRETkey\n", "S3CRETkey", "consumers: [S3CRETkey", "%S3CRETkey"]
    {
        let error = load("a.yaml", text).unwrap_err();
        assert!(!error.contains(SECRET), "{error}");
    }
}

#[test]
fn what_is_not_utf_8_is_named_by_line() {
    let mut builder = SetBuilder::new("s");
    let error = read(Path::new("a"), b"{\n\xff", &mut builder).unwrap_err();
    assert_eq!(error.to_string(), "line 2: it is not UTF-8");
}

#[test]
fn kong_has_more_to_tell_of_a_consumer_than_is_read() {
    let consumer = r#"{"username":"bob","groups":[{"name":"gold"},"a"],"new_in_kong":[{"x":1}],
        "keyauth_credentials":[{"key":"abc"}]}"#;
    let yaml = "_format_version: '3.0'\nconsumers:\n- username: bob\n  groups:\n  - name: gold\n  - a\n  new_in_kong: {x: [1]}\n";
    let json = format!(r#"{{"_format_version":"3.0","consumers":[{consumer}]}}"#);
    for (name, text) in [("a.json", &*json), ("a.yaml", yaml)] {
        let set = load(name, text).unwrap();
        assert_eq!(set.by_username("bob").unwrap().groups_text(), "a".into(), "{name}");
    }
    let error = load("a.json", &format!(r#"{{"consumers":[{consumer}]}}"#)).unwrap_err();
    assert!(error.contains("at \"/consumers/0/groups/0\": it must be a string"), "{error}");
}

#[test]
fn an_exported_set_has_the_ids_of_the_set_that_reads_it() {
    let text = r#"{"consumers":[{"username":"bob","keys":[{"key":"abc"},{"key":"d","id":"k"}]},
        {"custom_id":"c","id":"x"}]}"#;
    let named = |name: &str, text: &str| {
        let mut builder = SetBuilder::new(name);
        read(Path::new("a.json"), text.as_bytes(), &mut builder).unwrap();
        builder.finish().unwrap()
    };
    let exported = crate::consumers::export::to_json(&named("", text));
    assert_eq!(describe(&named("partners", &exported)), describe(&named("partners", text)));
    assert!(exported.contains(r#""id": "k""#) && exported.contains(r#""id": "x""#), "{exported}");
}

#[test]
fn an_exported_set_reads_as_the_same_set() {
    let text = r#"{"consumers":[{"username":"bob","groups":["a"],"tags":["t"],"keys":[
        {"key":"abc","id":"k","created_at":"2026-01-01T00:00:00Z","disabled":true,
         "not_before":"2026-01-01T00:00:00Z","expires_at":"2027-01-01T00:00:00Z"}]},
        {"custom_id":"c"}]}"#;
    let set = load("a.json", text).unwrap();
    let exported = crate::consumers::export::to_json(&set);
    assert!(!exported.contains("abc"));
    let again = load("b.json", &exported).unwrap();
    assert_eq!(describe(&again), describe(&set));
    assert_eq!(crate::consumers::export::to_json(&again), exported);
}

#[test]
fn the_published_schema_says_what_the_reader_says() {
    let schema = include_str!("../../../nginx-conf/consumers.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let consumer = |fields: &str| format!(r#"{{"consumers":[{{"username":"a",{fields}}}]}}"#);
    let key = |fields: &str| consumer(&format!(r#""keys":[{{{fields}}}]"#));
    let kong = |fields: &str| consumer(&format!(r#""keyauth_credentials":[{{{fields}}}]"#));
    let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (text, good) in [
        (r#"{"consumers":[]}"#.to_owned(), true),
        (r#"{"consumers":[],"services":[]}"#.to_owned(), false),
        (r#"{"_format_version":"3.0","consumers":[],"services":[]}"#.to_owned(), true),
        (r#"{"_format_version":"3.0"}"#.to_owned(), false),
        ("[]".to_owned(), false),
        (r#"{"consumers":[{}]}"#.to_owned(), false),
        (r#"{"consumers":[{"username":null}]}"#.to_owned(), false),
        (r#"{"consumers":[{"username":""}]}"#.to_owned(), false),
        (r#"{"consumers":[{"username":7}]}"#.to_owned(), false),
        (r#"{"consumers":[{"custom_id":"7","username":null}]}"#.to_owned(), true),
        (r#"{"consumers":[{"username":"a\n"}]}"#.to_owned(), false),
        (r#"{"consumers":[{"username":" a"}]}"#.to_owned(), false),
        (r#"{"consumers":[{"username":"a b"}]}"#.to_owned(), true),
        (consumer(r#""groups":["a "]"#), false),
        (consumer(r#""groups":[{"name":"a"}]"#), false),
        (
            format!(
                r#"{{"_format_version":"3.0",{}"#,
                &consumer(r#""groups":[{"name":"a"},"b"],"x":1"#)[1..]
            ),
            true,
        ),
        (format!(r#"{{"_format_version":"3.0",{}"#, &consumer(r#""groups":["a,b"]"#)[1..]), false),
        (consumer(r#""id":"i","custom_id":"c","groups":["g"],"tags":["t"],"keys":[]"#), true),
        (consumer(r#""groups":["a,b"]"#), false),
        (consumer(r#""groups":"a""#), false),
        (consumer(r#""plugins":[{}],"created_at":1,"acls":[{"group":"g","id":"x"}]"#), true),
        (consumer(r#""acls":[{"id":"x"}]"#), false),
        (consumer(r#""acls":[{"group":"x","name":"y"}]"#), false),
        (consumer(r#""role":"x""#), false),
        (key(&format!(r#""sha256":"{hex}""#)), true),
        (key(&format!(r#""sha256":"sha256:{hex}","disabled":false,"key":null"#)), true),
        (key(&format!(r#""sha256":"{hex}0""#)), false),
        (key(&format!(r#""sha256":"{hex}","key":"k""#)), false),
        (key(r#""id":"x""#), false),
        (key(r#""key":"k","not_before":"2026-01-01T00:00:00Z","created_at":5"#), true),
        (key(r#""key":"k","expires_at":"2026-01-01T00:00:00.25+02:00""#), true),
        (key(r#""key":"k","expires_at":"2026-01-01""#), false),
        (key(r#""key":"k","expires_at":5"#), false),
        (key(r#""key":"""#), false),
        (key(r#""key":"{vault://env/k}""#), false),
        (key(r#""key":"k","ttl":5"#), false),
        (key(r#""key":"k","disabled":"no""#), false),
        (kong(r#""key":"k","ttl":null,"tags":["x"]"#), true),
        (kong(r#""key":"k","ttl":5,"created_at":7"#), true),
        (kong(r#""key":"k","ttl":5"#), false),
        (kong(r#""key":"k","ttl":-5,"created_at":7"#), false),
        (kong(r#""key":"k","disabled":true"#), false),
        (kong(r#""id":"k""#), false),
        (
            r#"{"consumers":[{"username":"a"}],"keyauth_credentials":[{"key":"k","consumer":"a"}],
                "acls":[{"group":"g","consumer":{"username":"a"}}]}"#
                .to_owned(),
            true,
        ),
        (r#"{"consumers":[],"keyauth_credentials":[{"key":"k"}]}"#.to_owned(), false),
        (r#"{"consumers":[],"acls":[{"group":"k"}]}"#.to_owned(), false),
    ] {
        let read = load("a.json", &text);
        assert_eq!(read.is_ok(), good, "the reader: {text} {read:?}");
        let value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema.is_valid(&value), good, "the schema: {text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_fail(bytes: Vec<u8>, which in 0..3_usize) {
        let name = ["a.json", "a.yaml", "a"][which];
        let _ = read(Path::new(name), &bytes, &mut SetBuilder::new("s"));
    }

    #[test]
    fn no_document_like_text_makes_a_reader_fail(
        text in "(consumers|username|keys|key|acls|group|a|\\[|\\]|\\{|\\}|:|,|\"|- |\n|  |1|null|&a|\\*a|<<)*",
    ) {
        for name in ["a.json", "a.yaml"] {
            let _ = read(Path::new(name), text.as_bytes(), &mut SetBuilder::new("s"));
        }
    }

    #[test]
    fn a_truncated_file_never_becomes_a_set(cut in 1..200_usize) {
        let text = r#"{"consumers":[{"username":"bob","groups":["a"],"keys":[{"key":"abc"},{"key":"def"}]},{"username":"alice","keys":[{"key":"ghi"}]}]}"#;
        let kept = text.len().saturating_sub(cut);
        prop_assert!(load("a.json", &text[..kept]).is_err());
    }
}
