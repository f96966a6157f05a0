//! Why a command that asks a running afterbay comes to nothing, and the exit code for it.

use std::fmt;
use std::io;
use std::process::ExitCode;

use super::USAGE;

/// Exit code for an afterbay that cannot be reached.
const UNREACHABLE: u8 = 3;

/// Why it comes to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command or the configuration is wrong.
    Usage(String),
    /// No afterbay answers.
    Unreachable(String),
    /// It answers, and says no.
    Refused(String),
    /// Nobody reads what is written; nothing to be told.
    NobodyReads,
}

impl Failure {
    /// Tells it on stderr, as `command`'s, and gives its exit code.
    pub(super) fn tell(&self, command: &str) -> ExitCode {
        match self {
            Self::NobodyReads => return ExitCode::SUCCESS,
            Self::Usage(_) | Self::Unreachable(_) | Self::Refused(_) => {
                eprintln!("afterbay {command}: {self}");
            }
        }
        match self {
            Self::Usage(_) => ExitCode::from(USAGE),
            Self::Unreachable(_) => ExitCode::from(UNREACHABLE),
            Self::Refused(_) | Self::NobodyReads => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) | Self::Unreachable(what) | Self::Refused(what) => f.write_str(what),
            Self::NobodyReads => f.write_str("nobody reads the output"),
        }
    }
}

impl From<io::Error> for Failure {
    /// What stdout says.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::NobodyReads
        } else {
            Self::Refused(format!("write to stdout: {error}"))
        }
    }
}
