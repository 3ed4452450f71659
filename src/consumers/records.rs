//! What a set's image is made of: records of consumers and keys, and the columns that hold them.

use super::digest::KeyDigest;
use super::image::{Column, Fields, HeadReader, Record};
use super::lists::Lists;
use super::table::Slot;
use super::text::Text;

/// An id: a UUID as 16 bytes, or the place of another text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct IdSlot {
    pub(super) is_text: bool,
    pub(super) bytes: [u8; 16],
}

impl IdSlot {
    /// The place of an id that is no UUID.
    pub(super) fn text(&self) -> Option<Text> {
        self.is_text.then(|| Text::unpack(self.bytes))
    }
}

impl Record for IdSlot {
    const SIZE: usize = 17;

    fn write(&self, to: &mut Vec<u8>) {
        to.push(self.is_text.into());
        to.extend_from_slice(&self.bytes);
    }

    fn read(from: &mut Fields<'_>) -> Option<Self> {
        Some(Self { is_text: from.flag()?, bytes: from.bytes()? })
    }
}

/// A consumer; its texts and lists are elsewhere.
#[derive(Clone, Copy)]
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

impl Record for ConsumerRecord {
    const SIZE: usize = 2 * Text::SIZE + IdSlot::SIZE + 3 * u32::SIZE + 1;

    fn write(&self, to: &mut Vec<u8>) {
        self.username.write(to);
        self.custom_id.write(to);
        self.id.write(to);
        for number in [self.first_credential, self.groups, self.tags] {
            number.write(to);
        }
        to.push(self.written_in_conf.into());
    }

    fn read(from: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            username: Text::read(from)?,
            custom_id: Text::read(from)?,
            id: IdSlot::read(from)?,
            first_credential: from.u32()?,
            groups: from.u32()?,
            tags: from.u32()?,
            written_in_conf: from.flag()?,
        })
    }
}

/// A key.
#[derive(Clone, Copy)]
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

impl Record for CredentialRecord {
    const SIZE: usize = 32 + IdSlot::SIZE + 3 * 8 + u32::SIZE + 1;

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.digest.as_bytes());
        self.id.write(to);
        for time in [self.created_at, self.not_before, self.expires_at] {
            to.extend_from_slice(&time.to_le_bytes());
        }
        self.consumer.write(to);
        to.push(self.disabled.into());
    }

    fn read(from: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            digest: KeyDigest::from_bytes(from.bytes()?),
            id: IdSlot::read(from)?,
            created_at: from.i64()?,
            not_before: from.i64()?,
            expires_at: from.i64()?,
            consumer: from.u32()?,
            disabled: from.flag()?,
        })
    }
}

/// Where in the image everything is; SetBuilder writes the columns in this order.
pub(super) struct Columns {
    pub(super) consumers: Column<ConsumerRecord>,
    pub(super) credentials: Column<CredentialRecord>,
    pub(super) groups: Lists,
    pub(super) tags: Lists,
    pub(super) by_digest: Column<Slot>,
    pub(super) by_username: Column<Slot>,
    pub(super) by_id: Column<Slot>,
    pub(super) text: Column<u8>,
}

impl Columns {
    /// `None` for bytes that are no set.
    pub(super) fn read(image: &[u8]) -> Option<Self> {
        let mut head = HeadReader::new(image)?;
        let columns = Self {
            consumers: head.column()?,
            credentials: head.column()?,
            groups: Lists::read(&mut head)?,
            tags: Lists::read(&mut head)?,
            by_digest: head.column()?,
            by_username: head.column()?,
            by_id: head.column()?,
            text: head.column()?,
        };
        head.is_whole().then_some(columns)
    }
}
