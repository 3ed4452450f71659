//! main() of the tests that are written in Rust: one trial for each function and flavour, named
//! `FLAVOUR::FILE::FUNCTION`, with libtest's command line.

use std::num::NonZero;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::Outcome;
use crate::cases::services;
use crate::flavour::Flavour;

/// A test written in Rust.
pub type Scenario = fn(Flavour) -> Outcome;

/// The command line, with `RUST_TEST_THREADS` heeded as libtest does. The default is one thread a
/// core.
pub(crate) fn arguments() -> Arguments {
    let mut arguments = Arguments::from_args();
    let threads = std::env::var("RUST_TEST_THREADS").ok().and_then(|text| text.parse().ok());
    arguments.test_threads = arguments.test_threads.or(threads.map(NonZero::<usize>::get));
    arguments
}

/// The flavours to make trials for. A list needs no nginx.
pub(crate) fn flavours(arguments: &Arguments) -> Outcome<Vec<Flavour>> {
    if arguments.list { Ok(Flavour::ALL.to_vec()) } else { Flavour::under_test() }
}

/// Runs trials, ends what they shared, and returns the verdict.
pub(crate) fn conclude(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    let conclusion = libtest_mimic::run(arguments, trials);
    services::stop_shared();
    conclusion.exit_code()
}

/// Runs scenarios; called by [`scenarios!`](crate::scenarios).
pub fn run(file: &str, scenarios: &[(&str, Scenario)]) -> ExitCode {
    let arguments = arguments();
    let flavours = match flavours(&arguments) {
        Ok(flavours) => flavours,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = Vec::new();
    for flavour in flavours {
        for &(name, scenario) in scenarios {
            let run = move || scenario(flavour).map_err(|error| Failed::from(error.to_string()));
            trials.push(Trial::test(format!("{flavour}::{file}::{name}"), run));
        }
    }
    conclude(&arguments, trials)
}

/// Makes main() out of functions `fn(Flavour) -> Outcome`: `harness::scenarios![one, another];`
#[macro_export]
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            $crate::scenario::run(
                env!("CARGO_CRATE_NAME"),
                &[$((stringify!($name), $name as $crate::scenario::Scenario)),+],
            )
        }
    };
}
