//! What a rule asks of a value.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use jsonschema::Validator;
use serde_json::Value;

use super::super::json::Json;
use super::super::keywords::NumberRule;
use super::super::tree::{self, Spent, Tree};

/// What a schema asks of a value.
#[derive(Debug, Default)]
pub(super) struct Rule {
    /// A part of the schema that only the validator can decide: the value is read into a tree, and nothing else asked.
    pub(super) tree: Option<Validator<Tree>>,
    /// The types that are allowed besides arrays and objects.
    pub(super) scalars: Scalars,
    /// `enum` and `const`: scalars, one of which it must be. With them arrays and objects are not accepted.
    pub(super) values: Option<Vec<Value>>,
    pub(super) text: TextRule,
    pub(super) numbers: Vec<NumberRule>,
    /// `None` where arrays are not allowed.
    pub(super) array: Option<ArrayRule>,
    /// `None` where objects are not allowed.
    pub(super) object: Option<Box<ObjectRule>>,
}

/// Which scalar types are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scalars {
    pub(super) null: bool,
    pub(super) boolean: bool,
    pub(super) integer: bool,
    pub(super) number: bool,
    pub(super) string: bool,
}

/// What is asked of a string.
#[derive(Debug)]
pub(super) struct TextRule {
    /// The number of characters.
    pub(super) length: RangeInclusive<u64>,
    /// Plain addresses need not go through `check`.
    pub(super) is_email: bool,
    /// `pattern` and `format`.
    pub(super) check: Option<Validator<Tree>>,
}

impl Default for TextRule {
    fn default() -> Self {
        Self { length: 0..=u64::MAX, is_email: false, check: None }
    }
}

/// What is asked of an array.
#[derive(Debug)]
pub(super) struct ArrayRule {
    /// The rule of every item.
    pub(super) items: usize,
    /// The number of items.
    pub(super) length: RangeInclusive<u64>,
}

/// What is asked of an object.
#[derive(Debug)]
pub(super) struct ObjectRule {
    /// Names that the schema knows, sorted, and their rules; [`MAX_PROPERTIES`] at most.
    pub(super) properties: Vec<(Box<str>, usize)>,
    /// The positions in `properties` that must be there, as bits.
    pub(super) required: u128,
    /// What other names are.
    pub(super) additional: Additional,
    /// The number of members.
    pub(super) length: RangeInclusive<u64>,
}

/// As many names as there are bits to count them.
pub(super) const MAX_PROPERTIES: usize = 128;

/// What is done with names that a schema does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::validate) enum Additional {
    /// Objects that have them do not conform.
    Refused,
    /// The rule of their values.
    Rule(usize),
}

impl ObjectRule {
    /// The position of a name and its rule; looked for where it is likely first.
    #[inline]
    pub(super) fn position(&self, name: &str, likely: usize) -> Option<(usize, usize)> {
        let is = |(known, _): &(Box<str>, usize)| **known == *name;
        let found = match self.properties.get(likely).is_some_and(is) {
            true => likely,
            false if self.properties.len() <= MAX_SCANNED_NAMES => {
                self.properties.iter().position(is)?
            }
            false => self.properties.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?,
        };
        self.properties.get(found).map(|(_, rule)| (found, *rule))
    }
}

/// Up to here a lookup compares name after name, most of which differ in length.
const MAX_SCANNED_NAMES: usize = 12;

impl Rule {
    /// True when the string conforms.
    pub(super) fn accepts_text(&self, text: Cow<'_, str>, spent: &Spent) -> bool {
        let rule = &self.text;
        if !self.scalars.string || !tree::has_length_within(&text, &rule.length) {
            return false;
        }
        if let Some(values) = &self.values
            && !values.iter().any(|value| value.as_str() == Some(&*text))
        {
            return false;
        }
        match &rule.check {
            Some(_) if rule.is_email && is_plain_email(&text) => true,
            Some(check) => super::is_valid_text(check, text, spent),
            None => true,
        }
    }

    /// True when the number, as it is written, conforms.
    pub(super) fn accepts_number(&self, text: &str) -> bool {
        let is_integer = || !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        (self.scalars.number || self.scalars.integer && is_integer())
            && self.numbers.iter().all(|rule| rule.holds(text))
            && self.has_value(|| Json::Number(Cow::Borrowed(text)))
    }

    /// True when `null`, `true` or `false` conforms.
    pub(super) fn accepts_literal(&self, literal: &Json<'_>) -> bool {
        let allowed = if *literal == Json::Null { self.scalars.null } else { self.scalars.boolean };
        allowed && self.has_value(|| literal.clone())
    }

    fn has_value<'a>(&self, value: impl FnOnce() -> Json<'a>) -> bool {
        let Some(values) = &self.values else { return true };
        let value = value();
        values.iter().any(|expected| tree::equals(&value, expected))
    }
}

/// True for addresses of the common form, a part of what `email` allows: letters, digits, `_`, `+` and `-` between single
/// dots, at a host name of letters, digits and single hyphens inside.
fn is_plain_email(text: &str) -> bool {
    const MAX_LOCAL_BYTES: usize = 64;
    const MAX_DOMAIN_BYTES: usize = 253;
    let mut bytes = text.as_bytes().iter();
    let mut last = b'.';
    for &byte in bytes.by_ref() {
        let joins = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'+' | b'-' => true,
            b'.' | b'@' => last != b'.',
            _ => false,
        };
        if !joins {
            return false;
        }
        last = byte;
        if byte == b'@' {
            break;
        }
    }
    let domain = bytes.as_slice();
    let local = text.len() - domain.len();
    last == b'@'
        && local <= MAX_LOCAL_BYTES + 1
        && domain.len() <= MAX_DOMAIN_BYTES
        && is_plain_host_name(domain)
}

/// True for labels of letters, digits and single hyphens inside, each of which begins with a letter.
fn is_plain_host_name(name: &[u8]) -> bool {
    const MAX_LABEL_BYTES: usize = 63;
    let (mut last, mut length) = (b'.', 0);
    for byte in name {
        let joins = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => true,
            b'0'..=b'9' => last != b'.',
            b'-' | b'.' => last != b'.' && last != b'-',
            _ => false,
        };
        length = if *byte == b'.' { 0 } else { length + 1 };
        if !joins || length > MAX_LABEL_BYTES {
            return false;
        }
        last = *byte;
    }
    last != b'.' && last != b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_are_known_and_all_others_left_to_the_validator() {
        for (text, expected) in [
            ("a@b", true),
            ("first.last+tag@mail-1.example.org", true),
            ("a_b-c@x.y", true),
            ("a@@b", false),
            ("a", false),
            ("@b", false),
            ("a@", false),
            (".a@b", false),
            ("a..b@c", false),
            ("a.@b", false),
            ("a@.b", false),
            ("a@b.", false),
            ("a@-b", false),
            ("a@b-", false),
            ("a@xn--0", false),
            ("a@1.2.3.4", false),
            ("a b@c", false),
            ("é@c", false),
            ("\"a\"@c", false),
            ("a@[127.0.0.1]", false),
        ] {
            assert_eq!(is_plain_email(text), expected, "{text}");
        }
        assert!(is_plain_email(&format!("{}@b", "a".repeat(64))));
        assert!(!is_plain_email(&format!("{}@b", "a".repeat(65))));
        assert!(!is_plain_email(&format!("a@{}", "b".repeat(64))));
        assert!(!is_plain_email(&format!("a@{}b", "b.".repeat(127))));
    }

    proptest::proptest! {
        #[test]
        fn a_plain_address_is_an_address(text in "[a-c0_+.@-]{1,12}@[a-c0.-]{1,12}") {
            let email = serde_json::json!({ "format": "email" });
            let validator = jsonschema::options().should_validate_formats(true).build(&email).unwrap();
            proptest::prop_assert!(!is_plain_email(&text) || validator.is_valid(&text.into()));
        }
    }
}
