use super::*;
use crate::cases::parse::parse;

fn case(text: &str) -> Outcome<Case> {
    Case::from_block(&parse("x.t", &format!("=== a\n{text}"))?[0])
}

fn sent(case: &Case) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let sent = case.steps.iter().filter_map(|step| match step {
        Step::Send(exchange) => Some(match &exchange.message {
            Message::Request(request) => text(&request.to_bytes()),
            Message::Raw(bytes) => text(bytes),
        }),
        _ => None,
    });
    sent.collect()
}

fn statuses(case: &Case) -> Vec<u16> {
    let status = |step: &Step| match step {
        Step::Send(exchange) | Step::Until(exchange) => Some(exchange.expectation.status),
        _ => None,
    };
    case.steps.iter().filter_map(status).collect()
}

#[test]
fn a_request_is_a_line_and_a_body() {
    let case = case("--- request\nPOST /a\nhello\n\nworld\n--- more_headers\nX-A: 1\n").unwrap();
    assert_eq!(
        sent(&case),
        [
            "POST /a HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nContent-Length: 12\r\n\r\nhello\n\nworld"
        ]
    );
    assert_eq!(statuses(&case), [200]);
}

#[test]
fn arrays_give_each_request_its_own_values_and_plain_values_go_to_all() {
    let case = case(
        "--- request\n[\"GET /a\", {\"reload\": true}, \"POST /b\\nx\"]\n\
         --- more_headers\n[null, \"X-A: 1\"]\n--- error_code: 404\n",
    )
    .unwrap();
    assert_eq!(
        sent(&case),
        [
            "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST /b HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nContent-Length: 1\r\n\r\nx"
        ]
    );
    assert!(matches!(case.steps[1], Step::Reload));
    assert_eq!(statuses(&case), [404, 404]);
}

#[test]
fn all_steps_are_read() {
    let case = case(
        "--- request\n[{\"write\": \"conf/a\", \"content\": \"b\"}, {\"wait_for_log\": \"x\"}, \
         {\"control\": \"PUT /a {}\", \"response_json\": \"/a = 1\"}, {\"redis\": \"SET a 1\"}, {\"until\": \"GET /\", \
         \"error_code\": 401, \"more_headers\": \"A: b\", \"response_body_like\": \"c\"}, \"GET /\"]\n",
    )
    .unwrap();
    assert!(matches!(&case.steps[0], Step::Write(name, text) if name == "conf/a" && text == "b"));
    assert!(matches!(&case.steps[1], Step::WaitForLog(pattern) if pattern.as_str() == "x"));
    assert!(
        matches!(&case.steps[2], Step::Control(control, wanted) if control.body == "{}" && wanted.len() == 1)
    );
    assert!(matches!(&case.steps[3], Step::Redis(command, None) if command == "SET a 1"));
    assert_eq!(statuses(&case), [401, 200]);
}

#[test]
fn raw_requests_are_lines_or_exact_bytes() {
    for (text, bytes) in [
        ("--- raw_request\nGET / HTTP/1.1\nHost: a\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("--- raw_request\nPUT / HTTP/1.1\nA:b\n\nx\ny\n", "PUT / HTTP/1.1\r\nA:b\r\n\r\nx\ny"),
        ("--- raw_request json: \"GET /\\r\\n\\u0000\"\n", "GET /\r\n\0"),
        ("--- raw_request\n[\"GET /\\r\\n\"]\n", "GET /\r\n"),
    ] {
        assert_eq!(sent(&case(text).unwrap()), [bytes], "{text}");
    }
}

#[test]
fn latin1_characters_are_bytes() {
    let case = case("--- request latin1 json: \"POST /\\n\\u00ff\\u0000\"\n").unwrap();
    let Step::Send(Exchange { message: Message::Request(request), .. }) = &case.steps[0] else {
        panic!("not a request")
    };
    assert_eq!(request.parts().3, b"\xff\0");
}

#[test]
fn files_go_where_their_section_says() {
    let case = case(
        "--- user_files\n>>> a.txt\none\n\n>>> b/c.txt\n--- conf_files\n>>> d.json\n{}\n--- request: GET /\n",
    )
    .unwrap();
    let files: Vec<_> =
        case.files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(files, [("html/a.txt", "one\n\n"), ("html/b/c.txt", ""), ("conf/d.json", "{}\n")]);
}

#[test]
fn log_lines_are_text_or_a_regex() {
    let case = case("--- error_log\na.b\nqr/C+/i\n--- request: GET /\n").unwrap();
    let matches = |text: &str| case.error_log.iter().map(|r| r.is_match(text)).collect::<Vec<_>>();
    assert_eq!(matches("a.b ccc"), [true, true]);
    assert_eq!(matches("axb d"), [false, false]);
}

#[test]
fn headers_are_wanted_with_a_value_or_absent() {
    let case = case("--- request: GET /\n--- response_headers\nX-A: 1\n!X-B\nX-C:\n").unwrap();
    let Step::Send(exchange) = &case.steps[0] else { panic!("not a request") };
    let want = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    assert_eq!(
        exchange.expectation.headers,
        [want("X-A", Some("1")), want("X-B", None), want("X-C", None)]
    );
}

#[test]
fn mistakes_are_named_with_file_and_line() {
    for (text, error) in [
        ("", "x.t:1: request: missing, and the block expects nothing else"),
        ("--- response_body: a", "x.t:2: response_body: there is no request"),
        ("--- must_die", "x.t:2: must_die: needs error_log: why must it?"),
        (
            "--- must_die\n--- error_log: a\n--- request: GET /",
            "x.t:2: must_die: nginx that does not start answers no request",
        ),
        ("--- request: GET", "x.t:2: request: \"GET\" is no request line"),
        ("--- request: GET /\n--- raw_request: a", "x.t:3: raw_request: does not go with request"),
        ("--- request: [\"GET /\"", "x.t:2: request: is no JSON array: "),
        ("--- request: [{\"sleep\": 1}]", "x.t:2: request: unknown step {\"sleep\":1}"),
        (
            "--- request: [{\"until\": \"GET /\", \"code\": 1}]",
            "x.t:2: request: step {\"code\":1,\"until\":\"GET /\"}: unknown member \"code\"",
        ),
        (
            "--- request: [\"GET /\", \"GET /\"]\n--- error_code: [200]",
            "x.t:3: error_code: has 1 values for 2 requests",
        ),
        ("--- request: GET /\n--- error_code: ok", "x.t:2: request: error_code: invalid digit"),
        ("--- request: GET /\n--- error_log: qr/(/", "x.t:3: error_log: qr/(/: "),
        (
            "--- request: GET /\n--- error_log: qr/a/x",
            "x.t:3: error_log: qr/a/x: unsupported flags \"x\"",
        ),
        ("--- request: GET /\n--- timeout: soon", "x.t:3: timeout: must be seconds"),
        ("--- request: GET /\n--- workers: many", "x.t:3: workers: must be a number"),
        ("--- request: GET /\n--- env: A", "x.t:3: env: A: no \"=\" in \"A\""),
        ("--- request: GET /\n--- control: PUT", "x.t:3: control: PUT: must be METHOD PATH [JSON]"),
        (
            "--- request: GET /\n--- user_files: a",
            "x.t:3: user_files: must begin with \">>> NAME\"",
        ),
        ("--- request: GET /\n--- skip_flavour: system", "x.t:3: skip_flavour: must be a flavour"),
        ("--- pipelined_requests: GET /", "x.t:2: pipelined_requests: must be a JSON array"),
        ("--- raw_request: a\n--- http2", "x.t:3: http2: does not go with raw_request"),
    ] {
        let got = case(text).err().unwrap_or_else(|| panic!("{text:?} is taken")).to_string();
        assert!(got.starts_with(error), "{text:?}: {got}");
    }
}
