use std::path::Path;

use super::*;
use crate::consumers::KeyDigest;

fn block(folder: &Path, lines: &[&[&str]]) -> Result<ConsumersBlock, String> {
    let place = |line| Place { file: "nginx.conf".into(), line };
    let mut block = ConsumersBlock::new("partners", place(1)).unwrap();
    for (number, line) in (2..).zip(lines) {
        let (name, arguments) = line.split_first().unwrap();
        let words = Words::new(name, arguments, place(number), folder);
        block.line(&words).map_err(|error| error.to_string())?;
    }
    Ok(block)
}

fn environment(name: &str) -> Option<String> {
    (name == "BOBS_KEY").then(|| "from-environment".to_owned())
}

#[test]
fn lines_and_files_are_one_set() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "from-file\r\nsecond line\n").unwrap();
    let file = r#"{"consumers":[{"username":"carol","keys":[{"key":"sha256:literal"}]}]}"#;
    std::fs::write(folder.path().join("more.json"), file).unwrap();
    let block = block(
        folder.path(),
        &[
            &[
                "consumer",
                "bob",
                "id=00000000-0000-4000-8000-0000000000B1",
                "custom_id=7",
                "groups=a,b",
                "tags=t",
                "key=env:BOBS_KEY",
                "key=literal",
            ],
            &[
                "consumer",
                "alice",
                "key=file:key",
                "key=sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ],
            &["file", "more.json", "watch=off"],
        ],
    );
    let plan = block.unwrap().compile(&environment).unwrap();
    let set = plan.load().unwrap().set;
    for (key, owner) in [
        ("from-environment", "bob"),
        ("literal", "bob"),
        ("from-file", "alice"),
        ("abc", "alice"),
        ("sha256:literal", "carol"),
    ] {
        let key = set.lookup(&KeyDigest::of(key.as_bytes())).unwrap();
        assert_eq!(set.consumer(key.owner()).unwrap().name(), owner.into());
    }
    let bob = set.by_id("00000000-0000-4000-8000-0000000000b1").unwrap();
    assert_eq!(
        (bob.custom_id(), bob.groups_text(), bob.tags().len()),
        (Some("7".into()), "a, b".into(), 1)
    );
    assert!(bob.is_written_in_conf() && !set.by_username("carol").unwrap().is_written_in_conf());
}

#[test]
fn wrong_lines_are_named_but_keys_are_not() {
    for (line, expected) in [
        (&["redis", "redis://x"][..], "unknown directive \"redis\" in \"consumers\" block"),
        (&["consumer"], "invalid number of arguments in \"consumer\" directive"),
        (&["consumer", "key=S3CRET"], "\"consumer\" must have a name before its parameters"),
        (&["consumer", "a", "S3CRET"], "invalid parameter number 1 of \"consumer\""),
        (&["consumer", "a", "kye=S3CRET"], "invalid parameter \"kye=\""),
        (
            &["consumer", "a", "key=sha256:S3CRET"],
            "\"key=sha256:\" needs 64 hexadecimal digits behind it",
        ),
        (&["consumer", "a", "key="], "\"key=\" is empty"),
        (&["consumer", "a", "key=env:"], "\"key=env:\" needs a variable's name behind it"),
        (&["consumer", "a", "id=7"], "invalid parameter \"id=7\", it must be a UUID"),
        (&["consumer", "a", "custom_id=1", "custom_id=2"], "duplicate parameter \"custom_id=2\""),
        (&["consumer", "a", "groups=x, y"], "invalid parameter \"groups=x, y\""),
        (&["consumer", "a "], "invalid name: it begins or ends with white space"),
        (&["S3CRET"], "unknown directive in \"consumers\" block"),
        (&["consumer", "a", "groups=x,"], "invalid parameter \"groups=x,\""),
        (&["consumer", "a\nb"], "invalid name: it contains a control character"),
        (&["file"], "invalid number of arguments in \"file\" directive"),
        (&["file", "f", "watch=0"], "invalid parameter \"watch=0\""),
        (&["file", "f", "watch=soon"], "invalid parameter \"watch=soon\""),
        (&["file", "f", "watch=1s", "watch=off"], "duplicate parameter \"watch=off\""),
        (&["file", "f", "refresh=1s"], "invalid parameter \"refresh=1s\""),
    ] {
        let read = block(Path::new("/"), &[line]).map(|_| ());
        assert_eq!(read, Err(expected.to_owned()), "{line:?}");
    }
}

#[test]
fn what_is_found_later_is_said_of_its_own_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.json"), "{\"consumers\":[\n7]}").unwrap();
    let bad = folder.path().join("bad.json").display().to_string();
    let none = folder.path().join("none").display().to_string();
    for (lines, line, expected) in [
        (
            [&["consumer", "a"][..], &["consumer", "b", "key=env:NONE"]],
            3,
            "environment variable \"NONE\" is not set".to_owned(),
        ),
        (
            [&["consumer", "a", "key=file:none"], &["consumer", "b"]],
            2,
            format!("cannot read \"{none}\": No such file or directory (os error 2)"),
        ),
        (
            [&["consumer", "a", "key=k"], &["consumer", "b", "key=k"]],
            3,
            "a key belongs to both \"a\" and \"b\"".to_owned(),
        ),
        (
            [&["file", "bad.json"], &["consumer", "b"]],
            2,
            format!(
                "consumers file \"{bad}\" is invalid: \
                     line 2 at \"/consumers/0\": it must be an object"
            ),
        ),
        (
            [&["consumer", "a"], &["file", "none"]],
            3,
            format!("cannot read \"{none}\": No such file or directory (os error 2)"),
        ),
    ] {
        let block = block(folder.path(), &lines).unwrap();
        let error = match block.compile(&environment) {
            Err(error) => error,
            Ok(plan) => plan.load().unwrap_err().error,
        };
        assert_eq!((error.to_string(), error.place().unwrap().line), (expected, line));
    }
}

#[test]
fn no_set_is_called_off() {
    let error = ConsumersBlock::new("off", Place::default()).unwrap_err();
    assert_eq!(error.to_string(), "invalid consumer set name \"off\"");
}

#[test]
fn a_key_file_is_a_file_with_a_key_in_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let name = path.display().to_string();
    let read = |key: &str| {
        let line = ["consumer", "bob", key];
        block(folder.path(), &[&line]).unwrap().compile(&environment).err().map(|it| it.to_string())
    };
    for (text, expected) in [
        ("k".repeat(64 << 10) + "\nmore", None),
        ("k".repeat(64 << 10), None),
        (
            "k".repeat((64 << 10) + 1),
            Some(format!("cannot read \"{name}\": its first line is too long")),
        ),
        ("\r\nkey".to_owned(), Some(format!("\"{name}\" has no key in its first line"))),
    ] {
        std::fs::write(&path, &text).unwrap();
        assert_eq!(read("key=file:key"), expected, "{} bytes", text.len());
    }
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let expected = format!("cannot read \"{}\": it is not a regular file", fifo.display());
    assert_eq!(read("key=file:fifo"), Some(expected));
}

#[test]
fn a_written_key_is_in_no_debug_output() {
    let block = block(Path::new("/"), &[&["consumer", "bob", "key=S3CRET"]]).unwrap();
    let plan = block.compile(&environment).unwrap();
    let shown = format!("{block:?} {plan:?}");
    assert!(shown.contains("partners") && !shown.contains("S3CRET"), "{shown}");
}
