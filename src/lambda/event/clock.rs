//! Times as events spell them.

/// The Common Log Format time of a Unix time in seconds: `09/Apr/2015:12:34:56 +0000`.
pub(crate) fn common_log_time(time_s: u64) -> [u8; 26] {
    const MONTHS: [&[u8; 3]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    let (days, second) = (time_s / 86_400, time_s % 86_400);
    let (year, month, day) = civil_from_days(days);
    let digit = |number: u64| b'0' + (number % 10) as u8;
    let two = |number: u64| [digit(number / 10), digit(number)];
    let [m0, m1, m2] = MONTHS.get(month).copied().copied().unwrap_or_default();
    let ([d0, d1], [y0, y1], [y2, y3]) = (two(day), two(year / 100), two(year));
    let [h0, h1] = two(second / 3_600);
    let ([n0, n1], [s0, s1]) = (two(second / 60 % 60), two(second % 60));
    [
        d0, d1, b'/', m0, m1, m2, b'/', y0, y1, y2, y3, b':', h0, h1, b':', n0, n1, b':', s0, s1,
        b' ', b'+', b'0', b'0', b'0', b'0',
    ]
}

/// Year, month from 0 and day from 1 of a count of days since 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil_from_days(days: u64) -> (u64, usize, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = year_of_era + era * 400 + u64::from(month < 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        for (time_s, expected) in [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (1_428_582_896, "09/Apr/2015:12:34:56 +0000"),
            (951_782_399, "28/Feb/2000:23:59:59 +0000"),
            (951_782_400, "29/Feb/2000:00:00:00 +0000"),
            (1_798_761_599, "31/Dec/2026:23:59:59 +0000"),
            (4_102_444_800, "01/Jan/2100:00:00:00 +0000"),
        ] {
            assert_eq!(common_log_time(time_s), expected.as_bytes());
        }
    }
}
