use crate::decision::{Decision, Policy, Reason, Refusal};

/// A method as it stands in a request line: upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodName(Box<str>);

impl MethodName {
    /// The name; `None` for what nginx takes for no method.
    ///
    /// *Source*: `ngx_http_parse_request_line`.
    pub fn parse(text: &str) -> Option<Self> {
        let known = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
        (!text.is_empty() && text.bytes().all(known)).then(|| Self(text.into()))
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The blocks of one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodPlan {
    blocks: Box<[Box<[MethodName]>]>,
    refuses_others: bool,
    allow: Box<str>,
}

impl MethodPlan {
    /// The plan of blocks in the order written.
    pub(super) fn new(blocks: Vec<Box<[MethodName]>>, refuses_others: bool) -> Self {
        let allow = allow(&blocks);
        Self { blocks: blocks.into(), refuses_others, allow }
    }

    /// The number of the block, as written from 0 on, that holds for a method; `HEAD` goes with `GET` unless it is named.
    pub fn block(&self, method: &[u8]) -> Option<usize> {
        let names = |wanted: &[u8]| {
            let is_wanted = |name: &MethodName| name.0.as_bytes() == wanted;
            self.blocks.iter().position(|names| names.iter().any(is_wanted))
        };
        names(method).or_else(|| if method == b"HEAD" { names(b"GET") } else { None })
    }
}

fn allow(blocks: &[Box<[MethodName]>]) -> Box<str> {
    let named = |wanted: &str| blocks.iter().flatten().any(|name| &*name.0 == wanted);
    let mut list: Vec<&str> = Vec::new();
    for name in blocks.iter().flatten() {
        list.push(&name.0);
        if &*name.0 == "GET" && !named("HEAD") {
            list.push("HEAD");
        }
    }
    list.join(", ").into()
}

/// Refuses a method that no block names, with `Allow`; `answers_preflights` is true where cors is on.
pub fn decide(plan: &MethodPlan, method: &[u8], answers_preflights: bool) -> Decision {
    if !plan.refuses_others || plan.block(method).is_some() {
        return Decision::Continue;
    }
    let mut allow = String::from(&*plan.allow);
    if answers_preflights && plan.block(b"OPTIONS").is_none() {
        allow.push_str(", OPTIONS");
    }
    Refusal::new(Policy::Method, Reason::Method, 405, "Method not allowed")
        .with_header("Allow", allow)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(blocks: &[&[&str]], refuses_others: bool) -> MethodPlan {
        let names =
            |names: &&[&str]| names.iter().flat_map(|name| MethodName::parse(name)).collect();
        MethodPlan::new(blocks.iter().map(names).collect(), refuses_others)
    }

    fn allow_of(decision: Decision) -> String {
        let Decision::Refuse(refusal) = decision else { panic!("passed") };
        assert_eq!((refusal.policy, refusal.reason), (Policy::Method, Reason::Method));
        assert_eq!((refusal.status, &*refusal.message), (405, "Method not allowed"));
        let [("Allow", value)] = &refusal.headers[..] else { panic!("no Allow") };
        value.clone()
    }

    #[test]
    fn any_name_is_a_method_but_only_in_upper_case() {
        for name in ["GET", "PURGE", "VERSION-CONTROL", "M_SEARCH"] {
            assert_eq!(MethodName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "get", "GET,POST", "GET/", "GÉT", "M1"] {
            assert_eq!(MethodName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn head_goes_with_get_unless_it_is_named() {
        for (blocks, method, expected) in [
            (&[&["GET"][..], &["POST", "PUT"]][..], "GET", Some(0)),
            (&[&["GET"], &["POST", "PUT"]], "PUT", Some(1)),
            (&[&["GET"], &["POST"]], "HEAD", Some(0)),
            (&[&["GET"], &["HEAD"]], "HEAD", Some(1)),
            (&[&["HEAD"]], "GET", None),
            (&[&["GET"]], "get", None),
            (&[&["GET"]], "GETS", None),
            (&[&["GET"]], "", None),
        ] {
            assert_eq!(plan(blocks, false).block(method.as_bytes()), expected, "{method}");
        }
    }

    #[test]
    fn other_methods_are_refused_with_the_list_of_those_that_are_not() {
        for (blocks, preflights, expected) in [
            (&[&["GET"][..], &["POST", "PUT"]][..], false, "GET, HEAD, POST, PUT"),
            (&[&["GET"], &["HEAD"]], false, "GET, HEAD"),
            (&[&["POST"], &["GET"]], true, "POST, GET, HEAD, OPTIONS"),
            (&[&["OPTIONS", "GET"]], true, "OPTIONS, GET, HEAD"),
            (&[&["PURGE"]], false, "PURGE"),
        ] {
            assert_eq!(allow_of(decide(&plan(blocks, true), b"DELETE", preflights)), expected);
        }
    }

    #[test]
    fn methods_of_a_block_pass_and_so_do_all_unless_told() {
        let strict = plan(&[&["GET"]], true);
        assert_eq!(decide(&strict, b"HEAD", false), Decision::Continue);
        assert_eq!(decide(&plan(&[&["GET"]], false), b"DELETE", true), Decision::Continue);
        // cors does not let a request pass that is no preflight
        assert_eq!(allow_of(decide(&strict, b"OPTIONS", true)), "GET, HEAD, OPTIONS");
    }
}
