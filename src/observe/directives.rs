//! `apigate_metrics`.

use crate::directive::{Context, Directive, DirectiveError, Takes, Words, parse_integer};

/// The most consumers that are told apart.
const MAX_CONSUMERS: u64 = 10_000;

/// The room's directives of one level. Content handlers are not inherited by locations inside.
#[derive(Clone, Debug, Default)]
pub struct MetricsDirectives {
    metrics: Option<MetricsPlan>,
}

/// A location that serves metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsPlan {
    /// How many consumers are told apart; the others are counted together. 0: consumers are not counted.
    pub consumers: usize,
}

impl MetricsDirectives {
    /// Takes the content handler of the location around an `if` or `method` block.
    pub fn inherit_handler(&mut self, location: &Self) {
        self.metrics = self.metrics.or(location.metrics);
    }

    /// The plan, if the location serves metrics.
    pub fn compile(&self) -> Option<MetricsPlan> {
        self.metrics
    }
}

/// `apigate_metrics [consumers=N];`
#[derive(Clone, Copy, Debug)]
pub struct ApigateMetrics;

impl Directive for ApigateMetrics {
    type Settings = MetricsDirectives;
    const NAME: &'static str = "apigate_metrics";
    const SYNTAX: &'static str = "[consumers=N]";
    const DEFAULT: &'static str = "";
    const CONTEXT: Context = Context::LOCATION;
    const TAKES: Takes = Takes::Any;
    const HANDLES: bool = true;

    fn parse(words: &Words<'_>, level: &mut MetricsDirectives) -> Result<(), DirectiveError> {
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
        words.set_once(&mut level.metrics, MetricsPlan { consumers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directive::Place;
    use std::path::Path;

    fn read(arguments: &[&str]) -> Result<Option<MetricsPlan>, String> {
        let mut level = MetricsDirectives::default();
        let words =
            Words::new("apigate_metrics", arguments, Place::default(), Path::new("/etc/nginx"));
        ApigateMetrics::parse(&words, &mut level).map_err(|error| error.to_string())?;
        Ok(level.compile())
    }

    #[test]
    fn consumers_are_told_apart_only_where_that_is_said() {
        assert_eq!(read(&[]), Ok(Some(MetricsPlan { consumers: 0 })));
        assert_eq!(read(&["consumers=50"]), Ok(Some(MetricsPlan { consumers: 50 })));
        for wrong in ["consumers=0", "consumers=10001", "consumers=", "consumers=x", "consumer=1"] {
            assert!(read(&[wrong]).unwrap_err().contains(&format!("\"{wrong}\"")), "{wrong}");
        }
        assert!(read(&["consumers=1", "consumers=2"]).is_err());
    }
}
