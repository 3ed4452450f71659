//! Which scheme, port and host the client used, as functions are told.

use crate::request::{Header, RequestHead};

/// What goes into `x-forwarded-proto`, `-port` and `-host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded<'a> {
    /// `http` or `https`.
    pub proto: &'a str,
    /// The port that the client connected to; 0 for a Unix-domain socket.
    pub port: u16,
    /// The host that the client asked for; empty when it named none.
    pub host: &'a [u8],
}

impl<'a> Forwarded<'a> {
    /// What the client used: nginx's own view of the connection, or the peer's word where the peer is trusted.
    ///
    /// `own` is the connection's; `is_trusted` says that the peer, before real_ip, is one of `forwarded_from`. A header
    /// that is missing or makes no sense leaves our own value, but a proto that is believed brings its own port along.
    pub fn decide(own: Self, is_trusted: bool, head: &'a impl RequestHead) -> Self {
        if !is_trusted {
            return own;
        }
        let (mut proto, mut port, mut host) = (None, None, None);
        for Header { lowercase_name, value, .. } in head.headers() {
            match lowercase_name {
                b"x-forwarded-proto" => proto = parse_proto(value),
                b"x-forwarded-port" => port = parse_port(value),
                b"x-forwarded-host" => host = parse_host(value),
                _ => {}
            }
        }
        let implied = proto.map(|proto| match proto {
            _ if proto == own.proto => own.port,
            "https" => 443,
            _ => 80,
        });
        Self {
            proto: proto.unwrap_or(own.proto),
            port: port.or(implied).unwrap_or(own.port),
            host: host.unwrap_or(own.host),
        }
    }
}

fn parse_proto(value: &[u8]) -> Option<&'static str> {
    match value {
        _ if value.eq_ignore_ascii_case(b"https") => Some("https"),
        _ if value.eq_ignore_ascii_case(b"http") => Some("http"),
        _ => None,
    }
}

fn parse_port(value: &[u8]) -> Option<u16> {
    let is_number = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok().filter(|port| *port != 0)
}

fn parse_host(value: &[u8]) -> Option<&[u8]> {
    let is_host_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+;=".contains(byte);
    (!value.is_empty() && value.iter().all(is_host_byte)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::testing::Written;

    const OWN: Forwarded<'_> = Forwarded { proto: "http", port: 8080, host: b"own.example" };

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let head = Written::new(
            "GET",
            "",
            &[
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Port", "8443"),
                ("X-Forwarded-Host", "api.example"),
            ],
        );
        assert_eq!(Forwarded::decide(OWN, false, &head), OWN);
        let expected = Forwarded { proto: "https", port: 8443, host: b"api.example" };
        assert_eq!(Forwarded::decide(OWN, true, &head), expected);
    }

    #[test]
    fn what_a_trusted_peer_leaves_out_or_garbles_is_our_own() {
        for (headers, expected) in [
            (vec![], OWN),
            (vec![("X-Forwarded-Proto", "HTTPS")], Forwarded { proto: "https", port: 443, ..OWN }),
            (vec![("X-Forwarded-Proto", "http")], OWN),
            (vec![("X-Forwarded-Proto", "gopher")], OWN),
            (vec![("X-Forwarded-Port", "+80")], OWN),
            (vec![("X-Forwarded-Port", "0")], OWN),
            (vec![("X-Forwarded-Port", "65536")], OWN),
            (vec![("X-Forwarded-Host", "a, b")], OWN),
            (vec![("X-Forwarded-Host", "")], OWN),
        ] {
            let head = Written::new("GET", "", &headers);
            assert_eq!(Forwarded::decide(OWN, true, &head), expected, "{headers:?}");
        }
    }
}
