//! Whose counter a request spends: the place or name that the counter belongs to, and the key in it.

use std::hash::Hasher as _;
use std::net::{IpAddr, Ipv6Addr};

use sha2::{Digest as _, Sha256};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::table::{Fingerprint, Seed};
use crate::request::{HeaderName, RequestHead};

/// What a set of counters belongs to: the place of a directive, or a name in the zone.
///
/// The limit is no part of it, so a changed limit keeps what was spent. Neither is the line of the directive, so an edit
/// above it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CounterId([u8; 16]);

impl CounterId {
    /// The counters of the directive that is number `ordinal` of its kind in a block.
    ///
    /// `scope` spells the block, the same on every node and over reloads: such as `server api.example.com location /v1/`.
    pub fn placed(scope: &str, ordinal: usize) -> Self {
        Self::of(&["place", scope, &ordinal.to_string()])
    }

    /// The counters that directives with this `name=` share in a zone.
    pub fn named(name: &str) -> Self {
        Self::of(&["name", name])
    }

    fn of(parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(first_half(hasher))
    }
}

/// `by=`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyTemplate {
    /// The consumer; without one the client's address.
    Consumer,
    /// The credential; without one the client's address.
    Credential,
    /// The client's address.
    Ip,
    /// The client's network, for what guesses from many addresses: no `by=` spells it.
    Network,
    /// Nothing: one counter for all requests.
    Service,
    /// The request's path.
    Path,
    /// A header's first value that is not empty; without one the client's address.
    Header(HeaderName),
    /// A text with nginx variables, to be compiled and evaluated by nginx; when that is empty, the client's address.
    Variables(String),
}

impl KeyTemplate {
    /// The template that `by=` spells; `None` for what is neither a known word nor has a variable.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "consumer" => Some(Self::Consumer),
            "credential" => Some(Self::Credential),
            "ip" => Some(Self::Ip),
            "service" => Some(Self::Service),
            "path" => Some(Self::Path),
            _ => match text.strip_prefix("header:") {
                Some(name) => HeaderName::parse(name).map(Self::Header),
                None => text.contains('$').then(|| Self::Variables(text.to_owned())),
            },
        }
    }
}

/// What a request says about whose it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyFacts<'a> {
    /// The consumer's id, if there is a consumer.
    pub consumer: Option<&'a [u8]>,
    /// The credential's id, if there is one.
    pub credential: Option<&'a [u8]>,
    /// The client's address after nginx's `real_ip`; `None` on a Unix-domain socket.
    pub address: Option<IpAddr>,
    /// The path.
    pub path: &'a [u8],
    /// The value of [`KeyTemplate::Variables`].
    pub variables: &'a [u8],
}

/// A key with its type: the same bytes as another type are another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// a consumer's id
    Consumer(&'a [u8]),
    /// a credential's id
    Credential(&'a [u8]),
    /// an address; `None` stands for all clients of a Unix-domain socket
    Address(Option<IpAddr>),
    /// an IPv6 network of 64 bits
    Network([u8; 8]),
    /// all requests
    Service,
    /// a path
    Path(&'a [u8]),
    /// a header's value
    Header(&'a [u8]),
    /// the text of variables
    Variables(&'a [u8]),
}

impl<'a> Key<'a> {
    /// The key of a request.
    pub fn of(template: &'a KeyTemplate, facts: &KeyFacts<'a>, head: &'a impl RequestHead) -> Self {
        let present = |value: &&[u8]| !value.is_empty();
        let found = match template {
            KeyTemplate::Consumer => facts.consumer.filter(present).map(Self::Consumer),
            KeyTemplate::Credential => facts.credential.filter(present).map(Self::Credential),
            KeyTemplate::Ip => None,
            KeyTemplate::Network => Some(Self::network(facts.address)),
            KeyTemplate::Service => Some(Self::Service),
            KeyTemplate::Path => Some(Self::Path(facts.path)),
            KeyTemplate::Header(name) => head.header_values(name).find(present).map(Self::Header),
            KeyTemplate::Variables(_) => Some(facts.variables).filter(present).map(Self::Variables),
        };
        found.unwrap_or_else(|| Self::address(facts.address))
    }

    /// The key of a client's address; an IPv4 address in IPv6 clothes is the IPv4 address.
    pub fn address(address: Option<IpAddr>) -> Self {
        Self::Address(address.map(|address| address.to_canonical()))
    }

    /// The key of a client's network: the address for IPv4, the /64 for IPv6, because a client owns all of it.
    pub fn network(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => Self::Network(upper_half(address)),
            other => Self::Address(other),
        }
    }

    /// The key in a zone's table. Every byte of it counts, however long it is.
    ///
    /// SipHash-2-4 with 128 bits and the zone's secret: a client cannot choose keys that meet, and a short key takes some
    /// 20 ns.
    pub fn fingerprint(&self, counter: &CounterId, Seed(seed): Seed) -> Fingerprint {
        let [low, high] = seed;
        let mut hasher = SipHasher24::new_with_keys(low, high);
        hasher.write(&counter.0);
        self.feed(|bytes| hasher.write(bytes));
        let hash = hasher.finish128();
        Fingerprint(u128::from(hash.h1) << 64 | u128::from(hash.h2))
    }

    /// The key in a store that several hosts share, where no secret can be: the first half of a SHA-256.
    pub fn fleet_name(&self, counter: &CounterId) -> FleetKey {
        let mut hasher = Sha256::new();
        hasher.update(counter.0);
        self.feed(|bytes| hasher.update(bytes));
        FleetKey(first_half(hasher))
    }

    /// The counter's id has a fixed width and the tag comes next, so that no two keys feed the same bytes.
    fn feed(&self, mut write: impl FnMut(&[u8])) {
        match self {
            Self::Consumer(value) => (write(b"c"), write(value)),
            Self::Credential(value) => (write(b"k"), write(value)),
            Self::Address(Some(IpAddr::V4(address))) => {
                let [a, b, c, d] = address.octets();
                (write(&[b'4', a, b, c, d]), ())
            }
            Self::Address(Some(IpAddr::V6(address))) => (write(b"6"), write(&address.octets())),
            Self::Address(None) => (write(b"u"), ()),
            Self::Network(network) => (write(b"n"), write(network)),
            Self::Service => (write(b"s"), ()),
            Self::Path(value) => (write(b"p"), write(value)),
            Self::Header(value) => (write(b"h"), write(value)),
            Self::Variables(value) => (write(b"v"), write(value)),
        };
    }
}

/// A counter's name in a store that several hosts share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FleetKey(pub [u8; 16]);

fn first_half(hasher: Sha256) -> [u8; 16] {
    let digest: [u8; 32] = hasher.finalize().into();
    let (half, _) = digest.split_at(16);
    half.try_into().unwrap_or_default()
}

fn upper_half(address: Ipv6Addr) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::request::testing::Written;

    const SEED: Seed = Seed([1, 2]);

    fn facts() -> KeyFacts<'static> {
        KeyFacts {
            consumer: Some(b"alice"),
            credential: Some(b"key-1"),
            address: Some("192.0.2.1".parse().unwrap()),
            path: b"/v1/users",
            variables: b"gold",
        }
    }

    #[test]
    fn every_template_takes_its_own_fact_and_falls_back_to_the_address() {
        let head = Written::new("GET", "", &[("X-Tenant", ""), ("x-tenant", "acme")]);
        let bare = Written::new("GET", "", &[("X-Tenant", "")]);
        let nothing = KeyFacts { consumer: None, credential: Some(b""), variables: b"", ..facts() };
        let address = Key::Address(Some("192.0.2.1".parse().unwrap()));
        for (text, known, unknown) in [
            ("consumer", Key::Consumer(b"alice"), address),
            ("credential", Key::Credential(b"key-1"), address),
            ("ip", address, address),
            ("service", Key::Service, Key::Service),
            ("path", Key::Path(b"/v1/users"), Key::Path(b"/v1/users")),
            ("header:X-Tenant", Key::Header(b"acme"), address),
            ("$plan", Key::Variables(b"gold"), address),
        ] {
            let template = KeyTemplate::parse(text).unwrap();
            assert_eq!(Key::of(&template, &facts(), &head), known, "{text}");
            assert_eq!(Key::of(&template, &nothing, &bare), unknown, "{text}");
        }
    }

    #[test]
    fn unknown_words_are_no_template() {
        for text in ["", "header:", "header:a b", "address", "Consumer", "header"] {
            assert_eq!(KeyTemplate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_same_bytes_of_another_type_place_name_or_zone_are_another_key() {
        let bytes: &[u8] = b"\xc0\x00\x02\x01";
        let keys = [
            Key::Consumer(bytes),
            Key::Credential(bytes),
            Key::Address(Some("192.0.2.1".parse().unwrap())),
            Key::Path(bytes),
            Key::Header(bytes),
            Key::Variables(bytes),
            Key::Service,
            Key::Address(None),
        ];
        let counters = [
            CounterId::placed("server a", 0),
            CounterId::placed("server a", 1),
            CounterId::placed("server b", 0),
            CounterId::named("server a"),
            CounterId::named(""),
        ];
        let mut fingerprints = HashSet::new();
        let mut names = HashSet::new();
        for counter in &counters {
            for key in &keys {
                assert!(fingerprints.insert(key.fingerprint(counter, SEED)), "{key:?}");
                assert!(fingerprints.insert(key.fingerprint(counter, Seed([2, 1]))), "{key:?}");
                assert!(names.insert(key.fleet_name(counter)), "{key:?}");
            }
        }
        assert_eq!(CounterId::named("x"), CounterId::named("x"));
    }

    #[test]
    fn long_keys_count_to_their_last_byte() {
        let counter = CounterId::named("a");
        let (long, mut other) = (vec![b'x'; 100_000], vec![b'x'; 100_000]);
        other[99_999] = b'y';
        let print = |bytes: &[u8]| Key::Header(bytes).fingerprint(&counter, SEED);
        assert_eq!(print(&long), print(&long.clone()));
        assert_ne!(print(&long), print(&other));
        assert_ne!(print(&long), print(&long[1..]));
    }

    #[test]
    fn networks_are_64_bits_of_ipv6_and_all_of_ipv4() {
        let network = |text: &str| Key::network(Some(text.parse().unwrap()));
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_eq!(Key::network(None), Key::Address(None));
        let address = |text: &str| Key::address(Some(text.parse().unwrap()));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8::2"));
    }
}
