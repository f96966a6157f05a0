//! The closed enums that every floor shares: how turns are run, what stands upstream, where a
//! turn is, and how it ended. Each has one spelling (`as_str`), used in config, metrics and JSON.

use std::fmt;
use std::str::FromStr;

/// How turns reach the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Dispatch detached, poll, and re-emit from the durable log.
    #[default]
    Poll,
    /// Pass the turn routes through byte for byte; nothing is logged.
    Sse,
}

impl Mode {
    /// The spelling in config, metrics and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Sse => "sse",
        }
    }
}

/// Text that names no mode of this build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownMode {
    /// A mode that is planned but not built.
    #[error("mode `hybrid` is not built yet; use `poll` or `sse`")]
    NotBuilt,
    /// No such mode.
    #[error("unknown mode `{0}`; use `poll` or `sse`")]
    Unknown(String),
}

impl FromStr for Mode {
    type Err = UnknownMode;
    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "poll" => Ok(Self::Poll),
            "sse" => Ok(Self::Sse),
            "hybrid" => Err(UnknownMode::NotBuilt),
            other => Err(UnknownMode::Unknown(other.to_owned())),
        }
    }
}

/// What stands upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BoxKind {
    /// The sandbox's own sidecar.
    Tangle,
    /// An `opencode` server, v1 API.
    Opencode,
}

impl BoxKind {
    /// The spelling in config, metrics and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tangle => "tangle",
            Self::Opencode => "opencode",
        }
    }
}

/// Text that names no kind of box.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown box kind `{0}`; use `tangle` or `opencode`")]
pub struct UnknownBoxKind(pub String);

impl FromStr for BoxKind {
    type Err = UnknownBoxKind;
    fn from_str(text: &str) -> Result<Self, UnknownBoxKind> {
        match text {
            "tangle" => Ok(Self::Tangle),
            "opencode" => Ok(Self::Opencode),
            other => Err(UnknownBoxKind(other.to_owned())),
        }
    }
}

/// How much of a turn clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fidelity {
    /// The whole trace.
    #[default]
    Full,
    /// What the original poll mode gave: one `result`, after an `error` if it failed.
    Result,
}

/// Text that names no fidelity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown fidelity `{0}`; use `full` or `result`")]
pub struct UnknownFidelity(pub String);

impl FromStr for Fidelity {
    type Err = UnknownFidelity;

    fn from_str(text: &str) -> Result<Self, UnknownFidelity> {
        match text {
            "full" => Ok(Self::Full),
            "result" => Ok(Self::Result),
            other => Err(UnknownFidelity(other.to_owned())),
        }
    }
}

/// Where a turn is between its acceptance and its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// In the log; the box has not heard of it.
    Accepted,
    /// The box's session is open and everything `find` will need is in the log.
    Prepared,
    /// The prompt is on its way.
    Dispatching,
    /// The prompt was sent and not answered: being looked for.
    Resolving,
    /// The box has it.
    Running,
    /// The box waits for a person: a permission, a question, a plan.
    Waiting,
    /// The box says it is over: one more read for what came late.
    Draining,
    /// The verdict is in the log, or the turn was withdrawn.
    Finished,
}

impl Phase {
    /// Every phase of a turn without a verdict, in the order in which it may be in them.
    pub const UNFINISHED: [Self; 7] = [
        Self::Accepted,
        Self::Prepared,
        Self::Dispatching,
        Self::Resolving,
        Self::Running,
        Self::Waiting,
        Self::Draining,
    ];

    /// The spelling in metrics and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Prepared => "prepared",
            Self::Dispatching => "dispatching",
            Self::Resolving => "resolving",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Draining => "draining",
            Self::Finished => "finished",
        }
    }
}

/// How a turn ended, given exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The agent finished.
    Completed,
    /// The agent failed, or we had to give up; a code says which.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl Outcome {
    /// The spelling in metrics and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Text that names no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no outcome is called that")]
pub struct UnknownOutcome;

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        let all = [Self::Completed, Self::Failed, Self::Cancelled];
        all.into_iter().find(|outcome| outcome.as_str() == text).ok_or(UnknownOutcome)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Display for BoxKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written_and_hybrid_is_told_apart() {
        for mode in [Mode::Poll, Mode::Sse] {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        assert_eq!("hybrid".parse::<Mode>(), Err(UnknownMode::NotBuilt));
        assert_eq!("Poll".parse::<Mode>(), Err(UnknownMode::Unknown("Poll".into())));
    }
}
