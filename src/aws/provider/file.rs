//! Files of credentials and tokens, read again at every fetch.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::FetchError;

/// The text of a file. Only while the configuration is read, or on a helper thread.
#[expect(clippy::disallowed_methods, reason = "see above: never on the event loop")]
pub(crate) fn read(path: &Path) -> Result<String, FetchError> {
    let failed =
        |error: std::io::Error| FetchError::File { path: path.to_owned(), reason: reason(&error) };
    std::fs::read_to_string(path).map_err(failed)
}

/// A system error with its number alone in brackets: `No such file or directory (2)`.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.split_once(" (os error")) {
        (Some(number), Some((words, _))) => format!("{words} ({number})"),
        _ => text,
    }
}

/// A file that the master could read and the worker's user perhaps cannot, such as `/root/.aws/credentials`: what the master
/// read serves then, until the next reload.
#[derive(Clone)]
pub(crate) struct KeptFile {
    path: PathBuf,
    at_configuration: Option<String>,
}

impl std::fmt::Debug for KeptFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KeptFile").field(&self.path).finish()
    }
}

impl KeptFile {
    /// The file as it is now, if it can be read.
    pub(crate) fn new(path: PathBuf) -> Self {
        let at_configuration = read(&path).ok();
        Self { path, at_configuration }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The text; `None` when there is no such file.
    pub(crate) fn read(&self) -> Result<Option<String>, FetchError> {
        match self.check() {
            Ok(()) => read(&self.path).map(Some),
            Err(ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(ErrorKind::PermissionDenied) if self.at_configuration.is_some() => {
                Ok(self.at_configuration.clone())
            }
            Err(_) => read(&self.path).map(Some),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "as `read`: never on the event loop")]
    fn check(&self) -> Result<(), ErrorKind> {
        std::fs::File::open(&self.path).map(drop).map_err(|error| error.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_each_time_and_its_absence_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let file = KeptFile::new(path.clone());
        assert_eq!(file.read(), Ok(None));
        std::fs::write(&path, "one").unwrap();
        assert_eq!(file.read(), Ok(Some("one".to_owned())));
        std::fs::write(&path, "two").unwrap();
        assert_eq!(file.read(), Ok(Some("two".to_owned())));
        let below_a_file = KeptFile::new(path.join("x"));
        assert_eq!(below_a_file.read(), Ok(None));
        assert!(!format!("{:?}", KeptFile::new(path)).contains("two"));
    }

    #[test]
    fn an_unreadable_file_is_named_with_the_systems_reason() {
        let error = read(Path::new("/nonexistent/keys")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read \"/nonexistent/keys\": No such file or directory (2)"
        );
    }
}
