//! Windows of time on the UTC calendar, and what a counter's state means in them.
//!
//! Everything here is arithmetic on milliseconds since 1970-01-01T00:00:00Z; nothing knows a clock or a local time.

use super::rate::Unit;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// One window: `start_ms` belongs to it, `end_ms` is the next one's start. Both are whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// first millisecond
    pub start_ms: u64,
    /// first millisecond of the next window
    pub end_ms: u64,
}

impl Window {
    /// The window of a unit that a moment lies in.
    pub fn at(unit: Unit, now_ms: u64) -> Self {
        let aligned = |length_ms: u64| {
            let start_ms = now_ms - now_ms % length_ms;
            Self { start_ms, end_ms: start_ms + length_ms }
        };
        match unit {
            Unit::Second => aligned(SECOND_MS),
            Unit::Minute => aligned(MINUTE_MS),
            Unit::Hour => aligned(HOUR_MS),
            Unit::Day => aligned(DAY_MS),
            Unit::Week => week_at(now_ms),
            Unit::Month => {
                let (year, month) = year_and_month(now_ms / DAY_MS);
                let (next_year, next_month) =
                    if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                Self {
                    start_ms: days_before(year, month) * DAY_MS,
                    end_ms: days_before(next_year, next_month) * DAY_MS,
                }
            }
            Unit::Year => {
                let (year, _) = year_and_month(now_ms / DAY_MS);
                Self {
                    start_ms: days_before(year, 1) * DAY_MS,
                    end_ms: days_before(year + 1, 1) * DAY_MS,
                }
            }
        }
    }

    /// The window right after this one.
    pub fn next(self, unit: Unit) -> Self {
        Self::at(unit, self.end_ms)
    }

    /// Milliseconds from start to end.
    pub fn length_ms(self) -> u64 {
        self.end_ms - self.start_ms
    }
}

/// ISO weeks begin on Monday; 1970-01-01 was a Thursday. The week of the epoch is cut at the epoch.
fn week_at(now_ms: u64) -> Window {
    const MONDAY_TO_EPOCH_MS: u64 = 3 * DAY_MS;
    const WEEK_MS: u64 = 7 * DAY_MS;
    let shifted = now_ms + MONDAY_TO_EPOCH_MS;
    let end_ms = shifted - shifted % WEEK_MS + WEEK_MS - MONDAY_TO_EPOCH_MS;
    Window { start_ms: end_ms.saturating_sub(WEEK_MS), end_ms }
}

/// The Gregorian year and month (1 to 12) of a day counted from 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn year_and_month(day: u64) -> (u64, u64) {
    let day = day + 719_468;
    let era = day / 146_097;
    let day_of_era = day % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month)
}

/// Days from 1970-01-01 to the first day of a month (1 to 12) of a year from 1970 on.
///
/// Source: as [`year_and_month`], `days_from_civil`.
fn days_before(year: u64, month: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let era = year / 400;
    let year_of_era = year % 400;
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// How a rate looks back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// The current window alone.
    #[default]
    Fixed,
    /// The current window and the share of the previous one that has not passed yet.
    Sliding,
}

/// What a counter holds in the window that it was last charged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// the window of `current`
    pub window: Window,
    /// charged in the window
    pub current: u64,
    /// charged in the window before it
    pub previous: u64,
}

impl Count {
    /// A counter that was never charged.
    pub fn empty(unit: Unit, now_ms: u64) -> Self {
        Self { window: Window::at(unit, now_ms), current: 0, previous: 0 }
    }

    /// What may still be spent at a moment of the window, rounded down, never negative.
    ///
    /// A cost of at most this passes, so that "remaining" and "allowed" cannot disagree.
    pub fn remaining(&self, kind: WindowKind, limit: u64, now_ms: u64) -> u64 {
        limit.saturating_sub(self.current).saturating_sub(self.carried(kind, now_ms))
    }

    /// The previous window's part in the estimate, rounded up.
    fn carried(&self, kind: WindowKind, now_ms: u64) -> u64 {
        if kind == WindowKind::Fixed || self.previous == 0 {
            return 0;
        }
        let length_ms = u128::from(self.window.length_ms().max(1));
        let left_ms = u128::from(self.window.end_ms.saturating_sub(now_ms)).min(length_ms);
        narrow((u128::from(self.previous) * left_ms).div_ceil(length_ms))
    }

    /// Milliseconds until the window's end (`Fixed`), or until a cost would pass if nothing more came (`Sliding`, 0 when
    /// it would pass now).
    ///
    /// A cost beyond the limit never passes; it is treated as the limit.
    pub fn reset_ms(
        &self,
        kind: WindowKind,
        limit: u64,
        cost: u64,
        unit: Unit,
        now_ms: u64,
    ) -> u64 {
        let to_end_ms = self.window.end_ms.saturating_sub(now_ms);
        if kind == WindowKind::Fixed {
            return to_end_ms;
        }
        let cost = cost.clamp(1, limit.max(1));
        if cost <= self.remaining(kind, limit, now_ms) {
            return 0;
        }
        if let Some(room) = limit.checked_sub(self.current + cost) {
            let left_ms = faded_ms(self.previous, room, self.window.length_ms());
            return to_end_ms.saturating_sub(left_ms);
        }
        let next = self.window.next(unit).length_ms();
        to_end_ms + next - faded_ms(self.current, limit - cost, next)
    }
}

/// The most milliseconds before a window's end at which the count carried into it takes no more than `room`.
fn faded_ms(carried: u64, room: u64, length_ms: u64) -> u64 {
    if carried == 0 {
        return length_ms;
    }
    narrow(u128::from(room) * u128::from(length_ms) / u128::from(carried)).min(length_ms)
}

fn narrow(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::format_description::well_known::Rfc3339;
    use time::{Date, Month, OffsetDateTime};

    use super::*;

    fn ms(text: &str) -> u64 {
        let moment = OffsetDateTime::parse(text, &Rfc3339).unwrap();
        u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap()
    }

    #[test]
    fn windows_are_those_of_the_utc_calendar() {
        for (unit, now, start, end) in [
            (
                Unit::Second,
                "2026-11-23T10:20:30.999Z",
                "2026-11-23T10:20:30Z",
                "2026-11-23T10:20:31Z",
            ),
            (Unit::Minute, "2026-11-23T10:20:30Z", "2026-11-23T10:20:00Z", "2026-11-23T10:21:00Z"),
            (
                Unit::Hour,
                "2026-12-31T23:59:59.999Z",
                "2026-12-31T23:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (Unit::Day, "2028-02-28T12:00:00Z", "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z"),
            (Unit::Week, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            (
                Unit::Week,
                "2026-11-22T23:59:59.999Z",
                "2026-11-16T00:00:00Z",
                "2026-11-23T00:00:00Z",
            ),
            (Unit::Week, "2027-01-01T00:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
            (Unit::Week, "1970-01-02T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-05T00:00:00Z"),
            (Unit::Month, "2026-01-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            (Unit::Month, "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            (Unit::Month, "2028-02-29T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Unit::Month, "2100-02-28T23:59:59Z", "2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"),
            (Unit::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (
                Unit::Year,
                "2028-12-31T23:59:59.999Z",
                "2028-01-01T00:00:00Z",
                "2029-01-01T00:00:00Z",
            ),
            (Unit::Year, "2000-02-29T00:00:00Z", "2000-01-01T00:00:00Z", "2001-01-01T00:00:00Z"),
            (Unit::Year, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1971-01-01T00:00:00Z"),
        ] {
            let expected = Window { start_ms: ms(start), end_ms: ms(end) };
            assert_eq!(Window::at(unit, ms(now)), expected, "{unit:?} {now}");
        }
    }

    #[test]
    fn every_day_of_two_centuries_is_in_the_month_and_year_that_a_calendar_says() {
        let mut date = Date::from_calendar_date(1970, Month::January, 1).unwrap();
        for day in 0..73_000_u64 {
            let expected = (date.year() as u64, u64::from(u8::from(date.month())));
            assert_eq!(year_and_month(day), expected, "{date}");
            date = date.next_day().unwrap();
        }
    }

    #[test]
    fn sliding_carries_the_share_of_the_previous_window_that_is_left() {
        let count = |current, previous| Count {
            window: Window { start_ms: 60_000, end_ms: 120_000 },
            current,
            previous,
        };
        for (current, previous, now_ms, remaining, reset_ms) in [
            (0, 0, 60_000, 10, 0),
            (0, 10, 60_000, 0, 6_000), // 9 carried are left after a tenth of the window
            (0, 10, 66_000, 1, 0),
            (0, 10, 90_000, 5, 0),
            (4, 10, 90_000, 1, 0),
            (5, 10, 90_000, 0, 6_000),  // 5 + 10 × 24/60 + 1 = 10
            (9, 10, 90_000, 0, 30_000), // the previous window must have gone altogether
            (10, 0, 90_000, 0, 36_000), // a tenth of the next window
            (25, 0, 90_000, 0, 68_400), // count=all: 25 × 21.6/60 = 9 in the next window
            (0, 3, 80_000, 8, 0),       // 3 × 40/60 = 2
            (0, 3, 79_999, 7, 0),       // a little more than 2
        ] {
            let count = count(current, previous);
            let name = format!("{current} {previous} {now_ms}");
            assert_eq!(count.remaining(WindowKind::Sliding, 10, now_ms), remaining, "{name}");
            let reset = count.reset_ms(WindowKind::Sliding, 10, 1, Unit::Minute, now_ms);
            assert_eq!(reset, reset_ms, "{name}");
        }
    }

    #[test]
    fn fixed_looks_at_the_window_alone_and_resets_at_its_end() {
        let count = Count {
            window: Window { start_ms: 60_000, end_ms: 120_000 },
            current: 4,
            previous: 99,
        };
        assert_eq!(count.remaining(WindowKind::Fixed, 10, 60_000), 6);
        assert_eq!(count.remaining(WindowKind::Fixed, 3, 60_000), 0);
        assert_eq!(count.reset_ms(WindowKind::Fixed, 10, 1, Unit::Minute, 60_001), 59_999);
    }

    fn units() -> impl Strategy<Value = Unit> {
        proptest::sample::select(Unit::ALL.to_vec())
    }

    // 2024 to 2033: leap years, and years with 53 ISO weeks.
    const FROM_MS: u64 = 1_704_067_200_000;
    const TO_MS: u64 = 2_019_686_400_000;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn windows_contain_their_moments_and_follow_each_other(unit in units(), now_ms in FROM_MS..TO_MS) {
            let window = Window::at(unit, now_ms);
            prop_assert!(window.start_ms <= now_ms && now_ms < window.end_ms);
            prop_assert_eq!(window.start_ms % 1_000, 0);
            prop_assert_eq!(Window::at(unit, window.start_ms), window);
            prop_assert_eq!(Window::at(unit, window.end_ms - 1), window);
            prop_assert_eq!(window.next(unit).start_ms, window.end_ms);
        }

        #[test]
        fn after_the_reset_a_cost_passes_and_a_millisecond_before_it_does_not(
            unit in units(), now_ms in FROM_MS..TO_MS, limit in 1..2_000_u64,
            current in 0..3_000_u64, previous in 0..3_000_u64, cost in 1..50_u64,
        ) {
            let cost = cost.min(limit);
            let count = Count { window: Window::at(unit, now_ms), current, previous };
            let remaining_at = |moment: u64| {
                let next = count.window.next(unit);
                let then = if moment < count.window.end_ms {
                    count
                } else if moment < next.end_ms {
                    Count { window: next, current: 0, previous: current }
                } else {
                    Count::empty(unit, moment)
                };
                then.remaining(WindowKind::Sliding, limit, moment)
            };
            let reset_ms = count.reset_ms(WindowKind::Sliding, limit, cost, unit, now_ms);
            prop_assert!(remaining_at(now_ms + reset_ms) >= cost);
            if reset_ms > 0 {
                prop_assert!(remaining_at(now_ms + reset_ms - 1) < cost);
            }
        }

        #[test]
        fn remaining_never_falls_while_nothing_is_charged(
            unit in units(), now_ms in FROM_MS..TO_MS, later_ms in 0..100_000_000_u64,
            current in 0..3_000_u64, previous in 0..3_000_u64,
        ) {
            let count = Count { window: Window::at(unit, now_ms), current, previous };
            let later = (now_ms + later_ms).min(count.window.end_ms - 1);
            for kind in [WindowKind::Fixed, WindowKind::Sliding] {
                prop_assert!(count.remaining(kind, 1_000, later) >= count.remaining(kind, 1_000, now_ms));
                prop_assert!(count.remaining(kind, 1_000, now_ms) <= 1_000);
            }
        }
    }
}
