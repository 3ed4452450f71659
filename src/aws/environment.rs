//! The environment variables as nginx's master saw them.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

/// A snapshot of environment variables, taken by the master while it reads the configuration: nginx clears the environment
/// of its workers. Values are not shown by `Debug`; some of them are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// The value; `None` when the variable is not set or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// True when the value is `true`, in any case, as the AWS SDKs read their switches.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The file a variable names, or one in a folder of the home directory; `None` without either.
    pub(super) fn file(&self, name: &str, in_home: &str) -> Option<PathBuf> {
        let from_home = || self.get("HOME").map(|home| PathBuf::from(home).join(in_home));
        self.get(name).map(PathBuf::from).or_else(from_home)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set_and_values_are_not_shown() {
        let environment = Environment::from_iter([("A", "s3cr3t"), ("B", ""), ("C", "TRUE")]);
        assert_eq!(environment.get("A"), Some("s3cr3t"));
        assert_eq!(environment.get("B"), None);
        assert!(environment.is_true("C") && !environment.is_true("A"));
        assert!(!format!("{environment:?}").contains("s3cr3t"));
    }
}
