//! The scripts, and calls of them in Redis's protocol.

use std::io::Write as _;
use std::sync::LazyLock;

use redis::{FromRedisValue as _, Value};

use crate::rate_limit::key::FleetKey;
use crate::rate_limit::rate::Unit;

/// One of the two scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// Check and charge the rates of one request.
    Exact,
    /// Add what was counted elsewhere.
    Batch,
}

const EXACT: &str = concat!(include_str!("windows.lua"), include_str!("exact.lua"));
const BATCH: &str = concat!(include_str!("windows.lua"), include_str!("batch.lua"));

static EXACT_SCRIPT: LazyLock<redis::Script> = LazyLock::new(|| redis::Script::new(EXACT));
static BATCH_SCRIPT: LazyLock<redis::Script> = LazyLock::new(|| redis::Script::new(BATCH));

impl Script {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Exact, Self::Batch];

    fn hash(self) -> &'static str {
        match self {
            Self::Exact => EXACT_SCRIPT.get_hash(),
            Self::Batch => BATCH_SCRIPT.get_hash(),
        }
    }

    /// `SCRIPT LOAD`
    pub(super) fn load(self) -> redis::Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(match self {
            Self::Exact => EXACT,
            Self::Batch => BATCH,
        });
        command
    }

    /// A call with so many counters and arguments, which are to be written next, counters first.
    pub(super) fn call(self, counters: usize, arguments: usize) -> CallWriter {
        let words = 3 + counters + arguments;
        let mut writer = CallWriter(Vec::with_capacity(64 + 80 * counters + 12 * arguments));
        writer.line(b'*', words as u64);
        writer.word(b"EVALSHA");
        writer.word(self.hash().as_bytes());
        writer.number(counters as u64);
        writer
    }
}

/// One script call, ready to be sent.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) packed: Vec<u8>,
}

/// Writes a call in Redis's protocol, without a piece of memory for every word.
///
/// Source: Redis serialization protocol specification, "Sending commands to a Redis server".
pub(super) struct CallWriter(Vec<u8>);

impl CallWriter {
    /// An argument.
    pub(super) fn word(&mut self, word: &[u8]) {
        self.line(b'$', word.len() as u64);
        self.0.extend_from_slice(word);
        self.0.extend_from_slice(b"\r\n");
    }

    /// An argument in decimal digits.
    pub(super) fn number(&mut self, number: u64) {
        self.line(b'$', number.checked_ilog10().map_or(1, |digits| u64::from(digits) + 1));
        self.digits(number);
        self.0.extend_from_slice(b"\r\n");
    }

    /// A counter's name. All counters of a zone are in one hash slot, because a request may need any of them together.
    pub(super) fn counter(&mut self, zone: &str, FleetKey(key): FleetKey, unit: Unit) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        let symbol = unit.symbol().as_bytes();
        let length = COUNTER_PREFIX.len() + zone.len() + 3 + 2 * key.len() + symbol.len();
        self.line(b'$', length as u64);
        self.0.extend_from_slice(COUNTER_PREFIX);
        self.0.extend_from_slice(zone.as_bytes());
        self.0.extend_from_slice(b"}:");
        self.0.extend(key.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
        self.0.push(b':');
        self.0.extend_from_slice(symbol);
        self.0.extend_from_slice(b"\r\n");
    }

    /// The call, once every word is there.
    pub(super) fn finish(self) -> Call {
        Call { packed: self.0 }
    }

    fn line(&mut self, kind: u8, number: u64) {
        self.0.push(kind);
        self.digits(number);
        self.0.extend_from_slice(b"\r\n");
    }

    fn digits(&mut self, number: u64) {
        let _ = write!(self.0, "{number}");
    }
}

const COUNTER_PREFIX: &[u8] = b"{apigate:";

/// The numbers that a script answered.
pub type Numbers = Vec<i64>;

/// The numbers of an answer; `None` for an answer of another shape.
pub(super) fn read_numbers(value: Value) -> Option<Numbers> {
    Numbers::from_redis_value(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_written_in_the_protocol_of_redis() {
        let mut writer = Script::Batch.call(1, 3);
        writer.counter("api", FleetKey([0xab; 16]), Unit::Month);
        writer.word(b"M");
        writer.number(0);
        writer.number(1_000);
        let name = format!("{{apigate:api}}:{}:M", "ab".repeat(16));
        let mut expected = redis::cmd("EVALSHA");
        expected.arg(Script::Batch.hash()).arg(1).arg(name).arg("M").arg(0).arg(1_000);
        let written = String::from_utf8(writer.finish().packed).unwrap();
        assert_eq!(written, String::from_utf8(expected.get_packed_command()).unwrap());
    }
}
