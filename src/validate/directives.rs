//! The directives: parsed with their schemas compiled, so that only settled things are inherited.

use std::sync::Arc;

use jsonschema::Draft;

use super::content_type::{ContentHeaders, MediaType};
use super::json::MAX_DEPTH;
use super::openapi::{Api, ApiOptions};
use super::param::{self, Content, Parameter, Style};
use super::policy::{BodyRule, ValidatePlan};
use super::schema::Schema;
use crate::directive::{Context, Directive, DirectiveError, Place, Takes, Words, parse_integer};

/// The validation directives of one level.
#[derive(Clone, Debug, Default)]
pub struct ValidateDirectives {
    body: Option<Option<Arc<BodyRule>>>,
    parameters: Option<Arc<Vec<Parameter>>>,
    parameters_off: bool,
    /// Parameters of the path that are written at this very level, and where.
    in_path: Vec<(String, Place)>,
    openapi: Option<Option<Arc<Api>>>,
    detailed: Option<bool>,
    max_depth: Option<usize>,
}

const DEFAULT_DEPTH: usize = 64;

impl ValidateDirectives {
    /// Takes over what this level does not say from the level around it.
    pub fn merge(&mut self, outer: &Self) {
        self.body = self.body.take().or_else(|| outer.body.clone());
        self.parameters = self.parameters.take().or_else(|| outer.parameters.clone());
        self.openapi = self.openapi.take().or_else(|| outer.openapi.clone());
        self.detailed = self.detailed.or(outer.detailed);
        self.max_depth = self.max_depth.or(outer.max_depth);
    }

    /// Refuses a parameter of the path that is written here and that no path has.
    pub fn check_path(&self, has: impl Fn(&str) -> bool) -> Result<(), DirectiveError> {
        match self.in_path.iter().find(|(name, _)| !has(name)) {
            Some((name, place)) => {
                let message = format!("\"{name}\" is neither of a \"route\" nor a named capture");
                Err(DirectiveError::new(message).at(place))
            }
            None => Ok(()),
        }
    }

    /// The plan of a location; `None` when nothing is validated there.
    pub fn compile(&self) -> Result<Option<ValidatePlan>, DirectiveError> {
        let parameters = self.parameters.clone().unwrap_or_default();
        let (body, openapi) = (self.body.clone().flatten(), self.openapi.clone().flatten());
        if parameters.is_empty() && body.is_none() && openapi.is_none() {
            return Ok(None);
        }
        let content_headers =
            ContentHeaders::new().ok_or_else(|| DirectiveError::new("invalid header name"))?;
        Ok(Some(ValidatePlan {
            parameters,
            body,
            openapi,
            detailed: self.detailed.unwrap_or(true),
            max_depth: self.max_depth.unwrap_or(DEFAULT_DEPTH),
            content_headers,
        }))
    }
}

/// `validate_body`
#[derive(Debug)]
pub struct ValidateBody;

impl Directive for ValidateBody {
    type Settings = ValidateDirectives;
    const NAME: &'static str = "validate_body";
    const SYNTAX: &'static str = "FILE [draft=4|6|7|2019-09|2020-12] [content_type=TYPE,...] \
                                  [content_encoding=gzip] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut ValidateDirectives) -> Result<(), DirectiveError> {
        if level.body.is_some() {
            return Err(words.duplicate());
        }
        if words.is_off()? {
            level.body = Some(None);
            return Ok(());
        }
        let file = words.first()?;
        let (mut draft, mut types, mut takes_gzip) = (None, None, None);
        for parameter in words.parameters(1) {
            match parameter.name {
                "draft" => parameter.set_once(&mut draft, parameter.parsed(parse_draft)?)?,
                "content_type" => {
                    let names = parameter.names()?;
                    let parsed: Option<Vec<_>> =
                        names.iter().map(|name| MediaType::parse(name)).collect();
                    parameter.set_once(&mut types, parsed.ok_or_else(|| parameter.invalid())?)?;
                }
                "content_encoding" => {
                    parameter.set_once(&mut takes_gzip, parameter.parsed(parse_encoding)?)?;
                }
                _ => return Err(parameter.invalid()),
            }
        }
        let schema =
            Schema::from_file(&words.path(file), file, draft).map_err(DirectiveError::new)?;
        let types =
            types.unwrap_or_else(|| MediaType::parse("application/json").into_iter().collect());
        let takes_gzip = takes_gzip.unwrap_or(false);
        level.body = Some(Some(Arc::new(BodyRule { schema, types, takes_gzip })));
        Ok(())
    }
}

/// True for gzip, the only encoding that is decoded.
fn parse_encoding(name: &str) -> Option<bool> {
    (name == "gzip").then_some(true)
}

fn parse_draft(name: &str) -> Option<Draft> {
    Some(match name {
        "4" => Draft::Draft4,
        "6" => Draft::Draft6,
        "7" => Draft::Draft7,
        "2019-09" => Draft::Draft201909,
        "2020-12" => Draft::Draft202012,
        _ => return None,
    })
}

/// `validate_param`
#[derive(Debug)]
pub struct ValidateParam;

impl Directive for ValidateParam {
    type Settings = ValidateDirectives;
    const NAME: &'static str = "validate_param";
    const SYNTAX: &'static str = "header|query|path NAME [required] [schema=FILE|JSON] [style=STYLE] \
                                  [explode=on|off] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut ValidateDirectives) -> Result<(), DirectiveError> {
        if level.parameters_off || words.is_off()? && level.parameters.is_some() {
            return Err(words.duplicate());
        }
        let list = level.parameters.get_or_insert_default();
        if words.is_off()? {
            level.parameters_off = true;
            return Ok(());
        }
        let parameter = parse_parameter(words)?;
        if list.iter().any(|other| other.is_same_as(&parameter)) {
            return Err(words.duplicate());
        }
        if parameter.place == param::Place::Path {
            level.in_path.push((parameter.name.clone(), words.place().clone()));
        }
        Arc::make_mut(list).push(parameter);
        Ok(())
    }
}

fn parse_parameter(words: &Words<'_>) -> Result<Parameter, DirectiveError> {
    let place = param::Place::parse(words.first()?).filter(|place| *place != param::Place::Cookie);
    let place = place.ok_or_else(|| words.invalid(words.first().unwrap_or_default()))?;
    let name = words.second()?;
    let (mut required, mut schema, mut style, mut explode) = (None, None, None, None);
    for parameter in words.parameters(2) {
        match parameter.name {
            "required" => {
                parameter.bare()?;
                parameter.set_once(&mut required, true)?;
            }
            "schema" => parameter.set_once(&mut schema, parameter.text()?)?,
            "style" => {
                let fitting = |name: &str| Style::parse(name).filter(|style| style.fits(place));
                parameter.set_once(&mut style, parameter.parsed(fitting)?)?;
            }
            "explode" => parameter.set_once(&mut explode, parameter.flag()?)?,
            _ => return Err(parameter.invalid()),
        }
    }
    if schema.is_none() && (style.is_some() || explode.is_some()) {
        let word = if style.is_some() { "style" } else { "explode" };
        return Err(DirectiveError::new(format!("\"{word}\" requires \"schema\"")));
    }
    let content = match schema {
        Some(schema) => Content::Styled(parse_schema(words, schema)?),
        None => Content::Any,
    };
    let style = style.unwrap_or(Style::default_of(place));
    let explode = explode.unwrap_or(style.default_explode());
    Parameter::new(name, place, required.unwrap_or(false), content, style, explode)
        .map_err(DirectiveError::new)
}

fn parse_schema(words: &Words<'_>, schema: &str) -> Result<Arc<Schema>, DirectiveError> {
    let is_inline =
        schema.trim_start().starts_with('{') || matches!(schema.trim(), "true" | "false");
    let compiled = if is_inline {
        Schema::inline(schema, &words.path(""))
    } else {
        Schema::from_file(&words.path(schema), schema, None)
    };
    compiled.map_err(DirectiveError::new)
}

/// `validate_openapi`
#[derive(Debug)]
pub struct ValidateOpenapi;

impl Directive for ValidateOpenapi {
    type Settings = ValidateDirectives;
    const NAME: &'static str = "validate_openapi";
    const SYNTAX: &'static str =
        "FILE [base=PATH] [unknown=allow|deny] [content_encoding=gzip] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut ValidateDirectives) -> Result<(), DirectiveError> {
        if level.openapi.is_some() {
            return Err(words.duplicate());
        }
        if words.is_off()? {
            level.openapi = Some(None);
            return Ok(());
        }
        let file = words.first()?;
        let (mut base, mut deny_unknown, mut takes_gzip) = (None, None, None);
        for parameter in words.parameters(1) {
            match parameter.name {
                "base" => {
                    let path = parameter.text()?;
                    if !path.starts_with('/') {
                        return Err(parameter.invalid());
                    }
                    parameter.set_once(&mut base, path.to_owned())?;
                }
                "unknown" => {
                    let choice = |word: &str| match word {
                        "allow" => Some(false),
                        "deny" => Some(true),
                        _ => None,
                    };
                    parameter.set_once(&mut deny_unknown, parameter.parsed(choice)?)?;
                }
                "content_encoding" => {
                    parameter.set_once(&mut takes_gzip, parameter.parsed(parse_encoding)?)?;
                }
                _ => return Err(parameter.invalid()),
            }
        }
        let (deny_unknown, takes_gzip) =
            (deny_unknown.unwrap_or(false), takes_gzip.unwrap_or(false));
        let options = ApiOptions { base, deny_unknown, takes_gzip };
        let api = Api::from_file(&words.path(file), file, options).map_err(DirectiveError::new)?;
        level.openapi = Some(Some(Arc::new(api)));
        Ok(())
    }
}

/// `validate_errors`
#[derive(Debug)]
pub struct ValidateErrors;

impl Directive for ValidateErrors {
    type Settings = ValidateDirectives;
    const NAME: &'static str = "validate_errors";
    const SYNTAX: &'static str = "detailed | brief";
    const DEFAULT: &'static str = "detailed";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::One;

    fn parse(words: &Words<'_>, level: &mut ValidateDirectives) -> Result<(), DirectiveError> {
        let detailed = match words.first()? {
            "detailed" => true,
            "brief" => false,
            other => return Err(words.invalid(other)),
        };
        words.set_once(&mut level.detailed, detailed)
    }
}

/// `validate_depth`
#[derive(Debug)]
pub struct ValidateDepth;

impl Directive for ValidateDepth {
    type Settings = ValidateDirectives;
    const NAME: &'static str = "validate_depth";
    const SYNTAX: &'static str = "N";
    const DEFAULT: &'static str = "64";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::One;

    fn parse(words: &Words<'_>, level: &mut ValidateDirectives) -> Result<(), DirectiveError> {
        let text = words.first()?;
        let depth = parse_integer(text).and_then(|depth| usize::try_from(depth).ok());
        let depth = depth.filter(|depth| (1..=MAX_DEPTH).contains(depth));
        words.set_once(&mut level.max_depth, depth.ok_or_else(|| words.invalid(text))?)
    }
}
