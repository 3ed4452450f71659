//! The order of the policies, and what their decisions come to.
//!
//! [`ORDER`] is the one list that says which policy comes when. nginx/phases.rs walks it; no policy knows its neighbours.
//! A refusal is recorded here and, under `policy_mode observe`, stays a record.

mod directives;
mod error_body;
mod refused;

pub use directives::{PipelineDirectives, PipelinePlan, PolicyErrors, PolicyMode};
pub use error_body::{ErrorBody, ErrorFormat, standard_message};
pub use refused::Refused;

use crate::decision::{Policy, Reason, Refusal};

/// One thing that is judged about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Answers a preflight, whatever follows.
    CorsPreflight,
    /// Refuses paths that two programs may read in two ways.
    Path,
    /// Refuses methods that no `method` block names.
    Method,
    /// Finds out who asks.
    KeyAuth,
    /// Asks whether they may.
    Acl,
    /// Asks whether they may again, and charges.
    RateLimit,
    /// Checks headers, query and path; the body is not read when they fail.
    ValidateHead,
    /// Reads and checks the body.
    ValidateBody,
}

/// The phase of nginx in which a step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// After the location is found, before `rewrite`, `return` and `limit_req`.
    Rewrite,
    /// With `allow`, `deny`, `auth_basic` and `auth_request`, after them; `satisfy` applies.
    Access,
    /// Before `try_files` and the content handler; `satisfy any` cannot skip it.
    Precontent,
}

/// Who comes when: cors preflight → (nginx's `allow`/`deny`, size from Content-Length) → key_auth → acl → rate_limit →
/// validate → (content handler → response_json → log).
pub const ORDER: [(Phase, &[Step]); 3] = [
    (Phase::Rewrite, &[Step::CorsPreflight, Step::Path, Step::Method]),
    (Phase::Access, &[Step::KeyAuth, Step::Acl]),
    (Phase::Precontent, &[Step::RateLimit, Step::ValidateHead, Step::ValidateBody]),
];

/// The steps of one phase, in order.
pub const fn steps(phase: Phase) -> &'static [Step] {
    match phase {
        Phase::Rewrite => ORDER[0].1,
        Phase::Access => ORDER[1].1,
        Phase::Precontent => ORDER[2].1,
    }
}

/// The steps that a location has, so that requests pass by the others unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps(u8);

impl Steps {
    /// The steps that are in force, of all with whether they are.
    pub fn in_force(all: &[(Step, bool)]) -> Self {
        let bits = all.iter().filter(|(_, in_force)| *in_force).map(|(step, _)| Self::bit(*step));
        Self(bits.fold(0, |steps, bit| steps | bit))
    }

    /// True for a step that is in force.
    pub const fn have(self, step: Step) -> bool {
        self.0 & Self::bit(step) != 0
    }

    /// True when a step of this phase is in force.
    pub fn have_any_of(self, phase: Phase) -> bool {
        steps(phase).iter().any(|step| self.have(*step))
    }

    const fn bit(step: Step) -> u8 {
        1 << step as u8
    }
}

/// Whether refusals are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A refusal ends the request.
    #[default]
    Enforce,
    /// A refusal is recorded and the request goes on.
    Observe,
}

/// What came of a request's policies so far: `$policy_decision`, `$policy_name`, `$policy_reason`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    refused: Option<(Policy, Reason, Mode)>,
    /// what was not carried out, in the order judged
    observed: Vec<(Policy, Reason, u16)>,
}

impl Record {
    /// `allow`, `deny` or `would_deny`.
    pub fn decision(&self) -> &'static str {
        match self.refused {
            None => "allow",
            Some((_, _, Mode::Enforce)) => "deny",
            Some((_, _, Mode::Observe)) => "would_deny",
        }
    }

    /// Who refused, or would have.
    pub fn policy(&self) -> Option<Policy> {
        self.refused.map(|(policy, _, _)| policy)
    }

    /// Why.
    pub fn reason(&self) -> Option<Reason> {
        self.refused.map(|(_, reason, _)| reason)
    }

    /// Notes a refusal: the first one stays, but one that is carried out replaces one that was only observed.
    ///
    /// True when the refusal is to be carried out.
    pub fn settle(&mut self, mode: Mode, refusal: &Refusal) -> bool {
        let enforced = mode == Mode::Enforce;
        if self.refused.is_none() || enforced {
            self.refused = Some((refusal.policy, refusal.reason, mode));
        }
        let observed = (refusal.policy, refusal.reason, refusal.status);
        if !enforced && !self.observed.contains(&observed) {
            self.observed.push(observed);
        }
        enforced
    }

    /// What was decided, each with who decided so and why; without a policy when all have let the request pass.
    pub fn decisions(&self) -> impl Iterator<Item = (&'static str, Option<(Policy, Reason)>)> {
        let carried_out = self.refused.filter(|(_, _, mode)| *mode == Mode::Enforce);
        let carried_out = carried_out.map(|(policy, reason, _)| ("deny", Some((policy, reason))));
        let observed = self.observed.iter();
        let observed = observed.map(|(policy, reason, _)| ("would_deny", Some((*policy, *reason))));
        let passed = self.refused.is_none().then_some(("allow", None));
        carried_out.into_iter().chain(observed).chain(passed)
    }

    /// True when something would have been refused.
    pub fn has_observed(&self) -> bool {
        !self.observed.is_empty()
    }

    /// One line on all that would have been refused; `None` when there is nothing to tell.
    pub fn observed(&self) -> Option<String> {
        let entry = |(policy, reason, status): &(Policy, Reason, u16)| {
            let (policy, reason) = (policy.as_str(), reason.as_str());
            format!("{policy}: would refuse, status={status}, reason={reason}")
        };
        let entries: Vec<String> = self.observed.iter().map(entry).collect();
        (!entries.is_empty()).then(|| entries.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_has_the_steps_that_are_in_force_and_their_phases() {
        let all = |in_force: &[Step]| {
            let steps = ORDER.iter().flat_map(|(_, steps)| *steps);
            let all: Vec<_> = steps.map(|step| (*step, in_force.contains(step))).collect();
            Steps::in_force(&all)
        };
        let some = all(&[Step::Acl, Step::ValidateBody]);
        assert!(some.have(Step::Acl) && some.have(Step::ValidateBody) && !some.have(Step::KeyAuth));
        assert!(some.have_any_of(Phase::Access) && some.have_any_of(Phase::Precontent));
        assert!(!some.have_any_of(Phase::Rewrite));
        assert_eq!(all(&[]), Steps::default());
        assert!(!Steps::default().have_any_of(Phase::Access));
    }

    fn refusal(policy: Policy, reason: Reason) -> Refusal {
        Refusal::new(policy, reason, 403, "no")
    }

    #[test]
    fn the_order_is_the_contracts() {
        use Step::*;
        let all: Vec<Step> = ORDER.iter().flat_map(|(_, steps)| steps.iter().copied()).collect();
        assert_eq!(
            all,
            [CorsPreflight, Path, Method, KeyAuth, Acl, RateLimit, ValidateHead, ValidateBody]
        );
        for (phase, expected) in ORDER {
            assert_eq!(steps(phase), expected);
        }
    }

    #[test]
    fn observe_records_the_first_refusal_and_carries_none_out() {
        let mut record = Record::default();
        assert_eq!(record.decision(), "allow");
        assert!(!record.settle(Mode::Observe, &refusal(Policy::KeyAuth, Reason::NoKey)));
        assert!(!record.settle(Mode::Observe, &refusal(Policy::Acl, Reason::NoIdentity)));
        assert_eq!(record.decision(), "would_deny");
        assert_eq!(record.policy(), Some(Policy::KeyAuth));
        assert_eq!(record.reason(), Some(Reason::NoKey));
    }

    #[test]
    fn all_that_was_observed_is_one_line_and_each_thing_once() {
        let mut record = Record::default();
        assert_eq!(record.observed(), None);
        record.settle(Mode::Observe, &refusal(Policy::KeyAuth, Reason::NoKey));
        record.settle(Mode::Observe, &refusal(Policy::Acl, Reason::NoIdentity));
        record.settle(Mode::Observe, &refusal(Policy::KeyAuth, Reason::NoKey));
        record.settle(Mode::Enforce, &refusal(Policy::RateLimit, Reason::Limit));
        let line = "key_auth: would refuse, status=403, reason=no_key; \
                    acl: would refuse, status=403, reason=no_identity";
        assert_eq!(record.observed().as_deref(), Some(line));
    }

    #[test]
    fn a_refusal_that_is_carried_out_is_the_one_recorded() {
        let mut record = Record::default();
        record.settle(Mode::Observe, &refusal(Policy::KeyAuth, Reason::NoKey));
        assert!(record.settle(Mode::Enforce, &refusal(Policy::Acl, Reason::Group)));
        assert_eq!((record.decision(), record.policy()), ("deny", Some(Policy::Acl)));
    }
}
