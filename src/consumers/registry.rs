//! The consumer set: immutable, compact, looked up without locks and without allocation.
//!
//! Records are of fixed size and refer to text by offset; hash tables hold record numbers. A consumer with one key takes
//! some 180 bytes besides its text.

use std::fmt;
use std::sync::Arc;

use super::builder::hash_text;
use super::digest::KeyDigest;
use super::ids::{Id, parse_uuid};
use super::lists::Lists;
use super::table::Table;
use super::text::{Arena, Text};

/// A consumer's number in one version of a set; it means nothing in another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerIndex(pub(super) u32);

/// A key's number in one version of a set; it means nothing in another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialIndex(pub(super) u32);

/// Who a request comes from. Keep the version of the set that it was found in beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A consumer, proved by a key.
    Authenticated {
        /// who
        consumer: ConsumerIndex,
        /// by which key
        credential: CredentialIndex,
    },
    /// The consumer that `anonymous=` names, in place of a good key.
    Anonymous {
        /// as whom
        consumer: ConsumerIndex,
    },
}

impl Identity {
    /// The consumer, proved or not.
    pub fn consumer(self) -> ConsumerIndex {
        match self {
            Self::Authenticated { consumer, .. } | Self::Anonymous { consumer } => consumer,
        }
    }

    /// The key it was proved by.
    pub fn credential(self) -> Option<CredentialIndex> {
        match self {
            Self::Authenticated { credential, .. } => Some(credential),
            Self::Anonymous { .. } => None,
        }
    }

    /// True for the consumer that `anonymous=` names.
    pub fn is_anonymous(self) -> bool {
        matches!(self, Self::Anonymous { .. })
    }
}

/// An id: a UUID as 16 bytes, or the place of another text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct IdSlot {
    pub(super) is_text: bool,
    pub(super) bytes: [u8; 16],
}

impl IdSlot {
    fn get<'a>(&self, arena: &'a Arena) -> Id<'a> {
        self.text(arena).map_or_else(|| Id::spell(&self.bytes), Id::Text)
    }

    pub(super) fn text<'a>(&self, arena: &'a Arena) -> Option<&'a str> {
        self.is_text.then(|| arena.get(Text::unpack(self.bytes)))
    }

    pub(super) fn hash(&self, arena: &Arena) -> u64 {
        match self.text(arena) {
            Some(text) => hash_text(text),
            // given UUIDs need not be random, so all of it counts
            None => hash_text(&Id::spell(&self.bytes)),
        }
    }
}

pub(super) struct ConsumerRecord {
    /// empty when there is none
    pub(super) username: Text,
    /// empty when there is none
    pub(super) custom_id: Text,
    pub(super) id: IdSlot,
    /// its keys are those from here to the next consumer's
    pub(super) first_credential: u32,
    pub(super) groups: u32,
    pub(super) tags: u32,
    pub(super) written_in_conf: bool,
}

impl ConsumerRecord {
    pub(super) fn name<'a>(&self, arena: &'a Arena) -> &'a str {
        match arena.get(self.username) {
            "" => arena.get(self.custom_id),
            username => username,
        }
    }
}

pub(super) struct CredentialRecord {
    pub(super) digest: KeyDigest,
    pub(super) id: IdSlot,
    /// `i64::MIN` when it is not known
    pub(super) created_at: i64,
    /// `i64::MIN` when there is none
    pub(super) not_before: i64,
    /// `i64::MAX` when there is none
    pub(super) expires_at: i64,
    pub(super) consumer: u32,
    pub(super) disabled: bool,
}

#[derive(Default)]
pub(super) struct Tables {
    pub(super) by_digest: Table,
    pub(super) by_username: Table,
    pub(super) by_id: Table,
}

/// One version of a named set of consumers.
pub struct ConsumerSet {
    pub(super) name: Arc<str>,
    pub(super) arena: Arena,
    pub(super) consumers: Box<[ConsumerRecord]>,
    pub(super) credentials: Box<[CredentialRecord]>,
    pub(super) groups: Lists,
    pub(super) tags: Lists,
    pub(super) tables: Tables,
}

impl ConsumerSet {
    /// The set's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many consumers there are.
    pub fn len(&self) -> usize {
        self.consumers.len()
    }

    /// True for a set without consumers.
    pub fn is_empty(&self) -> bool {
        self.consumers.is_empty()
    }

    /// How many keys there are, disabled and expired ones included.
    pub fn credential_count(&self) -> usize {
        self.credentials.len()
    }

    /// How many different groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.distinct_names()
    }

    /// The key with this digest, good or not; the time taken does not tell how much of a digest is right.
    pub fn lookup(&self, digest: &KeyDigest) -> Option<Credential<'_>> {
        let index = self.tables.by_digest.find(digest.prefix(), |index| {
            let known = self.credentials.get(index as usize);
            known.is_some_and(|record| record.digest.same_as(digest))
        })?;
        self.credential(CredentialIndex(index))
    }

    /// The key with this number.
    pub fn credential(&self, index: CredentialIndex) -> Option<Credential<'_>> {
        let record = self.credentials.get(index.0 as usize)?;
        Some(Credential { set: self, record, index })
    }

    /// The consumer with this number.
    pub fn consumer(&self, index: ConsumerIndex) -> Option<Consumer<'_>> {
        let record = self.consumers.get(index.0 as usize)?;
        Some(Consumer { set: self, record, index })
    }

    /// The consumer with this username.
    pub fn by_username(&self, username: &str) -> Option<Consumer<'_>> {
        let index = self.tables.by_username.find(hash_text(username), |index| {
            let known = self.consumers.get(index as usize);
            known.is_some_and(|record| self.arena.get(record.username) == username)
        })?;
        self.consumer(ConsumerIndex(index))
    }

    /// The consumer with this id.
    pub fn by_id(&self, id: &str) -> Option<Consumer<'_>> {
        let uuid = parse_uuid(id);
        let index = self.tables.by_id.find(hash_text(id), |index| {
            self.consumers.get(index as usize).is_some_and(|record| match uuid {
                Some(uuid) => !record.id.is_text && record.id.bytes == uuid,
                None => record.id.text(&self.arena) == Some(id),
            })
        })?;
        self.consumer(ConsumerIndex(index))
    }

    /// All consumers, in the order written.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = Consumer<'_>> {
        self.consumers.iter().enumerate().map(|(index, record)| {
            let index = ConsumerIndex(u32::try_from(index).unwrap_or(u32::MAX));
            Consumer { set: self, record, index }
        })
    }

    /// What the set takes in memory, in bytes: (all of it, the text alone).
    pub fn memory(&self) -> (usize, usize) {
        let tables = self.tables.by_digest.bytes()
            + self.tables.by_username.bytes()
            + self.tables.by_id.bytes();
        let records = size_of_val(&*self.consumers) + size_of_val(&*self.credentials);
        let text = self.arena.bytes();
        (tables + records + self.groups.bytes() + self.tags.bytes() + text, text)
    }
}

impl fmt::Debug for ConsumerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerSet")
            .field("name", &self.name)
            .field("consumers", &self.len())
            .field("credentials", &self.credential_count())
            .finish()
    }
}

/// A consumer of a set.
#[derive(Clone, Copy)]
pub struct Consumer<'a> {
    set: &'a ConsumerSet,
    record: &'a ConsumerRecord,
    index: ConsumerIndex,
}

impl<'a> Consumer<'a> {
    /// Its number in this version of the set.
    pub fn index(&self) -> ConsumerIndex {
        self.index
    }

    /// The username, else the custom_id.
    pub fn name(&self) -> &'a str {
        self.record.name(&self.set.arena)
    }

    /// The username, if it has one.
    pub fn username(&self) -> Option<&'a str> {
        Some(self.set.arena.get(self.record.username)).filter(|name| !name.is_empty())
    }

    /// The operator's own name, if it has one.
    pub fn custom_id(&self) -> Option<&'a str> {
        Some(self.set.arena.get(self.record.custom_id)).filter(|id| !id.is_empty())
    }

    /// The id, given or derived.
    pub fn id(&self) -> Id<'a> {
        self.record.id.get(&self.set.arena)
    }

    /// The groups, in the order written.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &'a str> + Clone + use<'a> {
        self.set.groups.names(&self.set.arena, self.record.groups)
    }

    /// The groups as `X-Consumer-Groups` has them: `a, b`; empty when there are none.
    pub fn groups_text(&self) -> &'a str {
        self.set.groups.joined(&self.set.arena, self.record.groups)
    }

    /// The tags, in the order written.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = &'a str> + Clone + use<'a> {
        self.set.tags.names(&self.set.arena, self.record.tags)
    }

    /// True for a `consumer` line of nginx.conf, which no interface can change.
    pub fn is_written_in_conf(&self) -> bool {
        self.record.written_in_conf
    }

    /// The keys.
    pub fn credentials(&self) -> impl Iterator<Item = Credential<'a>> + use<'a> {
        let (set, owner) = (self.set, self.index.0);
        let from = self.record.first_credential;
        (from..)
            .map_while(move |index| set.credential(CredentialIndex(index)))
            .take_while(move |credential| credential.record.consumer == owner)
    }
}

impl fmt::Debug for Consumer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("name", &self.name()).field("id", &self.id()).finish()
    }
}

/// What a key is worth at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// accepted
    Good,
    /// switched off
    Disabled,
    /// `not_before` has not come
    Future,
    /// `expires_at` has come
    Expired,
}

/// A key of a set.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    set: &'a ConsumerSet,
    record: &'a CredentialRecord,
    index: CredentialIndex,
}

impl<'a> Credential<'a> {
    /// Its number in this version of the set.
    pub fn index(&self) -> CredentialIndex {
        self.index
    }

    /// Whose it is.
    pub fn owner(&self) -> ConsumerIndex {
        ConsumerIndex(self.record.consumer)
    }

    /// The id, given or derived.
    pub fn id(&self) -> Id<'a> {
        self.record.id.get(&self.set.arena)
    }

    /// The key's SHA-256.
    pub fn digest(&self) -> &'a KeyDigest {
        &self.record.digest
    }

    /// When it was made, in seconds since 1970, if that is known.
    pub fn created_at(&self) -> Option<i64> {
        Some(self.record.created_at).filter(|time| *time != i64::MIN)
    }

    /// The first second in which it is good, in seconds since 1970.
    pub fn not_before(&self) -> Option<i64> {
        Some(self.record.not_before).filter(|time| *time != i64::MIN)
    }

    /// The first second in which it is good no more, in seconds since 1970.
    pub fn expires_at(&self) -> Option<i64> {
        Some(self.record.expires_at).filter(|time| *time != i64::MAX)
    }

    /// True for a key that is switched off.
    pub fn disabled(&self) -> bool {
        self.record.disabled
    }

    /// What it is worth at a time, in seconds since 1970.
    pub fn validity(&self, now_unix_s: i64) -> Validity {
        if self.record.disabled {
            Validity::Disabled
        } else if now_unix_s < self.record.not_before {
            Validity::Future
        } else if now_unix_s >= self.record.expires_at {
            Validity::Expired
        } else {
            Validity::Good
        }
    }
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("id", &self.id()).finish()
    }
}

#[cfg(test)]
mod tests;
