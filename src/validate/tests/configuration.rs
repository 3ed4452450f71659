use super::*;

const GOOD: &str = r#"{"type":"object"}"#;

#[test]
fn bad_lines_name_the_offending_word() {
    let folder = Folder::with(&[
        ("good.json", GOOD),
        ("type.json", r#"{"properties":{"n":{"type":"strin"}}}"#),
        ("pattern.json", r#"{"properties":{"n":{"pattern":"("}}}"#),
        ("lookahead.json", r#"{"patternProperties":{"^(?!a)":{}}}"#),
        ("twice.json", r#"{"type":"object","type":"array"}"#),
        ("broken.json", "{"),
        ("remote.json", r#"{"$ref":"https://example.com/s.json"}"#),
        ("missing.json", r#"{"$ref":"nowhere.json"}"#),
        ("dangling.json", r##"{"items":{"$ref":"#/$defs/x"}}"##),
        ("draft.json", r#"{"$schema":"https://example.com/my-schema"}"#),
        ("digits.json", r#"{"items":{"maximum":0.12345678901234567890123}}"#),
        ("via.json", r#"{"$ref":"broken.json"}"#),
        ("openapi.json", r#"{"openapi":"2.0"}"#),
    ]);
    for (line, expected) in [
        (
            "validate_body nowhere.json",
            r#"cannot read "nowhere.json": No such file or directory (os error 2)"#,
        ),
        (
            "validate_body type.json",
            r#"schema "type.json" is invalid at "/properties/n/type": unknown type "strin""#,
        ),
        (
            "validate_body pattern.json",
            r#"schema "pattern.json" is invalid at "/properties/n/pattern": must be a regular expression of ECMA-262"#,
        ),
        (
            "validate_body twice.json",
            r#"schema "twice.json" is invalid at "": not JSON: duplicate name at byte 32"#,
        ),
        (
            "validate_body broken.json",
            r#"schema "broken.json" is invalid at "": not JSON: expected a member's name at byte 1"#,
        ),
        (
            "validate_body remote.json",
            r#"schema "remote.json" is invalid at "": the reference to "https://example.com/s.json" is remote"#,
        ),
        (
            "validate_body draft.json",
            r#"schema "draft.json" is invalid at "/$schema": unknown draft"#,
        ),
        (
            "validate_body digits.json",
            r#"schema "digits.json" is invalid at "/items/maximum": the number 0.12345678901234567890123 has too many digits"#,
        ),
        ("validate_body good.json draft=5", r#"invalid parameter "draft=5""#),
        ("validate_body good.json draft=4 draft=6", r#"duplicate parameter "draft=6""#),
        ("validate_body good.json content_type=json", r#"invalid parameter "content_type=json""#),
        ("validate_body good.json content_type=a/b,", r#"invalid parameter "content_type=a/b,""#),
        ("validate_body good.json strict", r#"invalid parameter "strict""#),
        ("validate_param cookie a", r#"invalid value "cookie" in "validate_param" directive"#),
        ("validate_param query", r#"invalid number of arguments in "validate_param" directive"#),
        ("validate_param header a:b", r#"invalid header name "a:b""#),
        ("validate_param query a required=on", r#"invalid parameter "required=on""#),
        ("validate_param query a style=form", r#""style" requires "schema""#),
        ("validate_param query a explode=on", r#""explode" requires "schema""#),
        (
            "validate_param query a schema=good.json style=simple",
            r#"invalid parameter "style=simple""#,
        ),
        ("validate_param path a schema=good.json style=form", r#"invalid parameter "style=form""#),
        (
            "validate_param query a schema=true style=deepObject",
            r#"style "deepObject" requires a schema of type "object""#,
        ),
        (
            "validate_param query a 'schema={\"type\":1}'",
            r#"schema "{"type":1}" is invalid at "/type": unknown type 1"#,
        ),
        (
            "validate_openapi nowhere.yaml",
            r#"cannot read "nowhere.yaml": No such file or directory (os error 2)"#,
        ),
        (
            "validate_openapi openapi.json",
            r#"document "openapi.json" is invalid at "/openapi": the version must be 3.0 or 3.1"#,
        ),
        ("validate_openapi openapi.json base=v1", r#"invalid parameter "base=v1""#),
        ("validate_openapi openapi.json unknown=maybe", r#"invalid parameter "unknown=maybe""#),
        ("validate_errors verbose", r#"invalid value "verbose" in "validate_errors" directive"#),
        ("validate_depth 0", r#"invalid value "0" in "validate_depth" directive"#),
        ("validate_depth 513", r#"invalid value "513" in "validate_depth" directive"#),
    ] {
        assert_eq!(folder.error(&[line]), expected, "{line}");
    }
    for (line, part) in [
        ("validate_body missing.json", "nowhere.json\": No such file"),
        ("validate_body dangling.json", "/$defs/x"),
        ("validate_body lookahead.json", "must be a regular expression"),
        ("validate_body via.json", "broken.json\" is invalid at \"\": not JSON"),
    ] {
        let error = folder.error(&[line]);
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn a_directive_stands_once_on_a_level() {
    let folder = Folder::with(&[("s.json", GOOD)]);
    for (first, second) in [
        ("validate_body s.json", "validate_body off"),
        ("validate_errors brief", "validate_errors brief"),
        ("validate_depth 3", "validate_depth 4"),
        ("validate_param query a", "validate_param query a required"),
        ("validate_param header X-A", "validate_param header x-a"),
        ("validate_param query a", "validate_param off"),
        ("validate_param off", "validate_param query a"),
    ] {
        let name = first.split(' ').next().unwrap();
        assert_eq!(folder.error(&[first, second]), format!("\"{name}\" directive is duplicate"));
    }
    assert!(folder.level(&["validate_param query a", "validate_param header a"]).is_ok());
}

#[test]
fn levels_inherit_and_off_ends_it() {
    let folder = Folder::with(&[("s.json", GOOD)]);
    let outer = folder
        .level(&[
            "validate_body s.json",
            "validate_param query a required",
            "validate_errors brief",
            "validate_depth 2",
        ])
        .unwrap();
    let merged = |lines: &[&str]| {
        let mut inner = folder.level(lines).unwrap();
        inner.merge(&outer);
        inner.compile().unwrap()
    };
    let check = |plan: &ValidatePlan, query: &str, body: &str| {
        decide(
            plan,
            &Written::new("POST", query, &[("content-type", "application/json")]),
            "/",
            body.as_bytes(),
        )
    };
    let inherited = merged(&[]).unwrap();
    assert_eq!(check(&inherited, "a=1", "{}"), Ok(()));
    assert_eq!(check(&inherited, "", "{}"), Err((400, BAD_PARAM.to_owned(), vec![])));
    assert!(check(&inherited, "a=1", "{\"a\":[[]]}").is_err());
    let replaced = merged(&[
        "validate_param query b required",
        "validate_depth 9",
        "validate_errors detailed",
    ])
    .unwrap();
    assert_eq!(check(&replaced, "b=1", "{\"a\":[[]]}"), Ok(()));
    assert_eq!(
        check(&replaced, "a=1", "{}"),
        Err((400, BAD_PARAM.to_owned(), vec![" required".to_owned()]))
    );
    assert_eq!(check(&merged(&["validate_param off"]).unwrap(), "", "{}"), Ok(()));
    assert_eq!(check(&merged(&["validate_body off"]).unwrap(), "a=1", "x"), Ok(()));
    assert!(merged(&["validate_body off", "validate_param off"]).is_none());
    assert!(folder.level(&["validate_errors brief"]).unwrap().compile().unwrap().is_none());
}

#[test]
fn references_are_followed_to_files_beside_the_schema() {
    let folder = Folder::with(&[
        (
            "api/user.json",
            r#"{"properties":{"home":{"$ref":"parts/address.json"},"n":{"$ref":"../common.json#/$defs/n"}}}"#,
        ),
        (
            "api/parts/address.json",
            r#"{"required":["city"],"properties":{"zip":{"$ref":"zip.json"}}}"#,
        ),
        ("api/parts/zip.json", r#"{"pattern":"^[0-9]{5}$"}"#),
        ("common.json", r#"{"$defs":{"n":{"type":"integer"}}}"#),
        (
            "api/with id.json",
            r#"{"$id":"https://example.com/schemas/root.json","$ref":"parts/zip.json"}"#,
        ),
    ]);
    let plan = folder.plan(&["validate_body api/user.json"]);
    for (body, passes) in [
        (r#"{"home":{"city":"Ulm","zip":"89073"},"n":1}"#, true),
        (r#"{"home":{"city":"Ulm","zip":"X"}}"#, false),
        (r#"{"home":{}}"#, false),
        (r#"{"n":"1"}"#, false),
    ] {
        let outcome = decide(&plan, &post("application/json"), "/", body.as_bytes());
        assert_eq!(outcome.is_ok(), passes, "{body}");
    }
    let plan = folder.plan(&["validate_body 'api/with id.json'"]);
    assert!(decide(&plan, &post("application/json"), "/", b"\"89073\"").is_ok());
    assert!(decide(&plan, &post("application/json"), "/", b"\"8907\"").is_err());
    let line = r#"validate_param query n 'schema={"$ref":"common.json#/$defs/n"}'"#;
    let plan = folder.plan(&[line]);
    assert!(decide(&plan, &get("n=5"), "/", b"").is_ok());
    assert!(decide(&plan, &get("n=x"), "/", b"").is_err());
}

#[test]
fn the_draft_is_the_directives_or_the_files_or_the_latest() {
    let folder = Folder::with(&[
        ("none.json", r#"{"prefixItems":[{"type":"integer"}]}"#),
        (
            "seven.json",
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","prefixItems":[{"type":"integer"}],"items":[{"type":"boolean"}]}"#,
        ),
    ]);
    for (line, body, passes) in [
        ("validate_body none.json", "[\"a\"]", false),
        ("validate_body none.json draft=7", "[\"a\"]", true),
        ("validate_body seven.json", "[1]", false),
        ("validate_body seven.json", "[true]", true),
    ] {
        let plan = folder.plan(&[line]);
        let outcome = decide(&plan, &post("application/json"), "/", body.as_bytes());
        assert_eq!(outcome.is_ok(), passes, "{line} {body}");
    }
}
