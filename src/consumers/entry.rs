//! One consumer as a file or a configuration line has it, before it becomes part of a set.

use std::borrow::Cow;

use super::digest::KeyDigest;

/// One consumer with its keys.
#[derive(Clone, Debug, Default)]
pub struct ConsumerEntry<'a> {
    /// Unique in the set; this or `custom_id` must be there.
    pub username: Option<Cow<'a, str>>,
    /// Derived from the set and the name when it is not given.
    pub id: Option<Cow<'a, str>>,
    /// The operator's own name for the consumer, unique in the set.
    pub custom_id: Option<Cow<'a, str>>,
    /// What `acl` goes by.
    pub groups: Vec<Cow<'a, str>>,
    /// For people; nothing goes by them.
    pub tags: Vec<Cow<'a, str>>,
    /// Any number.
    pub keys: Vec<KeyEntry<'a>>,
}

/// One key of a consumer. Times are seconds since 1970.
#[derive(Clone, Debug)]
pub struct KeyEntry<'a> {
    /// SHA-256 of the key.
    pub digest: KeyDigest,
    /// Derived from the set, the consumer and the digest when it is not given.
    pub id: Option<Cow<'a, str>>,
    /// For people.
    pub created_at: Option<i64>,
    /// The first second in which the key is good.
    pub not_before: Option<i64>,
    /// The first second in which it is good no more.
    pub expires_at: Option<i64>,
    /// True for a key that is refused for now.
    pub disabled: bool,
}

impl KeyEntry<'_> {
    /// A key that is always good.
    pub fn new(digest: KeyDigest) -> Self {
        let (id, created_at, not_before, expires_at) = (None, None, None, None);
        Self { digest, id, created_at, not_before, expires_at, disabled: false }
    }
}

/// Nothing when the text can be a name or an id, which headers carry; else what is wrong with it.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("it is empty".to_owned());
    }
    if name.chars().any(char::is_control) {
        return Err("it contains a control character".to_owned());
    }
    if name.trim() != name {
        // "a, b" in a comma list would be the groups "a" and " b"
        return Err("it begins or ends with white space".to_owned());
    }
    Ok(())
}

/// True for a word that can be shown where a key could stand by mistake: it looks like a field's or a directive's name.
pub(super) fn looks_like_a_name(word: &str) -> bool {
    const LONGEST: usize = 24;
    word.len() <= LONGEST && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Nothing when the text can be a group's name; else what is wrong with it.
pub(super) fn check_group(name: &str) -> Result<(), String> {
    if name.contains(',') {
        // "a, b" in X-Consumer-Groups must not be mistaken for two groups
        return Err("a group's name cannot contain a comma".to_owned());
    }
    check_name(name)
}
