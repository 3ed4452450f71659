use super::*;
use crate::consumers::{ConsumerEntry, KeyEntry, SetBuilder};

fn entry(username: &str, id: Option<&str>, keys: &[&str]) -> ConsumerEntry<'static> {
    ConsumerEntry {
        username: Some(username.to_owned().into()),
        id: id.map(|id| id.to_owned().into()),
        keys: keys.iter().map(|key| KeyEntry::new(KeyDigest::of(key.as_bytes()))).collect(),
        ..Default::default()
    }
}

#[test]
fn consumers_are_found_by_key_name_and_id() {
    let uuid = "11111111-2222-4333-8444-555555555555";
    let mut builder = SetBuilder::new("s");
    builder.add(&entry("bob", Some(uuid), &["b1", "b2"]), false).unwrap();
    builder.add(&entry("alice", Some("A-1"), &[]), true).unwrap();
    let carol = builder.add(&entry("carol", None, &["c1"]), false).unwrap();
    // a key that comes late, as Kong's top-level lists have them
    builder.add_key(builder.find(uuid).unwrap(), &KeyEntry::new(KeyDigest::of(b"b3"))).unwrap();
    builder.add_group(carol, "g");
    let set = builder.finish().unwrap();
    for (key, owner) in [("b1", "bob"), ("b2", "bob"), ("b3", "bob"), ("c1", "carol")] {
        let found = set.lookup(&KeyDigest::of(key.as_bytes())).unwrap();
        assert_eq!(set.consumer(found.owner()).unwrap().username(), Some(owner.into()), "{key}");
        let keys: Vec<_> = set.by_username(owner).unwrap().credentials().collect();
        assert!(keys.iter().any(|key| key.index() == found.index()), "{key}");
        assert!(keys.iter().all(|key| key.owner() == found.owner()), "{key}");
    }
    assert!(set.lookup(&KeyDigest::of(b"b4")).is_none());
    for (id, name) in [(uuid, Some("bob")), ("A-1", Some("alice")), ("a-1", None)] {
        assert_eq!(set.by_id(id).map(|it| it.name().as_str()), name, "{id}");
    }
    let carol = set.by_username("carol").unwrap();
    assert_eq!(set.by_id(carol.id().as_str()).unwrap().index(), carol.index());
    assert_eq!(carol.groups_text(), "g".into());
    assert!(set.by_username("Bob").is_none());
    let in_conf: Vec<_> = set.consumers().map(|it| it.is_written_in_conf()).collect();
    assert_eq!(in_conf, [false, true, false]);
    assert_eq!((set.len(), set.credential_count()), (3, 4));
}

#[test]
fn what_must_be_unique_is() {
    let custom = |username, custom_id: &str| ConsumerEntry {
        custom_id: Some(custom_id.to_owned().into()),
        ..entry(username, None, &[])
    };
    let two_ids = |keys: [&str; 2]| {
        let mut two = entry("x", None, &keys);
        two.keys.iter_mut().for_each(|key| key.id = Some("same".into()));
        two
    };
    for (first, second, expected) in [
        (entry("a", None, &[]), entry("a", None, &[]), "consumer \"a\" is there twice"),
        (custom("a", "1"), custom("b", "1"), "consumer \"b\" has another consumer's custom_id"),
        (
            entry("a", Some("1"), &[]),
            entry("b", Some("1"), &[]),
            "consumer \"b\" has another consumer's id",
        ),
        (
            entry("a", None, &["k"]),
            entry("b", None, &["k"]),
            "a key belongs to both \"a\" and \"b\"",
        ),
        (
            entry("a", None, &[]),
            entry("b", None, &["k", "k"]),
            "consumer \"b\" has the same key twice",
        ),
        (entry("a", None, &[]), two_ids(["k", "l"]), "consumer \"x\" has two keys with one id"),
    ] {
        let mut builder = SetBuilder::new("s");
        builder.add(&first, false).unwrap();
        assert_eq!(builder.add(&second, false).unwrap_err(), expected);
    }
    let uuid = Some("11111111-2222-4333-8444-555555555555");
    let mut builder = SetBuilder::new("s");
    builder.add(&entry("a", uuid, &[]), false).unwrap();
    assert!(builder.add(&entry("b", uuid, &[]), false).is_err());
}

#[test]
fn ids_depend_on_set_and_name_only() {
    let ids = |set: &str, before: &[&str]| {
        let mut builder = SetBuilder::new(set);
        for name in before {
            builder.add(&entry(name, None, &[]), false).unwrap();
        }
        builder.add(&entry("bob", None, &["k"]), false).unwrap();
        let set = builder.finish().unwrap();
        let bob = set.by_username("bob").unwrap();
        let key = bob.credentials().next().unwrap().id().to_string();
        (bob.id().to_string(), key)
    };
    assert_eq!(ids("s", &[]), ids("s", &["x", "y"]));
    assert_ne!(ids("s", &[]).0, ids("t", &[]).0);
    assert_ne!(ids("s", &[]).1, ids("t", &[]).1);
}

#[test]
fn a_key_is_good_from_its_first_second_to_its_last() {
    let mut bob = entry("bob", None, &["k", "off"]);
    bob.keys[0].not_before = Some(100);
    bob.keys[0].expires_at = Some(200);
    bob.keys[1].disabled = true;
    let mut builder = SetBuilder::new("s");
    builder.add(&bob, false).unwrap();
    let set = builder.finish().unwrap();
    let key = set.lookup(&KeyDigest::of(b"k")).unwrap();
    for (now, expected) in [
        (i64::MIN, Validity::Future),
        (99, Validity::Future),
        (100, Validity::Good),
        (199, Validity::Good),
        (200, Validity::Expired),
    ] {
        assert_eq!(key.validity(now), expected, "{now}");
    }
    assert_eq!(set.lookup(&KeyDigest::of(b"off")).unwrap().validity(150), Validity::Disabled);
}

#[test]
fn nothing_prints_a_key_or_its_digest() {
    let mut builder = SetBuilder::new("s");
    let bob = entry("bob", None, &["S3CRET"]);
    builder.add(&bob, false).unwrap();
    let set = builder.finish().unwrap();
    let digest = KeyDigest::of(b"S3CRET");
    let key = set.lookup(&digest).unwrap();
    let consumer = set.by_username("bob").unwrap();
    let shown = format!("{bob:?} {set:?} {key:?} {consumer:?} {digest:?} {:#?}", key.digest());
    assert!(shown.contains("bob"));
    for secret in ["S3CRET".to_owned(), digest.to_hex()[..8].to_owned(), "[1".to_owned()] {
        assert!(!shown.contains(&secret), "{shown}");
    }
}

#[test]
fn a_large_set_stays_small_and_every_key_is_found() {
    const CONSUMERS: usize = 20_000;
    let mut builder = SetBuilder::new("s");
    for number in 0..CONSUMERS {
        let (name, key) = (format!("consumer-{number}"), format!("key-{number}"));
        builder.add(&entry(&name, None, &[&key]), false).unwrap();
    }
    let set = builder.finish().unwrap();
    for number in 0..CONSUMERS {
        let found = set.lookup(&KeyDigest::of(format!("key-{number}").as_bytes())).unwrap();
        let name = set.consumer(found.owner()).unwrap().name().as_str();
        assert_eq!(name, format!("consumer-{number}"));
    }
    let (all, text) = set.memory();
    assert!((all - text) / CONSUMERS <= 200, "{} bytes a consumer", (all - text) / CONSUMERS);
}

#[test]
fn an_image_is_the_set_again_and_what_is_none_is_no_set() {
    let mut builder = SetBuilder::new("s");
    let mut bob = entry("bob", Some("B-1"), &["b1", "b2"]);
    bob.groups = vec!["g".into(), "h".into()];
    bob.tags = vec!["t".into()];
    bob.keys[0].expires_at = Some(200);
    builder.add(&bob, true).unwrap();
    builder.add(&entry("käthe", None, &["k1"]), false).unwrap();
    let set = builder.finish().unwrap();
    let shown = |set: &ConsumerSet| crate::consumers::export::to_json(set);
    let again = ConsumerSet::from_image("s", Box::new(set.image().to_vec())).unwrap();
    assert_eq!(shown(&again), shown(&set));
    let bob = again.by_id("B-1").unwrap();
    assert_eq!((bob.groups_text(), bob.is_written_in_conf()), ("g, h".into(), true));
    for cut in [0, 7, 50, set.image().len() - 1] {
        let part = set.image()[..cut].to_vec();
        assert!(ConsumerSet::from_image("s", Box::new(part)).is_none(), "{cut}");
    }
    // whatever the bytes are, nothing is read outside of them
    for at in (0..set.image().len()).step_by(3) {
        let mut damaged = set.image().to_vec();
        damaged[at] ^= 0xff;
        if let Some(set) = ConsumerSet::from_image("s", Box::new(damaged)) {
            let _ = set.lookup(&KeyDigest::of(b"b2"));
            let _ = set.by_username("bob").map(|bob| bob.groups_text().as_str().len());
        }
    }
}
