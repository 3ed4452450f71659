//! What scenarios expect, and the error texts when it is not so.

use std::fmt::Debug;

use crate::Outcome;
use crate::http::Response;

/// An error unless the response has this status and this text in its body.
pub fn expect(response: &Response, status: u16, text: &str) -> Outcome {
    if response.status == status && response.text().contains(text) {
        return Ok(());
    }
    Err(format!("not {status} {text:?}: {}{}", response.head, response.text()).into())
}

/// An error that names `what` unless both are equal.
pub fn expect_equal<T: PartialEq + Debug>(what: &str, got: T, expected: T) -> Outcome {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: {got:?} instead of {expected:?}").into())
}
