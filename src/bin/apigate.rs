//! The command line: hashes keys, checks consumers files, turns Kong's into ours.

use std::io::{BufRead, Read as _, Write};
use std::path::Path;
use std::process::ExitCode;

use apigate::consumers::{ConsumerSet, KeyDigest, SetBuilder, export, file};

const USAGE: &str = "\
Usage: apigate hash-key [--new]   SHA-256 of the key on standard input, as a consumers file or \"key=\" takes it;
                                  --new makes a key of 256 random bits and prints it as well
       apigate check FILE...      reads consumers files as nginx would
       apigate import-kong FILE   Kong's declarative file as a consumers file, keys as SHA-256
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match run(&arguments, &mut input, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage) => {
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            ExitCode::from(2)
        }
        Err(Failure::Reason(reason)) => {
            let _ = writeln!(std::io::stderr(), "apigate: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Why a command did not do what it was to do.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    Usage,
    Reason(String),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Reason(error.to_string())
    }
}

fn run(
    arguments: &[&str],
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<(), Failure> {
    match arguments {
        ["hash-key"] => {
            let mut line = String::new();
            input.read_line(&mut line)?;
            match line.trim_end_matches(['\r', '\n']) {
                "" => Err(Failure::Reason("there is no key on standard input".to_owned())),
                key => Ok(writeln!(output, "{}", specification(key))?),
            }
        }
        ["hash-key", "--new"] => {
            let key = new_key()?;
            Ok(writeln!(output, "{key}\n{}", specification(&key))?)
        }
        ["check", files @ ..] if !files.is_empty() => {
            for file in files {
                let set = load(file)?;
                writeln!(
                    output,
                    "{file}: {} consumers, {} keys, {} groups",
                    set.len(),
                    set.credential_count(),
                    set.group_count()
                )?;
            }
            Ok(())
        }
        ["import-kong", file] => Ok(output.write_all(export::to_json(&load(file)?).as_bytes())?),
        ["help" | "--help" | "-h"] => Ok(output.write_all(USAGE.as_bytes())?),
        _ => Err(Failure::Usage),
    }
}

fn specification(key: &str) -> String {
    format!("sha256:{}", KeyDigest::of(key.as_bytes()).to_hex())
}

/// 32 random bytes in URL-safe base64.
#[expect(clippy::disallowed_methods, reason = "the command line may wait")]
fn new_key() -> Result<String, Failure> {
    use base64::Engine as _;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

#[expect(clippy::disallowed_methods, reason = "the command line may wait")]
fn load(name: &str) -> Result<ConsumerSet, Failure> {
    // derived ids depend on the set's name, which the file does not know
    let mut builder = SetBuilder::new("");
    let bytes = std::fs::read(name)
        .map_err(|error| Failure::Reason(format!("cannot read \"{name}\": {error}")))?;
    file::read(Path::new(name), &bytes, &mut builder).map_err(|error| {
        Failure::Reason(format!("consumers file \"{name}\" is invalid: {error}"))
    })?;
    builder.finish().map_err(Failure::Reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &[&str], input: &str) -> Result<String, Failure> {
        let mut output = Vec::new();
        run(arguments, &mut input.as_bytes(), &mut output)?;
        Ok(String::from_utf8(output).unwrap())
    }

    #[test]
    fn a_key_is_hashed_without_its_line_end() {
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
        for input in ["abc", "abc\n", "abc\r\n", "abc\nmore\n"] {
            assert_eq!(call(&["hash-key"], input).as_deref(), Ok(expected), "{input:?}");
        }
        let empty = Failure::Reason("there is no key on standard input".to_owned());
        assert_eq!(call(&["hash-key"], "\n"), Err(empty));
    }

    #[test]
    fn new_keys_are_long_different_and_come_with_their_hash() {
        let output = call(&["hash-key", "--new"], "").unwrap();
        let (key, hash) = output.split_once('\n').unwrap();
        assert_eq!(key.len(), 43);
        assert_eq!(call(&["hash-key"], key).unwrap(), hash);
        assert_ne!(call(&["hash-key", "--new"], "").unwrap(), output);
    }

    #[test]
    fn files_are_checked_and_imported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kong.yml");
        let name = path.to_str().unwrap();
        let text = "_format_version: '3.0'\nservices: []\nconsumers:\n- username: bob\n  acls: [{group: g}]\n  keyauth_credentials: [{key: S3CRET}]\n";
        std::fs::write(&path, text).unwrap();
        let checked = call(&["check", name], "").unwrap();
        assert_eq!(checked, format!("{name}: 1 consumers, 1 keys, 1 groups\n"));
        let imported = call(&["import-kong", name], "").unwrap();
        assert!(!imported.contains("S3CRET"));
        let ours = folder.path().join("ours.json");
        std::fs::write(&ours, &imported).unwrap();
        let set = load(ours.to_str().unwrap()).unwrap();
        let key = set.lookup(&KeyDigest::of(b"S3CRET")).unwrap();
        assert_eq!(set.consumer(key.owner()).unwrap().groups_text(), "g");
        std::fs::write(&path, "consumers: S3CRET").unwrap();
        let reason = format!(
            "consumers file \"{name}\" is invalid: line 1 at \"/consumers\": it must be a list of objects"
        );
        assert_eq!(call(&["check", name], ""), Err(Failure::Reason(reason)));
    }

    #[test]
    fn unknown_commands_show_the_usage() {
        for arguments in [&[][..], &["check"], &["hash-key", "abc"], &["import-kong"], &["x"]] {
            assert_eq!(call(arguments, ""), Err(Failure::Usage), "{arguments:?}");
        }
    }
}
