//! Whether a consumer's groups let it in.

use super::directives::AclPlan;
use crate::consumers::{ConsumerSet, Identity, Name};
use crate::decision::{Decision, Policy, Reason, Refusal};

/// Whether the identity may go on. `challenge` is key_auth's `WWW-Authenticate`, for the 401.
///
/// An identity that is not of this version of the set counts as none.
pub fn decide(
    plan: &AclPlan,
    set: &ConsumerSet,
    identity: Option<Identity>,
    challenge: &str,
) -> Decision {
    let known = identity.and_then(|it| Some((it, set.consumer(it.consumer())?)));
    let Some((identity, consumer)) = known else {
        return unauthorized(Reason::NoIdentity, challenge);
    };
    if plan.deny.contain_any(consumer.groups()) {
        return forbidden();
    }
    match &plan.allow {
        Some(allow) if !allow.contain_any(consumer.groups()) => match identity.is_anonymous() {
            // a key might help
            true => unauthorized(Reason::Group, challenge),
            false => forbidden(),
        },
        _ => Decision::Continue,
    }
}

/// The value of `X-Consumer-Groups` for upstreams; `None` when there is nothing to send.
pub fn groups_header<'s>(
    plan: &AclPlan,
    set: &'s ConsumerSet,
    identity: Identity,
) -> Option<Name<'s>> {
    if !plan.sends_groups() {
        return None;
    }
    Some(set.consumer(identity.consumer())?.groups_text()).filter(|groups| !groups.is_empty())
}

fn unauthorized(reason: Reason, challenge: &str) -> Decision {
    const UNAUTHORIZED: u16 = 401;
    Refusal::new(Policy::Acl, reason, UNAUTHORIZED, "Unauthorized")
        .with_header("WWW-Authenticate", challenge)
        .into()
}

fn forbidden() -> Decision {
    const FORBIDDEN: u16 = 403;
    let message = "You cannot consume this service";
    Refusal::new(Policy::Acl, Reason::Group, FORBIDDEN, message).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::acl::{Acl, AclDirectives};
    use crate::consumers::{ConsumerEntry, KeyDigest, KeyEntry, SetBuilder};
    use crate::directive::{Directive as _, Place, Words};

    fn plan(words: &[&str]) -> AclPlan {
        let mut level = AclDirectives::default();
        let words = Words::new("acl", words, Place::default(), Path::new("/"));
        Acl::parse(&words, &mut level).unwrap();
        level.compile(true).unwrap().unwrap()
    }

    fn set() -> ConsumerSet {
        let mut builder = SetBuilder::new("s");
        for (name, groups) in [("ab", &["a", "b"][..]), ("c", &["c"]), ("none", &[])] {
            let consumer = ConsumerEntry {
                username: Some(name.into()),
                groups: groups.iter().map(|group| (*group).into()).collect(),
                keys: vec![KeyEntry::new(KeyDigest::of(name.as_bytes()))],
                ..Default::default()
            };
            builder.add(&consumer, false).unwrap();
        }
        builder.finish().unwrap()
    }

    enum Who {
        Nobody,
        Key(&'static str),
        Anonymous(&'static str),
    }
    use Who::*;

    fn identity(set: &ConsumerSet, who: &Who) -> Option<Identity> {
        match who {
            Nobody => None,
            Key(name) => {
                let credential = set.lookup(&KeyDigest::of(name.as_bytes())).unwrap();
                let (consumer, credential) = (credential.owner(), credential.index());
                Some(Identity::Authenticated { consumer, credential })
            }
            Anonymous(name) => {
                let consumer = set.by_username(name).unwrap().index();
                Some(Identity::Anonymous { consumer })
            }
        }
    }

    #[test]
    fn groups_decide() {
        let set = set();
        for (words, who, expected) in [
            (&["allow=a"][..], Nobody, 401),
            (&["deny=a"], Nobody, 401),
            (&["allow=a"], Key("none"), 403),
            (&["deny=a"], Key("none"), 200),
            (&["allow=a"], Key("ab"), 200),
            (&["allow=x,b"], Key("ab"), 200),
            (&["deny=b"], Key("ab"), 403),
            (&["allow=a"], Key("c"), 403),
            (&["deny=a"], Key("c"), 200),
            (&["allow=A"], Key("ab"), 403),
            (&["allow=a", "deny=b"], Key("ab"), 403),
            (&["allow=a,c", "deny=b"], Key("c"), 200),
            (&["allow=a", "deny=b"], Key("none"), 403),
            (&["allow=a"], Anonymous("none"), 401),
            (&["allow=a"], Anonymous("c"), 401),
            (&["allow=c"], Anonymous("c"), 200),
            (&["deny=c"], Anonymous("c"), 403),
            (&["deny=a"], Anonymous("none"), 200),
        ] {
            let who_text = match &who {
                Nobody => "nobody".to_owned(),
                Key(name) => format!("key of {name}"),
                Anonymous(name) => format!("anonymous {name}"),
            };
            let decision = decide(&plan(words), &set, identity(&set, &who), "Key realm=\"r\"");
            match decision {
                Decision::Continue => assert_eq!(expected, 200, "{words:?} {who_text}"),
                Decision::Refuse(refusal) => {
                    assert_eq!(refusal.status, expected, "{words:?} {who_text}");
                    let challenge = ("WWW-Authenticate", "Key realm=\"r\"".to_owned());
                    let (message, headers) = match expected {
                        401 => ("Unauthorized", vec![challenge]),
                        _ => ("You cannot consume this service", vec![]),
                    };
                    assert_eq!((&*refusal.message, refusal.headers), (message, headers));
                }
                Decision::Answer(_) => panic!("acl never answers"),
            }
        }
    }

    #[test]
    fn upstreams_learn_all_groups_unless_hidden() {
        let set = set();
        let header = |words, who| {
            groups_header(&plan(words), &set, identity(&set, &who).unwrap())
                .map(|it| it.to_string())
        };
        assert_eq!(header(&["allow=b"], Key("ab")), Some("a, b".to_owned()));
        assert_eq!(header(&["deny=x"], Anonymous("c")), Some("c".to_owned()));
        assert_eq!(header(&["deny=x"], Key("none")), None);
        assert_eq!(header(&["allow=b", "hide_groups"], Key("ab")), None);
    }
}
