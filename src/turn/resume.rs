//! What the log remembers of a session's turns: control records, folded in their order.
//!
//! Pure, so that resuming is the same in every test and after every crash. The last turn without
//! `Finished` or `Withdrawn` is unfinished: a driver goes on with it from [`Unfinished`].

use std::collections::HashSet;
use std::time::Duration;

use crate::credential::CredentialHash;
use crate::event::Seq;
use crate::mode::Outcome;
use crate::upstream::{Bound, PollCursor, Prepared, TurnIds};

use super::control::{
    self, Accepted, Dispatched, Finished, FinishedTurn, Origin, Trimmed, TurnRecord,
};
use super::machine::{ResumePoint, Stage};

/// A session's turns as its control records tell them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Turns that have their verdict, oldest first.
    pub finished: Vec<FinishedTurn>,
    /// The one that has not.
    pub unfinished: Option<Unfinished>,
    /// Credentials that the box vouched for.
    pub readers: HashSet<CredentialHash>,
    /// Whose session it is, if some of its turns were cut off.
    pub origin: Option<Origin>,
    /// The last event that was cut off.
    pub trimmed: Seq,
}

/// A turn without its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its ids, starter and body digest.
    pub accepted: Accepted,
    /// The intent to dispatch.
    pub prepared: Option<control::Prepared>,
    /// What the box assigned.
    pub dispatched: Option<Dispatched>,
    /// How far it was read.
    pub cursor: PollCursor,
    /// Whether a stop was asked for.
    pub cancel_asked: bool,
    /// Whether the prompt was sent a second time.
    pub repeated: bool,
    /// The number of its first event.
    pub from: Seq,
}

impl History {
    /// Takes in the next control record; `next_seq` is the number of the first event after it.
    pub fn fold(&mut self, record: TurnRecord, next_seq: Seq) {
        match record {
            TurnRecord::Accepted(accepted) => {
                self.end_of_turn_is_missing(next_seq);
                self.unfinished = Some(Unfinished::new(accepted, next_seq));
            }
            TurnRecord::Prepared(prepared) => self.on_turn(|turn| turn.prepared = Some(prepared)),
            TurnRecord::Repeated => self.on_turn(|turn| turn.repeated = true),
            TurnRecord::Dispatched(dispatched) => {
                self.on_turn(|turn| turn.dispatched = Some(dispatched));
            }
            TurnRecord::Polled(delta) => self.on_turn(|turn| turn.cursor.fold(delta)),
            // It may have come when its turn was over and another one had begun.
            TurnRecord::CancelAsked(execution) => {
                self.on_turn(|turn| turn.cancel_asked |= turn.accepted.execution == execution);
            }
            TurnRecord::ReaderAdded(hash) => {
                self.readers.insert(hash);
            }
            TurnRecord::Trimmed(trimmed) => self.trim(trimmed),
            TurnRecord::Withdrawn => self.unfinished = None,
            TurnRecord::Finished(finished) => {
                if let Some(turn) = self.unfinished.take() {
                    self.finished.push(turn.finish(finished, next_seq.previous()));
                }
            }
        }
    }

    /// A turn that another one follows is over, whatever damage took the record that said so. If
    /// its prompt may have left, its ids stay taken: it must not run again.
    fn end_of_turn_is_missing(&mut self, next_seq: Seq) {
        let may_have_run = |turn: &Unfinished| turn.prepared.is_some() || turn.dispatched.is_some();
        if let Some(turn) = self.unfinished.take().filter(may_have_run) {
            let outcome = Outcome::Failed.as_str().to_owned();
            let finished = Finished { at_ms: turn.accepted.at_ms, outcome, code: None };
            self.finished.push(turn.finish(finished, next_seq.previous()));
        }
    }

    /// Of what was cut off the summary alone tells, whether its own records are still there, or only
    /// some of them, or none. A turn that runs is behind the cut.
    fn trim(&mut self, trimmed: Trimmed) {
        let Trimmed { at_ms: _, through, origin, turns, readers } = trimmed;
        self.finished.retain(|turn| turn.last > through);
        self.finished.splice(..0, turns);
        // It had its verdict when it was cut off; the record of that is gone already.
        self.unfinished.take_if(|turn| turn.from <= through);
        self.readers.extend(readers);
        self.origin = Some(origin);
        self.trimmed = through;
    }

    /// A record about a turn whose acceptance is missing (damage) has nothing to change.
    fn on_turn(&mut self, change: impl FnOnce(&mut Unfinished)) {
        if let Some(turn) = &mut self.unfinished {
            change(turn);
        }
    }
}

impl Unfinished {
    fn new(accepted: Accepted, from: Seq) -> Self {
        Self {
            accepted,
            prepared: None,
            dispatched: None,
            cursor: PollCursor::default(),
            cancel_asked: false,
            repeated: false,
            from,
        }
    }

    fn finish(self, finished: Finished, last: Seq) -> FinishedTurn {
        let Self { accepted, dispatched, from, .. } = self;
        FinishedTurn { accepted, dispatched, finished, from, last, trimmed_ms: None }
    }

    /// The turn's names; `box_session` is what earlier turns of its session bound.
    #[must_use]
    pub fn ids(&self, box_session: Option<crate::ids::SessionId>) -> TurnIds {
        TurnIds {
            client_session: self.accepted.client_session.clone(),
            box_session,
            execution: self.accepted.execution.clone(),
            turn: self.accepted.turn.clone(),
            text: self.accepted.text,
        }
    }

    /// What `prepare` had come to.
    #[must_use]
    pub fn prepared(&self) -> Option<Prepared> {
        let control::Prepared { at_ms: _, session, notes } = self.prepared.clone()?;
        Some(Prepared { session, notes })
    }

    /// The turn as the box has it, if it was dispatched.
    #[must_use]
    pub fn bound(&self, ids: &TurnIds) -> Option<Bound> {
        let Dispatched { at_ms: _, session, execution } = self.dispatched.clone()?;
        Some(Bound { ids: ids.clone(), prepared: self.prepared()?, session, execution })
    }

    /// Where the machine goes on, at this wall-clock time.
    #[must_use]
    pub fn point(&self, now_ms: u64) -> ResumePoint {
        let ago = |at_ms: u64| Duration::from_millis(now_ms.saturating_sub(at_ms));
        let accepted_ago = ago(self.accepted.at_ms);
        let (stage, stage_ago) = match (&self.prepared, &self.dispatched) {
            // Whatever else is missing: what was dispatched must never count as unsent.
            (_, Some(dispatched)) => (Stage::Dispatched, ago(dispatched.at_ms)),
            (Some(prepared), None) => (Stage::Prepared, ago(prepared.at_ms)),
            (None, None) => (Stage::Accepted, accepted_ago),
        };
        let (cancel_asked, repeated) = (self.cancel_asked, self.repeated);
        ResumePoint { stage, accepted_ago, stage_ago, cancel_asked, repeated }
    }
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
