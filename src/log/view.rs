//! What readers find of one session: its batches by segments, where it begins, and its newest ones.

use std::sync::Arc;

use super::Tail;
use super::place::{Place, Spot};
use super::ring::{Recent, Ring};
use super::segment::Segment;
use super::spots::Extent;
use crate::event::{Lsn, Seq};
use crate::limits;

/// What readers find.
#[derive(Debug, Default)]
pub(super) struct View {
    /// In the order of their numbers.
    pub(super) runs: Vec<Run>,
    /// The first record and event that no trim has cut off.
    pub(super) begins: Tail,
    pub(super) ring: Ring,
    /// How many cursors there are: without one, nothing is kept in the ring.
    pub(super) readers: usize,
}

/// A session's batches in one segment.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) segment: Arc<Segment>,
    pub(super) end: Tail,
    /// What they take on disk; of a sealed segment with what was cut off of them.
    pub(super) bytes: u64,
    pub(super) batches: Batches,
}

#[derive(Debug)]
pub(super) enum Batches {
    /// The segment is not sealed yet.
    Here(Vec<Spot>),
    /// In the segment's index.
    Sealed(Extent),
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

impl View {
    pub(super) fn add(&mut self, segment: &Arc<Segment>, spot: Spot) {
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

    pub(super) fn cut(&mut self, begins: Tail) {
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

    pub(super) fn stored(&self, position: Position) -> Following {
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
    pub(super) fn bytes_behind(&self, begins: Tail) -> u64 {
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
    let mut step = StepPlaces::within(limits::CURSOR_STEP_BYTES);
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
#[derive(Debug)]
pub(super) struct StepPlaces {
    pub(super) places: Vec<Place>,
    bytes: usize,
    most: usize,
}

impl StepPlaces {
    /// Of `most` bytes, unless its first batch is larger.
    pub(super) fn within(most: usize) -> Self {
        Self { places: Vec::new(), bytes: 0, most }
    }

    /// Whether `spot` may be the next one: within the bounds, and no hole before it.
    pub(super) fn takes(&mut self, spot: &Spot) -> bool {
        let Some(last) = self.places.last() else {
            self.bytes = spot.bytes as usize;
            return true;
        };
        self.bytes += spot.bytes as usize;
        last.spot.end().next_seq == spot.first.next_seq
            && self.bytes <= self.most
            && self.places.len() < limits::CURSOR_STEP_BATCHES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::ids::SessionKey;
    use crate::log::place::Read;
    use crate::log::{Batch, Log, Options, RealDisk, Store, UpkeepBy};
    use crate::metrics::Metrics;

    async fn append(log: &Log) -> Seq {
        let event = Event::ours("test", &serde_json::json!({ "pad": "x".repeat(900) }));
        let appended = log.append(Batch::default().event(event)).await.expect("append");
        appended.first_seq
    }

    #[tokio::test]
    async fn what_was_found_can_be_read_also_if_it_is_cut_off_meanwhile() {
        let home = tempfile::tempdir().expect("tempdir");
        let disk = Arc::new(RealDisk::open(home.path()).expect("free"));
        let upkeep = UpkeepBy::Writer;
        let options = Options { segment_bytes: 6 << 10, upkeep, ..Options::default() };
        let metrics = Metrics::new().expect("metrics").log;
        let store = Store::open(disk, options, metrics, &mut |_| {}).expect("open");
        let log = store.log(SessionKey::from_bytes([1; 16]));
        let from = Position { after: Seq::START, lsn: Lsn::START };
        append(&log).await;
        let Following::Places(found) = log.session.stored(from) else { panic!("not sealed yet") };
        // Enough to fill other segments: none of them may be written to its file.
        for _ in 0..3 {
            let mut last = Seq::START;
            for _ in 0..10 {
                last = append(&log).await;
            }
            let cut = log.trim(last, Batch::default()).await.expect("trim");
            assert!(cut.is_some(), "it ends a batch");
        }
        for place in found {
            let read = place.read(log.key()).expect("readable");
            assert!(matches!(read, Read::Whole(..)), "{read:?}");
        }
    }
}
