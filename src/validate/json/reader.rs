//! The reader of JSON texts: one value after the other, as a tree or piece by piece.

use std::borrow::Cow;

use super::{Json, MAX_DEPTH, Members, NotJson};

/// A text and how far it has been read.
#[derive(Debug)]
pub(in crate::validate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    levels_left: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a text that is UTF-8, nested `max_depth` levels at most.
    pub(in crate::validate) fn new(text: &'a [u8], max_depth: usize) -> Result<Self, NotJson> {
        let text = std::str::from_utf8(text)
            .map_err(|error| NotJson { reason: "invalid UTF-8", offset: error.valid_up_to() })?;
        let mut reader = Self { text, at: 0, levels_left: max_depth.min(MAX_DEPTH) };
        reader.skip_space();
        Ok(reader)
    }

    /// Nothing but space is left.
    pub(in crate::validate) fn end(&mut self) -> Result<(), NotJson> {
        self.skip_space();
        if self.at < self.text.len() { Err(self.wrong("trailing bytes")) } else { Ok(()) }
    }

    fn wrong(&self, reason: &'static str) -> NotJson {
        NotJson { reason, offset: self.at }
    }

    /// The next byte: what the next value begins with.
    #[inline]
    pub(in crate::validate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn slice(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// The next value.
    pub(in crate::validate) fn value(&mut self) -> Result<Json<'a>, NotJson> {
        match self.peek() {
            Some(b'"') => self.string().map(Json::String),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'-' | b'0'..=b'9') => self.number().map(|text| Json::Number(Cow::Borrowed(text))),
            Some(_) => self.literal(),
            None => Err(self.wrong("unexpected end")),
        }
    }

    /// The next value, `null`, `true` or `false`.
    pub(in crate::validate) fn literal(&mut self) -> Result<Json<'a>, NotJson> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let words = [
            (&b"true"[..], Json::Bool(true)),
            (&b"false"[..], Json::Bool(false)),
            (&b"null"[..], Json::Null),
        ];
        for (word, value) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.wrong("unexpected character"))
    }

    /// Goes into an array or object whose bracket is next; true when it is empty and left again.
    #[inline]
    pub(in crate::validate) fn enter(&mut self, close: u8) -> Result<bool, NotJson> {
        self.levels_left = self.levels_left.checked_sub(1).ok_or(self.wrong("too deep"))?;
        self.at += 1;
        self.skip_space();
        if self.peek() != Some(close) {
            return Ok(false);
        }
        self.leave();
        Ok(true)
    }

    #[inline]
    fn leave(&mut self) {
        self.at += 1;
        self.levels_left += 1;
    }

    /// Behind a value of an array or object: true when the closing bracket was next, false behind a comma.
    #[inline]
    pub(in crate::validate) fn leaves(&mut self, close: u8) -> Result<bool, NotJson> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                Ok(false)
            }
            Some(byte) if byte == close => {
                self.leave();
                Ok(true)
            }
            _ => Err(self.wrong("expected \",\" or the closing bracket")),
        }
    }

    /// The next member's name, with its colon.
    #[inline]
    pub(in crate::validate) fn name(&mut self) -> Result<Cow<'a, str>, NotJson> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("expected a member's name"));
        }
        let name = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.wrong("expected \":\""));
        }
        self.at += 1;
        self.skip_space();
        Ok(name)
    }

    fn array(&mut self) -> Result<Json<'a>, NotJson> {
        let mut items = Vec::new();
        let mut done = self.enter(b']')?;
        while !done {
            items.push(self.value()?);
            done = self.leaves(b']')?;
        }
        Ok(Json::Array(items))
    }

    fn object(&mut self) -> Result<Json<'a>, NotJson> {
        let mut members = Vec::new();
        let mut done = self.enter(b'}')?;
        while !done {
            members.push((self.name()?, self.value()?));
            done = self.leaves(b'}')?;
        }
        let duplicate = self.wrong("duplicate name");
        Members::new(members).map(Json::Object).ok_or(duplicate)
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == from { Err(self.wrong("expected a digit")) } else { Ok(()) }
    }

    /// The next value, a number, as it is written.
    pub(in crate::validate) fn number(&mut self) -> Result<&'a str, NotJson> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.slice(from))
    }

    /// Moves to the next quote, backslash or control character.
    #[inline]
    fn plain(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let length = plain_length(rest);
        self.at += length;
        rest.get(length).copied()
    }

    /// The next value, a string, unescaped.
    #[inline]
    pub(in crate::validate) fn string(&mut self) -> Result<Cow<'a, str>, NotJson> {
        self.at += 1;
        let from = self.at;
        match self.plain() {
            Some(b'"') => {
                let text = self.slice(from);
                self.at += 1;
                Ok(Cow::Borrowed(text))
            }
            next => self.escaped_string(from, next),
        }
    }

    /// The rest of a string that has more than plain characters; `next` is the first other one.
    fn escaped_string(
        &mut self,
        mut from: usize,
        mut next: Option<u8>,
    ) -> Result<Cow<'a, str>, NotJson> {
        let mut unescaped = String::new();
        loop {
            match next {
                Some(b'"') => {
                    unescaped.push_str(self.slice(from));
                    self.at += 1;
                    return Ok(Cow::Owned(unescaped));
                }
                Some(b'\\') => {
                    unescaped.push_str(self.slice(from));
                    self.at += 1;
                    unescaped.push(self.escape()?);
                    from = self.at;
                }
                Some(_) => return Err(self.wrong("control character in a string")),
                None => return Err(self.wrong("unexpected end")),
            }
            next = self.plain();
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        let byte = self.peek().ok_or(self.wrong("unexpected end"))?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.wrong("invalid escape")),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, NotJson> {
        let unpaired = self.wrong("unpaired surrogate");
        let first = self.hex4()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if self.text.as_bytes().get(self.at..self.at + 2) != Some(b"\\u") {
                    return Err(unpaired);
                }
                self.at += 2;
                let second = self.hex4()?;
                let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400).ok_or(unpaired)?;
                0x1_0000 + ((first - 0xD800) << 10) + low
            }
            code => code,
        };
        char::from_u32(code).ok_or(unpaired)
    }

    fn hex4(&mut self) -> Result<u32, NotJson> {
        let wrong = self.wrong("invalid escape");
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(wrong)?;
        self.at += 4;
        digits
            .iter()
            .try_fold(0, |code, byte| Ok(code * 16 + char::from(*byte).to_digit(16).ok_or(wrong)?))
    }
}

/// The number of bytes before the next quote, backslash or control character, or the end.
#[inline]
fn plain_length(text: &[u8]) -> usize {
    let (mut length, mut rest) = (0, text);
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let special = special_bits(u64::from_le_bytes(*word));
        if special != 0 {
            return length + special.trailing_zeros() as usize / 8;
        }
        length += 8;
        rest = behind;
    }
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    length + rest.iter().position(special).unwrap_or(rest.len())
}

/// The highest bits of those of eight bytes that are a quote, a backslash or a control character; bytes behind the first
/// one may be marked by mistake.
///
/// Source: "Bit Twiddling Hacks", determine if a word has a byte less than n.
#[inline]
fn special_bits(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let is_control = below(word, 0x20);
    let is_quote = below(word ^ (ONES * b'"' as u64), 1);
    let is_backslash = below(word ^ (ONES * b'\\' as u64), 1);
    (is_control | is_quote | is_backslash) & (ONES * 0x80)
}
