use super::*;

const ARRAY: &str = r#"{"type":"array","items":{"type":"integer"},"const":[3,4]}"#;
const OBJECT: &str = r#"{"type":"object","properties":{"r":{"type":"integer"},"g":{"type":"integer"}},"const":{"r":1,"g":2}}"#;
const PRIMITIVE: &str = r#"{"type":"integer","const":5}"#;

fn query_outcome(line: &str, query: &str) -> Outcome {
    let folder = Folder::with(&[]);
    decide(&folder.plan(&[line]), &get(query), "/", b"")
}

#[test]
fn query_values_are_read_in_every_style() {
    for (style, explode, schema, query) in [
        ("form", "on", PRIMITIVE, "id=5"),
        ("form", "off", PRIMITIVE, "id=5"),
        ("form", "on", ARRAY, "id=3&id=4"),
        ("form", "on", ARRAY, "id=3&x=9&%69d=%34"),
        ("form", "off", ARRAY, "id=3,4"),
        ("form", "on", OBJECT, "r=1&g=2"),
        ("form", "on", OBJECT, "g=2&other=7&r=1"),
        ("form", "off", OBJECT, "id=r,1,g,2"),
        ("spaceDelimited", "off", ARRAY, "id=3%204"),
        ("spaceDelimited", "off", ARRAY, "id=3+4"),
        ("pipeDelimited", "off", ARRAY, "id=3|4"),
        ("pipeDelimited", "off", ARRAY, "id=3%7C4"),
        ("deepObject", "on", OBJECT, "id[r]=1&id[g]=2"),
        ("deepObject", "on", OBJECT, "id%5Bg%5D=2&id%5Br%5D=1"),
    ] {
        let line = format!(
            "validate_param query id required 'schema={schema}' style={style} explode={explode}"
        );
        assert_eq!(query_outcome(&line, query), Ok(()), "{style} {explode} {query}");
        let wrong = query.replace(['2', '4', '5'], "8");
        assert!(query_outcome(&line, &wrong).is_err(), "{style} {explode} {wrong}");
        let absent = query_outcome(&line, "x=1").unwrap_err();
        assert_eq!(absent, (400, BAD_PARAM.to_owned(), vec![" required".to_owned()]), "{style}");
    }
}

#[test]
fn path_and_header_values_are_read_in_every_style() {
    for (style, explode, schema, raw) in [
        ("simple", "off", PRIMITIVE, "5"),
        ("simple", "on", PRIMITIVE, "5"),
        ("simple", "off", ARRAY, "3,4"),
        ("simple", "on", ARRAY, "3,4"),
        ("simple", "off", OBJECT, "r,1,g,2"),
        ("simple", "on", OBJECT, "r=1,g=2"),
        ("label", "off", PRIMITIVE, ".5"),
        ("label", "on", PRIMITIVE, ".5"),
        ("label", "off", ARRAY, ".3,4"),
        ("label", "on", ARRAY, ".3.4"),
        ("label", "off", OBJECT, ".r,1,g,2"),
        ("label", "on", OBJECT, ".r=1.g=2"),
        ("matrix", "off", PRIMITIVE, ";id=5"),
        ("matrix", "on", PRIMITIVE, ";id=5"),
        ("matrix", "off", ARRAY, ";id=3,4"),
        ("matrix", "on", ARRAY, ";id=3;id=4"),
        ("matrix", "off", OBJECT, ";id=r,1,g,2"),
        ("matrix", "on", OBJECT, ";r=1;g=2"),
    ] {
        let folder = Folder::with(&[]);
        let parameter = |place: &str| {
            folder.plan(&[&format!(
                "validate_param {place} id 'schema={schema}' style={style} explode={explode}"
            )])
        };
        let plan = parameter("path");
        let in_path = |raw: &str| decide_with(&plan, &get(""), "/", &[("id", raw.as_bytes())], b"");
        assert_eq!(in_path(raw), Ok(()), "{style} {explode} {raw}");
        let wrong = raw.replace(['2', '4', '5'], "8");
        assert!(in_path(&wrong).is_err(), "{style} {explode} {wrong}");
        if style == "simple" {
            let head = |raw: &str| Written::new("GET", "", &[("ID", raw)]);
            let plan = parameter("header");
            let spaced = raw.replace(',', " , ");
            assert_eq!(decide(&plan, &head(&spaced), "/", b""), Ok(()), "{spaced}");
            assert!(decide(&plan, &head(&wrong), "/", b"").is_err(), "{wrong}");
        } else {
            let unmarked = in_path(raw.get(1..).unwrap());
            assert_eq!(unmarked.unwrap_err().2, [" style"], "{style} {raw}");
        }
    }
}

#[test]
fn values_are_split_before_they_are_decoded() {
    let line = |style: &str| {
        format!(
            r#"validate_param query id 'schema={{"type":"array","const":["a,b","c d|e&f"]}}' {style}"#
        )
    };
    for (style, query) in
        [("explode=off", "id=a%2Cb,c+d%7Ce%26f"), ("explode=on", "id=a,b&id=c%20d|e%26f")]
    {
        assert_eq!(query_outcome(&line(style), query), Ok(()), "{query}");
    }
}

#[test]
fn texts_have_the_types_of_the_schema() {
    for (schema, query, passes) in [
        (r#"{"type":"integer"}"#, "v=5", true),
        (r#"{"type":"integer"}"#, "v=5.0", true),
        (r#"{"type":"integer"}"#, "v=+5", false),
        (r#"{"type":"integer"}"#, "v=05", false),
        (r#"{"type":"integer"}"#, "v=5x", false),
        (r#"{"type":"integer"}"#, "v=", false),
        (r#"{"type":"integer"}"#, "v=5&v=6", false),
        (r#"{"type":"number","maximum":9007199254740992}"#, "v=9007199254740993", false),
        (r#"{"type":"boolean"}"#, "v=true", true),
        (r#"{"type":"boolean"}"#, "v=1", false),
        (r#"{"type":"string"}"#, "v=5", true),
        (r#"{"type":"string","minLength":1}"#, "v=", false),
        (r#"{"type":"string"}"#, "v=a&v=b", false),
        (r#"{"type":["integer","null"]}"#, "v=null", true),
        (r#"{"enum":["a","b"]}"#, "v=b", true),
        (r#"{"enum":["a","b"]}"#, "v=c", false),
        (
            r#"{"anyOf":[{"type":"integer","minimum":10},{"type":"string","maxLength":1}]}"#,
            "v=5",
            true,
        ),
        (
            r#"{"anyOf":[{"type":"integer","minimum":10},{"type":"string","maxLength":1}]}"#,
            "v=12",
            true,
        ),
        (
            r#"{"oneOf":[{"type":"string","enum":["all"]},{"type":"array","items":{"type":"integer"}}]}"#,
            "v=all",
            true,
        ),
        (
            r#"{"oneOf":[{"type":"string","enum":["all"]},{"type":"array","items":{"type":"integer"}}]}"#,
            "v=1&v=2",
            true,
        ),
        (
            r#"{"oneOf":[{"type":"string","enum":["all"]},{"type":"array","items":{"type":"integer"}}]}"#,
            "v=none",
            false,
        ),
        (
            r##"{"$defs":{"n":{"type":"integer"}},"allOf":[{"$ref":"#/$defs/n"},{"minimum":3}]}"##,
            "v=5",
            true,
        ),
        (
            r##"{"$defs":{"n":{"type":"integer"}},"allOf":[{"$ref":"#/$defs/n"},{"minimum":3}]}"##,
            "v=2",
            false,
        ),
        (r#"{"type":"array","items":{"type":"boolean"},"minItems":1}"#, "v=true", true),
        (r#"{"type":"array","items":{"type":"integer"},"uniqueItems":true}"#, "v=1&v=1", false),
        (r#"{"type":"string","format":"date"}"#, "v=2026-11-23", true),
        (r#"{"type":"string"}"#, "v=%FF", false),
        (r#"{"type":"string"}"#, "w=1", true),
        ("false", "v=1", false),
        ("true", "v=1", true),
    ] {
        let line = format!("validate_param query v 'schema={schema}'");
        assert_eq!(query_outcome(&line, query).is_ok(), passes, "{schema} {query}");
    }
}

#[test]
fn errors_name_the_parameter_and_not_its_value() {
    let folder = Folder::with(&[("page.json", r#"{"type":"integer","minimum":1}"#)]);
    let plan = folder.plan(&[
        "validate_param query page schema=page.json",
        "validate_param header X-Tenant required",
        "validate_param path id schema=page.json",
    ]);
    let head = get("page=0&page=SECRET");
    let refused = refusal(&plan, &head, "/", &[("id", b"0")], b"").unwrap();
    let faults: Vec<_> = refused
        .faults
        .iter()
        .map(|f| (f.location, f.name.as_deref().unwrap(), f.keyword.as_str(), f.message.as_str()))
        .collect();
    assert_eq!(
        faults,
        [
            ("query", "page", "style", "must be given once"),
            ("header", "X-Tenant", "required", "must be present"),
            ("path", "id", "minimum", "must be at least 1"),
        ]
    );
    assert_eq!(
        (refused.policy.as_str(), refused.reason.as_str()),
        ("validate_param", "param_schema")
    );
    let head = Written::new("GET", "page=1", &[("x-tenant", "a")]);
    assert_eq!(decide_with(&plan, &head, "/", &[("id", b"%31")], b""), Ok(()));
}

#[test]
fn a_parameter_of_a_route_cannot_be_missing() {
    let folder = Folder::with(&[]);
    let plan = folder.plan(&["validate_param path id"]);
    for (path_parameters, passes) in
        [(&[("id", Some(&b"x"[..]))][..], true), (&[("id", None)], false), (&[], true)]
    {
        let facts = HeadFacts {
            head: &get(""),
            path: b"/",
            served_path: b"/",
            path_parameters,
            has_body: false,
            max_body_bytes: 0,
        };
        let decided = outcome(refusal_of(&plan, &facts, b""));
        assert_eq!(decided.is_ok(), passes, "{path_parameters:?}");
    }
}

#[test]
fn a_bad_parameter_leaves_the_body_unread() {
    let folder = Folder::with(&[("s.json", "true")]);
    let plan = folder.plan(&["validate_body s.json", "validate_param query page required"]);
    let reads_body = |plan: &ValidatePlan, query: &str| {
        let head = get(query);
        let facts = HeadFacts {
            head: &head,
            path: b"/",
            served_path: b"/",
            path_parameters: &[],
            has_body: false,
            max_body_bytes: 0,
        };
        decide_head(plan, &facts).body.is_some()
    };
    assert!(!reads_body(&plan, ""));
    assert!(reads_body(&plan, "page=1"));
    assert!(!reads_body(&folder.plan(&["validate_param query page"]), "page=1"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_in_any_style(
        query in "[idrg=&,|+%0-9A-F\\[\\].;]{0,40}",
        raw in proptest::collection::vec(0_u8.., 0..30),
        number in 0_usize..7,
        exploded: bool,
    ) {
        // The delimited styles and deepObject have but one way.
        let exploded = number == 6 || exploded && number < 4;
        let explode = if exploded { "on" } else { "off" };
        let style = ["simple", "label", "matrix", "form", "spaceDelimited", "pipeDelimited", "deepObject"][number];
        let place = if number < 3 { "path" } else { "query" };
        let schema = r#"{"type":["object","array","integer","null"],"properties":{"r":{"type":"array","items":{"type":"integer"}}}}"#;
        let folder = Folder::with(&[]);
        let plan = folder.plan(&[&format!("validate_param {place} id 'schema={schema}' style={style} explode={explode}")]);
        let _ = decide_with(&plan, &get(&query), "/", &[("id", &raw)], b"");
        let _ = decide_with(&plan, &get(&query), "/", &[("id", query.as_bytes())], b"");
    }
}
