//! The one way to read: from a number, then wait at the tail. A reader at the tail and one a
//! million events behind run the same lines.
//!
//! A cursor holds two numbers and no buffer: a slow or absent reader costs nothing. It yields only
//! what the index shows, which is only what is durable. What was durable and is damaged now is lost,
//! and shows as a gap.

use std::io;
use std::sync::Arc;

use super::error::Error;
use super::index::Session;
use super::place::{self, Place, Read};
use super::record::{Entry, Numbered};
use super::scan::spots_of;
use super::segment::Segment;
use super::spots::Extent;
use super::sync::spawn_blocking;
use super::tail::{HealthWatch, TailWatch};
use super::view::{Following, Position};
use super::{Logged, Step, Tail};
use crate::event::{Lsn, Record, Seq};
use crate::ids::SessionKey;
use crate::metrics;

/// The one way to read: from a number, then wait at the tail.
#[derive(Debug)]
pub struct Cursor {
    session: Arc<Session>,
    tail: TailWatch,
    health: HealthWatch,
    metrics: metrics::log::Metrics,
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

impl Cursor {
    pub(super) fn new(
        session: Arc<Session>,
        health: HealthWatch,
        metrics: metrics::log::Metrics,
        after: Seq,
    ) -> Self {
        Self { tail: session.join(), session, health, metrics, after, lsn: Lsn::START.next() }
    }

    /// The next records; waits at the tail. A cursor beyond the tail waits for the event after the
    /// one it was given.
    ///
    /// # Errors
    /// [`Error::Read`], naming what cannot be read; the cursor stays before it. What can be read
    /// and is not what was written is no error: it is lost, and shows as a gap.
    // Cancel-safe: nothing is consumed before it resolves.
    pub async fn next(&mut self) -> Result<Step, Error> {
        loop {
            // Both before looking: what becomes durable after the look is then told by `moved`, and
            // an end that was seen means that the look saw everything.
            self.tail.mark_seen();
            let ended = self.health.has_ended();
            let Some(stretch) = self.look().await? else {
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

    /// What follows; `None` at the tail.
    async fn look(&self) -> Result<Option<Stretch>, Error> {
        let position = Position { after: self.after, lsn: self.lsn };
        match self.session.following(position) {
            Following::Nothing => Ok(None),
            Following::Recent(batches) => {
                let headers = (batches.first(), batches.last());
                let (Some(first), Some(last)) = headers else { return Ok(None) };
                let (first, end) = (first.header.first, last.header.end());
                let entries = batches.iter().flat_map(|batch| batch.entries()).collect();
                Ok(Some(Stretch { first, end, entries }))
            }
            Following::Places(places) => self.read(move |reading| reading.places(places)).await,
            Following::Sealed { segment, extent, from } => {
                self.read(move |reading| reading.sealed(&segment, extent, from)).await
            }
        }
    }

    /// Reads the disk, off the runtime's threads.
    async fn read(
        &self,
        read: impl FnOnce(Reading) -> io::Result<Option<Stretch>> + Send + 'static,
    ) -> Result<Option<Stretch>, Error> {
        let reading = Reading { key: self.session.key(), metrics: self.metrics.clone() };
        let reading = spawn_blocking(move || read(reading));
        let read = reading.await.unwrap_or_else(|e| Err(io::Error::other(e)));
        read.map_err(|e| Error::Read(Arc::new(e)))
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.session.leave();
    }
}

/// Reads one session's batches. Blocks.
struct Reading {
    key: SessionKey,
    metrics: metrics::log::Metrics,
}

impl Reading {
    /// What follows `from` in a sealed segment.
    fn sealed(
        self,
        segment: &Arc<Segment>,
        extent: Extent,
        from: Position,
    ) -> io::Result<Option<Stretch>> {
        let index = segment.index();
        let places =
            index.map(|index| extent.following(&*index.file, segment, from)).transpose()?;
        let places = match places.flatten() {
            Some(places) => places,
            None => {
                let file = segment.name();
                tracing::error!(file, "the index of a segment is damaged, the segment is read");
                spots_of(segment, self.key, from)?
            }
        };
        self.places(places)
    }

    /// What stands at `places`, up to the first one that is damaged or cannot be read. If that is the
    /// very first: the hole that a damaged one leaves, or the error.
    fn places(self, places: Vec<Place>) -> io::Result<Option<Stretch>> {
        let Some(first) = places.first().map(|place| place.spot.first) else { return Ok(None) };
        let mut stretch = Stretch { first, end: first, entries: Vec::new() };
        // One that cannot be read must not keep those before it from being read.
        let all = place::read_all(&places).unwrap_or_default();
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

/// What a reader sees of an entry.
fn shown(Numbered { seq, entry, .. }: Numbered) -> Option<Logged> {
    match entry {
        Entry::Record(Record::Event(event)) => Some(Logged::Event { seq, event }),
        Entry::Record(Record::Control(control)) => Some(Logged::Control(control)),
        Entry::Cut(_) => None,
    }
}
