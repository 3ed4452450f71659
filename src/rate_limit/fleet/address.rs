//! Where a Redis is and who we are to it: the URL of `redis=`.

use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo as _};

/// Redis numbers its databases by a C int.
const MAX_DATABASE: i64 = i32::MAX as i64;

/// A Redis and our name there. It has a password: not for logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) site: Site,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: i64,
}

/// Where it listens.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Site {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

impl Address {
    /// The address that a URL spells; `None` for what is none, or could never be answered.
    pub fn parse(text: &str) -> Option<Self> {
        let url = redis::parse_redis_url(text)?;
        let parts = [url.username(), url.password().unwrap_or(""), url.query().unwrap_or("")];
        if url.fragment().is_some() || !parts.into_iter().all(is_percent_encoded) {
            return None;
        }
        let info = url.clone().into_connection_info().ok()?;
        let site = match info.addr() {
            ConnectionAddr::Unix(path) => {
                let mut names: Vec<_> = url.query_pairs().map(|(name, _)| name).collect();
                names.sort_unstable();
                let is_known = |name: &&str| matches!(*name, "db" | "user" | "pass");
                let has_twice = names.windows(2).any(|pair| pair.first() == pair.last());
                if has_twice || !names.iter().map(AsRef::as_ref).all(|name| is_known(&name)) {
                    return None;
                }
                Site::Unix(path.clone())
            }
            ConnectionAddr::Tcp(host, port) => {
                Site::Tcp { host: host.clone(), port: *port, tls: false }
            }
            ConnectionAddr::TcpTls { host, port, .. } => {
                Site::Tcp { host: host.clone(), port: *port, tls: true }
            }
            _ => return None,
        };
        if let Site::Tcp { host, port, .. } = &site
            && (url.query().is_some() || *port == 0 || !host.bytes().all(is_of_host))
        {
            return None;
        }
        let settings = info.redis_settings();
        if !(0..=MAX_DATABASE).contains(&settings.db()) {
            return None;
        }
        Some(Self {
            site,
            user: settings.username().map(str::to_owned),
            password: settings.password().map(str::to_owned),
            database: settings.db(),
        })
    }
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_:".contains(&byte)
}

fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        rest.as_bytes()
            .first_chunk()
            .is_some_and(|it: &[u8; 2]| it.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_redis_is_and_who_we_are() {
        let tcp = |host: &str, port, tls| Site::Tcp { host: host.to_owned(), port, tls };
        for (text, site, user, password, database) in [
            ("redis://cache", tcp("cache", 6379, false), None, None, 0),
            ("redis://:p%40ss@10.0.0.1:1/15", tcp("10.0.0.1", 1, false), None, Some("p@ss"), 15),
            ("rediss://u:p@a-b.c_d:6380/", tcp("a-b.c_d", 6380, true), Some("u"), Some("p"), 0),
            ("redis://[::1]:7", tcp("::1", 7, false), None, None, 0),
            ("unix:///r.sock?db=2&pass=x", Site::Unix("/r.sock".into()), None, Some("x"), 2),
        ] {
            let address = Address::parse(text).unwrap();
            assert!(address.site == site, "{text}");
            assert_eq!((address.user.as_deref(), address.password.as_deref()), (user, password));
            assert_eq!(address.database, database, "{text}");
        }
    }

    #[test]
    fn urls_that_could_never_work_are_none() {
        for text in [
            "",
            "cache:6379",
            "http://cache",
            "redis://",
            "redis://cache/-1",
            "redis://cache/2147483648",
            "redis://cache/99999999999999999999",
            "redis://cache/one",
            "redis://cache:0",
            "redis://cache:65536",
            "redis://cache?timeout=1",
            "redis://cache/0?db=1",
            "rediss://cache#insecure",
            "redis://cache#insecure",
            "redis://a,b",
            "redis://a:1,b:2",
            "redis://a%2cb",
            "redis://u:100%@cache",
            "redis://u:%zz@cache",
            "redis://u:%ff@cache",
            "unix:///r.sock?database=1",
            "unix:///r.sock?db=-1",
            "unix:///r.sock?db=1&db=2",
            "unix://host/r.sock",
        ] {
            assert!(Address::parse(text).is_none(), "{text}");
        }
    }
}
