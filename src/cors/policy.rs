use super::directives::CorsPlan;
use super::origin::{Origin, Origins};
use crate::decision::{Decision, Reply};
use crate::request::{HeaderName, RequestHead};
use std::borrow::Cow;

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const ALLOW_CREDENTIALS: &str = "Access-Control-Allow-Credentials";
const EXPOSE_HEADERS: &str = "Access-Control-Expose-Headers";

/// The request's headers that matter here; the first of each name counts.
#[derive(Clone, Copy, Default)]
struct Asked<'a> {
    origin: Option<&'a [u8]>,
    method: Option<&'a [u8]>,
    headers: Option<&'a [u8]>,
    private_network: bool,
}

impl<'a> Asked<'a> {
    fn by(request: &'a impl RequestHead) -> Self {
        let mut asked = Self::default();
        for header in request.headers() {
            let slot = match header.lowercase_name {
                b"origin" => &mut asked.origin,
                b"access-control-request-method" => &mut asked.method,
                b"access-control-request-headers" => &mut asked.headers,
                b"access-control-request-private-network" => {
                    asked.private_network = header.value == b"true";
                    continue;
                }
                _ => continue,
            };
            if !header.value.is_empty() {
                slot.get_or_insert(header.value);
            }
        }
        asked
    }
}

/// What a preflight asks; `None` for all other requests.
///
/// A preflight is `OPTIONS` with Origin and Access-Control-Request-Method. Source: Fetch standard, section 3.2.2.
fn preflight<'a>(request: &'a impl RequestHead) -> Option<Asked<'a>> {
    if request.method() != b"OPTIONS" {
        return None;
    }
    let asked = Asked::by(request);
    (asked.origin.is_some() && asked.method.is_some()).then_some(asked)
}

/// The method that a preflight asks for; `None` for all other requests.
pub fn preflight_method(request: &impl RequestHead) -> Option<&[u8]> {
    preflight(request)?.method
}

/// Answers a preflight with 204, whatever follows; all else goes on, and preflights too with `continue`.
pub fn decide(plan: &CorsPlan, request: &impl RequestHead) -> Decision {
    let asked = match preflight(request) {
        Some(asked) if !plan.continues => asked,
        _ => return Decision::Continue,
    };
    let mut headers = Vec::with_capacity(8);
    if let Some(origin) = allowed_origin(plan, asked.origin) {
        headers.push((ALLOW_ORIGIN, origin.into_owned()));
        if plan.credentials {
            headers.push((ALLOW_CREDENTIALS, "true".to_owned()));
        }
        headers.push(("Access-Control-Allow-Methods", plan.methods.clone()));
        if let Some(names) = plan.headers.as_deref().or_else(|| asked.headers.and_then(names)) {
            headers.push(("Access-Control-Allow-Headers", names.to_owned()));
        }
        if let Some(max_age) = &plan.max_age {
            headers.push(("Access-Control-Max-Age", max_age.clone()));
        }
        if plan.private_network && asked.private_network {
            headers.push(("Access-Control-Allow-Private-Network", "true".to_owned()));
        }
    }
    if depends_on_origin(plan) {
        headers.push(("Vary", "Origin".to_owned()));
    }
    Decision::Answer(Reply { status: 204, headers })
}

/// What a response carries besides its own headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHeaders<'a> {
    /// True when `Origin` belongs into Vary.
    pub vary_origin: bool,
    allow_origin: Option<Cow<'a, str>>,
    credentials: bool,
    expose: Option<&'a str>,
    /// True when whatever followed answers the preflight.
    continued: bool,
}

impl ResponseHeaders<'_> {
    /// Names and values, Vary excepted.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let allowed = self.allow_origin.as_deref();
        allowed
            .map(|origin| (ALLOW_ORIGIN, origin))
            .into_iter()
            .chain((allowed.is_some() && self.credentials).then_some((ALLOW_CREDENTIALS, "true")))
            .chain(self.expose.map(|names| (EXPOSE_HEADERS, names)))
    }

    /// True for a header of the response that gives way to ours, whether we have one of that name or not.
    pub fn replaces(&self, name: &[u8]) -> bool {
        if !is_of_cors(name) {
            return false;
        }
        // With `continue` methods, headers and the like are the upstream's to grant, the origin is not.
        !self.continued
            || name.eq_ignore_ascii_case(ALLOW_ORIGIN.as_bytes())
            || name.eq_ignore_ascii_case(ALLOW_CREDENTIALS.as_bytes())
    }
}

/// True for a header of the family that the protocol has.
pub fn is_of_cors(name: &[u8]) -> bool {
    const FAMILY: &[u8] = b"access-control-";
    name.get(..FAMILY.len()).is_some_and(|head| head.eq_ignore_ascii_case(FAMILY))
}

/// The headers of a response that is not [`decide`]'s own.
pub fn headers_for<'a>(plan: &'a CorsPlan, request: &'a impl RequestHead) -> ResponseHeaders<'a> {
    let continues = plan.continues && request.method() == b"OPTIONS";
    let vary_origin = depends_on_origin(plan);
    let asked = if vary_origin || continues { Asked::by(request) } else { Asked::default() };
    let allow_origin = allowed_origin(plan, asked.origin);
    let continued = continues && asked.origin.is_some() && asked.method.is_some();
    let expose = plan.expose.as_deref().filter(|_| allow_origin.is_some() && !continued);
    ResponseHeaders { vary_origin, allow_origin, credentials: plan.credentials, expose, continued }
}

fn depends_on_origin(plan: &CorsPlan) -> bool {
    matches!(plan.origins, Origins::Listed(_))
}

/// Access-Control-Allow-Origin: `*`, or the request's own origin when it is listed. No origin is answered with another.
fn allowed_origin<'a>(plan: &CorsPlan, origin: Option<&'a [u8]>) -> Option<Cow<'a, str>> {
    match &plan.origins {
        Origins::Any => Some(Cow::Borrowed("*")),
        Origins::Listed(listed) => {
            let text = str::from_utf8(origin?).ok()?;
            if listed.has_exactly(text) {
                return Some(Cow::Borrowed(text));
            }
            let origin = Origin::parse(text)?;
            listed.contains(&origin).then(|| origin.into_text())
        }
    }
}

/// A list of header names as it was asked for; `None` when it is none.
fn names(list: &[u8]) -> Option<&str> {
    let list = str::from_utf8(list).ok()?;
    let name = |name: &str| name.is_empty() || HeaderName::parse(name).is_some();
    list.split(',').map(|word| word.trim_matches([' ', '\t'])).all(name).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::super::directives::tests::plan;
    use super::*;
    use crate::request::testing::Written;

    fn preflight(origin: &str, more: &[(&str, &str)]) -> Written {
        let mut headers = vec![("Origin", origin), ("Access-Control-Request-Method", "PUT")];
        headers.extend_from_slice(more);
        Written::new("OPTIONS", "", &headers)
    }

    fn lines(headers: &[(&'static str, String)]) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    fn answer(words: &[&str], request: &Written) -> Vec<String> {
        match decide(&plan(words).unwrap(), request) {
            Decision::Answer(Reply { status: 204, headers }) => lines(&headers),
            other => panic!("{other:?}"),
        }
    }

    const METHODS: &str = "Access-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE";
    const A: &str = "origins=https://a.example";
    const AB: &str = "origins=https://a.example,https://b.example";

    #[test]
    fn a_preflight_is_told_what_is_allowed() {
        let asked = &[("Access-Control-Request-Headers", "x-a, X-B")][..];
        let private = &[("Access-Control-Request-Private-Network", "true")][..];
        let origin_a = "Access-Control-Allow-Origin: https://a.example";
        let star = "Access-Control-Allow-Origin: *";
        for (words, request, expected) in [
            (&[][..], preflight("https://x.example", &[]), vec![star, METHODS]),
            (
                &["origins=*"],
                preflight("null", asked),
                vec![star, METHODS, "Access-Control-Allow-Headers: x-a, X-B"],
            ),
            (
                &["headers=X-C,X-D", "methods=GET", "max_age=600", "expose=X-E"],
                preflight("https://x.example", asked),
                vec![
                    star,
                    "Access-Control-Allow-Methods: GET",
                    "Access-Control-Allow-Headers: X-C,X-D",
                    "Access-Control-Max-Age: 600",
                ],
            ),
            (
                &[A, "credentials"],
                preflight("https://a.example:443", &[]),
                vec![origin_a, "Access-Control-Allow-Credentials: true", METHODS, "Vary: Origin"],
            ),
            (&[AB], preflight("https://a.example", &[]), vec![origin_a, METHODS, "Vary: Origin"]),
            (&[A, "credentials"], preflight("https://x.example", asked), vec!["Vary: Origin"]),
            (&[A], preflight("https://a.example.x.example", &[]), vec!["Vary: Origin"]),
            (
                &["private_network"],
                preflight("https://x.example", private),
                vec![star, METHODS, "Access-Control-Allow-Private-Network: true"],
            ),
            (&["private_network"], preflight("https://x.example", &[]), vec![star, METHODS]),
            (&[], preflight("https://x.example", private), vec![star, METHODS]),
        ] {
            assert_eq!(answer(words, &request), expected, "{words:?}");
        }
    }

    #[test]
    fn a_list_that_is_none_is_not_repeated() {
        let request =
            preflight("https://x.example", &[("Access-Control-Request-Headers", "x-a; <b>")]);
        assert_eq!(answer(&[], &request), ["Access-Control-Allow-Origin: *", METHODS]);
    }

    #[test]
    fn what_is_no_preflight_goes_on() {
        let (origin, method) =
            (("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT"));
        for (words, request) in [
            (&[][..], Written::new("OPTIONS", "", &[])),
            (&[], Written::new("OPTIONS", "", &[origin])),
            (&[], Written::new("OPTIONS", "", &[method])),
            (&[], Written::new("OPTIONS", "", &[("Origin", ""), method])),
            (&[], Written::new("OPTIONS", "", &[origin, ("Access-Control-Request-Method", "")])),
            (&[], Written::new("GET", "", &[origin, method])),
            (&[], Written::new("options", "", &[origin, method])),
            (&["continue"], preflight("https://a.example", &[])),
        ] {
            assert_eq!(decide(&plan(words).unwrap(), &request), Decision::Continue, "{request:?}");
        }
    }

    fn response(words: &[&str], request: &Written) -> Vec<String> {
        let plan = plan(words).unwrap();
        let headers = headers_for(&plan, request);
        let vary = headers.vary_origin.then(|| "Vary: Origin".to_owned());
        headers.lines().map(|(name, value)| format!("{name}: {value}")).chain(vary).collect()
    }

    #[test]
    fn a_response_names_its_own_origin_or_none() {
        let star = "Access-Control-Allow-Origin: *";
        let origin_b = "Access-Control-Allow-Origin: https://b.example";
        for (words, origin, expected) in [
            (&[][..], Some("https://x.example"), &[star][..]),
            (&[], None, &[star]),
            (&["expose=X-E,X-F"], None, &[star, "Access-Control-Expose-Headers: X-E,X-F"]),
            (&[AB, "origins=*"], Some("https://x.example"), &[star]),
            (&[AB], Some("https://b.example"), &[origin_b, "Vary: Origin"]),
            (&[AB, "expose=X-E"], Some("https://x.example"), &["Vary: Origin"]),
            (&[AB, "credentials"], None, &["Vary: Origin"]),
            (&[A], Some("https://b.example"), &["Vary: Origin"]),
            (
                &["origins=~https://[ab]\\.example", "credentials"],
                Some("HTTPS://b.example:443"),
                &[origin_b, "Access-Control-Allow-Credentials: true", "Vary: Origin"],
            ),
            (&["origins=b.example"], Some("https://b.example"), &[origin_b, "Vary: Origin"]),
            (&["origins=~[ab]\\.example"], Some("https://c.example"), &["Vary: Origin"]),
            (&[A], Some("null"), &["Vary: Origin"]),
            (&[A], Some("garbage"), &["Vary: Origin"]),
        ] {
            let headers: Vec<_> = origin.map(|origin| ("Origin", origin)).into_iter().collect();
            let request = Written::new("GET", "", &headers);
            assert_eq!(response(words, &request), expected, "{words:?} {origin:?}");
        }
    }

    #[test]
    fn an_upstreams_own_headers_give_way() {
        let plan_star = plan(&[]).unwrap();
        let request = Written::new("GET", "", &[]);
        let headers = headers_for(&plan_star, &request);
        for (name, expected) in [
            ("Access-Control-Allow-Origin", true),
            ("access-control-expose-headers", true),
            ("ACCESS-CONTROL-MAX-AGE", true),
            ("Access-Control", false),
            ("X-Access-Control-Allow-Origin", false),
            ("Vary", false),
        ] {
            assert_eq!(headers.replaces(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn a_continued_preflight_keeps_all_of_the_upstreams_grants_but_the_origin() {
        let plan = plan(&["continue", "expose=X-E", AB]).unwrap();
        let request = preflight("https://a.example", &[]);
        let headers = headers_for(&plan, &request);
        let lines: Vec<_> = headers.lines().collect();
        assert_eq!(lines, [("Access-Control-Allow-Origin", "https://a.example")]);
        for (name, expected) in [
            ("Access-Control-Allow-Origin", true),
            ("Access-Control-Allow-Credentials", true),
            ("Access-Control-Allow-Methods", false),
            ("Access-Control-Max-Age", false),
        ] {
            assert_eq!(headers.replaces(name.as_bytes()), expected, "{name}");
        }
    }
}
