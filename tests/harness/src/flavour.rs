//! The nginx binaries that everything is tested on.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::Outcome;

/// Major, minor and patch number of an nginx.
pub type Version = (u32, u32, u32);

/// One of the builds that `scripts/build` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// nginx 1.28, from the crate nginx-src.
    Vendored,
    /// Debian's package.
    System,
}

impl Flavour {
    /// All of them, in the order in which they are tested.
    pub const ALL: [Self; 2] = [Self::Vendored, Self::System];

    /// The flavour of that name.
    pub fn from_name(name: &str) -> Outcome<Self> {
        let known = Self::ALL.into_iter().find(|flavour| flavour.name() == name);
        known.ok_or_else(|| format!("unknown flavour \"{name}\"").into())
    }

    /// The flavours named in `APIGATE_FLAVOURS` (a comma list), or all. Every one of them is there.
    pub fn under_test() -> Outcome<Vec<Self>> {
        let flavours = match std::env::var("APIGATE_FLAVOURS") {
            Ok(names) => names.split(',').map(Self::from_name).collect::<Outcome<Vec<_>>>()?,
            Err(_) => Self::ALL.to_vec(),
        };
        for flavour in &flavours {
            for path in [flavour.binary(), flavour.module()] {
                if !path.exists() {
                    let path = path.display();
                    return Err(format!(
                        "{path} is missing: run \"scripts/build --nginx {flavour}\" first"
                    )
                    .into());
                }
            }
        }
        Ok(flavours)
    }

    /// Its name, as in `target/apigate/NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vendored => "vendored",
            Self::System => "system",
        }
    }

    fn directory(self) -> PathBuf {
        project_root().join("target/apigate").join(self.name())
    }

    /// The nginx binary.
    pub fn binary(self) -> PathBuf {
        self.directory().join("nginx")
    }

    /// The module built for it.
    pub fn module(self) -> PathBuf {
        self.directory().join("ngx_http_apigate_module.so")
    }

    /// The module with the feature `fault-injection`.
    pub fn faulty_module(self) -> PathBuf {
        self.directory().join("faults/ngx_http_apigate_module.so")
    }

    /// The version that `nginx -v` tells: (1, 22, 1).
    pub fn version(self) -> Outcome<Version> {
        static KNOWN: Mutex<Option<HashMap<Flavour, Version>>> = Mutex::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(version) = known.get(&self) {
            return Ok(*version);
        }
        let output = Command::new(self.binary()).arg("-v").output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let version = parse_version(&text).ok_or_else(|| format!("no version in \"{text}\""))?;
        known.insert(self, version);
        Ok(version)
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

fn parse_version(text: &str) -> Option<Version> {
    let numbers = text.split("nginx/").nth(1)?;
    let mut numbers =
        numbers.split(|c: char| !c.is_ascii_digit()).map(str::parse).take(3).filter_map(Result::ok);
    Some((numbers.next()?, numbers.next()?, numbers.next()?))
}

/// The directory of the project's Cargo.toml.
pub fn project_root() -> &'static Path {
    // tests/harness is two levels below it.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_nginx_prints() {
        for (text, version) in [
            ("nginx version: nginx/1.22.1\n", Some((1, 22, 1))),
            ("nginx version: nginx/1.28.0 (Debian)\n", Some((1, 28, 0))),
            ("segmentation fault", None),
        ] {
            assert_eq!(parse_version(text), version, "{text}");
        }
    }

    #[test]
    fn the_project_root_holds_this_crate() {
        assert!(project_root().join("tests/harness/Cargo.toml").exists());
    }
}
