//! What policies see of a request: borrowed bytes, no nginx.

/// A header's name prepared at configuration time for lookups: lower case, with nginx's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderName {
    lowercase: Box<[u8]>,
    hash: usize,
}

impl HeaderName {
    /// The prepared name; `None` when it is not an HTTP token.
    ///
    /// Source: RFC 9110 section 5.6.2.
    pub fn parse(name: &str) -> Option<Self> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return None;
        }
        let lowercase: Box<[u8]> = name.bytes().map(|byte| byte.to_ascii_lowercase()).collect();
        let hash = hash_lowercase(&lowercase);
        Some(Self { lowercase, hash })
    }

    /// The name in lower case.
    pub fn as_bytes(&self) -> &[u8] {
        &self.lowercase
    }

    /// True when the header has this name.
    pub fn matches(&self, header: &Header<'_>) -> bool {
        self.hash == header.hash && *self.lowercase == *header.lowercase_name
    }
}

/// A header's name that the module itself sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentName {
    text: &'static str,
    lowercase: &'static str,
    hash: usize,
}

impl SentName {
    /// A name, with the same in lower case; anything else is an error at compile time where this is a constant.
    pub const fn new(text: &'static str, lowercase: &'static str) -> Self {
        let (mut given, mut lower) = (text.as_bytes(), lowercase.as_bytes());
        assert!(given.len() == lower.len(), "the same name twice");
        while let ([first, rest @ ..], [lower_first, lower_rest @ ..]) = (given, lower) {
            assert!(first.to_ascii_lowercase() == *lower_first, "the same name in lower case");
            (given, lower) = (rest, lower_rest);
        }
        Self { text, lowercase, hash: hash_lowercase(lowercase.as_bytes()) }
    }

    /// The name as it is sent.
    pub fn as_str(self) -> &'static str {
        self.text
    }

    /// The name in lower case.
    pub fn lowercase(self) -> &'static str {
        self.lowercase
    }

    /// nginx's hash of the name in lower case.
    pub fn hash(self) -> usize {
        self.hash
    }

    /// True when the header has this name.
    pub fn matches(self, header: &Header<'_>) -> bool {
        self.hash == header.hash && *self.lowercase.as_bytes() == *header.lowercase_name
    }
}

/// nginx's hash of a lower-case header name, as its parser leaves it beside every header line.
///
/// Source: `ngx_hash` in ngx_hash.h.
pub const fn hash_lowercase(mut name: &[u8]) -> usize {
    let mut hash = 0_usize;
    while let [byte, rest @ ..] = name {
        hash = hash.wrapping_mul(31).wrapping_add(*byte as usize);
        name = rest;
    }
    hash
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// nginx's hash of the name in lower case.
    pub hash: usize,
    /// The name in lower case.
    pub lowercase_name: &'a [u8],
    /// The value, without surrounding white space.
    pub value: &'a [u8],
}

/// A request's head. Everything is borrowed from the request and valid while it lives.
pub trait RequestHead {
    /// The method as received, case kept.
    fn method(&self) -> &[u8];

    /// The query without `?`, undecoded; empty when there is none.
    fn query(&self) -> &[u8];

    /// The header lines in the order received.
    fn headers(&self) -> impl Iterator<Item = Header<'_>>;

    /// The values of every header line with this name, in the order received.
    fn header_values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.headers().filter(|header| name.matches(header)).map(|header| header.value)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A request head written by hand.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Written {
        pub(crate) method: &'static str,
        pub(crate) query: String,
        pub(crate) headers: Vec<(String, String)>,
    }

    impl Written {
        pub(crate) fn new(method: &'static str, query: &str, headers: &[(&str, &str)]) -> Self {
            let lower = |(name, value): &(&str, &str)| (name.to_lowercase(), (*value).to_owned());
            Self { method, query: query.to_owned(), headers: headers.iter().map(lower).collect() }
        }
    }

    impl RequestHead for Written {
        fn method(&self) -> &[u8] {
            self.method.as_bytes()
        }

        fn query(&self) -> &[u8] {
            self.query.as_bytes()
        }

        fn headers(&self) -> impl Iterator<Item = Header<'_>> {
            self.headers.iter().map(|(name, value)| Header {
                hash: hash_lowercase(name.as_bytes()),
                lowercase_name: name.as_bytes(),
                value: value.as_bytes(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Written;
    use super::*;

    #[test]
    fn header_names_match_without_case_and_must_be_tokens() {
        let request =
            Written::new("GET", "", &[("X-Api-Key", "a"), ("Accept", "b"), ("x-api-key", "c")]);
        let name = HeaderName::parse("X-API-KEY").unwrap();
        assert_eq!(request.header_values(&name).collect::<Vec<_>>(), [b"a", b"c"]);
        for bad in ["", "a b", "a:b", "ä"] {
            assert_eq!(HeaderName::parse(bad), None, "{bad}");
        }
    }
}
