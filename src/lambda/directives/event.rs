//! The directives of what functions are sent.

use super::directive;
use crate::directive::{Context, DirectiveError, Takes, Words, parse_size};
use crate::lambda::network::Network;

directive!(
    /// `lambda_max_request SIZE;`
    LambdaMaxRequest = "lambda_max_request",
    "SIZE",
    "6m",
    Context::ANY,
    Takes::One,
    |words, level| {
        let text = words.first()?;
        let size = parse_size(text).ok_or_else(|| words.invalid(text))?;
        words.set_once(&mut level.max_request, size)
    }
);

directive!(
    /// `lambda_strip_prefix PATH;`
    LambdaStripPrefix = "lambda_strip_prefix",
    "PATH | off",
    "off",
    Context::ANY,
    Takes::One,
    |words, level| {
        let prefix = match words.first()? {
            "off" => None,
            path if path.starts_with('/') => Some(path.into()),
            other => return Err(words.invalid(other)),
        };
        words.set_once(&mut level.strip_prefix, prefix)
    }
);

directive!(
    /// `lambda_stage NAME;`
    LambdaStage = "lambda_stage",
    "NAME | off",
    "$default",
    Context::ANY,
    Takes::One,
    |words, level| {
        let stage = match words.first()? {
            "off" => None,
            name if is_stage(name) => Some(name.into()),
            other => return Err(words.invalid(other)),
        };
        words.set_once(&mut level.stage, stage)
    }
);

directive!(
    /// `forwarded_from CIDR...;`
    ForwardedFrom = "forwarded_from",
    "CIDR ... | off",
    "off",
    Context::ANY,
    Takes::OneOrMore,
    |words, level| {
        // A list directive: lines of one level add up.
        let networks = parse_networks(words)?;
        let is_off = words.is_off()?;
        match &mut level.forwarded_from {
            Some(list) if is_off || list.is_empty() => Err(words.duplicate()),
            Some(list) => {
                list.extend(networks);
                Ok(())
            }
            none => {
                *none = Some(networks);
                Ok(())
            }
        }
    }
);

/// Source: API Gateway, `CreateStage`: letters, digits, `-` and `_`, or `$default`.
fn is_stage(name: &str) -> bool {
    let is_stage_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    name == "$default" || (1..=128).contains(&name.len()) && name.bytes().all(is_stage_byte)
}

fn parse_networks(words: &Words<'_>) -> Result<Vec<Network>, DirectiveError> {
    if words.is_off()? {
        return Ok(Vec::new());
    }
    let parse = |word: &&str| Network::parse(word).ok_or_else(|| words.invalid(word));
    words.arguments().iter().map(parse).collect()
}
