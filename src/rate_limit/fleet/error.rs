//! What becomes of Redis's errors.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a call was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// It was not answered in time.
    Timeout,
    /// There is no connection, or it broke.
    Away,
    /// Redis answered with an error; its code, such as `READONLY`.
    Refused(String),
}

impl StoreError {
    pub(super) fn of(error: &RedisError) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else {
            code(error).map_or(Self::Away, |code| Self::Refused(code.to_owned()))
        }
    }
}

/// The error of an answer that is none of ours: whoever sends it is no Redis, or is answering something else.
pub(super) fn unexpected() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "unexpected answer").into()
}

/// Whether nothing more can be read after this error: all but errors that Redis has answered with.
pub(super) fn is_broken(error: &RedisError) -> bool {
    error.code().is_none()
}

/// Whether Redis has forgotten the script that was called.
pub(super) fn is_forgotten(error: &RedisError) -> bool {
    error.kind() == ServerErrorKind::NoScript.into()
}

/// Whether the connection should be given up: it is broken, or the server will refuse the next call just so.
pub(super) fn is_trouble(error: &RedisError) -> bool {
    is_broken(error) || lasting(error).is_some()
}

/// The code of an error that the next call will meet too.
fn lasting(error: &RedisError) -> Option<&'static str> {
    const LASTING: [&str; 15] = [
        "READONLY",
        "NOAUTH",
        "NOPERM",
        "WRONGPASS",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "OOM",
        "NOREPLICAS",
        "BUSY",
        "NOSCRIPT",
        "CLUSTERDOWN",
        "MOVED",
        "ASK",
        "CROSSSLOT",
    ];
    /// What Redis says, before and since version 7, of a command in a script that its user may not call; the code is ERR.
    const FORBIDDEN: [&str; 2] = ["can't run this command", "has no permissions to"];
    // Before Redis 7 an error inside a script is an ERR with the code somewhere in its text.
    let is_general = error.code() == Some("ERR");
    let detail = error.detail().unwrap_or_default();
    let says = |code: &&str| {
        let mut words = detail.split_whitespace().map(|word| word.trim_start_matches('-'));
        error.code() == Some(code) || is_general && words.any(|word| word == *code)
    };
    let is_forbidden = || is_general && FORBIDDEN.into_iter().any(|text| detail.contains(text));
    LASTING.into_iter().find(says).or_else(|| is_forbidden().then_some("NOPERM"))
}

fn code(error: &RedisError) -> Option<&str> {
    if is_broken(error) { None } else { lasting(error).or(error.code()) }
}

/// The reason in few words, without what Redis says in detail and without the URL.
pub(super) fn reason(error: &RedisError) -> String {
    if let Some(code) = code(error) {
        return format!("redis answered {code}");
    }
    let text = match error.kind() {
        _ if error.is_timeout() => "redis did not answer in time",
        _ if error.is_connection_refusal() => "redis refused the connection",
        _ if error.is_connection_dropped() => "redis closed the connection",
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            "redis did not answer as a redis does"
        }
        _ => return format!("no connection to redis, {error}"),
    };
    text.to_owned()
}
