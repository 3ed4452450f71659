//! What a directive is: its name, syntax and context, and the parsers of its words.
//!
//! A room has one type per directive. Words are parsed into types here and now, so that nothing is left to be judged at
//! request time; what is wrong is a [`DirectiveError`] that names the offending word and, through nginx, the file and line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A directive's own place in the configuration, kept by whatever may still fail when levels are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The configuration file, as nginx names it.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: usize,
}

/// Why a directive is refused; `Display` is the text of nginx's `[emerg]` line without ` in FILE:LINE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectiveError {
    message: String,
    place: Option<Place>,
}

impl DirectiveError {
    /// An error of the directive that is being read.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None }
    }

    /// The same error, said of another directive than the one that is being read.
    pub fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    /// Where the directive stands, if it is not the one that is being read.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

impl fmt::Display for DirectiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DirectiveError {}

/// The levels of nginx.conf where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context(u8);

impl Context {
    /// `http { }`
    pub const HTTP: Self = Self(1);
    /// `server { }`
    pub const SERVER: Self = Self(2);
    /// `location { }`, nested ones and the `method` block included
    pub const LOCATION: Self = Self(4);
    /// `if { }` in a location
    pub const IF: Self = Self(8);
    /// `http, server, location`
    pub const ANY: Self = Self(1 | 2 | 4);

    /// Either of two contexts.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when every level of `other` is one of `self`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How many words follow a directive's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// none
    Nothing,
    /// exactly one
    One,
    /// one or two
    OneOrTwo,
    /// any number, none included
    Any,
    /// one or more
    OneOrMore,
    /// two or more
    TwoOrMore,
}

/// One directive of the contract.
///
/// `Settings` is what the directive writes to: its room's directives on one level, not yet merged.
pub trait Directive {
    /// The room's directives of one level.
    type Settings;
    /// The name in nginx.conf.
    const NAME: &'static str;
    /// The reference's syntax line, without the name.
    const SYNTAX: &'static str;
    /// The reference's default, empty when there is none.
    const DEFAULT: &'static str;
    /// Where it may stand.
    const CONTEXT: Context;
    /// How many words it takes.
    const TAKES: Takes;
    /// True when the directive makes the module the location's content handler, as `proxy_pass` does.
    const HANDLES: bool = false;

    /// Reads the words into the level, or says which of them is wrong.
    fn parse(words: &Words<'_>, level: &mut Self::Settings) -> Result<(), DirectiveError>;
}

/// The words of one directive as nginx read them, quotes resolved.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    name: &'a str,
    arguments: &'a [&'a str],
    place: Place,
    conf_prefix: &'a Path,
}

impl<'a> Words<'a> {
    /// `conf_prefix` is the folder that relative file names start from (nginx's `-c` folder).
    pub fn new(
        name: &'a str,
        arguments: &'a [&'a str],
        place: Place,
        conf_prefix: &'a Path,
    ) -> Self {
        Self { name, arguments, place, conf_prefix }
    }

    /// The directive's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// All words behind the name.
    pub fn arguments(&self) -> &'a [&'a str] {
        self.arguments
    }

    /// Where the directive stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The first word, or an error that says it is missing.
    pub fn first(&self) -> Result<&'a str, DirectiveError> {
        self.arguments.first().copied().ok_or_else(|| self.wrong_count())
    }

    /// The second word, or an error that says it is missing.
    pub fn second(&self) -> Result<&'a str, DirectiveError> {
        self.arguments.get(1).copied().ok_or_else(|| self.wrong_count())
    }

    /// True for `NAME off;`, whose only word that is.
    pub fn is_off(&self) -> Result<bool, DirectiveError> {
        match self.arguments {
            ["off"] => Ok(true),
            ["off", more, ..] => Err(Parameter::new(more).invalid()),
            _ => Ok(false),
        }
    }

    /// The words from number `from` on (0 is the first behind the name) as `name`, `name=value`.
    pub fn parameters(&self, from: usize) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        self.arguments.get(from..).unwrap_or_default().iter().map(|word| Parameter::new(word))
    }

    /// A file name of the configuration as a path: relative ones start at nginx's configuration folder.
    pub fn path(&self, file: &str) -> PathBuf {
        self.conf_prefix.join(file)
    }

    /// `invalid number of arguments in "x" directive`
    pub fn wrong_count(&self) -> DirectiveError {
        DirectiveError::new(format!("invalid number of arguments in \"{}\" directive", self.name))
    }

    /// `"x" directive is duplicate`
    pub fn duplicate(&self) -> DirectiveError {
        DirectiveError::new(format!("\"{}\" directive is duplicate", self.name))
    }

    /// `invalid value "V" in "x" directive`
    pub fn invalid(&self, value: &str) -> DirectiveError {
        DirectiveError::new(format!("invalid value \"{value}\" in \"{}\" directive", self.name))
    }

    /// `"x" must have "zone" parameter`
    pub fn missing(&self, parameter: &str) -> DirectiveError {
        DirectiveError::new(format!("\"{}\" must have \"{parameter}\" parameter", self.name))
    }

    /// Fills a slot that the level may have only once.
    pub fn set_once<T>(&self, slot: &mut Option<T>, value: T) -> Result<(), DirectiveError> {
        if slot.is_some() {
            return Err(self.duplicate());
        }
        *slot = Some(value);
        Ok(())
    }

    /// The only word as `on` or `off`.
    pub fn flag(&self) -> Result<bool, DirectiveError> {
        match self.first()? {
            "on" => Ok(true),
            "off" => Ok(false),
            other => Err(DirectiveError::new(format!(
                "invalid value \"{other}\" in \"{}\" directive, it must be \"on\" or \"off\"",
                self.name
            ))),
        }
    }
}

/// One `name` or `name=value` word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The whole word.
    pub word: &'a str,
    /// What stands before the first `=`.
    pub name: &'a str,
    /// What stands behind it; `None` without a `=`.
    pub value: Option<&'a str>,
}

impl<'a> Parameter<'a> {
    fn new(word: &'a str) -> Self {
        match word.split_once('=') {
            Some((name, value)) => Self { word, name, value: Some(value) },
            None => Self { word, name: word, value: None },
        }
    }

    /// `invalid parameter "x=y"`: unknown or malformed.
    pub fn invalid(&self) -> DirectiveError {
        DirectiveError::new(format!("invalid parameter \"{}\"", self.word))
    }

    /// `duplicate parameter "x=y"`
    pub fn duplicate(&self) -> DirectiveError {
        DirectiveError::new(format!("duplicate parameter \"{}\"", self.word))
    }

    /// The value, which may not be missing or empty.
    pub fn text(&self) -> Result<&'a str, DirectiveError> {
        self.value.filter(|value| !value.is_empty()).ok_or_else(|| self.invalid())
    }

    /// The value as `on` or `off`.
    pub fn flag(&self) -> Result<bool, DirectiveError> {
        match self.value {
            Some("on") => Ok(true),
            Some("off") => Ok(false),
            _ => Err(self.invalid()),
        }
    }

    /// The value parsed by a function that answers `None` for what it cannot read.
    pub fn parsed<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, DirectiveError> {
        self.value.and_then(parse).ok_or_else(|| self.invalid())
    }

    /// Nothing for a bare word; an error when it has a value.
    pub fn bare(&self) -> Result<(), DirectiveError> {
        if self.value.is_some() { Err(self.invalid()) } else { Ok(()) }
    }

    /// The comma-separated names of the value, none of them empty, nor with white space round it.
    pub fn names(&self) -> Result<Vec<String>, DirectiveError> {
        let names: Vec<String> = self.text()?.split(',').map(str::to_owned).collect();
        let is_name = |name: &String| !name.is_empty() && name.trim() == name;
        if names.iter().all(is_name) { Ok(names) } else { Err(self.invalid()) }
    }

    /// Fills a slot that the directive may have only once.
    pub fn set_once<T>(&self, slot: &mut Option<T>, value: T) -> Result<(), DirectiveError> {
        if slot.is_some() {
            return Err(self.duplicate());
        }
        *slot = Some(value);
        Ok(())
    }
}

/// A size in bytes: digits with nginx's `k`, `m` or `g`; `None` for anything else.
///
/// Source: `ngx_parse_offset`.
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, scale) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        b'g' | b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    parse_integer(digits)?.checked_mul(scale)
}

/// A time: nginx's `1h30m`, `60s`, `500ms`, bare digits are seconds; `None` for anything else.
///
/// Source: `ngx_parse_time`, without its months and years.
pub fn parse_time(text: &str) -> Option<Duration> {
    const UNITS_MS: [(&str, u64); 6] = [
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    if text.is_empty() {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_millis(parse_integer(text)?.checked_mul(1_000)?));
    }
    let (mut rest, mut total_ms, mut next_unit) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit_length = tail.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, tail) = tail.split_at(unit_length);
        let position = UNITS_MS.iter().position(|(name, _)| *name == unit)?;
        if position < next_unit {
            return None;
        }
        next_unit = position + 1;
        let (_, unit_ms) = UNITS_MS.get(position)?;
        total_ms = total_ms.checked_add(parse_integer(number)?.checked_mul(*unit_ms)?)?;
        rest = tail.trim_start_matches(' ');
    }
    Some(Duration::from_millis(total_ms))
}

/// The status of a refusal: 400 to 599, but for those that nginx keeps for itself and answers with another; `None` for anything else.
///
/// Source: `ngx_http_special_response_handler`, `ngx_http_finalize_request`.
pub fn parse_refusal_status(text: &str) -> Option<u16> {
    let code = u16::try_from(parse_integer(text)?).ok()?;
    let is_nginx_s_own = matches!(code, 408 | 494..=497 | 499);
    (400..600).contains(&code).then_some(code).filter(|_| !is_nginx_s_own)
}

/// A number of plain digits; `None` for an empty text, a sign, or what does not fit.
pub fn parse_integer(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_nginx_sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("10k", Some(10_240)),
            ("2M", Some(2_097_152)),
            ("1g", Some(1_073_741_824)),
            ("", None),
            ("k", None),
            ("-1", None),
            ("1.5m", None),
            ("18446744073709551615k", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }

    #[test]
    fn times_are_nginx_times() {
        for (text, expected_ms) in [
            ("5", Some(5_000)),
            ("500ms", Some(500)),
            ("60s", Some(60_000)),
            ("1h30m", Some(5_400_000)),
            ("1d 2h", Some(93_600_000)),
            ("2w", Some(1_209_600_000)),
            ("", None),
            ("30m1h", None),
            ("1x", None),
            ("ms", None),
            ("-5s", None),
        ] {
            assert_eq!(parse_time(text), expected_ms.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn statuses_of_refusals_are_those_that_nginx_answers_with() {
        for text in ["400", "403", "429", "498", "503", "599"] {
            assert_eq!(parse_refusal_status(text), text.parse().ok());
        }
        for text in ["399", "600", "408", "494", "495", "496", "497", "499", "+429", "", "x"] {
            assert_eq!(parse_refusal_status(text), None, "{text}");
        }
    }

    #[test]
    fn a_parameter_is_split_at_its_first_equals_sign() {
        let words = ["schema={\"a\"=1}", "required", "x="];
        let words = Words::new("d", &words, Place::default(), Path::new("/etc/nginx"));
        let read: Vec<_> = words.parameters(0).map(|p| (p.name, p.value)).collect();
        assert_eq!(read, [("schema", Some("{\"a\"=1}")), ("required", None), ("x", Some(""))]);
        assert_eq!(words.path("a.json"), Path::new("/etc/nginx/a.json"));
        assert_eq!(words.path("/b.json"), Path::new("/b.json"));
    }

    #[test]
    fn nothing_stands_behind_off() {
        for (words, expected) in [
            (&["off"][..], Ok(true)),
            (&["off", "draft=4"], Err("invalid parameter \"draft=4\"")),
            (&["on", "off"], Ok(false)),
            (&[], Ok(false)),
        ] {
            let read = Words::new("d", words, Place::default(), Path::new("/")).is_off();
            assert_eq!(read.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn a_comma_list_with_spaces_is_no_list_of_names() {
        for (word, expected) in [
            ("deny=z,y", Ok(2)),
            ("deny=z y,x", Ok(2)),
            ("deny=z, y", Err("invalid parameter \"deny=z, y\"")),
            ("deny=z\t", Err("invalid parameter \"deny=z\t\"")),
            ("deny=z,,y", Err("invalid parameter \"deny=z,,y\"")),
        ] {
            let read = Parameter::new(word).names().map(|names| names.len());
            assert_eq!(read.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn an_error_keeps_the_first_place_it_was_given() {
        let place = |line| Place { file: "a.conf".into(), line };
        let error = DirectiveError::new("x").at(&place(3)).at(&place(9));
        assert_eq!(error.place(), Some(&place(3)));
    }
}
