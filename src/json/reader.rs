//! The reader of JSON texts: one value after the other, as a tree or piece by piece.

use std::borrow::Cow;
use std::fmt;

use super::scan::find_escape;

/// Why a text is not JSON, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// What is wrong.
    pub reason: &'static str,
    /// Offset in bytes from the start.
    pub offset: usize,
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

/// The three values that are words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    Null,
    False,
    True,
}

/// A text and how far it has been read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    levels_left: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a text that is UTF-8, nested `max_depth` levels at most.
    pub(crate) fn new(text: &'a [u8], max_depth: usize) -> Result<Self, NotJson> {
        let text = std::str::from_utf8(text)
            .map_err(|error| NotJson { reason: "invalid UTF-8", offset: error.valid_up_to() })?;
        let mut reader = Self { text, at: 0, levels_left: max_depth };
        reader.skip_space();
        Ok(reader)
    }

    /// Nothing but space is left.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        self.skip_space();
        if self.at < self.text.len() { Err(self.wrong("trailing bytes")) } else { Ok(()) }
    }

    pub(crate) fn wrong(&self, reason: &'static str) -> NotJson {
        NotJson { reason, offset: self.at }
    }

    /// How far it has been read, in bytes.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// The next byte: what the next value begins with.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
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

    /// The next value, `null`, `true` or `false`.
    pub(crate) fn literal(&mut self) -> Result<Literal, NotJson> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let words = [
            (&b"true"[..], Literal::True),
            (&b"false"[..], Literal::False),
            (&b"null"[..], Literal::Null),
        ];
        for (word, value) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.wrong(if rest.is_empty() { "unexpected end" } else { "unexpected character" }))
    }

    /// Goes into an array or object whose bracket is next; true when it is empty and left again.
    #[inline]
    pub(crate) fn enter(&mut self, close: u8) -> Result<bool, NotJson> {
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
    pub(crate) fn leaves(&mut self, close: u8) -> Result<bool, NotJson> {
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
    pub(crate) fn name(&mut self) -> Result<Cow<'a, str>, NotJson> {
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

    fn digits(&mut self) -> Result<(), NotJson> {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == from { Err(self.wrong("expected a digit")) } else { Ok(()) }
    }

    /// The next value, a number, as it is written.
    pub(crate) fn number(&mut self) -> Result<&'a str, NotJson> {
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
        let length = find_escape(rest).unwrap_or(rest.len());
        self.at += length;
        rest.get(length).copied()
    }

    /// The next value, a string, unescaped.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, NotJson> {
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
