//! All sessions of all boxes: what they share, and how they are found.
//!
//! The verbs stand in files of their own: `start`, `abort`, `readers`, `retention`. A session stays
//! here until nothing is remembered of its turns; its events never do, they are in the log.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::credential::{Caller, CredentialHash, HashKey};
use crate::ids::{BoxName, ExecutionId, SessionId, SessionKey};
use crate::limits;
use crate::log::{self, Health, Store};
use crate::metrics;
use crate::mode::Fidelity;
use crate::tasks::Tasks;
use crate::trace::Tracer;
use crate::turn::Deadlines;
use crate::upstream::schedule::Intervals;

use super::boxes::Boxes;
use super::names::{Execution, Names};
use super::readers::{Denied, Vouching};
use super::recovered::Recovered;
use super::retention::{Keep, Room};
use super::sealed::Vault;
use super::timelines::Timelines;
use super::{Session, State, TurnRef};

/// All sessions of all boxes. Clones share them.
#[derive(Debug, Clone)]
pub struct Sessions {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: Config,
    sessions: DashMap<SessionKey, Arc<Session>>,
    pub(super) names: Names,
    /// What the box said, and when.
    denied: DashMap<(SessionKey, CredentialHash), (Denied, Instant)>,
    /// One permit for each turn that may run.
    pub(super) running: Arc<Semaphore>,
    /// Whether new turns are taken, as far as room goes.
    room: Room,
    /// One permit for each byte of a body that waits to be dispatched.
    pub(super) unsent: Arc<Semaphore>,
    /// How turns went that are over.
    timelines: Timelines,
}

/// What sessions are built from.
#[derive(Debug)]
pub struct Config {
    /// The open log.
    pub store: Store,
    /// The boxes.
    pub boxes: Boxes,
    /// Under which credentials are hashed.
    pub hash_key: HashKey,
    /// Where credentials and unsent bodies are sealed; none if they live in memory alone.
    pub vault: Option<Vault>,
    /// How long each state of a turn may last.
    pub deadlines: Deadlines,
    /// How often running turns are polled.
    pub intervals: Intervals,
    /// How much of a turn is told.
    pub fidelity: Fidelity,
    /// Whom the box may vouch for.
    pub vouching: Vouching,
    /// What is kept of turns that are over.
    pub keep: Keep,
    /// Who runs the turns.
    pub tasks: Tasks,
    /// Fires when afterbay begins to stop: from then on new turns are refused.
    pub drain: CancellationToken,
    /// The turn floor's families.
    pub metrics: metrics::turn::Metrics,
    /// Where spans begin.
    pub tracer: Tracer,
}

impl Sessions {
    /// Rebuilds all sessions from what the log holds and takes up the unfinished turns.
    #[must_use]
    pub fn open(config: Config, recovered: Recovered) -> Self {
        let sessions = Self {
            inner: Arc::new(Inner {
                config,
                sessions: DashMap::new(),
                names: Names::default(),
                denied: DashMap::new(),
                running: Arc::new(Semaphore::new(limits::MAX_RUNNING_TURNS)),
                room: Room::default(),
                unsent: Arc::new(Semaphore::new(limits::MAX_UNSENT_BODY_BYTES)),
                timelines: Timelines::default(),
            }),
        };
        recovered.restore(&sessions);
        sessions
    }

    /// The turn with this execution id on this box, ours or assigned.
    #[must_use]
    pub fn turn(&self, box_name: &BoxName, execution: &ExecutionId) -> Option<TurnRef> {
        let Execution { key, execution } = self.inner.names.execution(box_name, execution)?;
        self.by_key(key)?.turn(&execution)
    }

    /// The session with this id on this box: client-sent, box-assigned or minted.
    #[must_use]
    pub fn session(&self, box_name: &BoxName, id: &SessionId) -> Option<Arc<Session>> {
        self.by_key(self.inner.names.session(box_name, id)?)
    }

    /// Whether records are taken.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.config.store.health()
    }

    /// Whether there is room for new turns.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.inner.room
    }

    /// Where spans begin.
    #[must_use]
    pub fn tracer(&self) -> &Tracer {
        &self.inner.config.tracer
    }

    pub(super) fn boxes(&self) -> &Boxes {
        &self.inner.config.boxes
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.inner.config.tasks
    }

    pub(super) fn names(&self) -> &Names {
        &self.inner.names
    }

    pub(super) fn timelines(&self) -> &Timelines {
        &self.inner.timelines
    }

    pub(super) fn log(&self, key: SessionKey) -> log::Log {
        self.inner.config.store.log(key)
    }

    pub(super) fn vault(&self) -> Option<&Vault> {
        self.inner.config.vault.as_ref()
    }

    pub(super) fn hash(&self, who: &Caller) -> CredentialHash {
        self.inner.config.hash_key.hash_caller(who)
    }

    pub(super) fn insert(&self, session: Arc<Session>) {
        self.inner.sessions.insert(session.key, session);
    }

    pub(super) fn remove(&self, key: SessionKey) {
        self.inner.sessions.remove(&key);
    }

    /// Removes a session that nobody has but the caller, once.
    pub(super) fn remove_unused(&self, session: &Arc<Session>) -> bool {
        let is_unused = |_: &SessionKey, held: &Arc<Session>| Arc::strong_count(held) <= 2;
        self.inner.sessions.remove_if(&session.key, is_unused).is_some()
    }

    /// Frees what leads to a session; `state` is the session's.
    pub(super) fn release_session_names(&self, session: &Session, state: &State) {
        let Session { key, box_name, .. } = session;
        let name = state.client_session.clone().unwrap_or_else(|| key.session_id());
        for id in state.box_session.iter().chain([&name]) {
            self.inner.names.release_session(box_name, id, *key);
        }
    }

    /// All sessions now.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.inner.sessions.iter().map(|entry| Arc::clone(&entry)).collect()
    }

    pub(super) fn keep(&self) -> &Keep {
        &self.inner.config.keep
    }

    pub(super) fn store(&self) -> &Store {
        &self.inner.config.store
    }

    pub(super) fn is_registered(&self, session: &Session) -> bool {
        self.inner.sessions.contains_key(&session.key)
    }

    /// The box's no to this credential, if it was said a moment ago.
    pub(super) fn lately_denied(&self, session: &Session, hash: CredentialHash) -> Option<Denied> {
        let said = self.inner.denied.get(&(session.key, hash))?;
        let (denied, at) = said.value();
        (at.elapsed() < limits::DENIAL_MEMORY).then(|| denied.clone())
    }

    pub(super) fn remember_denied(&self, session: &Session, hash: CredentialHash, denied: Denied) {
        if self.inner.denied.len() >= limits::MAX_REMEMBERED_DENIALS {
            self.inner.denied.retain(|_, (_, at)| at.elapsed() < limits::DENIAL_MEMORY);
        }
        if self.inner.denied.len() < limits::MAX_REMEMBERED_DENIALS {
            self.inner.denied.insert((session.key, hash), (denied, Instant::now()));
        }
    }

    pub(super) fn by_key(&self, key: SessionKey) -> Option<Arc<Session>> {
        self.inner.sessions.get(&key).map(|session| Arc::clone(&session))
    }
}
