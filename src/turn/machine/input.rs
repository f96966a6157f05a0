//! What a driver feeds back to the machine: everything that can happen to a turn.

use std::time::Duration;

use crate::upstream::{Activity, Boot, Ending};

/// What the driver saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The time that the last action named has come.
    Tick,
    /// The box's session is open and the intent to dispatch is durable.
    Prepared,
    /// The box has the turn, and that is durable: dispatched, or found after all. With the
    /// box's verdict, if the turn was so short that its dispatch stream told it.
    Dispatched(Option<Ending>),
    /// The connection for the dispatch failed before a byte had left.
    NotSent,
    /// The prompt left and no clear answer came.
    Unanswered,
    /// The prompt left, and the box has it without having said where.
    Unnamed,
    /// The box was searched and does not show the prompt.
    Absent(Boot),
    /// The session that the prompt went to is gone from the box, and what it showed with it.
    Gone,
    /// The box has forgotten the session, and with it what was said before this turn.
    Forgotten,
    /// The box said no before it took the turn.
    Refused,
    /// A call gave nothing.
    Failed(Failure),
    /// A page was read, and what it brought is durable.
    Polled(Seen),
    /// The log did not take what was in hand; nothing of it has happened.
    LogRefused,
    /// The unsent body is here (again).
    BodyArrived,
    /// There is another credential to try.
    CredentialArrived,
    /// Somebody asked for a stop.
    CancelAsked,
}

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or none that held.
    Unreachable,
    /// An answer, but no sensible one.
    Nonsense,
    /// The credential is refused, or there is none.
    Unauthorized,
    /// The box asks for patience: it is there, so no deadline but the turn's runs.
    Later(Option<Duration>),
}

/// What a page says about the turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What the session is doing.
    pub activity: Activity,
    /// Whether the agent has been seen at work on this turn.
    pub started: bool,
    /// The box's own verdict.
    pub ending: Option<Ending>,
    /// Whether the page brought anything new.
    pub changed: bool,
}
