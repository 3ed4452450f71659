//! Authentication by API key: who a request comes from.
//!
//! Decided in the access phase, from the request's head, for `body=` also from its body, and from the set of consumers in
//! force. A key is taken from the places that the directive names; a missing, repeated, contradictory, unknown, disabled
//! or expired one is refused with 401, or goes on as the consumer that `anonymous=` names. Fails closed: what cannot be
//! read is no key.
//!
//! Beside the decision stand the pure editors that keep the key from whatever comes after: [`hide`] from upstreams,
//! [`mask`] from logs; and [`identity`], the headers that tell upstreams who called and that no client may send.

mod arguments;
mod body;
mod directives;
pub mod hide;
pub mod identity;
mod json_body;
pub mod mask;
mod places;
mod policy;

pub use arguments::ArgumentName;
pub use body::{BodyKind, BodyView};
pub use directives::{
    FailureLimit, KeyAuth, KeyAuthDirectives, KeyAuthFailures, KeyAuthPlan, KeyPlace,
};
pub use policy::{Found, Outcome, client_network, decide, find, too_many_failures};
