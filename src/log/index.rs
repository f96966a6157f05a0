//! Where each session's batches stand, in memory: one small entry a batch.
//!
//! Entries and tails only move forward, and only for what is durable. Lost batches have no entry;
//! the numbers of their neighbours show them.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dashmap::DashMap;

use super::Tail;
use super::disk::read_up_to;
use super::fields::len32;
use super::record::{BatchHeader, Found, Numbered, decode_batch};
use super::segment::Segment;
use super::tail::{TailPublisher, TailWatch};
use crate::event::{Lsn, Seq};
use crate::ids::SessionKey;
use crate::{limits, metrics};

/// All sessions of the store.
pub(super) struct Index {
    sessions: DashMap<SessionKey, Arc<Session>>,
    metrics: metrics::log::Metrics,
}

/// What is durable of one session.
pub(super) struct Session {
    key: SessionKey,
    /// In the order of their numbers.
    places: Mutex<Vec<Place>>,
    tail: TailPublisher,
}

/// Where one batch stands, and what of it is needed to find and check it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) first: Tail,
    pub(super) records: u32,
    pub(super) events: u32,
    pub(super) segment: Arc<Segment>,
    /// Bytes from the segment's start.
    pub(super) at: u32,
    pub(super) bytes: u32,
    pub(super) seed: u32,
}

impl Index {
    pub(super) fn new(metrics: metrics::log::Metrics) -> Self {
        Self { sessions: DashMap::new(), metrics }
    }

    /// The session of `key`, empty if it was not known.
    pub(super) fn session(&self, key: SessionKey) -> Arc<Session> {
        let session = self.sessions.entry(key).or_insert_with(|| {
            self.metrics.sessions.inc();
            Arc::new(Session { key, places: Mutex::default(), tail: TailPublisher::new() })
        });
        Arc::clone(&session)
    }

    /// All sessions now.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.sessions.iter().map(|entry| Arc::clone(&entry)).collect()
    }
}

impl Session {
    pub(super) fn key(&self) -> SessionKey {
        self.key
    }

    pub(super) fn tail(&self) -> Tail {
        self.tail.get()
    }

    pub(super) fn watch(&self) -> TailWatch {
        self.tail.watch()
    }

    /// Adds a durable batch; it is readable from here on.
    pub(super) fn add(&self, place: Place) {
        self.places().push(place);
    }

    /// Moves the tail and wakes who waits. What is before it was added, or is lost.
    pub(super) fn advance(&self, tail: Tail) {
        self.tail.advance(tail);
    }

    /// The batches that hold what follows the event `after` and is numbered from `lsn`, as many as
    /// one step takes and none after a gap; empty at the tail.
    pub(super) fn following(&self, after: Seq, lsn: Lsn) -> Vec<Place> {
        let places = self.places();
        let start = places.partition_point(|place| {
            let end = place.end();
            end.next_seq <= after || end.next_lsn <= lsn
        });
        let mut step: Vec<Place> = Vec::new();
        let mut bytes = 0;
        for place in places.iter().skip(start).take(limits::CURSOR_STEP_BATCHES) {
            bytes += place.bytes as usize;
            let gap = step.last().is_some_and(|last| last.end().next_seq != place.first.next_seq);
            if gap || !step.is_empty() && bytes > limits::CURSOR_STEP_BYTES {
                break;
            }
            step.push(place.clone());
        }
        step
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The place of the batch with this header, `at` bytes from the start of `segment`.
    pub(super) fn new(header: &BatchHeader, segment: &Arc<Segment>, at: u64, seed: u32) -> Self {
        Self {
            first: header.first,
            records: header.records,
            events: header.events,
            segment: Arc::clone(segment),
            at: len32(at as usize),
            bytes: len32(header.disk_bytes()),
            seed,
        }
    }

    /// The tail behind the batch.
    pub(super) fn end(&self) -> Tail {
        let Tail { next_seq, next_lsn } = self.first;
        Tail {
            next_seq: Seq::new(next_seq.get().saturating_add(self.events.into())),
            next_lsn: Lsn::new(next_lsn.get().saturating_add(self.records.into())),
        }
    }

    /// Reads the batch and checks it again: it may have been damaged since it was written.
    /// Blocks.
    pub(super) fn read(&self, key: SessionKey) -> io::Result<Vec<Numbered>> {
        let (from, to) = (u64::from(self.at), u64::from(self.at) + u64::from(self.bytes));
        let mut buffer = vec![0; self.bytes as usize];
        let read = read_up_to(&*self.segment.file, &mut buffer, from)?;
        buffer.truncate(read);
        match decode_batch(&Bytes::from(buffer), self.seed) {
            Found::Batch(header, records) if header.key == key && header.first == self.first => {
                Ok(records)
            }
            Found::Batch(..) | Found::Damaged(_) | Found::Nothing => {
                let session = key.session_id();
                let what = format_args!("damaged batch of {session}");
                Err(self.segment.damaged(what, from, to))
            }
        }
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
