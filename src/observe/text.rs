use super::Family;
use super::histogram::{BOUNDS_MS, SUM};
use std::collections::BTreeMap;
use std::fmt::{Display, Write};

/// The labels of a series, as they stand between braces.
///
/// *Source*: Prometheus' text-based exposition format, version 0.0.4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    /// The same with one label more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(name);
        self.0.push_str("=\"");
        for character in value.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
        self.0.push('"');
        self
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A page of metrics in the making.
#[derive(Clone, Debug, Default)]
pub struct Page(String);

impl Page {
    /// The page's Content-Type.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Writes counters and histograms of requests; a family without series is left out.
    pub fn counted(&mut self, family: Family, series: &BTreeMap<String, Vec<u64>>) {
        if series.is_empty() {
            return;
        }
        let kind = if family.is_histogram() { "histogram" } else { "counter" };
        self.head(family.name(), kind, family.help());
        for (labels, numbers) in series {
            if family.is_histogram() {
                self.histogram(family.name(), labels, numbers);
            } else {
                self.sample(family.name(), labels, numbers.first().copied().unwrap_or(0));
            }
        }
    }

    /// Writes one metric with all its series; nothing when there are none.
    pub fn metric<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, V)>,
    ) {
        let mut series = series.into_iter().peekable();
        if series.peek().is_some() {
            self.head(name, kind, help);
        }
        for (labels, value) in series {
            self.sample(name, labels.as_str(), value);
        }
    }

    /// The page's text.
    pub fn finish(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{labels}}} {value}")
        };
    }

    fn histogram(&mut self, name: &str, labels: &str, numbers: &[u64]) {
        let mut count = 0;
        let bounds = BOUNDS_MS.iter().map(|bound_ms| seconds(*bound_ms)).chain(["+Inf".to_owned()]);
        for (bound, number) in bounds.zip(numbers) {
            count += number;
            let _ = writeln!(self.0, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
        }
        let sum_ms = numbers.get(SUM).copied().unwrap_or(0);
        self.sample(&format!("{name}_sum"), labels, seconds(sum_ms));
        self.sample(&format!("{name}_count"), labels, count);
    }
}

/// Milliseconds as seconds, without zeros at the end.
fn seconds(time_ms: u64) -> String {
    let text = format!("{}.{:03}", time_ms / 1_000, time_ms % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let labels = Labels::default().with("route", "~ ^/a\\d\"\n").with("x", "");
        assert_eq!(labels.as_str(), r#"route="~ ^/a\\d\"\n",x="""#);
    }

    #[test]
    fn a_page_has_heads_samples_and_cumulative_buckets() {
        let mut page = Page::default();
        page.counted(Family::Requests, &BTreeMap::new());
        page.counted(Family::Decisions, &BTreeMap::from([("a=\"1\"".to_owned(), vec![3])]));
        let mut numbers = vec![0; Family::GatewaySeconds.cells()];
        (numbers[0], numbers[1], numbers[14], numbers[SUM]) = (2, 1, 4, 120_005);
        page.counted(Family::GatewaySeconds, &BTreeMap::from([("r=\"/\"".to_owned(), numbers)]));
        page.metric("up", "gauge", "Up", [(Labels::default(), 1)]);
        page.metric("none", "gauge", "None", Vec::<(Labels, u8)>::new());
        let text = page.finish();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "# HELP apigate_policy_decisions_total What policies decided, by policy and reason",
                "# TYPE apigate_policy_decisions_total counter",
                "apigate_policy_decisions_total{a=\"1\"} 3",
                "# HELP apigate_gateway_seconds Time of requests without that of their upstreams",
                "# TYPE apigate_gateway_seconds histogram",
            ]
        );
        assert_eq!(lines[5], "apigate_gateway_seconds_bucket{r=\"/\",le=\"0.001\"} 2");
        assert_eq!(lines[6], "apigate_gateway_seconds_bucket{r=\"/\",le=\"0.002\"} 3");
        assert_eq!(lines[15], "apigate_gateway_seconds_bucket{r=\"/\",le=\"2.5\"} 3");
        assert_eq!(
            lines[18..],
            [
                "apigate_gateway_seconds_bucket{r=\"/\",le=\"30\"} 3",
                "apigate_gateway_seconds_bucket{r=\"/\",le=\"+Inf\"} 7",
                "apigate_gateway_seconds_sum{r=\"/\"} 120.005",
                "apigate_gateway_seconds_count{r=\"/\"} 7",
                "# HELP up Up",
                "# TYPE up gauge",
                "up 1",
            ]
        );
    }
}
