use std::path::Path;

use super::*;
use crate::directive::{Directive, Words};
use crate::lambda::event::Payload;
use crate::lambda::function::{FunctionName, Invocation};

/// Reads `name word...` lines into one level.
fn level(lines: &[&str]) -> Result<LambdaDirectives, String> {
    let mut level = LambdaDirectives::default();
    for (number, line) in lines.iter().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        let (name, arguments) = words.split_first().unwrap();
        let place = Place { file: "nginx.conf".into(), line: number + 1 };
        let words = Words::new(name, arguments, place, Path::new("/nowhere"));
        parse(&words, &mut level).map_err(|error| error.to_string())?;
    }
    Ok(level)
}

fn parse(words: &Words<'_>, level: &mut LambdaDirectives) -> Result<(), DirectiveError> {
    macro_rules! dispatch {
        ($($directive:ident)*) => {
            match words.name() {
                $($directive::NAME => $directive::parse(words, level),)*
                other => panic!("{other}"),
            }
        };
    }
    dispatch!(
        LambdaPass LambdaEndpoint LambdaConnectTimeout LambdaSendTimeout LambdaReadTimeout
        LambdaKeepalive LambdaNextUpstream LambdaNextUpstreamTries LambdaNextUpstreamTimeout
        LambdaMaxRequest LambdaMaxResponse LambdaSslVerify LambdaSslTrustedCertificate
        LambdaSslName LambdaHideHeader LambdaPassHeader LambdaFunctionError LambdaLogTail
        LambdaStripPrefix LambdaStage ForwardedFrom
    )
}

fn plan(levels: &[&[&str]]) -> LambdaPlan {
    let mut levels = levels.iter().map(|lines| level(lines).unwrap());
    let outermost = levels.next().unwrap();
    let merged = levels.fold(outermost, |outer, mut inner| {
        inner.merge(&outer);
        inner
    });
    merged.compile().unwrap().unwrap()
}

#[test]
fn a_bare_lambda_pass_has_the_documented_defaults() {
    let plan = plan(&[&["lambda_pass hello"]]);
    assert_eq!(plan.pass.function, FunctionName::parse("hello"));
    assert_eq!(plan.pass.place.line, 1);
    assert!(!plan.pass.has_variables() && !plan.pass.stream);
    assert_eq!((plan.pass.payload, plan.pass.invocation), (Payload::V1, Invocation::Sync));
    assert_eq!(plan.endpoint, None);
    let timeouts = [plan.connect_timeout, plan.send_timeout, plan.read_timeout];
    assert_eq!(timeouts, [Duration::from_secs(60); 3]);
    let keepalive = Keepalive { max_idle: 64, timeout: Duration::from_secs(60), min_idle: 0 };
    assert_eq!(plan.keepalive, keepalive);
    assert_eq!(plan.next_upstream, Conditions { error: true, timeout: true, ..Conditions::NONE });
    assert_eq!((plan.next_upstream_tries, plan.next_upstream_timeout), (3, Duration::ZERO));
    assert_eq!((plan.max_request_bytes, plan.max_response_bytes), (6_291_456, 6_291_456));
    assert_eq!(plan.max_stream_bytes, u64::MAX);
    assert!(plan.ssl_verify && !plan.log_tail);
    assert_eq!(plan.function_error_status, 502);
    assert_eq!((plan.strip_prefix, plan.stage), (None, None));
    assert!(plan.forwarded_from.is_empty());
}

#[test]
fn every_directive_reaches_the_plan() {
    let plan = plan(&[&[
        "lambda_pass arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST payload=alb-multi invoke=async",
        "lambda_endpoint http://127.0.0.1:9001",
        "lambda_connect_timeout 1s",
        "lambda_send_timeout 2s",
        "lambda_read_timeout 500ms",
        "lambda_keepalive 8 min_idle=2 timeout=5s",
        "lambda_next_upstream throttled http_503 non_idempotent",
        "lambda_next_upstream_tries 0",
        "lambda_next_upstream_timeout 3s",
        "lambda_max_request 1m",
        "lambda_max_response 0",
        "lambda_ssl_verify off",
        "lambda_ssl_name lambda.example",
        "lambda_hide_header X-A",
        "lambda_hide_header X-B",
        "lambda_pass_header X-Amzn-RequestId",
        "lambda_function_error 500",
        "lambda_log_tail on",
        "lambda_strip_prefix /dev",
        "lambda_stage prod",
        "forwarded_from 10.0.0.0/8 ::1",
        "forwarded_from 192.0.2.1",
    ]]);
    assert_eq!(plan.pass.function.as_ref().and_then(FunctionName::region), Some("eu-west-1"));
    assert_eq!((plan.pass.payload, plan.pass.invocation), (Payload::AlbMulti, Invocation::Async));
    let (endpoint, place) = plan.endpoint.unwrap();
    assert_eq!((endpoint.host_header().as_str(), place.line), ("127.0.0.1:9001", 2));
    let timeouts = [plan.connect_timeout, plan.send_timeout, plan.read_timeout];
    assert_eq!(timeouts, [1_000, 2_000, 500].map(Duration::from_millis));
    let keepalive = Keepalive { max_idle: 8, timeout: Duration::from_secs(5), min_idle: 2 };
    assert_eq!(plan.keepalive, keepalive);
    let covered: Vec<u16> =
        (400..600).filter(|status| plan.next_upstream.covers_status(*status)).collect();
    assert_eq!(covered, [429, 503]);
    assert!(plan.next_upstream.non_idempotent && !plan.next_upstream.error);
    assert_eq!(plan.next_upstream_tries, 0);
    assert_eq!(plan.next_upstream_timeout, Duration::from_secs(3));
    assert_eq!((plan.max_request_bytes, plan.max_response_bytes), (1_048_576, usize::MAX));
    assert!(!plan.ssl_verify && plan.log_tail);
    assert_eq!(plan.ssl_name.as_deref(), Some("lambda.example"));
    assert_eq!(plan.hide_headers, [Box::<str>::from("x-a"), Box::<str>::from("x-b")]);
    assert_eq!(plan.pass_headers, [Box::<str>::from("x-amzn-requestid")]);
    assert_eq!(plan.function_error_status, 500);
    assert_eq!((plan.strip_prefix.as_deref(), plan.stage.as_deref()), (Some("/dev"), Some("prod")));
    assert_eq!(plan.forwarded_from.len(), 3);
}

#[test]
fn streams_are_bounded_only_where_a_bound_is_written() {
    for (lines, whole, stream) in [
        (&["lambda_pass f"][..], 6_291_456, u64::MAX),
        (&["lambda_pass f", "lambda_max_response 10"], 10, 10),
        (&["lambda_pass f", "lambda_max_response 0"], usize::MAX, u64::MAX),
    ] {
        let plan = plan(&[lines]);
        assert_eq!((plan.max_response_bytes, plan.max_stream_bytes), (whole, stream), "{lines:?}");
    }
    let inherited = plan(&[&["lambda_max_response 10"], &["lambda_pass f stream"]]);
    assert_eq!(inherited.max_stream_bytes, 10);
}

#[test]
fn functions_with_variables_are_left_for_the_request() {
    for (text, has_variables) in [
        ("$function", true),
        ("api-${stage}:live", true),
        ("arn:aws:lambda:eu-west-1:123456789012:function:$name:$LATEST", true),
        ("hello:$LATEST", false),
    ] {
        let plan = plan(&[&[&format!("lambda_pass {text}")]]);
        assert_eq!(plan.pass.has_variables(), has_variables, "{text}");
        assert_eq!(&*plan.pass.text, text);
    }
}

#[test]
fn inner_levels_win_and_off_stays_off() {
    let outer: &[&str] = &[
        "lambda_read_timeout 5s",
        "lambda_stage prod",
        "lambda_strip_prefix /v1",
        "lambda_hide_header X-A",
        "lambda_next_upstream throttled",
        "forwarded_from 10.0.0.0/8",
        "lambda_keepalive 3",
    ];
    let inherited = plan(&[outer, &[], &["lambda_pass f"]]);
    assert_eq!(inherited.read_timeout, Duration::from_secs(5));
    assert_eq!(inherited.stage.as_deref(), Some("prod"));
    assert_eq!(inherited.strip_prefix.as_deref(), Some("/v1"));
    assert_eq!(inherited.hide_headers, [Box::<str>::from("x-a")]);
    assert_eq!(inherited.forwarded_from.len(), 1);
    assert_eq!(inherited.keepalive.max_idle, 3);

    let middle: &[&str] = &[
        "lambda_stage off",
        "lambda_strip_prefix off",
        "lambda_hide_header X-B",
        "lambda_next_upstream off",
        "forwarded_from off",
        "lambda_keepalive off",
    ];
    let stopped = plan(&[outer, middle, &["lambda_pass f"]]);
    assert_eq!((stopped.stage, stopped.strip_prefix), (None, None));
    assert_eq!(stopped.hide_headers, [Box::<str>::from("x-b")]);
    assert_eq!(stopped.next_upstream, Conditions::NONE);
    assert!(stopped.forwarded_from.is_empty());
    assert_eq!(stopped.keepalive.max_idle, 0);
}

#[test]
fn a_nested_location_has_no_lambda_pass_of_its_own_but_a_block_shares_its_locations() {
    let location = level(&["lambda_pass f"]).unwrap();
    let mut nested = LambdaDirectives::default();
    nested.merge(&location);
    assert!(nested.compile().unwrap().is_none());
    let mut block = LambdaDirectives::default();
    block.merge(&location);
    block.inherit_pass(&location);
    assert_eq!(&*block.compile().unwrap().unwrap().pass.text, "f");
}

#[test]
fn what_is_wrong_is_named() {
    for (lines, expected) in [
        (&["lambda_pass a/b"][..], "invalid function \"a/b\""),
        (&["lambda_pass f payload=3.0"], "invalid parameter \"payload=3.0\""),
        (&["lambda_pass f payload=1.0 payload=2.0"], "duplicate parameter \"payload=2.0\""),
        (&["lambda_pass f invoke=later"], "invalid parameter \"invoke=later\""),
        (&["lambda_pass f stream=on"], "invalid parameter \"stream=on\""),
        (&["lambda_pass f streem"], "invalid parameter \"streem\""),
        (
            &["lambda_pass f stream invoke=async"],
            "\"stream\" cannot be used with \"invoke=async\" or \"invoke=dry_run\"",
        ),
        (
            &["lambda_pass https://a.lambda-url.eu-west-1.on.aws payload=2.0"],
            "\"payload\" cannot be used with function URL \"https://a.lambda-url.eu-west-1.on.aws\"",
        ),
        (&["lambda_pass f", "lambda_pass g"], "\"lambda_pass\" directive is duplicate"),
        (
            &["lambda_endpoint ftp://x"],
            "invalid value \"ftp://x\" in \"lambda_endpoint\" directive",
        ),
        (&["lambda_read_timeout 0"], "invalid value \"0\" in \"lambda_read_timeout\" directive"),
        (&["lambda_keepalive x"], "invalid value \"x\" in \"lambda_keepalive\" directive"),
        (&["lambda_keepalive 2 min_idle=3"], "invalid parameter \"min_idle=3\""),
        (&["lambda_keepalive 2 timeout=0"], "invalid parameter \"timeout=0\""),
        (
            &["lambda_next_upstream http_404"],
            "invalid value \"http_404\" in \"lambda_next_upstream\" directive",
        ),
        (
            &["lambda_next_upstream error off"],
            "invalid value \"off\" in \"lambda_next_upstream\" directive",
        ),
        (&["lambda_next_upstream error error"], "duplicate value \"error\""),
        (&["lambda_max_request 1t"], "invalid value \"1t\" in \"lambda_max_request\" directive"),
        (
            &["lambda_function_error 200"],
            "invalid value \"200\" in \"lambda_function_error\" directive",
        ),
        (&["lambda_hide_header a:b"], "invalid value \"a:b\" in \"lambda_hide_header\" directive"),
        (
            &["lambda_strip_prefix dev"],
            "invalid value \"dev\" in \"lambda_strip_prefix\" directive",
        ),
        (&["lambda_stage a/b"], "invalid value \"a/b\" in \"lambda_stage\" directive"),
        (
            &["forwarded_from 10.0.0.0/33"],
            "invalid value \"10.0.0.0/33\" in \"forwarded_from\" directive",
        ),
        (
            &["forwarded_from 10.0.0.0/8", "forwarded_from off"],
            "\"forwarded_from\" directive is duplicate",
        ),
        (
            &["lambda_ssl_trusted_certificate ca.pem"],
            "cannot read \"/nowhere/ca.pem\": No such file or directory (os error 2)",
        ),
        (&["lambda_stage a", "lambda_stage b"], "\"lambda_stage\" directive is duplicate"),
        (
            &["lambda_log_tail yes"],
            "invalid value \"yes\" in \"lambda_log_tail\" directive, it must be \"on\" or \"off\"",
        ),
    ] {
        assert_eq!(level(lines).unwrap_err(), expected, "{lines:?}");
    }
}
