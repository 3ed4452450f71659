//! What requests are signed with.

use std::fmt;

/// An access key, its secret, and for temporary ones the session token and the time they end.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `AKIA...` or `ASIA...`; no secret.
    pub access_key_id: String,
    /// Secret.
    pub secret_access_key: String,
    /// Secret; of temporary credentials only.
    pub session_token: Option<String>,
    /// Seconds since 1970; `None` for credentials that do not expire.
    pub expires_at_unix_s: Option<u64>,
}

impl Credentials {
    /// The credentials; `None` when a part is empty or could not stand in a header (white space, control or non-ASCII
    /// characters). Surrounding white space, such as a file's last line end, is dropped.
    pub fn new(
        access_key_id: &str,
        secret_access_key: &str,
        session_token: Option<&str>,
        expires_at_unix_s: Option<u64>,
    ) -> Option<Self> {
        let part = |text: &str| {
            let text = text.trim();
            let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            good.then(|| text.to_owned())
        };
        let session_token = match session_token.map(str::trim) {
            None | Some("") => None,
            Some(token) => Some(part(token)?),
        };
        Some(Self {
            access_key_id: part(access_key_id)?,
            secret_access_key: part(secret_access_key)?,
            session_token,
            expires_at_unix_s,
        })
    }

    /// True while AWS takes them: until their very end.
    pub fn usable_at(&self, now_unix_s: u64) -> bool {
        self.expires_at_unix_s.is_none_or(|end| now_unix_s < end)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires_at_unix_s", &self.expires_at_unix_s)
            .finish_non_exhaustive()
    }
}

impl From<&Credentials> for aws_credential_types::Credentials {
    fn from(own: &Credentials) -> Self {
        let (key, secret) = (own.access_key_id.clone(), own.secret_access_key.clone());
        Self::new(key, secret, own.session_token.clone(), None, "apigate")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_secret_nor_token() {
        let credentials = Credentials::new("AKID", "s3cr3t", Some("t0k3n"), Some(9)).unwrap();
        assert_eq!(
            format!("{credentials:?}"),
            "Credentials { access_key_id: \"AKID\", expires_at_unix_s: Some(9), .. }"
        );
    }

    #[test]
    fn parts_that_cannot_be_sent_are_refused() {
        let trimmed = Credentials::new(" AKID\n", "secret\r\n", Some(" "), None).unwrap();
        assert_eq!(trimmed, Credentials::new("AKID", "secret", None, None).unwrap());
        for (key, secret, token) in [
            ("", "s", None),
            ("k", " ", None),
            ("k\r\nx: y", "s", None),
            ("k", "s\0", None),
            ("k", "s", Some("t\nx")),
            ("k", "ß", None),
        ] {
            assert_eq!(Credentials::new(key, secret, token, None), None, "{key:?} {secret:?}");
        }
    }

    #[test]
    fn credentials_are_usable_until_their_very_end() {
        let ending = Credentials::new("k", "s", None, Some(100)).unwrap();
        assert!(ending.usable_at(99));
        assert!(!ending.usable_at(100));
        assert!(Credentials::new("k", "s", None, None).unwrap().usable_at(u64::MAX));
    }
}
