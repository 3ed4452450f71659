//! Puts a set together, consumer by consumer.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::digest::KeyDigest;
use super::entry::{ConsumerEntry, KeyEntry};
use super::ids::{Id, NameKind, derive_consumer, derive_credential, parse_uuid};
use super::image::{ImageWriter, Record as _};
use super::lists::ListsBuilder;
use super::records::{ConsumerRecord, CredentialRecord, IdSlot};
use super::registry::{ConsumerIndex, ConsumerSet};
use super::table::Table;
use super::text::{Arena, Text};

/// A set in the making.
pub struct SetBuilder {
    name: Arc<str>,
    arena: Arena,
    consumers: Vec<ConsumerRecord>,
    credentials: Vec<CredentialRecord>,
    groups: ListsBuilder,
    tags: ListsBuilder,
    by_digest: Table,
    by_username: Table,
    by_id: Table,
    by_custom_id: Table,
}

impl SetBuilder {
    /// An empty set with this name.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            arena: Arena::default(),
            consumers: Vec::new(),
            credentials: Vec::new(),
            groups: ListsBuilder::new(),
            tags: ListsBuilder::new(),
            by_digest: Table::default(),
            by_username: Table::default(),
            by_id: Table::default(),
            by_custom_id: Table::default(),
        }
    }

    /// Adds a consumer with its keys; `written_in_conf` is true for a line of nginx.conf.
    ///
    /// Errors: what there is already (a name, an id, a key), or that it has no name; the text names consumers, never a key.
    pub fn add(
        &mut self,
        entry: &ConsumerEntry<'_>,
        written_in_conf: bool,
    ) -> Result<ConsumerIndex, String> {
        let (kind, name) = match (&entry.username, &entry.custom_id) {
            (Some(username), _) => (NameKind::Username, username),
            (None, Some(custom_id)) => (NameKind::CustomId, custom_id),
            (None, None) => {
                return Err("a consumer needs \"username\" or \"custom_id\"".to_owned());
            }
        };
        let uuid = match &entry.id {
            Some(id) => parse_uuid(id),
            None => Some(derive_consumer(&self.name, kind, name)),
        };
        self.refuse_known(entry, name)?;
        let record = ConsumerRecord {
            username: self.optional(entry.username.as_deref()),
            custom_id: self.optional(entry.custom_id.as_deref()),
            id: self.id_slot(uuid, entry.id.as_deref()),
            first_credential: 0,
            groups: self.groups.intern(&mut self.arena, entry.groups.iter().map(|name| &**name)),
            tags: self.tags.intern(&mut self.arena, entry.tags.iter().map(|name| &**name)),
            written_in_conf,
        };
        let index = self.next_consumer()?;
        if self.find_id(record.id).is_some() {
            return Err(format!("consumer \"{name}\" has another consumer's id"));
        }
        let id = record.id;
        self.consumers.push(record);
        self.index_consumer(index, entry, id);
        let mut ids = HashSet::new();
        for key in &entry.keys {
            if key.id.as_deref().is_some_and(|id| !ids.insert(id)) {
                return Err(format!("consumer \"{name}\" has two keys with one id"));
            }
            self.add_key(ConsumerIndex(index), key)?;
        }
        Ok(ConsumerIndex(index))
    }

    /// Adds one more key to a consumer.
    pub fn add_key(&mut self, owner: ConsumerIndex, key: &KeyEntry<'_>) -> Result<(), String> {
        if let Some(other) = self.find_key(&key.digest) {
            let (owner, other) = (self.name_of(owner.0), self.name_of(other));
            return Err(match owner == other {
                true => format!("consumer \"{owner}\" has the same key twice"),
                false => format!("a key belongs to both \"{other}\" and \"{owner}\""),
            });
        }
        let uuid = match &key.id {
            Some(id) => parse_uuid(id),
            None => Some(derive_credential(&self.name, self.name_of(owner.0), &key.digest)),
        };
        let record = CredentialRecord {
            digest: key.digest,
            id: self.id_slot(uuid, key.id.as_deref()),
            created_at: key.created_at.unwrap_or(i64::MIN),
            not_before: key.not_before.unwrap_or(i64::MIN),
            expires_at: key.expires_at.unwrap_or(i64::MAX),
            consumer: owner.0,
            disabled: key.disabled,
        };
        let index = record_number(self.credentials.len())?;
        self.credentials.push(record);
        self.by_digest.insert(key.digest.prefix(), index);
        Ok(())
    }

    /// Adds one more group to a consumer.
    pub fn add_group(&mut self, owner: ConsumerIndex, group: &str) {
        let Some(record) = self.consumers.get_mut(owner.0 as usize) else { return };
        let mut names: Vec<String> =
            self.groups.names(&self.arena, record.groups).map(str::to_owned).collect();
        names.push(group.to_owned());
        record.groups = self.groups.intern(&mut self.arena, names.iter().map(String::as_str));
    }

    /// The consumer with this id or, failing that, this username.
    pub fn find(&self, id_or_username: &str) -> Option<ConsumerIndex> {
        let by_uuid = parse_uuid(id_or_username)
            .and_then(|uuid| self.find_id(IdSlot { is_text: false, bytes: uuid }));
        by_uuid
            .or_else(|| self.find_text_id(id_or_username))
            .or_else(|| self.find_username(id_or_username))
            .map(ConsumerIndex)
    }

    /// The finished set.
    ///
    /// Errors: more text than 4 GiB.
    pub fn finish(mut self) -> Result<ConsumerSet, String> {
        if self.arena.overflowed() {
            return Err("a consumer set can hold 4 GiB of names at most".to_owned());
        }
        if !self.credentials.is_sorted_by_key(|record| record.consumer) {
            self.credentials.sort_by_key(|record| record.consumer);
            let mut table = Table::default();
            for (index, record) in (0_u32..).zip(&self.credentials) {
                table.insert(record.digest.prefix(), index);
            }
            self.by_digest = table;
        }
        let mut credentials = (0_u32..).zip(&self.credentials).peekable();
        let mut first = 0;
        for (index, record) in (0_u32..).zip(&mut self.consumers) {
            record.first_credential = first;
            while credentials.next_if(|(_, credential)| credential.consumer == index).is_some() {
                first += 1;
            }
        }
        let (name, image) = (Arc::clone(&self.name), self.into_image());
        ConsumerSet::from_image(&name, Box::new(image))
            .ok_or_else(|| "a consumer set is larger than memory can be".to_owned())
    }

    /// The columns in the order in which the registry reads them. What is written is let go at once: a large set need not be
    /// there twice.
    fn into_image(self) -> Vec<u8> {
        let tables = [&self.by_digest, &self.by_username, &self.by_id];
        let mut image = ImageWriter::new(
            ConsumerRecord::SIZE * self.consumers.len()
                + CredentialRecord::SIZE * self.credentials.len()
                + self.groups.bytes()
                + self.tags.bytes()
                + tables.iter().map(|table| table.bytes()).sum::<usize>()
                + self.arena.bytes().len(),
        );
        drop(self.by_custom_id);
        image.column(&self.consumers);
        drop(self.consumers);
        image.column(&self.credentials);
        drop(self.credentials);
        self.groups.write(&mut image);
        self.tags.write(&mut image);
        for table in tables {
            table.write(&mut image);
        }
        image.text(self.arena.bytes());
        image.finish()
    }

    fn refuse_known(&self, entry: &ConsumerEntry<'_>, name: &str) -> Result<(), String> {
        if entry.username.as_deref().is_some_and(|name| self.find_username(name).is_some()) {
            return Err(format!("consumer \"{name}\" is there twice"));
        }
        if entry.custom_id.as_deref().is_some_and(|id| self.find_custom_id(id).is_some()) {
            return Err(format!("consumer \"{name}\" has another consumer's custom_id"));
        }
        // a text id is looked up before it is kept, so that the one that is kept can be compared by place
        if entry.id.as_deref().is_some_and(|id| self.find_text_id(id).is_some()) {
            return Err(format!("consumer \"{name}\" has another consumer's id"));
        }
        Ok(())
    }

    fn index_consumer(&mut self, index: u32, entry: &ConsumerEntry<'_>, id: IdSlot) {
        if let Some(username) = &entry.username {
            self.by_username.insert(hash_text(username), index);
        }
        if let Some(custom_id) = &entry.custom_id {
            self.by_custom_id.insert(hash_text(custom_id), index);
        }
        self.by_id.insert(self.hash_id(id), index);
    }

    fn find_key(&self, digest: &KeyDigest) -> Option<u32> {
        let found = self.by_digest.find(digest.prefix(), |index| {
            let known = self.credentials.get(index as usize);
            known.is_some_and(|record| record.digest.same_as(digest))
        });
        Some(self.credentials.get(found? as usize)?.consumer)
    }

    fn find_username(&self, name: &str) -> Option<u32> {
        self.by_username.find(hash_text(name), |index| {
            let known = self.consumers.get(index as usize);
            known.is_some_and(|record| self.arena.get(record.username) == name)
        })
    }

    fn find_custom_id(&self, id: &str) -> Option<u32> {
        self.by_custom_id.find(hash_text(id), |index| {
            let known = self.consumers.get(index as usize);
            known.is_some_and(|record| self.arena.get(record.custom_id) == id)
        })
    }

    fn find_id(&self, id: IdSlot) -> Option<u32> {
        self.by_id.find(self.hash_id(id), |index| {
            self.consumers.get(index as usize).is_some_and(|record| record.id == id)
        })
    }

    fn find_text_id(&self, id: &str) -> Option<u32> {
        self.by_id.find(hash_text(id), |index| {
            let known = self.consumers.get(index as usize);
            let text = known.and_then(|record| record.id.text());
            text.is_some_and(|text| self.arena.get(text) == id)
        })
    }

    fn name_of(&self, consumer: u32) -> &str {
        let name = |record: &ConsumerRecord| match self.arena.get(record.username) {
            "" => self.arena.get(record.custom_id),
            username => username,
        };
        self.consumers.get(consumer as usize).map_or("", name)
    }

    fn hash_id(&self, id: IdSlot) -> u64 {
        match id.text() {
            Some(text) => hash_text(self.arena.get(text)),
            // given UUIDs need not be random, so all of it counts
            None => hash_text(Id::spell(&id.bytes).as_str()),
        }
    }

    fn next_consumer(&self) -> Result<u32, String> {
        record_number(self.consumers.len())
    }

    fn optional(&mut self, text: Option<&str>) -> Text {
        text.map_or(Text::EMPTY, |text| self.arena.add(text))
    }

    fn id_slot(&mut self, uuid: Option<[u8; 16]>, text: Option<&str>) -> IdSlot {
        match uuid {
            Some(bytes) => IdSlot { is_text: false, bytes },
            None => IdSlot { is_text: true, bytes: self.optional(text).pack() },
        }
    }
}

/// A hash that is the same in every process: what is hashed is the operator's, not the client's.
pub(super) fn hash_text(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn record_number(count: usize) -> Result<u32, String> {
    // tables keep record numbers plus one
    u32::try_from(count)
        .ok()
        .filter(|number| *number < u32::MAX)
        .ok_or_else(|| "a consumer set can hold 4294967294 consumers and as many keys".to_owned())
}
