//! The SHA-256 of an API key, the only form in which keys are held.

use std::fmt;
use std::hint::black_box;

use sha2::{Digest as _, Sha256};

use crate::hex;

/// The SHA-256 of an API key. Neither `Debug` nor anything else prints it by accident.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key as the client sends it.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// The digest itself.
    pub(super) fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest written as 64 hexadecimal digits, either case; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        let pairs = text.as_bytes().chunks_exact(2);
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(pairs) {
            let [high, low] = pair else { return None };
            let digit = |digit: &u8| char::from(*digit).to_digit(16);
            *byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
        }
        Some(Self(digest))
    }

    /// The digest as 64 lower-case hexadecimal digits, for files and the command line, never for a log.
    pub fn to_hex(&self) -> String {
        text(&hex::digits(&self.0))
    }

    /// The first eight hexadecimal digits, which tell keys apart without giving them away.
    pub fn fingerprint(&self) -> String {
        text(hex::digits(&self.0).get(..4).unwrap_or_default())
    }

    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight bytes, evenly spread: what hash tables go by.
    pub(super) fn prefix(&self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// True when both are the same digest; the time taken does not depend on where they differ.
    pub fn same_as(&self, other: &Self) -> bool {
        let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |it| u64::from_le_bytes(*it));
        let pairs = self.0.chunks_exact(8).zip(other.0.chunks_exact(8));
        let difference = pairs.fold(0, |sum, (a, b)| sum | (word(a) ^ word(b)));
        // the compiler must not find a shortcut
        black_box(difference) == 0
    }
}

fn text(digits: &[[u8; 2]]) -> String {
    digits.as_flattened().iter().copied().map(char::from).collect()
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-2, appendix B.1
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_sha_256_in_either_case() {
        let digest = KeyDigest::of(b"abc");
        assert_eq!(digest.to_hex(), ABC);
        assert_eq!(digest.fingerprint(), "ba7816bf");
        for text in [ABC.to_owned(), ABC.to_uppercase()] {
            assert!(KeyDigest::from_hex(&text).unwrap().same_as(&digest));
        }
        assert!(!digest.same_as(&KeyDigest::of(b"abd")));
    }

    #[test]
    fn what_is_not_64_hexadecimal_digits_is_no_digest() {
        for text in ["", "ab", &ABC[1..], &format!("{ABC}0"), &ABC.replace('b', "g"), "é"] {
            assert!(KeyDigest::from_hex(text).is_none(), "{text}");
        }
    }

    #[test]
    fn digests_differ_wherever_one_byte_does() {
        let digest = KeyDigest::of(b"abc");
        for position in 0..32 {
            let mut other = digest;
            other.0[position] ^= 1;
            assert!(!digest.same_as(&other), "byte {position}");
        }
    }
}
