//! The directives of what clients get.

use super::directive;
use crate::directive::{Context, DirectiveError, Takes, Words, parse_integer, parse_size};
use crate::request::HeaderName;

directive!(
    /// `lambda_max_response SIZE;`
    LambdaMaxResponse = "lambda_max_response",
    "SIZE",
    "6m",
    Context::ANY,
    Takes::One,
    |words, level| {
        let text = words.first()?;
        let size = parse_size(text).ok_or_else(|| words.invalid(text))?;
        words.set_once(&mut level.max_response, size)
    }
);

directive!(
    /// `lambda_hide_header NAME;`
    LambdaHideHeader = "lambda_hide_header",
    "NAME",
    "",
    Context::ANY,
    Takes::One,
    |words, level| add_header(words, &mut level.hide_headers)
);

directive!(
    /// `lambda_pass_header NAME;`
    LambdaPassHeader = "lambda_pass_header",
    "NAME",
    "",
    Context::ANY,
    Takes::One,
    |words, level| add_header(words, &mut level.pass_headers)
);

directive!(
    /// `lambda_function_error CODE;`
    LambdaFunctionError = "lambda_function_error",
    "CODE",
    "502",
    Context::ANY,
    Takes::One,
    |words, level| {
        let text = words.first()?;
        let status = parse_integer(text).and_then(|status| u16::try_from(status).ok());
        let status = status.filter(|status| (400..=599).contains(status));
        words.set_once(&mut level.function_error, status.ok_or_else(|| words.invalid(text))?)
    }
);

directive!(
    /// `lambda_log_tail on | off;`
    LambdaLogTail = "lambda_log_tail",
    "on | off",
    "off",
    Context::ANY,
    Takes::One,
    |words, level| words.set_once(&mut level.log_tail, words.flag()?)
);

/// One name more of a list directive.
fn add_header(words: &Words<'_>, list: &mut Option<Vec<Box<str>>>) -> Result<(), DirectiveError> {
    let name = words.first()?;
    HeaderName::parse(name).ok_or_else(|| words.invalid(name))?;
    list.get_or_insert_default().push(name.to_ascii_lowercase().into());
    Ok(())
}
