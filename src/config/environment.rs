//! The process's environment, taken once and handed on as a value.
//!
//! The one place that reads it. Everything else gets an [`Environment`], so that tests need no
//! real variables. `Debug` shows no values: some of them are secrets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Variables by name, and which sockets were handed over. An empty value counts as absent, as in
/// `VAR= command` and in compose files.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    standing: Standing,
}

/// Addresses that the program stands on already, on sockets that its parent has opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// For clients.
    pub clients: Option<SocketAddr>,
    /// For operators.
    pub operators: Option<SocketAddr>,
}

/// A variable whose value is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotUtf8;

impl Environment {
    /// What this process was started with.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().filter(|(_, value)| !value.is_empty()).collect();
        Self { variables, standing: Standing::default() }
    }

    /// These variables and no others.
    #[must_use]
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        let owned = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let variables = owned.map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, standing: Standing::default() }
    }

    /// The same, with sockets at these addresses.
    #[must_use]
    pub fn standing_on(&self, standing: Standing) -> Self {
        Self { standing, variables: self.variables.clone() }
    }

    /// The addresses of the sockets that were handed over.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Where the service manager wants to be told how the program is (`NOTIFY_SOCKET`).
    #[must_use]
    pub fn notify_socket(&self) -> Option<&OsStr> {
        self.os("NOTIFY_SOCKET")
    }

    /// Within what time the service manager wants to be told each time that this process lives
    /// (`WATCHDOG_USEC`).
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        let is_ours = self.os("WATCHDOG_PID").is_none() || self.names_this_process("WATCHDOG_PID");
        let micros = self.text("WATCHDOG_USEC").ok().flatten()?.parse().ok();
        micros.filter(|micros| is_ours && *micros > 0).map(Duration::from_micros)
    }

    /// Whether the variable holds the id of this process.
    pub(super) fn names_this_process(&self, name: &str) -> bool {
        let id = self.text(name).ok().flatten().and_then(|text| text.parse().ok());
        id == Some(std::process::id())
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
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The names that begin with `prefix`.
    pub(super) fn names_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.variables
            .keys()
            .filter_map(|name| name.to_str())
            .filter(move |name| name.starts_with(prefix))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.variables.len())
    }
}
