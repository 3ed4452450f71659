use std::path::Path;
use std::time::Duration;

use super::*;
use crate::rate_limit::fleet::Address;
use crate::rate_limit::rate::Unit;
use crate::rate_limit::zone::{OnError, RateLimitZone, RateLimitZones, StorePlan, Sync};

fn at(line: usize) -> Place {
    Place { file: "nginx.conf".into(), line }
}

fn read<D: Directive>(
    level: &mut D::Settings,
    text: &str,
    line: usize,
) -> Result<(), DirectiveError> {
    let arguments: Vec<&str> = text.split(' ').collect();
    D::parse(&Words::new(D::NAME, &arguments, at(line), Path::new("/etc/nginx")), level)
}

fn level(limits: &[&str]) -> RateLimitDirectives {
    let mut level = RateLimitDirectives::default();
    for (line, text) in limits.iter().enumerate() {
        read::<RateLimit>(&mut level, text, line + 1).unwrap();
    }
    level
}

fn http(zones: &[&str]) -> RateLimitZones {
    let mut level = RateLimitZones::default();
    for text in zones {
        read::<RateLimitZone>(&mut level, text, 1).unwrap();
    }
    level
}

fn plan(level: &RateLimitDirectives) -> RateLimitPlan {
    level.compile(http(&["a:1m", "b:1m"]).zones()).unwrap().unwrap()
}

#[test]
fn a_limit_has_the_contract_s_defaults_and_parameters() {
    let plan = plan(&level(&[
        "100r/m 1000r/h zone=a",
        "5r/s zone=b by=header:X-Tenant window=sliding name=t cost=$c count=all dry_run",
        "5r/s by=$arg_x=$arg_y zone=b cost=20",
    ]));
    let [first, second, third] = plan.limits.as_slice() else { panic!("three limits") };
    assert_eq!(
        first.rates,
        [Rate { limit: 100, unit: Unit::Minute }, Rate { limit: 1_000, unit: Unit::Hour }]
    );
    assert_eq!(
        (first.zone, &first.key, first.window),
        (0, &KeyTemplate::Consumer, WindowKind::Fixed)
    );
    assert_eq!(
        (&first.cost, first.counting, first.dry_run),
        (&Cost::Fixed(1), Counting::Allowed, false)
    );
    assert_eq!(
        (second.zone, second.window, second.counting),
        (1, WindowKind::Sliding, Counting::All)
    );
    assert_eq!((&second.cost, second.dry_run), (&Cost::Variable("$c".into()), true));
    assert_eq!(second.key, KeyTemplate::parse("header:x-tenant").unwrap());
    assert_eq!(third.key, KeyTemplate::Variables("$arg_x=$arg_y".into()));
    assert_eq!(third.cost, Cost::Fixed(20));
    assert!(plan.headers);
}

#[test]
fn what_is_wrong_in_a_limit_is_named() {
    for (text, expected) in [
        ("zone=a", "no rate in \"rate_limit\" directive"),
        ("10r/m", "\"rate_limit\" must have \"zone\" parameter"),
        ("10r/m zone=", "invalid parameter \"zone=\""),
        ("10r/x zone=a", "invalid rate \"10r/x\""),
        ("0r/m zone=a", "invalid rate \"0r/m\""),
        ("off zone=a", "invalid parameter \"zone=a\""),
        ("10r/m 20r/m zone=a", "duplicate unit in rate \"20r/m\""),
        ("10r/m 9r/h zone=a", "rate \"9r/h\" allows less than \"10r/m\""),
        ("9r/y 10r/s zone=a", "rate \"9r/y\" allows less than \"10r/s\""),
        ("10r/m zone=a zone=b", "duplicate parameter \"zone=b\""),
        ("10r/m zone=a by=moon", "invalid parameter \"by=moon\""),
        ("10r/m zone=a by=header:", "invalid parameter \"by=header:\""),
        ("10r/m zone=a window=tumbling", "invalid parameter \"window=tumbling\""),
        ("10r/m zone=a cost=0", "invalid parameter \"cost=0\""),
        ("10r/m zone=a cost=1000001", "invalid parameter \"cost=1000001\""),
        ("10r/m zone=a cost=-1", "invalid parameter \"cost=-1\""),
        ("10r/m zone=a count=none", "invalid parameter \"count=none\""),
        ("10r/m zone=a dry_run=on", "invalid parameter \"dry_run=on\""),
        ("10r/m zone=a dry_run dry_run", "duplicate parameter \"dry_run\""),
        ("10r/m zone=a burst=5", "invalid parameter \"burst=5\""),
    ] {
        let error = read::<RateLimit>(&mut RateLimitDirectives::default(), text, 1).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
    let same = level(&["10r/m 10r/h zone=a"]);
    assert_eq!(plan(&same).limits.len(), 1);
}

#[test]
fn an_unknown_zone_is_named_at_its_directive_even_when_inherited() {
    let mut inner = RateLimitDirectives::default();
    inner.merge(&level(&["1r/s zone=a", "1r/s zone=moon"]));
    let error = inner.compile(http(&["a:1m"]).zones()).unwrap_err();
    assert_eq!(error.to_string(), "unknown rate_limit_zone \"moon\"");
    assert_eq!(error.place(), Some(&at(2)));
}

#[test]
fn a_level_replaces_the_list_inherits_it_or_turns_it_off_for_good() {
    let outer = level(&["1r/s zone=a", "2r/s zone=a"]);
    let merged = |mut inner: RateLimitDirectives| {
        inner.merge(&outer);
        inner
    };
    assert_eq!(plan(&merged(RateLimitDirectives::default())).limits.len(), 2);
    assert_eq!(plan(&merged(level(&["3r/s zone=b"]))).limits.len(), 1);
    let off = merged(level(&["off"]));
    let below_off = merged({
        let mut inner = RateLimitDirectives::default();
        inner.merge(&off);
        inner
    });
    for level in [&off, &below_off, &RateLimitDirectives::default()] {
        assert!(level.compile(&[]).unwrap().is_none());
    }
    for (first, second) in [("off", "1r/s zone=a"), ("1r/s zone=a", "off"), ("off", "off")] {
        let mut level = level(&[first]);
        let error = read::<RateLimit>(&mut level, second, 2).unwrap_err();
        assert_eq!(error.to_string(), "\"rate_limit\" directive is duplicate");
    }
}

#[test]
fn a_counter_belongs_to_the_block_it_is_written_in_or_to_its_name() {
    let compiled = |mut level: RateLimitDirectives, scope: &str| {
        level.set_scope(scope);
        let mut inner = RateLimitDirectives::default();
        inner.set_scope("elsewhere");
        inner.merge(&level);
        plan(&inner).limits.iter().map(|limit| limit.counter).collect::<Vec<_>>()
    };
    let limits = ["1r/s zone=a", "1r/s zone=a", "1r/s zone=a name=n"];
    let here = compiled(level(&limits), "server a");
    assert_eq!(
        here,
        compiled(level(&["9r/m zone=a", "2r/s zone=a", "3r/s zone=a name=n"]), "server a")
    );
    let there = compiled(level(&limits), "server b");
    assert_ne!(here[0], here[1]);
    assert_ne!(here[0], there[0]);
    assert_eq!(here[2], there[2]);
}

#[test]
fn status_message_and_headers_are_inherited_and_checked() {
    let mut outer = level(&["1r/s zone=a"]);
    read::<RateLimitStatus>(&mut outer, "503", 1).unwrap();
    read::<RateLimitMessage>(&mut outer, "slow", 1).unwrap();
    read::<RateLimitHeaders>(&mut outer, "off", 1).unwrap();
    let mut inner = RateLimitDirectives::default();
    inner.merge(&outer);
    assert!(!plan(&inner).headers);
    for bad in ["399", "600", "x", "-1", "429.0", "+429", "408", "499"] {
        let error = read::<RateLimitStatus>(&mut RateLimitDirectives::default(), bad, 1);
        let expected = format!("invalid value \"{bad}\" in \"rate_limit_status\" directive");
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
    let twice = read::<RateLimitHeaders>(&mut outer, "on", 1).unwrap_err();
    assert_eq!(twice.to_string(), "\"rate_limit_headers\" directive is duplicate");
}

#[test]
fn zones_have_a_size_and_perhaps_a_store() {
    let http = http(&[
        "one:10m",
        "two:32k redis=rediss://u:secret@cache:6380/3 sync=500ms timeout=20ms on_error=deny nodes=4",
        "three:1m redis=redis://127.0.0.1 sync=0",
    ]);
    let [one, two, three] = http.zones() else { panic!("three zones") };
    assert_eq!((one.name.as_str(), one.size, &one.store), ("one", 10 << 20, &None));
    let store = StorePlan {
        address: Address::parse("rediss://u:secret@cache:6380/3").unwrap(),
        sync: Sync::Each(Duration::from_millis(500)),
        timeout: Duration::from_millis(20),
        on_error: OnError::Deny,
        nodes: 4,
    };
    assert_eq!((two.size, two.store.as_ref()), (32 << 10, Some(&store)));
    assert!(!format!("{two:?}").contains("secret"));
    let store = three.store.as_ref().unwrap();
    assert_eq!((store.sync, store.timeout), (Sync::Exact, Duration::from_millis(50)));
    assert_eq!((store.on_error, store.nodes), (OnError::Local, 1));
}

#[test]
fn what_is_wrong_in_a_zone_is_named_but_a_password_never() {
    for (text, expected) in [
        ("one", "invalid zone \"one\""),
        (":1m", "invalid zone \":1m\""),
        ("one:big", "invalid zone size \"one:big\""),
        ("one:31k", "zone \"one\" is too small"),
        ("taken:1m", "zone \"taken\" is already declared"),
        ("one:1m sync=1s", "\"sync\" requires \"redis\""),
        ("one:1m nodes=2", "\"nodes\" requires \"redis\""),
        ("one:1m redis=http://u:secret@h", "invalid URL in \"redis\" parameter"),
        ("one:1m redis", "invalid URL in \"redis\" parameter"),
        ("one:1m redis=redis://h/-1", "invalid URL in \"redis\" parameter"),
        ("one:1m redi=redis://u:se@cret@h:1", "invalid parameter \"redi=redis://***@h:1\""),
        ("one:1m redis://u:secret@h", "invalid parameter \"redis://***@h\""),
        ("redis://u:secret@h", "invalid zone size \"redis://***@h\""),
        ("one:1m redi=unix:///r?pass=secret", "invalid parameter \"redi=unix:///r?pass=***\""),
        ("one:18446744073709551615", "invalid zone size \"one:18446744073709551615\""),
        ("one:9999999g", "invalid zone size \"one:9999999g\""),
        ("one:1m redis=redis://:secret@h redis=redis://h", "duplicate parameter \"redis\""),
        ("one:1m redis=redis://h sync=x", "invalid parameter \"sync=x\""),
        ("one:1m redis=redis://h timeout=0", "invalid parameter \"timeout=0\""),
        ("one:1m redis=redis://h on_error=cry", "invalid parameter \"on_error=cry\""),
        ("one:1m redis=redis://h nodes=0", "invalid parameter \"nodes=0\""),
        ("one:1m redis=redis://h nodes=2 nodes=2", "duplicate parameter \"nodes=2\""),
        ("one:1m shards=2", "invalid parameter \"shards=2\""),
    ] {
        let error = read::<RateLimitZone>(&mut http(&["taken:1m"]), text, 1).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
        assert!(!error.to_string().contains("secret"), "{text}");
    }
}

#[test]
fn a_store_is_asked_by_its_least_patient_zone_and_limits_are_shared_among_nodes() {
    let http = http(&[
        "x:1m redis=redis://h nodes=3",
        "y:1m",
        "z:1m redis=redis://h sync=1s",
        "w:1m redis=redis://h timeout=20ms",
    ]);
    let level =
        level(&["2r/s 10r/m zone=x", "1r/s zone=y", "1r/s zone=z", "1r/s zone=x", "1r/s zone=w"]);
    let plan = level.compile(http.zones()).unwrap().unwrap();
    assert_eq!(plan.exact, [3, 0]);
    let shares: Vec<u64> = plan.limits[0].local_rates.iter().map(|rate| rate.limit).collect();
    assert_eq!(shares, [1, 3]);
}

#[test]
fn zones_of_two_stores_cannot_be_used_together() {
    let http = http(&[
        "a:1m redis=redis://h",
        "b:1m redis=redis://other",
        "c:1m redis=redis://other sync=1s",
        "d:1m redis=redis://h:6379/0",
    ]);
    let compiled = |limits: &[&str]| level(limits).compile(http.zones());
    let error = compiled(&["1r/s zone=a", "1r/s zone=d", "1r/s zone=b"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "zones \"a\" and \"b\" have not the same \"redis\", they cannot be used together"
    );
    assert_eq!(error.place(), Some(&at(3)));
    assert!(compiled(&["1r/s zone=a", "1r/s zone=c"]).is_ok());
}

#[test]
fn a_variable_cost_is_a_whole_number_or_one() {
    for (text, cost) in [
        ("0", 0),
        ("7", 7),
        ("007", 7),
        ("1000000", 1_000_000),
        ("1000001", 1_000_000),
        ("99999999999999999999999", 1_000_000),
        ("", 1),
        ("-5", 1),
        ("1.5", 1),
        ("abc", 1),
        (" 3", 1),
    ] {
        assert_eq!(Cost::read(text.as_bytes()), cost, "{text}");
    }
}

#[test]
fn a_refusal_has_the_location_s_status_and_message_and_says_when_to_come_back() {
    use crate::rate_limit::policy::{Charge, Spending, Verdict, check_and_charge};
    use crate::rate_limit::table::{Fingerprint, Seed, Table};

    let words: Vec<_> = (0..4_096).map(|_| std::sync::atomic::AtomicU64::new(0)).collect();
    let (table, _) = Table::attach(&words, Seed([0, 0])).unwrap();
    let mut level = level(&["1r/m zone=a"]);
    for custom in [false, true] {
        if custom {
            read::<RateLimitStatus>(&mut level, "503", 1).unwrap();
            read::<RateLimitMessage>(&mut level, "slow", 1).unwrap();
        }
        let plan = plan(&level);
        let key = Fingerprint(u128::from(custom));
        let charge = Charge { number: 0, table, key, terms: plan.limits[0].terms(1) };
        let mut verdict = Verdict::default();
        check_and_charge(&[charge], Spending::Charge, 60_000, &mut verdict);
        assert_eq!(plan.decide(&verdict), None);
        check_and_charge(&[charge], Spending::Charge, 61_500, &mut verdict);
        let refusal = plan.decide(&verdict).unwrap();
        let expected = if custom { (503, "slow") } else { (429, "API rate limit exceeded") };
        assert_eq!((refusal.status, refusal.message.as_ref()), expected);
        assert_eq!(refusal.headers, [("Retry-After", "59".to_owned())]);
    }
    let refusal = crate::rate_limit::store_unavailable(crate::decision::Policy::RateLimit, 0);
    assert_eq!((refusal.status, refusal.headers[0].1.as_str()), (503, "1"));
}
