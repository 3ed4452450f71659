//! A rate, and the units of nginx's time spelling that its window may have.

use crate::directive::parse_integer;

/// The largest number of requests a rate may allow in one window.
///
/// Far below 2^53, so that a count stays exact in Redis's Lua, whose numbers are doubles.
pub const MAX_LIMIT: u64 = 1_000_000_000_000;

/// The window of a rate, from the shortest to the longest; the order is the order of `Ord`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Unit {
    /// `s`, a UTC second
    Second,
    /// `m`, a UTC minute
    Minute,
    /// `h`, a UTC hour
    Hour,
    /// `d`, a UTC day
    Day,
    /// `w`, an ISO week, Monday to Sunday
    Week,
    /// `M`, a calendar month
    Month,
    /// `y`, a calendar year
    Year,
}

impl Unit {
    /// Every unit, shortest first.
    pub const ALL: [Self; 7] =
        [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// The unit that nginx writes so; `None` for any other letter.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.symbol() == text)
    }

    /// The letter behind `r/`.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
            Self::Week => "w",
            Self::Month => "M",
            Self::Year => "y",
        }
    }

    /// The last word of `X-RateLimit-Limit-Minute`.
    pub fn header_suffix(self) -> &'static str {
        match self {
            Self::Second => "Second",
            Self::Minute => "Minute",
            Self::Hour => "Hour",
            Self::Day => "Day",
            Self::Week => "Week",
            Self::Month => "Month",
            Self::Year => "Year",
        }
    }
}

/// So many requests in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// 1 to [`MAX_LIMIT`]
    pub limit: u64,
    /// the window
    pub unit: Unit,
}

impl Rate {
    /// The rate written `100r/m`; `None` for anything else, a limit of 0 included.
    pub fn parse(text: &str) -> Option<Self> {
        let (limit, unit) = text.split_once("r/")?;
        let limit = parse_integer(limit).filter(|limit| (1..=MAX_LIMIT).contains(limit))?;
        Some(Self { limit, unit: Unit::parse(unit)? })
    }

    /// One host's share when so many have the rate together; at least 1.
    pub fn share(self, nodes: u64) -> Self {
        Self { limit: (self.limit / nodes.max(1)).max(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_as_limit_req_writes_them_with_nginx_time_units() {
        let rate = |limit, unit| Some(Rate { limit, unit });
        for (text, expected) in [
            ("1r/s", rate(1, Unit::Second)),
            ("100r/m", rate(100, Unit::Minute)),
            ("7r/h", rate(7, Unit::Hour)),
            ("10r/d", rate(10, Unit::Day)),
            ("10r/w", rate(10, Unit::Week)),
            ("10r/M", rate(10, Unit::Month)),
            ("1000000000000r/y", rate(1_000_000_000_000, Unit::Year)),
            ("1000000000001r/y", None),
            ("0r/s", None),
            ("-1r/s", None),
            ("+1r/s", None),
            ("1.5r/s", None),
            ("r/s", None),
            ("10", None),
            ("10r/", None),
            ("10r/D", None),
            ("10r/min", None),
            ("10 r/m", None),
            ("10R/m", None),
            ("18446744073709551616r/s", None),
        ] {
            assert_eq!(Rate::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn units_are_ordered_by_length_and_named_for_headers() {
        assert!(Unit::ALL.is_sorted());
        let names: Vec<_> = Unit::ALL.iter().map(|unit| unit.header_suffix()).collect();
        assert_eq!(names, ["Second", "Minute", "Hour", "Day", "Week", "Month", "Year"]);
    }
}
