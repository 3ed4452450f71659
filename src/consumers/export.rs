//! A set as a consumers file in the project's own spelling.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::registry::{Consumer, ConsumerSet, Credential};

/// The set's consumers as JSON, keys as SHA-256. Reading it again makes the same set.
pub fn to_json(set: &ConsumerSet) -> String {
    let consumers: Vec<Value> = set.consumers().map(|who| consumer(&who)).collect();
    let mut text = format!("{:#}", json!({ "consumers": consumers }));
    text.push('\n');
    text
}

fn consumer(consumer: &Consumer<'_>) -> Value {
    let mut object = Map::new();
    for (name, value) in [("username", consumer.username()), ("custom_id", consumer.custom_id())] {
        if let Some(value) = value {
            object.insert(name.to_owned(), value.into());
        }
    }
    object.insert("id".to_owned(), (&*consumer.id()).into());
    if consumer.tags().len() > 0 {
        object.insert("tags".to_owned(), consumer.tags().collect());
    }
    if consumer.groups().len() > 0 {
        object.insert("groups".to_owned(), consumer.groups().collect());
    }
    object.insert("keys".to_owned(), consumer.credentials().map(|key| credential(&key)).collect());
    Value::Object(object)
}

fn credential(key: &Credential<'_>) -> Value {
    let mut object = Map::new();
    object.insert("id".to_owned(), (&*key.id()).into());
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
