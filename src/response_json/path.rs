/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The members of an object with this name, decoded.
    Name(Box<str>),
    /// Every element of an array.
    Each,
}

/// The most steps of a path: what bounds the editing's recursion.
pub(super) const MAX_STEPS: usize = 64;

/// The steps of `user.password`, `items[].secret`, `[].secret`; `None` when the text is no path.
///
/// A backslash before `.`, `:`, `[`, `]` or itself makes that character a part of the name.
pub(super) fn parse(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        if !rest.starts_with('[') {
            let (name, tail) = name(rest)?;
            steps.push(Step::Name(name.into()));
            rest = tail;
        }
        while let Some(tail) = rest.strip_prefix("[]") {
            steps.push(Step::Each);
            rest = tail;
        }
        if steps.len() > MAX_STEPS {
            return None;
        }
        if rest.is_empty() {
            return Some(steps);
        }
        // Behind a dot comes a name: `a.[]` would be a second spelling of `a[]`.
        rest = rest.strip_prefix('.').filter(|rest| !rest.starts_with('['))?;
    }
}

/// The name that the text begins with, which may not be empty, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '.' | '[' => {
                return (!name.is_empty()).then(|| text.get(index..).map(|rest| (name, rest)))?;
            }
            ']' | ':' => return None,
            '\\' => name.push(characters.next().map(|(_, next)| next).filter(is_special)?),
            _ => name.push(character),
        }
    }
    (!name.is_empty()).then_some((name, ""))
}

/// The text before and behind its first colon that no backslash escapes.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let colon = text.bytes().position(|byte| {
        let found = byte == b':' && !escaped;
        escaped = byte == b'\\' && !escaped;
        found
    })?;
    Some((text.get(..colon)?, text.get(colon + 1..)?))
}

fn is_special(character: &char) -> bool {
    matches!(character, '.' | ':' | '[' | ']' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(steps: &[Step]) -> Vec<&str> {
        let text = |step| match step {
            &Step::Each => "[]",
            Step::Name(name) => name,
        };
        steps.iter().map(text).collect()
    }

    #[test]
    fn paths_are_steps() {
        for (text, expected) in [
            ("id", &["id"][..]),
            ("user.password", &["user", "password"]),
            ("items[].secret", &["items", "[]", "secret"]),
            ("[].secret", &["[]", "secret"]),
            ("[][].a[]", &["[]", "[]", "a", "[]"]),
            ("tags[]", &["tags", "[]"]),
            (r"a\.b.c\:d", &["a.b", "c:d"]),
            (r"a\[\].b\\", &["a[]", "b\\"]),
            ("größe.x y", &["größe", "x y"]),
        ] {
            assert_eq!(written(&parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in
            ["", ".", ".a", "a.", "a..b", "a[0]", "a[", "a]", "a[]b", "a.[]", "a:b", r"a\", r"a\n"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(parse(&"[]".repeat(MAX_STEPS)).is_some());
        assert_eq!(parse(&"[]".repeat(MAX_STEPS + 1)), None);
    }

    #[test]
    fn a_word_is_split_at_its_first_free_colon() {
        assert_eq!(split(r#"a.b:{"c":1}"#), Some(("a.b", r#"{"c":1}"#)));
        assert_eq!(split(r"a\:b:c:d"), Some((r"a\:b", "c:d")));
        assert_eq!(split(r"a\\:b"), Some((r"a\\", "b")));
        assert_eq!(split(r"a\:b"), None);
    }
}
