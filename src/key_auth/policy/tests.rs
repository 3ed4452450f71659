use std::path::Path;

use super::*;
use crate::consumers::{ConsumerEntry, KeyEntry, SetBuilder};
use crate::directive::{Directive as _, Place, Words};
use crate::key_auth::{BodyKind, KeyAuth, KeyAuthDirectives};
use crate::request::testing::Written;

const NOW: i64 = 1_000;

fn set() -> ConsumerSet {
    let key = |text: &str| KeyEntry::new(KeyDigest::of(text.as_bytes()));
    let mut old = key("expired");
    old.expires_at = Some(NOW);
    let mut new = key("future");
    new.not_before = Some(NOW + 1);
    let mut off = key("disabled");
    off.disabled = true;
    let mut builder = SetBuilder::new("s");
    let keys = vec![key("good"), key("other"), key("a b+c"), old, new, off];
    let bob = ConsumerEntry { username: Some("bob".into()), keys, ..Default::default() };
    builder.add(&bob, false).unwrap();
    let guest = ConsumerEntry { username: Some("guest".into()), ..Default::default() };
    builder.add(&guest, false).unwrap();
    builder.finish().unwrap()
}

fn plan(parameters: &str) -> KeyAuthPlan {
    let words: Vec<&str> = std::iter::once("s").chain(parameters.split_whitespace()).collect();
    let mut level = KeyAuthDirectives::default();
    let words = Words::new("key_auth", &words, Place::default(), Path::new("/"));
    KeyAuth::parse(&words, &mut level).unwrap();
    let set = set();
    level.compile(|_| Some((0, &set))).unwrap().unwrap()
}

/// `consumer`, `consumer (reason)` for anonymous, `reason` for a 401, `-` for a preflight.
fn summary(set: &ConsumerSet, outcome: &Outcome) -> String {
    let reason = outcome.failure.map(Reason::as_str);
    let name = |who: Identity| set.consumer(who.consumer()).unwrap().name().as_str();
    match (&outcome.decision, outcome.identity) {
        (Decision::Continue, None) => "-".to_owned(),
        (Decision::Continue, Some(who)) if who.is_anonymous() => {
            format!("{} ({})", name(who), reason.unwrap())
        }
        (Decision::Continue, Some(who)) => name(who).to_owned(),
        (Decision::Refuse(refusal), None) => {
            assert_eq!((refusal.status, refusal.policy), (401, Policy::KeyAuth));
            assert_eq!(Some(refusal.reason), outcome.failure);
            reason.unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

fn judge(parameters: &str, query: &str, headers: &[(&str, &str)]) -> String {
    let set = set();
    let request = Written::new("GET", query, headers);
    summary(&set, &decide(&plan(parameters), &set, &request, None, NOW))
}

#[test]
fn a_key_is_good_or_says_why_not() {
    for (headers, expected) in [
        (&[][..], "no_key"),
        (&[("X-Api-Key", "")], "no_key"),
        (&[("apikey", "good")], "no_key"),
        (&[("x_api_key", "good")], "no_key"),
        (&[("X-API-Key", "good")], "bob"),
        (&[("x-api-key", "Good")], "unknown_key"),
        (&[("x-api-key", " good")], "unknown_key"),
        (&[("x-api-key", "goo")], "unknown_key"),
        (&[("x-api-key", "expired")], "expired_key"),
        (&[("x-api-key", "future")], "future_key"),
        (&[("x-api-key", "disabled")], "disabled_key"),
        (&[("x-api-key", "good"), ("x-api-key", "good")], "duplicate_key"),
        (&[("x-api-key", "good"), ("x-api-key", "bad")], "duplicate_key"),
        (&[("x-api-key", ""), ("x-api-key", "good")], "bob"),
    ] {
        assert_eq!(judge("", "", headers), expected, "{headers:?}");
    }
}

#[test]
fn queries_are_decoded_once() {
    for (query, expected) in [
        ("", "no_key"),
        ("apikey", "no_key"),
        ("apikey=", "no_key"),
        ("apikey=good", "bob"),
        ("a=1&apikey=good&b", "bob"),
        ("%61pikey=g%6Fod", "bob"),
        ("apikey=a+b%2Bc", "bob"),
        ("apikey=g%256Fod", "unknown_key"),
        ("Apikey=good", "no_key"),
        ("apikey[]=good", "no_key"),
        ("apikey[1]=good", "no_key"),
        ("apikey=good&apikey=good", "duplicate_key"),
        ("apikey=good&%61pikey=bad", "duplicate_key"),
        ("apikey&apikey=&apikey=good", "bob"),
    ] {
        assert_eq!(judge("query=apikey", query, &[]), expected, "{query}");
    }
    // the default place is gone once another is named
    assert_eq!(judge("query=apikey", "", &[("x-api-key", "good")]), "no_key");
}

#[test]
fn cookies_are_read_from_every_cookie_header() {
    for (headers, expected) in [
        (&[("Cookie", "a=1; key=good")][..], "bob"),
        (&[("cookie", "a=1"), ("cookie", "key=good;b=2")], "bob"),
        (&[("cookie", "key=good"), ("cookie", "key=good")], "duplicate_key"),
        (&[("cookie", "key=; key=good")], "bob"),
        (&[("cookie", "Key=good; xkey=good")], "no_key"),
        (&[("cookie", "key=\"good\"")], "unknown_key"),
    ] {
        assert_eq!(judge("cookie=key", "", headers), expected, "{headers:?}");
    }
}

#[test]
fn places_must_agree() {
    let places = "header=x-key header=other query=key cookie=key";
    for (query, headers, expected) in [
        ("key=good", &[("x-key", "good"), ("cookie", "key=good")][..], "bob"),
        ("key=good", &[("x-key", "bad")], "duplicate_key"),
        ("key=other", &[("x-key", "good")], "duplicate_key"),
        ("key=", &[("x-key", ""), ("other", "good")], "bob"),
        ("key", &[("x-key", "good")], "bob"),
        ("", &[("other", "good"), ("cookie", "key=bad")], "duplicate_key"),
    ] {
        assert_eq!(judge(places, query, headers), expected, "{query} {headers:?}");
    }
}

#[test]
fn a_scheme_holds_for_headers_only() {
    let parameters = "header=authorization scheme=Bearer query=key";
    for (query, headers, expected) in [
        ("", &[("Authorization", "Bearer good")][..], "bob"),
        ("", &[("Authorization", "bearer  good")], "bob"),
        ("", &[("Authorization", "good")], "no_key"),
        ("", &[("Authorization", "Bearer")], "no_key"),
        ("", &[("Authorization", "Basic Z29vZA==")], "no_key"),
        ("", &[("Authorization", "Basic x"), ("Authorization", "Bearer good")], "bob"),
        ("key=good", &[("Authorization", "Basic x")], "bob"),
        ("key=good", &[("Authorization", "Bearer bad")], "duplicate_key"),
    ] {
        assert_eq!(judge(parameters, query, headers), expected, "{query} {headers:?}");
    }
}

#[test]
fn bodies_hold_keys_in_three_forms() {
    const BOUNDARY: &str = "multipart/form-data; boundary=b";
    let part = |head: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n--b--\r\n")
    };
    let set = set();
    for (content_type, body, expected) in [
        ("application/x-www-form-urlencoded", "a=1&key=a+b%2Bc".to_owned(), "bob"),
        ("application/x-www-form-urlencoded", "key=good&key=good".to_owned(), "duplicate_key"),
        ("application/x-www-form-urlencoded", "key=".to_owned(), "no_key"),
        ("application/json", r#"{"key":"good"}"#.to_owned(), "bob"),
        ("application/ld+json", r#"{"key":"g\u006fod"}"#.to_owned(), "bob"),
        ("application/json", r#"{"key":"good","key":"good"}"#.to_owned(), "duplicate_key"),
        ("application/json", r#"{"key":"good","second":"bad"}"#.to_owned(), "duplicate_key"),
        ("application/json", r#"{"key":["good"]}"#.to_owned(), "no_key"),
        ("application/json", r#"{"a":{"key":"good"}}"#.to_owned(), "no_key"),
        ("application/json", r#"{"key":"good""#.to_owned(), "no_key"),
        ("application/json", "7".to_owned(), "no_key"),
        (BOUNDARY, part("name=\"key\"", "good"), "bob"),
        (BOUNDARY, part("name=\"key\"; filename=\"f\"", "good"), "no_key"),
        (BOUNDARY, part("name=\"Key\"", "good"), "no_key"),
        ("text/plain", "key=good".to_owned(), "no_key"),
    ] {
        let plan = plan("body=key body=second");
        let kind = BodyKind::of(content_type.as_bytes());
        let view = kind.as_ref().map(|kind| BodyView { kind, bytes: body.as_bytes() });
        let request = Written::new("POST", "key=good", &[]);
        let outcome = decide(&plan, &set, &request, view.as_ref(), NOW);
        assert_eq!(summary(&set, &outcome), expected, "{content_type} {body}");
        assert_eq!(outcome.found.body, expected != "no_key", "{content_type} {body}");
    }
    assert!(plan("body=key").reads_body() && !plan("query=key").reads_body());
}

#[test]
fn only_real_preflights_pass_without_a_key() {
    let real = &[("Origin", "https://a"), ("Access-Control-Request-Method", "PUT")][..];
    let keyed = &[real[0], real[1], ("x-api-key", "good")];
    let set = set();
    for (parameters, method, headers, expected) in [
        ("", "OPTIONS", real, "-"),
        ("preflight=off", "OPTIONS", keyed, "-"),
        ("preflight=on", "OPTIONS", real, "no_key"),
        ("preflight=on", "OPTIONS", keyed, "bob"),
        ("", "OPTIONS", &real[..1], "no_key"),
        ("", "OPTIONS", &real[1..], "no_key"),
        ("", "options", real, "no_key"),
        ("", "OPTIONS", &[("Origin", ""), real[1]], "no_key"),
        ("", "OPTIONS", &[real[0], ("Access-Control-Request-Method", "")], "no_key"),
        ("", "GET", real, "no_key"),
    ] {
        let request = Written::new(method, "", headers);
        let outcome = decide(&plan(parameters), &set, &request, None, NOW);
        assert_eq!(summary(&set, &outcome), expected, "{parameters} {method} {headers:?}");
        assert_eq!(outcome.found.header, headers.len() == 3);
    }
}

#[test]
fn anonymous_stands_in_for_every_failure() {
    for (headers, expected) in [
        (&[][..], "guest (no_key)"),
        (&[("x-api-key", "bad")], "guest (unknown_key)"),
        (&[("x-api-key", "expired")], "guest (expired_key)"),
        (&[("x-api-key", "a"), ("x-api-key", "b")], "guest (duplicate_key)"),
        (&[("x-api-key", "good")], "bob"),
    ] {
        assert_eq!(judge("anonymous=guest", "", headers), expected, "{headers:?}");
    }
    // a set without the consumer is never in force; if it were, nobody would come in
    let empty = SetBuilder::new("s").finish().unwrap();
    let request = Written::new("GET", "", &[]);
    let outcome = decide(&plan("anonymous=guest"), &empty, &request, None, NOW);
    assert_eq!(summary(&empty, &outcome), "no_key");
}

#[test]
fn refusals_have_their_texts_and_challenge() {
    let set = set();
    for (headers, message, counts) in [
        (&[][..], "No API key found in request", false),
        (&[("x-api-key", "a"), ("x-api-key", "b")], "Duplicate API key found", true),
        (&[("x-api-key", "bad")], "Unauthorized", true),
        (&[("x-api-key", "disabled")], "Unauthorized", true),
    ] {
        let request = Written::new("GET", "", headers);
        let outcome = decide(&plan("realm=r"), &set, &request, None, NOW);
        assert_eq!(outcome.is_failed_key(), counts, "{headers:?}");
        let Decision::Refuse(refusal) = outcome.decision else { panic!("{headers:?}") };
        assert_eq!(refusal.message, message);
        let challenge = ("WWW-Authenticate", "Key realm=\"r\"".to_owned());
        assert_eq!(refusal.headers, [challenge]);
    }
    let refusal = too_many_failures(401, 9, Some("Key"));
    let headers = [("Retry-After", "9".to_owned()), ("WWW-Authenticate", "Key".to_owned())];
    assert_eq!(refusal.headers, headers);
    let refusal = too_many_failures(429, 0, Some("Key"));
    assert_eq!((refusal.status, &*refusal.message), (429, "Too many failed authentications"));
    assert_eq!(refusal.headers, [("Retry-After", "1".to_owned())]);
}

#[test]
fn a_wrong_key_is_found_for_hiding_and_only_key_headers_are() {
    let set = set();
    let plan = plan("header=authorization scheme=Bearer query=key cookie=key");
    let headers =
        [("authorization", "Bearer bad"), ("authorization", "Basic x"), ("cookie", "key=bad")];
    let request = Written::new("GET", "key=bad", &headers);
    let outcome = decide(&plan, &set, &request, None, NOW);
    assert_eq!(outcome.found, Found { header: true, query: true, cookie: true, body: false });
    let hidden: Vec<_> = request.headers().map(|header| plan.is_key_header(&header)).collect();
    assert_eq!(hidden, [true, false, false]);
    assert!(!format!("{outcome:?} {plan:?}").contains("bad"));
}

#[test]
fn failures_are_counted_by_network() {
    for (address, expected) in [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:3:3:4:5:6", "2001:db8:1:3::"),
    ] {
        let network = client_network(address.parse().unwrap());
        assert_eq!(network, expected.parse::<IpAddr>().unwrap(), "{address}");
    }
}
