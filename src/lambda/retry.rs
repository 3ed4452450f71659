//! Whether a failed attempt is followed by another: a function is never invoked twice behind the operator's back.

use super::directives::Conditions;

/// Without a bound of the operator's: an API that throttles or fails is not asked for ever, which is what makes it throttle.
const MOST_ATTEMPTS: u32 = 10;

/// `lambda_next_upstream` and `lambda_next_upstream_tries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// What another attempt is made for.
    pub conditions: Conditions,
    /// The most attempts; 0 sets no bound but [`MOST_ATTEMPTS`].
    pub tries: u32,
}

impl RetryPlan {
    /// True when an attempt may follow number `attempts`.
    pub fn has_tries_left(&self, attempts: u32) -> bool {
        attempts < if self.tries == 0 { MOST_ATTEMPTS } else { self.tries }
    }
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Attempts made, this one included.
    pub attempts: u32,
    /// The endpoint's addresses.
    pub addresses: usize,
    /// Whether any byte of the request was handed to the connection. The TLS handshake does not count.
    pub sent: bool,
    /// Whether it was a kept connection whose peer acknowledged nothing of what was sent: a stale one.
    pub unacknowledged: bool,
    /// Whether any byte of a response came.
    pub received: bool,
    /// Whether time ran out.
    pub timed_out: bool,
    /// Whether the response was none of the API's. The function may have run.
    pub invalid: bool,
    /// Whether the response itself asks for another attempt: fresh credentials, a corrected clock, a throttle that the plan
    /// retries. Who sets it has counted.
    pub asked_again: bool,
}

/// True when another attempt is made, always on a fresh connection.
pub fn may_retry(plan: &RetryPlan, failure: &Failure) -> bool {
    if failure.asked_again {
        return true;
    }
    if !plan.has_tries_left(failure.attempts) {
        return false;
    }
    if failure.invalid {
        return plan.conditions.invalid_header && plan.conditions.non_idempotent;
    }
    if failure.received {
        return false;
    }
    let condition = if failure.timed_out { plan.conditions.timeout } else { plan.conditions.error };
    if !condition {
        return false;
    }
    if failure.sent {
        return failure.unacknowledged || plan.conditions.non_idempotent;
    }
    // Every address once; a lone one is tried once more.
    let rounds = u32::try_from(failure.addresses.max(2)).unwrap_or(u32::MAX);
    failure.attempts < rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: RetryPlan = RetryPlan {
        conditions: Conditions { error: true, timeout: true, ..Conditions::NONE },
        tries: 3,
    };

    fn with(conditions: Conditions) -> RetryPlan {
        RetryPlan { conditions, ..PLAN }
    }

    const LONE: Failure = Failure {
        attempts: 1,
        addresses: 1,
        sent: false,
        unacknowledged: false,
        received: false,
        timed_out: false,
        invalid: false,
        asked_again: false,
    };

    #[test]
    fn nothing_sent_is_tried_at_every_address_and_a_lone_one_once_more() {
        let plan = PLAN;
        assert!(may_retry(&plan, &LONE));
        assert!(!may_retry(&plan, &Failure { attempts: 2, ..LONE }));
        assert!(may_retry(&plan, &Failure { attempts: 2, addresses: 3, ..LONE }));
        assert!(!may_retry(&plan, &Failure { attempts: 3, addresses: 9, ..LONE }), "tries is 3");
    }

    #[test]
    fn what_was_sent_is_not_sent_again_unless_the_connection_was_stale_or_the_operator_says_so() {
        let plan = PLAN;
        let sent = Failure { sent: true, ..LONE };
        assert!(!may_retry(&plan, &sent));
        assert!(may_retry(&plan, &Failure { unacknowledged: true, ..sent }));
        assert!(may_retry(&with(Conditions { non_idempotent: true, ..plan.conditions }), &sent));
        let received = Failure { received: true, unacknowledged: true, ..sent };
        assert!(!may_retry(
            &with(Conditions { non_idempotent: true, ..plan.conditions }),
            &received
        ));
    }

    #[test]
    fn conditions_are_the_plans() {
        let timed_out = Failure { timed_out: true, ..LONE };
        assert!(may_retry(&PLAN, &timed_out));
        assert!(!may_retry(&with(Conditions { timeout: false, ..PLAN.conditions }), &timed_out));
        assert!(!may_retry(&with(Conditions { error: false, ..PLAN.conditions }), &LONE));
        assert!(!may_retry(&RetryPlan { tries: 1, ..PLAN }, &LONE));
    }

    #[test]
    fn without_a_bound_there_are_ten_attempts() {
        let plan = RetryPlan { tries: 0, ..PLAN };
        let many = Failure { addresses: 99, ..LONE };
        assert!(may_retry(&plan, &Failure { attempts: 9, ..many }));
        assert!(!may_retry(&plan, &Failure { attempts: 10, ..many }));
        assert!(plan.has_tries_left(9) && !plan.has_tries_left(10));
    }

    #[test]
    fn an_invalid_response_is_asked_for_again_only_where_functions_may_run_twice() {
        let invalid = Failure { sent: true, received: true, invalid: true, ..LONE };
        let conditions = Conditions { invalid_header: true, ..PLAN.conditions };
        assert!(!may_retry(&PLAN, &invalid));
        assert!(!may_retry(&with(conditions), &invalid));
        let plan = with(Conditions { non_idempotent: true, ..conditions });
        assert!(may_retry(&plan, &invalid));
        assert!(!may_retry(&plan, &Failure { attempts: 3, ..invalid }), "tries is 3");
    }

    #[test]
    fn a_response_that_asks_again_is_heard() {
        let refused =
            Failure { sent: true, received: true, asked_again: true, attempts: 3, ..LONE };
        assert!(may_retry(&PLAN, &refused));
    }
}
