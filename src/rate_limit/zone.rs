//! `rate_limit_zone`: memory for counters, and the store that a fleet shares.

use std::fmt;
use std::time::Duration;

use super::fleet::Address;
use super::table::MIN_ZONE_BYTES;
use crate::directive::{
    Context, Directive, DirectiveError, Place, Takes, Words, parse_integer, parse_size, parse_time,
};

const DEFAULT_TIMEOUT: Duration = Duration::from_millis(50);
const MAX_NODES: u64 = 10_000;
/// More than any machine has, and far from where sizes overflow.
const MAX_ZONE_BYTES: u64 = 1 << 46;

/// The zones of `http`.
#[derive(Clone, Debug, Default)]
pub struct RateLimitZones {
    zones: Vec<ZonePlan>,
}

impl RateLimitZones {
    /// In the order declared; a zone's number is its position.
    pub fn zones(&self) -> &[ZonePlan] {
        &self.zones
    }
}

/// One `rate_limit_zone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZonePlan {
    /// Its name.
    pub name: String,
    /// Its size in bytes, at least [`MIN_ZONE_BYTES`].
    pub size: u64,
    /// The store of the fleet; `None` when counters are this host's.
    pub store: Option<StorePlan>,
    /// Where it is declared.
    pub place: Place,
}

/// The Redis of a zone.
#[derive(Clone, PartialEq, Eq)]
pub struct StorePlan {
    /// With user and password: not for logs.
    pub address: Address,
    /// How the fleet is counted.
    pub sync: Sync,
    /// How long a request waits for the store.
    pub timeout: Duration,
    /// What becomes of requests without the store.
    pub on_error: OnError,
    /// How many hosts share the limit.
    pub nodes: u64,
}

impl fmt::Debug for StorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorePlan")
            .field("sync", &self.sync)
            .field("timeout", &self.timeout)
            .field("on_error", &self.on_error)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// `sync=`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// One script call a request.
    Exact,
    /// Local counting; what was counted is exchanged each so often.
    Each(Duration),
}

/// `on_error=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Count locally, with the limit divided by the number of nodes.
    #[default]
    Local,
    /// Let everything through.
    Allow,
    /// Refuse everything with 503.
    Deny,
}

impl ZonePlan {
    /// The number of the zone with this name, or an error that names it and the directive that wants it.
    pub fn find(zones: &[Self], name: &str, place: &Place) -> Result<usize, DirectiveError> {
        zones.iter().position(|zone| zone.name == name).ok_or_else(|| {
            DirectiveError::new(format!("unknown rate_limit_zone \"{name}\"")).at(place)
        })
    }
}

/// `rate_limit_zone`
#[derive(Debug)]
pub struct RateLimitZone;

impl Directive for RateLimitZone {
    type Settings = RateLimitZones;
    const NAME: &'static str = "rate_limit_zone";
    const SYNTAX: &'static str =
        "NAME:SIZE [redis=URL [sync=TIME|0] [timeout=TIME] [on_error=local|allow|deny] [nodes=N]]";
    const DEFAULT: &'static str = "";
    const CONTEXT: Context = Context::HTTP;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut Self::Settings) -> Result<(), DirectiveError> {
        let zone = parse_zone(words, &level.zones)
            .map_err(|error| DirectiveError::new(without_secrets(&error.to_string())))?;
        level.zones.push(zone);
        Ok(())
    }
}

fn parse_zone(words: &Words<'_>, before: &[ZonePlan]) -> Result<ZonePlan, DirectiveError> {
    let first = words.first()?;
    let (name, size) = first
        .rsplit_once(':')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| DirectiveError::new(format!("invalid zone \"{first}\"")))?;
    let size = parse_size(size)
        .filter(|size| *size <= MAX_ZONE_BYTES)
        .ok_or_else(|| DirectiveError::new(format!("invalid zone size \"{first}\"")))?;
    if size < MIN_ZONE_BYTES {
        return Err(DirectiveError::new(format!("zone \"{name}\" is too small")));
    }
    if before.iter().any(|zone| zone.name == name) {
        return Err(DirectiveError::new(format!("zone \"{name}\" is already declared")));
    }
    let store = parse_store(words)?;
    let place = words.place().clone();
    Ok(ZonePlan { name: name.to_owned(), size, store, place })
}

/// An error's text without what stands in it between `://` and `@`, or behind the `pass=` of a URL: a `redis=` that is misspelt or
/// forgotten has its password still.
fn without_secrets(text: &str) -> String {
    let hide = |text: &str, mark: &str, end: char| {
        let (before, rest) = text.split_once(mark)?;
        let (_, after) = rest.rsplit_once(end)?;
        Some(format!("{before}{mark}***{end}{after}"))
    };
    let text = hide(text, "://", '@').unwrap_or_else(|| text.to_owned());
    hide(&text, "pass=", '"').unwrap_or(text)
}

fn parse_store(words: &Words<'_>) -> Result<Option<StorePlan>, DirectiveError> {
    let (mut address, mut sync, mut timeout, mut on_error, mut nodes) =
        (None, None, None, None, None);
    for parameter in words.parameters(1) {
        match parameter.name {
            "redis" => {
                let url = parameter.value.and_then(Address::parse);
                // The URL is not in the error, because it may hold a password.
                let invalid = || DirectiveError::new("invalid URL in \"redis\" parameter");
                if address.replace(url.ok_or_else(invalid)?).is_some() {
                    return Err(DirectiveError::new("duplicate parameter \"redis\""));
                }
            }
            "sync" => parameter.set_once(&mut sync, parameter.parsed(parse_sync)?)?,
            "timeout" => {
                let positive = |text: &str| parse_time(text).filter(|time| !time.is_zero());
                parameter.set_once(&mut timeout, parameter.parsed(positive)?)?;
            }
            "on_error" => parameter.set_once(&mut on_error, parameter.parsed(parse_on_error)?)?,
            "nodes" => {
                let within = |text: &str| {
                    parse_integer(text).filter(|nodes| (1..=MAX_NODES).contains(nodes))
                };
                parameter.set_once(&mut nodes, parameter.parsed(within)?)?;
            }
            _ => return Err(parameter.invalid()),
        }
    }
    let Some(address) = address else {
        return match words.parameters(1).next() {
            Some(other) => {
                Err(DirectiveError::new(format!("\"{}\" requires \"redis\"", other.name)))
            }
            None => Ok(None),
        };
    };
    Ok(Some(StorePlan {
        address,
        sync: sync.unwrap_or(Sync::Exact),
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        on_error: on_error.unwrap_or_default(),
        nodes: nodes.unwrap_or(1),
    }))
}

fn parse_sync(text: &str) -> Option<Sync> {
    let time = parse_time(text)?;
    Some(if time.is_zero() { Sync::Exact } else { Sync::Each(time) })
}

fn parse_on_error(text: &str) -> Option<OnError> {
    match text {
        "local" => Some(OnError::Local),
        "allow" => Some(OnError::Allow),
        "deny" => Some(OnError::Deny),
        _ => None,
    }
}
