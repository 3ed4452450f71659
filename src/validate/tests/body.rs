use super::*;

const USER: &str = r#"{
    "type": "object",
    "required": ["email"],
    "additionalProperties": false,
    "properties": {
        "email": {"type": "string", "format": "email"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}, "uniqueItems": true},
        "nested": {}
    }
}"#;

fn folder() -> Folder {
    Folder::with(&[("user.json", USER)])
}

fn outcome(plan: &ValidatePlan, body: &str) -> Outcome {
    decide(plan, &post("application/json"), "/", body.as_bytes())
}

#[test]
fn a_body_passes_or_is_told_everything_that_is_wrong() {
    let plan = folder().plan(&["validate_body user.json"]);
    let bad = |faults: &[&str]| {
        Err((400, BAD_BODY.to_owned(), faults.iter().map(ToString::to_string).collect()))
    };
    for (body, expected) in [
        (r#"{"email":"a@b.c"}"#, Ok(())),
        (r#"{"email":"a@b.c","age":36,"tags":["a","b"]}"#, Ok(())),
        (r#"{"email":"a@b.c","age":36.0}"#, Ok(())),
        (r#"{"email":"nobody"}"#, bad(&["/email format"])),
        ("{}", bad(&[" required"])),
        ("[]", bad(&[" type"])),
        (r#"{"email":"a@b.c","x":1}"#, bad(&[" additionalProperties"])),
        (r#"{"email":"a@b.c","age":150.00000000000000001}"#, bad(&["/age type", "/age maximum"])),
        (
            r#"{"email":"a@b.c","tags":["aaaa","b","cccc"]}"#,
            bad(&["/tags/0 maxLength", "/tags/2 maxLength"]),
        ),
        (r#"{"email":"a@b.c","tags":["a","\u0061"]}"#, bad(&["/tags uniqueItems"])),
    ] {
        let mut outcome = outcome(&plan, body);
        if let Err((_, _, faults)) = &mut outcome {
            faults.sort_by_key(|fault| fault.ends_with("maximum"));
        }
        assert_eq!(outcome, expected, "{body}");
    }
}

#[test]
fn what_is_no_json_is_told_apart() {
    let plan = folder().plan(&["validate_body user.json", "validate_depth 3"]);
    let not_json = Err((400, "request body is not valid JSON".to_owned(), vec![]));
    for body in [
        "{",
        r#"{"email":"a@b.c","email":"c@d.e"}"#,
        r#"{"email":"a@b.c","\u0065mail":"c@d.e"}"#,
        "\u{feff}{\"email\":\"a@b.c\"}",
        r#"{"email":"a@b.c"} x"#,
        r#"{"email":"a@b.c","nested":[[[]]]}"#,
    ] {
        assert_eq!(outcome(&plan, body), not_json, "{body}");
    }
    assert_eq!(outcome(&plan, r#"{"email":"a@b.c","nested":[[1]]}"#), Ok(()));
    assert_eq!(decide(&plan, &post("application/json"), "/", b"\"\xff\""), not_json);
}

#[test]
fn an_absent_body_does_not_conform_whatever_its_type() {
    let plan = folder().plan(&["validate_body user.json"]);
    for head in [get(""), post("application/json"), post("text/plain")] {
        let absent = Err((400, BAD_BODY.to_owned(), vec![" required".to_owned()]));
        assert_eq!(decide(&plan, &head, "/", b""), absent, "{head:?}");
    }
}

#[test]
fn types_that_are_not_listed_are_refused_and_other_listed_ones_pass() {
    let folder = folder();
    let default = folder.plan(&["validate_body user.json"]);
    let listed = folder.plan(&["validate_body user.json content_type=application/json,image/*"]);
    let refused = Err((415, "specified Content-Type is not allowed".to_owned(), vec![]));
    let good = br#"{"email":"a@b.c"}"#;
    for (plan, headers, body, expected) in [
        (&default, vec![("Content-Type", "application/json; charset=utf-8")], &good[..], Ok(())),
        (&default, vec![("Content-Type", "APPLICATION/Merge-Patch+JSON")], good, Ok(())),
        (&default, vec![("Content-Type", "text/json")], good, refused.clone()),
        (&default, vec![], good, refused.clone()),
        (
            &default,
            vec![("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
            good,
            refused.clone(),
        ),
        (
            &default,
            vec![("Content-Type", "application/json"), ("Content-Encoding", "identity")],
            good,
            Ok(()),
        ),
        (
            &default,
            vec![("Content-Type", "application/json"), ("Content-Type", "text/plain")],
            good,
            refused.clone(),
        ),
        (
            &default,
            vec![("Content-Type", "application/x-www-form-urlencoded")],
            b"email=a@b.c",
            refused.clone(),
        ),
        (&listed, vec![("Content-Type", "image/png")], b"\x89PNG", Ok(())),
        (
            &listed,
            vec![("Content-Type", "application/json")],
            b"{}",
            Err((400, BAD_BODY.to_owned(), vec![" required".to_owned()])),
        ),
    ] {
        let head = Written::new("POST", "", &headers);
        assert_eq!(decide(plan, &head, "/", body), expected, "{headers:?}");
    }
}

#[test]
fn forms_are_objects_with_the_types_of_the_schema() {
    let plan = folder().plan(&[
        "validate_body user.json content_type=application/x-www-form-urlencoded,multipart/form-data",
    ]);
    let bad = |fault: &str| Err((400, BAD_BODY.to_owned(), vec![fault.to_owned()]));
    for (body, expected) in [
        ("email=a%40b.c&age=36&tags=a&tags=b", Ok(())),
        ("email=a%40b.c&tags=a", Ok(())),
        ("email=a%40b.c&age=old", bad("/age type")),
        ("email=a%40b.c&age=151", bad("/age maximum")),
        ("email=a%40b.c&email=c%40d.e", bad("/email type")),
        ("email=%FF", bad(" content")),
    ] {
        let head = post("application/x-www-form-urlencoded");
        assert_eq!(decide(&plan, &head, "/", body.as_bytes()), expected, "{body}");
    }
    let part = |name: &str, value: &str| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    for (body, expected) in [
        (format!("{}{}--B--", part("email", "a@b.c"), part("age", "5")), Ok(())),
        (format!("{}{}--B--", part("email", "a@b.c"), part("age", "-5")), bad("/age minimum")),
        (part("email", "a@b.c"), bad(" content")),
    ] {
        let head = post("multipart/form-data; boundary=B");
        assert_eq!(decide(&plan, &head, "/", body.as_bytes()), expected, "{body}");
    }
}

#[test]
fn plans_and_checks_can_be_taken_to_another_thread() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<ValidatePlan>();
    is_shared::<BodyCheck>();
}

fn body_check(plan: &ValidatePlan, headers: &[(&str, &str)]) -> BodyCheck {
    let head = Written::new("POST", "", headers);
    let (path, path_parameters, max_body_bytes) = (&b"/"[..], &[][..], 0);
    let facts = HeadFacts {
        head: &head,
        path,
        served_path: path,
        path_parameters,
        has_body: false,
        max_body_bytes,
    };
    decide_head(plan, &facts).body.unwrap()
}

#[test]
fn large_bodies_and_encoded_ones_are_checked_away_from_the_event_loop() {
    let json = ("Content-Type", "application/json");
    let gzip = ("Content-Encoding", "gzip");
    let folder = folder();
    let plan = folder.plan(&["validate_body user.json content_encoding=gzip"]);
    let check = body_check(&plan, &[json]);
    assert!(check.is_heavy(HEAVY_BODY_BYTES) && !check.is_heavy(HEAVY_BODY_BYTES - 1));
    assert!(body_check(&plan, &[json, gzip]).is_heavy(1));
    let stepping = Folder::with(&[("s.json", r#"{"items":{"pattern":"^(?!a)(b+)+$"}}"#)]);
    let check = body_check(&stepping.plan(&["validate_body s.json"]), &[json]);
    assert!(check.is_heavy(HEAVY_PATTERNS_BYTES) && !check.is_heavy(HEAVY_PATTERNS_BYTES - 1));
    let refused = folder.plan(&["validate_body user.json"]);
    assert!(!body_check(&refused, &[json, gzip]).is_heavy(1));
}

#[test]
fn a_type_that_is_not_allowed_is_refused_with_the_head_of_a_body() {
    let plan = folder().plan(&["validate_body user.json"]);
    for (kind, has_body, refused) in [
        ("text/plain", true, true),
        ("text/plain", false, false),
        ("application/json", true, false),
    ] {
        let head = post(kind);
        let (path, path_parameters) = (&b"/"[..], &[][..]);
        let facts = HeadFacts {
            head: &head,
            path,
            served_path: path,
            path_parameters,
            has_body,
            max_body_bytes: 0,
        };
        let decision = decide_head(&plan, &facts).decision;
        assert_eq!(decision != Decision::Continue, refused, "{kind} {has_body}");
    }
}

#[test]
fn bodies_encoded_by_gzip_are_checked_where_that_is_allowed() {
    let folder = Folder::with(&[
        ("user.json", USER),
        (
            "api.json",
            r#"{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/":{"post":{"requestBody":{"content":{"application/json":{"schema":{"type":"object","required":["email"]}},"text/csv":{}}},"responses":{}}}}}"#,
        ),
    ]);
    let types = "content_type=application/json,application/x-www-form-urlencoded,image/png";
    let own = folder.plan(&[&format!("validate_body user.json {types} content_encoding=gzip")]);
    let api = folder.plan(&["validate_openapi api.json content_encoding=gzip"]);
    let plain_api = folder.plan(&["validate_openapi api.json"]);
    let both = folder
        .plan(&["validate_body user.json content_encoding=gzip", "validate_openapi api.json"]);
    let (good, bad) = (gzip::encode(br#"{"email":"a@b.c"}"#), gzip::encode(b"{}"));
    let refused = Err((415, "specified Content-Type is not allowed".to_owned(), vec![]));
    let bad_body = |fault: &str| Err((400, BAD_BODY.to_owned(), vec![fault.to_owned()]));
    let not_json = Err((400, "request body is not valid JSON".to_owned(), vec![]));
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    for (plan, kind, coding, body, expected) in [
        (&own, json, "gzip", &good[..], Ok(())),
        (&own, json, "X-GZIP", &good, Ok(())),
        (&own, json, "gzip", &bad, bad_body(" required")),
        (&own, json, "gzip", br#"{"email":"a@b.c"}"#, not_json.clone()),
        (&own, json, "gzip", &good[..good.len() - 1], not_json.clone()),
        (&own, json, "gzip", &gzip::encode(b"{"), not_json.clone()),
        (&own, json, "gzip", b"", bad_body(" required")),
        (&own, json, "gzip", &gzip::encode(b""), not_json.clone()),
        (&own, json, "deflate", &good, refused.clone()),
        (&own, json, "gzip, gzip", &good, refused.clone()),
        (&own, form, "gzip", &gzip::encode(b"email=a%40b.c"), Ok(())),
        (&own, form, "gzip", &gzip::encode(b"email=a%40b.c&age=-1"), bad_body("/age minimum")),
        (&own, form, "gzip", b"email=a%40b.c", bad_body(" content")),
        (&own, "image/png", "gzip", b"anything", Ok(())),
        (&own, "image/gif", "gzip", &good, refused.clone()),
        (&api, json, "gzip", &good, Ok(())),
        (&api, json, "gzip", &bad, bad_body(" required")),
        (&api, "text/csv", "gzip", b"anything", Ok(())),
        (&plain_api, json, "gzip", &good, refused.clone()),
        (&both, json, "gzip", &good, refused.clone()),
    ] {
        let head =
            Written::new("POST", "", &[("Content-Type", kind), ("Content-Encoding", coding)]);
        assert_eq!(decide(plan, &head, "/", body), expected, "{kind} {coding} {body:?}");
    }
}

#[test]
fn an_encoded_body_may_become_as_long_as_a_plain_one() {
    let folder = Folder::with(&[("s.json", r#"{"type":["string","array"]}"#)]);
    let plan = folder.plan(&["validate_body s.json content_encoding=gzip"]);
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    let head = Written::new("POST", "", &headers);
    let decide = |max_body_bytes: u64, body: &str| {
        let facts = HeadFacts {
            head: &head,
            path: b"/",
            served_path: b"/",
            path_parameters: &[],
            has_body: false,
            max_body_bytes,
        };
        let check = decide_head(&plan, &facts).body.unwrap();
        match decide_body(&plan, &check, &gzip::encode(body.as_bytes())) {
            Decision::Refuse(refusal) => (refusal.status, refusal.reason.as_str()),
            _ => (200, ""),
        }
    };
    assert_eq!(decide(5, "[123]"), (200, ""));
    assert_eq!(decide(4, "[123]"), (413, "too_large"));
    assert_eq!(decide(0, &format!("\"{}\"", "a".repeat(2_000_000))), (200, ""));
    assert_eq!(decide(0, &format!("\"{}\"", "a".repeat(64 * 1024 * 1024))), (413, "too_large"));
}

#[test]
fn brief_errors_say_nothing_more() {
    let plan = folder().plan(&["validate_body user.json", "validate_errors brief"]);
    assert_eq!(outcome(&plan, "{}"), Err((400, BAD_BODY.to_owned(), vec![])));
}

#[test]
fn errors_never_show_a_value_and_cut_long_names() {
    let folder = Folder::with(&[(
        "s.json",
        r#"{"additionalProperties":{"anyOf":[{"const":"no"},{"enum":["a","b"]},{"type":"string","pattern":"^x$"},{"type":"array","items":{"type":"integer","minimum":5,"multipleOf":3}},{"type":"object","unevaluatedProperties":false,"propertyNames":{"maxLength":2}}]}}"#,
    )]);
    let plan = folder.plan(&["validate_body s.json"]);
    let name = "n".repeat(80);
    for value in
        [r#""SECRET""#, r#"["SECRET", 424242]"#, r#"{"k":"SECRET"}"#, r#"{"key":424242}"#, "424242"]
    {
        let body = format!("{{\"{name}\":{value}}}");
        let head = post("application/json");
        let refusal = refusal(&plan, &head, "/", &[], body.as_bytes()).unwrap();
        let text = format!("{refusal:?}");
        assert!(!text.contains("SECRET") && !text.contains("424242"), "{text}");
        assert!(!text.contains(&name) && text.contains(&name[..64]), "{text}");
        assert!(refusal.faults.iter().all(|fault| !fault.message.is_empty()));
    }
}

#[test]
fn a_long_list_of_bad_items_costs_twenty_errors() {
    let folder = Folder::with(&[("s.json", r#"{"items":{"type":"string"}}"#)]);
    let plan = folder.plan(&["validate_body s.json"]);
    let body = format!("[{}1]", "1,".repeat(100_000));
    let Err((400, _, faults)) = outcome(&plan, &body) else { panic!() };
    let expected: Vec<_> = (0..20).map(|index| format!("/{index} type")).collect();
    assert_eq!(faults, expected);
}

#[test]
fn alternatives_that_fail_often_leave_room_for_other_errors() {
    let folder = Folder::with(&[(
        "s.json",
        r#"{"properties":{
            "a":{"anyOf":[{"items":{"type":"integer"}},{"items":{"type":"boolean"}}]},
            "b":{"type":"integer"}}}"#,
    )]);
    let plan = folder.plan(&["validate_body s.json"]);
    for count in [100, 300] {
        let body = format!(r#"{{"a":[{}""],"b":""}}"#, "\"\",".repeat(count));
        let Err((400, _, faults)) = outcome(&plan, &body) else { panic!() };
        assert_eq!(faults, ["/a anyOf", "/b type"], "{count}");
    }
    let body = format!(r#"{{"a":[{}""],"b":""}}"#, "\"\",".repeat(100_000));
    let Err((400, _, faults)) = outcome(&plan, &body) else { panic!() };
    assert_eq!(faults, ["/a anyOf"]);
}

#[test]
fn json_in_forms_nests_no_deeper_than_bodies() {
    let folder = Folder::with(&[("s.json", r#"{"properties":{"o":{"type":"object"}}}"#)]);
    let types = "content_type=application/x-www-form-urlencoded,multipart/form-data";
    let plan = folder.plan(&[&format!("validate_body s.json {types}"), "validate_depth 3"]);
    for (value, passes) in [(r#"{"a":{"b":{}}}"#, true), (r#"{"a":{"b":{"c":{}}}}"#, false)] {
        for body in [format!("o={value}"), format!("o={}", value.replace('{', "%7B"))] {
            let head = post("application/x-www-form-urlencoded");
            let outcome = decide(&plan, &head, "/", body.as_bytes());
            assert_eq!(outcome.is_ok(), passes, "{body}");
        }
        let body = format!("--B\r\nContent-Disposition: form-data; name=o\r\n\r\n{value}\r\n--B--");
        let head = post("multipart/form-data; boundary=B");
        assert_eq!(decide(&plan, &head, "/", body.as_bytes()).is_ok(), passes, "{body}");
    }
}

#[test]
fn nothing_is_asked_of_the_text_of_a_file() {
    let folder = Folder::with(&[(
        "s.json",
        r#"{"required":["f"],"properties":{"f":{"type":"string","minLength":1,"maxLength":9,"pattern":"^(?!y)x","format":"email"},"n":{"type":"integer"},
            "many":{"type":"array","items":{"type":"string","minLength":1},"uniqueItems":true,"minItems":2}}}"#,
    )]);
    let plan = folder.plan(&["validate_body s.json content_type=multipart/form-data"]);
    let part = |name: &str| {
        format!("--B\r\nContent-Disposition: form-data; name={name}; filename=a\r\n\r\n\u{1}\r\n")
    };
    for (names, expected) in [
        (&["f"][..], Ok(())),
        (&["f", "many", "many"], Ok(())),
        (&["f", "many"], Err((400, BAD_BODY.to_owned(), vec!["/many minItems".to_owned()]))),
        (&["f", "n"], Err((400, BAD_BODY.to_owned(), vec!["/n type".to_owned()]))),
    ] {
        let parts: String = names.iter().map(|name| part(name)).collect();
        let head = post("multipart/form-data; boundary=B");
        let outcome = decide(&plan, &head, "/", format!("{parts}--B--").as_bytes());
        assert_eq!(outcome, expected, "{names:?}");
    }
}

#[test]
fn errors_name_the_branch_that_was_meant() {
    let folder = Folder::with(&[(
        "s.json",
        r#"{"oneOf":[
            {"properties":{"kind":{"const":"cat"},"lives":{"type":"integer"}},"required":["kind"]},
            {"properties":{"kind":{"const":"dog"},"tricks":{"type":"array"}},"required":["kind"]}]}"#,
    )]);
    let plan = folder.plan(&["validate_body s.json"]);
    let expected =
        Err((400, BAD_BODY.to_owned(), vec![" oneOf".to_owned(), "/tricks type".to_owned()]));
    assert_eq!(outcome(&plan, r#"{"kind":"dog","tricks":5}"#), expected);
}

#[test]
fn numbers_are_compared_as_they_are_written() {
    let folder = Folder::with(&[
        ("max.json", r#"{"maximum":9007199254740992}"#),
        ("tenth.json", r#"{"multipleOf":0.1,"exclusiveMaximum":0.3}"#),
        (
            "four.json",
            r#"{"$schema":"http://json-schema.org/draft-04/schema#","minimum":5,"exclusiveMinimum":true}"#,
        ),
    ]);
    for (schema, body, passes) in [
        ("max.json", "9007199254740992", true),
        ("max.json", "9007199254740993", false),
        ("max.json", "9007199254740993.0", false),
        ("max.json", "18446744073709551616", false),
        ("max.json", "1e400", false),
        ("max.json", "-1e400", true),
        ("tenth.json", "0.2", true),
        ("tenth.json", "0.25", false),
        ("tenth.json", "0.3", false),
        ("tenth.json", "0.29999999999999999999", false),
        ("four.json", "5", false),
        ("four.json", "5.0000000000000000000001", true),
    ] {
        let plan = folder.plan(&[&format!("validate_body {schema}")]);
        assert_eq!(outcome(&plan, body).is_ok(), passes, "{schema} {body}");
    }
}

#[test]
fn formats_are_asserted_in_every_draft() {
    for draft in ["4", "6", "7", "2019-09", "2020-12"] {
        for (format, good, bad) in [
            ("email", "a@example.org", "a@"),
            ("date-time", "2026-11-23T10:00:00Z", "yesterday"),
            ("date", "2026-11-23", "2026-13-01"),
            ("uuid", "2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d", "2c5ea4c0"),
            ("uri", "https://example.org/", "no uri"),
            ("ipv4", "192.0.2.1", "192.0.2.256"),
            ("ipv6", "2001:db8::1", "2001:db8::g"),
            ("duration", "P3D", "3 days"),
            ("idn-hostname", "bücher.example", "-bücher"),
        ] {
            let folder = Folder::with(&[("s.json", &format!(r#"{{"format":"{format}"}}"#))]);
            let plan = folder.plan(&[&format!("validate_body s.json draft={draft}")]);
            assert_eq!(outcome(&plan, &format!("{good:?}")), Ok(()), "{draft} {format}");
            assert!(outcome(&plan, &format!("{bad:?}")).is_err(), "{draft} {format}");
        }
    }
}

#[test]
fn patterns_are_those_of_ecma_262_and_cannot_blow_up() {
    let repeated = "a".repeat(40) + "!";
    for (pattern, text, passes) in [
        (r"^\\d+$", "12", true),
        (r"^\\d+$", "١٢", false),
        ("b", "abc", true),
        (r"^(?!admin$)[a-z]+(?<!x)$", "adminx", false),
        (r"^(?!admin$)[a-z]+(?<!x)$", "admin", false),
        (r"^(?!admin$)[a-z]+(?<!x)$", "adam", true),
        (r"^(.)\\1$", "aa", true),
        (r"^(.)\\1$", "ab", false),
        (r"^(?=.*\\d)(?=.*[A-Z]).{8,}$", "abcdefG1", true),
        (r"^(a+)+$", &repeated, false),
        (r"^(?:(a+)+)(?!b)$", &repeated, false),
        (r"^(a|aa)+\\1$", &repeated, false),
    ] {
        let folder =
            Folder::with(&[("s.json", &format!(r#"{{"items":{{"pattern":"{pattern}"}}}}"#))]);
        let plan = folder.plan(&["validate_body s.json"]);
        let items = vec![format!("\"{text}\""); 200].join(",");
        assert_eq!(outcome(&plan, &format!("[{items}]")).is_ok(), passes, "{pattern} {text}");
    }
}

#[test]
fn the_deepest_document_fits_the_stack_of_a_thread() {
    let folder = Folder::with(&[(
        "s.json",
        r##"{"type":["array","object"],"items":{"anyOf":[{"$ref":"#"},{"type":"null"}]},"additionalProperties":{"$ref":"#"}}"##,
    )]);
    let plan = folder.plan(&["validate_body s.json", "validate_depth 512"]);
    let check = decide_head(
        &plan,
        &HeadFacts {
            head: &post("application/json"),
            path: b"/",
            served_path: b"/",
            path_parameters: &[],
            has_body: false,
            max_body_bytes: 0,
        },
    );
    let check = check.body.unwrap();
    for (text, passes) in [
        ("[".repeat(512) + &"]".repeat(512), true),
        ("[".repeat(511) + "1" + &"]".repeat(511), false),
        ("{\"a\":".repeat(511) + "{}" + &"}".repeat(511), true),
    ] {
        let (plan, check) = (plan.clone(), check.clone());
        let decided =
            std::thread::spawn(move || decide_body(&plan, &check, text.as_bytes())).join();
        assert_eq!(decided.unwrap() == Decision::Continue, passes);
    }
}

proptest::proptest! {
    #[test]
    fn any_body_of_any_type_is_decided(body: Vec<u8>, text in "[-B\r\n{}:;=&%a-e\"0-9\\[\\],]{0,60}") {
        let folder = folder();
        let plan = folder.plan(&["validate_body user.json content_type=application/json,application/x-www-form-urlencoded,multipart/form-data"]);
        for kind in ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=B"] {
            let _ = decide(&plan, &post(kind), "/", &body);
            let _ = decide(&plan, &post(kind), "/", text.as_bytes());
        }
    }
}
