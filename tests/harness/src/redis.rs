//! A Redis server of the tests' own, in memory only.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use crate::Outcome;
use crate::process::{Process, command};
use crate::wait::{PATIENCE, until};

/// Tries at a port before it is an error: somebody else may take it between the kernel's choice
/// and redis-server's bind, as redis-server cannot be handed a socket.
const ATTEMPTS: u32 = 5;

/// A running redis-server, ended when this is dropped.
pub struct Redis {
    process: Process,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Redis {
    /// Starts one on a free port, without persistence.
    pub fn start() -> Outcome<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more arguments, as in `&["--requirepass", "secret"]`.
    pub fn start_with(arguments: &[&str]) -> Outcome<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
            match Self::start_on(address, arguments) {
                Ok(redis) => return Ok(redis),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| "redis-server was not tried".into()))
    }

    /// Starts one at a given address: the same server back again after it went away.
    pub fn start_on(address: SocketAddr, arguments: &[&str]) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let mut server = command("redis-server");
        server.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
        server.args(["--save", "", "--appendonly", "no", "--dir"]).arg(directory.path());
        server.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let mut process = Process::spawn("redis-server", server)?;
        let ready = until(PATIENCE, "redis-server to answer", || {
            if let Some(status) = process.exit_status() {
                return Some(Err(format!("redis-server ended with {status}")));
            }
            // Any answer will do: with a password PING is refused. But it is this server's, since
            // another one on the port would have ended it.
            inline(address, "PING").ok().map(|_| Ok(()))
        })?;
        ready?;
        Ok(Self { process, address, directory })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id, to stop and continue it as a server that hangs.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its working directory.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Sends a command as redis-cli takes it, and returns the first line of its reply without the
    /// type sign; a bulk string's text. An error reply is an error.
    pub fn command(&self, line: &str) -> Outcome<String> {
        let reply = inline(self.address, line)?;
        match reply.strip_prefix('-') {
            Some(error) => Err(format!("redis: {line}: {error}").into()),
            None => Ok(reply),
        }
    }
}

fn inline(address: SocketAddr, line: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{line}\r\n").as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut read_line = || -> Outcome<String> {
        let mut text = String::new();
        if reader.read_line(&mut text)? == 0 {
            return Err("redis closed the connection".into());
        }
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    let first = read_line()?;
    match first.split_at_checked(1) {
        Some(("$", "-1")) => Ok(String::new()),
        Some(("$", _)) => read_line(),
        Some(("-", _)) => Ok(first),
        Some((_, rest)) => Ok(rest.to_owned()),
        None => Err("redis sent an empty line".into()),
    }
}
