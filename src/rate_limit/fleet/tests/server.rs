//! A Redis of one test: on a free port of loopback, without files, gone with the test.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    arguments: Vec<String>,
}

impl Server {
    /// A server with these arguments on top, ready to answer. `PORT` in them is its port.
    pub(super) fn start(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        for _ in 0..10 {
            // Another process may take the port before the server does; then it exits, and another one is tried.
            let port =
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let mut server =
                Self { child: Self::spawn(port, &arguments), port, arguments: arguments.clone() };
            if server.is_ready() {
                return server;
            }
        }
        panic!("no redis-server could be started");
    }

    fn spawn(port: u16, arguments: &[String]) -> Child {
        let port = port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        if !arguments.iter().any(|word| word == "--tls-port") {
            command.args(["--port", &port]);
        }
        command.args(arguments.iter().map(|word| word.replace("PORT", &port)));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server")
    }

    fn is_ready(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(super) fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    pub(super) fn signal(&self, name: &str) {
        // the shell's own: not every machine has the program
        let kill = format!("kill -s {name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.unwrap().success());
    }

    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(super) fn restart(&mut self) {
        self.kill();
        self.child = Self::spawn(self.port, &self.arguments);
        assert!(self.is_ready());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
