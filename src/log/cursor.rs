//! The one way to read: from a number, then wait at the tail. A reader at the tail and one a
//! million events behind run the same lines.
//!
//! A cursor holds two numbers and no buffer: a slow or absent reader costs nothing. It yields only
//! what the index shows, which is only what is durable.

use std::sync::Arc;

use super::error::Error;
use super::index::{Place, Session};
use super::record::Numbered;
use super::tail::{HealthWatch, TailWatch};
use super::{Logged, Step};
use crate::event::{Lsn, Record, Seq};

/// The one way to read: from a number, then wait at the tail.
#[derive(Debug)]
pub struct Cursor {
    session: Arc<Session>,
    tail: TailWatch,
    health: HealthWatch,
    /// The last event that was yielded, or is not wanted, or is known to be gone.
    after: Seq,
    /// All records before it were yielded, or are not wanted. Tells apart what follows `after`:
    /// control records share the number of the event behind them.
    lsn: Lsn,
}

impl Cursor {
    pub(super) fn new(session: Arc<Session>, health: HealthWatch, after: Seq) -> Self {
        Self { tail: session.watch(), session, health, after, lsn: Lsn::START }
    }

    /// The next records; waits at the tail. A cursor beyond the tail waits for the event after the
    /// one it was given.
    ///
    /// # Errors
    /// [`Error::Read`], naming what cannot be read; the cursor stays before it.
    // Cancel-safe: nothing is consumed before it resolves.
    pub async fn next(&mut self) -> Result<Step, Error> {
        loop {
            // Both before looking: what becomes durable after the look is then told by `moved`, and
            // an end that was seen means that the look saw everything.
            self.tail.mark_seen();
            let ended = self.health.has_ended();
            let places = self.session.following(self.after, self.lsn);
            let (Some(first), Some(last)) = (places.first(), places.last()) else {
                if ended {
                    return Ok(Step::End);
                }
                self.wait().await;
                continue;
            };
            if let Some(gap) = self.gap_before(first) {
                return Ok(gap);
            }
            let end = last.end();
            let records = self.read(places).await?;
            self.after = self.after.max(end.next_seq.previous());
            self.lsn = end.next_lsn;
            // Nothing is left of a batch whose last record is the event that the cursor began after.
            if !records.is_empty() {
                return Ok(Step::Records(records));
            }
        }
    }

    /// Resolves when there may be more, or no more ever.
    async fn wait(&mut self) {
        // Both only wait: dropping either loses nothing. The order does not matter.
        tokio::select! {
            () = self.tail.moved() => {}
            () = self.health.ended() => {}
        }
    }

    /// The events missing before `place`, if any; they are passed over from here on.
    fn gap_before(&mut self, place: &Place) -> Option<Step> {
        let (from, to) = (self.after.next(), place.first.next_seq.previous());
        (from <= to).then(|| {
            self.after = to;
            Step::Gap { from, to }
        })
    }

    async fn read(&self, places: Vec<Place>) -> Result<Vec<Logged>, Error> {
        let (key, after, lsn) = (self.session.key(), self.after, self.lsn);
        let reading = tokio::task::spawn_blocking(move || {
            let mut wanted = Vec::new();
            for place in places {
                let records = place.read(key)?;
                let following = records.into_iter().filter(|r| r.seq > after && r.lsn >= lsn);
                wanted.extend(following.map(Logged::from));
            }
            Ok(wanted)
        });
        let read = reading.await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        read.map_err(|e| Error::Read(Arc::new(e)))
    }
}

impl From<Numbered> for Logged {
    fn from(numbered: Numbered) -> Self {
        match numbered.record {
            Record::Event(event) => Self::Event { seq: numbered.seq, event },
            Record::Control(control) => Self::Control(control),
        }
    }
}
