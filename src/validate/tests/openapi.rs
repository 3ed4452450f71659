use super::*;

const HARBOUR: &str = include_str!("../../../tests/data/openapi/harbour.yaml");
const ID: &str = "2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d";

fn harbour(parameters: &str) -> ValidatePlan {
    let folder = Folder::with(&[("harbour.yaml", HARBOUR)]);
    folder.plan(&[&format!("validate_openapi harbour.yaml {parameters}")])
}

fn small(document: &str, parameters: &str) -> ValidatePlan {
    let folder = Folder::with(&[("api.json", document)]);
    folder.plan(&[&format!("validate_openapi api.json {parameters}")])
}

fn bad_param(faults: &[&str]) -> Outcome {
    Err((400, BAD_PARAM.to_owned(), faults.iter().map(ToString::to_string).collect()))
}

fn bad_body(faults: &[&str]) -> Outcome {
    Err((400, BAD_BODY.to_owned(), faults.iter().map(ToString::to_string).collect()))
}

#[test]
fn parameters_of_a_large_document_are_checked() {
    assert!(HARBOUR.matches("operationId").count() >= 50);
    let plan = harbour("");
    for (path, query, expected) in [
        ("/v2/status", "", Ok(())),
        ("/v2/shipments", "limit=5&cursor=abc&unknown=1", Ok(())),
        ("/v2/shipments", "limit=0", bad_param(&[" minimum"])),
        ("/v2/shipments", "status=draft&status=ready", Ok(())),
        ("/v2/shipments", "status=draft&status=lost", bad_param(&["/1 enum"])),
        ("/v2/shipments", &format!("ids={ID},{ID}"), Ok(())),
        ("/v2/shipments", "ids=1,2", bad_param(&["/0 format", "/1 format"])),
        ("/v2/shipments", "created[gte]=2026-01-01&created[lt]=2026-02-01", Ok(())),
        ("/v2/shipments", "created[gte]=soon", bad_param(&["/gte format"])),
        ("/v2/shipments", "created[from]=2026-01-01", bad_param(&[" additionalProperties"])),
        ("/v2/shipments/shp_12345678", "expand=events|label", Ok(())),
        ("/v2/shipments/shp_12345678", "expand=events,label", bad_param(&["/0 enum"])),
        ("/v2/shipments/SHP", "", bad_param(&[" pattern"])),
        ("/v2/shipments/shp_12345678/events/3", "", Ok(())),
        ("/v2/shipments/shp_12345678/events/2147483648", "", bad_param(&[" maximum"])),
        ("/v2/shipments/shp_12345678/label.pdf", "dpi=300", Ok(())),
        ("/v2/shipments/shp_12345678/label.doc", "dpi=301", bad_param(&[" enum", " enum"])),
        ("/v2/tracking/AB123456789CD,EF123456789GH", "", Ok(())),
        ("/v2/tracking/AB123456789CD,x", "", bad_param(&["/1 pattern"])),
        ("/v2/points/;lat=53.5;lon=9.9", "radius=5&services=drop%20print", Ok(())),
        ("/v2/points/;lat=95;lon=9.9", "radius=0", bad_param(&["/lat maximum", " minimum"])),
        ("/v2/rates", "filter=%7B%22max_days%22%3A3%7D", Ok(())),
        ("/v2/rates", "filter=%7B%22max_days%22%3A0%7D", bad_param(&["/max_days minimum"])),
        ("/v2/rates", "filter=3;", bad_param(&[" content"])),
        ("/v2/invoices", "number=&paid=true", Ok(())),
        ("/v2/invoices", "number=0&paid=yes", bad_param(&[" type", " minimum"])),
        ("/v2/customers/me", "", Ok(())),
    ] {
        let mut outcome = decide(&plan, &get(query), path, b"");
        if let (Err((.., found)), Err((.., expected))) = (&mut outcome, &expected) {
            found.sort();
            let mut expected = expected.clone();
            expected.sort();
            assert_eq!(*found, expected, "{path}?{query}");
            continue;
        }
        assert_eq!(outcome, expected, "{path}?{query}");
    }
    let cookie = |value| Written::new("GET", "", &[("Cookie", value)]);
    assert_eq!(decide(&plan, &cookie("a=b; session=12345678"), "/v2/customers/me", b""), Ok(()));
    let short = decide(&plan, &cookie("session=123; a=b"), "/v2/customers/me", b"");
    assert_eq!(short, bad_param(&[" minLength"]));
}

#[test]
fn bodies_of_a_large_document_are_checked() {
    let plan = harbour("");
    let json = "application/json";
    let address = r#"{"name":"A","street":["B 1"],"city":"C","country":"DE"}"#;
    for (method, path, kind, body, expected) in [
        ("POST", "/v2/addresses", json, address, Ok(())),
        (
            "POST",
            "/v2/addresses",
            json,
            r#"{"name":"A","street":["B 1"],"city":"C","country":"DE","phone":null,"company":null}"#,
            Ok(()),
        ),
        (
            "POST",
            "/v2/addresses",
            json,
            r#"{"name":"A","street":[],"city":"C","country":"DE"}"#,
            bad_body(&["/street minItems"]),
        ),
        (
            "POST",
            "/v2/addresses",
            json,
            r#"{"name":null,"street":["B 1"],"city":"C","country":"DE"}"#,
            bad_body(&["/name type"]),
        ),
        ("POST", "/v2/addresses", json, "", bad_body(&[" required"])),
        (
            "POST",
            "/v2/addresses",
            "text/plain",
            address,
            Err((415, "specified Content-Type is not allowed".to_owned(), vec![])),
        ),
        (
            "POST",
            "/v2/addresses",
            json,
            "{",
            Err((400, "request body is not valid JSON".to_owned(), vec![])),
        ),
        (
            "PATCH",
            "/v2/shipments/shp_12345678",
            "application/merge-patch+json",
            r#"{"reference":null}"#,
            Ok(()),
        ),
        (
            "PATCH",
            "/v2/shipments/shp_12345678",
            json,
            r#"{"reference":null}"#,
            Err((415, "specified Content-Type is not allowed".to_owned(), vec![])),
        ),
        (
            "PATCH",
            "/v2/shipments/shp_12345678",
            "application/merge-patch+json",
            "{}",
            bad_body(&[" minProperties"]),
        ),
        (
            "POST",
            "/v2/shipments/search",
            json,
            r#"{"all":[{"not":{"status":"ready"}},{"any":[{"reference":"x"}]}]}"#,
            Ok(()),
        ),
        (
            "POST",
            "/v2/shipments/search",
            json,
            r#"{"all":[{"not":{"state":"ready"}}]}"#,
            bad_body(&["/all/0/not additionalProperties"]),
        ),
        (
            "POST",
            "/v2/shipments/shp_12345678/events",
            json,
            r#"{"kind":"scan","at":"2026-11-23T10:00:00Z","depot":"HAM01"}"#,
            Ok(()),
        ),
        (
            "POST",
            "/v2/shipments/shp_12345678/events",
            json,
            r#"{"kind":"delivery","at":"2026-11-23T10:00:00Z","signature":"aGVsbG8="}"#,
            Ok(()),
        ),
        (
            "POST",
            "/v2/shipments/shp_12345678/events",
            json,
            r#"{"kind":"delivery","at":"2026-11-23T10:00:00Z","signature":"%"}"#,
            bad_body(&[" oneOf", "/signature format"]),
        ),
        (
            "POST",
            "/v2/shipments/shp_12345678:hold",
            json,
            r#"{"until":"2026-11-23T10:00:00Z"}"#,
            Ok(()),
        ),
        ("POST", "/v2/shipments/shp_12345678:release", json, "", Ok(())),
        (
            "PUT",
            "/v2/shipments/shp_12345678/documents/2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d",
            "application/pdf",
            "%PDF",
            Ok(()),
        ),
        (
            "POST",
            "/v2/token",
            "application/x-www-form-urlencoded",
            "grant_type=client_credentials&expires_in=60&scope=a",
            Ok(()),
        ),
        (
            "POST",
            "/v2/token",
            "application/x-www-form-urlencoded",
            "grant_type=password&expires_in=5",
            bad_body(&["/expires_in minimum", "/grant_type enum"]),
        ),
        (
            "POST",
            "/v2/addresses/validate",
            "application/x-www-form-urlencoded",
            "name=A&city=B&country=DE&residential=true",
            Ok(()),
        ),
        (
            "POST",
            "/v2/addresses/validate",
            json,
            "{}",
            bad_body(&[" required", " required", " required", " required"]),
        ),
        ("POST", "/v2/notes", "text/plain", "hello", Ok(())),
        ("POST", "/v2/notes", "text/plain", "", Ok(())),
        ("GET", "/v2/status", "text/plain", "an unexpected body", Ok(())),
    ] {
        let head = Written::new(method, "", &[("Content-Type", kind)]);
        let mut outcome = decide(&plan, &head, path, body.as_bytes());
        if let Err((.., faults)) = &mut outcome
            && !faults.iter().any(|fault| fault == " oneOf")
        {
            faults.sort();
        }
        assert_eq!(outcome, expected, "{method} {path} {body}");
    }
    let part = |name: &str, value: &str| {
        format!("--B\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n")
    };
    let file = "--B\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n\u{1}\r\n--B--";
    let path = "/v2/shipments/shp_12345678/documents";
    for (body, expected) in [
        (format!("{}{}{file}", part("kind", "photo"), part("pages", "3")), Ok(())),
        (
            format!("{}{}{file}", part("kind", "photo"), part("pages", "300")),
            bad_body(&["/pages maximum"]),
        ),
        (file.to_owned(), bad_body(&[" required"])),
    ] {
        let head = post("multipart/form-data; boundary=B");
        assert_eq!(decide(&plan, &head, path, body.as_bytes()), expected);
    }
}

#[test]
fn an_operation_may_want_a_header() {
    let plan = harbour("");
    let head = |key: &'static str| {
        Written::new("POST", "", &[("Content-Type", "application/json"), ("idempotency-key", key)])
    };
    let body = format!(
        r#"{{"from":{{"address_id":"{ID}"}},"to":{{"address_id":"{ID}"}},"parcels":[{{"weight_g":5}}],"insurance":null}}"#
    );
    assert_eq!(decide(&plan, &head(ID), "/v2/shipments", body.as_bytes()), Ok(()));
    let bad = decide(&plan, &head("x"), "/v2/shipments", body.as_bytes());
    assert_eq!(bad, bad_param(&[" format"]));
    let absent = decide(&plan, &post("application/json"), "/v2/shipments", body.as_bytes());
    assert_eq!(absent, bad_param(&[" required"]));
}

#[test]
fn unknown_paths_and_methods_pass_unless_denied() {
    let (allow, deny) = (harbour(""), harbour("unknown=deny"));
    let head = |method| Written::new(method, "", &[]);
    let found = |plan: &ValidatePlan, method, path: &str| {
        let refusal = refusal(plan, &head(method), path, &[], b"")?;
        let allow = refusal.headers.first().map(|(name, value)| format!("{name}: {value}"));
        Some((refusal.status, refusal.message.into_owned(), allow.unwrap_or_default()))
    };
    let no_path = Some((404, "No such operation".to_owned(), String::new()));
    let no_method =
        |allow: &str| Some((405, "Method not allowed".to_owned(), format!("Allow: {allow}")));
    for (method, path, denied) in [
        ("GET", "/v2/status", None),
        ("HEAD", "/v2/shipments", None),
        ("GET", "/v2/nothing", no_path.clone()),
        ("GET", "/status", no_path.clone()),
        ("GET", "/v2", no_path.clone()),
        ("GET", "/v2/status/", no_path.clone()),
        ("PUT", "/v2/shipments", no_method("GET, POST, HEAD")),
        ("GET", "/v2/token", no_method("POST")),
        ("get", "/v2/status", no_method("GET, OPTIONS, HEAD")),
    ] {
        assert_eq!(found(&deny, method, path), denied, "{method} {path}");
        assert_eq!(found(&allow, method, path), None, "{method} {path}");
    }
    let empty = r#"{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{"/a":{}}}"#;
    assert_eq!(found(&small(empty, "unknown=deny"), "GET", "/a"), no_path);
    assert!(found(&harbour("base=/api unknown=deny"), "GET", "/api/status").is_none());
    assert!(found(&harbour("base=/ unknown=deny"), "GET", "/status").is_none());
}

#[test]
fn another_spelling_of_a_path_is_the_same_operation() {
    let plan = harbour("");
    for path in [
        "/v2/invoices",
        "//v2/./invoices",
        "/v2/x/../invoices",
        "/%76%32/invoic%65s",
        "/v2/%2e/invoices",
    ] {
        assert_eq!(decide(&plan, &get("paid=x"), path, b""), bad_param(&[" type"]), "{path}");
    }
}

#[test]
fn an_encoded_slash_is_no_way_round_an_operation() {
    let operation =
        r#"{"parameters":[{"name":"q","in":"query","schema":{"type":"integer"}}],"responses":{}}"#;
    let plan = small(
        &format!(
            r#"{{"openapi":"3.0.0","info":{{"title":"t","version":"1"}},"paths":{{
                "/v1/users":{{"get":{operation}}},
                "/p%25q/r":{{"get":{operation}}},
                "/{{name}}":{{"put":{{"parameters":[{{"name":"name","in":"path","required":true}}],"responses":{{}}}}}}}}}}"#
        ),
        "unknown=deny",
    );
    for (sent, served, expected) in [
        ("/v1%2Fusers", "/v1/users", bad_param(&[" type"])),
        ("/p%25q%2fr", "/p%q/r", bad_param(&[" type"])),
        ("/old", "/v1/users", bad_param(&[" type"])),
        ("/a%2Fb", "/a/b", Err((405, "Method not allowed".to_owned(), vec![]))),
        ("/a/b%2Fc", "/a/b/c", Err((404, "No such operation".to_owned(), vec![]))),
    ] {
        let facts = HeadFacts {
            head: &get("q=x"),
            path: sent.as_bytes(),
            served_path: served.as_bytes(),
            path_parameters: &[],
            has_body: false,
            max_body_bytes: 0,
        };
        let outcome = outcome(refusal_of(&plan, &facts, b""));
        assert_eq!(outcome, expected, "{sent} {served}");
    }
}

#[test]
fn an_empty_argument_that_is_allowed_allows_no_other() {
    let plan = small(
        r#"{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{"parameters":[
            {"name":"ae","in":"query","allowEmptyValue":true,"schema":{"type":"integer"}}],"responses":{}}}}}"#,
        "",
    );
    for (query, passes) in [
        ("ae=", true),
        ("ae", true),
        ("ae=&ae=", true),
        ("ae=5", true),
        ("ae=&ae=x", false),
        ("ae=x&ae=", false),
    ] {
        assert_eq!(decide(&plan, &get(query), "/a", b"").is_ok(), passes, "{query}");
    }
}

#[test]
fn json_in_parameters_nests_no_deeper_than_bodies() {
    let folder = Folder::with(&[(
        "api.json",
        r#"{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{"parameters":[
            {"name":"q","in":"query","content":{"application/json":{"schema":{}}}}],"responses":{}}}}}"#,
    )]);
    let plan = folder.plan(&["validate_openapi api.json", "validate_depth 2"]);
    assert_eq!(decide(&plan, &get("q=[[1]]"), "/a", b""), Ok(()));
    assert_eq!(decide(&plan, &get("q=[[[]]]"), "/a", b""), bad_param(&[" content"]));
}

#[test]
fn version_3_1_is_json_schema_2020_12() {
    let plan = small(
        r##"{"openapi":"3.1.0","info":{"title":"t","version":"1"},"servers":[{"url":"/api"}],
        "paths":{"/things/{id}":{"$ref":"#/components/pathItems/thing"}},
        "components":{
            "pathItems":{"thing":{
                "parameters":[{"name":"id","in":"path","required":true,"schema":{"type":["integer","null"],"exclusiveMinimum":5}}],
                "put":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"const":7}},{"name":"q","in":"query","required":true}],
                    "requestBody":{"content":{"*/*":{"schema":{"$ref":"#/components/schemas/Thing"}}}}},
                "get":{}}},
            "schemas":{"Thing":{"type":"object","properties":{"pair":{"prefixItems":[{"type":"string"},{"type":"integer"}],"items":false}},"unevaluatedProperties":false}}}}"##,
        "",
    );
    let put = |query: &str| Written::new("PUT", query, &[("Content-Type", "application/json")]);
    for (head, path, body, expected) in [
        (get(""), "/api/things/6", "", Ok(())),
        (get(""), "/api/things/5", "", bad_param(&[" exclusiveMinimum"])),
        (get(""), "/api/things/null", "", Ok(())),
        (put("q"), "/api/things/7", r#"{"pair":["a",1]}"#, Ok(())),
        (put("q=1"), "/api/things/6", "{}", bad_param(&[" const"])),
        (put(""), "/api/things/7", "{}", bad_param(&[" required"])),
        (put("q"), "/api/things/7", r#"{"pair":["a",1,2]}"#, bad_body(&["/pair/2 items"])),
        (put("q"), "/api/things/7", r#"{"other":1}"#, bad_body(&[" unevaluatedProperties"])),
        (put("q"), "/api/things/7", "", Ok(())),
    ] {
        let outcome = decide(&plan, &head, path, body.as_bytes());
        assert_eq!(outcome, expected, "{path} {body}");
    }
}

#[test]
fn yaml_is_read_as_people_write_it() {
    let document = "openapi: 3.0.0\ninfo: {title: t, version: 1.0}\npaths:\n  /a:\n    get:\n      \
        parameters: &all\n        - {name: on, in: query, schema: {type: string, enum: [on, no, 2026-11-23]}}\n      \
        responses:\n        200: {description: Done}\n        default: {description: Failed}\n    \
        head:\n      parameters: *all\n      responses: {}\n";
    let plan = small(document, "");
    for (query, expected) in
        [("on=no", Ok(())), ("on=2026-11-23", Ok(())), ("on=off", bad_param(&[" enum"]))]
    {
        assert_eq!(decide(&plan, &get(query), "/a", b""), expected, "{query}");
        let head = Written::new("HEAD", query, &[]);
        assert_eq!(decide(&plan, &head, "/a", b""), expected, "{query}");
    }
    let folder = Folder::with(&[("a.yaml", "openapi: 3.0.0\nopenapi: 3.1.0\n")]);
    let error = folder.error(&["validate_openapi a.yaml"]);
    assert!(error.starts_with("document \"a.yaml\" is invalid at \"\": not YAML: "), "{error}");
}

#[test]
fn what_is_not_supported_is_named() {
    let document = |paths: &str| {
        format!(r#"{{"openapi":"3.0.3","info":{{"title":"t","version":"1"}},"paths":{{{paths}}}}}"#)
    };
    let parameter = |parameter: &str| {
        document(&format!(r#""/a/{{b}}":{{"get":{{"parameters":[{parameter}]}}}}"#))
    };
    let body = |content: &str| {
        document(&format!(r#""/a":{{"post":{{"requestBody":{{"content":{{{content}}}}}}}}}"#))
    };
    for (document, expected) in [
        (r#"{"swagger":"2.0"}"#.to_owned(), r#""/openapi": the version must be 3.0 or 3.1"#),
        (r#"{"openapi":"3.2.0"}"#.to_owned(), r#""/openapi": the version must be 3.0 or 3.1"#),
        (r#"{"openapi":"3.0.0"}"#.to_owned(), r#""/paths": must be an object"#),
        (r#"{"openapi":"3.1.0","paths":[]}"#.to_owned(), r#""/paths": must be an object"#),
        (document(r#""users":{}"#), r#""/paths/users": a path must begin with a slash"#),
        (document(r#""/a":null"#), r#""/paths/~1a": must be an object"#),
        (document(r#""/a":{"get":null}"#), r#""/paths/~1a/get": must be an object"#),
        (
            document(r#""/a":{"gett":{}}"#),
            r#""/paths/~1a/gett": neither a method nor a field of a path"#,
        ),
        (
            document(r#""/a/{b}.{c}":{"parameters":[{"name":"b","in":"path"}],"put":{}}"#),
            r#""/paths/~1a~1{b}.{c}/put": the parameter "c" is not described"#,
        ),
        (
            parameter(
                r#"{"name":"x","in":"query","style":"deepObject","explode":false,"schema":{"type":"object"}}"#,
            ),
            r#""/paths/~1a~1{b}/get/parameters/0": style "deepObject" requires "explode=on""#,
        ),
        (
            parameter(
                r#"{"name":"x","in":"query","style":"pipeDelimited","explode":true,"schema":{"type":"array"}}"#,
            ),
            r#""/paths/~1a~1{b}/get/parameters/0": style "pipeDelimited" requires "explode=off""#,
        ),
        (
            parameter(
                r#"{"name":"x","in":"query","style":"spaceDelimited","schema":{"type":"object"}}"#,
            ),
            r#""/paths/~1a~1{b}/get/parameters/0": style "spaceDelimited" requires a schema of type "array""#,
        ),
        (
            r#"{"openapi":"3.1.0","jsonSchemaDialect":"https://example.com/d"}"#.to_owned(),
            r#""/jsonSchemaDialect": unsupported dialect"#,
        ),
        (
            document(r#""/a":{"servers":[],"get":{}}"#),
            r#""/paths/~1a/servers": servers of a path or operation are not supported without "base""#,
        ),
        (
            document(r#""/a/{b}{c}":{}"#),
            r#""/paths/~1a~1{b}{c}": two parameters with nothing between them are not supported"#,
        ),
        (
            document(r#""/a/{b}":{},"/a/{c}":{}"#),
            r#""/paths/~1a~1{c}": the same path is there already"#,
        ),
        (
            document(r##""/a":{"$ref":"other.yaml#/a"}"##),
            r#""/paths/~1a/$ref": the reference to "other.yaml#/a" leads to nothing in the document"#,
        ),
        (
            parameter(r#"{"name":"x","in":"body"}"#),
            r#""/paths/~1a~1{b}/get/parameters/0/in": unsupported value"#,
        ),
        (
            parameter(r#"{"name":"b","in":"path","style":"form"}"#),
            r#""/paths/~1a~1{b}/get/parameters/0/style": unsupported value"#,
        ),
        (
            parameter(r#"{"name":"z","in":"path"}"#),
            r#""/paths/~1a~1{b}/get": the path has no parameter "z""#,
        ),
        (
            parameter(r#"{"name":"x","in":"query"},{"name":"x","in":"query"}"#),
            r#""/paths/~1a~1{b}/get/parameters/1": the parameter is there already"#,
        ),
        (
            parameter(r#"{"name":"x","in":"query","content":{"text/csv":{}}}"#),
            r#""/paths/~1a~1{b}/get/parameters/0/content/text~1csv": parameters of this media type are not supported"#,
        ),
        (
            parameter(r#"{"name":"x","in":"query","schema":{"const":1}}"#),
            r#""/paths/~1a~1{b}/get/parameters/0/schema/const": the keyword "const" is not part of OpenAPI 3.0"#,
        ),
        (
            parameter(
                r##"{"name":"x","in":"query","schema":{"$ref":"#/components/schemas/None"}}"##,
            ),
            r#""/paths/~1a~1{b}/get/parameters/0/schema": Pointer '/components/schemas/None' does not exist"#,
        ),
        (body(r#""json":{}"#), r#""/paths/~1a/post/requestBody/content/json": not a media type"#),
        (
            body(r#""application/json":{"schema":{"items":{"type":"text"}}}"#),
            r#""/paths/~1a/post/requestBody/content/application~1json/schema/items": value is not valid under any of the schemas listed in the 'anyOf' keyword"#,
        ),
        (
            body(
                r#""application/x-www-form-urlencoded":{"schema":{"properties":{"o":{"type":"object"}}}}"#,
            ),
            r#""/paths/~1a/post/requestBody/content/application~1x-www-form-urlencoded/schema": the object "o" in a urlencoded form is not supported"#,
        ),
        (
            body(r#""multipart/form-data":{"encoding":{"a":{"style":"deepObject"}}}"#),
            r#""/paths/~1a/post/requestBody/content/multipart~1form-data/encoding/a": styles of form fields are not supported"#,
        ),
    ] {
        let folder = Folder::with(&[("api.json", &document)]);
        let error = folder.error(&["validate_openapi api.json"]);
        let error = error.strip_prefix("document \"api.json\" is invalid at ").map(str::to_owned);
        assert_eq!(error.as_deref(), Some(expected), "{document}");
    }
}
