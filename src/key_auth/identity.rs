//! The headers that tell upstreams who called, which no client may send.

use crate::consumers::{ConsumerSet, Identity};
use crate::request::SentName;

const ID: SentName = SentName::new("X-Consumer-ID", "x-consumer-id");
const USERNAME: SentName = SentName::new("X-Consumer-Username", "x-consumer-username");
const CUSTOM_ID: SentName = SentName::new("X-Consumer-Custom-ID", "x-consumer-custom-id");
const ANONYMOUS: SentName = SentName::new("X-Anonymous-Consumer", "x-anonymous-consumer");
const CREDENTIAL: SentName = SentName::new("X-Credential-Identifier", "x-credential-identifier");

/// acl's, of the same rank.
pub const GROUPS: SentName = SentName::new("X-Consumer-Groups", "x-consumer-groups");

/// Names that are ours alone; `-` stands for `_` as well.
const NAMES: [SentName; 6] = [ID, GROUPS, USERNAME, CUSTOM_ID, ANONYMOUS, CREDENTIAL];

/// True for a header that is taken off every request: in any mixture of `-` and `_`, for upstreams that take both for one.
pub fn is_identity_header(lowercase_name: &[u8]) -> bool {
    // most headers are told by the first two bytes
    let [b'x', b'-' | b'_', ..] = lowercase_name else { return false };
    NAMES.map(SentName::lowercase).iter().any(|name| {
        name.len() == lowercase_name.len()
            && name
                .bytes()
                .zip(lowercase_name)
                .all(|(ours, theirs)| ours == *theirs || (ours == b'-' && *theirs == b'_'))
    })
}

/// Calls `send` with every header for an identity; nothing when it is not of this version of the set.
///
/// `X-Consumer-Groups` is not among them: acl sends it.
pub fn identity_headers(
    set: &ConsumerSet,
    identity: Identity,
    mut send: impl FnMut(SentName, &[u8]),
) {
    let Some(consumer) = set.consumer(identity.consumer()) else { return };
    send(ID, consumer.id().as_bytes());
    if let Some(username) = consumer.username() {
        send(USERNAME, username.as_bytes());
    }
    if let Some(custom_id) = consumer.custom_id() {
        send(CUSTOM_ID, custom_id.as_bytes());
    }
    match identity.credential() {
        Some(credential) => {
            if let Some(credential) = set.credential(credential) {
                send(CREDENTIAL, credential.id().as_bytes());
            }
        }
        None => send(ANONYMOUS, b"true"),
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
            identity_headers(&set, identity, |name, value| {
                sent.push(format!("{}: {}", name.as_str(), str::from_utf8(value).unwrap()));
            });
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
