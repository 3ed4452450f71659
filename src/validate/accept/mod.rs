//! A quick yes: a text accepted in the same pass that reads it, without a tree.
//!
//! Most bodies conform, and most schemas say little more than types, names and bounds. For those the keywords are compiled
//! into [`Rule`]s, which follow the text as it is read. A yes is final; anything else, a document that does not conform
//! included, is for the schema validator to decide on the tree. So a rule may be stricter than its keyword, never laxer.

mod compile;
mod rule;

use std::borrow::Cow;

use jsonschema::Validator;
use smallvec::SmallVec;

pub(super) use self::compile::{Source, compile};
pub(super) use self::rule::Additional;
use self::rule::{ArrayRule, ObjectRule, Rule};
use super::json::{Json, MAX_DEPTH, Reader, read_value};
use super::tree::{Node, Spent, Tree};

/// The rules of a schema. Immutable, shared between threads.
#[derive(Debug)]
pub(super) struct Acceptor {
    /// The first one is the schema's own.
    rules: Vec<Rule>,
}

/// Names beside those of the schema that are compared with each other; an object with more is left to the tree.
const MAX_UNKNOWN_NAMES: usize = 16;

impl Acceptor {
    /// True when the text is JSON, nested `max_depth` levels at most, and certainly conforms.
    pub(super) fn accepts(&self, text: &[u8], max_depth: usize) -> bool {
        let Ok(reader) = Reader::new(text, max_depth.min(MAX_DEPTH)) else {
            return false;
        };
        let mut pass = Pass { rules: &self.rules, reader, spent: Spent::default() };
        pass.accept(0).is_some() && pass.reader.end().is_ok()
    }
}

/// One reading of a text. Methods answer `None` when it is not certain that the text conforms.
struct Pass<'r, 'a> {
    rules: &'r [Rule],
    reader: Reader<'a>,
    spent: Spent,
}

impl<'r> Pass<'r, '_> {
    fn accept(&mut self, number: usize) -> Option<()> {
        let rule = self.rules.get(number)?;
        match self.reader.peek()? {
            _ if rule.tree.is_some() => self.tree(rule.tree.as_ref()?),
            b'"' => {
                let text = self.reader.string().ok()?;
                rule.accepts_text(text, &self.spent).then_some(())
            }
            b'{' => self.object(rule.object.as_deref()?),
            b'[' => self.array(rule.array.as_ref()?),
            b'-' | b'0'..=b'9' => {
                let number = self.reader.number().ok()?;
                rule.accepts_number(number).then_some(())
            }
            _ => {
                let literal = self.reader.literal().ok()?.into();
                rule.accepts_literal(&literal).then_some(())
            }
        }
    }

    fn tree(&mut self, validator: &Validator<Tree>) -> Option<()> {
        let value = read_value(&mut self.reader).ok()?;
        validator.is_valid(Node { value: &value, spent: &self.spent }).then_some(())
    }

    fn array(&mut self, rule: &ArrayRule) -> Option<()> {
        let mut length = 0;
        let mut done = self.reader.enter(b']').ok()?;
        while !done {
            self.accept(rule.items)?;
            length += 1;
            done = self.reader.leaves(b']').ok()?;
        }
        rule.length.contains(&length).then_some(())
    }

    fn object(&mut self, rule: &ObjectRule) -> Option<()> {
        let (mut found, mut next) = (0_u128, 0);
        let mut unknown: SmallVec<[Cow<'_, str>; 4]> = SmallVec::new();
        let mut done = self.reader.enter(b'}').ok()?;
        while !done {
            let name = self.reader.name().ok()?;
            let below = match rule.position(&name, next) {
                Some((position, property)) => {
                    let bit = 1 << position;
                    if found & bit != 0 {
                        return None;
                    }
                    found |= bit;
                    next = position + 1;
                    property
                }
                None => {
                    let Additional::Rule(below) = rule.additional else { return None };
                    if unknown.len() >= MAX_UNKNOWN_NAMES || unknown.contains(&name) {
                        return None;
                    }
                    unknown.push(name);
                    below
                }
            };
            self.accept(below)?;
            done = self.reader.leaves(b'}').ok()?;
        }
        let count = u64::from(found.count_ones()) + unknown.len() as u64;
        (found & rule.required == rule.required && rule.length.contains(&count)).then_some(())
    }
}

/// A string as the validator sees it.
fn is_valid_text(validator: &Validator<Tree>, text: Cow<'_, str>, spent: &Spent) -> bool {
    validator.is_valid(Node { value: &Json::String(text), spent })
}

#[cfg(test)]
mod tests;
