//! The command line.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::site::Kind;

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) address: IpAddr,
    pub(crate) threads: usize,
    pub(crate) python: Option<PathBuf>,
    pub(crate) python_children: usize,
    /// The program that runs the Flask application behind an adapter.
    pub(crate) runner: PathBuf,
    ports: HashMap<Kind, u16>,
}

impl Options {
    /// The options in a list of arguments; the error names the offending one.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            threads: 1,
            python: None,
            python_children: 2,
            runner: concat!(env!("CARGO_MANIFEST_DIR"), "/../flask/runner.py").into(),
            ports: HashMap::new(),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument.clone(), arguments.next()),
            };
            let value = value.ok_or_else(|| format!("option \"{name}\" has no value"))?;
            let invalid = || format!("invalid value \"{value}\" of option \"{name}\"");
            match name.as_str() {
                "--address" => {
                    let address: IpAddr = value.parse().map_err(|_| invalid())?;
                    if !address.is_loopback() {
                        return Err(invalid());
                    }
                    options.address = address;
                }
                "--threads" => options.threads = positive(&value).ok_or_else(invalid)?,
                "--python" => options.python = Some(value.into()),
                "--python-children" => {
                    options.python_children = positive(&value).ok_or_else(invalid)?
                }
                "--runner" => options.runner = value.into(),
                _ => {
                    let kind = Kind::ALL
                        .into_iter()
                        .find(|kind| {
                            name.strip_prefix("--")
                                .is_some_and(|n| n.replace('-', "_") == kind.name())
                        })
                        .ok_or_else(|| format!("unknown option \"{name}\""))?;
                    options.ports.insert(kind, value.parse().map_err(|_| invalid())?);
                }
            }
        }
        Ok(options)
    }

    /// The port of a listener; 0 is the kernel's choice.
    pub(crate) fn port(&self, kind: Kind) -> u16 {
        self.ports.get(&kind).copied().unwrap_or(0)
    }
}

fn positive(text: &str) -> Option<usize> {
    text.parse().ok().filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        Options::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn ports_and_values() {
        let options = parse("--lambda-http 8080 --sts=9 --threads 2").unwrap();
        assert_eq!(options.port(Kind::LambdaHttp), 8080);
        assert_eq!((options.port(Kind::Sts), options.port(Kind::Imds), options.threads), (9, 0, 2));
    }

    #[test]
    fn only_loopback_is_served() {
        assert!(parse("--address ::1").is_ok());
        assert_eq!(
            parse("--address 0.0.0.0").unwrap_err(),
            "invalid value \"0.0.0.0\" of option \"--address\""
        );
    }

    #[test]
    fn offending_options_are_named() {
        assert_eq!(parse("--nope 1").unwrap_err(), "unknown option \"--nope\"");
        assert_eq!(parse("--sts").unwrap_err(), "option \"--sts\" has no value");
        assert_eq!(parse("--sts x").unwrap_err(), "invalid value \"x\" of option \"--sts\"");
    }
}
