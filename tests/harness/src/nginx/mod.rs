//! One nginx with its own directory and its own port.
//!
//! The port never races: the listening socket is bound here, with the port that the kernel chose,
//! and handed to nginx as its standard input, named in the environment variable `NGINX` by which
//! nginx hands sockets to its own successor (src/core/nginx.c, ngx_add_inherited_sockets). A master
//! process is needed for that: with `master_process off` nginx 1.22 crashes on inherited sockets.

mod builder;
mod log;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use regex::Regex;
use rustix::process::Signal;

pub use self::builder::{Checked, NginxBuilder};
use self::builder::{Config, write_file};
use self::log::log_text;
pub use self::log::{faults, tail};
use crate::Outcome;
use crate::flavour::Flavour;
use crate::http::{Connection, Request, Response};
use crate::process::{Process, title};
use crate::wait::{PATIENCE, until};

/// A running nginx. [`Nginx::stop`] ends it and looks at how it went; dropping it only ends it.
pub struct Nginx {
    process: Process,
    flavour: Flavour,
    address: SocketAddr,
    config: Config,
    directory: tempfile::TempDir,
}

impl Nginx {
    /// What to start with: an empty server on a port of its own.
    pub fn builder(flavour: Flavour) -> Outcome<NginxBuilder> {
        NginxBuilder::new(flavour)
    }

    /// Where its server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The build that it is.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The process id of its master.
    pub fn master_pid(&self) -> u32 {
        self.process.id()
    }

    /// A connection to its server, with TLS if the server has it.
    pub fn connect(&self) -> Outcome<Connection> {
        self.connect_for(PATIENCE)
    }

    /// As [`Self::connect`], every read and write waiting for at most `patience`.
    pub fn connect_for(&self, patience: Duration) -> Outcome<Connection> {
        if self.config.tls {
            Connection::open_tls(self.address, patience)
        } else {
            Connection::open(self.address, patience)
        }
    }

    /// Sends a request on a connection of its own.
    pub fn request(&self, request: &Request) -> Outcome<Response> {
        self.connect()?.request(&request.clone().close())
    }

    /// GETs a target on a connection of its own.
    pub fn get(&self, target: &str) -> Outcome<Response> {
        self.request(&Request::get(target))
    }

    /// All that it has logged and printed so far.
    pub fn error_log(&self) -> String {
        log_text(self.directory())
    }

    /// The access log so far.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.directory().join("logs/access.log")).unwrap_or_default()
    }

    /// The end of the error log, for an error text.
    pub fn log_tail(&self) -> String {
        tail(&self.error_log())
    }

    /// Waits for a line of the error log that matches, and returns it.
    pub fn wait_for_log(&self, pattern: &Regex, patience: Duration) -> Outcome<String> {
        let found =
            || self.error_log().lines().find(|line| pattern.is_match(line)).map(str::to_owned);
        until(patience, &format!("\"{pattern}\" in the error log"), found)
            .map_err(|error| format!("{error}\n{}", self.log_tail()).into())
    }

    /// Writes a file in one step, its name relative to [`Self::directory`].
    pub fn write_file(&self, name: &str, content: impl AsRef<[u8]>) -> Outcome {
        write_file(self.directory(), name, content.as_ref())
    }

    /// The process ids of the workers that take new connections.
    pub fn worker_pids(&self) -> Vec<u32> {
        self.children().into_iter().filter(|pid| self.serves(*pid)).collect()
    }

    fn children(&self) -> Vec<u32> {
        let master = self.master_pid();
        let path = format!("/proc/{master}/task/{master}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Whether that worker takes new connections. It says so in its title, which it changes at the
    /// end of its start and right before it closes its listening sockets (ngx_process_cycle.c).
    fn serves(&self, pid: u32) -> bool {
        let title = title(pid);
        title.contains("worker process") && !title.contains("shutting down")
    }

    /// The memory of a process of its own that is in RAM, in bytes.
    pub fn resident_bytes(pid: u32) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        let kilobytes: u64 = kilobytes.ok_or_else(|| format!("no VmRSS of {pid}"))?;
        Ok(kilobytes * 1024)
    }

    /// Waits until all workers have started.
    pub fn wait_for_workers(&self) -> Outcome<Vec<u32>> {
        until(PATIENCE, "the workers to start", || {
            let workers = self.worker_pids();
            (workers.len() == self.config.workers).then_some(workers)
        })
    }

    /// Reloads the configuration; returns once new workers, and only they, take connections.
    pub fn reload(&self) -> Outcome {
        let old = self.wait_for_workers()?;
        let seen = self.error_log().len();
        self.process.signal(Signal::HUP)?;
        let reloaded = until(PATIENCE, "new workers to serve", || {
            let log = self.error_log();
            let news = log.get(seen..).unwrap_or_default();
            if let Some(line) = news.lines().find(|line| line.contains("[emerg]")) {
                return Some(Err(format!("nginx did not take the configuration: {line}")));
            }
            let now = self.worker_pids();
            let fresh = now.iter().all(|pid| !old.contains(pid));
            (fresh && now.len() == self.config.workers).then_some(Ok(()))
        });
        Ok(reloaded??)
    }

    /// Puts other directives into the server block and reloads.
    pub fn reload_with(&mut self, server: &str) -> Outcome {
        server.clone_into(&mut self.config.server);
        let text = self.config.text(self.flavour, self.address.port())?;
        self.write_file("conf/nginx.conf", text)?;
        self.reload()
    }

    /// Sends a signal to the master.
    pub fn signal(&self, signal: Signal) -> Outcome {
        self.process.signal(signal)
    }

    /// Asks for a graceful exit and waits for it.
    pub fn quit(&mut self) -> Outcome<ExitStatus> {
        self.process.signal(Signal::QUIT)?;
        let ended = self.process.wait(PATIENCE);
        ended.map_err(|error| format!("{error}\n{}", self.log_tail()).into())
    }

    /// Quits, and is an error if nginx did not end well or its log tells of a fault.
    pub fn stop(self) -> Outcome {
        self.stop_allowing(&[])
    }

    /// The same, but lines of the log that match one of these regexes are no faults.
    pub fn stop_allowing(mut self, allowed: &[&str]) -> Outcome {
        let allowed = allowed.iter().map(|text| Regex::new(text)).collect::<Result<Vec<_>, _>>()?;
        let status = self.quit()?;
        let log = self.error_log();
        let faults = faults(&log, &allowed)?;
        if !status.success() {
            return Err(format!("nginx ended with {status}\n{}", tail(&log)).into());
        }
        if !faults.is_empty() {
            let faults = faults.join("\n");
            return Err(format!("the log tells of faults:\n{faults}\n{}", tail(&log)).into());
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if std::env::var_os("APIGATE_KEEP").is_some() {
            self.directory.disable_cleanup(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
1 [notice] 1#1: start worker process 2
2 [alert] 1#1: worker process 2 exited on signal 11
3 [notice] 1#1: worker process 3 exited with code 0
4 [notice] 1#1: worker process 3 exited with code 99
thread '<unnamed>' panicked at src/lib.rs:1:1
";

    #[test]
    fn faults_are_found_unless_a_test_expects_them() {
        let all = faults(LOG, &[]).unwrap();
        assert_eq!(all.len(), 3, "{all:?}");
        let allowed = [Regex::new("exited on signal 11").unwrap()];
        let rest = faults(LOG, &allowed).unwrap();
        assert!(rest.iter().all(|line| !line.contains("signal 11")) && rest.len() == 2, "{rest:?}");
    }

    #[test]
    fn files_stay_inside_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("temp")).unwrap();
        write_file(directory.path(), "conf/a/b.json", b"{}").unwrap();
        assert_eq!(std::fs::read(directory.path().join("conf/a/b.json")).unwrap(), b"{}");
        for name in ["../x", "/etc/x", "a/../../x"] {
            assert!(write_file(directory.path(), name, b"").is_err(), "{name}");
        }
    }

    #[test]
    fn a_tail_is_the_end_of_the_log() {
        let log: String = (1..=100).map(|n| format!("line {n}\n")).collect();
        let tail = tail(&log);
        assert!(
            tail.ends_with("line 100") && tail.contains("line 41\n") && !tail.contains("line 40\n")
        );
    }
}
