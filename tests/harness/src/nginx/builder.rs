//! What nginx is started with: its directory, its sockets, its configuration.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};
use std::process::{Command, Stdio};

use regex::Regex;

use super::Nginx;
use super::log::log_text;
use crate::flavour::Flavour;
use crate::process::{Process, command};
use crate::wait::{PATIENCE, until};
use crate::{Outcome, tls};

/// What is handed on from the environment of the tests; all else is the test's own choice.
const KEPT_VARIABLES: [&str; 5] =
    ["PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "LSAN_OPTIONS", "RUST_BACKTRACE"];

/// Where temporary files go; the compiled-in places may be anywhere.
const TEMPORARY_PATHS: &str = "    client_body_temp_path temp/client;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;
";

/// What nginx is to be started with. Every method but the last returns the builder.
pub struct NginxBuilder {
    flavour: Flavour,
    directory: tempfile::TempDir,
    listener: TcpListener,
    second_listener: Option<TcpListener>,
    environment: Vec<(String, String)>,
    wrapper: Option<String>,
    config: Config,
}

#[derive(Clone)]
pub(super) struct Config {
    main: String,
    http: String,
    pub(super) server: String,
    log_level: String,
    pub(super) workers: usize,
    pub(super) tls: bool,
    http2: bool,
    faults: bool,
    whole: Option<String>,
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
    pub(super) fn new(flavour: Flavour) -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix("apigate-").tempdir()?;
        for name in ["conf", "html", "logs", "temp"] {
            std::fs::create_dir(directory.path().join(name))?;
        }
        let certificate = tls::certificate()?;
        write_file(directory.path(), "conf/cert.pem", &certificate.certificate)?;
        write_file(directory.path(), "conf/key.pem", &certificate.key)?;
        Ok(Self {
            flavour,
            directory,
            listener: listen()?,
            second_listener: None,
            environment: Vec::new(),
            wrapper: std::env::var("APIGATE_WRAPPER").ok(),
            config: Config {
                main: String::new(),
                http: String::new(),
                server: String::new(),
                log_level: "info".to_owned(),
                workers: 1,
                tls: false,
                http2: false,
                faults: false,
                whole: None,
            },
        })
    }

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

    /// A whole nginx.conf in place of one made of directives. It must not say where pid, log and
    /// temporary files go, and of the methods here only `http` adds to it.
    pub fn whole(mut self, text: &str) -> Self {
        self.config.whole = Some(text.to_owned());
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

    /// Loads the module that panics on demand (`scripts/build --faults`) in place of the ordinary one.
    pub fn with_faults(mut self) -> Self {
        self.config.faults = true;
        self
    }

    /// Starts nginx behind these words, as `APIGATE_WRAPPER` does for all.
    pub fn wrapper(mut self, words: &str) -> Self {
        self.wrapper = Some(words.to_owned());
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
        let mut nginx = match &self.wrapper {
            Some(words) => {
                let mut words = words.split_whitespace();
                let mut wrapper = command(words.next().ok_or("the wrapper is empty")?);
                wrapper.args(words).arg(self.flavour.binary());
                wrapper
            }
            None => command(self.flavour.binary()),
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
    pub(super) fn text(&self, flavour: Flavour, port: u16) -> Outcome<String> {
        let Self { main, http, server, log_level, workers, .. } = self;
        let module = if self.faults { flavour.faulty_module() } else { flavour.module() };
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
        if let Some(whole) = &self.whole {
            let (before, inside) = whole.split_once("http {\n").ok_or("no \"http {\" line")?;
            // The place that nginx was built with need not be there.
            let log =
                if whole.contains("access_log") { "" } else { "access_log logs/access.log;\n" };
            return Ok(format!(
                "daemon off;\n{user}\npid nginx.pid;\nerror_log logs/error.log {log_level};\n\
                 {before}http {{\n{TEMPORARY_PATHS}{log}{http}\n{inside}"
            ));
        }
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
{TEMPORARY_PATHS}{http}
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

/// Writes a file in one step, its name relative to the directory and inside it.
pub(super) fn write_file(directory: &Path, name: &str, content: &[u8]) -> Outcome {
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
