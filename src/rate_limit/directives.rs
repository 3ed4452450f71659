//! The directives of rate limits, except `rate_limit_zone`.

use std::borrow::Cow;

use super::key::{CounterId, KeyTemplate};
use super::plan::{Cost, LimitPlan, MAX_COST, RateLimitPlan};
use super::policy::Counting;
use super::rate::Rate;
use super::window::WindowKind;
use super::zone::ZonePlan;
use crate::directive::{
    Context, Directive, DirectiveError, Parameter, Place, Takes, Words, parse_integer,
    parse_refusal_status,
};

/// The room's directives of one level.
#[derive(Clone, Debug, Default)]
pub struct RateLimitDirectives {
    limits: Option<Limits>,
    status: Option<u16>,
    message: Option<String>,
    headers: Option<bool>,
}

#[derive(Clone, Debug)]
enum Limits {
    Off,
    List(Vec<Limit>),
}

#[derive(Clone, Debug)]
struct Limit {
    rates: Vec<Rate>,
    zone: String,
    key: KeyTemplate,
    window: WindowKind,
    name: Option<String>,
    cost: Cost,
    counting: Counting,
    dry_run: bool,
    place: Place,
    scope: Option<Box<str>>,
}

impl RateLimitDirectives {
    /// Tells the level what to call itself in the identity of its counters: the block's text, the same on every node and
    /// over reloads, such as `server api.example.com location /v1/`. To be called before [`merge`](Self::merge).
    pub fn set_scope(&mut self, scope: &str) {
        if let Some(Limits::List(limits)) = &mut self.limits {
            for limit in limits {
                limit.scope.get_or_insert_with(|| scope.into());
            }
        }
    }

    /// Takes from the level above what this one does not write.
    pub fn merge(&mut self, outer: &Self) {
        if self.limits.is_none() {
            self.limits.clone_from(&outer.limits);
        }
        self.status = self.status.or(outer.status);
        if self.message.is_none() {
            self.message.clone_from(&outer.message);
        }
        self.headers = self.headers.or(outer.headers);
    }

    /// The plan of a level that has limits, or an error at the directive whose zone is not among `zones`.
    pub fn compile(&self, zones: &[ZonePlan]) -> Result<Option<RateLimitPlan>, DirectiveError> {
        let Some(Limits::List(written)) = &self.limits else { return Ok(None) };
        let mut limits = Vec::with_capacity(written.len());
        for (ordinal, limit) in written.iter().enumerate() {
            let zone = ZonePlan::find(zones, &limit.zone, &limit.place)?;
            limits.push(limit.compile(ordinal, zone, zones));
        }
        let message = match &self.message {
            Some(message) => Cow::Owned(message.clone()),
            None => Cow::Borrowed("API rate limit exceeded"),
        };
        let (status, headers) = (self.status.unwrap_or(429), self.headers.unwrap_or(true));
        RateLimitPlan::new(limits, zones, status, message, headers).map(Some)
    }
}

impl Limit {
    fn compile(&self, ordinal: usize, zone: usize, zones: &[ZonePlan]) -> LimitPlan {
        let counter = match (&self.name, &self.scope) {
            (Some(name), _) => CounterId::named(name),
            (None, Some(scope)) => CounterId::placed(scope, ordinal),
            (None, None) => {
                CounterId::placed(&format!("{}:{}", self.place.file, self.place.line), 0)
            }
        };
        let store = zones.get(zone).and_then(|zone| zone.store.as_ref());
        let nodes = store.map_or(1, |store| store.nodes);
        LimitPlan {
            zone,
            counter,
            key: self.key.clone(),
            local_rates: self.rates.iter().map(|rate| rate.share(nodes)).collect(),
            rates: self.rates.clone(),
            window: self.window,
            cost: self.cost.clone(),
            counting: self.counting,
            dry_run: self.dry_run,
            place: self.place.clone(),
        }
    }
}

/// `rate_limit`
#[derive(Debug)]
pub struct RateLimit;

impl Directive for RateLimit {
    type Settings = RateLimitDirectives;
    const NAME: &'static str = "rate_limit";
    const SYNTAX: &'static str = "RATE... zone=NAME [by=KEY] [window=fixed|sliding] [name=LABEL] \
                                  [cost=N|$VAR] [count=all|allowed] [dry_run] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut Self::Settings) -> Result<(), DirectiveError> {
        if words.is_off()? {
            return words.set_once(&mut level.limits, Limits::Off);
        }
        let limit = parse_limit(words)?;
        match level.limits.get_or_insert_with(|| Limits::List(Vec::new())) {
            Limits::List(limits) => limits.push(limit),
            Limits::Off => return Err(words.duplicate()),
        }
        Ok(())
    }
}

fn parse_limit(words: &Words<'_>) -> Result<Limit, DirectiveError> {
    let mut rates = Vec::new();
    let (mut zone, mut key, mut window, mut name) = (None, None, None, None);
    let (mut cost, mut counting, mut dry_run) = (None, None, None);
    for parameter in words.parameters(0) {
        match parameter.name {
            "zone" => parameter.set_once(&mut zone, parameter.text()?.to_owned())?,
            "by" => parameter.set_once(&mut key, parameter.parsed(KeyTemplate::parse)?)?,
            "window" => parameter.set_once(&mut window, parameter.parsed(parse_window)?)?,
            "name" => parameter.set_once(&mut name, parameter.text()?.to_owned())?,
            "cost" => parameter.set_once(&mut cost, parameter.parsed(parse_cost)?)?,
            "count" => parameter.set_once(&mut counting, parameter.parsed(parse_counting)?)?,
            "dry_run" => {
                parameter.bare()?;
                parameter.set_once(&mut dry_run, true)?;
            }
            _ if parameter.value.is_some() => return Err(parameter.invalid()),
            _ => rates.push(parse_rate(&parameter, &rates)?),
        }
    }
    if rates.is_empty() {
        return Err(DirectiveError::new(format!("no rate in \"{}\" directive", words.name())));
    }
    Ok(Limit {
        rates,
        zone: zone.ok_or_else(|| words.missing("zone"))?,
        key: key.unwrap_or(KeyTemplate::Consumer),
        window: window.unwrap_or_default(),
        name,
        cost: cost.unwrap_or(Cost::Fixed(1)),
        counting: counting.unwrap_or_default(),
        dry_run: dry_run.unwrap_or(false),
        place: words.place().clone(),
        scope: None,
    })
}

/// The next rate of a directive, which must fit the ones before it.
fn parse_rate(parameter: &Parameter<'_>, before: &[Rate]) -> Result<Rate, DirectiveError> {
    let word = parameter.word;
    let rate =
        Rate::parse(word).ok_or_else(|| DirectiveError::new(format!("invalid rate \"{word}\"")))?;
    for other in before {
        if other.unit == rate.unit {
            return Err(DirectiveError::new(format!("duplicate unit in rate \"{word}\"")));
        }
        let (shorter, longer) =
            if other.unit < rate.unit { (*other, rate) } else { (rate, *other) };
        if longer.limit < shorter.limit {
            return Err(DirectiveError::new(format!(
                "rate \"{}r/{}\" allows less than \"{}r/{}\"",
                longer.limit,
                longer.unit.symbol(),
                shorter.limit,
                shorter.unit.symbol()
            )));
        }
    }
    Ok(rate)
}

fn parse_window(text: &str) -> Option<WindowKind> {
    match text {
        "fixed" => Some(WindowKind::Fixed),
        "sliding" => Some(WindowKind::Sliding),
        _ => None,
    }
}

fn parse_counting(text: &str) -> Option<Counting> {
    match text {
        "allowed" => Some(Counting::Allowed),
        "all" => Some(Counting::All),
        _ => None,
    }
}

fn parse_cost(text: &str) -> Option<Cost> {
    if text.contains('$') {
        return Some(Cost::Variable(text.to_owned()));
    }
    parse_integer(text).filter(|cost| (1..=MAX_COST).contains(cost)).map(Cost::Fixed)
}

/// `rate_limit_status`
#[derive(Debug)]
pub struct RateLimitStatus;

impl Directive for RateLimitStatus {
    type Settings = RateLimitDirectives;
    const NAME: &'static str = "rate_limit_status";
    const SYNTAX: &'static str = "CODE";
    const DEFAULT: &'static str = "429";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::One;

    fn parse(words: &Words<'_>, level: &mut Self::Settings) -> Result<(), DirectiveError> {
        let code = words.first()?;
        let status = parse_refusal_status(code);
        words.set_once(&mut level.status, status.ok_or_else(|| words.invalid(code))?)
    }
}

/// `rate_limit_message`
#[derive(Debug)]
pub struct RateLimitMessage;

impl Directive for RateLimitMessage {
    type Settings = RateLimitDirectives;
    const NAME: &'static str = "rate_limit_message";
    const SYNTAX: &'static str = "TEXT";
    const DEFAULT: &'static str = "\"API rate limit exceeded\"";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::One;

    fn parse(words: &Words<'_>, level: &mut Self::Settings) -> Result<(), DirectiveError> {
        words.set_once(&mut level.message, words.first()?.to_owned())
    }
}

/// `rate_limit_headers`
#[derive(Debug)]
pub struct RateLimitHeaders;

impl Directive for RateLimitHeaders {
    type Settings = RateLimitDirectives;
    const NAME: &'static str = "rate_limit_headers";
    const SYNTAX: &'static str = "on | off";
    const DEFAULT: &'static str = "on";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::One;

    fn parse(words: &Words<'_>, level: &mut Self::Settings) -> Result<(), DirectiveError> {
        words.set_once(&mut level.headers, words.flag()?)
    }
}

#[cfg(test)]
mod tests;
