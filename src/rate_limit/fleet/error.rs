//! What becomes of Redis's errors.

use redis::RedisError;

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
        } else if is_broken(error) {
            Self::Away
        } else {
            Self::Refused(code(error).unwrap_or("ERR").to_owned())
        }
    }
}

/// Whether nothing more can be read after this error.
pub(super) fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error() || error.is_timeout()
}

/// Whether the connection should be given up: it is broken, or the server will refuse the next call just so.
pub(super) fn is_trouble(error: &RedisError) -> bool {
    is_broken(error) || lasting(error).is_some()
}

/// The code of an error that the next call will meet too.
fn lasting(error: &RedisError) -> Option<&'static str> {
    const LASTING: [&str; 8] =
        ["READONLY", "NOAUTH", "NOPERM", "WRONGPASS", "LOADING", "MASTERDOWN", "MISCONF", "OOM"];
    // Before Redis 7 an error inside a script is an ERR with the code somewhere in its text.
    let says = |code: &&str| {
        error.code() == Some(code) || error.detail().is_some_and(|detail| detail.contains(code))
    };
    LASTING.into_iter().find(says)
}

fn code(error: &RedisError) -> Option<&str> {
    lasting(error).or(error.code())
}

/// The reason in few words, without what Redis or the configuration says in detail.
pub(super) fn reason(error: &RedisError) -> String {
    match code(error) {
        Some(code) if !is_broken(error) => format!("redis answered {code}"),
        _ if error.is_timeout() => "redis did not answer in time".to_owned(),
        _ if error.is_connection_refusal() => "redis refused the connection".to_owned(),
        _ => format!("no connection to redis: {}", error.category()),
    }
}
