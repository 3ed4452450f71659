//! OpenAPI's styles: from the text of a parameter to a JSON value. Texts are split first and decoded after.
//!
//! Source: OpenAPI 3.1 section 4.8.12.2 and the table of style examples there; RFC 6570 for simple, label and matrix.

use std::borrow::Cow;

use super::decode::{Pair, decode_text, percent_decode, split_at_equals};
use crate::validate::json::{Json, Members};
use crate::validate::shape::{Reading, Shape};

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::validate) enum Place {
    /// A header line.
    Header,
    /// The query.
    Query,
    /// A part of the path.
    Path,
    /// A cookie; in OpenAPI documents only.
    Cookie,
}

impl Place {
    /// The place's name in the configuration, in documents and in errors.
    pub(in crate::validate) fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Query => "query",
            Self::Path => "path",
            Self::Cookie => "cookie",
        }
    }

    /// The place with this name.
    pub(in crate::validate) fn parse(name: &str) -> Option<Self> {
        [Self::Header, Self::Query, Self::Path, Self::Cookie]
            .into_iter()
            .find(|place| place.as_str() == name)
    }
}

/// How arrays and objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::validate) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
}

impl Style {
    /// The style with this name.
    pub(in crate::validate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "simple" => Self::Simple,
            "label" => Self::Label,
            "matrix" => Self::Matrix,
            "form" => Self::Form,
            "spaceDelimited" => Self::SpaceDelimited,
            "pipeDelimited" => Self::PipeDelimited,
            "deepObject" => Self::DeepObject,
            _ => return None,
        })
    }

    /// OpenAPI's default for a place.
    pub(in crate::validate) fn default_of(place: Place) -> Self {
        match place {
            Place::Header | Place::Path => Self::Simple,
            Place::Query | Place::Cookie => Self::Form,
        }
    }

    /// True when OpenAPI defines the style for the place.
    pub(in crate::validate) fn fits(self, place: Place) -> bool {
        match place {
            Place::Path => matches!(self, Self::Simple | Self::Label | Self::Matrix),
            Place::Header => self == Self::Simple,
            Place::Cookie => self == Self::Form,
            Place::Query => !matches!(self, Self::Simple | Self::Label | Self::Matrix),
        }
    }

    /// Refuses what no style is defined for.
    ///
    /// Source: OpenAPI 3.1 section 4.8.12.4; its table has no such rows.
    pub(super) fn check(self, shape: &Shape, explode: bool) -> Result<(), String> {
        let allows = |wanted| shape.readings().any(|reading| reading == wanted);
        let (name, wanted, wanted_name, wanted_explode) = match self {
            Self::DeepObject => ("deepObject", Reading::Object, "object", true),
            Self::SpaceDelimited => ("spaceDelimited", Reading::Array, "array", false),
            Self::PipeDelimited => ("pipeDelimited", Reading::Array, "array", false),
            Self::Simple | Self::Label | Self::Matrix | Self::Form => return Ok(()),
        };
        if !allows(wanted) {
            return Err(format!("style \"{name}\" requires a schema of type \"{wanted_name}\""));
        }
        if explode != wanted_explode {
            let word = if wanted_explode { "on" } else { "off" };
            return Err(format!("style \"{name}\" requires \"explode={word}\""));
        }
        Ok(())
    }

    /// OpenAPI's default of `explode`.
    pub(in crate::validate) fn default_explode(self) -> bool {
        matches!(self, Self::Form | Self::DeepObject)
    }
}

/// Why a text is no value of its style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misread {
    /// Given more than once where one is expected.
    Repeated,
    /// Not written in the style.
    Style,
    /// Not UTF-8 once decoded.
    Encoding,
}

impl Misread {
    /// What the client is told.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Repeated => "must be given once",
            Self::Style => "is not written in the style of the parameter",
            Self::Encoding => "must be UTF-8",
        }
    }
}

/// How texts between separators are decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoding {
    /// Percent-encoding is undone (not in headers).
    pub(super) percent: bool,
    /// `+` is a space (in queries).
    pub(super) plus_is_space: bool,
}

impl Decoding {
    fn text(self, raw: &[u8]) -> Result<Cow<'_, str>, Misread> {
        let text = match self.percent {
            true => decode_text(raw, self.plus_is_space),
            false => std::str::from_utf8(raw.trim_ascii()).ok().map(Cow::Borrowed),
        };
        text.ok_or(Misread::Encoding)
    }

    fn scalar<'a>(self, raw: &'a [u8], shape: &Shape, typed: bool) -> Result<Json<'a>, Misread> {
        let text = self.text(raw)?;
        Ok(if typed { shape.scalar(text) } else { Json::String(text) })
    }
}

/// One reading of a parameter: what the style calls for and how its parts are typed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'s> {
    pub(super) style: Style,
    pub(super) explode: bool,
    pub(super) shape: &'s Shape,
    pub(super) reading: Reading,
    pub(super) decoding: Decoding,
}

impl Reader<'_> {
    fn items<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> Result<Json<'a>, Misread> {
        let shape = self.shape.items();
        let items = parts.map(|part| self.decoding.scalar(part, shape, true));
        items.collect::<Result<_, _>>().map(Json::Array)
    }

    fn object<'a>(
        &self,
        pairs: impl Iterator<Item = Result<(&'a [u8], &'a [u8]), Misread>>,
    ) -> Result<Json<'a>, Misread> {
        let mut members = Vec::new();
        for pair in pairs {
            let (name, value) = pair?;
            let name = self.decoding.text(name)?;
            let value = self.decoding.scalar(value, self.shape.property(&name), true)?;
            members.push((name, value));
        }
        Members::new(members).map(Json::Object).ok_or(Misread::Repeated)
    }

    /// A value of `simple`, `label` or `matrix` style, or one `form` value, from its one text.
    pub(super) fn one<'a>(&self, raw: &'a [u8], name: &str) -> Result<Json<'a>, Misread> {
        match self.style {
            Style::Label => {
                let raw = raw.strip_prefix(b".").ok_or(Misread::Style)?;
                self.separated(raw, if self.explode { b"." } else { b"," })
            }
            Style::Matrix => self.matrix(raw, name),
            Style::SpaceDelimited => self.separated(raw, b" "),
            Style::PipeDelimited => self.separated(raw, b"|"),
            Style::Simple | Style::Form | Style::DeepObject => self.separated(raw, b","),
        }
    }

    fn separated<'a>(&self, raw: &'a [u8], separator: &'static [u8]) -> Result<Json<'a>, Misread> {
        let parts = || Split::new(raw, separator, self.decoding.percent);
        match self.reading {
            Reading::Typed => self.decoding.scalar(raw, self.shape, true),
            Reading::Text => self.decoding.scalar(raw, self.shape, false),
            Reading::Array => self.items(parts()),
            Reading::Object if self.explode => self.object(parts().map(named)),
            Reading::Object => {
                let mut parts = parts();
                self.object(std::iter::from_fn(move || {
                    let name = parts.next()?;
                    Some(parts.next().map(|value| (name, value)).ok_or(Misread::Style))
                }))
            }
        }
    }

    fn matrix<'a>(&self, raw: &'a [u8], name: &str) -> Result<Json<'a>, Misread> {
        let raw = raw.strip_prefix(b";").ok_or(Misread::Style)?;
        if !self.explode || matches!(self.reading, Reading::Typed | Reading::Text) {
            return self.separated(own_value(raw, name)?, b",");
        }
        let parts = raw.split(|byte| *byte == b';');
        if self.reading == Reading::Object {
            return self.object(parts.map(named));
        }
        let values: Result<Vec<_>, _> = parts.map(|part| own_value(part, name)).collect();
        self.items(values?.into_iter())
    }

    /// A value of the query styles from all arguments of the query; `None` when the parameter is not there.
    pub(super) fn query<'a>(
        &self,
        pairs: &[Pair<'a>],
        name: &str,
    ) -> Option<Result<Json<'a>, Misread>> {
        match (self.reading, self.style, self.explode) {
            (Reading::Object, Style::DeepObject, _) => self.deep_object(pairs, name),
            (Reading::Object, _, true) => self.exploded_object(pairs),
            _ => {
                let mut values = pairs
                    .iter()
                    .filter(|pair| *pair.name == *name.as_bytes())
                    .map(|pair| pair.value);
                let first = values.next()?;
                if self.reading == Reading::Array && self.explode {
                    return Some(self.items(std::iter::once(first).chain(values)));
                }
                Some(match values.next() {
                    Some(_) => Err(Misread::Repeated),
                    None => self.one(first, name),
                })
            }
        }
    }

    fn deep_object<'a>(&self, pairs: &[Pair<'a>], name: &str) -> Option<Result<Json<'a>, Misread>> {
        let property = |pair: &Pair<'a>| {
            let inner = pair.name.strip_prefix(name.as_bytes())?.strip_prefix(b"[")?;
            Some((inner.strip_suffix(b"]")?.to_vec(), pair.value))
        };
        self.gathered(pairs.iter().filter_map(property))
    }

    /// `r=1&g=2`: the arguments that the schema names as properties, or all when it names none.
    fn exploded_object<'a>(&self, pairs: &[Pair<'a>]) -> Option<Result<Json<'a>, Misread>> {
        let is_property = |name: &[u8]| {
            let name = std::str::from_utf8(name).unwrap_or_default();
            !self.shape.declares_any() || self.shape.declares(name)
        };
        let own = pairs.iter().filter(|pair| is_property(&pair.name));
        self.gathered(own.map(|pair| (pair.name.to_vec(), pair.value)))
    }

    /// An object of arguments; what is given several times is an array.
    fn gathered<'a>(
        &self,
        arguments: impl Iterator<Item = (Vec<u8>, &'a [u8])>,
    ) -> Option<Result<Json<'a>, Misread>> {
        let mut sorted: Vec<(Vec<u8>, &[u8])> = arguments.collect();
        if sorted.is_empty() {
            return None;
        }
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let members = sorted.chunk_by(|(a, _), (b, _)| a == b).map(|run| self.property(run));
        let members: Result<Vec<_>, _> = members.collect();
        Some(
            members.and_then(|members| {
                Members::new(members).map(Json::Object).ok_or(Misread::Repeated)
            }),
        )
    }

    fn property<'a>(
        &self,
        run: &[(Vec<u8>, &'a [u8])],
    ) -> Result<(Cow<'a, str>, Json<'a>), Misread> {
        let (name, first) = run.first().ok_or(Misread::Style)?;
        let name = String::from_utf8(name.clone()).map_err(|_| Misread::Encoding)?;
        let shape = self.shape.property(&name);
        let value = if run.len() == 1 && !shape.allows_array() {
            self.decoding.scalar(first, shape, true)?
        } else {
            let values =
                run.iter().map(|(_, value)| self.decoding.scalar(value, shape.items(), true));
            Json::Array(values.collect::<Result<_, _>>()?)
        };
        Ok((Cow::Owned(name), value))
    }
}

fn named(part: &[u8]) -> Result<(&[u8], &[u8]), Misread> {
    if part.contains(&b'=') { Ok(split_at_equals(part)) } else { Err(Misread::Style) }
}

/// The value of `NAME=VALUE`, when the name is the parameter's own.
fn own_value<'a>(part: &'a [u8], name: &str) -> Result<&'a [u8], Misread> {
    let (own, value) = split_at_equals(part);
    if *percent_decode(own, false) == *name.as_bytes() { Ok(value) } else { Err(Misread::Style) }
}

/// The parts of a text between separators; an empty text has none.
///
/// A space can only be written encoded, and a pipe usually is: for these two `%20`, `+` and `%7C` separate as well.
struct Split<'a> {
    rest: Option<&'a [u8]>,
    separator: &'static [u8],
    encoded: bool,
}

impl<'a> Split<'a> {
    fn new(raw: &'a [u8], separator: &'static [u8], encoded: bool) -> Self {
        Self { rest: Some(raw).filter(|raw| !raw.is_empty()), separator, encoded }
    }

    /// The length of a separator at the start of `rest`; 0 when there is none.
    fn separator_length(&self, rest: &[u8]) -> usize {
        let spellings: &[&[u8]] = match self.separator {
            b" " => &[b" ", b"+", b"%20"],
            b"|" => &[b"|", b"%7C", b"%7c"],
            _ => &[],
        };
        if rest.starts_with(self.separator) {
            return self.separator.len();
        }
        let found = spellings.iter().find(|spelling| self.encoded && rest.starts_with(spelling));
        found.map_or(0, |spelling| spelling.len())
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        for at in 0..rest.len() {
            let (part, tail) = rest.split_at(at);
            let length = self.separator_length(tail);
            if length > 0 {
                self.rest = tail.get(length..);
                return Some(part);
            }
        }
        self.rest = None;
        Some(rest)
    }
}
