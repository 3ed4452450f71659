//! The consumer set: immutable, compact, looked up without locks and without allocation.
//!
//! A set is one run of bytes (image.rs): records of fixed size, which refer to text by offset, and hash tables of record
//! numbers. So processes can share one. A consumer with one key takes some 160 bytes besides its text.

use std::fmt;
use std::sync::Arc;

use super::builder::hash_text;
use super::digest::KeyDigest;
use super::ids::{Id, parse_uuid};
use super::image::Column;
use super::records::{Columns, ConsumerRecord, CredentialRecord, IdSlot};
use super::table::{Slot, search};
use super::text::{Name, Text};

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

/// Bytes that stay as they are: a process's own, or memory that others have too.
pub type Image = Box<dyn AsRef<[u8]> + Send + Sync>;

/// One version of a named set of consumers.
pub struct ConsumerSet {
    name: Arc<str>,
    image: Image,
    columns: Columns,
}

impl ConsumerSet {
    /// The set that an image holds, as [`ConsumerSet::image`] gave it; `None` for bytes that are no set.
    pub fn from_image(name: &str, image: Image) -> Option<Self> {
        let columns = Columns::read((*image).as_ref())?;
        Some(Self { name: name.into(), image, columns })
    }

    /// The set's bytes, for other processes.
    pub fn image(&self) -> &[u8] {
        (*self.image).as_ref()
    }

    /// The set's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many consumers there are.
    pub fn len(&self) -> usize {
        self.columns.consumers.len()
    }

    /// True for a set without consumers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys there are, disabled and expired ones included.
    pub fn credential_count(&self) -> usize {
        self.columns.credentials.len()
    }

    /// How many different groups there are.
    pub fn group_count(&self) -> usize {
        self.columns.groups.distinct_names()
    }

    /// The key with this digest, good or not; the time taken does not tell how much of a digest is right.
    pub fn lookup(&self, digest: &KeyDigest) -> Option<Credential<'_>> {
        let index = self.search(&self.columns.by_digest, digest.prefix(), |index| {
            self.credential_record(index).is_some_and(|record| record.digest.same_as(digest))
        })?;
        self.credential(CredentialIndex(index))
    }

    /// The key with this number.
    pub fn credential(&self, index: CredentialIndex) -> Option<Credential<'_>> {
        let record = self.credential_record(index.0)?;
        Some(Credential { set: self, record, index })
    }

    /// The consumer with this number.
    pub fn consumer(&self, index: ConsumerIndex) -> Option<Consumer<'_>> {
        let record = self.consumer_record(index.0)?;
        Some(Consumer { set: self, record, index })
    }

    /// The consumer with this username.
    pub fn by_username(&self, username: &str) -> Option<Consumer<'_>> {
        let index = self.search(&self.columns.by_username, hash_text(username), |index| {
            self.consumer_record(index).is_some_and(|it| self.text(it.username) == username.into())
        })?;
        self.consumer(ConsumerIndex(index))
    }

    /// The consumer with this id.
    pub fn by_id(&self, id: &str) -> Option<Consumer<'_>> {
        let uuid = parse_uuid(id);
        let index = self.search(&self.columns.by_id, hash_text(id), |index| {
            self.consumer_record(index).is_some_and(|record| match uuid {
                Some(uuid) => !record.id.is_text && record.id.bytes == uuid,
                None => record.id.text().is_some_and(|text| self.text(text) == id.into()),
            })
        })?;
        self.consumer(ConsumerIndex(index))
    }

    /// All consumers, in the order written.
    pub fn consumers(&self) -> impl Iterator<Item = Consumer<'_>> {
        (0..u32::MAX).map_while(|index| self.consumer(ConsumerIndex(index)))
    }

    /// What the set takes in memory, in bytes: (all of it, the text alone).
    pub fn memory(&self) -> (usize, usize) {
        (self.image().len(), self.columns.text.len())
    }

    fn search(
        &self,
        table: &Column<Slot>,
        hash: u64,
        matches: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let image = self.image();
        search(table.len(), |at| table.get(image, at), hash, matches)
    }

    fn consumer_record(&self, index: u32) -> Option<ConsumerRecord> {
        self.columns.consumers.get(self.image(), index as usize)
    }

    fn credential_record(&self, index: u32) -> Option<CredentialRecord> {
        self.columns.credentials.get(self.image(), index as usize)
    }

    fn text(&self, text: Text) -> Name<'_> {
        self.columns.text.text(self.image(), text.offset(), text.len())
    }

    fn id(&self, id: IdSlot) -> Id<'_> {
        id.text().map_or_else(|| Id::spell(&id.bytes), |text| Id::Name(self.text(text)))
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
    record: ConsumerRecord,
    index: ConsumerIndex,
}

impl<'a> Consumer<'a> {
    /// Its number in this version of the set.
    pub fn index(&self) -> ConsumerIndex {
        self.index
    }

    /// The username, else the custom_id.
    pub fn name(&self) -> Name<'a> {
        self.username().or_else(|| self.custom_id()).unwrap_or_default()
    }

    /// The username, if it has one.
    pub fn username(&self) -> Option<Name<'a>> {
        Some(self.set.text(self.record.username)).filter(|name| !name.is_empty())
    }

    /// The operator's own name, if it has one.
    pub fn custom_id(&self) -> Option<Name<'a>> {
        Some(self.set.text(self.record.custom_id)).filter(|id| !id.is_empty())
    }

    /// The id, given or derived.
    pub fn id(&self) -> Id<'a> {
        self.set.id(self.record.id)
    }

    /// The groups, in the order written.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = Name<'a>> + Clone + use<'a> {
        let set = self.set;
        let names = set.columns.groups.names(set.image(), self.record.groups);
        names.map(move |name| set.text(name))
    }

    /// The groups as `X-Consumer-Groups` has them: `a, b`; empty when there are none.
    pub fn groups_text(&self) -> Name<'a> {
        self.set.text(self.set.columns.groups.joined(self.set.image(), self.record.groups))
    }

    /// The tags, in the order written.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = Name<'a>> + Clone + use<'a> {
        let set = self.set;
        let names = set.columns.tags.names(set.image(), self.record.tags);
        names.map(move |name| set.text(name))
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
    record: CredentialRecord,
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
        self.set.id(self.record.id)
    }

    /// The key's SHA-256.
    pub fn digest(&self) -> &KeyDigest {
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
