//! A session's part in retention: where it can be cut, what is remembered of what was cut off, and
//! when that is forgotten, too.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Seq;
use crate::limits;
use crate::turn::control::{Accepted, FinishedTurn, Origin, Trimmed};

use super::super::registry::Sessions;
use super::super::{Owner, PastTurn, Session, State};
use super::plan::{Cut, Holding};

/// What a trim came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buried {
    /// Turns whose events are gone now.
    pub(super) turns: u64,
    /// Those events.
    pub(super) events: u64,
    /// Turns of which nothing is remembered although it should be.
    pub(super) forgotten_early: u64,
}

impl Session {
    /// What the session keeps, and where it can be cut.
    pub(super) fn holding(&self) -> Holding {
        let state = self.state();
        let kept = state.past.iter().filter(|past| past.turn.trimmed_ms.is_none());
        // A turn that cannot be cut off alone goes with the one behind it.
        let cuts = kept.filter(|past| past.is_cut_point).map(|past| {
            let FinishedTurn { finished, last, .. } = &past.turn;
            Cut { ended_ms: finished.at_ms, through: *last }
        });
        Holding {
            key: self.key,
            bytes: self.log.bytes(),
            begins: state.trimmed.next(),
            next: self.log.tail().next_seq,
            cuts: cuts.collect(),
            running: state.running.turn().map(|turn| turn.from),
        }
    }

    /// What is to be remembered when everything up to `through` goes.
    pub(super) fn summary(&self, through: Seq, now_ms: u64, age: Duration) -> Trimmed {
        let state = self.state();
        let dropped = state.past.iter().map(|past| &past.turn).filter(|turn| turn.last <= through);
        let remembered = dropped.filter(|turn| !turn.is_forgotten(now_ms, age));
        let mut turns: Vec<_> = remembered.map(|turn| tombstone(turn, now_ms)).collect();
        turns.drain(..turns.len().saturating_sub(limits::MAX_TOMBSTONES));
        let readers = state.readers.iter().take(limits::MAX_TRIMMED_READERS).copied();
        let (origin, readers) = (origin(self, &state), readers.collect());
        Trimmed { at_ms: now_ms, through, origin, turns, readers }
    }

    /// What `trimmed` says is durable: the turns up to the cut are only remembered from here on.
    pub(super) fn bury(
        &self,
        sessions: &Sessions,
        trimmed: Trimmed,
        now_ms: u64,
        age: Duration,
    ) -> Buried {
        let Trimmed { at_ms: _, through, origin: _, turns, readers: _ } = trimmed;
        let mut state = self.state();
        let remembered: HashSet<_> =
            turns.iter().map(|turn| turn.accepted.execution.clone()).collect();
        let dropped: Vec<_> =
            state.past.extract_if(.., |past| past.turn.last <= through).map(|p| p.turn).collect();
        let events = through.get().saturating_sub(state.trimmed.get());
        state.past.splice(..0, turns.into_iter().map(PastTurn::remembered));
        state.trimmed = through;
        let newly = dropped.iter().filter(|turn| turn.trimmed_ms.is_none()).count();
        let is_unknown = |turn: &&FinishedTurn| !remembered.contains(&turn.accepted.execution);
        let unknown: Vec<_> = dropped.iter().filter(is_unknown).collect();
        let early = unknown.iter().filter(|turn| !turn.is_forgotten(now_ms, age)).count();
        self.free_ids(sessions, &state, &unknown);
        Buried { turns: newly as u64, events, forgotten_early: early as u64 }
    }

    /// The log cannot be cut there: it is damaged, or was before the process began.
    pub(super) fn cannot_be_cut(&self, through: Seq) {
        let mut state = self.state();
        for past in state.past.iter_mut().filter(|past| past.turn.last == through) {
            past.is_cut_point = false;
        }
    }

    /// Forgets the turns whose tombstones have stood long enough, and the session itself if nothing
    /// else is left of it and nobody reads it. How many tombstones are left.
    pub(super) fn forget(self: &Arc<Self>, sessions: &Sessions, now_ms: u64) -> usize {
        let age = sessions.keep().idempotency_age;
        // Under the lock to the end, so that no turn starts on a session that is being forgotten.
        let mut state = self.state();
        let over = state.past.extract_if(.., |past| past.turn.is_forgotten(now_ms, age));
        let over: Vec<_> = over.map(|past| past.turn).collect();
        self.free_ids(sessions, &state, &over.iter().collect::<Vec<_>>());
        let is_empty = state.past.is_empty() && state.running.turn().is_none();
        if is_empty && state.readers.is_empty() && sessions.remove_unused(self) {
            sessions.release_session_names(self, &state);
        }
        state.past.iter().filter(|past| past.turn.trimmed_ms.is_some()).count()
    }

    /// Frees the ids of turns that are not known any more, but for those that lead to others, too.
    fn free_ids(&self, sessions: &Sessions, state: &State, unknown: &[&FinishedTurn]) {
        if unknown.is_empty() {
            return;
        }
        let running = state.running.turn();
        let past = state.past.iter().map(|past| (&past.turn.accepted, &past.turn.dispatched));
        let known = past.chain(running.map(|turn| (&turn.accepted, &turn.dispatched)));
        let (mut executions, mut aliases) = (HashSet::new(), HashSet::new());
        for (accepted, dispatched) in known {
            executions.insert(&accepted.execution);
            executions.extend(dispatched.iter().filter_map(|box_s| box_s.execution.as_ref()));
            aliases.extend(dispatched.iter().map(|box_s| &box_s.session));
        }
        aliases.extend(state.box_session.iter().chain(&state.client_session));
        let names = sessions.names();
        for FinishedTurn { accepted, dispatched, .. } in unknown {
            let assigned = dispatched.iter().filter_map(|box_s| box_s.execution.as_ref());
            let ids = assigned.chain([&accepted.execution]);
            for id in ids.filter(|id| !executions.contains(id)) {
                names.release_execution(&self.box_name, id, self.key);
            }
            let session = dispatched.iter().map(|box_s| &box_s.session);
            for id in session.filter(|id| !aliases.contains(id)) {
                names.release_session(&self.box_name, id, self.key);
            }
        }
    }
}

/// What is remembered of a turn.
fn tombstone(turn: &FinishedTurn, now_ms: u64) -> FinishedTurn {
    let trimmed_ms = turn.trimmed_ms.or(Some(now_ms));
    // The prompt's hash serves to find it at the box, which is over; and nothing is left to be delivered.
    let accepted = Accepted { text: None, trace: None, ..turn.accepted.clone() };
    FinishedTurn { accepted, trimmed_ms, ..turn.clone() }
}

/// Whose session it is.
fn origin(session: &Session, state: &State) -> Origin {
    let first = state.past.first().map(|past| past.turn.accepted.starter);
    Origin {
        box_name: session.box_name.clone(),
        client_session: state.client_session.clone(),
        box_session: state.box_session.clone(),
        owner: match state.owner {
            Owner::Holder(owner) => Some(owner),
            Owner::Everyone => None,
            // Cannot be, since a turn of it is over; and would not make it everybody's.
            Owner::Undecided => first.flatten(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BoxName, ExecutionId, SessionKey, TurnId};
    use crate::log::{Options, RealDisk, Store};
    use crate::metrics::Metrics;
    use crate::turn::control::{Dispatched, Finished};

    /// A finished turn with ids of `width` characters, as long as those of a few kinds of clients.
    fn turn(n: u64, width: usize) -> FinishedTurn {
        let id = |kind: &str| format!("{kind}{n:0width$}");
        let session = crate::ids::SessionId::parse(&"s".repeat(width)).expect("an id");
        let accepted = Accepted {
            at_ms: u64::from(u32::MAX),
            box_name: BoxName::default_box(),
            client_session: Some(session.clone()),
            execution: ExecutionId::parse(&id("e")).expect("an id"),
            turn: Some(TurnId::parse(&id("t")).expect("an id")),
            starter: Some(crate::credential::CredentialHash::from_bytes([1; 32])),
            by_own_token: false,
            body_digest: [2; 32],
            text: Some(crate::upstream::TextHash::of("hi")),
            trace: Some(crate::trace::Root::below(None)),
        };
        let (at_ms, execution) = (u64::from(u32::MAX), None);
        let dispatched = Some(Dispatched { at_ms, session, execution });
        let finished = Finished { at_ms, outcome: "completed".into(), code: None };
        let (from, last) = (Seq::new(n * 10 + 1), Seq::new(n * 10 + 10));
        FinishedTurn { accepted, dispatched, finished, from, last, trimmed_ms: None }
    }

    fn session(turns: u64, width: usize) -> (Session, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = RealDisk::open(folder.path()).expect("a disk");
        let metrics = Metrics::new().expect("names are free").log;
        let store = Store::open(Arc::new(disk), Options::default(), metrics, &mut |_| {});
        let (store, key) = (store.expect("an empty log"), SessionKey::mint());
        let past = (0..turns).map(|n| PastTurn::remembered(turn(n, width))).collect();
        let state = State { past, ..State::default() };
        (Session::new(key, BoxName::default_box(), store.log(key), state), folder)
    }

    fn summary(turns: u64, width: usize) -> Trimmed {
        let (session, _folder) = session(turns, width);
        session.summary(Seq::new(u64::MAX), 1, Duration::from_secs(1))
    }

    #[test]
    fn of_too_many_turns_the_newest_are_remembered() {
        let most = limits::MAX_TOMBSTONES as u64;
        let remembered = |turns: u64| -> Vec<u64> {
            summary(turns, 8).turns.iter().map(|turn| turn.from.get() / 10).collect()
        };
        assert_eq!(remembered(most), (0..most).collect::<Vec<_>>());
        assert_eq!(remembered(most + 2), (2..most + 2).collect::<Vec<_>>());
    }

    #[test]
    fn the_largest_summary_is_as_large_as_its_bound_says() {
        let bytes =
            |width: usize| summary(limits::MAX_TOMBSTONES as u64, width).encode().bytes.len();
        let usual = bytes(36);
        assert!((1_800_000..2_400_000).contains(&usual), "{usual}");
        assert!(bytes(limits::MAX_ID_BYTES - 1) < limits::MAX_BATCH_BYTES / 16);
    }

    #[test]
    fn a_turn_behind_the_cut_is_not_in_the_summary_and_a_prompt_never_is() {
        let (session, _folder) = session(3, 8);
        let trimmed = session.summary(Seq::new(20), 7, Duration::from_secs(1));
        assert_eq!(trimmed.turns.len(), 2);
        assert!(trimmed.turns.iter().all(|turn| turn.accepted.text.is_none()));
        assert!(trimmed.turns.iter().all(|turn| turn.trimmed_ms == Some(7)));
    }
}
