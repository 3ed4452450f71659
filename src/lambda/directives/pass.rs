//! `lambda_pass`

use super::directive;
use crate::directive::{Context, DirectiveError, Place, Takes, Words};
use crate::lambda::event::Payload;
use crate::lambda::function::{FunctionName, Invocation};

/// What `lambda_pass` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// FUNCTION as written, variables included.
    pub text: Box<str>,
    /// The function; `None` when the text has variables and [`FunctionName::parse`] is for the request to call.
    pub function: Option<FunctionName>,
    /// `payload=`
    pub payload: Payload,
    /// `invoke=`
    pub invocation: Invocation,
    /// `stream`
    pub stream: bool,
    /// Where the directive stands.
    pub place: Place,
}

impl Pass {
    /// True when FUNCTION has nginx variables in it.
    pub fn has_variables(&self) -> bool {
        self.function.is_none()
    }

    /// True unless FUNCTION is known to be one of the Lambda API.
    pub fn may_be_url(&self) -> bool {
        !matches!(self.function, Some(FunctionName::Api(_)))
    }
}

directive!(
    /// `lambda_pass FUNCTION [payload=...] [invoke=...] [stream];`
    LambdaPass = "lambda_pass",
    "FUNCTION [payload=1.0|2.0|alb|alb-multi|raw|kong] [invoke=sync|async|dry_run] [stream]",
    "",
    Context::LOCATION.or(Context::IF),
    Takes::OneOrMore,
    handles = true,
    |words, level| {
        let pass = parse_pass(words)?;
        words.set_once(&mut level.pass, pass)
    }
);

fn parse_pass(words: &Words<'_>) -> Result<Pass, DirectiveError> {
    let text = words.first()?;
    // `$LATEST` is the one dollar sign that is no variable's.
    let has_variables = text.strip_suffix(":$LATEST").unwrap_or(text).contains('$');
    let function = match FunctionName::parse(text) {
        None if has_variables => None,
        None => return Err(DirectiveError::new(format!("invalid function \"{text}\""))),
        function => function,
    };
    let (mut payload, mut invocation, mut stream) = (None, None, None);
    for parameter in words.parameters(1) {
        match parameter.name {
            "payload" => parameter.set_once(&mut payload, parameter.parsed(Payload::parse)?)?,
            "invoke" => parameter.set_once(&mut invocation, parameter.parsed(parse_invocation)?)?,
            "stream" => {
                parameter.bare()?;
                parameter.set_once(&mut stream, true)?;
            }
            _ => return Err(parameter.invalid()),
        }
    }
    let conflict = |parameter: &str, other: &str| {
        Err(DirectiveError::new(format!("\"{parameter}\" cannot be used with {other}")))
    };
    if let Some(FunctionName::Url(_)) = function {
        for (parameter, is_written) in [
            ("payload", payload.is_some()),
            ("invoke", invocation.is_some()),
            ("stream", stream.is_some()),
        ] {
            if is_written {
                return conflict(parameter, &format!("function URL \"{text}\""));
            }
        }
    }
    if stream.is_some() && !matches!(invocation, None | Some(Invocation::Sync)) {
        return conflict("stream", "\"invoke=async\" or \"invoke=dry_run\"");
    }
    Ok(Pass {
        text: text.into(),
        function,
        payload: payload.unwrap_or_default(),
        invocation: invocation.unwrap_or_default(),
        stream: stream.unwrap_or(false),
        place: words.place().clone(),
    })
}

fn parse_invocation(text: &str) -> Option<Invocation> {
    Some(match text {
        "sync" => Invocation::Sync,
        "async" => Invocation::Async,
        "dry_run" => Invocation::DryRun,
        _ => return None,
    })
}
