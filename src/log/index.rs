//! Where each session's batches stand. In memory: one entry a batch for the newest segments, one a
//! session for those that are sealed; the rest is in the sealed segments' own indexes.
//!
//! Entries and tails only move forward, and only for what is durable. Lost batches have no entry;
//! the numbers of their neighbours show them. What a trim cut off is not found any more.

use std::fmt;
use std::ops::DerefMut;
use std::sync::{Arc, PoisonError};

use dashmap::DashMap;

use super::Tail;
use super::body::Body;
use super::chain::Chain;
use super::place::Spot;
use super::record::BatchHeader;
use super::segment::Segment;
use super::spots::Extent;
use super::sync::Mutex;
use super::tail::{TailPublisher, TailWatch};
use super::view::{Batches, Following, Position, Run, View};
use crate::event::Lsn;
use crate::ids::SessionKey;
use crate::metrics;

/// All sessions of the store.
pub(super) struct Index {
    sessions: DashMap<SessionKey, Arc<Session>>,
    metrics: metrics::log::Metrics,
}

/// What is durable of one session, and what is on its way to be.
pub(super) struct Session {
    key: SessionKey,
    view: Mutex<View>,
    /// What the next batch follows: all that is durable, and what is on its way to the disk.
    ahead: Mutex<Link>,
    tail: TailPublisher,
}

/// The end of a session's log, to which the next batch is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) tail: Tail,
    pub(super) chain: Chain,
}

impl Link {
    /// In front of a session's first batch.
    pub(super) const START: Self = Self { tail: Tail::EMPTY, chain: Chain::START };
}

impl Index {
    pub(super) fn new(metrics: metrics::log::Metrics) -> Self {
        Self { sessions: DashMap::new(), metrics }
    }

    /// The session of `key`, empty if it was not known.
    pub(super) fn session(&self, key: SessionKey) -> Arc<Session> {
        let session = self.sessions.entry(key).or_insert_with(|| {
            self.metrics.sessions.inc();
            Arc::new(Session::new(key))
        });
        Arc::clone(&session)
    }

    /// The session of `key`, if it is known.
    pub(super) fn known(&self, key: SessionKey) -> Option<Arc<Session>> {
        self.sessions.get(&key).map(|session| Arc::clone(&session))
    }

    /// All sessions now.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.sessions.iter().map(|entry| Arc::clone(&entry)).collect()
    }
}

impl Session {
    fn new(key: SessionKey) -> Self {
        let (view, ahead) = (Mutex::new(View::default()), Mutex::new(Link::START));
        Self { key, view, ahead, tail: TailPublisher::new() }
    }

    pub(super) fn key(&self) -> SessionKey {
        self.key
    }

    pub(super) fn tail(&self) -> Tail {
        self.tail.get()
    }

    /// A reader comes; [`Session::leave`] must follow.
    pub(super) fn join(&self) -> TailWatch {
        self.view().readers += 1;
        self.tail.watch()
    }

    /// A reader goes.
    pub(super) fn leave(&self) {
        let mut view = self.view();
        view.readers = view.readers.saturating_sub(1);
        if view.readers == 0 {
            view.ring.clear();
        }
    }

    /// Bytes on disk that no trim has cut off.
    pub(super) fn bytes(&self) -> u64 {
        let view = self.view();
        view.runs.iter().map(|run| run.bytes_behind(view.begins)).sum()
    }

    /// Moves the tail and wakes who waits. What is before it was added, or is lost.
    pub(super) fn advance(&self, tail: Tail) {
        self.tail.advance(tail);
    }

    // ---- the way in ----

    /// The header of `body` as the session's next batch, and what that follows.
    pub(super) fn stage(&self, body: &Body) -> (BatchHeader, Link) {
        let mut ahead = self.ahead();
        let follows = *ahead;
        let header = body.header(self.key, follows.tail, follows.chain);
        *ahead = Link { tail: header.end(), chain: header.chain };
        (header, follows)
    }

    /// The next batch follows `link`: what recovery found to be durable, or what is left when
    /// batches were refused.
    pub(super) fn continue_from(&self, link: Link) {
        *self.ahead() = link;
    }

    /// What the next batch would follow.
    pub(super) fn link(&self) -> Link {
        *self.ahead()
    }

    // ---- what readers find ----

    /// Adds a durable batch; it is readable from here on.
    pub(super) fn add(&self, segment: &Arc<Segment>, spot: Spot) {
        self.view().add(segment, spot);
    }

    /// The same, and keeps the batch for the readers at the tail, if there are any.
    pub(super) fn add_recent(
        &self,
        segment: &Arc<Segment>,
        spot: Spot,
        header: BatchHeader,
        body: &Body,
    ) {
        let mut view = self.view();
        view.add(segment, spot);
        if view.readers > 0 {
            view.ring.push(header, body);
        }
    }

    /// Adds the batches that a sealed segment has; `end` is the tail behind them.
    pub(super) fn add_sealed(&self, segment: &Arc<Segment>, extent: Extent, end: Tail, bytes: u64) {
        segment.count(bytes);
        let batches = Batches::Sealed(extent);
        let run = Run { segment: Arc::clone(segment), end, bytes, batches };
        self.view().runs.push(run);
    }

    /// The segment is sealed: its index knows the session's batches in it, and their bytes.
    pub(super) fn seal(&self, segment: &Arc<Segment>, extent: Extent, bytes: u64) {
        let mut view = self.view();
        let run = view.runs.iter_mut().find(|run| Arc::ptr_eq(&run.segment, segment));
        // A trim may have cut them off meanwhile.
        if let Some(run) = run {
            run.batches = Batches::Sealed(extent);
            segment.count(bytes.saturating_sub(run.bytes));
            run.bytes = bytes;
        }
    }

    /// The batches that `old` held and that count are in `new` now.
    pub(super) fn move_to(
        &self,
        old: &Arc<Segment>,
        new: &Arc<Segment>,
        extent: Extent,
        bytes: u64,
    ) {
        let mut view = self.view();
        let run = view.runs.iter_mut().find(|run| Arc::ptr_eq(&run.segment, old));
        // A trim may have cut them off meanwhile.
        if let Some(run) = run {
            new.count(bytes);
            let Run { segment, bytes: known, batches, end: _ } = run;
            (*segment, *known, *batches) = (Arc::clone(new), bytes, Batches::Sealed(extent));
        }
    }

    /// The first record that no trim has cut off, if the session has a batch in `segment`.
    pub(super) fn kept_in(&self, segment: &Arc<Segment>) -> Option<Lsn> {
        let view = self.view();
        let is_in = view.runs.iter().any(|run| Arc::ptr_eq(&run.segment, segment));
        is_in.then_some(view.begins.next_lsn)
    }

    /// What is before `begins` is cut off.
    pub(super) fn cut(&self, begins: Tail) {
        self.view().cut(begins);
    }

    /// The batches behind `position`, as many as one step takes, none after a hole in the numbers.
    pub(super) fn following(&self, position: Position) -> Following {
        let view = self.view();
        match view.ring.following(position) {
            Some(recent) if recent.is_empty() => Following::Nothing,
            Some(recent) => Following::Recent(recent),
            None => view.stored(position),
        }
    }

    /// The same, with the place on disk of each, never from the ring.
    pub(super) fn stored(&self, position: Position) -> Following {
        self.view().stored(position)
    }

    fn view(&self) -> impl DerefMut<Target = View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ahead(&self) -> impl DerefMut<Target = Link> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("tail", &self.tail()).finish_non_exhaustive()
    }
}
