//! The plain values of a consumers file.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

/// A text, borrowed from the document where it has no escapes.
pub(super) struct Plain<'de>(pub(super) Cow<'de, str>);

impl<'de> Deserialize<'de> for Plain<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Plain<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Plain<'de>, E> {
                Ok(Plain(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Plain<'de>, E> {
                Ok(Plain(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Plain<'de>, E> {
                Ok(Plain(Cow::Owned(text)))
            }
        }

        from.deserialize_str(Text)
    }
}

/// A text, or `None` for an object, whatever is in it.
pub(super) struct TextOrObject<'de>(pub(super) Option<Cow<'de, str>>);

impl<'de> Deserialize<'de> for TextOrObject<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = TextOrObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<TextOrObject<'de>, E> {
                Ok(TextOrObject(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<TextOrObject<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(TextOrObject(None))
            }
        }

        from.deserialize_any(Either)
    }
}

/// A time as a file has it: RFC 3339 text, or Kong's seconds since 1970.
pub(super) enum Moment<'de> {
    Text(Cow<'de, str>),
    Seconds(i64),
}

impl<'de> Deserialize<'de> for Moment<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Moment<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }

            fn visit_str<E>(self, text: &str) -> Result<Moment<'de>, E> {
                Ok(Moment::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_i64<E>(self, seconds: i64) -> Result<Moment<'de>, E> {
                Ok(Moment::Seconds(seconds))
            }

            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Moment<'de>, E> {
                i64::try_from(seconds).map(Moment::Seconds).map_err(|_| E::custom("too late"))
            }
        }

        from.deserialize_any(Either)
    }
}

/// A consumer as Kong's top-level lists name it: an id or username, or an object with one of them.
pub(super) struct ConsumerReference(pub(super) String);

impl<'de> Deserialize<'de> for ConsumerReference {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ConsumerReference;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a consumer")
            }

            fn visit_str<E>(self, text: &str) -> Result<ConsumerReference, E> {
                Ok(ConsumerReference(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<ConsumerReference, A::Error> {
                let mut found = None;
                while let Some(Plain(name)) = map.next_key()? {
                    if !matches!(&*name, "id" | "username") {
                        return Err(A::Error::custom("neither id nor username"));
                    }
                    let Plain(value) = map.next_value()?;
                    found = Some(value.into_owned());
                }
                found.map(ConsumerReference).ok_or_else(|| A::Error::custom("neither"))
            }
        }

        from.deserialize_any(Either)
    }
}
