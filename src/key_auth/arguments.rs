//! Names and values of a query or an urlencoded form, percent-decoded once, `+` as a space.

use std::borrow::Cow;

/// An argument's name as the operator writes it, compared with encoded names of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentName(Box<[u8]>);

impl ArgumentName {
    /// The name; `None` for an empty one.
    pub fn new(name: &str) -> Option<Self> {
        (!name.is_empty()).then(|| Self(name.as_bytes().into()))
    }

    /// The name as written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// True when an encoded name means this one.
    pub fn matches(&self, encoded: &[u8]) -> bool {
        encoded.len() >= self.0.len() && Decoded(encoded).eq(self.0.iter().copied())
    }
}

/// The arguments between `&`s: each with its name and, behind the first `=`, its value, all encoded.
pub(super) fn arguments(query: &[u8]) -> impl Iterator<Item = Argument<'_>> {
    query.split(|byte| *byte == b'&').map(Argument::new)
}

/// One argument as received.
#[derive(Clone, Copy)]
pub(super) struct Argument<'a> {
    pub(super) whole: &'a [u8],
    pub(super) name: &'a [u8],
    /// empty without a `=`
    pub(super) value: &'a [u8],
}

impl<'a> Argument<'a> {
    pub(super) fn new(whole: &'a [u8]) -> Self {
        let equals = whole.iter().position(|byte| *byte == b'=');
        let (name, value) = match equals.and_then(|at| whole.split_at_checked(at)) {
            Some((name, [_, value @ ..])) => (name, value),
            _ => (whole, &[][..]),
        };
        Self { whole, name, value }
    }

    /// True when its name means one of these.
    pub(super) fn is_one_of(&self, names: &[ArgumentName]) -> bool {
        names.iter().any(|name| name.matches(self.name))
    }
}

/// The decoded bytes; borrowed when nothing is encoded.
pub(super) fn decode(encoded: &[u8]) -> Cow<'_, [u8]> {
    match encoded.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        true => Cow::Owned(Decoded(encoded).collect()),
        false => Cow::Borrowed(encoded),
    }
}

/// Decodes while it goes; a `%` without two digits stands for itself.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            self.0 = rest;
            return Some(high << 4 | low);
        }
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(if *byte == b'+' { b' ' } else { *byte })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_decoded_and_exactly() {
        for (encoded, expected) in [
            ("api key", true),
            ("api+key", true),
            ("%61pi%20key", true),
            ("%61%70%69+%6b%65%79", true),
            ("api%2Bkey", false),
            ("Api+key", false),
            ("api+key[]", false),
            ("api+ke", false),
            ("%2561pi+key", false),
            ("", false),
        ] {
            let name = ArgumentName::new("api key").unwrap();
            assert_eq!(name.matches(encoded.as_bytes()), expected, "{encoded}");
        }
    }

    #[test]
    fn values_are_decoded_once() {
        for (encoded, expected) in [
            ("plain", "plain"),
            ("a%2Bb+c", "a+b c"),
            ("%2541", "%41"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
        ] {
            assert_eq!(&*decode(encoded.as_bytes()), expected.as_bytes(), "{encoded}");
        }
    }

    #[test]
    fn a_value_begins_behind_the_first_equals_sign() {
        let read: Vec<_> = arguments(b"a=b=c&d&&=e").map(|a| (a.name, a.value)).collect();
        let expected: [(&[u8], &[u8]); 4] = [(b"a", b"b=c"), (b"d", b""), (b"", b""), (b"", b"e")];
        assert_eq!(read, expected);
    }
}
