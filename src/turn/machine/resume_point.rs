//! Where a turn stood when the log was read back, as the machine needs it.

use std::time::Duration;

/// Where a turn was when the log was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// Accepted, prepared (the prompt may have left), or dispatched.
    pub stage: Stage,
    /// How long ago it was accepted.
    pub accepted_ago: Duration,
    /// How long ago it was prepared or dispatched, whichever came last; else accepted.
    pub stage_ago: Duration,
    /// Whether a stop was asked for.
    pub cancel_asked: bool,
    /// Whether the prompt was sent a second time.
    pub repeated: bool,
}

/// How far a turn had got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was sent, and the body is gone.
    Accepted,
    /// The prompt may have left.
    Prepared,
    /// The box has it.
    Dispatched,
}
