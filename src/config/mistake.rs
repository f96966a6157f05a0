//! What is wrong with a configuration, and where it stands.
//!
//! All mistakes are told together, so that one start shows everything there is to mend. A mistake
//! never holds a secret: values of secrets and of URLs are not in its text.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a value was given. Shown in front of a mistake, so that its place is found at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On the command line, with the flag's name.
    Flag(&'static str),
    /// In the environment, with the variable's name.
    Environment(String),
    /// In the configuration file, with the key's full name.
    File(Arc<PathBuf>, String),
    /// Nowhere: the default.
    Default,
    /// In no single place: values that do not go together, or one that is missing.
    Whole,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Environment(name) => f.write_str(name),
            Self::File(path, key) if key.is_empty() => write!(f, "{}", path.display()),
            Self::File(path, key) => write!(f, "{}, {key}", path.display()),
            Self::Default => f.write_str("default"),
            Self::Whole => f.write_str("configuration"),
        }
    }
}

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong, for people.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    /// What must be mended; never empty.
    pub mistakes: Vec<Mistake>,
    /// What would only be warned of, and may well be the cause: a misspelt variable.
    pub warnings: Vec<String>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.mistakes.len() == 1 { "mistake" } else { "mistakes" };
        writeln!(f, "{} {plural} in the configuration:", self.mistakes.len())?;
        self.mistakes.iter().try_for_each(|mistake| writeln!(f, "  {mistake}"))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "  note: {warning}"))
    }
}

impl std::error::Error for Mistakes {}
