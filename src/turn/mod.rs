//! Dispatch, poll, verdict: one turn from its acceptance to its close-out.
//!
//! [`machine`] decides and touches nothing; [`driver`] does what it says, feeds back what
//! happened, and is the only one that writes how it goes; [`resume`] reads those records
//! back after a restart. `LIFECYCLE.md` draws the states. Everything durable passes through
//! [`control`], everything that a client is told at the end through [`close_out`], which tells the
//! digest of all that came before, as [`transcript`] takes it. What a picture of the turn needs is noted
//! in its [`timeline`].

pub mod close_out;
pub mod control;
pub mod driver;
pub mod handle;
pub mod machine;
pub mod resume;
pub mod timeline;
pub mod transcript;
pub mod verdict;

use std::time::Duration;

use crate::limits;

/// How long each state of a turn may last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// Accepted and not dispatched, or dispatched and never seen at work.
    pub start: Duration,
    /// How long an unanswered prompt is looked for before it may be sent again, if the box tells
    /// repeats.
    pub redispatch: Duration,
    /// No sensible answer from the box.
    pub unreachable: Duration,
    /// The box refuses the credential, or there is none after a restart.
    pub unauthorized: Duration,
    /// At work with nothing new to show; `None` is never.
    pub quiet: Option<Duration>,
    /// From acceptance to verdict.
    pub turn: Duration,
    /// Idle with an unfinished answer, or unknown to the box, before the turn counts as lost.
    pub lost: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            start: limits::START_DEADLINE,
            redispatch: limits::REDISPATCH_GRACE,
            unreachable: limits::UNREACHABLE_DEADLINE,
            unauthorized: limits::UNAUTHORIZED_DEADLINE,
            quiet: None,
            turn: limits::TURN_DEADLINE,
            lost: limits::LOST_GRACE,
        }
    }
}
