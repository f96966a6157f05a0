//! The process's environment, taken once and handed on as a value.
//!
//! The one place that reads it. Everything else gets an [`Environment`], so that tests need no
//! real variables. `Debug` shows no values: some of them are secrets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// Variables by name. An empty value counts as absent, as in `VAR= command` and in compose files.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

/// A variable whose value is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotUtf8;

impl Environment {
    /// What this process was started with.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Self {
        Self(std::env::vars_os().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// These variables and no others.
    #[must_use]
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        let owned = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Self(owned.map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Whether a terminal is to stay without colours: `NO_COLOR`, or a terminal that has none.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.os("NO_COLOR").is_some() || self.is_dumb()
    }

    /// Whether a terminal does nothing but print.
    #[must_use]
    pub fn is_dumb(&self) -> bool {
        self.os("TERM").is_none_or(|term| term == "dumb")
    }

    /// The value of `name`.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, NotUtf8> {
        self.os(name).map(|value| value.to_str().ok_or(NotUtf8)).transpose()
    }

    /// The value of `name`, as the system has it.
    pub(super) fn os(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The names that begin with `prefix`.
    pub(super) fn names_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter_map(|name| name.to_str()).filter(move |name| name.starts_with(prefix))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}
