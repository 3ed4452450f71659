//! Where connections to the Lambda API go.

/// `lambda_endpoint`: a URL, or the name of an `upstream { }` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether the connection is TLS.
    pub is_tls: bool,
    /// A host name, an address (IPv6 in brackets) or the name of an upstream.
    pub host: Box<str>,
    /// The port, when the URL has one.
    pub port: Option<u16>,
    /// True for a bare name, which must be an upstream's.
    pub is_bare: bool,
}

impl Endpoint {
    /// The endpoint of `https://HOST[:PORT][/]`, `http://HOST[:PORT][/]` or `NAME`; `None` for anything else.
    ///
    /// A bare name means TLS. Whether a URL's host is the name of an upstream is for nginx to find.
    pub fn parse(text: &str) -> Option<Self> {
        let (is_tls, authority, is_bare) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest, false),
            Some(("http", rest)) => (false, rest, false),
            Some(_) => return None,
            None => (true, text, true),
        };
        if is_bare {
            return is_host(authority).then(|| Self {
                is_tls,
                host: authority.into(),
                port: None,
                is_bare,
            });
        }
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let port_at = match authority.rfind(']') {
            Some(bracket) => authority.get(bracket..)?.find(':').map(|at| bracket + at),
            None => authority.find(':'),
        };
        let (host, port) = match port_at {
            Some(at) => (authority.get(..at)?, Some(parse_port(authority.get(at + 1..)?)?)),
            None => (authority, None),
        };
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_valid = match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_host(host),
        };
        is_valid.then(|| Self { is_tls, host: host.into(), port, is_bare })
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_tls { 443 } else { 80 })
    }

    /// The text of `Host`: the port is named unless it is the scheme's.
    pub fn host_header(&self) -> String {
        let default = if self.is_tls { 443 } else { 80 };
        match self.port.filter(|port| *port != default) {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }
}

fn is_host(host: &str) -> bool {
    let is_host_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !host.is_empty() && host.bytes().all(is_host_byte)
}

fn parse_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_or_upstreams() {
        for (text, is_tls, host, port, header) in [
            (
                "https://vpce-1.lambda.eu-west-1.vpce.amazonaws.com",
                true,
                "vpce-1.lambda.eu-west-1.vpce.amazonaws.com",
                443,
                "vpce-1.lambda.eu-west-1.vpce.amazonaws.com",
            ),
            ("https://host:443/", true, "host", 443, "host"),
            ("http://127.0.0.1:9001", false, "127.0.0.1", 9001, "127.0.0.1:9001"),
            ("http://[::1]:9001/", false, "[::1]", 9001, "[::1]:9001"),
            ("https://[::1]", true, "[::1]", 443, "[::1]"),
            ("http://double", false, "double", 80, "double"),
            ("double_1", true, "double_1", 443, "double_1"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.is_tls, &*endpoint.host), (is_tls, host), "{text}");
            assert_eq!(endpoint.port(), port, "{text}");
            assert_eq!(endpoint.host_header(), header, "{text}");
            assert_eq!(endpoint.is_bare, text == "double_1", "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "ftp://host",
            "https://",
            "http://host/path",
            "http://host:",
            "http://host:0",
            "http://host:65536",
            "http://host:+80",
            "http://user@host",
            "http://[::1",
            "http://[x]",
            "host:443",
            "a b",
            "https://host?x",
        ] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }
}
