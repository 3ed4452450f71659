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

    /// The call with these counters and arguments.
    pub(super) fn call(self, keys: &[String], arguments: &[String]) -> Call {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.hash()).arg(keys.len()).arg(keys).arg(arguments);
        Call { packed: command.get_packed_command() }
    }
}

/// One script call, ready to be sent.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) packed: Vec<u8>,
}

/// The numbers that a script answered.
pub type Numbers = Vec<i64>;

/// The numbers of an answer; `None` for an answer of another shape.
pub(super) fn read_numbers(value: Value) -> Option<Numbers> {
    Numbers::from_redis_value(value).ok()
}

/// The name of a counter. All counters of a zone are in one hash slot, because a request may need any of them together.
pub(super) fn counter_name(zone: &str, FleetKey(key): FleetKey, unit: Unit) -> String {
    let mut name = format!("{{apigate:{zone}}}:").into_bytes();
    for byte in key {
        let _ = write!(name, "{byte:02x}");
    }
    let mut name = String::from_utf8(name).unwrap_or_default();
    name.push(':');
    name.push_str(unit.symbol());
    name
}
