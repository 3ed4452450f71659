//! Files of credentials and tokens, read again at every fetch.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::error::FetchError;

/// The text of a file. Only while the configuration is read, or on a helper thread.
pub(crate) fn read(path: &Path) -> Result<String, FetchError> {
    read_raw(path).map_err(|error| failed(path, &error))
}

#[expect(clippy::disallowed_methods, reason = "as said of `read`: never on the event loop")]
fn read_raw(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

fn failed(path: &Path, error: &io::Error) -> FetchError {
    FetchError::File { path: path.to_owned(), reason: reason(error) }
}

/// A system error with its number alone in brackets: `No such file or directory (2)`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.split_once(" (os error")) {
        (Some(number), Some((words, _))) => format!("{words} ({number})"),
        _ => text,
    }
}

/// A file that the master could read and the worker's user perhaps cannot, such as one in root's home: what the master read
/// serves then, until the next reload.
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
        self.or_kept(read_raw(&self.path))
    }

    fn or_kept(&self, text: io::Result<String>) -> Result<Option<String>, FetchError> {
        match (text, &self.at_configuration) {
            (Ok(text), _) => Ok(Some(text)),
            (Err(error), Some(kept)) if error.kind() == ErrorKind::PermissionDenied => {
                Ok(Some(kept.clone()))
            }
            (Err(error), _) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(None),
                _ => Err(failed(&self.path, &error)),
            },
        }
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
    fn what_the_master_read_serves_a_worker_that_may_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let denied = || Err(io::Error::from_raw_os_error(13));
        let unread = KeptFile::new(path.clone());
        let error = unread.or_kept(denied()).unwrap_err().to_string();
        assert!(error.ends_with("credentials\": Permission denied (13)"), "{error}");
        std::fs::write(&path, "kept").unwrap();
        let file = KeptFile::new(path);
        assert_eq!(file.or_kept(denied()), Ok(Some("kept".to_owned())));
        // gone is gone, and other errors are told
        assert_eq!(file.or_kept(Err(io::Error::from_raw_os_error(2))), Ok(None));
        assert!(file.or_kept(Err(io::Error::from_raw_os_error(5))).is_err());
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
