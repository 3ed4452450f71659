//! `cors`: words to a plan with all its texts prepared.

use super::origin::{Listed, Origins};
use crate::directive::{
    Context, Directive, DirectiveError, Parameter, Takes, Words, parse_integer,
};
use crate::request::HeaderName;
use std::sync::Arc;

const DEFAULT_METHODS: &str = "GET,HEAD,PUT,PATCH,POST,DELETE";

/// What one level says of other origins.
#[derive(Clone, Debug, Default)]
pub struct CorsDirectives {
    /// `None` when the level has no `cors`, `Some(None)` for `off`
    cors: Option<Option<Arc<CorsPlan>>>,
}

/// `cors` in force at a location.
#[derive(Clone, Debug)]
pub struct CorsPlan {
    pub(super) origins: Origins,
    /// Access-Control-Allow-Methods
    pub(super) methods: String,
    /// Access-Control-Allow-Headers; `None` for those that were asked for
    pub(super) headers: Option<String>,
    /// Access-Control-Expose-Headers
    pub(super) expose: Option<String>,
    /// Access-Control-Max-Age, in seconds
    pub(super) max_age: Option<String>,
    pub(super) credentials: bool,
    pub(super) private_network: bool,
    /// True when preflights are answered by whatever follows.
    pub(super) continues: bool,
}

impl CorsDirectives {
    /// Takes over from the level above what this one does not say.
    pub fn merge(&mut self, outer: &Self) {
        if self.cors.is_none() {
            self.cors.clone_from(&outer.cors);
        }
    }

    /// The plan; `None` when there is no `cors` in force. Everything was checked when the directive was read.
    pub fn compile(&self) -> Option<Arc<CorsPlan>> {
        self.cors.clone().flatten()
    }
}

/// `cors [origins=*|ORIGIN,...|~REGEX]... [methods=M,...] [headers=H,...] [expose=H,...] [max_age=SECONDS] [credentials]
/// [private_network] [continue]`, `cors off`
#[derive(Debug)]
pub struct Cors;

impl Directive for Cors {
    type Settings = CorsDirectives;
    const NAME: &'static str = "cors";
    const SYNTAX: &'static str = "[origins=*|ORIGIN,... | origins=~REGEX]... [methods=M,...] [headers=H,...] \
         [expose=H,...] [max_age=SECONDS] [credentials] [private_network] [continue] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::Any;

    fn parse(words: &Words<'_>, level: &mut CorsDirectives) -> Result<(), DirectiveError> {
        if words.is_off()? {
            return words.set_once(&mut level.cors, None);
        }
        let mut written = Written::default();
        for parameter in words.parameters(0) {
            written.read(parameter)?;
        }
        words.set_once(&mut level.cors, Some(Arc::new(written.into_plan()?)))
    }
}

/// The parameters of one directive.
#[derive(Default)]
struct Written {
    any: bool,
    listed: Option<Listed>,
    methods: Option<String>,
    headers: Option<String>,
    expose: Option<String>,
    max_age: Option<u64>,
    credentials: Option<()>,
    private_network: Option<()>,
    continues: Option<()>,
}

impl Written {
    fn read(&mut self, parameter: Parameter<'_>) -> Result<(), DirectiveError> {
        let flag = |slot: &mut Option<()>| {
            parameter.bare()?;
            parameter.set_once(slot, ())
        };
        match parameter.name {
            "origins" => self.read_origins(parameter),
            "methods" => {
                let methods = tokens(parameter)?;
                // nginx takes no other for a method, and browsers compare case
                if methods.bytes().any(|byte| byte.is_ascii_lowercase()) {
                    return Err(parameter.invalid());
                }
                parameter.set_once(&mut self.methods, methods)
            }
            "headers" => parameter.set_once(&mut self.headers, tokens(parameter)?),
            "expose" => parameter.set_once(&mut self.expose, tokens(parameter)?),
            "max_age" => {
                let seconds = parameter.parsed(parse_integer)?;
                parameter.set_once(&mut self.max_age, seconds)
            }
            "credentials" => flag(&mut self.credentials),
            "private_network" => flag(&mut self.private_network),
            "continue" => flag(&mut self.continues),
            _ => Err(parameter.invalid()),
        }
    }

    fn read_origins(&mut self, parameter: Parameter<'_>) -> Result<(), DirectiveError> {
        let listed = self.listed.get_or_insert_default();
        if let Some(pattern) = parameter.text()?.strip_prefix('~') {
            if pattern.is_empty() {
                return Err(parameter.invalid());
            }
            return listed.add_pattern(pattern).map_err(|error| {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                DirectiveError::new(format!("invalid regex \"{pattern}\": {reason}"))
            });
        }
        for entry in parameter.names()? {
            if entry == "*" {
                self.any = true;
            } else if listed.add(&entry).is_none() {
                let text =
                    format!("invalid origin \"{entry}\" in parameter \"{}\"", parameter.word);
                return Err(DirectiveError::new(text));
            }
        }
        Ok(())
    }

    fn into_plan(self) -> Result<CorsPlan, DirectiveError> {
        let origins = match self.listed {
            Some(listed) if !self.any => Origins::Listed(listed),
            _ => Origins::Any,
        };
        let credentials = self.credentials.is_some();
        if credentials && matches!(origins, Origins::Any) {
            let text = "\"credentials\" requires \"origins\" other than \"*\"";
            return Err(DirectiveError::new(text));
        }
        Ok(CorsPlan {
            origins,
            methods: self.methods.unwrap_or_else(|| DEFAULT_METHODS.to_owned()),
            headers: self.headers,
            expose: self.expose,
            max_age: self.max_age.map(|seconds| seconds.to_string()),
            credentials,
            private_network: self.private_network.is_some(),
            continues: self.continues.is_some(),
        })
    }
}

/// The value as a header writes it, when all its names are tokens.
fn tokens(parameter: Parameter<'_>) -> Result<String, DirectiveError> {
    let names = parameter.names()?;
    match names.iter().all(|name| HeaderName::parse(name).is_some()) {
        true => Ok(names.join(",")),
        false => Err(parameter.invalid()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::directive::Place;
    use std::path::Path;

    /// The plan of a level that has this one directive.
    pub(in crate::cors) fn plan(words: &[&str]) -> Result<Arc<CorsPlan>, String> {
        let mut level = CorsDirectives::default();
        parse(&mut level, words)?;
        level.compile().ok_or_else(|| "off".to_owned())
    }

    fn parse(level: &mut CorsDirectives, words: &[&str]) -> Result<(), String> {
        let words = Words::new("cors", words, Place::default(), Path::new("/etc/nginx"));
        Cors::parse(&words, level).map_err(|error| error.to_string())
    }

    #[test]
    fn wrong_words_are_named() {
        let star = "\"credentials\" requires \"origins\" other than \"*\"";
        for (words, expected) in [
            (&["origins="][..], "invalid parameter \"origins=\""),
            (
                &["origins=https://a.example,https://b.example/"],
                "invalid origin \"https://b.example/\" in parameter \
                 \"origins=https://a.example,https://b.example/\"",
            ),
            (
                &["origins=https://*.a.example"],
                "invalid origin \"https://*.a.example\" in parameter \
                 \"origins=https://*.a.example\"",
            ),
            (&["origins=~"], "invalid parameter \"origins=~\""),
            (&["origins=~https://(a"], "invalid regex \"https://(a\": unclosed group"),
            (&["credentials"], star),
            (&["origins=*", "credentials"], star),
            (&["origins=https://a.example,*", "credentials"], star),
            (&["methods=GET,P UT"], "invalid parameter \"methods=GET,P UT\""),
            (&["methods=GET,put"], "invalid parameter \"methods=GET,put\""),
            (&["headers=A,,B"], "invalid parameter \"headers=A,,B\""),
            (&["expose"], "invalid parameter \"expose\""),
            (&["max_age=10m"], "invalid parameter \"max_age=10m\""),
            (&["max_age=1", "max_age=2"], "duplicate parameter \"max_age=2\""),
            (&["continue=on"], "invalid parameter \"continue=on\""),
            (&["private_network", "private_network"], "duplicate parameter \"private_network\""),
            (&["origin=*"], "invalid parameter \"origin=*\""),
            (&["off", "credentials"], "invalid parameter \"credentials\""),
        ] {
            assert_eq!(plan(words).unwrap_err(), expected, "{words:?}");
        }
    }

    #[test]
    fn a_level_has_one_directive_and_off_stops_inheritance() {
        let mut outer = CorsDirectives::default();
        parse(&mut outer, &[]).unwrap();
        assert_eq!(parse(&mut outer, &["off"]).unwrap_err(), "\"cors\" directive is duplicate");
        let mut inherits = CorsDirectives::default();
        inherits.merge(&outer);
        assert!(inherits.compile().is_some());
        let mut off = CorsDirectives::default();
        parse(&mut off, &["off"]).unwrap();
        off.merge(&outer);
        assert!(off.compile().is_none());
        let mut below = CorsDirectives::default();
        below.merge(&off);
        assert!(below.compile().is_none());
    }
}
