//! What an SCGI upstream gets. For it, FastCGI and uwsgi nginx joins header lines of one name, by links between them.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use harness::expect::expect_equal;
use harness::http::Request;
use harness::{Flavour, Nginx, Outcome};

harness::scenarios![
    a_key_is_not_joined_to_lines_that_stay,
    who_it_is_is_not_joined_to_lines_that_stay
];

/// An SCGI server that answers with what it gets, name and value a line each, or sends nginx on to `/next`.
fn scgi_server(redirects: bool) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // nginx tells of a connection that ends early
            let _ = answer(stream, redirects);
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, redirects: bool) -> Outcome {
    let mut length = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        match byte {
            [b':'] => break,
            [digit] => length.push(digit),
        }
    }
    let mut parameters = vec![0; str::from_utf8(&length)?.parse()?];
    stream.read_exact(&mut parameters)?;
    stream.read_exact(&mut byte)?; // a comma ends them
    if redirects {
        stream.write_all(b"Status: 200\r\nX-Accel-Redirect: /next\r\n\r\n")?;
    } else {
        stream.write_all(b"Status: 200\r\nContent-Type: text/plain\r\n\r\n")?;
        let lines: Vec<u8> =
            parameters.into_iter().map(|it| if it == 0 { b'\n' } else { it }).collect();
        stream.write_all(&lines)?;
    }
    Ok(())
}

/// Two SCGI upstreams, the second behind these directives.
fn gateway(flavour: Flavour, directives: &str) -> Outcome<Nginx> {
    let (first, second) = (scgi_server(true)?, scgi_server(false)?);
    Nginx::builder(flavour)?
        .http("consumers c { consumer alice key=SECRET; consumer guest; }")
        .server(&format!(
            "location / {{ scgi_pass {first}; }}
             location /next {{ internal; {directives} scgi_pass {second}; }}"
        ))
        .start()
}

/// The values that the upstream gets by this name.
fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let (Some(key), Some(value)) = (lines.next(), lines.next()) {
        if key == name {
            found.push(value);
        }
    }
    found
}

fn a_key_is_not_joined_to_lines_that_stay(flavour: Flavour) -> Outcome {
    let nginx = gateway(flavour, "satisfy any; allow all; key_auth c;")?;
    for keys in [1, 2, 20, 100, 400] {
        let mut request = Request::get("/").header("X-API-Key", "");
        for _ in 0..keys {
            request = request.header("X-API-Key", "SECRET");
        }
        let response = nginx.request(&request)?;
        expect_equal(&format!("status with {keys} keys"), response.status, 200)?;
        if response.text().contains("SECRET") {
            return Err(format!("the upstream gets the key: {}", response.text()).into());
        }
        expect_equal("X-API-Key", values(&response.text(), "HTTP_X_API_KEY"), vec![""])?;
    }
    nginx.stop()
}

fn who_it_is_is_not_joined_to_lines_that_stay(flavour: Flavour) -> Outcome {
    let nginx = gateway(flavour, "key_auth c header=x-other header=x-api-key anonymous=guest;")?;
    let mut request = Request::get("/").header("X-API-Key", "");
    for header in ["X-Other", "X-Other", "X-Other", "X-API-Key"] {
        request = request.header(header, "SECRET");
    }
    let response = nginx.request(&request)?;
    let text = response.text();
    expect_equal("status", response.status, 200)?;
    expect_equal("X-API-Key", values(&text, "HTTP_X_API_KEY"), vec![""])?;
    expect_equal("X-Consumer-Username", values(&text, "HTTP_X_CONSUMER_USERNAME"), vec!["guest"])?;
    expect_equal("X-Anonymous-Consumer", values(&text, "HTTP_X_ANONYMOUS_CONSUMER"), vec!["true"])?;
    expect_equal("lines of X-Consumer-ID", values(&text, "HTTP_X_CONSUMER_ID").len(), 1)?;
    nginx.stop()
}
