//! The functions that are there from the start.

use serde_json::{Value, json};

use crate::functions::Spec;

/// The JSON value as a spec; the values below are written by hand and read by a test.
fn spec(value: Value) -> Option<Spec> {
    serde_json::from_value(value).ok()
}

/// The reply of a built-in function, or nothing when the name is none.
pub(crate) fn builtin(name: &str) -> Option<Spec> {
    if let Some(ms) = name.strip_prefix("slow-").and_then(|n| n.parse::<u64>().ok()) {
        return spec(json!({"payload": text_reply(&format!("slept {ms} ms")), "delay_ms": ms}));
    }
    let reply = match name {
        "echo"
        | "echo-raw"
        | "flask"
        | "flask-serverless-wsgi"
        | "flask-apig-wsgi"
        | "flask-aws-wsgi"
        | "flask-mangum" => json!({"like": name}),
        "hello" => json!({"payload": text_reply("hello")}),
        "throttled" => json!({"api_error": "TooManyRequestsException"}),
        "denied" => json!({"api_error": "AccessDeniedException"}),
        "not-found" => json!({"api_error": "ResourceNotFoundException"}),
        "broken" => json!({"api_error": "ServiceException"}),
        "error-handled" => json!({
            "function_error": "Handled",
            "payload": {"errorMessage": "the order is unknown", "errorType": "OrderError"},
        }),
        "error-unhandled" => json!({
            "function_error": "Unhandled",
            "payload": {
                "errorMessage": "division by zero",
                "errorType": "ZeroDivisionError",
                "requestId": "00000000-0000-0000-0000-000000000000",
                "stackTrace": ["  File \"/var/task/app.py\", line 3, in handler\n    return 1 / 0\n"],
            },
        }),
        "too-large-reply" => json!({
            "function_error": "Unhandled",
            "payload": {
                "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
                "errorType": "Function.ResponseSizeTooLarge",
            },
        }),
        "not-json" => json!({"payload_raw_base64": "PGh0bWw+bm90IGpzb248L2h0bWw+"}),
        "reset" => json!({"payload": null, "cut_at_byte": 0}),
        "close-early" => {
            json!({"payload": text_reply("this is cut"), "cut_at_byte": 0, "cut_with": "fin"})
        }
        "hang" => json!({"payload": null, "hang": true}),
        "binary" => json!({"payload": {
            "statusCode": 200,
            "headers": {"content-type": "image/png"},
            "body": "iVBORw0KGgr//gA=",
            "isBase64Encoded": true,
        }}),
        "cookies-multi" => json!({"payload": {
            "statusCode": 200,
            "headers": {"content-type": "text/plain"},
            "multiValueHeaders": {"set-cookie": COOKIES},
            "body": "cookies",
        }}),
        "cookies-variants" => json!({"payload": {
            "statusCode": 200,
            "headers": {
                "content-type": "text/plain",
                "set-cookie": COOKIES[0], "Set-cookie": COOKIES[1], "sEt-cookie": COOKIES[2],
            },
            "body": "cookies",
        }}),
        "cookies" | "cookies-v2" => json!({"payload": {
            "statusCode": 200,
            "headers": {"content-type": "text/plain"},
            "cookies": COOKIES,
            "body": "cookies",
        }}),
        "stream" => json!({
            "http_integration": {"statusCode": 200, "headers": {"content-type": "text/plain"}},
            "stream": [{"data": "one\n"}, {"data": "two\n", "delay_ms": 50}, {"data": "three\n", "delay_ms": 50}],
        }),
        _ => fixed_reply(name.strip_prefix("reply-")?)?,
    };
    spec(reply)
}

const COOKIES: [&str; 3] =
    ["a=1; Path=/", "b=2; Path=/; HttpOnly", "c=3; Expires=Wed, 21 Oct 2026 07:28:00 GMT"];

/// The table behind `reply-NAME`: shapes that a reader of proxy replies has to judge.
fn fixed_reply(name: &str) -> Option<Value> {
    let payload = match name {
        "empty-object" => json!({}),
        "null" => Value::Null,
        "string" => json!("just text"),
        "array" => json!([1, 2]),
        "no-body" => json!({"statusCode": 200}),
        "null-headers" => {
            json!({"statusCode": 200, "headers": null, "multiValueHeaders": null, "body": "x"})
        }
        "status-string" => json!({"statusCode": "201", "body": "created"}),
        "status-float" => json!({"statusCode": 200.0, "body": "float"}),
        "status-missing" => json!({"body": "no status"}),
        "status-99" => json!({"statusCode": 99, "body": "x"}),
        "status-600" => json!({"statusCode": 600, "body": "x"}),
        "status-101" => json!({"statusCode": 101, "body": "x"}),
        "body-object" => json!({"statusCode": 200, "body": {"a": 1}}),
        "base64-text-flag" => json!({"statusCode": 200, "body": "eA==", "isBase64Encoded": "true"}),
        "base64-broken" => json!({"statusCode": 200, "body": "!!!", "isBase64Encoded": true}),
        "header-types" => json!({
            "statusCode": 200,
            "headers": {"x-number": 1, "x-bool": true, "x-null": null, "x-list": ["a", "b"], "x-float": 1.5},
            "body": "x",
        }),
        "header-crlf" => json!({"statusCode": 200, "headers": {"x-a": "1\r\nx-b: 2"}, "body": "x"}),
        "header-hop" => json!({
            "statusCode": 200,
            "headers": {"connection": "close", "transfer-encoding": "chunked", "content-length": "999", "keep-alive": "x"},
            "body": "hop",
        }),
        "header-both" => json!({
            "statusCode": 200,
            "headers": {"x-single": "1", "x-both": "single"},
            "multiValueHeaders": {"X-Both": ["m1", "m2"]},
            "body": "x",
        }),
        "204" => json!({"statusCode": 204, "body": ""}),
        "304" => json!({"statusCode": 304, "headers": {"etag": "\"1\""}, "body": ""}),
        "404" => {
            json!({"statusCode": 404, "headers": {"content-type": "application/json"}, "body": "{\"error\":\"none\"}"})
        }
        "redirect" => json!({"statusCode": 302, "headers": {"location": "/elsewhere"}, "body": ""}),
        "unicode" => json!({
            "statusCode": 200,
            "headers": {"content-type": "text/plain; charset=utf-8"},
            "body": "h\u{e9}llo \u{1F30D}",
        }),
        _ => return None,
    };
    Some(json!({ "payload": payload }))
}

fn text_reply(body: &str) -> Value {
    json!({"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": body})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_name_is_a_valid_spec() {
        let names = "echo echo-raw flask flask-serverless-wsgi flask-apig-wsgi flask-aws-wsgi flask-mangum hello \
            throttled denied not-found broken error-handled error-unhandled too-large-reply not-json reset close-early \
            hang binary cookies cookies-v2 cookies-multi cookies-variants stream slow-300 reply-null reply-string \
            reply-header-types";
        for name in names.split_whitespace() {
            assert!(builtin(name).is_some(), "{name}");
        }
        for name in ["", "slow-x", "reply-nothing", "flask-zappa"] {
            assert!(builtin(name).is_none(), "{name}");
        }
    }
}
