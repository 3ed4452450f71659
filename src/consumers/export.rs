//! A set as a consumers file in the project's own spelling.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ids::{Id, NameKind, derive_consumer, derive_credential};
use super::registry::{Consumer, ConsumerSet, Credential};
use super::text::Name;

/// The set's consumers as JSON, keys as SHA-256. Reading it again makes the same set: ids that were derived are derived again,
/// by the name of whatever set that is in.
pub fn to_json(set: &ConsumerSet) -> String {
    let consumers: Vec<Value> = set.consumers().map(|who| consumer(set.name(), &who)).collect();
    let mut text = format!("{:#}", json!({ "consumers": consumers }));
    text.push('\n');
    text
}

fn consumer(set: &str, consumer: &Consumer<'_>) -> Value {
    let mut object = Map::new();
    for (name, value) in [("username", consumer.username()), ("custom_id", consumer.custom_id())] {
        if let Some(value) = value {
            object.insert(name.to_owned(), value.as_str().into());
        }
    }
    let name = consumer.name().as_str();
    let kind = match consumer.username() {
        Some(_) => NameKind::Username,
        None => NameKind::CustomId,
    };
    let derived = Id::spell(&derive_consumer(set, kind, name));
    insert_id(&mut object, consumer.id(), derived);
    if consumer.tags().len() > 0 {
        object.insert("tags".to_owned(), consumer.tags().map(Name::as_str).collect());
    }
    if consumer.groups().len() > 0 {
        object.insert("groups".to_owned(), consumer.groups().map(Name::as_str).collect());
    }
    let keys = consumer.credentials().map(|key| {
        let derived = Id::spell(&derive_credential(set, name, key.digest()));
        credential(&key, derived)
    });
    object.insert("keys".to_owned(), keys.collect());
    Value::Object(object)
}

fn insert_id(object: &mut Map<String, Value>, id: Id<'_>, derived: Id<'_>) {
    if id.as_bytes() != derived.as_bytes() {
        object.insert("id".to_owned(), id.as_str().into());
    }
}

fn credential(key: &Credential<'_>, derived_id: Id<'_>) -> Value {
    let mut object = Map::new();
    insert_id(&mut object, key.id(), derived_id);
    object.insert("sha256".to_owned(), key.digest().to_hex().into());
    for (name, time) in [
        ("created_at", key.created_at()),
        ("not_before", key.not_before()),
        ("expires_at", key.expires_at()),
    ] {
        // times come from RFC 3339 texts, or from Kong's seconds, which can lie outside its years
        let time = time.and_then(|time| OffsetDateTime::from_unix_timestamp(time).ok());
        if let Some(text) = time.and_then(|time| time.format(&Rfc3339).ok()) {
            object.insert(name.to_owned(), text.into());
        }
    }
    if key.disabled() {
        object.insert("disabled".to_owned(), true.into());
    }
    Value::Object(object)
}
