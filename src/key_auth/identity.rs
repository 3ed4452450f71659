//! The headers that tell upstreams who called, which no client may send.

use crate::consumers::{ConsumerSet, Identity};

/// Names that are ours alone; `-` stands for `_` as well.
const NAMES: [&[u8]; 6] = [
    b"x-consumer-id",
    b"x-consumer-groups",
    b"x-consumer-username",
    b"x-consumer-custom-id",
    b"x-anonymous-consumer",
    b"x-credential-identifier",
];

/// True for a header that is taken off every request: in any mixture of `-` and `_`, for upstreams that take both for one.
pub fn is_identity_header(lowercase_name: &[u8]) -> bool {
    // most headers are told by the first two bytes
    let [b'x', b'-' | b'_', ..] = lowercase_name else { return false };
    NAMES.iter().any(|name| {
        name.len() == lowercase_name.len()
            && name
                .iter()
                .zip(lowercase_name)
                .all(|(ours, theirs)| ours == theirs || (*ours == b'-' && *theirs == b'_'))
    })
}

/// Calls `send` with every header for an identity; nothing when it is not of this version of the set.
///
/// `X-Consumer-Groups` is not among them: acl sends it.
pub fn identity_headers(
    set: &ConsumerSet,
    identity: Identity,
    mut send: impl FnMut(&'static str, &str),
) {
    let Some(consumer) = set.consumer(identity.consumer()) else { return };
    send("X-Consumer-ID", &consumer.id());
    if let Some(username) = consumer.username() {
        send("X-Consumer-Username", username);
    }
    if let Some(custom_id) = consumer.custom_id() {
        send("X-Consumer-Custom-ID", custom_id);
    }
    match identity.credential() {
        Some(credential) => {
            if let Some(credential) = set.credential(credential) {
                send("X-Credential-Identifier", &credential.id());
            }
        }
        None => send("X-Anonymous-Consumer", "true"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumers::{ConsumerEntry, KeyDigest, KeyEntry, SetBuilder};

    #[test]
    fn every_spelling_of_an_identity_header_is_known() {
        for (name, expected) in [
            ("x-consumer-id", true),
            ("x-consumer-username", true),
            ("x-consumer-custom-id", true),
            ("x-credential-identifier", true),
            ("x-anonymous-consumer", true),
            ("x-consumer-groups", true),
            ("x_consumer_username", true),
            ("x-consumer_custom-id", true),
            ("x_consumer-groups", true),
            ("x-consumer", false),
            ("x-consumer-id2", false),
            ("x-consumer.id", false),
            ("xx-consumer-id", false),
            ("accept", false),
            ("x", false),
            ("", false),
        ] {
            assert_eq!(is_identity_header(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn upstreams_get_what_the_identity_has() {
        let mut builder = SetBuilder::new("s");
        let mut key = KeyEntry::new(KeyDigest::of(b"k"));
        key.id = Some("key-1".into());
        let bob = ConsumerEntry {
            username: Some("bob".into()),
            id: Some("b-1".into()),
            custom_id: Some("crm 7".into()),
            keys: vec![key],
            ..Default::default()
        };
        let guest = ConsumerEntry {
            custom_id: Some("guest".into()),
            id: Some("g-1".into()),
            ..Default::default()
        };
        let consumer = builder.add(&bob, false).unwrap();
        let anonymous = builder.add(&guest, false).unwrap();
        let set = builder.finish().unwrap();
        let credential = set.lookup(&KeyDigest::of(b"k")).unwrap().index();
        let sent = |identity| {
            let mut sent = Vec::new();
            identity_headers(&set, identity, |name, value| sent.push(format!("{name}: {value}")));
            sent
        };
        assert_eq!(
            sent(Identity::Authenticated { consumer, credential }),
            [
                "X-Consumer-ID: b-1",
                "X-Consumer-Username: bob",
                "X-Consumer-Custom-ID: crm 7",
                "X-Credential-Identifier: key-1",
            ]
        );
        assert_eq!(
            sent(Identity::Anonymous { consumer: anonymous }),
            ["X-Consumer-ID: g-1", "X-Consumer-Custom-ID: guest", "X-Anonymous-Consumer: true"]
        );
    }
}
