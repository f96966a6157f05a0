//! Rebuilds sessions, names and rights from the control records that opening the log found, and
//! takes up the turns that have no verdict yet.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::{BoxName, SessionKey};
use crate::log;
use crate::turn::control::{Accepted, Dispatched, Origin, TurnRecord, wall_ms};
use crate::turn::resume::History;

use super::names::Execution;
use super::registry::Sessions;
use super::running::Running;
use super::sealed::{self, Kept, Vault, Whose};
use super::{Owner, PastTurn, Session, State};

/// The histories of all sessions, folded while the log opens.
#[derive(Debug, Default)]
pub struct Recovered {
    histories: HashMap<SessionKey, History>,
    kept: HashMap<SessionKey, Kept>,
}

impl Recovered {
    /// Takes in the next control record of a session.
    pub fn fold(&mut self, found: log::Recovered) {
        let log::Recovered { key, lsn, next_seq, control } = found;
        match TurnRecord::decode(&control) {
            Ok(record) => self.histories.entry(key).or_default().fold(record, next_seq),
            Err(error) => {
                let session = key.session_id();
                tracing::error!(%session, %lsn, %error, "a control record cannot be read");
            }
        }
    }

    /// Whether the log held no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.histories.is_empty()
    }

    /// Takes what was sealed of the turns that go on, and removes what is nobody's any more. Reads
    /// files. What does not open is left, since the right key may come with the next start.
    ///
    /// # Errors
    /// [`sealed::Error`].
    pub fn unseal(&mut self, vault: &Vault) -> Result<(), sealed::Error> {
        let unfinished = |(key, history): (&SessionKey, &History)| {
            let turn = history.unfinished.as_ref()?;
            let Accepted { box_name, execution, .. } = turn.accepted.clone();
            let whose = Whose { box_name, session: *key, execution };
            Some((whose, turn.dispatched.is_none()))
        };
        let unfinished: Vec<_> = self.histories.iter().filter_map(unfinished).collect();
        vault.retain(unfinished.iter().map(|(whose, needs_body)| (whose, *needs_body)))?;
        let kept = unfinished
            .iter()
            .map(|(whose, needs_body)| (whose.session, vault.kept(whose, *needs_body)));
        self.kept = kept.collect();
        let unopened: usize = self.kept.values().map(|kept| kept.unopened).sum();
        if unopened > 0 {
            tracing::warn!(
                files = unopened,
                "sealed files do not open: another key, or damage; their turns wait for a client"
            );
        }
        Ok(())
    }

    /// Fills `sessions` and starts the drivers of unfinished turns.
    pub(super) fn restore(self, sessions: &Sessions) {
        let Self { histories, mut kept } = self;
        for (key, history) in histories {
            restore_session(sessions, key, history, kept.remove(&key).unwrap_or_default());
        }
    }
}

fn restore_session(sessions: &Sessions, key: SessionKey, history: History, kept: Kept) {
    let History { mut finished, unfinished, readers, origin, trimmed } = history;
    let (now, age) = (wall_ms(), sessions.keep().idempotency_age);
    finished.retain(|turn| !turn.is_forgotten(now, age));
    let accepted = finished.iter().map(|turn| &turn.accepted);
    let mut accepted = accepted.chain(unfinished.as_ref().map(|turn| &turn.accepted));
    // A session of withdrawn turns only never was, and one of which nobody knows anything is over.
    let first = accepted.next().map(origin_of);
    if first.is_none() && readers.is_empty() {
        return;
    }
    let is_decided = origin.is_some() || !finished.is_empty();
    let Some(origin) = origin.or(first) else {
        return;
    };
    let dispatched = finished.iter().filter_map(|turn| turn.dispatched.as_ref());
    let dispatched = dispatched.chain(unfinished.as_ref().and_then(|t| t.dispatched.as_ref()));
    let assigned: Vec<_> = dispatched.map(|dispatched| dispatched.session.clone()).collect();
    let Origin { box_name, client_session, box_session, owner } = origin;
    let box_session = assigned.last().cloned().or(box_session);
    let holder = owner.map_or(Owner::Everyone, Owner::Holder);
    let is_decided = is_decided || box_session.is_some();
    let state = State {
        client_session: client_session.clone(),
        box_session: box_session.clone(),
        owner: if is_decided { holder } else { Owner::Undecided },
        readers,
        past: finished.iter().cloned().map(PastTurn::remembered).collect(),
        trimmed,
        running: Running::default(),
    };
    let session = Arc::new(Session::new(key, box_name.clone(), sessions.log(key), state));
    sessions.insert(Arc::clone(&session));

    let name = client_session.unwrap_or_else(|| key.session_id());
    for id in assigned.into_iter().chain(box_session).chain([name]) {
        sessions.names().claim_session(&box_name, &id, key);
    }
    for turn in &finished {
        claim_executions(sessions, &box_name, key, &turn.accepted, turn.dispatched.as_ref());
    }
    if let Some(turn) = &unfinished {
        claim_executions(sessions, &box_name, key, &turn.accepted, turn.dispatched.as_ref());
        sessions.resume(&session, turn, kept);
    }
}

/// What a session's first turn says of it.
fn origin_of(accepted: &Accepted) -> Origin {
    let Accepted { box_name, client_session, starter, .. } = accepted.clone();
    Origin { box_name, client_session, box_session: None, owner: starter }
}

fn claim_executions(
    sessions: &Sessions,
    box_name: &BoxName,
    key: SessionKey,
    accepted: &Accepted,
    dispatched: Option<&Dispatched>,
) {
    let execution = Execution { key, execution: accepted.execution.clone() };
    let assigned = dispatched.and_then(|dispatched| dispatched.execution.as_ref());
    for id in assigned.into_iter().chain([&accepted.execution]) {
        sessions.names().claim_execution(box_name, id, execution.clone());
    }
}
