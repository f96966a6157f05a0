//! What a session and its turns look like from outside: names, where they are, how they ended, and
//! which numbers are theirs.
//!
//! A moment's picture, taken under the session's lock; it reads no log and checks no right. A
//! close-out that is being written is waited for, so that whoever has read `done` finds the turn
//! over.

use std::time::Duration;

use crate::event::Seq;
use crate::ids::{BoxName, ExecutionId, SessionId, TurnId};
use crate::mode::{Outcome, Phase};
use crate::turn::control::Accepted;
use crate::turn::handle::Status;

use super::{PastTurn, RunningTurn, Session, State, TurnRef};

/// A session at one moment.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The box that it is on.
    pub box_name: BoxName,
    /// The id to show.
    pub id: SessionId,
    /// Whether a turn runs.
    pub is_busy: bool,
    /// How many turns are known.
    pub turns: usize,
    /// The number of its last event.
    pub last: Seq,
}

/// A turn at one moment.
#[derive(Debug, Clone)]
pub struct TurnOverview {
    /// Its execution id.
    pub execution: ExecutionId,
    /// The client's id for it.
    pub turn: Option<TurnId>,
    /// Where it is.
    pub phase: Phase,
    /// How it ended, once it did.
    pub outcome: Option<Outcome>,
    /// The code of its end, unless it completed.
    pub code: Option<String>,
    /// The number of its first event, whether that is in the log yet or not.
    pub first: Seq,
    /// The number of its last event, once it is over.
    pub last: Option<Seq>,
    /// Whether its events are gone.
    pub is_expired: bool,
    /// BLAKE3 of the request that it was started with.
    pub body_digest: [u8; 32],
    /// When what happened to it.
    pub times: Times,
    /// What a running turn waits for that somebody must bring.
    pub lacks: Option<Lack>,
}

/// When what happened to a turn, in wall-clock milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// It came.
    pub accepted_ms: u64,
    /// The box took it; none if that is not known.
    pub dispatched_ms: Option<u64>,
    /// It got its verdict.
    pub finished_ms: Option<u64>,
    /// How long it has shown nothing new; none once it is over.
    pub quiet: Option<Duration>,
}

/// What a turn waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// A credential that the box accepts.
    Credential,
    /// Its prompt, once more: a restart has lost it.
    Body,
}

impl Session {
    /// The session now.
    // Cancel-safe: it only waits.
    pub async fn overview(&self) -> Overview {
        self.settled().await;
        self.overview_now()
    }

    /// The same without waiting for a close-out.
    pub(super) fn overview_now(&self) -> Overview {
        let id = self.id();
        let state = self.state();
        let is_busy = state.running.turn().is_some();
        Overview {
            box_name: self.box_name.clone(),
            id,
            is_busy,
            turns: state.past.len() + usize::from(is_busy),
            last: self.tail().next_seq.previous(),
        }
    }

    /// The newest turns, `most` of them, oldest first.
    // Cancel-safe: it only waits.
    pub async fn turns(&self, most: usize) -> Vec<TurnOverview> {
        self.settled().await;
        let state = self.state();
        let past = state.past.iter().map(|past| of_past(past, &state));
        let all: Vec<_> = past.chain(state.running.turn().map(of_running)).collect();
        let older = all.len().saturating_sub(most);
        all.into_iter().skip(older).collect()
    }

    /// The newest turn, if there is one; a close-out that is being written is not waited for.
    pub(super) fn newest_turn(&self) -> Option<TurnOverview> {
        let state = self.state();
        let running = state.running.turn().map(of_running);
        running.or_else(|| state.past.last().map(|past| of_past(past, &state)))
    }

    /// All names under which clients find the session.
    #[must_use]
    pub fn ids(&self) -> Vec<SessionId> {
        let state = self.state();
        let given = state.box_session.iter().chain(&state.client_session).cloned();
        given.chain([self.key.session_id()]).collect()
    }

    /// The box that it is on.
    #[must_use]
    pub const fn box_name(&self) -> &BoxName {
        &self.box_name
    }
}

impl TurnRef {
    /// The turn now; `None` if it was given up before the box took it.
    // Cancel-safe: it only waits.
    pub async fn overview(&self) -> Option<TurnOverview> {
        self.settled().await;
        let state = self.session.state();
        let running = state.running.turn();
        let running = running.filter(|turn| turn.accepted.execution == self.execution);
        if let Some(turn) = running {
            return Some(of_running(turn));
        }
        let past = state.past.iter().rev().find(|past| *past.execution() == self.execution)?;
        Some(of_past(past, &state))
    }
}

fn of_running(turn: &RunningTurn) -> TurnOverview {
    let RunningTurn { accepted, dispatched, from, handle } = turn;
    let Accepted { execution, turn, body_digest, at_ms, .. } = accepted.clone();
    let status = handle.status();
    let times = Times {
        accepted_ms: at_ms,
        dispatched_ms: dispatched.as_ref().map(|dispatched| dispatched.at_ms),
        finished_ms: None,
        quiet: Some(status.quiet_since.elapsed()),
    };
    TurnOverview {
        execution,
        turn,
        phase: status.phase,
        outcome: None,
        code: None,
        first: *from,
        last: None,
        is_expired: false,
        body_digest,
        times,
        lacks: lack(&status),
    }
}

const fn lack(status: &Status) -> Option<Lack> {
    if status.needs_body {
        Some(Lack::Body)
    } else if status.needs_credential {
        Some(Lack::Credential)
    } else {
        None
    }
}

fn of_past(past: &PastTurn, state: &State) -> TurnOverview {
    let Accepted { execution, turn, body_digest, at_ms, .. } = past.turn.accepted.clone();
    let times = Times {
        accepted_ms: at_ms,
        dispatched_ms: past.turn.dispatched.as_ref().map(|dispatched| dispatched.at_ms),
        finished_ms: Some(past.turn.finished.at_ms),
        quiet: None,
    };
    TurnOverview {
        execution,
        turn,
        phase: Phase::Finished,
        outcome: Some(past.outcome),
        code: past.turn.finished.code.clone(),
        first: past.turn.from,
        last: Some(past.turn.last),
        is_expired: past.turn.last <= state.trimmed,
        body_digest,
        times,
        lacks: None,
    }
}
