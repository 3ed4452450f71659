//! Ids of consumers and credentials: given ones, and derived ones that look like UUIDs.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::digest::KeyDigest;
use super::text::Name;
use crate::hex;

/// An id's text; derived ids and UUIDs are spelled on the spot, without allocation.
#[derive(Clone, Copy)]
pub enum Id<'a> {
    /// 36 characters of lower-case UUID
    Uuid([u8; 36]),
    /// any other text
    Name(Name<'a>),
}

impl<'a> Id<'a> {
    pub(super) fn spell(uuid: &[u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = hex::digits(uuid);
        let mut text = [b'-'; 36];
        let groups: [(usize, &[[u8; 2]]); 5] = [
            (0, &[a, b, c, d]),
            (9, &[e, f]),
            (14, &[g, h]),
            (19, &[i, j]),
            (24, &[k, l, m, n, o, p]),
        ];
        for (start, digits) in groups {
            let digits = digits.as_flattened();
            if let Some(place) = text.get_mut(start..start + digits.len()) {
                place.copy_from_slice(digits);
            }
        }
        Self::Uuid(text)
    }

    /// The id as it goes over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Uuid(text) => text,
            Self::Name(name) => name.as_bytes(),
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Uuid(text) => std::str::from_utf8(text).unwrap_or_default(),
            Self::Name(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The 16 bytes of a UUID in its canonical lower-case spelling; `None` for any other text.
pub(super) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut uuid = [0; 16];
    let mut digits = bytes.iter().enumerate().filter_map(|(position, byte)| {
        (!matches!(position, 8 | 13 | 18 | 23)).then_some(char::from(*byte))
    });
    for byte in &mut uuid {
        let high = digits.next()?.to_digit(16)?;
        let low = digits.next()?.to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    // rules out capitals and misplaced hyphens
    (Id::spell(&uuid).as_bytes() == bytes).then_some(uuid)
}

/// The id of a consumer that was given none: of the set and the name only.
///
/// Shape: a version 8 UUID. Source: RFC 9562 section 5.8.
pub(super) fn derive_consumer(set: &str, kind: NameKind, name: &str) -> [u8; 16] {
    derive(&[b"consumer", set.as_bytes(), kind.as_bytes(), name.as_bytes()])
}

/// The id of a key that was given none: of the set, the consumer's name and the key's digest.
pub(super) fn derive_credential(set: &str, name: &str, digest: &KeyDigest) -> [u8; 16] {
    derive(&[b"credential", set.as_bytes(), name.as_bytes(), digest.as_bytes()])
}

/// Which of its two names a consumer is known by.
#[derive(Clone, Copy)]
pub(super) enum NameKind {
    Username,
    CustomId,
}

impl NameKind {
    fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Username => b"username",
            Self::CustomId => b"custom_id",
        }
    }
}

fn derive(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        // no text contains NUL, and the digest comes last: different parts never make one text
        hash.update(part);
        hash.update([0]);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut uuid: [u8; 16] = digest.first_chunk().copied().unwrap_or_default();
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut uuid;
    *version = *version & 0x0f | 0x80;
    *variant = *variant & 0x3f | 0x80;
    uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_uuids_are_kept_as_numbers() {
        let text = "00112233-4455-8677-8899-aabbccddeeff";
        assert_eq!(Id::spell(&parse_uuid(text).unwrap()).as_str(), text);
        for other in [
            "",
            "00112233-4455-8677-8899-AABBCCDDEEFF",
            "001122334-455-8677-8899-aabbccddeeff",
            "00112233-4455-8677-8899-aabbccddeef",
            "00112233-4455-8677-8899-aabbccddeefg",
        ] {
            assert!(parse_uuid(other).is_none(), "{other}");
        }
    }

    #[test]
    fn derived_ids_are_stable_version_8_uuids_that_differ_by_set_kind_and_name() {
        let spell = |set, kind, name| Id::spell(&derive_consumer(set, kind, name)).to_string();
        let bob = spell("partners", NameKind::Username, "bob");
        assert_eq!(bob, spell("partners", NameKind::Username, "bob"));
        assert_eq!(&bob[14..15], "8");
        assert!("89ab".contains(&bob[19..20]));
        for other in [
            spell("partner", NameKind::Username, "sbob"),
            spell("partners", NameKind::CustomId, "bob"),
            spell("partners", NameKind::Username, "bo"),
        ] {
            assert_ne!(bob, other);
        }
    }
}
