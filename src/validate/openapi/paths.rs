//! Which path template of a document a request's path is of: concrete segments before templated ones.
//!
//! A request's path is compared segment by segment, decoded, with empty and dot segments removed as nginx and most
//! applications do, so that another spelling of a path is no way round its checks. Effort is bounded by the number of
//! templates, whatever the path.
//!
//! Source: OpenAPI 3.1 section 4.8.8.2.

use std::collections::HashMap;

use crate::validate::param::decode::percent_decode;

/// The templates of a document as a tree of segments.
#[derive(Debug, Default)]
pub(super) struct Router {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<[u8]>, usize>,
    mixed: Vec<(Vec<Piece>, usize)>,
    parameter: Option<usize>,
    template: Option<usize>,
}

/// A part of a segment that is neither one literal nor one parameter, such as `{name}.{extension}`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<[u8]>),
    Parameter,
}

/// A path's template and the raw values of its parameters, in the template's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matched<'a> {
    pub(super) template: usize,
    pub(super) values: Vec<&'a [u8]>,
}

impl Router {
    /// Adds template number `template`; answers its parameters' names, or what is wrong with it.
    pub(super) fn add(&mut self, path: &str, template: usize) -> Result<Vec<String>, String> {
        if !path.starts_with('/') {
            return Err("a path must begin with a slash".to_owned());
        }
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let (mut at, mut names) = (0, Vec::new());
        for segment in segments(path.as_bytes()) {
            let segment = std::str::from_utf8(segment).unwrap_or_default();
            at = self.step(at, pieces(segment, &mut names)?);
        }
        let mut sorted = names.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err("a parameter is named twice".to_owned());
        }
        match self.nodes.get_mut(at) {
            Some(node) if node.template.is_none() => node.template = Some(template),
            _ => return Err("the same path is there already".to_owned()),
        }
        Ok(names)
    }

    /// The node behind a segment, made when it is not there.
    fn step(&mut self, at: usize, segment: Vec<Piece>) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else {
            return at;
        };
        let found = match segment.as_slice() {
            [] => *node.literals.entry(Box::default()).or_insert(next),
            [Piece::Literal(literal)] => *node.literals.entry(literal.clone()).or_insert(next),
            [Piece::Parameter] => *node.parameter.get_or_insert(next),
            pieces => match node.mixed.iter().find(|(other, _)| other == pieces) {
                Some((_, found)) => *found,
                None => {
                    node.mixed.push((segment, next));
                    node.mixed.sort_by_key(|(pieces, _)| std::cmp::Reverse(literal_bytes(pieces)));
                    next
                }
            },
        };
        if found == next {
            self.nodes.push(Node::default());
        }
        found
    }

    /// The template of a request's path, percent-encoded and without query; templates are all below a base path.
    pub(super) fn find<'a>(&self, base: &[Box<[u8]>], path: &'a [u8]) -> Option<Matched<'a>> {
        let segments = segments(path);
        let (start, rest) = segments.split_at_checked(base.len())?;
        let same = |base: &[u8], given: &[u8]| {
            *percent_decode(base, false) == *percent_decode(given, false)
        };
        if !base.iter().zip(start).all(|(base, given)| same(base, given)) {
            return None;
        }
        let mut values = Vec::new();
        let template = self.descend(0, rest, &mut values)?;
        Some(Matched { template, values })
    }

    fn descend<'a>(
        &self,
        at: usize,
        rest: &[&'a [u8]],
        values: &mut Vec<&'a [u8]>,
    ) -> Option<usize> {
        let node = self.nodes.get(at)?;
        let Some((segment, rest)) = rest.split_first() else {
            return node.template;
        };
        if let Some(next) = node.literals.get(&*percent_decode(segment, false))
            && let Some(found) = self.descend(*next, rest, values)
        {
            return Some(found);
        }
        let kept = values.len();
        for (pieces, next) in &node.mixed {
            if match_pieces(pieces, segment, values)
                && let Some(found) = self.descend(*next, rest, values)
            {
                return Some(found);
            }
            values.truncate(kept);
        }
        if segment.is_empty() {
            return None;
        }
        values.push(segment);
        let found = self.descend(node.parameter?, rest, values);
        if found.is_none() {
            values.truncate(kept);
        }
        found
    }
}

fn literal_bytes(pieces: &[Piece]) -> usize {
    let length = |piece: &Piece| match piece {
        Piece::Literal(literal) => literal.len(),
        Piece::Parameter => 0,
    };
    pieces.iter().map(length).sum()
}

fn pieces(segment: &str, names: &mut Vec<String>) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest) = (Vec::new(), segment);
    let literal = |text: &str| Piece::Literal(percent_decode(text.as_bytes(), false).into());
    while let Some((before, behind)) = rest.split_once('{') {
        if !before.is_empty() {
            pieces.push(literal(before));
        } else if pieces.last() == Some(&Piece::Parameter) {
            return Err("two parameters with nothing between them are not supported".to_owned());
        }
        let (name, behind) = behind.split_once('}').ok_or("a \"{\" is not closed")?;
        if name.is_empty() || name.contains('{') {
            return Err("a parameter has no name".to_owned());
        }
        names.push(name.to_owned());
        pieces.push(Piece::Parameter);
        rest = behind;
    }
    if rest.contains('}') {
        return Err("a \"}\" is not opened".to_owned());
    }
    if !rest.is_empty() {
        pieces.push(literal(rest));
    }
    Ok(pieces)
}

/// True when a segment is of these pieces; parameters take one character or more, as few as possible but for the last.
fn match_pieces<'a>(pieces: &[Piece], segment: &'a [u8], values: &mut Vec<&'a [u8]>) -> bool {
    let mut rest = segment;
    let mut pieces = pieces;
    loop {
        match pieces {
            [] => return rest.is_empty(),
            [Piece::Literal(literal), tail @ ..] => {
                let Some(behind) = rest.strip_prefix(&**literal) else {
                    return false;
                };
                (rest, pieces) = (behind, tail);
            }
            [Piece::Parameter] => {
                values.push(rest);
                return !rest.is_empty();
            }
            [Piece::Parameter, Piece::Literal(literal)] => {
                let Some(value) = rest.strip_suffix(&**literal) else {
                    return false;
                };
                values.push(value);
                return !value.is_empty();
            }
            [Piece::Parameter, tail @ ..] => {
                let [Piece::Literal(literal), ..] = tail else {
                    return false;
                };
                let found = rest.windows(literal.len()).skip(1).position(|part| *part == **literal);
                let Some(before) = found else { return false };
                let (value, behind) = rest.split_at(before + 1);
                values.push(value);
                (rest, pieces) = (behind, tail);
            }
        }
    }
}

/// The segments of a path, without empty and dot segments; an empty last one stands for a slash at the end.
pub(super) fn segments(path: &[u8]) -> Vec<&[u8]> {
    let mut found: Vec<&[u8]> = Vec::new();
    let mut parts = path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let is_dots = part.len() <= "%2e%2e".len() && matches!(part.first(), Some(b'.' | b'%'));
        let decoded = if is_dots { percent_decode(part, false) } else { part.into() };
        match &*decoded {
            b".." => {
                found.pop();
            }
            b"" | b"." => {}
            _ => {
                found.push(part);
                continue;
            }
        }
        if is_last {
            found.push(b"");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATES: [&str; 12] = [
        "/",
        "/users",
        "/users/{id}",
        "/users/me",
        "/users/{id}/posts",
        "/users/me/{what}",
        "/files/{name}.{extension}",
        "/files/{name}.tar.gz",
        "/v1/{id}:cancel",
        "/caf%C3%A9/{x}",
        "/slash/",
        "/a/{b}/c/{d}",
    ];

    fn router() -> Router {
        let mut router = Router::default();
        for (number, template) in TEMPLATES.iter().enumerate() {
            router.add(template, number).unwrap();
        }
        router
    }

    #[test]
    fn a_path_is_of_the_most_concrete_template() {
        let router = router();
        let matched = |template: usize, values: &[&'static str]| {
            Some((template, values.iter().map(|value| value.as_bytes()).collect::<Vec<_>>()))
        };
        for (path, expected) in [
            ("/", matched(0, &[])),
            ("/users", matched(1, &[])),
            ("/users/7", matched(2, &["7"])),
            ("/users/me", matched(3, &[])),
            ("/users/%6De", matched(3, &[])),
            ("/users/mee", matched(2, &["mee"])),
            ("/users/7/posts", matched(4, &["7"])),
            ("/users/me/posts", matched(5, &["posts"])),
            ("/users/a%2Fb", matched(2, &["a%2Fb"])),
            ("/files/a.b.txt", matched(6, &["a", "b.txt"])),
            ("/files/a.tar.gz", matched(7, &["a"])),
            ("/v1/42:cancel", matched(8, &["42"])),
            ("/café/1", matched(9, &["1"])),
            ("/caf%c3%a9/1", matched(9, &["1"])),
            ("/slash/", matched(10, &[])),
            ("/a/1/c/2", matched(11, &["1", "2"])),
            ("//users//7", matched(2, &["7"])),
            ("/x/../users/./7", matched(2, &["7"])),
            ("/x/%2e%2E/users/7", matched(2, &["7"])),
            ("/users/", None),
            ("/slash", None),
            ("/files/.txt", None),
            ("/files/plain", None),
            ("/v1/:cancel", None),
            ("/a/1/c/", None),
            ("/users/7/posts/1", None),
        ] {
            let found =
                router.find(&[], path.as_bytes()).map(|found| (found.template, found.values));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn templates_that_cannot_be_told_apart_are_refused() {
        for bad in ["/users/{name}", "/x/{a}{b}", "/x/{a", "/x/a}", "/x/{}", "/x/{a}/{a}"] {
            assert!(router().add(bad, 99).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_path_is_matched_or_not(path in "[/a-d.%2eE{}:]{0,24}", bytes: Vec<u8>) {
            let router = router();
            let _ = router.find(&[], &bytes);
            if let Some(found) = router.find(&[], path.as_bytes()) {
                let placeholders = TEMPLATES[found.template].matches('{').count();
                proptest::prop_assert_eq!(found.values.len(), placeholders);
            }
        }
    }
}
