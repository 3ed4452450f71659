//! The double's clock: the machine's, moved by the offset that the control API sets, and the date forms that AWS writes.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

const DAY_S: i64 = 86_400;

/// The time of the double.
#[derive(Default)]
pub(crate) struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// Milliseconds since 1970, offset included.
    pub(crate) fn now_ms(&self) -> i64 {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        machine.as_millis() as i64 + self.offset_ms.load(Ordering::Relaxed)
    }

    /// Moves the clock; the offset is against the machine's clock, not against the last one.
    pub(crate) fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// The offset in force, in milliseconds.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }
}

/// Nanoseconds on the machine's monotonic clock, which other processes can read too.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A moment split into its UTC calendar fields.
pub(crate) struct Utc {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
    weekday: usize,
}

impl Utc {
    /// The fields of a time in milliseconds since 1970. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    pub(crate) fn from_ms(ms: i64) -> Self {
        let seconds = ms.div_euclid(1000);
        let days = seconds.div_euclid(DAY_S);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            second_of_day: seconds.rem_euclid(DAY_S),
            weekday: (days + 4).rem_euclid(7) as usize,
        }
    }

    fn hms(&self) -> (i64, i64, i64) {
        (self.second_of_day / 3600, self.second_of_day / 60 % 60, self.second_of_day % 60)
    }

    /// `20150830T123600Z`, the form of x-amz-date.
    pub(crate) fn amz_date(&self) -> String {
        let (h, m, s) = self.hms();
        format!("{:04}{:02}{:02}T{h:02}{m:02}{s:02}Z", self.year, self.month, self.day)
    }

    /// `2015-08-30T12:36:00Z`, the form of credential expirations.
    pub(crate) fn iso8601(&self) -> String {
        let (h, m, s) = self.hms();
        format!("{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}Z", self.year, self.month, self.day)
    }

    /// `Sun, 30 Aug 2015 12:36:00 GMT`, the form of the Date header (RFC 9110, section 5.6.7).
    pub(crate) fn http_date(&self) -> String {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (h, m, s) = self.hms();
        let day_name = DAYS[self.weekday];
        let month_name = MONTHS[(self.month - 1) as usize];
        format!(
            "{day_name}, {:02} {month_name} {:04} {h:02}:{m:02}:{s:02} GMT",
            self.day, self.year
        )
    }
}

/// The milliseconds since 1970 of an x-amz-date, or nothing when it is not one.
pub(crate) fn parse_amz_date(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = &text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (h, m, s) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || h > 23 || m > 59 || s > 60 {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some((days * DAY_S + h * 3600 + m * 60 + s) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_each_form() {
        let cases = [
            (
                1_440_938_160_000,
                "20150830T123600Z",
                "2015-08-30T12:36:00Z",
                "Sun, 30 Aug 2015 12:36:00 GMT",
            ),
            (
                951_782_400_000,
                "20000229T000000Z",
                "2000-02-29T00:00:00Z",
                "Tue, 29 Feb 2000 00:00:00 GMT",
            ),
            (0, "19700101T000000Z", "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ];
        for (ms, amz, iso, http) in cases {
            let utc = Utc::from_ms(ms);
            assert_eq!(
                (utc.amz_date(), utc.iso8601(), utc.http_date()),
                (amz.into(), iso.into(), http.into())
            );
            assert_eq!(parse_amz_date(amz), Some(ms));
        }
    }

    #[test]
    fn malformed_dates_are_refused() {
        for text in [
            "20150830",
            "20150830 123600Z",
            "20151330T123600Z",
            "2015083xT123600Z",
            "20150830T+23600Z",
        ] {
            assert_eq!(parse_amz_date(text), None, "{text}");
        }
    }
}
