use regex::Regex;
use std::borrow::Cow;
use std::ops::Range;

/// The origins that a location answers.
#[derive(Clone, Debug)]
pub(super) enum Origins {
    /// `*`
    Any,
    /// Those that are listed.
    Listed(Listed),
}

/// Origins by name and by pattern.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    /// Whole origins, normal form, sorted.
    origins: Vec<Box<str>>,
    /// Entries without a colon: hosts, of any scheme and port, sorted.
    hosts: Vec<Box<str>>,
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    regex: Regex,
    /// Written without a colon: compared with the host alone.
    by_host: bool,
}

impl Listed {
    /// Takes an entry of a list; `None` when it is no origin and no host.
    pub(super) fn add(&mut self, entry: &str) -> Option<()> {
        if entry == "null" || entry.contains(':') {
            insert(&mut self.origins, &Origin::parse(entry)?.text);
        } else {
            let host = entry.to_ascii_lowercase();
            is_host(&host).then(|| insert(&mut self.hosts, &host))?;
        }
        Some(())
    }

    /// Takes a regular expression, which the whole origin or host has to match.
    pub(super) fn add_pattern(&mut self, pattern: &str) -> Result<(), regex::Error> {
        let regex = Regex::new(&format!(r"\A(?:{pattern})\z"))?;
        self.patterns.push(Pattern { regex, by_host: !pattern.contains(':') });
        Ok(())
    }

    /// True when the text is a listed origin as browsers write it: what nearly every request has.
    pub(super) fn has_exactly(&self, text: &str) -> bool {
        has(&self.origins, text)
    }

    /// True when the origin is listed.
    pub(super) fn contains(&self, origin: &Origin<'_>) -> bool {
        let (text, host) = (origin.text(), origin.host());
        has(&self.origins, text)
            || has(&self.hosts, host)
            || self
                .patterns
                .iter()
                .any(|pattern| pattern.regex.is_match(if pattern.by_host { host } else { text }))
    }
}

fn insert(list: &mut Vec<Box<str>>, text: &str) {
    if let Err(place) = list.binary_search_by(|entry| (**entry).cmp(text)) {
        list.insert(place, text.into());
    }
}

fn has(list: &[Box<str>], text: &str) -> bool {
    list.binary_search_by(|entry| (**entry).cmp(text)).is_ok()
}

/// An origin in the form in which browsers write it: lower case, without its scheme's default port.
///
/// Source: RFC 6454 section 6.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    text: Cow<'a, str>,
    host: Range<usize>,
}

impl<'a> Origin<'a> {
    /// The origin, or `None` when the text is not `scheme://host`, `scheme://host:port` or `null`.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text == "null" {
            return Some(Self { text: text.into(), host: 0..0 });
        }
        let (scheme, authority) = text.split_once("://")?;
        if scheme.is_empty()
            || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        {
            return None;
        }
        let host_length = match authority.strip_prefix('[') {
            Some(address) => address.find(']')? + 2,
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at_checked(host_length)?;
        let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let valid = inside.map_or_else(
            || is_host(host),
            |address| address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)),
        );
        if !valid {
            return None;
        }
        let start = scheme.len() + 3;
        let host = start..start + host_length;
        let kept = if is_default_port(scheme, port)? { host.end } else { text.len() };
        let text = text.get(..kept)?;
        let text = if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
        Some(Self { text, host })
    }

    /// The whole origin.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The whole origin, kept.
    pub(super) fn into_text(self) -> Cow<'a, str> {
        self.text
    }

    /// The host alone; empty for `null`.
    fn host(&self) -> &str {
        self.text.get(self.host.clone()).unwrap_or_default()
    }
}

fn is_host(host: &str) -> bool {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.bytes().all(name)
}

/// True for no port and for the one that the scheme has anyway; `None` when it is not `:` and a number.
fn is_default_port(scheme: &str, port: &str) -> Option<bool> {
    if port.is_empty() {
        return Some(true);
    }
    let digits = port.strip_prefix(':')?;
    let number: u16 =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some(match number {
        80 => scheme.eq_ignore_ascii_case("http"),
        443 => scheme.eq_ignore_ascii_case("https"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_one_form() {
        for (text, expected) in [
            ("https://a.example", Some(("https://a.example", "a.example"))),
            ("HTTPS://A.Example:443", Some(("https://a.example", "a.example"))),
            ("http://a.example:80", Some(("http://a.example", "a.example"))),
            ("http://a.example:443", Some(("http://a.example:443", "a.example"))),
            ("https://a.example:8443", Some(("https://a.example:8443", "a.example"))),
            ("http://[::1]:3000", Some(("http://[::1]:3000", "[::1]"))),
            ("http://localhost", Some(("http://localhost", "localhost"))),
            ("chrome-extension://abc", Some(("chrome-extension://abc", "abc"))),
            ("null", Some(("null", ""))),
            ("", None),
            ("a.example", None),
            ("://a.example", None),
            ("https://", None),
            ("https://a.example/", None),
            ("https://a.example:", None),
            ("https://a.example:+80", None),
            ("https://a.example:70000", None),
            ("https://user@a.example", None),
            ("https://a.example https://b.example", None),
            ("https://[::1", None),
            ("https://[::1]x", None),
            ("http s://a.example", None),
        ] {
            let origin = Origin::parse(text);
            let read = origin.as_ref().map(|origin| (origin.text(), origin.host()));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn only_what_is_listed_is_contained() {
        let mut listed = Listed::default();
        for entry in ["https://a.example", "https://b.example:443", "Host.example"] {
            listed.add(entry).unwrap();
        }
        listed.add_pattern(r"https://[a-z]+\.dev\.example(:\d+)?").unwrap();
        listed.add_pattern(r"(.+\.)?any\.example").unwrap();
        for (origin, expected) in [
            ("https://a.example", true),
            ("https://a.example:443", true),
            ("https://A.EXAMPLE", true),
            ("http://a.example", false),
            ("https://a.example:444", false),
            ("https://a.example.evil", false),
            ("https://b.example", true),
            ("http://host.example:8080", true),
            ("http://sub.host.example", false),
            ("https://x.dev.example", true),
            ("https://x.dev.example:3000", true),
            ("https://x.dev.example.evil", false),
            ("http://x.dev.example", false),
            ("evil+https://x.dev.example", false),
            ("http://any.example:1", true),
            ("ftp://www.any.example", true),
            ("https://many.example", false),
            ("null", false),
        ] {
            assert_eq!(listed.contains(&Origin::parse(origin).unwrap()), expected, "{origin}");
        }
    }

    #[test]
    fn null_is_an_origin_of_its_own() {
        let mut listed = Listed::default();
        listed.add("null").unwrap();
        assert!(listed.contains(&Origin::parse("null").unwrap()));
        assert!(!listed.contains(&Origin::parse("http://null").unwrap()));
    }

    #[test]
    fn what_is_neither_origin_nor_host_is_not_taken() {
        for entry in
            ["", "https://*.example", "*.example", "https://a.example/", "a b", "a.example:80"]
        {
            assert_eq!(Listed::default().add(entry), None, "{entry}");
        }
    }
}
