//! One parameter: found in the request, read in its style, checked against its schema.

pub(super) mod decode;
pub(super) mod style;

use std::borrow::Cow;
use std::sync::Arc;

pub(super) use style::{Place, Style};

use self::decode::Pair;
use self::style::{Decoding, Misread, Reader};
use super::faults::Origin;
use super::json::{self, Json};
use super::schema::Schema;
use super::shape::{Reading, Shape};
use crate::decision::Fault;
use crate::request::{HeaderName, RequestHead};

/// A parameter with everything that its check needs.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) required: bool,
    pub(super) content: Content,
    pub(super) style: Style,
    pub(super) explode: bool,
    /// An empty query argument is allowed whatever the schema says.
    pub(super) allow_empty: bool,
    /// The name prepared for lookups, for headers.
    pub(super) header: Option<HeaderName>,
}

/// What a parameter's text is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Anything.
    Any,
    /// A value in the parameter's style.
    Styled(Arc<Schema>),
    /// A JSON document.
    Json(Arc<Schema>),
}

/// The parts of a request where parameters stand.
pub(super) struct Inputs<'a, H> {
    /// Headers and cookies.
    pub(super) head: &'a H,
    /// The arguments of the query.
    pub(super) query: Vec<Pair<'a>>,
    /// The path's parameters, undecoded; `None` for one that a path of its route would have.
    pub(super) path: &'a [(&'a str, Option<&'a [u8]>)],
    /// How deep JSON may nest.
    pub(super) max_depth: usize,
}

impl<'a, H: RequestHead> Inputs<'a, H> {
    /// The inputs of a request; the query is split only when a parameter stands there.
    pub(super) fn new(
        head: &'a H,
        path: &'a [(&'a str, Option<&'a [u8]>)],
        parameters: &[Parameter],
        max_depth: usize,
    ) -> Self {
        let in_query = parameters.iter().any(|parameter| parameter.place == Place::Query);
        let query = if in_query { decode::pairs(head.query()).collect() } else { Vec::new() };
        Self { head, query, path, max_depth }
    }
}

/// A parameter's text as found in the request, apart from the query's.
enum Found<'a> {
    Nothing,
    One(Cow<'a, [u8]>),
    Several(Cow<'a, [u8]>),
}

impl Parameter {
    /// A parameter, or why there can be none like it.
    pub(super) fn new(
        name: &str,
        place: Place,
        required: bool,
        content: Content,
        style: Style,
        explode: bool,
    ) -> Result<Self, String> {
        let header = match place {
            Place::Header => Some(
                HeaderName::parse(name).ok_or_else(|| format!("invalid header name \"{name}\""))?,
            ),
            Place::Cookie => HeaderName::parse("cookie"),
            Place::Query | Place::Path => None,
        };
        if name.is_empty() {
            return Err("invalid parameter name \"\"".to_owned());
        }
        if let Content::Styled(schema) = &content {
            style.check(schema.shape(), explode)?;
        }
        let name = name.to_owned();
        Ok(Self { name, place, required, content, style, explode, allow_empty: false, header })
    }

    /// True when both name the same place of a request.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.place == other.place
            && match (&self.header, &other.header) {
                (Some(a), Some(b)) if self.place == Place::Header => a == b,
                _ => self.name == other.name,
            }
    }

    fn origin(&self) -> Origin<'_> {
        Origin { location: self.place.as_str(), name: Some(&self.name) }
    }

    /// Adds what is wrong with the parameter; one fault without its text when the client is told nothing.
    pub(super) fn check<H: RequestHead>(
        &self,
        inputs: &Inputs<'_, H>,
        detailed: bool,
        faults: &mut Vec<Fault>,
    ) {
        let found = match self.place {
            Place::Query => return self.check_query(inputs, detailed, faults),
            Place::Header => self.find_header(inputs.head),
            Place::Cookie => self.find_cookie(inputs.head),
            Place::Path => match inputs.path.iter().find(|(name, _)| *name == self.name) {
                Some((_, Some(raw))) => Found::One(Cow::Borrowed(*raw)),
                Some((_, None)) => return faults.push(self.missing()),
                None => Found::Nothing,
            },
        };
        let (raw, repeated) = match &found {
            Found::Nothing => return self.absent(faults),
            Found::One(raw) => (raw, false),
            Found::Several(raw) => (raw, true),
        };
        let shape = match &self.content {
            Content::Any => return,
            Content::Json(schema) => {
                let decoded = match self.place {
                    Place::Header => Cow::Borrowed(&**raw),
                    _ => decode::percent_decode(raw, false),
                };
                let read = json::parse(&decoded, inputs.max_depth);
                return self.check_json(read, schema, detailed, faults);
            }
            Content::Styled(schema) => schema.shape(),
        };
        self.conclude(
            detailed,
            faults,
            shape.readings().map(|reading| {
                let is_scalar = matches!(reading, Reading::Typed | Reading::Text);
                if repeated && is_scalar {
                    return Err(Misread::Repeated);
                }
                self.reader(shape, reading).one(raw, &self.name)
            }),
        );
    }

    fn reader<'s>(&self, shape: &'s Shape, reading: Reading) -> Reader<'s> {
        let decoding = Decoding {
            percent: self.place != Place::Header,
            plus_is_space: self.place == Place::Query,
        };
        Reader { style: self.style, explode: self.explode, shape, reading, decoding }
    }

    fn check_query<H>(&self, inputs: &Inputs<'_, H>, detailed: bool, faults: &mut Vec<Fault>) {
        let pairs = &inputs.query;
        let mut own = pairs.iter().filter(|pair| *pair.name == *self.name.as_bytes());
        let schema = match &self.content {
            Content::Styled(schema) => schema,
            Content::Any => {
                return if own.next().is_none() {
                    self.absent(faults)
                };
            }
            Content::Json(schema) => {
                let Some(first) = own.next() else {
                    return self.absent(faults);
                };
                if own.next().is_some() {
                    return faults.push(self.origin().fault("style", Misread::Repeated.message()));
                }
                let decoded = decode::percent_decode(first.value, true);
                let read = json::parse(&decoded, inputs.max_depth);
                return self.check_json(read, schema, detailed, faults);
            }
        };
        if self.allow_empty
            && own.next().is_some_and(|pair| pair.value.is_empty())
            && own.all(|pair| pair.value.is_empty())
        {
            return;
        }
        let shape = schema.shape();
        let mut readings = shape
            .readings()
            .filter_map(|reading| self.reader(shape, reading).query(pairs, &self.name))
            .peekable();
        if readings.peek().is_none() {
            return self.absent(faults);
        }
        self.conclude(detailed, faults, readings);
    }

    /// Accepts the first reading that conforms; reports the first one when none does.
    fn conclude<'a>(
        &self,
        detailed: bool,
        faults: &mut Vec<Fault>,
        readings: impl Iterator<Item = Result<Json<'a>, Misread>>,
    ) {
        let Content::Styled(schema) = &self.content else {
            return;
        };
        let mut first = None;
        for reading in readings {
            match &reading {
                Ok(value) if schema.is_valid(value) => return,
                // A text that cannot be taken apart is worth reporting only when nothing else was tried.
                Err(_) if first.is_some() => {}
                _ if matches!(first, None | Some(Err(_))) => first = Some(reading),
                _ => {}
            }
        }
        match first {
            Some(Ok(value)) if detailed => faults.extend(schema.faults(&value, &self.origin())),
            Some(Err(misread)) => faults.push(self.origin().fault("style", misread.message())),
            _ => faults.push(self.origin().fault("schema", "does not conform to the schema")),
        }
    }

    fn check_json(
        &self,
        read: Result<Json<'_>, json::NotJson>,
        schema: &Schema,
        detailed: bool,
        faults: &mut Vec<Fault>,
    ) {
        match read {
            Err(_) => faults.push(self.origin().fault("content", "must be JSON")),
            Ok(value) if schema.is_valid(&value) => {}
            Ok(value) if detailed => faults.extend(schema.faults(&value, &self.origin())),
            Ok(_) => faults.push(self.origin().fault("schema", "does not conform to the schema")),
        }
    }

    fn absent(&self, faults: &mut Vec<Fault>) {
        if self.required {
            faults.push(self.missing());
        }
    }

    fn missing(&self) -> Fault {
        self.origin().fault("required", "must be present")
    }

    fn find_header<'a, H: RequestHead>(&'a self, head: &'a H) -> Found<'a> {
        let Some(name) = &self.header else {
            return Found::Nothing;
        };
        joined(head.header_values(name), b",")
    }

    fn find_cookie<'a, H: RequestHead>(&'a self, head: &'a H) -> Found<'a> {
        let Some(header) = &self.header else {
            return Found::Nothing;
        };
        let crumbs = head.header_values(header).flat_map(|line| line.split(|byte| *byte == b';'));
        let own = crumbs.filter_map(|crumb| {
            let (name, value) = decode::split_at_equals(crumb.trim_ascii());
            (name == self.name.as_bytes()).then_some(value)
        });
        joined(own, b",")
    }
}

fn joined<'a>(mut values: impl Iterator<Item = &'a [u8]>, separator: &[u8]) -> Found<'a> {
    let Some(first) = values.next() else {
        return Found::Nothing;
    };
    let Some(second) = values.next() else {
        return Found::One(Cow::Borrowed(first));
    };
    let mut all = [first, second].join(separator);
    for value in values {
        all.extend_from_slice(separator);
        all.extend_from_slice(value);
    }
    Found::Several(Cow::Owned(all))
}
