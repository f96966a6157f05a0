//! The one way to read: from a number, then wait at the tail. A reader at the tail and one a
//! million events behind run the same lines.
//!
//! A cursor holds two numbers and no buffer: a slow or absent reader costs nothing. It yields only
//! what the index shows, which is only what is durable. What was durable and is damaged now is lost,
//! and shows as a gap. What the system has in memory is read in place: to hand it to another thread
//! and back takes longer than to read it.

use std::io;
use std::sync::Arc;

use tokio::task::coop::consume_budget;

use super::Tail;
use super::disk::Reach;
use super::error::Error;
use super::index::Session;
use super::place::{self, Place, Read};
use super::reads::Reads;
use super::record::{Entry, Numbered};
use super::scan::spots_of;
use super::segment::Segment;
use super::spots::Extent;
use super::sync::spawn_blocking;
use super::tail::{HealthWatch, TailWatch};
use super::view::{Following, Position};
use crate::event::{Control, Event, Lsn, Record, Seq};
use crate::ids::SessionKey;
use crate::{limits, metrics};

/// The one way to read: from a number, then wait at the tail.
#[derive(Debug)]
pub struct Cursor {
    session: Arc<Session>,
    tail: TailWatch,
    health: HealthWatch,
    reads: Reads,
    /// The last event that was yielded, or is not wanted, or is known to be gone.
    after: Seq,
    /// All records before it were yielded, or are not wanted. Tells apart what follows `after`:
    /// control records share the number of the event behind them.
    lsn: Lsn,
}

/// What one look at the log gave: entries from `first` on, up to `end`, without a hole.
struct Stretch {
    first: Tail,
    end: Tail,
    entries: Vec<Numbered>,
}

/// What a cursor yields.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Records in order, never none, at most about `limits::CURSOR_STEP_BYTES` unless one batch is
    /// larger.
    Records(Vec<Logged>),
    /// Events that are gone, both ends included. Comes before the first record after them.
    Gap {
        /// The first missing event.
        from: Seq,
        /// The last missing event.
        to: Seq,
    },
    /// The store is closed or poisoned and everything durable was read.
    End,
}

/// A record with its numbers.
#[derive(Debug, PartialEq, Eq)]
pub enum Logged {
    /// An event.
    Event {
        /// Its number.
        seq: Seq,
        /// Its wire bytes.
        event: Event,
    },
    /// A control record.
    Control(Control),
}

impl Cursor {
    pub(super) fn new(
        session: Arc<Session>,
        health: HealthWatch,
        reads: Reads,
        after: Seq,
    ) -> Self {
        Self { tail: session.join(), session, health, reads, after, lsn: Lsn::START.next() }
    }

    /// The next records; waits at the tail. A cursor beyond the tail waits for the event after the
    /// one it was given.
    ///
    /// # Errors
    /// [`Error::Read`], naming what cannot be read; the cursor stays before it. What can be read
    /// and is not what was written is no error: it is lost, and shows as a gap.
    // Cancel-safe: nothing is consumed before it resolves.
    pub async fn next(&mut self) -> Result<Step, Error> {
        self.next_within(limits::CURSOR_STEP_BYTES).await
    }

    /// The same, of at most about so many bytes unless one batch is larger; never more than
    /// [`Cursor::next`] gives.
    ///
    /// # Errors
    /// As [`Cursor::next`].
    // Cancel-safe: as above.
    pub async fn next_within(&mut self, most: usize) -> Result<Step, Error> {
        let most = most.min(limits::CURSOR_STEP_BYTES);
        loop {
            // Both before looking: what becomes durable after the look is then told by `moved`, and
            // an end that was seen means that the look saw everything.
            self.tail.mark_seen();
            let ended = self.health.has_ended();
            let Some(stretch) = self.look(most).await? else {
                if ended {
                    return Ok(Step::End);
                }
                self.wait().await;
                continue;
            };
            let Stretch { first, end, entries } = stretch;
            let (from, to) = (self.after.next(), first.next_seq.previous());
            if from <= to {
                // They are passed over from here on, with whatever stood between them.
                self.after = to;
                self.lsn = self.lsn.max(first.next_lsn);
                return Ok(Step::Gap { from, to });
            }
            let wanted: Vec<Logged> = entries
                .into_iter()
                .filter(|entry| entry.seq > self.after && entry.lsn >= self.lsn)
                .filter_map(shown)
                .collect();
            self.after = self.after.max(end.next_seq.previous());
            self.lsn = end.next_lsn;
            // Nothing is left of a batch whose last record is the event that the cursor began after.
            if !wanted.is_empty() {
                return Ok(Step::Records(wanted));
            }
        }
    }

    /// The number of the first record that was not yielded and not passed over yet; of those in front
    /// of a cursor that began behind an event it knows nothing before its first step.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.lsn
    }

    /// Whether events are durable that were not yielded and are not passed over: the next step does
    /// not wait at the tail.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.after.next() < self.session.tail().next_seq
    }

    /// How many events are durable behind `seq`.
    #[must_use]
    pub fn behind(&self, seq: Seq) -> u64 {
        self.session.tail().next_seq.previous().get().saturating_sub(seq.get())
    }

    /// Resolves when there may be more, or no more ever.
    async fn wait(&mut self) {
        // Both only wait: dropping either loses nothing. The order does not matter; a fixed one lets
        // a model try every order of threads.
        tokio::select! {
            biased;
            () = self.tail.moved() => {}
            () = self.health.ended() => {}
        }
    }

    /// What follows, about so many bytes of it; `None` at the tail.
    async fn look(&self, most: usize) -> Result<Option<Stretch>, Error> {
        let position = Position { after: self.after, lsn: self.lsn };
        match self.session.following(position) {
            Following::Nothing => Ok(None),
            Following::Recent(mut batches) => {
                batches.truncate(within(most, batches.iter().map(|batch| batch.body.len())));
                let headers = (batches.first(), batches.last());
                let (Some(first), Some(last)) = headers else { return Ok(None) };
                let (first, end) = (first.header.first, last.header.end());
                let entries = batches.iter().flat_map(|batch| batch.entries()).collect();
                Ok(Some(Stretch { first, end, entries }))
            }
            Following::Places(mut places) => {
                let bytes = places.iter().map(|place| place.spot.bytes as usize);
                places.truncate(within(most, bytes));
                self.read(move |reading| reading.places(&places)).await
            }
            Following::Sealed { segment, extent, from } => {
                self.read(move |reading| reading.sealed(&segment, extent, from, most)).await
            }
        }
    }

    /// Reads what the system has in memory here and now, and the disk off the runtime's threads.
    async fn read(
        &self,
        read: impl Fn(&Reading) -> io::Result<Option<Stretch>> + Send + 'static,
    ) -> Result<Option<Stretch>, Error> {
        let (key, metrics) = (self.session.key(), self.reads.metrics.clone());
        let mut reading = Reading { key, metrics, reach: Reach::Memory };
        // Whatever fails here, the disk has the last word.
        if let Ok(stretch) = read(&reading) {
            // Many steps in a row would leave no other task its turn.
            consume_budget().await;
            return Ok(stretch);
        }
        reading.reach = Reach::Disk;
        let turn = self.reads.turn().await;
        let reading = spawn_blocking(move || {
            // It has its turn until it is over, whether anybody still waits for it or not.
            let _turn = turn?;
            read(&reading)
        });
        let read = reading.await.unwrap_or_else(|e| Err(io::Error::other(e)));
        read.map_err(|e| Error::Read(Arc::new(e)))
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.session.leave();
    }
}

/// Reads one session's batches. Blocks as far as it reaches.
struct Reading {
    key: SessionKey,
    metrics: metrics::log::Metrics,
    reach: Reach,
}

impl Reading {
    /// What follows `from` in a sealed segment.
    fn sealed(
        &self,
        segment: &Arc<Segment>,
        extent: Extent,
        from: Position,
        most: usize,
    ) -> io::Result<Option<Stretch>> {
        let index = segment.index();
        let places =
            index.map(|index| extent.following(self.reach, &*index.file, segment, from, most));
        let places = match places.transpose()?.flatten() {
            Some(places) => places,
            // A whole segment is more than a short look.
            None if self.reach == Reach::Memory => return Err(io::ErrorKind::WouldBlock.into()),
            None => {
                let file = segment.name();
                tracing::error!(file, "the index of a segment is damaged, the segment is read");
                spots_of(segment, self.key, from, most)?
            }
        };
        self.places(&places)
    }

    /// What stands at `places`, up to the first one that is damaged or cannot be read. If that is the
    /// very first: the hole that a damaged one leaves, or the error.
    fn places(&self, places: &[Place]) -> io::Result<Option<Stretch>> {
        let Some(first) = places.first().map(|place| place.spot.first) else { return Ok(None) };
        let mut stretch = Stretch { first, end: first, entries: Vec::new() };
        let all = match place::read_all(self.reach, places) {
            Err(error) if self.reach == Reach::Memory => return Err(error),
            // One that cannot be read must not keep those before it from being read.
            all => all.unwrap_or_default(),
        };
        for (at, place) in places.iter().enumerate() {
            let bytes = all.get(at).map_or_else(|| place.bytes(), |bytes| Ok(bytes.clone()));
            let is_first = stretch.entries.is_empty();
            match bytes.map(|bytes| place.check(self.key, &bytes)) {
                Ok(Read::Whole(_, _, entries)) => stretch.entries.extend(entries),
                Ok(Read::Damaged) if is_first => {
                    self.lose(place);
                    let end = place.spot.end();
                    return Ok(Some(Stretch { first: end, end, entries: Vec::new() }));
                }
                Err(error) if is_first => return Err(error),
                Ok(Read::Damaged) | Err(_) => return Ok(Some(stretch)),
            }
            stretch.end = place.spot.end();
        }
        Ok(Some(stretch))
    }

    fn lose(&self, place: &Place) {
        let Place { segment, spot } = place;
        self.metrics.damaged_bytes.inc_by(spot.bytes.into());
        let (file, from, to) =
            (segment.name(), spot.at, u64::from(spot.at) + u64::from(spot.bytes));
        let (session, first, end) =
            (self.key.session_id(), spot.first.next_seq, spot.end().next_seq);
        tracing::error!(file, from, to, %session, %first, %end, "lost a damaged batch of a session");
    }
}

/// How many of batches with these sizes `most` bytes take; one in any case.
fn within(most: usize, batches: impl Iterator<Item = usize>) -> usize {
    let mut all = 0;
    let fits = |bytes: &usize| {
        all += bytes;
        all <= most
    };
    batches.take_while(fits).count().max(1)
}

/// What a reader sees of an entry.
fn shown(Numbered { seq, entry, .. }: Numbered) -> Option<Logged> {
    match entry {
        Entry::Record(Record::Event(event)) => Some(Logged::Event { seq, event }),
        Entry::Record(Record::Control(control)) => Some(Logged::Control(control)),
        Entry::Cut(_) => None,
    }
}
