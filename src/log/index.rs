//! Where each session's batches stand. In memory: one entry a batch for the newest segments, one a
//! session for those that are sealed; the rest is in the sealed segments' own indexes.
//!
//! Entries and tails only move forward, and only for what is durable. Lost batches have no entry;
//! the numbers of their neighbours show them. What a trim cut off is not found any more.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;

use super::Tail;
use super::chain::Chain;
use super::place::{Place, Spot};
use super::record::{BatchHeader, EncodedBody};
use super::ring::{Recent, Ring};
use super::segment::Segment;
use super::spots::Extent;
use super::tail::{TailPublisher, TailWatch};
use crate::event::{Lsn, Seq};
use crate::ids::SessionKey;
use crate::{limits, metrics};

/// All sessions of the store.
pub(super) struct Index {
    sessions: DashMap<SessionKey, Arc<Session>>,
    metrics: metrics::log::Metrics,
}

/// What is durable of one session, and what the writer is about to add.
pub(super) struct Session {
    key: SessionKey,
    view: Mutex<View>,
    ahead: Mutex<Ahead>,
    tail: TailPublisher,
    /// How many cursors there are: without one, nothing is kept in the ring.
    readers: AtomicUsize,
}

/// What readers find.
#[derive(Debug)]
struct View {
    /// In the order of their numbers.
    runs: Vec<Run>,
    /// The first record and event that no trim has cut off.
    begins: Tail,
    ring: Ring,
}

/// A session's batches in one segment.
#[derive(Debug)]
struct Run {
    segment: Arc<Segment>,
    end: Tail,
    /// What they take on disk; of a sealed segment with what was cut off of them.
    bytes: u64,
    batches: Batches,
}

#[derive(Debug)]
enum Batches {
    /// The segment is not sealed yet.
    Here(Vec<Spot>),
    /// In the segment's index.
    Sealed(Extent),
}

/// The writer's side: what the next batch follows.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    /// Behind what is durable.
    durable: Link,
    /// Behind what stands in the group of this number, which is being written.
    staged: Link,
    group: u64,
}

/// The end of a session's log, to which the next batch is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) tail: Tail,
    pub(super) chain: Chain,
}

/// What follows a cursor.
#[derive(Debug)]
pub(super) enum Following {
    /// Nothing yet.
    Nothing,
    /// These batches, from the ring.
    Recent(Vec<Recent>),
    /// These batches, on disk.
    Places(Vec<Place>),
    /// Some of the batches that this segment's index has; the cursor's place among them is `from`.
    Sealed { segment: Arc<Segment>, extent: Extent, from: Position },
}

/// A place between two batches of a session: behind the event `after`, and not before `lsn`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) after: Seq,
    pub(super) lsn: Lsn,
}

impl Position {
    /// Whether something of a batch that ends here follows the position.
    pub(super) fn is_before(self, end: Tail) -> bool {
        end.next_seq > self.after && end.next_lsn > self.lsn
    }
}

impl Link {
    /// In front of a session's first batch.
    const START: Self = Self { tail: Tail::EMPTY, chain: Chain::START };
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
        let ahead = Ahead { durable: Link::START, staged: Link::START, group: 0 };
        let view = View { runs: Vec::new(), begins: Tail::EMPTY, ring: Ring::default() };
        Self {
            key,
            view: Mutex::new(view),
            ahead: Mutex::new(ahead),
            tail: TailPublisher::new(),
            readers: AtomicUsize::new(0),
        }
    }

    pub(super) fn key(&self) -> SessionKey {
        self.key
    }

    pub(super) fn tail(&self) -> Tail {
        self.tail.get()
    }

    /// A reader comes; [`Session::leave`] must follow.
    pub(super) fn join(&self) -> TailWatch {
        self.readers.fetch_add(1, Ordering::Relaxed);
        self.tail.watch()
    }

    /// A reader goes.
    pub(super) fn leave(&self) {
        if self.readers.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.view().ring.clear();
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

    // ---- the writer's side ----

    /// The header of `body` as the session's next batch in the group `group`. Nothing moves yet.
    pub(super) fn stage(&self, group: u64, body: &EncodedBody) -> BatchHeader {
        let mut ahead = self.ahead();
        if ahead.group != group {
            ahead.group = group;
            ahead.staged = ahead.durable;
        }
        let header = body.header(self.key, ahead.staged.tail, ahead.staged.chain);
        ahead.staged = Link { tail: header.end(), chain: header.chain };
        header
    }

    /// What was staged is durable.
    pub(super) fn settle(&self) {
        let mut ahead = self.ahead();
        ahead.durable = ahead.staged;
    }

    /// What recovery found to be durable; the next batch follows it.
    pub(super) fn continue_from(&self, link: Link) {
        let mut ahead = self.ahead();
        ahead.durable = link;
        ahead.staged = link;
    }

    /// What the next batch would follow.
    pub(super) fn link(&self) -> Link {
        self.ahead().durable
    }

    // ---- what readers find ----

    /// Adds a durable batch; it is readable from here on.
    pub(super) fn add(&self, segment: &Arc<Segment>, spot: Spot) {
        self.view().add(segment, spot);
    }

    /// The same, and keeps the batch for the readers at the tail, if there are any.
    pub(super) fn add_recent(&self, segment: &Arc<Segment>, spot: Spot, recent: Recent) {
        let mut view = self.view();
        view.add(segment, spot);
        if self.readers.load(Ordering::Relaxed) > 0 {
            view.ring.push(recent);
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

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    fn add(&mut self, segment: &Arc<Segment>, spot: Spot) {
        segment.count(spot.bytes.into());
        if let Some(Run { segment: last, end, bytes, batches: Batches::Here(spots) }) =
            self.runs.last_mut()
            && Arc::ptr_eq(last, segment)
        {
            *end = spot.end();
            *bytes += u64::from(spot.bytes);
            spots.push(spot);
            return;
        }
        self.runs.push(Run {
            segment: Arc::clone(segment),
            end: spot.end(),
            bytes: spot.bytes.into(),
            batches: Batches::Here(vec![spot]),
        });
    }

    fn cut(&mut self, begins: Tail) {
        if begins.next_lsn <= self.begins.next_lsn {
            return;
        }
        self.begins = begins;
        self.ring.cut(begins);
        self.runs.retain(|run| {
            let stays = run.end.next_lsn > begins.next_lsn;
            if !stays {
                run.segment.discount(run.bytes);
            }
            stays
        });
        if let Some(Run { segment, batches: Batches::Here(spots), bytes, .. }) =
            self.runs.first_mut()
        {
            spots.retain(|spot| spot.end().next_lsn > begins.next_lsn);
            let left = spots.iter().map(|spot| u64::from(spot.bytes)).sum();
            segment.discount(*bytes - left);
            *bytes = left;
        }
    }

    fn stored(&self, position: Position) -> Following {
        let from = Position {
            after: position.after.max(self.begins.next_seq.previous()),
            lsn: position.lsn.max(self.begins.next_lsn),
        };
        let start = self.runs.partition_point(|run| !from.is_before(run.end));
        let runs = self.runs.get(start..).unwrap_or_default();
        match runs.first() {
            None => Following::Nothing,
            Some(Run { segment, batches: Batches::Sealed(extent), .. }) => {
                Following::Sealed { segment: Arc::clone(segment), extent: *extent, from }
            }
            Some(_) => Following::Places(places(runs, from)),
        }
    }
}

impl Run {
    /// What of it is kept when all before `begins` is cut off. In the middle of a sealed segment the
    /// places of batches are not in memory: there each record counts the same.
    fn bytes_behind(&self, begins: Tail) -> u64 {
        let Batches::Sealed(extent) = &self.batches else { return self.bytes };
        let records = |from: Tail| self.end.next_lsn.get().saturating_sub(from.next_lsn.get());
        let (all, kept) = (records(extent.base()), records(begins));
        if kept >= all {
            return self.bytes;
        }
        let share = u128::from(self.bytes) * u128::from(kept) / u128::from(all.max(1));
        u64::try_from(share).unwrap_or(self.bytes)
    }
}

/// The batches behind `from` in the first of `runs`, and in those that follow it unsealed.
fn places(runs: &[Run], from: Position) -> Vec<Place> {
    let mut step = Step::default();
    for run in runs {
        let Batches::Here(spots) = &run.batches else { break };
        let start = spots.partition_point(|spot| !from.is_before(spot.end()));
        for spot in spots.iter().skip(start) {
            if !step.takes(spot) {
                return step.places;
            }
            step.places.push(Place { segment: Arc::clone(&run.segment), spot: *spot });
        }
    }
    step.places
}

/// The batches of one step of a cursor, within its bounds.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) places: Vec<Place>,
    bytes: usize,
}

impl Step {
    /// Whether `spot` may be the next one: within the bounds, and no hole before it.
    pub(super) fn takes(&mut self, spot: &Spot) -> bool {
        let Some(last) = self.places.last() else {
            self.bytes = spot.bytes as usize;
            return true;
        };
        self.bytes += spot.bytes as usize;
        last.spot.end().next_seq == spot.first.next_seq
            && self.bytes <= limits::CURSOR_STEP_BYTES
            && self.places.len() < limits::CURSOR_STEP_BATCHES
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
