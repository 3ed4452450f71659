//! The scripts, and calls of them in Redis's protocol.

use std::sync::LazyLock;

use redis::Value;
use smallvec::SmallVec;

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

    /// Begins a call with so many counters and arguments, which are to be written next, counters first.
    pub(super) fn call<'a>(
        self,
        call: &'a mut Call,
        counters: usize,
        arguments: usize,
    ) -> CallWriter<'a> {
        call.packed.clear();
        call.numbers = match self {
            Self::Exact => 1 + 4 * counters,
            Self::Batch => 3 * counters,
        };
        let words = 3 + counters + arguments;
        let mut writer = CallWriter(&mut call.packed);
        writer.line(b'*', words as u64);
        writer.word(b"EVALSHA");
        writer.word(self.hash().as_bytes());
        writer.number(counters as u64);
        writer
    }
}

/// One script call, ready to be sent; its memory is there to be used again for the next.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub(super) packed: Vec<u8>,
    /// How many numbers its answer has.
    pub(super) numbers: usize,
}

/// Writes a call in Redis's protocol, without a piece of memory for every word.
///
/// Source: Redis serialization protocol specification, "Sending commands to a Redis server".
pub(super) struct CallWriter<'a>(&'a mut Vec<u8>);

impl CallWriter<'_> {
    /// An argument.
    pub(super) fn word(&mut self, word: &[u8]) {
        self.line(b'$', word.len() as u64);
        self.0.extend_from_slice(word);
        self.0.extend_from_slice(b"\r\n");
    }

    /// An argument in decimal digits.
    pub(super) fn number(&mut self, number: u64) {
        match number {
            // Most of them.
            0..=9 => self.0.extend_from_slice(&[
                b'$',
                b'1',
                b'\r',
                b'\n',
                b'0' + number as u8,
                b'\r',
                b'\n',
            ]),
            _ => self.word(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    /// A counter's name. All counters of a zone are in one hash slot; a request may need those of several zones together, though.
    pub(super) fn counter(&mut self, zone: &str, key: &HexKey, unit: Unit) {
        let symbol = unit.symbol().as_bytes();
        let length = COUNTER_PREFIX.len() + zone.len() + 3 + key.0.len() + symbol.len();
        self.line(b'$', length as u64);
        for part in [COUNTER_PREFIX, zone.as_bytes(), b"}:", &key.0, b":", symbol, b"\r\n"] {
            self.0.extend_from_slice(part);
        }
    }

    fn line(&mut self, kind: u8, number: u64) {
        self.0.push(kind);
        self.0.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.0.extend_from_slice(b"\r\n");
    }
}

/// A counter's key as it is written, once for all of its units.
pub(super) struct HexKey([u8; 32]);

impl HexKey {
    pub(super) fn of(FleetKey(key): FleetKey) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        let mut hex = [0; 32];
        for ([high, low], byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(key) {
            (*high, *low) = (digit(byte >> 4), digit(byte & 15));
        }
        Self(hex)
    }
}

const COUNTER_PREFIX: &[u8] = b"{apigate:";

/// The numbers that a script answered; those for two rates take no memory of their own.
pub type Numbers = SmallVec<[i64; 9]>;

/// So many numbers of an answer; `None` for an answer of another shape.
pub(super) fn read_numbers(value: &Value, count: usize) -> Option<Numbers> {
    let Value::Array(values) = value else { return None };
    if values.len() != count {
        return None;
    }
    values
        .iter()
        .map(|value| if let Value::Int(number) = value { Some(*number) } else { None })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_written_in_the_protocol_of_redis() {
        let mut call = Call::default();
        for _ in 0..2 {
            let mut writer = Script::Batch.call(&mut call, 1, 5);
            writer.counter("api", &HexKey::of(FleetKey([0xab; 16])), Unit::Month);
            writer.word(b"M");
            for number in [0, 9, 10, u64::MAX] {
                writer.number(number);
            }
        }
        let name = format!("{{apigate:api}}:{}:M", "ab".repeat(16));
        let mut expected = redis::cmd("EVALSHA");
        expected.arg(Script::Batch.hash()).arg(1).arg(name).arg("M");
        expected.arg(0).arg(9).arg(10).arg(u64::MAX);
        let written = String::from_utf8(call.packed).unwrap();
        assert_eq!(written, String::from_utf8(expected.get_packed_command()).unwrap());
    }
}
