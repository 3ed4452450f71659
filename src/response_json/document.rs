//! A JSON document as spans of its own text, opened only where something is edited.

use std::borrow::Cow;

/// A value: text that is known to be JSON, or opened.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// As written, without white space at its ends.
    Text(&'a str),
    /// An opened object.
    Object(Object<'a>),
    /// An opened array.
    Array(Array<'a>),
}

/// An object's members in their order, duplicates included.
#[derive(Clone, Debug)]
pub(super) struct Object<'a> {
    pub(super) members: Vec<Member<'a>>,
    /// White space before the closing brace.
    tail: &'a str,
}

/// One member and the white space that belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    before: &'a str,
    /// With its quotes, as written.
    key: Cow<'a, str>,
    /// The colon and what surrounds it.
    colon: &'a str,
    pub(super) value: Value<'a>,
    after: &'a str,
}

/// An array's elements in their order.
#[derive(Clone, Debug)]
pub(super) struct Array<'a> {
    pub(super) elements: Vec<Element<'a>>,
    /// White space before the closing bracket.
    tail: &'a str,
}

/// One element and the white space that belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Element<'a> {
    before: &'a str,
    pub(super) value: Value<'a>,
    after: &'a str,
}

impl<'a> Value<'a> {
    /// The value as an object; `None` when it is none.
    pub(super) fn object(&mut self) -> Option<&mut Object<'a>> {
        if let Self::Text(text) = self
            && let Some(inside) = text.strip_prefix('{')
        {
            *self = Self::Object(Object::read(&mut Reader { rest: inside }));
        }
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The value as an array; `None` when it is none.
    pub(super) fn array(&mut self) -> Option<&mut Array<'a>> {
        if let Self::Text(text) = self
            && let Some(inside) = text.strip_prefix('[')
        {
            *self = Self::Array(Array::read(&mut Reader { rest: inside }));
        }
        if let Self::Array(array) = self { Some(array) } else { None }
    }

    /// Writes the value out.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Object(object) => {
                out.push(b'{');
                for (index, member) in object.members.iter().enumerate() {
                    separate(index, member.before, out);
                    out.extend_from_slice(member.key.as_bytes());
                    out.extend_from_slice(member.colon.as_bytes());
                    member.value.write(out);
                    out.extend_from_slice(member.after.as_bytes());
                }
                out.extend_from_slice(object.tail.as_bytes());
                out.push(b'}');
            }
            Self::Array(array) => {
                out.push(b'[');
                for (index, element) in array.elements.iter().enumerate() {
                    separate(index, element.before, out);
                    element.value.write(out);
                    out.extend_from_slice(element.after.as_bytes());
                }
                out.extend_from_slice(array.tail.as_bytes());
                out.push(b']');
            }
        }
    }
}

fn separate(index: usize, before: &str, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
    out.extend_from_slice(before.as_bytes());
}

impl<'a> Object<'a> {
    /// Reads on behind the opening brace.
    fn read(reader: &mut Reader<'a>) -> Self {
        let mut object = Self { members: Vec::new(), tail: "" };
        loop {
            let before = reader.space();
            if !reader.rest.starts_with('"') {
                object.tail = before;
                return object;
            }
            let key = Cow::Borrowed(reader.value());
            let colon = reader.while_any_of(b" \t\r\n:");
            let value = Value::Text(reader.value());
            let after = reader.space();
            object.members.push(Member { before, key, colon, value, after });
            if !reader.skip_comma() {
                // The last one's white space goes before the brace, whichever member is the last one then.
                if let Some(last) = object.members.last_mut() {
                    object.tail = std::mem::take(&mut last.after);
                }
                return object;
            }
        }
    }

    /// The members of this name.
    pub(super) fn named<'o>(
        &'o mut self,
        name: &'o str,
    ) -> impl Iterator<Item = &'o mut Member<'a>> + use<'a, 'o> {
        self.members.iter_mut().filter(move |member| member.is_named(name))
    }

    /// Adds a member behind the others, spaced as they are. The key has its quotes.
    pub(super) fn push(&mut self, key: &'a str, value: Value<'a>) {
        let like = self.members.last().or(self.members.first());
        let (before, colon) = like.map_or(("", ":"), |member| (member.before, member.colon));
        self.members.push(Member { before, key: key.into(), colon, value, after: "" });
    }

    /// An object without members.
    pub(super) fn empty() -> Self {
        Self { members: Vec::new(), tail: "" }
    }
}

impl<'a> Member<'a> {
    /// True when the key, its escapes decoded, is this name.
    pub(super) fn is_named(&self, name: &str) -> bool {
        if self.key.contains('\\') {
            return serde_json::from_str::<String>(&self.key).is_ok_and(|decoded| decoded == name);
        }
        self.key.get(1..self.key.len().saturating_sub(1)) == Some(name)
    }

    /// Gives the member another key, quotes included.
    pub(super) fn rename(&mut self, key: &'a str) {
        self.key = Cow::Borrowed(key);
    }
}

impl<'a> Array<'a> {
    /// Reads on behind the opening bracket.
    fn read(reader: &mut Reader<'a>) -> Self {
        let mut array = Self { elements: Vec::new(), tail: "" };
        loop {
            let before = reader.space();
            if reader.rest.starts_with(']') {
                array.tail = before;
                return array;
            }
            let value = Value::Text(reader.value());
            let after = reader.space();
            array.elements.push(Element { before, value, after });
            if !reader.skip_comma() {
                if let Some(last) = array.elements.last_mut() {
                    array.tail = std::mem::take(&mut last.after);
                }
                return array;
            }
        }
    }
}

/// Cuts text that is known to be JSON. On any other text it ends somewhere, and nothing worse.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn cut(&mut self, length: usize) -> &'a str {
        let (head, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        head
    }

    fn while_any_of(&mut self, bytes: &[u8]) -> &'a str {
        let length = self.rest.bytes().take_while(|byte| bytes.contains(byte)).count();
        self.cut(length)
    }

    fn space(&mut self) -> &'a str {
        self.while_any_of(b" \t\r\n")
    }

    fn skip_comma(&mut self) -> bool {
        let comma = self.rest.starts_with(',');
        if comma {
            self.cut(1);
        }
        comma
    }

    /// The value at the front, whatever its depth.
    fn value(&mut self) -> &'a str {
        let length = match self.rest.as_bytes().first() {
            Some(b'"') => string_length(self.rest.as_bytes()),
            Some(b'{' | b'[') => nested_length(self.rest.as_bytes()),
            _ => {
                let ends = |byte: u8| b",]} \t\r\n".contains(&byte);
                self.rest.bytes().position(ends).unwrap_or(self.rest.len())
            }
        };
        self.cut(length)
    }
}

/// The length of the string that the text begins with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    let closing = text.iter().skip(1).position(|byte| {
        let found = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        found
    });
    closing.map_or(text.len(), |index| index + 2)
}

/// The length of the object or array that the text begins with.
fn nested_length(text: &[u8]) -> usize {
    let (mut depth, mut index) = (0_usize, 0);
    while let Some(rest) = text.get(index..).filter(|rest| !rest.is_empty()) {
        match rest.first() {
            Some(b'"') => {
                index += string_length(rest);
                continue;
            }
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        index += 1;
        if depth == 0 {
            break;
        }
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens everything down to the leaves.
    fn open(value: &mut Value<'_>) {
        if let Some(object) = value.object() {
            object.members.iter_mut().for_each(|member| open(&mut member.value));
        } else if let Some(array) = value.array() {
            array.elements.iter_mut().for_each(|element| open(&mut element.value));
        }
    }

    #[test]
    fn what_is_opened_is_written_as_it_was_read() {
        for text in [
            "{}",
            "{ \t\n}",
            "[]",
            "[ ]",
            r#"{"a":1}"#,
            "{\r\n  \"a\" : 1.0e+10 ,\n  \"b\"\t:\t[ 1 , [ ] , { } ]\n}",
            r#"{"a\"}":"]}\\","\\":"\"{","":{"":""}}"#,
            r#"[null,true,false,-0,"",[[[[]]]],12345678901234567890123.456]"#,
            r#"{"ä":"\u00e4🦀","b":[{"c":{}},{}]}"#,
        ] {
            let mut value = Value::Text(text);
            open(&mut value);
            let mut out = Vec::new();
            value.write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn keys_are_compared_decoded() {
        let mut value = Value::Text(r#"{"p\u0061ss":1,"pass":2,"\"":3,"pas":4}"#);
        let object = value.object().unwrap();
        assert_eq!(object.named("pass").count(), 2);
        assert_eq!(object.named("\"").count(), 1);
        assert_eq!(object.named("p\\u0061ss").count(), 0);
    }
}
