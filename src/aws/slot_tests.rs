//! Slots: publication, deaths at every store, races of real threads.

use std::sync::atomic::AtomicBool;

use super::super::provider::error::Origin;
use super::*;

const NOW_UNIX_S: u64 = 1_795_428_000;
const ALICE: u32 = 100;
const BOB: u32 = 200;

fn table() -> Vec<AtomicU64> {
    (0..table_words()).map(|_| AtomicU64::new(0)).collect()
}

fn claim<'a>(table: &'a [AtomicU64], source: &str) -> Slot<'a> {
    find_or_claim(table, SourceId::of(source), NOW_UNIX_S).unwrap()
}

fn alive(_: u32) -> bool {
    true
}

fn dead(_: u32) -> bool {
    false
}

fn fetched(key: &str, token: Option<&str>) -> Fetched {
    let credentials = Credentials::new(key, "secret", token, Some(NOW_UNIX_S + 60)).unwrap();
    Fetched { credentials, region: Region::parse("eu-west-1") }
}

fn key_of(slot: &Slot<'_>) -> Option<String> {
    slot.read().map(|snapshot| snapshot.credentials.access_key_id)
}

#[test]
fn what_the_leader_publishes_all_others_read() {
    let table = table();
    let slot = claim(&table, "imds");
    assert_eq!((slot.generation(), slot.read()), (0, None));
    assert!(slot.try_lead(ALICE, NOW_UNIX_S, alive));
    let long = "t".repeat(5_000);
    let no_end = Fetched {
        credentials: Credentials::new("AKID3", "secret", None, None).unwrap(),
        region: None,
    };
    for (generation, content) in
        [(1, fetched("AKID1", Some(&long))), (2, fetched("A", None)), (3, no_end)]
    {
        assert_eq!(slot.publish(ALICE, &content, NOW_UNIX_S), Some(generation));
        let elsewhere = claim(&table, "imds");
        assert_eq!(elsewhere.generation(), generation);
        let Fetched { credentials, region } = content;
        let expected = Snapshot { generation, credentials, region, fetched_at_unix_s: NOW_UNIX_S };
        assert_eq!(elsewhere.read(), Some(expected));
    }
}

#[test]
fn credentials_too_large_for_a_slot_are_not_published() {
    let table = table();
    let slot = claim(&table, "imds");
    slot.try_lead(ALICE, NOW_UNIX_S, alive);
    let rest = "AKID".len() + "secret".len() + "eu-west-1".len();
    let fits = "t".repeat(MAX_PAYLOAD_BYTES - rest);
    assert_eq!(slot.publish(ALICE, &fetched("AKID", Some(&fits)), NOW_UNIX_S), Some(1));
    let large = fits + "t";
    assert_eq!(slot.publish(ALICE, &fetched("AKID", Some(&large)), NOW_UNIX_S), None);
    let huge = "t".repeat(100_000);
    assert_eq!(slot.publish(ALICE, &fetched("AKID", Some(&huge)), NOW_UNIX_S), None);
    assert_eq!(slot.generation(), 1);
}

#[test]
fn one_process_leads_until_it_resigns_dies_or_falls_silent() {
    let table = table();
    let slot = claim(&table, "imds");
    assert!(slot.try_lead(ALICE, NOW_UNIX_S, alive));
    assert!(slot.try_lead(ALICE, NOW_UNIX_S + 1, alive));
    assert!(!slot.try_lead(BOB, NOW_UNIX_S + 1, alive));
    assert_eq!(slot.publish(BOB, &fetched("BOB", None), NOW_UNIX_S), None);
    // silent for the lease, counted from the last sign
    assert!(!slot.try_lead(BOB, NOW_UNIX_S + 61, alive));
    assert!(slot.try_lead(BOB, NOW_UNIX_S + 62, alive));
    assert!(!slot.try_lead(ALICE, NOW_UNIX_S + 62, alive));
    // dead
    assert!(slot.try_lead(ALICE, NOW_UNIX_S + 63, dead));
    // resigned, and only by itself
    slot.resign(BOB);
    assert!(!slot.try_lead(BOB, NOW_UNIX_S + 63, alive));
    slot.resign(ALICE);
    assert_eq!(slot.status().leader, 0);
    assert!(slot.try_lead(BOB, NOW_UNIX_S + 63, alive));
    // the clock was set back by an hour
    assert!(slot.try_lead(ALICE, NOW_UNIX_S - 3_600, alive));
}

#[test]
fn a_publisher_may_die_after_any_store() {
    let stores = {
        let content = fetched("AKID-NEW", Some("token"));
        Publication::new(0, SourceId::of("imds"), &content, NOW_UNIX_S).unwrap().stores.len()
    };
    assert!(stores > 8);
    // before the first publication, over an empty and over a used buffer
    for published_before in 0..3 {
        for survived in 0..=stores + 1 {
            let table = table();
            let slot = claim(&table, "imds");
            assert!(slot.try_lead(ALICE, NOW_UNIX_S, alive));
            for _ in 0..published_before {
                slot.publish(ALICE, &fetched("AKID-OLD", Some("old-token")), NOW_UNIX_S).unwrap();
            }
            let content = fetched("AKID-NEW", Some("token"));
            let publication =
                Publication::new(published_before, slot.id, &content, NOW_UNIX_S).unwrap();
            let in_force = publication.carry_out(&slot, survived);
            assert_eq!(in_force, survived == stores + 1);
            let expected = match (in_force, published_before) {
                (true, _) => Some("AKID-NEW"),
                (false, 0) => None,
                (false, _) => Some("AKID-OLD"),
            };
            assert_eq!(key_of(&slot).as_deref(), expected, "{published_before} {survived}");

            assert!(slot.try_lead(BOB, NOW_UNIX_S, dead));
            slot.publish(BOB, &fetched("AKID-BOB", None), NOW_UNIX_S).unwrap();
            assert_eq!(key_of(&slot).as_deref(), Some("AKID-BOB"), "{survived}");
        }
    }
}

#[test]
fn a_publisher_that_wakes_up_after_its_lease_does_no_harm() {
    let content = fetched("AKID-LATE", Some("late-token"));
    let id = SourceId::of("imds");
    let stores = Publication::new(1, id, &content, NOW_UNIX_S).unwrap().stores.len();
    for slept_after in 0..=stores {
        let table = table();
        let slot = claim(&table, "imds");
        slot.try_lead(ALICE, NOW_UNIX_S, alive);
        slot.publish(ALICE, &fetched("AKID-1", None), NOW_UNIX_S).unwrap();
        let late = Publication::new(1, id, &content, NOW_UNIX_S).unwrap();
        late.carry_out(&slot, slept_after);
        assert!(slot.try_lead(BOB, NOW_UNIX_S + 61, alive));
        slot.publish(BOB, &fetched("AKID-BOB", Some("bobs-token")), NOW_UNIX_S).unwrap();
        for (index, value) in late.stores.iter().skip(slept_after) {
            slot.store(*index, *value);
        }
        assert!(!slot.swap(CURRENT, late.before, late.generation));
        // Bob's are torn or whole, or Alice's late ones whole; the ones before serve where Bob's are torn
        let key = key_of(&slot).unwrap();
        assert!(["AKID-BOB", "AKID-LATE", "AKID-1"].contains(&key.as_str()), "{key}");
        slot.publish(BOB, &fetched("AKID-3", None), NOW_UNIX_S).unwrap();
        assert_eq!(key_of(&slot).as_deref(), Some("AKID-3"));
    }
}

#[test]
fn readers_never_see_a_mixture() {
    let table = table();
    let slot = claim(&table, "imds");
    slot.try_lead(ALICE, NOW_UNIX_S, alive);
    let content = |number: u32| {
        let text = format!("{number:04}").repeat(40);
        let credentials = Credentials::new(&text, &text, Some(&text), None).unwrap();
        Fetched { credentials, region: None }
    };
    slot.publish(ALICE, &content(0), NOW_UNIX_S).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut last, mut reads) = (0, 0_u64);
            while !done.load(Ordering::Acquire) {
                // None: lost every try against a publisher that never pauses
                let Some(Snapshot { generation, credentials, .. }) = slot.read() else { continue };
                assert!(generation >= last);
                last = generation;
                reads += 1;
                assert_eq!(credentials.access_key_id, credentials.secret_access_key);
                assert_eq!(Some(&credentials.access_key_id), credentials.session_token.as_ref());
            }
            reads
        });
        for number in 1..5_000 {
            slot.publish(ALICE, &content(number), NOW_UNIX_S).unwrap();
        }
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
    assert_eq!(slot.read().unwrap().credentials, content(4_999).credentials);
}

#[test]
fn a_refused_generation_is_asked_for_once() {
    let table = table();
    let slot = claim(&table, "imds");
    slot.try_lead(ALICE, NOW_UNIX_S, alive);
    assert!(!slot.refresh_wanted());
    slot.publish(ALICE, &fetched("A", None), NOW_UNIX_S);
    slot.request_refresh(1);
    slot.request_refresh(1);
    assert!(slot.refresh_wanted());
    slot.publish(ALICE, &fetched("B", None), NOW_UNIX_S);
    assert!(!slot.refresh_wanted());
    // a request that was signed with the first comes back late; one from nowhere
    slot.request_refresh(1);
    slot.request_refresh(u64::MAX);
    assert!(!slot.refresh_wanted());
    slot.request_refresh(2);
    assert!(slot.refresh_wanted());
}

#[test]
fn failures_are_shown_until_a_fetch_is_good_again() {
    let table = table();
    let slot = claim(&table, "imds");
    slot.try_lead(ALICE, NOW_UNIX_S, alive);
    slot.record_failure(&FetchError::Expired { origin: Origin::Imds }, NOW_UNIX_S);
    slot.record_failure(&FetchError::NoRegion, NOW_UNIX_S + 1);
    let mut expected = SlotStatus {
        generation: 0,
        leader: ALICE,
        failures: 2,
        last_failure: Some(FailureKind::Invalid),
        failed_at_unix_s: NOW_UNIX_S + 1,
        fetches_good: 0,
        fetches_bad: 2,
    };
    assert_eq!(slot.status(), expected);
    slot.record_success();
    (expected.failures, expected.last_failure, expected.fetches_good) = (0, None, 1);
    assert_eq!(slot.status(), expected);
}

#[test]
fn each_source_has_its_slot_and_gives_it_up_when_nobody_leads_it() {
    let table = table();
    for number in 0..TABLE_SLOTS {
        let slot = claim(&table, &number.to_string());
        assert!(slot.try_lead(ALICE, NOW_UNIX_S + u64::from(number != 5), alive));
        slot.publish(ALICE, &fetched(&format!("AKID{number}"), None), NOW_UNIX_S).unwrap();
    }
    for number in 0..TABLE_SLOTS {
        let found = claim(&table, &number.to_string());
        assert_eq!(key_of(&found), Some(format!("AKID{number}")));
    }
    let late = SourceId::of("one too many");
    assert!(find_or_claim(&table, late, NOW_UNIX_S + 60).is_none());
    let old = claim(&table, "5");
    let new = find_or_claim(&table, late, NOW_UNIX_S + 61).unwrap();
    // never another source's credentials, on neither side
    assert_eq!((new.read(), new.generation()), (None, 1));
    assert!(!old.try_lead(ALICE, NOW_UNIX_S + 61, alive));
    assert!(new.try_lead(BOB, NOW_UNIX_S + 61, alive));
    assert_eq!(new.publish(BOB, &fetched("NEW", None), NOW_UNIX_S), Some(2));
    assert_eq!((key_of(&new).as_deref(), key_of(&old)), (Some("NEW"), Some("AKID5".to_owned())));
    assert_eq!(new.publish(BOB, &fetched("NEWER", None), NOW_UNIX_S), Some(3));
    assert_eq!((key_of(&new).as_deref(), key_of(&old)), (Some("NEWER"), None));
}
