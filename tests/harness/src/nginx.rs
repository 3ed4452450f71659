//! One nginx with its own directory and its own port.
//!
//! The port never races: the listening socket is bound here, with the port that the kernel chose,
//! and handed to nginx as its standard input, named in the environment variable `NGINX` by which
//! nginx hands sockets to its own successor (src/core/nginx.c, ngx_add_inherited_sockets). A master
//! process is needed for that: with `master_process off` nginx 1.22 crashes on inherited sockets.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use regex::Regex;
use rustix::process::Signal;

use crate::flavour::Flavour;
use crate::http::{Connection, Request, Response};
use crate::process::{Process, command, title};
use crate::wait::{PATIENCE, until};
use crate::{Outcome, tls};

/// What is handed on from the environment of the tests; all else is the test's own choice.
const KEPT_VARIABLES: [&str; 5] =
    ["PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "LSAN_OPTIONS", "RUST_BACKTRACE"];

/// Log lines that no nginx may leave behind unless a test says so: nginx's own word for a fault,
/// a configuration that failed, a caught panic, a worker that a checker ended.
const FAULTS: &str = r"\[alert\]|\[emerg\]|panicked|exited with code [1-9]";

/// Lines of the log shown when something failed.
const SHOWN_LOG_LINES: usize = 60;

/// What nginx is to be started with. Every method but the last returns the builder.
pub struct NginxBuilder {
    flavour: Flavour,
    directory: tempfile::TempDir,
    listener: TcpListener,
    second_listener: Option<TcpListener>,
    environment: Vec<(String, String)>,
    config: Config,
}

#[derive(Clone)]
struct Config {
    main: String,
    http: String,
    server: String,
    log_level: String,
    workers: usize,
    tls: bool,
    http2: bool,
}

/// The verdict of `nginx -t`.
#[derive(Debug)]
pub struct Checked {
    /// Whether it found the configuration good.
    pub accepted: bool,
    /// What it printed and logged.
    pub text: String,
}

fn listen() -> Outcome<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    // nginx expects that of what it inherits: several workers wait at one socket.
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl NginxBuilder {
    /// Where it will live: conf/, html/ and logs/ are in it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The port of its server.
    pub fn port(&self) -> Outcome<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// A second port that the configuration may listen on, as `127.0.0.1:PORT`.
    pub fn second_port(&mut self) -> Outcome<u16> {
        if self.second_listener.is_none() {
            self.second_listener = Some(listen()?);
        }
        let listener = self.second_listener.as_ref().ok_or("no second listener")?;
        Ok(listener.local_addr()?.port())
    }

    /// Directives for the main context.
    pub fn main(mut self, text: &str) -> Self {
        self.config.main.push_str(text);
        self
    }

    /// Directives for `http`.
    pub fn http(mut self, text: &str) -> Self {
        self.config.http.push_str(text);
        self
    }

    /// Directives for the server that listens on [`Self::port`].
    pub fn server(mut self, text: &str) -> Self {
        self.config.server.push_str(text);
        self
    }

    /// The number of workers, 1 if not told.
    pub fn workers(mut self, count: usize) -> Self {
        self.config.workers = count;
        self
    }

    /// The lowest level that is logged, `info` if not told.
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.config.log_level);
        self
    }

    /// Makes the server one with TLS, with the certificate of [`tls::certificate`].
    pub fn tls(mut self) -> Self {
        self.config.tls = true;
        self
    }

    /// Makes the server one that speaks HTTP/2.
    pub fn http2(mut self) -> Self {
        self.config.http2 = true;
        self
    }

    /// Sets an environment variable of the master.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file, its name relative to [`Self::directory`].
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Outcome<Self> {
        write_file(self.directory(), name, content.as_ref())?;
        Ok(self)
    }

    fn write_config(&self) -> Outcome {
        let text = self.config.text(self.flavour, self.port()?)?;
        write_file(self.directory(), "conf/nginx.conf", text.as_bytes())
    }

    fn command(&self) -> Outcome<Command> {
        let mut nginx = match std::env::var("APIGATE_WRAPPER") {
            Ok(words) => {
                let mut words = words.split_whitespace();
                let mut wrapper = command(words.next().ok_or("APIGATE_WRAPPER is empty")?);
                wrapper.args(words).arg(self.flavour.binary());
                wrapper
            }
            Err(_) => command(self.flavour.binary()),
        };
        nginx.arg("-p").arg(self.directory()).args(["-c", "conf/nginx.conf"]);
        nginx.args(["-e", "logs/error.log"]).env_clear();
        for name in KEPT_VARIABLES {
            if let Some(value) = std::env::var_os(name) {
                nginx.env(name, value);
            }
        }
        let mut inherited = "0;".to_owned();
        nginx.stdin(OwnedFd::from(self.listener.try_clone()?));
        nginx.stdout(Stdio::null());
        if let Some(second) = &self.second_listener {
            inherited.push_str("1;");
            nginx.stdout(OwnedFd::from(second.try_clone()?));
        }
        nginx.stderr(File::create(self.directory().join("logs/stderr.log"))?);
        nginx.env("NGINX", inherited);
        nginx.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(nginx)
    }

    /// Runs `nginx -t`.
    pub fn check(&self) -> Outcome<Checked> {
        self.write_config()?;
        let mut nginx = self.command()?;
        nginx.arg("-t");
        let status = Process::spawn("nginx -t", nginx)?.wait(PATIENCE)?;
        let text = log_text(self.directory());
        if status.code().is_none() {
            return Err(format!("nginx -t ended with {status}\n{text}").into());
        }
        Ok(Checked { accepted: status.success(), text })
    }

    /// Starts nginx; returns once its master has read the configuration and takes signals.
    pub fn start(self) -> Outcome<Nginx> {
        self.write_config()?;
        let process = Process::spawn("nginx", self.command()?)?;
        let mut nginx = Nginx {
            process,
            flavour: self.flavour,
            address: self.listener.local_addr()?,
            config: self.config,
            directory: self.directory,
        };
        // Our own copies must go, or connections to a dead nginx would wait instead of fail.
        drop((self.listener, self.second_listener));
        let pid_file = nginx.directory.path().join("nginx.pid");
        let started = until(PATIENCE, "nginx to write its pid", || {
            if let Some(status) = nginx.process.exit_status() {
                return Some(Err(format!("nginx did not start: {status}")));
            }
            let pid = std::fs::read_to_string(&pid_file).ok()?;
            pid.ends_with('\n').then_some(Ok(()))
        });
        match started {
            Ok(Ok(())) => Ok(nginx),
            Ok(Err(error)) => Err(format!("{error}\n{}", nginx.log_tail()).into()),
            Err(error) => Err(format!("{error}\n{}", nginx.log_tail()).into()),
        }
    }
}

impl Config {
    fn text(&self, flavour: Flavour, port: u16) -> Outcome<String> {
        let Self { main, http, server, log_level, workers, .. } = self;
        let module = flavour.module();
        let module = module.display();
        let separate_http2 = flavour.version()? >= (1, 25, 1);
        let ssl = if self.tls { " ssl" } else { "" };
        let listen_http2 = if self.http2 && !separate_http2 { " http2" } else { "" };
        let http2 = if self.http2 && separate_http2 { "http2 on;" } else { "" };
        let certificate =
            if self.tls { "ssl_certificate cert.pem; ssl_certificate_key key.pem;" } else { "" };
        // The files of a test belong to who runs it; as root, that is nobody else's to read.
        let is_root = rustix::process::geteuid().is_root();
        let own_user = Regex::new(r"(?m)^\s*user\s")?.is_match(main);
        let user = if is_root && !own_user { "user root;" } else { "" };
        Ok(format!(
            r#"daemon off;
{user}
worker_processes {workers};
pid nginx.pid;
error_log logs/error.log {log_level};
load_module {module};
{main}
events {{
    worker_connections 512;
}}
http {{
    access_log logs/access.log;
    default_type text/plain;
    client_body_temp_path temp/client;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;
{http}
    server {{
        listen 127.0.0.1:{port}{ssl}{listen_http2};
        server_name localhost;
        {http2}{certificate}
        root html;
{server}
    }}
}}
"#
        ))
    }
}

fn write_file(directory: &Path, name: &str, content: &[u8]) -> Outcome {
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !inside {
        return Err(format!("\"{name}\" is not a file name below the test's directory").into());
    }
    let path = directory.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    // In one step, as an operator's deployment does it: a watcher never sees half a file.
    let unfinished = directory.join("temp/unfinished");
    std::fs::write(&unfinished, content)?;
    Ok(std::fs::rename(unfinished, path)?)
}

fn log_text(directory: &Path) -> String {
    let read = |name| {
        let bytes = std::fs::read(directory.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    read("logs/error.log") + &read("logs/stderr.log")
}

/// The last lines of a log, introduced by a line that says so.
pub fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let from = lines.len().saturating_sub(SHOWN_LOG_LINES);
    format!("--- error log\n{}", lines.get(from..).unwrap_or_default().join("\n"))
}

/// The lines of a log that tell of a fault, without those that `allowed` matches.
pub fn faults<'a>(log: &'a str, allowed: &[Regex]) -> Outcome<Vec<&'a str>> {
    let faults = Regex::new(FAULTS)?;
    let is_fault =
        |line: &&str| faults.is_match(line) && !allowed.iter().any(|regex| regex.is_match(line));
    Ok(log.lines().filter(is_fault).collect())
}

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
        let directory = tempfile::Builder::new().prefix("apigate-").tempdir()?;
        for name in ["conf", "html", "logs", "temp"] {
            std::fs::create_dir(directory.path().join(name))?;
        }
        let certificate = tls::certificate()?;
        write_file(directory.path(), "conf/cert.pem", &certificate.certificate)?;
        write_file(directory.path(), "conf/key.pem", &certificate.key)?;
        Ok(NginxBuilder {
            flavour,
            directory,
            listener: listen()?,
            second_listener: None,
            environment: Vec::new(),
            config: Config {
                main: String::new(),
                http: String::new(),
                server: String::new(),
                log_level: "info".to_owned(),
                workers: 1,
                tls: false,
                http2: false,
            },
        })
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
    pub fn stop(mut self) -> Outcome {
        let status = self.quit()?;
        let log = self.error_log();
        let faults = faults(&log, &[])?;
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
