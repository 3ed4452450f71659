//! The command line: hashes keys, checks consumers files, turns Kong's into ours.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, Read as _, Write};
use std::path::Path;
use std::process::ExitCode;

use apigate::consumers::{ConsumerSet, KeyDigest, SetBuilder, export, file};

const USAGE: &str = "\
Usage: apigate hash-key [--new]   SHA-256 of the key on standard input, as a consumers file or \"key=\" takes it;
                                  --new makes a key of 256 random bits and prints it as well
       apigate check FILE...      reads consumers files as nginx would
       apigate import-kong FILE   Kong's declarative file as a consumers file, keys as SHA-256
       apigate --version
";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match run(&arguments, &mut input, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage) => {
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            ExitCode::from(2)
        }
        Err(Failure::Reasons(reasons)) => {
            for reason in reasons {
                let _ = writeln!(std::io::stderr(), "apigate: {reason}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Why a command did not do what it was to do.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    Usage,
    Reasons(Vec<String>),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Reasons(vec![reason])
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        error.to_string().into()
    }
}

fn run(
    arguments: &[&OsStr],
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let Some((command, operands)) = arguments.split_first() else { return Err(Failure::Usage) };
    if arguments.iter().any(|it| *it == "--help" || *it == "-h") {
        return Ok(output.write_all(USAGE.as_bytes())?);
    }
    match (command.to_str().unwrap_or_default(), operands) {
        ("help", []) => Ok(output.write_all(USAGE.as_bytes())?),
        ("--version", []) => Ok(writeln!(output, "apigate {}", env!("CARGO_PKG_VERSION"))?),
        ("hash-key", []) => {
            let mut line = Vec::new();
            input.read_until(b'\n', &mut line)?;
            let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
            match end.and_then(|end| line.get(..=end)) {
                None => Err("there is no key on standard input".to_owned().into()),
                Some(key) => Ok(writeln!(output, "{}", specification(key))?),
            }
        }
        ("hash-key", [flag]) if *flag == "--new" => {
            let key = new_key()?;
            Ok(writeln!(output, "{key}\n{}", specification(key.as_bytes()))?)
        }
        ("check", files) if !files.is_empty() => check(files, output),
        ("import-kong", [file]) => import_kong(file, output),
        _ => Err(Failure::Usage),
    }
}

/// Writes Kong's file as one of ours; a pipe will do.
#[expect(clippy::disallowed_methods, reason = "the command line may wait")]
fn import_kong(name: &OsStr, output: &mut impl Write) -> Result<(), Failure> {
    let bytes = read(name, |path| std::fs::File::open(path))?;
    Ok(output.write_all(export::to_json(&load(name, &bytes)?).as_bytes())?)
}

/// Tells of every file, and of all that are bad in the end.
fn check(files: &[&OsStr], output: &mut impl Write) -> Result<(), Failure> {
    let mut reasons = Vec::new();
    for name in files {
        match read(name, file::open).and_then(|bytes| load(name, &bytes)) {
            Ok(set) => writeln!(
                output,
                "{}: {} consumers, {} keys, {} groups",
                name.display(),
                set.len(),
                set.credential_count(),
                set.group_count()
            )?,
            Err(reason) => reasons.push(reason),
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(Failure::Reasons(reasons)) }
}

fn specification(key: &[u8]) -> String {
    format!("sha256:{}", KeyDigest::of(key).to_hex())
}

/// 32 random bytes in URL-safe base64.
#[expect(clippy::disallowed_methods, reason = "the command line may wait")]
fn new_key() -> Result<String, Failure> {
    use base64::Engine as _;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

fn read(
    name: &OsStr,
    open: impl FnOnce(&Path) -> std::io::Result<std::fs::File>,
) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    open(Path::new(name))
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read \"{}\": {error}", name.display()))?;
    Ok(bytes)
}

fn load(name: &OsStr, bytes: &[u8]) -> Result<ConsumerSet, String> {
    // derived ids depend on the set's name, which the file does not know
    let mut builder = SetBuilder::new("");
    file::read(Path::new(name), bytes, &mut builder)
        .map_err(|error| format!("consumers file \"{}\" is invalid: {error}", name.display()))?;
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &[&str], input: impl AsRef<[u8]>) -> Result<String, Failure> {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let mut output = Vec::new();
        run(&arguments, &mut input.as_ref(), &mut output)?;
        Ok(String::from_utf8(output).unwrap())
    }

    fn failure(reason: impl Into<String>) -> Failure {
        Failure::from(reason.into())
    }

    #[test]
    fn a_key_is_hashed_without_its_line_end() {
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
        for input in ["abc", "abc\n", "abc\r\n", "abc\nmore\n"] {
            assert_eq!(call(&["hash-key"], input).as_deref(), Ok(expected), "{input:?}");
        }
        let empty = || Err(failure("there is no key on standard input"));
        assert_eq!(call(&["hash-key"], "\n"), empty());
        assert_eq!(call(&["hash-key"], ""), empty());
    }

    #[test]
    fn a_key_need_not_be_text() {
        let expected = "sha256:a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89\n";
        assert_eq!(call(&["hash-key"], b"\xff\n").as_deref(), Ok(expected));
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
        let set = load(ours.as_os_str(), imported.as_bytes()).unwrap();
        let key = set.lookup(&KeyDigest::of(b"S3CRET")).unwrap();
        assert_eq!(set.consumer(key.owner()).unwrap().groups_text(), "g".into());
        std::fs::write(&path, "consumers: S3CRET").unwrap();
        let reason = format!(
            "consumers file \"{name}\" is invalid: line 1 at \"/consumers\": it must be a list of objects"
        );
        assert_eq!(call(&["check", name], ""), Err(failure(reason)));
    }

    #[test]
    fn every_file_is_checked_and_every_bad_one_told() {
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (good, fifo) = (folder.path().join("good.json"), folder.path().join("fifo"));
        std::fs::write(&good, "{\"consumers\": []}").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let bad = OsStr::from_bytes(b"/nonexistent/\xff");
        let mut output = Vec::new();
        let files = [bad, good.as_os_str(), fifo.as_os_str()];
        let checked = check(&files, &mut output);
        let reasons = vec![
            "cannot read \"/nonexistent/\u{fffd}\": No such file or directory (os error 2)"
                .to_owned(),
            format!("cannot read \"{}\": it is not a regular file", fifo.display()),
        ];
        assert_eq!(checked, Err(Failure::Reasons(reasons)));
        let expected = format!("{}: 0 consumers, 0 keys, 0 groups\n", good.display());
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    #[test]
    fn help_and_version_are_told_wherever_they_are_asked_for() {
        for arguments in
            [&["--help"][..], &["-h"], &["help"], &["check", "--help"], &["hash-key", "-h"]]
        {
            assert_eq!(call(arguments, "").as_deref(), Ok(USAGE), "{arguments:?}");
        }
        let expected = concat!("apigate ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!(call(&["--version"], "").as_deref(), Ok(expected));
    }

    #[test]
    fn unknown_commands_show_the_usage() {
        for arguments in [&[][..], &["check"], &["hash-key", "abc"], &["import-kong"], &["x"]] {
            assert_eq!(call(arguments, ""), Err(Failure::Usage), "{arguments:?}");
        }
    }
}
