//! `apigate_metrics` and `apigate_health`.

use crate::directive::{Context, Directive, DirectiveError, Takes, Words, parse_integer};

/// The most consumers that are told apart.
const MAX_CONSUMERS: u64 = 10_000;

/// The room's directives of one level. Content handlers are not inherited by locations inside.
#[derive(Clone, Debug, Default)]
pub struct ObserveDirectives {
    endpoint: Option<Endpoint>,
}

/// What a location serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Metrics.
    Metrics {
        /// How many consumers are told apart; the others are counted together. 0: consumers are not counted.
        consumers: usize,
    },
    /// Whether requests can be served.
    Health,
}

impl ObserveDirectives {
    /// Takes the content handler of the location around an `if` or `method` block.
    pub fn inherit_handler(&mut self, location: &Self) {
        self.endpoint = self.endpoint.or(location.endpoint);
    }

    /// What the location serves, if anything of the room.
    pub fn compile(&self) -> Option<Endpoint> {
        self.endpoint
    }
}

/// `apigate_metrics [consumers=N];`
#[derive(Clone, Copy, Debug)]
pub struct ApigateMetrics;

impl Directive for ApigateMetrics {
    type Settings = ObserveDirectives;
    const NAME: &'static str = "apigate_metrics";
    const SYNTAX: &'static str = "[consumers=N]";
    const DEFAULT: &'static str = "";
    const CONTEXT: Context = Context::LOCATION;
    const TAKES: Takes = Takes::Any;
    const HANDLES: bool = true;

    fn parse(words: &Words<'_>, level: &mut ObserveDirectives) -> Result<(), DirectiveError> {
        let mut consumers = None;
        for parameter in words.parameters(0) {
            match parameter.name {
                "consumers" => {
                    let in_bounds = |text: &str| {
                        parse_integer(text).filter(|number| (1..=MAX_CONSUMERS).contains(number))
                    };
                    parameter.set_once(&mut consumers, parameter.parsed(in_bounds)?)?;
                }
                _ => return Err(parameter.invalid()),
            }
        }
        let consumers = usize::try_from(consumers.unwrap_or(0)).unwrap_or(0);
        words.set_once(&mut level.endpoint, Endpoint::Metrics { consumers })
    }
}

/// `apigate_health;`
#[derive(Clone, Copy, Debug)]
pub struct ApigateHealth;

impl Directive for ApigateHealth {
    type Settings = ObserveDirectives;
    const NAME: &'static str = "apigate_health";
    const SYNTAX: &'static str = "";
    const DEFAULT: &'static str = "";
    const CONTEXT: Context = Context::LOCATION;
    const TAKES: Takes = Takes::Any;
    const HANDLES: bool = true;

    fn parse(words: &Words<'_>, level: &mut ObserveDirectives) -> Result<(), DirectiveError> {
        if let Some(parameter) = words.parameters(0).next() {
            return Err(parameter.invalid());
        }
        words.set_once(&mut level.endpoint, Endpoint::Health)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directive::Place;
    use std::path::Path;

    fn read<D: Directive<Settings = ObserveDirectives>>(
        arguments: &[&str],
    ) -> Result<Option<Endpoint>, String> {
        let mut level = ObserveDirectives::default();
        let words = Words::new(D::NAME, arguments, Place::default(), Path::new("/etc/nginx"));
        D::parse(&words, &mut level).map_err(|error| error.to_string())?;
        Ok(level.compile())
    }

    #[test]
    fn consumers_are_told_apart_only_where_that_is_said() {
        let metrics = read::<ApigateMetrics>;
        assert_eq!(metrics(&[]), Ok(Some(Endpoint::Metrics { consumers: 0 })));
        assert_eq!(metrics(&["consumers=50"]), Ok(Some(Endpoint::Metrics { consumers: 50 })));
        for wrong in ["consumers=0", "consumers=10001", "consumers=", "consumers=x", "consumer=1"] {
            assert!(metrics(&[wrong]).unwrap_err().contains(&format!("\"{wrong}\"")), "{wrong}");
        }
        assert!(metrics(&["consumers=1", "consumers=2"]).is_err());
    }

    #[test]
    fn health_takes_no_words() {
        assert_eq!(read::<ApigateHealth>(&[]), Ok(Some(Endpoint::Health)));
        let error = read::<ApigateHealth>(&["now"]).unwrap_err();
        assert_eq!(error, "invalid parameter \"now\"");
    }
}
