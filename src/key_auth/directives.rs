//! `key_auth` and `key_auth_failures`: words to settings, settings to a plan.

use crate::consumers::ConsumerSet;
use crate::directive::{
    Context, Directive, DirectiveError, Parameter, Place, Takes, Words, parse_refusal_status,
};
use crate::request::HeaderName;

use super::arguments::ArgumentName;

/// What one level says of authentication.
#[derive(Clone, Debug, Default)]
pub struct KeyAuthDirectives {
    /// `None` when the level has no `key_auth`, `Some(None)` for `off`
    key_auth: Option<Option<Settings>>,
    /// `None` when the level has no `key_auth_failures`, empty for `off`
    failures: Option<Vec<FailureSettings>>,
    /// True when `failures` are another level's
    failures_are_inherited: bool,
}

/// A `key_auth` as written.
#[derive(Clone, Debug)]
struct Settings {
    set: String,
    places: Vec<KeyPlace>,
    scheme: Option<String>,
    hide: Option<bool>,
    preflight: Option<bool>,
    anonymous: Option<String>,
    realm: Option<String>,
    place: Place,
}

/// A `key_auth_failures` as written.
#[derive(Clone, Debug)]
struct FailureSettings {
    rate: String,
    zone: String,
    status: u16,
    place: Place,
    scope: Option<Box<str>>,
}

/// Where a key may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// a header
    Header(HeaderName),
    /// an argument of the query
    Query(ArgumentName),
    /// a cookie
    Cookie(Box<[u8]>),
    /// a field of the body
    Body(ArgumentName),
}

/// `key_auth` in force at a location.
#[derive(Clone, Debug)]
pub struct KeyAuthPlan {
    /// The number that the lookup of sets gave for its set.
    pub set: usize,
    /// The value of `WWW-Authenticate`.
    pub challenge: Box<str>,
    /// True when the key goes no further.
    pub hide: bool,
    /// True when CORS preflights need a key as well.
    pub preflight: bool,
    /// The consumer as whom a request without a good key goes on.
    pub anonymous: Option<Box<str>>,
    pub(super) scheme: Option<Box<str>>,
    pub(super) headers: Box<[HeaderName]>,
    pub(super) arguments: Box<[ArgumentName]>,
    pub(super) cookies: Box<[Box<[u8]>]>,
    pub(super) fields: Box<[ArgumentName]>,
    pub(super) cookie_header: Option<HeaderName>,
    pub(super) preflight_headers: Option<[HeaderName; 2]>,
    place: Place,
}

impl KeyAuthPlan {
    /// Where the directive stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The names of arguments that hold keys: what [`super::hide`] takes out and [`super::mask`] blanks out.
    pub fn query_names(&self) -> &[ArgumentName] {
        &self.arguments
    }

    /// The names of cookies that hold keys.
    pub fn cookie_names(&self) -> &[Box<[u8]>] {
        &self.cookies
    }

    /// The names of fields of the body that hold keys.
    pub fn body_names(&self) -> &[ArgumentName] {
        &self.fields
    }

    /// True for a header line that holds a key and that `hide` takes off.
    pub fn is_key_header(&self, header: &crate::request::Header<'_>) -> bool {
        self.headers.iter().any(|name| name.matches(header))
            && !super::places::header_key(header.value, self.scheme.as_deref()).is_empty()
    }

    /// Whether a key may be in a body that [`BodyKind::of`] knows, which must then be read before a decision.
    pub fn reads_body(&self) -> bool {
        !self.fields.is_empty()
    }
}

/// `key_auth_failures` in force at a location. `R` is the rate, parsed by whoever counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureLimit<R> {
    /// How many failures are let be.
    pub rate: R,
    /// The zone that counts them.
    pub zone: Box<str>,
    /// The status in place of 401.
    pub status: u16,
    /// Where the directive stands.
    pub place: Place,
    /// What the level that has the directive calls itself.
    pub scope: Box<str>,
}

impl KeyAuthDirectives {
    /// Tells the level what to call itself in the identity of its counters. To be called before [`merge`](Self::merge).
    pub fn set_scope(&mut self, scope: &str) {
        for written in self.failures.iter_mut().flatten() {
            written.scope.get_or_insert_with(|| scope.into());
        }
    }

    /// Takes over from the level above what this one does not say.
    pub fn merge(&mut self, outer: &Self) {
        if self.key_auth.is_none() {
            self.key_auth.clone_from(&outer.key_auth);
        }
        if self.failures.is_none() {
            self.failures.clone_from(&outer.failures);
            self.failures_are_inherited = true;
        }
    }

    /// The plan; `None` when there is no `key_auth` in force. `find` gives a consumer set and its number by name.
    ///
    /// Errors: no such set, and no such consumer for `anonymous=`.
    pub fn compile<'s>(
        &self,
        find: impl FnOnce(&str) -> Option<(usize, &'s ConsumerSet)>,
    ) -> Result<Option<KeyAuthPlan>, DirectiveError> {
        let Some(Some(settings)) = &self.key_auth else { return Ok(None) };
        let (number, set) = find(&settings.set).ok_or_else(|| {
            let message = format!("unknown consumer set \"{}\" in \"key_auth\"", settings.set);
            DirectiveError::new(message).at(&settings.place)
        })?;
        if let Some(name) = settings.anonymous.as_deref().filter(|it| set.by_username(it).is_none())
        {
            let message = format!("unknown consumer \"{name}\" in consumer set \"{}\"", set.name());
            return Err(DirectiveError::new(message).at(&settings.place));
        }
        Ok(Some(settings.plan(number)))
    }

    /// An error when a location has limits of failures of its own and nothing that could fail. On other levels they may stand
    /// for the locations that have.
    pub fn check_failures(&self) -> Result<(), DirectiveError> {
        let own = self.failures.as_ref().filter(|_| !self.failures_are_inherited);
        match (own.and_then(|own| own.first()), &self.key_auth) {
            (Some(_), Some(Some(_))) | (None, _) => Ok(()),
            (Some(written), _) => {
                let message = "\"key_auth_failures\" requires \"key_auth\"";
                Err(DirectiveError::new(message).at(&written.place))
            }
        }
    }

    /// The limits of failures in force. `parse` reads a rate; a zone's name is for the caller to look up.
    ///
    /// Errors: a rate that `parse` cannot read.
    pub fn compile_failures<R>(
        &self,
        parse: impl Fn(&str) -> Option<R>,
    ) -> Result<Vec<FailureLimit<R>>, DirectiveError> {
        let limit = |written: &FailureSettings| {
            let rate = parse(&written.rate).ok_or_else(|| {
                let message = format!("invalid rate \"{}\" in \"key_auth_failures\"", written.rate);
                DirectiveError::new(message).at(&written.place)
            })?;
            let (zone, place) = (written.zone.as_str().into(), written.place.clone());
            let scope = written.scope.clone().unwrap_or_default();
            Ok(FailureLimit { rate, zone, status: written.status, place, scope })
        };
        self.failures.iter().flatten().map(limit).collect()
    }
}

impl Settings {
    fn plan(&self, set: usize) -> KeyAuthPlan {
        let (mut headers, mut arguments) = (Vec::new(), Vec::new());
        let (mut cookies, mut fields) = (Vec::new(), Vec::new());
        for place in self.places.iter().cloned() {
            match place {
                KeyPlace::Header(name) => headers.push(name),
                KeyPlace::Query(name) => arguments.push(name),
                KeyPlace::Cookie(name) => cookies.push(name),
                KeyPlace::Body(name) => fields.push(name),
            }
        }
        if self.places.is_empty() {
            headers.extend(HeaderName::parse("x-api-key"));
        }
        let preflight_headers =
            HeaderName::parse("origin").zip(HeaderName::parse("access-control-request-method"));
        KeyAuthPlan {
            set,
            challenge: self.challenge().into(),
            hide: self.hide.unwrap_or(true),
            preflight: self.preflight.unwrap_or(false),
            anonymous: self.anonymous.as_deref().map(Into::into),
            scheme: self.scheme.as_deref().map(Into::into),
            headers: headers.into(),
            arguments: arguments.into(),
            cookies: cookies.into(),
            fields: fields.into(),
            cookie_header: HeaderName::parse("cookie"),
            preflight_headers: preflight_headers.map(|(origin, method)| [origin, method]),
            place: self.place.clone(),
        }
    }

    /// Source: RFC 9110 section 11.6.1; the scheme `Key` is Kong's.
    fn challenge(&self) -> String {
        let scheme = self.scheme.as_deref().unwrap_or("Key");
        match &self.realm {
            None => scheme.to_owned(),
            Some(realm) => {
                let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
                format!("{scheme} realm=\"{realm}\"")
            }
        }
    }
}

/// `key_auth SET [parameters]`, `key_auth off`
#[derive(Debug)]
pub struct KeyAuth;

impl Directive for KeyAuth {
    type Settings = KeyAuthDirectives;
    const NAME: &'static str = "key_auth";
    const SYNTAX: &'static str = "SET [header=NAME]... [query=NAME]... [cookie=NAME]... [body=NAME]... \
        [scheme=WORD] [hide=on|off] [preflight=on|off] [anonymous=USERNAME] [realm=TEXT] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut KeyAuthDirectives) -> Result<(), DirectiveError> {
        if words.is_off()? {
            return words.set_once(&mut level.key_auth, None);
        }
        let mut settings = Settings {
            set: words.first()?.to_owned(),
            places: Vec::new(),
            scheme: None,
            hide: None,
            preflight: None,
            anonymous: None,
            realm: None,
            place: words.place().clone(),
        };
        for parameter in words.parameters(1) {
            settings.read(&parameter)?;
        }
        let has_header = settings.places.iter().any(|it| matches!(it, KeyPlace::Header(_)));
        if settings.scheme.is_some() && !has_header {
            return Err(DirectiveError::new("\"scheme\" requires a \"header\" parameter"));
        }
        words.set_once(&mut level.key_auth, Some(settings))
    }
}

impl Settings {
    fn read(&mut self, parameter: &Parameter<'_>) -> Result<(), DirectiveError> {
        match parameter.name {
            "header" => {
                let name = parameter.parsed(HeaderName::parse)?;
                self.add(parameter, KeyPlace::Header(name))
            }
            "query" => {
                let name = parameter.parsed(ArgumentName::new)?;
                self.add(parameter, KeyPlace::Query(name))
            }
            "cookie" => {
                parameter.parsed(HeaderName::parse)?;
                self.add(parameter, KeyPlace::Cookie(parameter.text()?.as_bytes().into()))
            }
            "body" => {
                let name = parameter.parsed(ArgumentName::new)?;
                self.add(parameter, KeyPlace::Body(name))
            }
            "scheme" => {
                parameter.parsed(HeaderName::parse)?;
                parameter.set_once(&mut self.scheme, parameter.text()?.to_owned())
            }
            "hide" => parameter.set_once(&mut self.hide, parameter.flag()?),
            "preflight" => parameter.set_once(&mut self.preflight, parameter.flag()?),
            "anonymous" => parameter.set_once(&mut self.anonymous, parameter.text()?.to_owned()),
            "realm" if !parameter.text()?.contains(|it: char| it.is_control()) => {
                parameter.set_once(&mut self.realm, parameter.text()?.to_owned())
            }
            _ => Err(parameter.invalid()),
        }
    }

    fn add(&mut self, parameter: &Parameter<'_>, place: KeyPlace) -> Result<(), DirectiveError> {
        if self.places.contains(&place) {
            return Err(parameter.duplicate());
        }
        self.places.push(place);
        Ok(())
    }
}

/// `key_auth_failures RATE zone=NAME [status=CODE]`, `key_auth_failures off`
#[derive(Debug)]
pub struct KeyAuthFailures;

impl Directive for KeyAuthFailures {
    type Settings = KeyAuthDirectives;
    const NAME: &'static str = "key_auth_failures";
    const SYNTAX: &'static str = "RATE zone=NAME [status=CODE] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut KeyAuthDirectives) -> Result<(), DirectiveError> {
        const TOO_MANY_REQUESTS: u16 = 429;
        if words.is_off()? {
            return words.set_once(&mut level.failures, Vec::new());
        }
        if level.failures.as_ref().is_some_and(Vec::is_empty) {
            return Err(words.duplicate());
        }
        let rate = words.first()?.to_owned();
        if rate.contains('=') {
            return Err(DirectiveError::new(format!("no rate in \"{}\" directive", words.name())));
        }
        let (mut zone, mut status) = (None, None);
        for parameter in words.parameters(1) {
            match parameter.name {
                "zone" => parameter.set_once(&mut zone, parameter.text()?.to_owned())?,
                "status" => {
                    let code = parameter.parsed(parse_refusal_status)?;
                    parameter.set_once(&mut status, code)?;
                }
                _ => return Err(parameter.invalid()),
            }
        }
        level.failures.get_or_insert_default().push(FailureSettings {
            rate,
            zone: zone.ok_or_else(|| words.missing("zone"))?,
            status: status.unwrap_or(TOO_MANY_REQUESTS),
            place: words.place().clone(),
            scope: None,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
