//! The objects of a consumers file and their fields.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::reader::{Later, LaterWhat, Reader, Shape, unknown_field};
use super::values::{ConsumerReference, Moment, Plain};
use crate::consumers::digest::KeyDigest;
use crate::consumers::entry::{ConsumerEntry, KeyEntry, check_group, check_name};

/// The top level. With `_format_version` it is Kong's, whose other lists mean nothing here, nor what stands behind it of a
/// consumer that is known to Kong alone.
#[derive(Default)]
pub(super) struct Document {
    has_consumers: bool,
    unknown: Option<String>,
}

impl<'de> Shape<'de> for Document {
    type Collected = ();
    const FIELDS: &'static [&'static str] =
        &["consumers", "keyauth_credentials", "acls", "_format_version"];
    const IGNORED: &'static [&'static str] = &["$schema", "_comment"];

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        reader: &mut Reader<'_>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            "consumers" => {
                self.has_consumers = true;
                reader.objects::<Consumer<'de>, A>(map)
            }
            "keyauth_credentials" => reader.objects::<Key<'de, KongElsewhere>, A>(map),
            "acls" => reader.objects::<GroupElsewhere, A>(map),
            _ => {
                reader.is_kong = true;
                map.next_value::<IgnoredAny>().map(|_| ())
            }
        }
    }

    fn unknown(&mut self, name: &str, _: &Reader<'_>) -> Result<(), String> {
        self.unknown.get_or_insert_with(|| unknown_field(name));
        Ok(())
    }

    fn done(self, reader: &mut Reader<'_>, (): &mut ()) -> Result<(), String> {
        match self.unknown {
            Some(unknown) if !reader.is_kong => Err(unknown),
            _ if !self.has_consumers => Err("it has no \"consumers\"".to_owned()),
            _ => Ok(()),
        }
    }
}

#[derive(Default)]
struct Consumer<'de>(ConsumerEntry<'de>);

impl<'de> Shape<'de> for Consumer<'de> {
    type Collected = ();
    const FIELDS: &'static [&'static str] =
        &["username", "id", "custom_id", "groups", "tags", "keys", "keyauth_credentials", "acls"];
    const IGNORED: &'static [&'static str] = &[
        "_comment",
        "_ignore",
        "basicauth_credentials",
        "created_at",
        "hmacauth_credentials",
        "jwt_secrets",
        "mtls_auth_credentials",
        "oauth2_credentials",
        "plugins",
        "type",
        "updated_at",
        "username_lower",
    ];

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        reader: &mut Reader<'_>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let Self(entry) = self;
        match name {
            "username" => entry.username = reader.name(check_name, map)?,
            "id" => entry.id = reader.name(check_name, map)?,
            "custom_id" => entry.custom_id = reader.name(check_name, map)?,
            "groups" => entry.groups.extend(reader.groups(map)?),
            "tags" => entry.tags = reader.names(check_name, map)?,
            "keys" => entry.keys.extend(reader.objects::<Key<'de, Own>, A>(map)?.0),
            "keyauth_credentials" => {
                entry.keys.extend(reader.objects::<Key<'de, Kong>, A>(map)?.0);
            }
            _ => entry.groups.extend(reader.objects::<Group<'de>, A>(map)?),
        }
        Ok(())
    }

    fn unknown(&mut self, name: &str, reader: &Reader<'_>) -> Result<(), String> {
        if reader.is_kong { Ok(()) } else { Err(unknown_field(name)) }
    }

    fn done(self, reader: &mut Reader<'_>, (): &mut ()) -> Result<(), String> {
        reader.builder.add(&self.0, false).map(|_| ())
    }
}

/// Where a key stands, which decides its fields and what becomes of it.
trait Standing {
    const FIELDS: &'static [&'static str];
    type Keys<'de>: Default;

    fn take<'de>(
        key: KeyEntry<'de>,
        consumer: Option<String>,
        reader: &mut Reader<'_>,
        keys: &mut Self::Keys<'de>,
    ) -> Result<(), String>;
}

/// The keys of one consumer.
#[derive(Default)]
struct Keys<'de>(Vec<KeyEntry<'de>>);

/// In `keys`.
struct Own;

impl Standing for Own {
    const FIELDS: &'static [&'static str] =
        &["id", "sha256", "key", "created_at", "not_before", "expires_at", "disabled"];
    type Keys<'de> = Keys<'de>;

    fn take<'de>(
        key: KeyEntry<'de>,
        _: Option<String>,
        _: &mut Reader<'_>,
        keys: &mut Keys<'de>,
    ) -> Result<(), String> {
        keys.0.push(key);
        Ok(())
    }
}

/// In Kong's `keyauth_credentials` of a consumer.
struct Kong;

impl Standing for Kong {
    const FIELDS: &'static [&'static str] = &["id", "key", "created_at", "ttl", "tags"];
    type Keys<'de> = Keys<'de>;

    fn take<'de>(
        key: KeyEntry<'de>,
        consumer: Option<String>,
        reader: &mut Reader<'_>,
        keys: &mut Keys<'de>,
    ) -> Result<(), String> {
        Own::take(key, consumer, reader, keys)
    }
}

/// In Kong's top-level `keyauth_credentials`.
struct KongElsewhere;

impl Standing for KongElsewhere {
    const FIELDS: &'static [&'static str] = &["id", "key", "created_at", "ttl", "tags", "consumer"];
    type Keys<'de> = ();

    fn take<'de>(
        key: KeyEntry<'de>,
        consumer: Option<String>,
        reader: &mut Reader<'_>,
        (): &mut (),
    ) -> Result<(), String> {
        let consumer = consumer.ok_or("it needs \"consumer\"")?;
        let id = key.id.map(|id| Cow::Owned(id.into_owned()));
        let what = LaterWhat::Key(KeyEntry { id, ..key });
        reader.later.push(Later { consumer, what, pointer: reader.pointer() });
        Ok(())
    }
}

struct Key<'de, S> {
    id: Option<Cow<'de, str>>,
    digest: Option<KeyDigest>,
    created_at: Option<i64>,
    not_before: Option<i64>,
    expires_at: Option<i64>,
    ttl_s: Option<i64>,
    disabled: bool,
    consumer: Option<String>,
    standing: PhantomData<S>,
}

impl<S> Default for Key<'_, S> {
    fn default() -> Self {
        let (id, digest, consumer, standing) = (None, None, None, PhantomData);
        let (created_at, not_before, expires_at, ttl_s) = (None, None, None, None);
        let disabled = false;
        Self { id, digest, created_at, not_before, expires_at, ttl_s, disabled, consumer, standing }
    }
}

impl<'de, S: Standing> Shape<'de> for Key<'de, S> {
    type Collected = S::Keys<'de>;
    const FIELDS: &'static [&'static str] = S::FIELDS;
    const IGNORED: &'static [&'static str] = &["_comment", "updated_at"];

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        reader: &mut Reader<'_>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        const TIME: &str = "an RFC 3339 time";
        match name {
            "id" => self.id = reader.name(check_name, map)?,
            "sha256" | "key" => self.secret(name, reader, map)?,
            "created_at" => {
                let moment = reader.value(TIME, map)?;
                self.created_at = time(moment, Round::Down).map_err(|why| reader.fail(why))?;
            }
            "not_before" => {
                let moment = reader.value(TIME, map)?.map(|Plain(text)| Moment::Text(text));
                self.not_before = time(moment, Round::Up).map_err(|why| reader.fail(why))?;
            }
            "expires_at" => {
                let moment = reader.value(TIME, map)?.map(|Plain(text)| Moment::Text(text));
                self.expires_at = time(moment, Round::Down).map_err(|why| reader.fail(why))?;
            }
            "disabled" => {
                self.disabled = reader.value("true or false", map)?.unwrap_or(false);
            }
            "ttl" => {
                let seconds: Option<u32> = reader.value("a number of seconds", map)?;
                self.ttl_s = seconds.filter(|seconds| *seconds > 0).map(i64::from);
            }
            "consumer" => {
                let reference = reader.value("a consumer's id or username", map)?;
                self.consumer = reference.map(|ConsumerReference(name)| name);
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }

    fn done(self, reader: &mut Reader<'_>, keys: &mut S::Keys<'de>) -> Result<(), String> {
        let digest = self.digest.ok_or_else(|| match S::FIELDS.contains(&"sha256") {
            true => "it needs \"sha256\" or \"key\"",
            false => "it needs \"key\"",
        })?;
        let expires_at = match (self.expires_at, self.ttl_s, self.created_at) {
            (None, Some(_), None) => {
                // counted from every load, it would never expire
                return Err("\"ttl\" needs \"created_at\" beside it".to_owned());
            }
            (None, Some(ttl_s), Some(created_at)) => Some(created_at.saturating_add(ttl_s)),
            (expires_at, ..) => expires_at,
        };
        if expires_at.zip(self.not_before).is_some_and(|(end, start)| end <= start) {
            return Err("\"expires_at\" is not after \"not_before\"".to_owned());
        }
        let Self { id, created_at, not_before, disabled, consumer, .. } = self;
        let key = KeyEntry { digest, id, created_at, not_before, expires_at, disabled };
        S::take(key, consumer, reader, keys)
    }
}

impl<'de, S> Key<'de, S> {
    fn secret<A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        reader: &mut Reader<'_>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let Some(Plain(text)) = reader.value("a string", map)? else { return Ok(()) };
        if self.digest.is_some() {
            return Err(reader.fail("\"sha256\" and \"key\" exclude each other"));
        }
        let digest = match name {
            "sha256" => KeyDigest::from_hex(text.strip_prefix("sha256:").unwrap_or(&text))
                .ok_or("it must be 64 hexadecimal digits"),
            _ if text.is_empty() => Err("it is empty"),
            _ if text.starts_with("{vault://") => Err("references to Kong's vaults are not read"),
            _ => Ok(KeyDigest::of(text.as_bytes())),
        };
        self.digest = Some(digest.map_err(|reason| reader.fail(reason))?);
        Ok(())
    }
}

/// One of Kong's `acls` of a consumer.
#[derive(Default)]
struct Group<'de>(Option<Cow<'de, str>>);

impl<'de> Shape<'de> for Group<'de> {
    type Collected = Vec<Cow<'de, str>>;
    const FIELDS: &'static [&'static str] = &["group"];
    const IGNORED: &'static [&'static str] = &["_comment", "created_at", "id", "tags"];

    fn field<A: MapAccess<'de>>(
        &mut self,
        _: &'static str,
        reader: &mut Reader<'_>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        self.0 = reader.name(check_group, map)?;
        Ok(())
    }

    fn done(self, _: &mut Reader<'_>, groups: &mut Self::Collected) -> Result<(), String> {
        groups.push(self.0.ok_or("it needs \"group\"")?);
        Ok(())
    }
}

/// One of Kong's top-level `acls`.
#[derive(Default)]
struct GroupElsewhere {
    group: Option<String>,
    consumer: Option<String>,
}

impl<'de> Shape<'de> for GroupElsewhere {
    type Collected = ();
    const FIELDS: &'static [&'static str] = &["group", "consumer"];
    const IGNORED: &'static [&'static str] = &["_comment", "created_at", "id", "tags"];

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        reader: &mut Reader<'_>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if name == "group" {
            self.group = reader.name(check_group, map)?.map(Cow::into_owned);
        } else {
            let reference = reader.value("a consumer's id or username", map)?;
            self.consumer = reference.map(|ConsumerReference(name)| name);
        }
        Ok(())
    }

    fn done(self, reader: &mut Reader<'_>, (): &mut ()) -> Result<(), String> {
        let what = LaterWhat::Group(self.group.ok_or("it needs \"group\"")?);
        let consumer = self.consumer.ok_or("it needs \"consumer\"")?;
        reader.later.push(Later { consumer, what, pointer: reader.pointer() });
        Ok(())
    }
}

/// Which whole second stands for a fraction of one.
#[derive(Clone, Copy)]
enum Round {
    Down,
    Up,
}

/// Seconds since 1970.
fn time(moment: Option<Moment<'_>>, round: Round) -> Result<Option<i64>, &'static str> {
    match moment {
        None => Ok(None),
        Some(Moment::Seconds(seconds)) => Ok(Some(seconds)),
        Some(Moment::Text(text)) => {
            let time = OffsetDateTime::parse(&text, &Rfc3339)
                .map_err(|_| "it must be an RFC 3339 time such as 2027-01-31T12:00:00Z")?;
            let up = matches!(round, Round::Up) && time.nanosecond() > 0;
            Ok(Some(time.unix_timestamp() + i64::from(up)))
        }
    }
}
