//! The runner of declarative cases, `tests/cases/*.t`. tests/cases.rs describes the format.
//!
//! text → [`parse`] → [`Block`](parse::Block) → variables filled in → [`Case`](case::Case) →
//! [`run`]: nginx started, requests sent, [`expect`] compares.

pub mod case;
pub mod expect;
pub mod parse;
pub mod run;
pub mod services;
mod values;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Completion, Failed, Trial};

use crate::Outcome;
use crate::cases::case::Case;
use crate::cases::parse::Block;
use crate::flavour::Flavour;
use crate::scenario;

/// Runs the cases of a directory, and of the one that `APIGATE_CASES` names; main() of
/// tests/cases.rs.
pub fn main(directory: &Path) -> ExitCode {
    let arguments = scenario::arguments();
    let more = std::env::var_os("APIGATE_CASES").map(PathBuf::from);
    let directories = [directory.to_owned()].into_iter().chain(more).collect::<Vec<_>>();
    let trials =
        scenario::flavours(&arguments).and_then(|flavours| trials(&directories, &flavours));
    match trials {
        Ok(trials) => scenario::conclude(&arguments, trials),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The *.t files of a directory, by name.
fn files(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let listing = std::fs::read_dir(directory)
        .map_err(|error| format!("cannot read \"{}\": {error}", directory.display()))?;
    let mut paths = listing.map(|entry| Ok(entry?.path())).collect::<Outcome<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "t"));
    paths.sort();
    Ok(paths)
}

/// One trial for each block and flavour. Every mistake in every file is reported at once.
fn trials(directories: &[PathBuf], flavours: &[Flavour]) -> Outcome<Vec<Trial>> {
    let mut trials = Vec::new();
    let mut mistakes = Vec::new();
    for directory in directories {
        for path in files(directory)? {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path)?;
            match checked_blocks(&path.display().to_string(), &text) {
                Ok(blocks) => {
                    for block in blocks.into_iter().map(Arc::new) {
                        let of = |flavour: &Flavour| trial(*flavour, &stem, Arc::clone(&block));
                        trials.extend(flavours.iter().map(of));
                    }
                }
                Err(error) => mistakes.push(error.to_string()),
            }
        }
    }
    if mistakes.is_empty() { Ok(trials) } else { Err(mistakes.join("\n").into()) }
}

/// The blocks of a file, each of them known to make a case.
fn checked_blocks(file: &str, text: &str) -> Outcome<Vec<Block>> {
    let blocks = parse::parse(file, text)?;
    for block in &blocks {
        Case::from_block(block)?;
    }
    Ok(blocks)
}

fn trial(flavour: Flavour, stem: &str, block: Arc<Block>) -> Trial {
    let name = format!("{flavour}::{stem}::{}", block.name);
    Trial::ignorable_test(name, move || match skip_reason(flavour, &block) {
        Some(reason) => Ok(Completion::ignored_with(reason)),
        None => match run::run(flavour, &block) {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => Err(Failed::from(format!("{}: {error}", block.place()))),
        },
    })
}

fn skip_reason(flavour: Flavour, block: &Block) -> Option<String> {
    let text = block.text("skip_flavour")?;
    let (name, reason) = text.trim().split_once(' ')?;
    (name == flavour.name()).then(|| reason.to_owned())
}
