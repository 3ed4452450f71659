//! `response_json`: words to a list of edits.

use super::path::{self, Step};
use crate::directive::{Context, Directive, DirectiveError, Parameter, Takes, Words, parse_size};
use serde_json::value::RawValue;
use std::sync::Arc;

const DEFAULT_MAX_BYTES: u64 = 1 << 20;

/// What one level says of JSON bodies.
#[derive(Clone, Debug, Default)]
pub struct ResponseJsonDirectives {
    /// `None` when the level has no `response_json`, `Some(None)` for `off`
    edits: Option<Option<Arc<ResponseJsonPlan>>>,
}

/// `response_json` in force at a location.
#[derive(Clone, Debug)]
pub struct ResponseJsonPlan {
    pub(super) edits: Vec<Edit>,
    /// The longest body that is edited, in bytes.
    pub max_bytes: u64,
    /// What becomes of a body that cannot be edited.
    pub unreadable: OnUnreadable,
}

/// What becomes of a body that cannot be edited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnreadable {
    /// The client gets a 502 instead.
    #[default]
    Fail,
    /// The client gets it as it is.
    Pass,
}

/// One edit: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) parent: Vec<Step>,
    pub(super) last: Step,
    pub(super) action: Action,
}

/// Listed in the order in which edits are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Remove,
    /// The new name, and as a key: with quotes and escapes.
    Rename(Box<str>, Box<str>),
    /// JSON
    Replace(Box<str>),
    /// JSON, and the keys of the path's names with quotes and escapes, the last one's last.
    Add(Box<str>, Vec<Box<str>>),
}

impl Action {
    fn order(&self) -> u8 {
        match self {
            Self::Remove => 0,
            Self::Rename(..) => 1,
            Self::Replace(_) => 2,
            Self::Add(..) => 3,
        }
    }
}

impl ResponseJsonDirectives {
    /// Takes over from the level above what this one does not say.
    pub fn merge(&mut self, outer: &Self) {
        if self.edits.is_none() {
            self.edits.clone_from(&outer.edits);
        }
    }

    /// The plan; `None` when there is no `response_json` in force. Everything was checked when the directive was read.
    pub fn compile(&self) -> Option<Arc<ResponseJsonPlan>> {
        self.edits.clone().flatten()
    }
}

/// `response_json [remove=PATH]... [rename=OLD:NEW]... [replace=PATH:JSON]... [add=PATH:JSON]... [max=SIZE]
/// [unreadable=fail|pass]`, `response_json off`
#[derive(Debug)]
pub struct ResponseJson;

impl Directive for ResponseJson {
    type Settings = ResponseJsonDirectives;
    const NAME: &'static str = "response_json";
    const SYNTAX: &'static str = "[remove=PATH]... [rename=OLD:NEW]... [replace=PATH:JSON]... [add=PATH:JSON]... \
         [max=SIZE] [unreadable=fail|pass] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut ResponseJsonDirectives) -> Result<(), DirectiveError> {
        if words.is_off()? {
            return words.set_once(&mut level.edits, None);
        }
        let (mut edits, mut max_bytes, mut unreadable) = (Vec::new(), None, None);
        for parameter in words.parameters(0) {
            match parameter.name {
                "remove" => edits.push(remove(parameter)?),
                "rename" => edits.push(rename(parameter)?),
                "replace" => edits.push(replace(parameter)?),
                "add" => edits.push(add(parameter)?),
                "max" => {
                    let size = parameter.parsed(parse_size).and_then(|size| match size {
                        0 => Err(parameter.invalid()),
                        size => Ok(size),
                    })?;
                    parameter.set_once(&mut max_bytes, size)?;
                }
                "unreadable" => {
                    let chosen = match parameter.value {
                        Some("fail") => OnUnreadable::Fail,
                        Some("pass") => OnUnreadable::Pass,
                        _ => return Err(parameter.invalid()),
                    };
                    parameter.set_once(&mut unreadable, chosen)?;
                }
                _ => return Err(parameter.invalid()),
            }
        }
        if edits.is_empty() {
            return Err(DirectiveError::new(
                "\"response_json\" must have \"remove\", \"rename\", \"replace\" or \"add\" parameter",
            ));
        }
        edits.sort_by_key(|edit| edit.action.order());
        let max_bytes = max_bytes.unwrap_or(DEFAULT_MAX_BYTES);
        let unreadable = unreadable.unwrap_or_default();
        let plan = ResponseJsonPlan { edits, max_bytes, unreadable };
        words.set_once(&mut level.edits, Some(Arc::new(plan)))
    }
}

fn remove(parameter: Parameter<'_>) -> Result<Edit, DirectiveError> {
    edit(parameter, parameter.text()?, Action::Remove)
}

fn rename(parameter: Parameter<'_>) -> Result<Edit, DirectiveError> {
    let (old, new) = path::split(parameter.text()?).ok_or_else(|| parameter.invalid())?;
    let (old, new) = path::parse(old).zip(path::parse(new)).ok_or_else(|| parameter.invalid())?;
    // The new name is a name, or a path to the same place.
    let (parent, last) = split_last(parameter, old)?;
    let (beside, name) = split_last(parameter, new)?;
    match (&last, name) {
        (Step::Name(_), Step::Name(name)) if beside.is_empty() || beside == parent => {
            let key = key(&name);
            Ok(Edit { parent, last, action: Action::Rename(name, key) })
        }
        _ => Err(parameter.invalid()),
    }
}

fn replace(parameter: Parameter<'_>) -> Result<Edit, DirectiveError> {
    let (path, value) = path_and_json(parameter)?;
    edit(parameter, path, Action::Replace(value))
}

fn add(parameter: Parameter<'_>) -> Result<Edit, DirectiveError> {
    let (path, value) = path_and_json(parameter)?;
    let mut edit = edit(parameter, path, Action::Remove)?;
    let Step::Name(last) = &edit.last else { return Err(parameter.invalid()) };
    // One key a step, so that an index serves both; a step into an array has none.
    let keys = edit.parent.iter().map(|step| match step {
        Step::Name(name) => key(name),
        Step::Each => Box::default(),
    });
    edit.action = Action::Add(value, keys.chain([key(last)]).collect());
    Ok(edit)
}

fn edit(parameter: Parameter<'_>, path: &str, action: Action) -> Result<Edit, DirectiveError> {
    let steps = path::parse(path).ok_or_else(|| parameter.invalid())?;
    let (parent, last) = split_last(parameter, steps)?;
    Ok(Edit { parent, last, action })
}

fn split_last(
    parameter: Parameter<'_>,
    mut steps: Vec<Step>,
) -> Result<(Vec<Step>, Step), DirectiveError> {
    let last = steps.pop().ok_or_else(|| parameter.invalid())?;
    Ok((steps, last))
}

fn path_and_json(parameter: Parameter<'_>) -> Result<(&str, Box<str>), DirectiveError> {
    let (path, value) = path::split(parameter.text()?).ok_or_else(|| parameter.invalid())?;
    match serde_json::from_str::<&RawValue>(value) {
        Ok(json) => Ok((path, json.get().trim().into())),
        Err(_) => {
            let text = format!("invalid JSON \"{value}\" in parameter \"{}\"", parameter.word);
            Err(DirectiveError::new(text))
        }
    }
}

/// A name as JSON writes it.
fn key(name: &str) -> Box<str> {
    serde_json::Value::from(name).to_string().into()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::directive::Place;
    use std::path::Path;

    /// The plan of a level that has this one directive.
    pub(in crate::response_json) fn plan(words: &[&str]) -> Result<Arc<ResponseJsonPlan>, String> {
        let mut level = ResponseJsonDirectives::default();
        parse(&mut level, words)?;
        level.compile().ok_or_else(|| "off".to_owned())
    }

    fn parse(level: &mut ResponseJsonDirectives, words: &[&str]) -> Result<(), String> {
        let words = Words::new("response_json", words, Place::default(), Path::new("/etc/nginx"));
        ResponseJson::parse(&words, level).map_err(|error| error.to_string())
    }

    #[test]
    fn wrong_words_are_named() {
        let nothing =
            "\"response_json\" must have \"remove\", \"rename\", \"replace\" or \"add\" parameter";
        for (words, expected) in [
            (&["max=1m"][..], nothing),
            (&["remove"], "invalid parameter \"remove\""),
            (&["remove=a..b"], "invalid parameter \"remove=a..b\""),
            (&["remove=items[0]"], "invalid parameter \"remove=items[0]\""),
            (&["rename=a"], "invalid parameter \"rename=a\""),
            (&["rename=a:"], "invalid parameter \"rename=a:\""),
            (&["rename=a[]:b"], "invalid parameter \"rename=a[]:b\""),
            (&["rename=a:b[]"], "invalid parameter \"rename=a:b[]\""),
            (&["rename=a.b:c.d"], "invalid parameter \"rename=a.b:c.d\""),
            (&["replace=a"], "invalid parameter \"replace=a\""),
            (&["replace=a:yes"], "invalid JSON \"yes\" in parameter \"replace=a:yes\""),
            (&["add=a:"], "invalid JSON \"\" in parameter \"add=a:\""),
            (&["add=a:1 2"], "invalid JSON \"1 2\" in parameter \"add=a:1 2\""),
            (&["add=a[]:1"], "invalid parameter \"add=a[]:1\""),
            (&["remove=a", "max=0"], "invalid parameter \"max=0\""),
            (&["remove=a", "max=x"], "invalid parameter \"max=x\""),
            (&["remove=a", "max=1", "max=1"], "duplicate parameter \"max=1\""),
            (&["remove=a", "unreadable=ok"], "invalid parameter \"unreadable=ok\""),
            (&["remove=a", "append=b:1"], "invalid parameter \"append=b:1\""),
        ] {
            assert_eq!(plan(words).unwrap_err(), expected, "{words:?}");
        }
    }

    #[test]
    fn defaults_are_the_contracts() {
        let read = |words: &[&str]| plan(words).map(|plan| (plan.max_bytes, plan.unreadable));
        assert_eq!(read(&["remove=a"]), Ok((1_048_576, OnUnreadable::Fail)));
        assert_eq!(
            read(&["remove=a", "max=2k", "unreadable=pass"]),
            Ok((2048, OnUnreadable::Pass))
        );
    }

    #[test]
    fn a_level_has_one_directive_and_off_stops_inheritance() {
        let mut outer = ResponseJsonDirectives::default();
        parse(&mut outer, &["remove=a"]).unwrap();
        let twice = parse(&mut outer, &["remove=b"]).unwrap_err();
        assert_eq!(twice, "\"response_json\" directive is duplicate");
        let (mut inherits, mut off) = <(ResponseJsonDirectives, ResponseJsonDirectives)>::default();
        inherits.merge(&outer);
        assert!(inherits.compile().is_some());
        parse(&mut off, &["off"]).unwrap();
        off.merge(&outer);
        assert!(off.compile().is_none());
    }
}
