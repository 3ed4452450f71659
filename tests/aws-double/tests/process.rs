//! The double as a process: what it refuses, what it counts, and that it cuts replies where it was told to.
//! Requests are signed by the aws-sigv4 crate, which shares no code with the verifier.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, crypto,
};

const HOST: &str = "lambda.us-east-1.amazonaws.com";

struct Double {
    child: Child,
    ready: Value,
}

impl Double {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_aws-double"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    fn connect(&self, site: &str) -> std::io::Result<TcpStream> {
        let socket = TcpStream::connect(self.ready[site].as_str().unwrap())?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(socket)
    }

    /// Sends a request and returns status, head and body; the connection is closed by the request.
    fn send(
        &self,
        site: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut socket = self.connect(site).unwrap();
        socket.write_all(&raw_request(method, target, headers, body)).unwrap();
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).unwrap();
        Reply::parse(&bytes)
    }

    fn control(&self, method: &str, target: &str, body: Value) -> Value {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let reply = self.send("control", method, target, &[("host", "control")], &body);
        assert_eq!(reply.status, 200, "{method} {target}: {}", reply.text());
        serde_json::from_slice(&reply.body).unwrap()
    }

    fn static_key(&self) -> (String, String, Option<String>) {
        let text = |name: &str| self.ready[name].as_str().unwrap().to_owned();
        (text("access_key_id"), text("secret_access_key"), None)
    }

    /// Credentials as a client of the instance metadata service gets them.
    fn instance_credentials(&self) -> (String, String, Option<String>) {
        let ttl = [("host", "imds"), ("x-aws-ec2-metadata-token-ttl-seconds", "60")];
        let token = self.send("imds", "PUT", "/latest/api/token", &ttl, b"").text();
        let get = |path: &str| {
            self.send(
                "imds",
                "GET",
                path,
                &[("host", "imds"), ("x-aws-ec2-metadata-token", &token)],
                b"",
            )
            .text()
        };
        let role = get("/latest/meta-data/iam/security-credentials/");
        let text = get(&format!("/latest/meta-data/iam/security-credentials/{role}"));
        let document: Value = serde_json::from_str(&text).unwrap();
        let field = |name: &str| document[name].as_str().unwrap().to_owned();
        (field("AccessKeyId"), field("SecretAccessKey"), Some(field("Token")))
    }

    fn invoke(&self, function: &str, body: &[u8], key: (String, String, Option<String>)) -> Reply {
        let target = format!("/2015-03-31/functions/{function}/invocations");
        let headers = signed(&target, body, key);
        let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        self.send("lambda_http", "POST", &target, &headers, body)
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        Self { status: head[9..12].parse().unwrap(), head, body: bytes[end..].to_vec() }
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn raw_request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()));
    [out.into_bytes(), body.to_vec()].concat()
}

fn signed(
    target: &str,
    body: &[u8],
    key: (String, String, Option<String>),
) -> Vec<(String, String)> {
    let identity = Credentials::new(key.0, key.1, key.2, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("lambda")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let uri = format!("https://{HOST}{target}");
    let request =
        SignableRequest::new("POST", uri, [("host", HOST)].into_iter(), SignableBody::Bytes(body))
            .unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let added = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    std::iter::once(("host".to_owned(), HOST.to_owned())).chain(added).collect()
}

#[test]
fn instance_metadata_want_a_token() {
    let double = Double::start();
    let get = |headers: &[(&str, &str)]| {
        double
            .send("imds", "GET", "/latest/meta-data/iam/security-credentials/", headers, b"")
            .status
    };
    assert_eq!(get(&[("host", "imds")]), 401);
    assert_eq!(get(&[("host", "imds"), ("x-aws-ec2-metadata-token", "made-up")]), 401);
    let without_ttl = double.send("imds", "PUT", "/latest/api/token", &[("host", "imds")], b"");
    assert_eq!(without_ttl.status, 400);
    let events = &double.control("GET", "/stats", Value::Null)["events"];
    assert_eq!(
        (&events["imds.unauthorized"], &events["imds.credentials"]),
        (&json!(2), &Value::Null)
    );
}

#[test]
fn issued_credentials_serve_until_they_are_expired() {
    let double = Double::start();
    let key = double.instance_credentials();
    let reply = double.invoke("echo", br#"{"a":1}"#, key.clone());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let payload: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(payload["body"], r#"{"a":1}"#);
    assert_eq!(reply.header("x-amz-executed-version"), Some("$LATEST"));

    let without_token = (key.0.clone(), key.1.clone(), None);
    let refused = double.invoke("echo", b"{}", without_token);
    assert_eq!(refused.header("x-amzn-errortype"), Some("UnrecognizedClientException"));

    double.control("POST", "/services/imds/rotate", json!({"expire_old": true}));
    let refused = double.invoke("echo", b"{}", key.clone());
    assert_eq!(
        (refused.status, refused.header("x-amzn-errortype")),
        (403, Some("ExpiredTokenException"))
    );
    let renewed = double.instance_credentials();
    assert_ne!(renewed.0, key.0);
    assert_eq!(double.invoke("echo", b"{}", renewed).status, 200);
}

#[test]
fn bad_signatures_do_not_reach_the_function() {
    let double = Double::start();
    let (id, secret, _) = double.static_key();
    let refused = double.invoke("echo", b"{}", (id, secret + "x", None));
    assert_eq!(
        (refused.status, refused.header("x-amzn-errortype")),
        (403, Some("InvalidSignatureException"))
    );
    assert!(refused.text().contains("The Canonical String for this request should have been"));

    let target = "/2015-03-31/functions/echo/invocations";
    let unsigned = double.send("lambda_http", "POST", target, &[("host", HOST)], b"{}");
    assert_eq!(unsigned.header("x-amzn-errortype"), Some("MissingAuthenticationTokenException"));

    let headers = signed(target, b"{}", double.static_key());
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let changed = double.send("lambda_http", "POST", target, &headers, b"[]");
    assert_eq!(changed.header("x-amzn-errortype"), Some("InvalidSignatureException"));

    double.control("PUT", "/clock", json!({"offset_ms": 301_000}));
    let late = double.invoke("echo", b"{}", double.static_key());
    assert!(late.text().contains("Signature expired"), "{}", late.text());

    assert_eq!(double.control("GET", "/functions/echo", Value::Null)["invocations"], 0);
    let list = double.control("GET", "/invocations", Value::Null);
    let refusals: Vec<_> =
        list["invocations"].as_array().unwrap().iter().map(|i| i["refused"].clone()).collect();
    assert_eq!(
        refusals,
        [
            "InvalidSignatureException",
            "MissingAuthenticationTokenException",
            "InvalidSignatureException",
            "InvalidSignatureException"
        ]
    );
}

#[test]
fn api_refusals_have_their_status_and_name() {
    let double = Double::start();
    let big = format!("\"{}\"", "x".repeat(6 * 1024 * 1024));
    let cases: [(&str, &[u8], u16, &str); 8] = [
        ("throttled", b"{}", 429, "TooManyRequestsException"),
        ("denied", b"{}", 403, "AccessDeniedException"),
        ("not-found", b"{}", 404, "ResourceNotFoundException"),
        ("unheard-of", b"{}", 404, "ResourceNotFoundException"),
        ("broken", b"{}", 500, "ServiceException"),
        ("echo", b"{", 400, "InvalidRequestContentException"),
        ("echo", big.as_bytes(), 413, "RequestTooLargeException"),
        ("arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%3Af", b"{}", 400, "ValidationException"),
    ];
    for (function, body, status, kind) in cases {
        let reply = double.invoke(function, body, double.static_key());
        assert_eq!(
            (reply.status, reply.header("x-amzn-errortype")),
            (status, Some(kind)),
            "{function}"
        );
    }
    let throttled = double.invoke("throttled", b"{}", double.static_key());
    assert_eq!(throttled.header("retry-after"), Some("1"));
    let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ahello%3Alive";
    assert_eq!(
        double.invoke(arn, b"{}", double.static_key()).header("x-amz-executed-version"),
        Some("live")
    );
}

#[test]
fn a_reply_is_cut_at_every_byte_it_is_told() {
    let double = Double::start();
    let payload = json!({"statusCode": 200, "body": "x"});
    double.control("PUT", "/functions/f", json!({"payload": payload}));
    let whole = double.invoke("f", b"{}", double.static_key());
    let len = whole.head.len() + whole.body.len();
    let list = double.control("GET", "/invocations?function=f", Value::Null);
    assert_eq!(list["invocations"][0]["response_bytes"], len);
    let target = "/2015-03-31/functions/f/invocations";
    for at in [0, 1, 17, whole.head.len() - 1, whole.head.len(), len - 1] {
        for cut_with in ["rst", "fin"] {
            let spec = json!({"payload": payload, "cut_at_byte": at, "cut_with": cut_with});
            double.control("PUT", "/functions/f", spec);
            let headers = signed(target, b"{}", double.static_key());
            let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let mut socket = double.connect("lambda_http").unwrap();
            socket.write_all(&raw_request("POST", target, &headers, b"{}")).unwrap();
            let mut got = Vec::new();
            let end = socket.read_to_end(&mut got);
            assert_eq!((got.len(), end.is_err()), (at, cut_with == "rst"), "{cut_with} at {at}");
        }
    }
}

#[test]
fn a_held_invocation_waits_for_its_release() {
    let double = Double::start();
    double.control("PUT", "/functions/f", json!({"hold": true, "payload": {"statusCode": 200}}));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| double.invoke("f", b"{}", double.static_key()).status);
        let counts = double.control("GET", "/functions/f?held=1", Value::Null);
        assert_eq!(counts["in_flight"], 1);
        double.control("POST", "/functions/f/release", Value::Null);
        assert_eq!(first.join().unwrap(), 200);
    });
    let target = "/2015-03-31/functions/f/invocations";
    let headers = signed(target, b"{}", double.static_key());
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let mut leaving = double.connect("lambda_http").unwrap();
    leaving.write_all(&raw_request("POST", target, &headers, b"{}")).unwrap();
    double.control("GET", "/functions/f?held=1", Value::Null);
    drop(leaving);
    let counts = double.control("GET", "/functions/f?aborted=1&idle=1", Value::Null);
    assert_eq!((&counts["invocations"], &counts["held"]), (&json!(2), &json!(0)));
}

#[test]
fn a_service_that_is_down_refuses_and_comes_back_on_its_port() {
    let double = Double::start();
    let mut established = double.connect("lambda_http").unwrap();
    established.write_all(b"GET /plain HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut byte = [0];
    established.read_exact(&mut byte).unwrap();
    double.control("PUT", "/services/lambda", json!({"mode": "down"}));
    let mut rest = Vec::new();
    assert!(established.read_to_end(&mut rest).is_err(), "an established connection is reset");
    assert_eq!(
        double.connect("lambda_http").unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    double.control("PUT", "/services/lambda", json!({"mode": "ok"}));
    assert_eq!(double.send("lambda_http", "GET", "/plain", &[("host", "x")], b"").body.len(), 1024);
    double.control("PUT", "/services/lambda_http", json!({"mode": "error", "status": 503}));
    assert_eq!(double.send("lambda_http", "GET", "/plain", &[("host", "x")], b"").status, 503);
}

#[test]
fn connections_close_after_so_many_requests() {
    let double = Double::start();
    double.control("PUT", "/services/lambda_http", json!({"close_after_requests": 2}));
    let mut socket = double.connect("lambda_http").unwrap();
    socket.write_all(&b"GET /plain HTTP/1.1\r\nhost: x\r\n\r\n".repeat(3)).unwrap();
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2);
    assert_eq!(
        (text.matches("keep-alive").count(), text.matches("Connection: close").count()),
        (1, 1)
    );
    assert_eq!(double.control("GET", "/stats", Value::Null)["sites"]["lambda_http"]["requests"], 2);
}

#[test]
fn tls_sessions_are_resumed_and_a_bad_certificate_is_bad() {
    let double = Double::start();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(double.ready["ca"].as_str().unwrap()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let handshake = |name: &'static str| -> std::io::Result<Option<HandshakeKind>> {
        let client = ClientConnection::new(config.clone(), name.try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(client, double.connect("lambda_https")?);
        stream.write_all(b"GET /plain HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        assert_eq!(Reply::parse(&bytes).body.len(), 1024);
        Ok(stream.conn.handshake_kind())
    };
    assert_eq!(handshake(HOST).unwrap(), Some(HandshakeKind::Full));
    assert_eq!(handshake(HOST).unwrap(), Some(HandshakeKind::Resumed));
    assert_eq!(handshake("id.lambda-url.us-east-1.on.aws").unwrap(), Some(HandshakeKind::Full));
    let counts = double.control("GET", "/stats", Value::Null)["sites"]["lambda_https"].clone();
    assert_eq!((&counts["tls_full"], &counts["tls_resumed"]), (&json!(2), &json!(1)));
    for (certificate, why) in [
        ("expired", "Expired"),
        ("wrong-name", "NotValidForName"),
        ("self-signed", "UnknownIssuer"),
    ] {
        double.control("PUT", "/tls", json!({"certificate": certificate}));
        let error = format!("{:?}", handshake("localhost").unwrap_err());
        assert!(error.contains(why), "{certificate}: {error}");
    }
}
