//! The verdict: how a turn ended, in the words that clients and the log share.

use crate::metrics::of_box::OfBox;
use crate::mode::Outcome;

/// Why a turn failed, or which notice a client gets. `as_str` is the public spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// The agent failed; the box's own code, or `AGENT_FAILED`.
    Agent(String),
    /// Somebody stopped it.
    Cancelled,
    /// No connection to the box for too long.
    BoxUnreachable,
    /// The box refused the credential for too long, or none came back after a restart.
    BoxUnauthorized,
    /// The box answered, but with nothing sensible, for too long.
    BoxError,
    /// The box has lost the turn: idle with an unfinished answer, or it does not know it.
    BoxLost,
    /// The box took the prompt and the agent was never seen at work on it.
    NeverStarted,
    /// The prompt was sent, not answered, and not found: it may or may not have run.
    DispatchUnconfirmed,
    /// At work, with nothing new for too long.
    QuietDeadline,
    /// The whole turn took too long.
    TurnDeadline,
}

impl Code {
    const ALL: [Self; 10] = [
        Self::Agent(String::new()),
        Self::Cancelled,
        Self::BoxUnreachable,
        Self::BoxUnauthorized,
        Self::BoxError,
        Self::BoxLost,
        Self::NeverStarted,
        Self::DispatchUnconfirmed,
        Self::QuietDeadline,
        Self::TurnDeadline,
    ];

    /// The public spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Agent(code) => code,
            Self::Cancelled => "CANCELLED",
            Self::BoxUnreachable => "BOX_UNREACHABLE",
            Self::BoxUnauthorized => "BOX_UNAUTHORIZED",
            Self::BoxError => "BOX_ERROR",
            Self::BoxLost => "BOX_LOST",
            Self::NeverStarted => "NEVER_STARTED",
            Self::DispatchUnconfirmed => "DISPATCH_UNCONFIRMED",
            Self::QuietDeadline => "QUIET_DEADLINE",
            Self::TurnDeadline => "TURN_DEADLINE",
        }
    }

    /// The spelling for a metric's label: a closed set, so the box's own codes are one.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Agent(_) => "AGENT_FAILED",
            Self::Cancelled
            | Self::BoxUnreachable
            | Self::BoxUnauthorized
            | Self::BoxError
            | Self::BoxLost
            | Self::NeverStarted
            | Self::DispatchUnconfirmed
            | Self::QuietDeadline
            | Self::TurnDeadline => self.as_str(),
        }
    }

    /// What a person should know about it; the agent's own failures bring their own words.
    #[must_use]
    pub const fn explanation(&self) -> &'static str {
        match self {
            Self::Agent(_) => "the agent failed",
            Self::Cancelled => "the turn was cancelled",
            Self::BoxUnreachable => "the box could not be reached for too long",
            Self::BoxUnauthorized => "no credential that the box accepts was shown for too long",
            Self::BoxError => "the box gave no sensible answer for too long",
            Self::BoxLost => "the box no longer works on this turn and left it unfinished",
            Self::NeverStarted => "the box took the prompt but the agent never began to work on it",
            Self::DispatchUnconfirmed => {
                "the prompt was sent, but the box neither answered nor shows it; \
                 it is not sent again, since it may have run"
            }
            Self::QuietDeadline => "the agent showed nothing new for too long",
            Self::TurnDeadline => "the turn took longer than allowed and was stopped",
        }
    }
}

/// How a dispatched turn ended. Given once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// With the agent's answer.
    Completed,
    /// Without one.
    Failed {
        /// Why.
        code: Code,
        /// For people.
        message: String,
    },
    /// Stopped.
    Cancelled,
}

impl Verdict {
    /// A failure that afterbay itself declares.
    #[must_use]
    pub fn ours(code: Code) -> Self {
        let message = code.explanation().to_owned();
        Self::Failed { code, message }
    }

    /// The outcome for metrics and the log.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Completed => Outcome::Completed,
            Self::Failed { .. } => Outcome::Failed,
            Self::Cancelled => Outcome::Cancelled,
        }
    }

    /// Its code as a metric's label.
    #[must_use]
    pub fn label(&self) -> &str {
        self.code().map_or("none", Code::label)
    }

    /// The code, unless the turn completed.
    #[must_use]
    pub const fn code(&self) -> Option<&Code> {
        match self {
            Self::Completed => None,
            Self::Failed { code, .. } => Some(code),
            Self::Cancelled => Some(&Code::Cancelled),
        }
    }
}

/// Why a turn that the box never took was given up. Nothing of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// The box said no; its refusal is the answer.
    Refused,
    /// The box has forgotten the session that earlier turns were in.
    SessionLost,
    /// The box was never reached.
    BoxUnreachable,
    /// The box answered, but with nothing sensible.
    BoxError,
    /// After a restart nobody repeated the request whose body was not sent yet.
    NeverSent,
    /// Stopped before it was sent.
    Cancelled,
    /// The log did not take the turn.
    LogUnavailable,
    /// What it would need after a restart could not be kept.
    NotKept,
}

impl Withdrawal {
    const ALL: [Self; 8] = [
        Self::Refused,
        Self::SessionLost,
        Self::BoxUnreachable,
        Self::BoxError,
        Self::NeverSent,
        Self::Cancelled,
        Self::LogUnavailable,
        Self::NotKept,
    ];

    /// The public code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused => "DISPATCH_REFUSED",
            Self::SessionLost => "SESSION_LOST",
            Self::BoxUnreachable => "BOX_UNREACHABLE",
            Self::BoxError => "BOX_ERROR",
            Self::NeverSent => "NEVER_STARTED",
            Self::Cancelled => "CANCELLED",
            Self::LogUnavailable => "LOG_UNAVAILABLE",
            Self::NotKept => "SEAL_UNAVAILABLE",
        }
    }

    /// What a person should know about it.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Refused => "the box refused the turn",
            Self::SessionLost => {
                "the box has forgotten this session; the prompt was not sent, since it would run \
                 without what was said before. A new session id starts anew"
            }
            Self::BoxUnreachable => "the box could not be reached; the prompt was not sent",
            Self::BoxError => "the box gave no sensible answer; the prompt was not sent",
            Self::NeverSent => {
                "afterbay was restarted before the prompt was sent, and nobody repeated the request"
            }
            Self::Cancelled => "the turn was cancelled before its prompt was sent",
            Self::LogUnavailable => "the log takes no records; the prompt was not sent",
            Self::NotKept => {
                "the credential and the prompt cannot be sealed on disk; the prompt was not sent"
            }
        }
    }
}

/// Puts the counters of every end that a turn of this box may have at 0, so that the first of each
/// shows as an increase.
pub fn begin_counters(of: &OfBox) {
    let failures = Code::ALL.map(|code| Verdict::Failed { code, message: String::new() });
    for verdict in [Verdict::Completed, Verdict::Cancelled].into_iter().chain(failures) {
        drop(of.verdict(verdict.outcome(), verdict.label()));
    }
    Withdrawal::ALL.into_iter().for_each(|why| drop(of.withdrawn(why.code())));
}
