//! `route`

use super::template::{PathParameters, Template};
use crate::directive::{Context, Directive, DirectiveError, Takes, Words};

/// The `route` of one level; the outer `None` is not written, the inner one is `off`.
#[derive(Clone, Debug, Default)]
pub struct RouteDirectives {
    /// `route "TEMPLATE" [name=NAME];`
    pub route: Option<Option<RoutePlan>>,
}

/// A location's route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePlan {
    template: Template,
    label: Box<str>,
}

impl RoutePlan {
    /// The template as written: the event's resource.
    pub fn template(&self) -> &str {
        self.template.as_str()
    }

    /// `name=`, else the template: `$route` and the metrics' label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The names of the template's parameters, in its order.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.template.parameter_names()
    }

    /// The path's parameters; `None` when the path does not match.
    ///
    /// `path` is percent-encoded and normalised, with no query.
    pub fn match_path<'a>(&'a self, path: &'a [u8]) -> Option<PathParameters<'a>> {
        self.template.match_path(path)
    }

    /// The parameters of a percent-encoded path, still encoded; `None` when it does not match.
    pub fn match_raw<'a>(&'a self, path: &'a [u8]) -> Option<Vec<(&'a str, &'a [u8])>> {
        self.template.match_raw(path)
    }
}

impl RouteDirectives {
    /// Takes over from the outer level what this one does not write.
    pub fn merge(&mut self, outer: &Self) {
        if self.route.is_none() {
            self.route = outer.route.clone();
        }
    }

    /// The plan, if a route is in force.
    pub fn compile(&self) -> Result<Option<RoutePlan>, DirectiveError> {
        Ok(self.route.clone().flatten())
    }
}

/// `route "TEMPLATE" [name=NAME];`
#[derive(Clone, Copy, Debug)]
pub struct Route;

impl Directive for Route {
    type Settings = RouteDirectives;
    const NAME: &'static str = "route";
    const SYNTAX: &'static str = "\"TEMPLATE\" [name=NAME] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::LOCATION;
    const TAKES: Takes = Takes::OneOrTwo;

    fn parse(words: &Words<'_>, level: &mut RouteDirectives) -> Result<(), DirectiveError> {
        if words.is_off()? {
            return words.set_once(&mut level.route, None);
        }
        let text = words.first()?;
        let template = Template::parse(text).map_err(|reason| {
            DirectiveError::new(format!("invalid route template \"{text}\": {reason}"))
        })?;
        let mut label = None;
        for parameter in words.parameters(1) {
            match parameter.name {
                "name" => parameter.set_once(&mut label, parameter.text()?)?,
                _ => return Err(parameter.invalid()),
            }
        }
        let label = label.unwrap_or(text).into();
        words.set_once(&mut level.route, Some(RoutePlan { template, label }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::directive::Place;

    fn level(lines: &[&[&str]]) -> Result<RouteDirectives, String> {
        let mut level = RouteDirectives::default();
        for line in lines {
            let words = Words::new("route", line, Place::default(), Path::new("/"));
            Route::parse(&words, &mut level).map_err(|error| error.to_string())?;
        }
        Ok(level)
    }

    #[test]
    fn a_route_has_its_template_and_a_label() {
        for (line, label) in
            [(&["/users/{id}"][..], "/users/{id}"), (&["/users/{id}", "name=users"], "users")]
        {
            let plan = level(&[line]).unwrap().compile().unwrap().unwrap();
            assert_eq!((plan.template(), plan.label()), ("/users/{id}", label));
            assert_eq!(plan.parameter_names().collect::<Vec<_>>(), ["id"]);
        }
        assert_eq!(RouteDirectives::default().compile().unwrap(), None);
    }

    #[test]
    fn inner_levels_inherit_replace_or_stop_the_route() {
        let outer = level(&[&["/a"]]).unwrap();
        for (lines, expected) in
            [(&[][..], Some("/a")), (&[&["/b"][..]], Some("/b")), (&[&["off"]], None)]
        {
            let mut inner = level(lines).unwrap();
            inner.merge(&outer);
            let plan = inner.compile().unwrap();
            assert_eq!(plan.as_ref().map(RoutePlan::template), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (lines, expected) in [
            (&[&["users"][..]][..], "invalid route template \"users\": it must begin with a slash"),
            (&[&["/a", "label=x"]], "invalid parameter \"label=x\""),
            (&[&["/a", "name="]], "invalid parameter \"name=\""),
            (&[&["/a"], &["/b"]], "\"route\" directive is duplicate"),
        ] {
            assert_eq!(level(lines).unwrap_err(), expected);
        }
    }
}
