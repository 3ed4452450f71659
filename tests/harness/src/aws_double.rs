//! The stand-in for AWS (tests/aws-double): instance metadata, STS and Lambda on loopback.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};

use serde_json::Value;

use crate::Outcome;
use crate::flavour::project_root;
use crate::http::{Connection, Request, Response};
use crate::process::{Process, command};
use crate::wait::PATIENCE;

/// A running aws-double. It ends when this is dropped: its standard input closes.
pub struct AwsDouble {
    addresses: Value,
    // Order matters: closing its input asks it to end, then the guard makes sure.
    _input: Option<ChildStdin>,
    _process: Process,
}

/// The binary that cargo made beside this test program, or in the release directory.
fn binary() -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("AWS_DOUBLE") {
        return Ok(path.into());
    }
    let program = std::env::current_exe()?;
    let beside = program.ancestors().nth(2).map(|directory| directory.join("aws-double"));
    let release = project_root().join("target/release/aws-double");
    let found = beside.into_iter().chain([release]).find(|path| path.exists());
    found.ok_or_else(|| "no aws-double: run \"cargo build -p aws-double\" first".into())
}

impl AwsDouble {
    /// Starts one on ports of its own and waits for the line with its addresses.
    pub fn start() -> Outcome<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more arguments. It has Python functions if scripts/test has made a Python
    /// for them.
    pub fn start_with(arguments: &[&str]) -> Outcome<Self> {
        let mut double = command(binary()?);
        let python = project_root().join("target/python/bin/python");
        if python.exists() {
            double.arg("--python").arg(python);
        }
        double.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn("aws-double", double)?;
        let input = process.take_stdin();
        let mut line = String::new();
        let output = process.take_stdout().ok_or("aws-double has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let addresses = serde_json::from_str(&line)
            .map_err(|error| format!("aws-double printed {line:?} in place of JSON: {error}"))?;
        Ok(Self { addresses, _input: input, _process: process })
    }

    /// One of the values it printed: the addresses `imds`, `sts`, `container`, `secretsmanager`,
    /// `lambda_http`, `lambda_https`, `control` and `alb`, the path `ca`, and the key pair
    /// `access_key_id` and `secret_access_key`.
    pub fn address(&self, name: &str) -> Outcome<&str> {
        let address = self.addresses.get(name).and_then(Value::as_str);
        address.ok_or_else(|| format!("aws-double has no \"{name}\": {}", self.addresses).into())
    }

    /// Sends a request to its control listener; any status but 2xx is an error.
    pub fn control(&self, method: &str, path: &str, body: &str) -> Outcome<Response> {
        let address = self.address("control")?;
        let address: SocketAddr = address.trim_start_matches("http://").parse()?;
        let request = Request::new(method, path)
            .header("Content-Type", "application/json")
            .body(body)
            .close();
        let response = Connection::open(address, PATIENCE)?.request(&request)?;
        if !(200..300).contains(&response.status) {
            let (status, text) = (response.status, response.text());
            return Err(format!("aws-double: {method} {path}: {status} {text}").into());
        }
        Ok(response)
    }
}
