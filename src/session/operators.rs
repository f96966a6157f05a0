//! What whoever runs the program sees of all sessions, and may do.
//!
//! No right is checked here: an operator has the data folder, and with it every event. No credential of
//! theirs is ever shown to a box: a turn that they stop is stopped by its driver, with the credential
//! that it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{BoxName, SessionId, SessionKey};
use crate::mode::Outcome;
use crate::turn::handle::Stop;

use super::listing::{Listed, Wanted};
use super::overview::{Overview, TurnOverview};
use super::registry::Sessions;
use super::{Session, TurnRef, abort};

/// Which sessions are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// As readers want them.
    pub wanted: Wanted,
    /// Those whose newest turn ended so.
    pub outcome: Option<Outcome>,
    /// Those that have this in one of their names, or in one of their newest turn.
    pub text: Option<String>,
}

/// A session as operators see it.
#[derive(Debug)]
pub struct Seen {
    /// Its own name, which no other session has on any box.
    pub key: SessionKey,
    /// What a reader sees of it.
    pub overview: Overview,
    /// What the log keeps of it, in bytes on disk.
    pub bytes: u64,
    /// How many streams of clients are open on it.
    pub readers: usize,
    /// Its newest turn.
    pub newest: Option<TurnOverview>,
}

/// How many there are.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sessions that something is remembered of.
    pub sessions: usize,
    /// Running turns by where they are.
    pub turns: BTreeMap<&'static str, usize>,
}

impl Sessions {
    /// At most `most` of the wanted sessions. Looks at all of them, so it takes a while where there
    /// are many.
    #[must_use]
    pub fn list_for_operators(&self, filter: &Filter, most: usize) -> Listed<Seen> {
        self.page(&filter.wanted, most, |session| seen_if(session, filter))
    }

    /// The sessions that have this name: several if boxes have given it to one each; one if it is that
    /// one's own, whatever others are called. Looks at all, unless it is.
    #[must_use]
    pub fn named(&self, id: &SessionId, box_name: Option<&BoxName>) -> Vec<Arc<Session>> {
        let is_on = |session: &Session| box_name.is_none_or(|name| *name == session.box_name);
        let own = SessionKey::of_id(id).and_then(|key| self.by_key(key));
        if let Some(own) = own.filter(|session| is_on(session)) {
            return vec![own];
        }
        let mut all = self.all();
        all.retain(|session| is_on(session) && session.ids().contains(id));
        all
    }

    /// How many there are now. Looks at all.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let all = self.all();
        let mut counts = Counts { sessions: all.len(), ..Counts::default() };
        for phase in all.iter().filter_map(|session| session.phase()) {
            *counts.turns.entry(phase.as_str()).or_default() += 1;
        }
        counts
    }

    /// Stops a turn: its driver asks the box, with the credential that it has. False if it does not run.
    pub async fn stop_for_operators(&self, turn: &TurnRef) -> bool {
        let session = &turn.session;
        session.settled().await;
        let handle = {
            let state = session.state();
            let running = state.running.turn();
            let running = running.filter(|running| running.accepted.execution == turn.execution);
            running.map(|running| running.handle.clone())
        };
        let Some(handle) = handle else { return false };
        abort::remember(session, turn.execution.clone()).await;
        handle.cancel(Stop::TurnOnly);
        true
    }
}

impl Session {
    /// As operators see it.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let (overview, newest) = (self.overview_now(), self.newest_turn());
        let (bytes, readers) = (self.log.bytes(), self.readers());
        Seen { key: self.key, overview, bytes, readers, newest }
    }
}

/// What is cheap to look at is looked at first.
fn seen_if(session: &Session, filter: &Filter) -> Option<Seen> {
    let Filter { wanted, outcome, text } = filter;
    let seen = wanted.takes(session.is_busy()).then(|| session.seen())?;
    let ended = seen.newest.as_ref().and_then(|turn| turn.outcome);
    let fits = outcome.is_none_or(|outcome| ended == Some(outcome))
        && text.as_ref().is_none_or(|text| is_named(session, seen.newest.as_ref(), text));
    fits.then_some(seen)
}

fn is_named(session: &Session, newest: Option<&TurnOverview>, text: &str) -> bool {
    let of_turn = newest.is_some_and(|turn| {
        let turn_id = turn.turn.as_ref().is_some_and(|id| id.as_str().contains(text));
        turn_id || turn.execution.as_str().contains(text)
    });
    of_turn || session.ids().iter().any(|id| id.as_str().contains(text))
}
