use super::PathPlan;
use crate::directive::{Context, Directive, DirectiveError, Takes, Words};

/// `path_ambiguous` of one level.
#[derive(Clone, Debug, Default)]
pub struct PathDirectives {
    refuse: Option<bool>,
}

impl PathDirectives {
    /// Takes from the outer level what is not written here.
    pub fn merge(&mut self, outer: &Self) {
        self.refuse = self.refuse.or(outer.refuse);
    }

    /// The plan; `None` when paths are not looked at.
    pub fn compile(&self) -> Option<PathPlan> {
        (self.refuse == Some(true)).then_some(PathPlan)
    }
}

/// `path_ambiguous refuse | off;`
pub struct PathAmbiguous;

impl Directive for PathAmbiguous {
    type Settings = PathDirectives;
    const NAME: &'static str = "path_ambiguous";
    const SYNTAX: &'static str = "refuse | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::One;

    fn parse(words: &Words<'_>, level: &mut PathDirectives) -> Result<(), DirectiveError> {
        let refuse = match words.first()? {
            "refuse" => true,
            "off" => false,
            other => return Err(words.invalid(other)),
        };
        words.set_once(&mut level.refuse, refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directive::Place;
    use std::path::Path;

    fn read(level: &mut PathDirectives, word: &str) -> Result<(), DirectiveError> {
        let arguments = [word];
        let words = Words::new("path_ambiguous", &arguments, Place::default(), Path::new("/"));
        PathAmbiguous::parse(&words, level)
    }

    #[test]
    fn off_stops_inheritance_and_nothing_is_refused_unasked() {
        let mut outer = PathDirectives::default();
        assert_eq!(outer.compile(), None);
        read(&mut outer, "refuse").unwrap();
        let mut silent = PathDirectives::default();
        silent.merge(&outer);
        assert_eq!(silent.compile(), Some(PathPlan));
        let mut off = PathDirectives::default();
        read(&mut off, "off").unwrap();
        off.merge(&outer);
        assert_eq!(off.compile(), None);
    }

    #[test]
    fn a_wrong_word_and_a_second_directive_are_named() {
        let mut level = PathDirectives::default();
        let wrong = read(&mut level, "on").unwrap_err();
        assert_eq!(wrong.to_string(), "invalid value \"on\" in \"path_ambiguous\" directive");
        read(&mut level, "refuse").unwrap();
        let twice = read(&mut level, "off").unwrap_err();
        assert_eq!(twice.to_string(), "\"path_ambiguous\" directive is duplicate");
    }
}
