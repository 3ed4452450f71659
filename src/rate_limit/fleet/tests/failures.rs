//! What becomes of calls when the store misbehaves.

use std::io::Write as _;

use redis::Value;

use super::*;

const TIMEOUT: Duration = Duration::from_millis(50);

fn call() -> Call {
    let list = rates("1000000r/y");
    exact_call(&[demand(key(9), terms(&list))])
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
    assert_eq!(counters(&mut connection).len(), 0);
    let () = redis::cmd("SELECT").arg(5).query(&mut connection).unwrap();
    assert_eq!(counters(&mut connection).len(), 1);
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
fn another_value_under_a_counter_s_name_fails_that_call_alone_and_is_told_of_once() {
    let server = Server::start(&[]);
    let conversation = Conversation::patient(&server);
    let name = counter_name(key(9), Unit::Year);
    let () = server.connection().lpush(&name, "x").unwrap();
    for _ in 0..3 {
        let refused = StoreError::Refused("WRONGTYPE".to_owned());
        assert_eq!(conversation.ask(&call()), Err(refused));
    }
    conversation.expect(Event::Refused("redis answered WRONGTYPE".to_owned()));
    assert!(conversation.events.try_recv().is_err());
    let list = rates("5r/y");
    assert!(conversation.passes(&[demand(key(1), terms(&list))]));
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_and_the_reason_says_so() {
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
    let url = format!("rediss://127.0.0.1:{}/", server.port);
    let conversation = Conversation::start(&url, Duration::from_secs(2));
    let reason =
        "no connection to redis, its certificate is refused, self-signed certificate".to_owned();
    conversation.expect(Event::Down(reason));
}

#[test]
fn the_reason_says_why_there_is_no_connection() {
    let server = Server::start(&["--requirepass", "secret"]);
    let port = server.port;
    for (url, expected) in [
        (format!("redis://127.0.0.1:{port}/"), "redis answered NOAUTH"),
        (format!("redis://:wrong@127.0.0.1:{port}/"), "redis answered WRONGPASS"),
        (format!("redis://:secret@127.0.0.1:{port}/99"), "redis answered ERR"),
        (format!("rediss://:secret@127.0.0.1:{port}/"), "redis did not answer in time"),
        ("redis://127.0.0.1:1/".to_owned(), "redis refused the connection"),
        (
            "redis://nobody.invalid/".to_owned(),
            "no connection to redis, the address of \"nobody.invalid\" is not known, ",
        ),
    ] {
        let conversation = Conversation::start(&url, Duration::from_secs(1));
        let Ok(Event::Down(reason)) = conversation.events.recv_timeout(PATIENCE) else {
            panic!("{url}")
        };
        assert!(reason.starts_with(expected), "{url}: {reason}");
        assert!(!reason.contains("secret") && !reason.contains("wrong"), "{reason}");
    }
}

#[test]
fn a_user_who_may_not_count_is_found_out_by_the_probe() {
    let server = Server::start(&[]);
    for (name, rights) in [
        ("few", "~{apigate:* +evalsha +script|load +get +time +ping"),
        ("nokeys", "~other* +@all"),
        ("noscript", "~* +@all -evalsha"),
    ] {
        let mut rules = vec!["SETUSER", name, "reset", "on", ">p"];
        rules.extend(rights.split(' '));
        let () = redis::cmd("ACL").arg(&rules).query(&mut server.connection()).unwrap();
        let url = format!("redis://{name}:p@127.0.0.1:{}/", server.port);
        let conversation = Conversation::start(&url, Duration::from_secs(5));
        conversation.expect(Event::Down("redis answered NOPERM".to_owned()));
        let () = redis::cmd("ACL")
            .arg(&["SETUSER", name, "~*", "+@all"])
            .query(&mut server.connection())
            .unwrap();
        conversation.expect(Event::Up);
    }
}

#[test]
fn a_cluster_and_a_busy_server_are_away() {
    let folder = tempfile::tempdir().unwrap();
    let server =
        Server::start(&["--cluster-enabled", "yes", "--dir", folder.path().to_str().unwrap()]);
    let conversation = Conversation::start(&server.url(), Duration::from_secs(5));
    conversation.expect(Event::Down("redis answered CLUSTERDOWN".to_owned()));
    let server = Server::start(&["--busy-reply-threshold", "10"]);
    let mut connection = server.connection();
    let loops = std::thread::spawn(move || {
        let _: Result<(), _> =
            redis::cmd("EVAL").arg("while true do end").arg(0).query(&mut connection);
    });
    while redis::cmd("PING").query::<()>(&mut server.connection()).is_ok() {}
    let conversation = Conversation::start(&server.url(), Duration::from_secs(5));
    conversation.expect(Event::Down("redis answered BUSY".to_owned()));
    let () = redis::cmd("SCRIPT").arg("KILL").query(&mut server.connection()).unwrap();
    loops.join().unwrap();
    conversation.expect(Event::Up);
}

/// A server that answers calls of scripts with these bytes, one at a time with so long between them; other commands with OK.
fn answering(bytes: &'static [u8], pause: Duration, after: usize) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut calls = 0;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut parser = redis::Parser::new();
            while let Ok(Value::Array(words)) = parser.parse_value(&mut stream) {
                let is_call = words.first() == Some(&Value::BulkString(b"EVALSHA".to_vec()));
                calls += usize::from(is_call);
                let answer: &[u8] = match is_call {
                    true if calls > after => bytes,
                    true => b"*5\r\n:1\r\n:0\r\n:0\r\n:0\r\n:1\r\n",
                    false => b"+OK\r\n",
                };
                let paused = if answer == bytes { pause } else { Duration::ZERO };
                for byte in answer {
                    std::thread::sleep(paused);
                    if stream.write_all(&[*byte]).is_err() {
                        break;
                    }
                }
            }
        }
    });
    url
}

#[test]
fn what_does_not_answer_as_redis_does_is_away() {
    for answer in [
        &b"*1\r\n:1\r\n"[..],
        b"$-1\r\n",
        b"+OK\r\n",
        b"hello\r\n",
        b"*5\r\n+a\r\n+a\r\n+a\r\n+a\r\n+a\r\n",
    ] {
        for after in [0, 1] {
            let url = answering(answer, Duration::ZERO, after);
            let conversation = Conversation::start(&url, Duration::from_secs(5));
            if after > 0 {
                conversation.expect(Event::Up);
                assert_eq!(conversation.ask(&call()), Err(StoreError::Away));
            }
            let reason = "redis did not answer as a redis does".to_owned();
            conversation.expect(Event::Down(reason));
        }
    }
    let url = answering(b"-NOSCRIPT No matching script.\r\n", Duration::ZERO, 0);
    let conversation = Conversation::start(&url, Duration::from_secs(5));
    conversation.expect(Event::Down("redis answered NOSCRIPT".to_owned()));
}

/// The beginning of an answer that would go on.
const TRICKLE: &[u8] = b"*200\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n\
    :1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n";

#[test]
fn an_answer_that_trickles_is_given_up_in_time() {
    let url = answering(TRICKLE, Duration::from_millis(20), 1);
    // Long enough for the probe on a busy machine, and far shorter than the answer.
    let conversation = Conversation::start(&url, Duration::from_millis(500));
    conversation.expect(Event::Up);
    let started = Instant::now();
    assert_eq!(conversation.ask(&call()), Err(StoreError::Timeout));
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
    conversation.expect(Event::Down("redis did not answer in time".to_owned()));
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
    let address = Address::parse(&server.url()).unwrap();
    let config = ClientConfig { zone: "z".to_owned(), address, timeout: PATIENCE, clock };
    let (client, runner) = Client::new(config);
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
