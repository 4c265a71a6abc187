//! Reads JSON from outside and writes it canonically in one pass: no tree, no box per value.
//!
//! What most values look like is copied as it stands. Numbers and strings of another form are
//! left to serde_json, so that there is one opinion on what they mean.

use std::borrow::Cow;

use super::{JsonError, Members, write_object, write_string};
use crate::defaults::{MAX_DEPTH, MAX_ENTITY, MAX_NODES};

/// A place in a text that is being read.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// How many values the text may still hold.
    nodes: usize,
}

impl<'a> Reader<'a> {
    /// Begins to read a text that is not longer than an entity.
    pub(super) fn new(text: &'a str) -> Result<Self, JsonError> {
        match text.len() > MAX_ENTITY {
            true => Err(JsonError::TooLong(text.len())),
            false => Ok(Self { text, at: 0, nodes: MAX_NODES }),
        }
    }

    /// Reads a value and writes it canonically.
    pub(super) fn value(&mut self, depth: usize, out: &mut String) -> Result<(), JsonError> {
        self.spend(depth)?;
        match self.peek() {
            Some(b'"') => match self.quoted()? {
                (quoted, true) => out.push_str(quoted),
                (quoted, false) => write_string(&unescaped(quoted)?, out),
            },
            Some(b'-' | b'0'..=b'9') => self.number(out)?,
            Some(b'[') => self.array(depth, out)?,
            Some(b'{') => write_object(self.members(depth)?.iter(), out),
            _ => out.push_str(self.word()?),
        }
        Ok(())
    }

    /// Reads an object and returns its members.
    pub(super) fn members(&mut self, depth: usize) -> Result<Members, JsonError> {
        let room = if depth == 0 { self.text.len() } else { 64 };
        let mut members = Members::with_capacity(room);
        self.expect(b'{')?;
        if self.takes(b'}') {
            return Ok(members);
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            let name = match self.quoted()? {
                (quoted, true) => Cow::Borrowed(&quoted[1..quoted.len() - 1]),
                (quoted, false) => Cow::Owned(unescaped(quoted)?),
            };
            self.expect(b':')?;
            members.push(&name, |out| self.value(depth + 1, out))?;
            if !self.takes(b',') {
                self.expect(b'}')?;
                return Ok(members.sorted());
            }
        }
    }

    /// Checks that nothing but white space is left.
    pub(super) fn end(mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected()),
        }
    }

    fn array(&mut self, depth: usize, out: &mut String) -> Result<(), JsonError> {
        self.expect(b'[')?;
        out.push('[');
        if !self.takes(b']') {
            self.value(depth + 1, out)?;
            while self.takes(b',') {
                out.push(',');
                self.value(depth + 1, out)?;
            }
            self.expect(b']')?;
        }
        out.push(']');
        Ok(())
    }

    fn number(&mut self, out: &mut String) -> Result<(), JsonError> {
        let part = |b: &u8| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
        let rest = &self.text[self.at..];
        let number = &rest[..rest.as_bytes().iter().take_while(|b| part(b)).count()];
        if is_plain_number(number) {
            out.push_str(number);
        } else {
            let value: f64 = serde_json::from_str(number).map_err(form)?;
            out.push_str(ryu_js::Buffer::new().format_finite(value));
        }
        self.at += number.len();
        Ok(())
    }

    /// Reads a string with its quotes, and tells whether it stands for itself.
    fn quoted(&mut self) -> Result<(&'a str, bool), JsonError> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut plain = true;
        self.at += 1;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => (plain, self.at) = (false, self.at + 2),
                Some(b' '..) => self.at += 1,
                _ => return Err(self.unexpected()),
            }
        }
        self.at += 1;
        Ok((&self.text[start..self.at], plain))
    }

    fn word(&mut self) -> Result<&'static str, JsonError> {
        let rest = &self.text[self.at..];
        let word = ["null", "true", "false"].into_iter().find(|word| rest.starts_with(word));
        let word = word.ok_or_else(|| self.unexpected())?;
        self.at += word.len();
        Ok(word)
    }

    /// Returns the next byte that is no white space, without passing over it.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn takes(&mut self, wanted: u8) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, wanted: u8) -> Result<(), JsonError> {
        if self.takes(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn spend(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::Form(format!("value nests deeper than {MAX_DEPTH}")));
        }
        let left = self.nodes.checked_sub(1);
        self.nodes = left.ok_or_else(|| JsonError::Form(format!("more than {MAX_NODES} values")))?;
        Ok(())
    }

    fn unexpected(&self) -> JsonError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        JsonError::Form(match rest.chars().next() {
            Some(found) => format!("unexpected {found:?} at byte {}", self.at),
            None => "text ends within a value".into(),
        })
    }
}

/// Tells whether a number stands as ECMAScript writes it.
///
/// A double keeps decimals of up to 15 digits apart, so the shortest text of each is itself, unless a
/// zero in it says nothing; with at most six places it is no smaller than what is written without an exponent.
pub(super) fn is_plain_number(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number).as_bytes();
    let dot = digits.iter().position(|b| *b == b'.').unwrap_or(digits.len());
    let (whole, places) = digits.split_at(dot);
    let counts = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    let whole_is_plain = matches!(whole, [b'0'] | [b'1'..=b'9', ..]) && counts(whole);
    let places_are_plain = match places {
        [] => number != "-0",
        [_, places @ .., last] => matches!(last, b'1'..=b'9') && places.len() < 6 && counts(places),
        _ => false,
    };
    digits.len() <= 15 && whole_is_plain && places_are_plain
}

fn unescaped(quoted: &str) -> Result<String, JsonError> {
    serde_json::from_str(quoted).map_err(form)
}

fn form(error: serde_json::Error) -> JsonError {
    JsonError::Form(error.to_string())
}
