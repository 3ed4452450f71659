//! The Python children that run the Flask application behind its adapters.
//!
//! A child answers one event at a time: a line `ADAPTER EVENT` in, a line `P` + payload or `E` + error out.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;

/// The outcome of a Python function.
pub(crate) enum Outcome {
    /// It returned this JSON.
    Payload(Vec<u8>),
    /// It raised; the JSON has errorMessage, errorType and stackTrace.
    Raised(Vec<u8>),
}

struct Running {
    _child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// A pool of children, started when they are first needed.
pub(crate) struct Python {
    interpreter: Option<PathBuf>,
    runner: PathBuf,
    /// Where the children keep what they share.
    directory: PathBuf,
    idle: Mutex<Vec<Running>>,
    permits: Semaphore,
}

impl Python {
    /// A pool of up to `children`; without an interpreter there are no Flask functions.
    pub(crate) fn new(
        interpreter: Option<PathBuf>,
        runner: PathBuf,
        directory: PathBuf,
        children: usize,
    ) -> Self {
        Self {
            interpreter,
            runner,
            directory,
            idle: Mutex::default(),
            permits: Semaphore::new(children),
        }
    }

    /// Whether there is an interpreter.
    pub(crate) fn is_configured(&self) -> bool {
        self.interpreter.is_some()
    }

    /// What the function behind `adapter` says to an event, which must be JSON. A child that was not heard to the end
    /// is dropped, and killed by that.
    pub(crate) async fn call(&self, adapter: &str, event: &[u8]) -> io::Result<Outcome> {
        let _permit = self.permits.acquire().await.map_err(io::Error::other)?;
        let idle = self.idle.lock().pop();
        let mut running = match idle {
            Some(running) => running,
            None => self.start()?,
        };
        let mut line = Vec::with_capacity(event.len() + 32);
        line.extend_from_slice(adapter.as_bytes());
        line.push(b' ');
        // A line feed in JSON can only be white space between tokens.
        line.extend(event.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }));
        line.push(b'\n');
        running.stdin.write_all(&line).await?;
        running.stdin.flush().await?;
        let mut answer = Vec::new();
        running.stdout.read_until(b'\n', &mut answer).await?;
        if answer.pop() != Some(b'\n') || answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let kind = answer.remove(0);
        self.idle.lock().push(running);
        Ok(if kind == b'P' { Outcome::Payload(answer) } else { Outcome::Raised(answer) })
    }

    fn start(&self) -> io::Result<Running> {
        let interpreter = self.interpreter.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut child = Command::new(interpreter)
            .arg("-u")
            .arg(&self.runner)
            .env("FLASK_USERS_DB", self.directory.join("users.sqlite3"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stdout = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        Ok(Running { _child: child, stdin, stdout })
    }
}
