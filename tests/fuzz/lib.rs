//! What the fuzz targets share: a request head, plans from directives, and a count of the memory in use.

use std::path::Path;

use apigate::directive::{Directive, Place, Words};
use apigate::request::{Header, RequestHead, hash_lowercase};
use apigate::validate::{
    ValidateBody, ValidateDirectives, ValidateErrors, ValidateOpenapi, ValidateParam, ValidatePlan,
};

/// A request's head.
pub struct Head<'a> {
    pub method: &'a [u8],
    pub query: &'a [u8],
    pub headers: Vec<(&'a [u8], &'a [u8])>,
}

impl RequestHead for Head<'_> {
    fn method(&self) -> &[u8] {
        self.method
    }

    fn query(&self) -> &[u8] {
        self.query
    }

    fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.headers.iter().map(|(name, value)| Header {
            hash: hash_lowercase(name),
            lowercase_name: name,
            value,
        })
    }
}

/// A plan from directives: name and words of each.
pub fn plan(lines: &[(&str, &[&str])]) -> ValidatePlan {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut level = ValidateDirectives::default();
    for (name, arguments) in lines {
        let words = Words::new(name, arguments, Place::default(), folder);
        match *name {
            ValidateBody::NAME => ValidateBody::parse(&words, &mut level),
            ValidateParam::NAME => ValidateParam::parse(&words, &mut level),
            ValidateOpenapi::NAME => ValidateOpenapi::parse(&words, &mut level),
            ValidateErrors::NAME => ValidateErrors::parse(&words, &mut level),
            other => panic!("{other}"),
        }
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    level.compile().unwrap().unwrap()
}

/// The system's allocator with a count of the bytes in use.
pub use peak_alloc::PeakAlloc as Counting;

/// Runs something and fails when it needs more memory at once than 64 times the input, or [`FIXED_BYTES`].
pub fn bounded<T>(input_bytes: usize, run: impl FnOnce() -> T) -> T {
    Counting.reset_peak_usage();
    let before = Counting.current_usage();
    let result = run();
    let used = Counting.peak_usage() - before;
    let most = 64 * input_bytes + FIXED_BYTES;
    assert!(used <= most, "{used} bytes for {input_bytes} bytes of input");
    result
}

/// What a decision may need whatever the input: error texts above all.
pub const FIXED_BYTES: usize = 256 * 1024;
