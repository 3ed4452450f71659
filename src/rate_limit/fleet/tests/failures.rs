//! What becomes of calls when the store misbehaves.

use super::*;

const TIMEOUT: Duration = Duration::from_millis(50);

fn call() -> Call {
    let list = rates("1000000r/y");
    exact_call(&[Demand { key: key(9), terms: terms(&list) }])
}

/// Asks until the store answers; how long that took.
fn recover(conversation: &Conversation) -> Duration {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if conversation.ask(&call()).is_ok() {
            return started.elapsed();
        }
        std::thread::yield_now();
    }
    panic!("the store did not come back");
}

#[test]
fn forgotten_scripts_are_sent_again_without_anybody_noticing() {
    let server = Server::start(&[]);
    let conversation = Conversation::patient(&server);
    for token in 0..100 {
        if token % 10 == 0 {
            let () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut server.connection()).unwrap();
        }
        assert!(conversation.ask(&call()).is_ok(), "{token}");
    }
    assert!(conversation.events.try_recv().is_err());
}

#[test]
fn a_stopped_store_is_given_up_in_time_and_taken_back_within_two_seconds() {
    let server = Server::start(&[]);
    let conversation = Conversation::start(&server.url(), TIMEOUT);
    conversation.expect(Event::Up);
    recover(&conversation);
    server.signal("STOP");
    let mut sent = Vec::new();
    let mut failed = 0;
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_millis(1_500) {
        let now = Instant::now();
        match conversation.submit(&call(), sent.len() as u64) {
            Ok(()) => sent.push(now),
            Err(_) => failed += 1,
        }
        assert!(now.elapsed() < TIMEOUT, "submit waited");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!sent.is_empty() && failed > sent.len(), "{} {failed}", sent.len());
    for _ in 0..sent.len() {
        let (token, result, at) = conversation.answers.recv_timeout(PATIENCE).unwrap();
        assert!(result.is_err());
        let waited = at - sent[token as usize];
        assert!(waited < Duration::from_millis(100), "{waited:?}");
    }
    assert!(matches!(conversation.events.recv_timeout(PATIENCE), Ok(Event::Down(_))));
    server.signal("CONT");
    let took = recover(&conversation);
    assert!(took < Duration::from_secs(2), "{took:?}");
    conversation.expect(Event::Up);
}

#[test]
fn a_killed_store_is_found_again_on_its_return() {
    let mut server = Server::start(&[]);
    let conversation = Conversation::start(&server.url(), TIMEOUT);
    conversation.expect(Event::Up);
    recover(&conversation);
    server.kill();
    let started = Instant::now();
    while conversation.client.is_up() {
        let _ = conversation.ask(&call());
    }
    assert!(started.elapsed() < Duration::from_millis(1_100));
    assert_eq!(conversation.ask(&call()), Err(StoreError::Away));
    server.restart();
    let took = recover(&conversation);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_silent_connection_that_the_server_closes_costs_no_request() {
    let server = Server::start(&[]);
    let conversation = Conversation::start(&server.url(), TIMEOUT);
    conversation.expect(Event::Up);
    recover(&conversation);
    let () = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query(&mut server.connection())
        .unwrap();
    assert!(matches!(conversation.events.recv_timeout(PATIENCE), Ok(Event::Down(_))));
    conversation.expect(Event::Up);
    assert!(conversation.ask(&call()).is_ok());
}

#[test]
fn a_server_that_becomes_a_replica_is_not_counted_in() {
    let server = Server::start(&[]);
    let other = Server::start(&[]);
    let conversation = Conversation::start(&server.url(), TIMEOUT);
    conversation.expect(Event::Up);
    let replicate = |words: &[&str]| {
        let () = redis::cmd("REPLICAOF").arg(words).query(&mut server.connection()).unwrap();
    };
    replicate(&["127.0.0.1", &other.port.to_string()]);
    let answer = conversation.ask(&call());
    assert!(matches!(&answer, Err(StoreError::Refused(code)) if code == "READONLY"), "{answer:?}");
    conversation.expect(Event::Down("redis answered READONLY".to_owned()));
    assert_eq!(conversation.ask(&call()), Err(StoreError::Away));
    replicate(&["NO", "ONE"]);
    recover(&conversation);
}

#[test]
fn users_passwords_and_databases_are_used_and_a_changed_password_is_survived() {
    let server = Server::start(&[]);
    let user = |password: &str| {
        let rules =
            ["SETUSER", "gate", "reset", "on", password, "~{apigate:*", "+@all", "-@dangerous"];
        let () = redis::cmd("ACL").arg(&rules).query(&mut server.connection()).unwrap();
    };
    user(">first");
    let url = format!("redis://gate:first@127.0.0.1:{}/5", server.port);
    let conversation = Conversation::start(&url, TIMEOUT);
    conversation.expect(Event::Up);
    assert!(conversation.ask(&call()).is_ok());
    let mut connection = server.connection();
    let keys: Vec<String> = connection.keys("*").unwrap();
    assert_eq!(keys.len(), 0);
    let () = redis::cmd("SELECT").arg(5).query(&mut connection).unwrap();
    let keys: Vec<String> = connection.keys("*").unwrap();
    assert_eq!(keys.len(), 1);
    // A changed password leaves sessions alone; what comes after them is refused until the password is ours again.
    user(">second");
    assert!(conversation.ask(&call()).is_ok());
    let end = ["KILL", "USER", "gate"];
    let () = redis::cmd("CLIENT").arg(&end).query(&mut server.connection()).unwrap();
    let down = conversation.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(&down, Event::Down(reason) if !reason.contains("first")), "{down:?}");
    user(">first");
    recover(&conversation);
    conversation.expect(Event::Up);
}

#[test]
fn another_value_under_a_counter_s_name_fails_that_call_alone() {
    let server = Server::start(&[]);
    let conversation = Conversation::patient(&server);
    let name = counter_name(key(9), Unit::Year);
    let () = server.connection().lpush(&name, "x").unwrap();
    assert!(matches!(conversation.ask(&call()), Err(StoreError::Refused(_))));
    let list = rates("5r/y");
    assert!(conversation.passes(&[Demand { key: key(1), terms: terms(&list) }]));
}

#[test]
fn tls_is_spoken_and_certificates_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-keyout", &file("key.pem"), "-out", &file("cert.pem")])
        .output()
        .unwrap();
    assert!(made.status.success());
    let server = Server::start(&[
        "--port",
        "0",
        "--tls-port",
        "PORT",
        "--tls-auth-clients",
        "no",
        "--tls-ca-cert-file",
        &file("cert.pem"),
        "--tls-cert-file",
        &file("cert.pem"),
        "--tls-key-file",
        &file("key.pem"),
    ]);
    let unverified = format!("rediss://127.0.0.1:{}/#insecure", server.port);
    let conversation = Conversation::start(&unverified, Duration::from_secs(2));
    conversation.expect(Event::Up);
    assert!(conversation.ask(&call()).is_ok());
    let verified = format!("rediss://127.0.0.1:{}/", server.port);
    let conversation = Conversation::start(&verified, Duration::from_secs(2));
    assert!(matches!(conversation.events.recv_timeout(PATIENCE), Ok(Event::Down(_))));
}

#[test]
fn a_server_that_says_nothing_to_a_tls_handshake_does_not_hold_up_the_next_attempt() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let conversation = Conversation::start(&format!("rediss://127.0.0.1:{port}/"), TIMEOUT);
    let silent: Vec<_> = (0..3).map(|_| listener.accept().unwrap()).collect();
    assert!(matches!(conversation.events.recv_timeout(PATIENCE), Ok(Event::Down(_))));
    assert_eq!(silent.len(), 3);
}

#[test]
fn a_dropped_client_ends_its_thread_and_every_token_comes_back() {
    let server = Server::start(&[]);
    let started = Instant::now();
    let clock: Clock = Arc::new(move || started.elapsed());
    let config = ClientConfig { url: server.url(), timeout: PATIENCE, clock };
    let (client, runner) = Client::new(config).unwrap();
    let answered = Arc::new(AtomicU64::new(0));
    let (up, is_up) = mpsc::channel();
    let count = Arc::clone(&answered);
    let thread = std::thread::spawn(move || {
        let complete = |answers: Answers<()>| {
            count.fetch_add(answers.len() as u64, Ordering::SeqCst);
        };
        runner.run(complete, |event| drop(up.send(event)));
    });
    assert_eq!(is_up.recv_timeout(PATIENCE), Ok(Event::Up));
    for _ in 0..1_000 {
        client.submit(&call(), ()).unwrap();
    }
    drop(client);
    thread.join().unwrap();
    assert_eq!(answered.load(Ordering::SeqCst), 1_000);
}
