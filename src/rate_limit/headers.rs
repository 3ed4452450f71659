//! The headers that tell a client how its limits stand.

use super::policy::Verdict;
use super::rate::Unit;

/// Hands over every header, name and number, in a fixed order. `tightest` are limit, remaining and reset of the tightest rate.
///
/// `X-RateLimit-Limit-UNIT` and `X-RateLimit-Remaining-UNIT` for each unit in use, where several directives have one unit the
/// one with least remaining; `RateLimit-Limit`, `-Remaining` and `-Reset` of the tightest rate. `Retry-After` is not among
/// them: it is sent on a refusal whatever `rate_limit_headers` says.
pub fn write_headers(
    verdict: &Verdict,
    tightest: [u64; 3],
    mut write: impl FnMut(&'static str, u64),
) {
    for (unit, [limit, remaining]) in Unit::ALL.into_iter().zip(&OF_UNITS) {
        if let Some(standing) = verdict.of_unit(unit) {
            write(limit, standing.rate.limit);
            write(remaining, standing.remaining);
        }
    }
    for (name, number) in OF_TIGHTEST.into_iter().zip(tightest) {
        write(name, number);
    }
}

/// How many headers [`write_headers`] hands over.
pub fn header_count(verdict: &Verdict) -> usize {
    2 * verdict.unit_count() + OF_TIGHTEST.len()
}

/// True for a name that [`write_headers`] may hand over, in any case.
pub fn is_header(name: &[u8]) -> bool {
    // an upstream's other headers are told by their first letter
    if !matches!(name, [b'x' | b'X' | b'r' | b'R', ..]) {
        return false;
    }
    let mut names = OF_UNITS.as_flattened().iter().chain(&OF_TIGHTEST);
    names.any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

static OF_TIGHTEST: [&str; 3] = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];

/// In the order of [`Unit::ALL`].
static OF_UNITS: [[&str; 2]; 7] = [
    ["X-RateLimit-Limit-Second", "X-RateLimit-Remaining-Second"],
    ["X-RateLimit-Limit-Minute", "X-RateLimit-Remaining-Minute"],
    ["X-RateLimit-Limit-Hour", "X-RateLimit-Remaining-Hour"],
    ["X-RateLimit-Limit-Day", "X-RateLimit-Remaining-Day"],
    ["X-RateLimit-Limit-Week", "X-RateLimit-Remaining-Week"],
    ["X-RateLimit-Limit-Month", "X-RateLimit-Remaining-Month"],
    ["X-RateLimit-Limit-Year", "X-RateLimit-Remaining-Year"],
];
