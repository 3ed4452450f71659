//! The headers that tell a client how its limits stand.

use super::policy::Verdict;
use super::rate::Unit;

/// Hands over every header, name and number, in a fixed order.
///
/// `X-RateLimit-Limit-UNIT` and `X-RateLimit-Remaining-UNIT` for each unit in use, where several directives have one unit the
/// one with least remaining; `RateLimit-Limit`, `-Remaining` and `-Reset` of the tightest rate. `Retry-After` is not among
/// them: it is sent on a refusal whatever `rate_limit_headers` says.
pub fn write_headers(verdict: &Verdict, mut write: impl FnMut(&'static str, u64)) {
    for unit in Unit::ALL {
        if let Some(standing) = verdict.of_unit(unit) {
            let (limit, remaining) = names(unit);
            write(limit, standing.rate.limit);
            write(remaining, standing.remaining);
        }
    }
    if let Some(tightest) = verdict.tightest() {
        write("RateLimit-Limit", tightest.rate.limit);
        write("RateLimit-Remaining", tightest.remaining);
        write("RateLimit-Reset", Verdict::reset_s(tightest));
    }
}

fn names(unit: Unit) -> (&'static str, &'static str) {
    match unit {
        Unit::Second => ("X-RateLimit-Limit-Second", "X-RateLimit-Remaining-Second"),
        Unit::Minute => ("X-RateLimit-Limit-Minute", "X-RateLimit-Remaining-Minute"),
        Unit::Hour => ("X-RateLimit-Limit-Hour", "X-RateLimit-Remaining-Hour"),
        Unit::Day => ("X-RateLimit-Limit-Day", "X-RateLimit-Remaining-Day"),
        Unit::Week => ("X-RateLimit-Limit-Week", "X-RateLimit-Remaining-Week"),
        Unit::Month => ("X-RateLimit-Limit-Month", "X-RateLimit-Remaining-Month"),
        Unit::Year => ("X-RateLimit-Limit-Year", "X-RateLimit-Remaining-Year"),
    }
}
