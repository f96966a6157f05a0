//! One log and at most one running turn: sessions, their names, and who may read and act.
//!
//! `registry` holds them all and finds them by any of their names; `start` starts turns, attaches
//! to them, and takes them up after a restart; `abort` stops them. `names` keeps the aliases,
//! `readers` the rights, [`overview`] tells what a session looks like, [`listing`] which there are,
//! `sandboxes` what the Sandbox API's answers tell of boxes, which [`learned`] keeps, `run` keeps a
//! session in step with its running turn, `running` says whether there is one, [`sealed`] keeps
//! on disk what a turn needs after a restart and the log may not hold, [`admin_token`] is what lets
//! operators in, [`operators`] what they see and may do, [`whole_file`] writes what is kept
//! beside the log, [`reading`] counts who reads now, `timelines` keeps how turns went, [`recovered`] rebuilds all of it from the log's control records. A session's events are
//! in the log and nowhere else.

mod abort;
pub mod admin_token;
pub mod boxes;
pub mod learned;
pub mod listing;
mod names;
pub mod operators;
pub mod overview;
mod readers;
pub mod readers_key;
pub mod reading;
pub mod recovered;
mod registry;
pub mod retention;
mod run;
mod running;
pub mod sandboxes;
pub mod sealed;
mod start;
mod timelines;
pub mod whole_file;

use std::collections::HashSet;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::credential::CredentialHash;
use crate::event::Seq;
use crate::ids::{BoxName, ExecutionId, SessionId, SessionKey, TurnId};
use crate::log::{Cursor, Log, Tail};
use crate::mode::{Outcome, Phase};
use crate::trace::context::TraceContext;
use crate::turn::control::{Accepted, FinishedTurn};
pub use crate::turn::handle::Answered;
use crate::turn::handle::Handle;
use crate::turn::timeline::Timeline;
pub use abort::{Abort, AbortError};
pub use readers::{Denied, Vouching};
pub use registry::{Config, Sessions};
use running::{Running, RunningTurn};
pub use start::{StartError, Started, TurnRequest};

/// One session.
#[derive(Debug)]
pub struct Session {
    key: SessionKey,
    box_name: BoxName,
    log: Log,
    state: Mutex<State>,
    /// Each stream that reads it holds a clone.
    streams: Arc<()>,
    /// Streams of clients that are open.
    readers: AtomicUsize,
}

/// A place for a stream that reads a session, free again when this is dropped.
#[derive(Debug)]
pub struct StreamPlace(#[expect(dead_code, reason = "it is counted")] Arc<()>);

/// What changes in a session. Guarded by one short lock, never held over an await.
#[derive(Debug, Default)]
struct State {
    /// What the client calls it.
    client_session: Option<SessionId>,
    /// What the box calls it; set by the first turn that the box takes.
    box_session: Option<SessionId>,
    owner: Owner,
    readers: HashSet<CredentialHash>,
    /// Turns with their verdict, oldest first.
    past: Vec<PastTurn>,
    /// The last event that was cut off: of the turns up to it only the ids are known.
    trimmed: Seq,
    running: Running,
}

impl State {
    /// Whether a turn that has its verdict was known under either of these ids.
    fn has_had(&self, execution: &ExecutionId, turn: Option<&TurnId>) -> bool {
        let same = |past: &PastTurn| {
            let Accepted { execution: id, turn: turn_id, .. } = &past.turn.accepted;
            id == execution || (turn.is_some() && turn_id.as_ref() == turn)
        };
        self.past.iter().any(same)
    }
}

/// Whose session it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Owner {
    /// No turn of it was taken by the box yet.
    #[default]
    Undecided,
    /// It was started without a credential, so it is readable without one.
    Everyone,
    /// The starter of the first turn that the box took.
    Holder(CredentialHash),
}

/// A turn with its verdict; once its events are cut off, its tombstone.
#[derive(Debug)]
struct PastTurn {
    turn: FinishedTurn,
    outcome: Outcome,
    /// Whether the log can be cut behind it, as far as is known.
    is_cut_point: bool,
}

impl PastTurn {
    fn new(turn: FinishedTurn, outcome: Outcome) -> Self {
        let is_cut_point = turn.last >= turn.from;
        Self { turn, outcome, is_cut_point }
    }

    /// As the log remembers it.
    fn remembered(turn: FinishedTurn) -> Self {
        // A word that this version does not know is at least no success.
        let outcome = turn.finished.outcome.parse().unwrap_or(Outcome::Failed);
        Self::new(turn, outcome)
    }

    fn execution(&self) -> &ExecutionId {
        &self.turn.accepted.execution
    }
}

/// A turn that is over.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// The number of its last event.
    pub last: Seq,
}

/// One turn of a session, running or finished, as a reader sees it.
#[derive(Debug, Clone)]
pub struct TurnRef {
    /// The session it belongs to.
    pub session: Arc<Session>,
    /// Its execution id.
    pub execution: ExecutionId,
    /// The number of its first event, whether that is in the log yet or not.
    pub from: Seq,
    /// Reaches the turn as long as it runs.
    handle: Option<Handle>,
}

impl Session {
    /// A place for a stream that reads it; `None` if so many are open.
    #[must_use]
    pub fn stream_place(&self, most: usize) -> Option<StreamPlace> {
        let place = StreamPlace(Arc::clone(&self.streams));
        // The session's own is none of them.
        (Arc::strong_count(&self.streams) <= most + 1).then_some(place)
    }

    fn new(key: SessionKey, box_name: BoxName, log: Log, state: State) -> Self {
        let (state, streams, readers) = (Mutex::new(state), Arc::default(), AtomicUsize::new(0));
        Self { key, box_name, log, state, streams, readers }
    }

    /// A panic under the lock cannot leave the plain fields half-written in a way that matters:
    /// each change is one assignment or one push.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the session's log after `after`.
    #[must_use]
    pub fn cursor(&self, after: Seq) -> Cursor {
        self.log.cursor(after)
    }

    /// The end of the session's log.
    #[must_use]
    pub fn tail(&self) -> Tail {
        self.log.tail()
    }

    /// The id to show: the box's if known, else the client's, else the minted one.
    #[must_use]
    pub fn id(&self) -> SessionId {
        let state = self.state();
        let known = state.box_session.clone().or_else(|| state.client_session.clone());
        known.unwrap_or_else(|| self.key.session_id())
    }

    /// Whether a turn runs now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.state().running.turn().is_some()
    }

    /// Resolves when no turn runs; at once if none does. Another one may have begun by the time
    /// that this is heard.
    // Cancel-safe: it only waits.
    pub async fn idle(&self) {
        let idle = self.state().running.idle();
        idle.await;
    }

    /// Where the running turn is, if there is one.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.state().running.turn().map(|turn| turn.handle.status().phase)
    }

    /// The timeline of the turn that runs, if it is this one, or any.
    fn running_timeline(&self, execution: Option<&ExecutionId>) -> Option<Timeline> {
        let state = self.state();
        let turn = state.running.turn()?;
        let is_meant = execution.is_none_or(|id| *id == turn.accepted.execution);
        is_meant.then(|| turn.handle.timeline().clone())
    }

    /// Waits for a close-out that is being written, a moment at most: whoever has just read `done` must
    /// find that nothing runs.
    // Cancel-safe: it only waits.
    async fn settled(&self) {
        let running = self.state().running.turn().map(|turn| turn.handle.clone());
        if let Some(handle) = running {
            handle.settled().await;
        }
    }

    /// The last turn that is over, or the one of this execution; `None` while one runs, since
    /// what the box would say of the session is then about that one.
    // Cancel-safe: it only waits.
    pub async fn ended(&self, execution: Option<&ExecutionId>) -> Option<Ended> {
        self.settled().await;
        let state = self.state();
        if state.running.turn().is_some() {
            return None;
        }
        let mut past = state.past.iter().rev();
        let past = past.find(|past| execution.is_none_or(|id| id == past.execution()))?;
        Some(Ended { outcome: past.outcome, last: past.turn.last })
    }

    /// The turn with this execution id.
    #[must_use]
    pub fn turn(self: &Arc<Self>, execution: &ExecutionId) -> Option<TurnRef> {
        self.find(|id, _| id == execution)
    }

    /// The turn that a client gave this id.
    fn turn_by_client_id(self: &Arc<Self>, turn: &TurnId) -> Option<TurnRef> {
        self.find(|_, id| id == Some(turn))
    }

    fn find(
        self: &Arc<Self>,
        matches: impl Fn(&ExecutionId, Option<&TurnId>) -> bool,
    ) -> Option<TurnRef> {
        let state = self.state();
        let running = state.running.turn();
        let matches = |turn: &Accepted| matches(&turn.execution, turn.turn.as_ref());
        let running = running.filter(|turn| matches(&turn.accepted));
        if let Some(RunningTurn { accepted, from, handle, .. }) = running {
            return Some(self.turn_ref(accepted.execution.clone(), *from, Some(handle.clone())));
        }
        let mut past = state.past.iter().rev();
        let past = past.find(|past| matches(&past.turn.accepted))?;
        Some(self.turn_ref(past.execution().clone(), past.turn.from, None))
    }

    fn turn_ref(
        self: &Arc<Self>,
        execution: ExecutionId,
        from: Seq,
        handle: Option<Handle>,
    ) -> TurnRef {
        TurnRef { session: Arc::clone(self), execution, from, handle }
    }
}

impl TurnRef {
    /// The number of its `done`, once it is over.
    #[must_use]
    pub fn last(&self) -> Option<Seq> {
        let state = self.session.state();
        let mut past = state.past.iter().rev();
        past.find(|past| *past.execution() == self.execution).map(|past| past.turn.last)
    }

    /// The turn's own span, if it is traced and not long over.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        let state = self.session.state();
        let running = state.running.turn().map(|turn| &turn.accepted);
        let mut turns =
            running.into_iter().chain(state.past.iter().rev().map(|past| &past.turn.accepted));
        let turn = turns.find(|turn| turn.execution == self.execution)?;
        turn.trace.as_ref().map(|root| root.context.clone())
    }

    /// Waits for a close-out that is being written, a moment at most, so that [`TurnRef::last`]
    /// can tell whoever has just read it.
    // Cancel-safe: it only waits.
    pub async fn settled(&self) {
        if let Some(handle) = &self.handle {
            handle.settled().await;
        }
    }

    /// Resolves when the turn is in the log, or was given up before; at once for a turn that is
    /// over.
    // Cancel-safe: it only waits.
    pub async fn logged(&self) {
        if let Some(handle) = &self.handle {
            handle.logged().await;
        }
    }

    /// Resolves when the dispatch is answered; at once for a turn that was, before.
    // Cancel-safe: it only waits.
    pub async fn answered(&self) -> Answered {
        match &self.handle {
            Some(handle) => handle.answered().await,
            None => Answered::Running,
        }
    }
}
