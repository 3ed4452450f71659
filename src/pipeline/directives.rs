use super::{ErrorFormat, Mode};
use crate::directive::{Context, Directive, DirectiveError, Takes, Words};

/// `policy_mode` and `policy_errors` of one level.
#[derive(Clone, Debug, Default)]
pub struct PipelineDirectives {
    mode: Option<Mode>,
    errors: Option<ErrorFormat>,
}

/// How refusals of a location are carried out and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipelinePlan {
    /// Whether refusals are carried out.
    pub mode: Mode,
    /// The shape of error bodies.
    pub errors: ErrorFormat,
}

impl PipelineDirectives {
    /// True when `policy_errors` is written here or above: the location's errors have our shape.
    pub fn shapes_errors(&self) -> bool {
        self.errors.is_some()
    }

    /// Takes from the outer level what is not written here.
    pub fn merge(&mut self, outer: &Self) {
        self.mode = self.mode.or(outer.mode);
        self.errors = self.errors.or(outer.errors);
    }

    /// The plan, defaults filled in.
    pub fn compile(&self) -> PipelinePlan {
        PipelinePlan {
            mode: self.mode.unwrap_or_default(),
            errors: self.errors.unwrap_or_default(),
        }
    }
}

/// `policy_mode enforce | observe;`
pub struct PolicyMode;

impl Directive for PolicyMode {
    type Settings = PipelineDirectives;
    const NAME: &'static str = "policy_mode";
    const SYNTAX: &'static str = "enforce | observe";
    const DEFAULT: &'static str = "enforce";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::One;

    fn parse(words: &Words<'_>, level: &mut PipelineDirectives) -> Result<(), DirectiveError> {
        let mode = match words.first()? {
            "enforce" => Mode::Enforce,
            "observe" => Mode::Observe,
            other => return Err(words.invalid(other)),
        };
        words.set_once(&mut level.mode, mode)
    }
}

/// `policy_errors json | problem;`
pub struct PolicyErrors;

impl Directive for PolicyErrors {
    type Settings = PipelineDirectives;
    const NAME: &'static str = "policy_errors";
    const SYNTAX: &'static str = "json | problem";
    const DEFAULT: &'static str = "json";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::One;

    fn parse(words: &Words<'_>, level: &mut PipelineDirectives) -> Result<(), DirectiveError> {
        let format = match words.first()? {
            "json" => ErrorFormat::Json,
            "problem" => ErrorFormat::Problem,
            other => return Err(words.invalid(other)),
        };
        words.set_once(&mut level.errors, format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directive::Place;
    use std::path::Path;

    fn read<D: Directive>(level: &mut D::Settings, word: &str) -> Result<(), DirectiveError> {
        let arguments = [word];
        D::parse(&Words::new(D::NAME, &arguments, Place::default(), Path::new("/")), level)
    }

    #[test]
    fn an_inner_level_overrides_and_an_unwritten_one_inherits() {
        let mut outer = PipelineDirectives::default();
        read::<PolicyMode>(&mut outer, "observe").unwrap();
        read::<PolicyErrors>(&mut outer, "problem").unwrap();
        let mut inner = PipelineDirectives::default();
        read::<PolicyMode>(&mut inner, "enforce").unwrap();
        inner.merge(&outer);
        let expected = PipelinePlan { mode: Mode::Enforce, errors: ErrorFormat::Problem };
        assert_eq!(inner.compile(), expected);
    }

    #[test]
    fn a_wrong_word_and_a_second_directive_are_named() {
        let mut level = PipelineDirectives::default();
        let wrong = read::<PolicyMode>(&mut level, "watch").unwrap_err();
        assert_eq!(wrong.to_string(), "invalid value \"watch\" in \"policy_mode\" directive");
        read::<PolicyErrors>(&mut level, "json").unwrap();
        let twice = read::<PolicyErrors>(&mut level, "json").unwrap_err();
        assert_eq!(twice.to_string(), "\"policy_errors\" directive is duplicate");
    }
}
