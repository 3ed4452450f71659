use super::{MethodName, MethodPlan};
use crate::directive::{Context, Directive, DirectiveError, Place, Takes, Words};

/// `method` and `method_not_allowed` of one level.
#[derive(Clone, Debug, Default)]
pub struct MethodDirectives {
    blocks: Vec<Box<[MethodName]>>,
    not_allowed: Option<(bool, Place)>,
}

impl MethodDirectives {
    /// True when the level has blocks.
    pub fn has_blocks(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// The names of a block, as written.
    pub fn names(&self, block: usize) -> impl Iterator<Item = &str> {
        self.blocks.get(block).into_iter().flatten().map(MethodName::as_str)
    }

    /// An error when a location refuses all methods but those of its blocks, and has no blocks. Called before `merge`.
    pub fn check(&self) -> Result<(), DirectiveError> {
        match &self.not_allowed {
            Some((true, place)) if self.blocks.is_empty() => {
                let text = "\"method_not_allowed\" requires \"method\" in the same location";
                Err(DirectiveError::new(text).at(place))
            }
            _ => Ok(()),
        }
    }

    /// Takes from the outer level what is not written here; blocks belong to their location alone.
    pub fn merge(&mut self, outer: &Self) {
        if self.not_allowed.is_none() {
            self.not_allowed.clone_from(&outer.not_allowed);
        }
    }

    /// The plan; `None` without blocks.
    pub fn compile(&self) -> Option<MethodPlan> {
        let refuses_others = self.not_allowed.as_ref().is_some_and(|(on, _)| *on);
        self.has_blocks().then(|| MethodPlan::new(self.blocks.clone(), refuses_others))
    }
}

/// `method NAME... { ... }`: the words before the block, which nginx/method.rs reads.
pub struct Method;

impl Directive for Method {
    type Settings = MethodDirectives;
    const NAME: &'static str = "method";
    const SYNTAX: &'static str = "NAME... { ... }";
    const DEFAULT: &'static str = "";
    const CONTEXT: Context = Context::LOCATION;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut MethodDirectives) -> Result<(), DirectiveError> {
        let mut block = Vec::new();
        for word in words.arguments() {
            let name = MethodName::parse(word)
                .ok_or_else(|| DirectiveError::new(format!("invalid method \"{word}\"")))?;
            if block.contains(&name) || level.blocks.iter().any(|other| other.contains(&name)) {
                return Err(DirectiveError::new(format!("duplicate method \"{word}\"")));
            }
            block.push(name);
        }
        level.blocks.push(block.into());
        Ok(())
    }
}

/// `method_not_allowed [off];`
pub struct MethodNotAllowed;

impl Directive for MethodNotAllowed {
    type Settings = MethodDirectives;
    const NAME: &'static str = "method_not_allowed";
    const SYNTAX: &'static str = "[off]";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::Any;

    fn parse(words: &Words<'_>, level: &mut MethodDirectives) -> Result<(), DirectiveError> {
        let refuses = match words.arguments() {
            [] => true,
            ["off"] => false,
            [other] => return Err(words.invalid(other)),
            _ => return Err(words.wrong_count()),
        };
        words.set_once(&mut level.not_allowed, (refuses, words.place().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Decision;
    use std::path::Path;

    fn read<D: Directive>(level: &mut D::Settings, text: &[&str]) -> Result<(), DirectiveError> {
        let place = Place { file: "a.conf".into(), line: 7 };
        D::parse(&Words::new(D::NAME, text, place, Path::new("/")), level)
    }

    fn with_blocks(blocks: &[&[&str]]) -> MethodDirectives {
        let mut level = MethodDirectives::default();
        for block in blocks {
            read::<Method>(&mut level, block).unwrap();
        }
        level
    }

    #[test]
    fn a_method_has_one_block() {
        for (added, expected) in [
            (&["get"][..], "invalid method \"get\""),
            (&["GET", "PATCH", "GET"], "duplicate method \"GET\""),
            (&["POST"], "duplicate method \"POST\""),
        ] {
            let mut level = with_blocks(&[&["DELETE"], &["PUT", "POST"]]);
            assert_eq!(read::<Method>(&mut level, added).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn blocks_are_not_inherited_but_the_refusal_of_other_methods_is() {
        let mut outer = with_blocks(&[&["GET"]]);
        read::<MethodNotAllowed>(&mut outer, &[]).unwrap();
        let mut bare = MethodDirectives::default();
        bare.merge(&outer);
        assert_eq!(bare.compile(), None);

        let refuses = |inner: &MethodDirectives| {
            let plan = inner.compile().unwrap();
            super::super::decide(&plan, b"PUT", false) != Decision::Continue
        };
        let mut inner = with_blocks(&[&["POST"]]);
        inner.merge(&outer);
        assert!(refuses(&inner));
        let mut off = with_blocks(&[&["POST"]]);
        read::<MethodNotAllowed>(&mut off, &["off"]).unwrap();
        off.merge(&outer);
        assert!(!refuses(&off));
        assert!(!refuses(&with_blocks(&[&["POST"]])));
    }

    #[test]
    fn a_refusal_without_blocks_would_refuse_nothing() {
        let mut level = MethodDirectives::default();
        read::<MethodNotAllowed>(&mut level, &[]).unwrap();
        let error = level.check().unwrap_err();
        let text = "\"method_not_allowed\" requires \"method\" in the same location";
        assert_eq!(error.to_string(), text);
        assert_eq!(error.place().map(|place| place.line), Some(7));
        read::<Method>(&mut level, &["GET"]).unwrap();
        assert_eq!(level.check(), Ok(()));
        let mut off = MethodDirectives::default();
        read::<MethodNotAllowed>(&mut off, &["off"]).unwrap();
        assert_eq!(off.check(), Ok(()));
    }

    #[test]
    fn wrong_words_are_named() {
        let mut level = MethodDirectives::default();
        for (words, expected) in [
            (&["on"][..], "invalid value \"on\" in \"method_not_allowed\" directive"),
            (&["a", "b"], "invalid number of arguments in \"method_not_allowed\" directive"),
        ] {
            let error = read::<MethodNotAllowed>(&mut level, words).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        read::<MethodNotAllowed>(&mut level, &["off"]).unwrap();
        let twice = read::<MethodNotAllowed>(&mut level, &[]).unwrap_err();
        assert_eq!(twice.to_string(), "\"method_not_allowed\" directive is duplicate");
    }
}
