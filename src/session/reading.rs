//! A client's event stream while it is open: it counts among the session's readers, and its two ends are
//! noted in a turn's timeline.
//!
//! In which one: a turn's stream notes in that turn's, a session's stream in that of the turn that runs;
//! while none runs nothing is noted. What was open when a turn ended still belongs to it, as of its last
//! moment: a turn's stream however it ends, a session's one that ends because all was sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::ids::ExecutionId;
use crate::metrics::streams::Ended;
use crate::turn::timeline::Timeline;
use crate::turn::timeline::slots::Happening;

use super::registry::Sessions;
use super::{Session, TurnRef};

/// A client's stream that is open. Until it says otherwise, its end is that its client has gone.
#[derive(Debug)]
pub struct Reading {
    sessions: Sessions,
    session: Arc<Session>,
    /// The turn that it shows, if it shows one.
    turn: Option<ExecutionId>,
    /// When the client asked for it.
    since: Instant,
    why: Ended,
}

/// How a client came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Without a cursor.
    New,
    /// With one.
    Back,
}

impl Sessions {
    /// A client's stream opens that shows this turn, asked for at `since`.
    #[must_use]
    pub fn reads_turn(&self, turn: &TurnRef, since: Instant, came: Came) -> Reading {
        let (session, execution) = (Arc::clone(&turn.session), turn.execution.clone());
        Reading::open(self.clone(), session, Some(execution), since, came)
    }

    /// A client's stream opens that shows a session.
    #[must_use]
    pub fn reads_session(&self, session: &Arc<Session>, came: Came) -> Reading {
        Reading::open(self.clone(), Arc::clone(session), None, Instant::now(), came)
    }
}

impl Session {
    /// How many streams of clients are open on it; those of operators are none of them.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }
}

impl Reading {
    fn open(
        sessions: Sessions,
        session: Arc<Session>,
        turn: Option<ExecutionId>,
        since: Instant,
        came: Came,
    ) -> Self {
        session.readers.fetch_add(1, Ordering::Relaxed);
        let reading = Self { sessions, session, turn, since, why: Ended::Gone };
        reading.note(match came {
            Came::New => Happening::Opened,
            Came::Back => Happening::Resumed,
        });
        reading
    }

    /// It is about to end, for this reason.
    pub fn ends(&mut self, why: Ended) {
        self.why = why;
    }

    fn note(&self, what: Happening) {
        if let Some(timeline) = self.timeline() {
            timeline.note(what, 1);
        }
    }

    /// Where it is to be noted now. A turn that ends meanwhile is kept before it runs no more.
    fn timeline(&self) -> Option<Timeline> {
        let running = self.session.running_timeline(self.turn.as_ref());
        running.or_else(|| {
            let (kept, key) = (self.sessions.timelines(), self.session.key);
            let ended = match &self.turn {
                Some(execution) => kept.of_turn(key, execution),
                None => kept.newest_of(key).filter(|_| self.why == Ended::Complete),
            };
            ended.filter(|turn| turn.ended().is_some_and(|end| end >= self.since))
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.session.readers.fetch_sub(1, Ordering::Relaxed);
        self.note(match self.why {
            Ended::Complete | Ended::Refused | Ended::Drained => Happening::Ended,
            Ended::Cut | Ended::Gone => Happening::Cut,
        });
    }
}
