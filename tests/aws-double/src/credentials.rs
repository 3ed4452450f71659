//! The access keys the double has issued: what signatures are verified against.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::{Mutex, RwLock};
use ring::hmac;

use crate::clock::Utc;

/// The long-term key of AWS's documentation and test vectors; always known.
pub(crate) const STATIC_ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
/// Its secret.
pub(crate) const STATIC_SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

const NEVER_MS: i64 = i64::MAX;

/// One access key.
pub(crate) struct Credential {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    /// The session token of temporary credentials.
    pub(crate) token: Option<String>,
    /// The ARN that errors name.
    pub(crate) principal: String,
    expires_at_ms: AtomicI64,
    /// Signing keys by `date/region/service`, derived once.
    signing_keys: Mutex<Vec<(String, hmac::Key)>>,
}

impl Credential {
    /// When it expires, in milliseconds since 1970; nothing for long-term keys.
    pub(crate) fn expires_at_ms(&self) -> Option<i64> {
        Some(self.expires_at_ms.load(Ordering::Relaxed)).filter(|ms| *ms != NEVER_MS)
    }

    /// Whether it has expired.
    pub(crate) fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_at_ms.load(Ordering::Relaxed) <= now_ms
    }

    /// Makes it expired from this moment.
    pub(crate) fn expire(&self, now_ms: i64) {
        self.expires_at_ms.store(now_ms, Ordering::Relaxed);
    }

    /// The expiration as the credential endpoints write it.
    pub(crate) fn expiration(&self) -> String {
        self.expires_at_ms().map_or_else(String::new, |ms| Utc::from_ms(ms).iso8601())
    }

    /// The signature of a string to sign under this key for `date` (`YYYYMMDD`), region and service.
    /// Source: "Create a signed AWS API request", step 3.
    pub(crate) fn sign(&self, scope: (&str, &str, &str), string_to_sign: &[u8]) -> hmac::Tag {
        let (date, region, service) = scope;
        let mut keys = self.signing_keys.lock();
        let known = keys.iter().find(|(name, _)| {
            let mut parts = name.splitn(3, '/');
            (parts.next(), parts.next(), parts.next()) == (Some(date), Some(region), Some(service))
        });
        if let Some((_, key)) = known {
            return hmac::sign(key, string_to_sign);
        }
        let step = |key: &[u8], data: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data.as_bytes())
        };
        let of_date = step(format!("AWS4{}", self.secret_access_key).as_bytes(), date);
        let of_region = step(of_date.as_ref(), region);
        let of_service = step(of_region.as_ref(), service);
        let of_request = step(of_service.as_ref(), "aws4_request");
        let key = hmac::Key::new(hmac::HMAC_SHA256, of_request.as_ref());
        let tag = hmac::sign(&key, string_to_sign);
        keys.push((format!("{date}/{region}/{service}"), key));
        tag
    }
}

/// A key to be made known. What is absent is made up.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NewCredential {
    pub(crate) access_key_id: Option<String>,
    pub(crate) secret_access_key: Option<String>,
    pub(crate) session_token: Option<String>,
    /// Absent: a long-term key without token, unless a token is given.
    pub(crate) lifetime_ms: Option<i64>,
    pub(crate) principal: Option<String>,
}

/// All keys.
pub(crate) struct Registry {
    by_id: RwLock<HashMap<String, Arc<Credential>>>,
}

impl Registry {
    /// A registry that knows the documentation's key only.
    pub(crate) fn new() -> Self {
        let registry = Self { by_id: RwLock::default() };
        registry.add(
            NewCredential {
                access_key_id: Some(STATIC_ACCESS_KEY_ID.into()),
                secret_access_key: Some(STATIC_SECRET_ACCESS_KEY.into()),
                ..NewCredential::default()
            },
            0,
        );
        registry
    }

    /// The key of an id.
    pub(crate) fn get(&self, access_key_id: &str) -> Option<Arc<Credential>> {
        self.by_id.read().get(access_key_id).cloned()
    }

    /// Forgets a key; returns whether there was one.
    pub(crate) fn remove(&self, access_key_id: &str) -> bool {
        self.by_id.write().remove(access_key_id).is_some()
    }

    /// Makes a key known and returns it.
    pub(crate) fn add(&self, new: NewCredential, now_ms: i64) -> Arc<Credential> {
        let temporary = new.lifetime_ms.is_some() || new.session_token.is_some();
        let prefix = if temporary { "ASIA" } else { "AKIA" };
        let credential = Arc::new(Credential {
            access_key_id: new
                .access_key_id
                .unwrap_or_else(|| format!("{prefix}{}", random_text(16, UPPER_AND_DIGITS))),
            secret_access_key: new.secret_access_key.unwrap_or_else(|| random_text(40, BASE64)),
            token: temporary.then(|| {
                new.session_token.unwrap_or_else(|| format!("IQoJ{}", random_text(340, BASE64)))
            }),
            principal: new
                .principal
                .unwrap_or_else(|| "arn:aws:iam::123456789012:user/double".into()),
            expires_at_ms: AtomicI64::new(new.lifetime_ms.map_or(NEVER_MS, |ms| now_ms + ms)),
            signing_keys: Mutex::default(),
        });
        self.by_id.write().insert(credential.access_key_id.clone(), credential.clone());
        credential
    }
}

const UPPER_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Tokens and secrets have `+` and `/`, so that a client that mangles them is found out.
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn random_text(len: usize, alphabet: &[u8]) -> String {
    (0..len).map(|_| char::from(alphabet[fastrand::usize(..alphabet.len())])).collect()
}

/// What hands out one role's credentials: the same ones until they are near their end, then new ones.
#[derive(Default)]
pub(crate) struct Issuer {
    current: Mutex<Option<Arc<Credential>>>,
}

impl Issuer {
    /// The credentials in force: the current ones while they have more than `renew_before_ms` left, else new ones.
    pub(crate) fn current(
        &self,
        registry: &Registry,
        principal: &str,
        (lifetime_ms, renew_before_ms): (i64, i64),
        now_ms: i64,
    ) -> Arc<Credential> {
        let mut current = self.current.lock();
        let fresh = current
            .as_ref()
            .filter(|c| c.expires_at_ms().is_some_and(|end| end - now_ms > renew_before_ms));
        if let Some(credential) = fresh {
            return credential.clone();
        }
        let new = NewCredential {
            lifetime_ms: Some(lifetime_ms),
            principal: Some(principal.into()),
            ..NewCredential::default()
        };
        current.insert(registry.add(new, now_ms)).clone()
    }

    /// Makes the next call of `current` issue new credentials; the old ones stay valid unless `expire_old`.
    pub(crate) fn rotate(&self, expire_old: bool, now_ms: i64) {
        if let Some(old) = self.current.lock().take().filter(|_| expire_old) {
            old.expire(now_ms);
        }
    }
}
