//! `acl`: words to settings, settings to a plan.

use crate::consumers::Name;
use crate::directive::{Context, Directive, DirectiveError, Place, Takes, Words};

/// What one level says of groups.
#[derive(Clone, Debug, Default)]
pub struct AclDirectives {
    /// `None` when the level has no `acl`, `Some(None)` for `off`
    acl: Option<Option<AclPlan>>,
}

/// `acl` in force at a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclPlan {
    /// The groups one of which is needed; `None` when any will do, and none.
    pub(super) allow: Option<Groups>,
    /// The groups that are refused.
    pub(super) deny: Groups,
    /// True when upstreams are not told the groups.
    pub(super) hide_groups: bool,
    place: Place,
}

/// Names of groups, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups(Box<[Box<str>]>);

impl Groups {
    fn new(mut names: Vec<String>) -> Self {
        names.sort_unstable();
        names.dedup();
        Self(names.into_iter().map(String::into_boxed_str).collect())
    }

    /// True when one of these is among them.
    pub(super) fn contain_any<'g>(&self, mut groups: impl Iterator<Item = Name<'g>>) -> bool {
        let is_one = |group: Name<'_>| {
            self.0.binary_search_by(|name| name.as_bytes().cmp(group.as_bytes())).is_ok()
        };
        !self.0.is_empty() && groups.any(is_one)
    }
}

impl AclPlan {
    /// Whether upstreams are told the groups.
    pub fn sends_groups(&self) -> bool {
        !self.hide_groups
    }

    /// Where the directive stands.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl AclDirectives {
    /// Takes over from the level above what this one does not say.
    pub fn merge(&mut self, outer: &Self) {
        if self.acl.is_none() {
            self.acl.clone_from(&outer.acl);
        }
    }

    /// The plan; `None` when there is no `acl` in force.
    ///
    /// Errors: no `key_auth` is in force at the location.
    pub fn compile(&self, key_auth_in_force: bool) -> Result<Option<AclPlan>, DirectiveError> {
        match &self.acl {
            Some(Some(plan)) if !key_auth_in_force => {
                let message = "\"acl\" requires \"key_auth\" wherever it is in force";
                Err(DirectiveError::new(message).at(&plan.place))
            }
            Some(Some(plan)) => Ok(Some(plan.clone())),
            _ => Ok(None),
        }
    }
}

/// `acl [allow=GROUP,...] [deny=GROUP,...] [hide_groups]`, `acl off`
#[derive(Debug)]
pub struct Acl;

impl Directive for Acl {
    type Settings = AclDirectives;
    const NAME: &'static str = "acl";
    const SYNTAX: &'static str = "[allow=GROUP,...] [deny=GROUP,...] [hide_groups] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut AclDirectives) -> Result<(), DirectiveError> {
        if words.is_off()? {
            return words.set_once(&mut level.acl, None);
        }
        let (mut allow, mut deny, mut hide_groups) = (None, None, None);
        for parameter in words.parameters(0) {
            match parameter.name {
                "allow" => parameter.set_once(&mut allow, Groups::new(parameter.names()?))?,
                "deny" => parameter.set_once(&mut deny, Groups::new(parameter.names()?))?,
                "hide_groups" => {
                    parameter.bare()?;
                    parameter.set_once(&mut hide_groups, true)?;
                }
                _ => return Err(parameter.invalid()),
            }
        }
        if allow.is_none() && deny.is_none() {
            return Err(DirectiveError::new("\"acl\" must have \"allow\" or \"deny\" parameter"));
        }
        let deny = deny.unwrap_or_default();
        let (hide_groups, place) = (hide_groups.unwrap_or(false), words.place().clone());
        words.set_once(&mut level.acl, Some(AclPlan { allow, deny, hide_groups, place }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(level: &mut AclDirectives, words: &[&str]) -> Result<(), String> {
        let place = Place { file: "nginx.conf".into(), line: 7 };
        let words = Words::new("acl", words, place, Path::new("/etc/nginx"));
        Acl::parse(&words, level).map_err(|error| error.to_string())
    }

    #[test]
    fn wrong_words_are_named() {
        for (words, expected) in [
            (&["allow=a,b", "deny=c", "hide_groups"][..], Ok(())),
            (&["hide_groups"], Err("\"acl\" must have \"allow\" or \"deny\" parameter")),
            (&["allow=a", "allow=b"], Err("duplicate parameter \"allow=b\"")),
            (&["allow="], Err("invalid parameter \"allow=\"")),
            (&["allow=a,,b"], Err("invalid parameter \"allow=a,,b\"")),
            (&["allow=a", "hide_groups=on"], Err("invalid parameter \"hide_groups=on\"")),
            (&["deny=z, y"], Err("invalid parameter \"deny=z, y\"")),
            (&["off", "x"], Err("invalid parameter \"x\"")),
            (&["allow=a", "off"], Err("invalid parameter \"off\"")),
        ] {
            let read = parse(&mut AclDirectives::default(), words);
            assert_eq!(read, expected.map_err(str::to_owned), "{words:?}");
        }
    }

    #[test]
    fn a_second_acl_on_one_level_is_a_duplicate() {
        for (first, second) in [("allow=a", "off"), ("off", "allow=a"), ("allow=a", "deny=b")] {
            let mut level = AclDirectives::default();
            parse(&mut level, &[first]).unwrap();
            let expected = Err("\"acl\" directive is duplicate".to_owned());
            assert_eq!(parse(&mut level, &[second]), expected, "{first}, {second}");
        }
    }

    #[test]
    fn off_stops_inheritance_and_silence_inherits() {
        let mut outer = AclDirectives::default();
        parse(&mut outer, &["allow=a"]).unwrap();
        let (mut silent, mut off) = (AclDirectives::default(), AclDirectives::default());
        parse(&mut off, &["off"]).unwrap();
        silent.merge(&outer);
        off.merge(&outer);
        assert!(silent.compile(true).unwrap().is_some());
        assert_eq!(off.compile(true).unwrap(), None);
        assert_eq!(off.compile(false).unwrap(), None);
    }

    #[test]
    fn without_key_auth_it_is_refused_where_it_stands() {
        let mut level = AclDirectives::default();
        parse(&mut level, &["allow=a"]).unwrap();
        let error = level.compile(false).unwrap_err();
        let expected = "\"acl\" requires \"key_auth\" wherever it is in force";
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.place().unwrap().line, 7);
    }
}
