//! Where one batch stands on disk, and how it is read from there.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::Tail;
use super::disk::{Reach, read_within};
use super::fields::len32;
use super::record::{BATCH_HEADER_BYTES, BatchHeader, Found, Numbered, decode_batch};
use super::segment::Segment;
use crate::ids::SessionKey;
use crate::limits;

/// Where a batch stands in its segment, and what of it is needed to find and check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) first: Tail,
    pub(super) records: u32,
    pub(super) events: u32,
    /// Bytes from the segment's start.
    pub(super) at: u32,
    pub(super) bytes: u32,
    /// The seed of its group.
    pub(super) seed: u32,
}

/// Where a batch stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) segment: Arc<Segment>,
    pub(super) spot: Spot,
}

/// What is read at a place.
#[derive(Debug)]
pub(super) enum Read {
    /// The batch: its header, its body, and what that holds.
    Whole(BatchHeader, Bytes, Vec<Numbered>),
    /// Bytes that are not the batch any more, although it was durable.
    Damaged,
}

impl Spot {
    /// The spot of the batch with this header, `at` bytes from its segment's start.
    pub(super) fn new(header: &BatchHeader, at: u64, seed: u32) -> Self {
        Self {
            first: header.first,
            records: header.records,
            events: header.events,
            at: len32(at as usize),
            bytes: len32(header.disk_bytes()),
            seed,
        }
    }

    /// Whether its numbers, counted from `base`, fit into an index.
    pub(super) fn is_near(&self, base: Tail) -> bool {
        let furthest = base.behind(u32::MAX, u32::MAX);
        self.first.is_at_or_before(furthest)
    }

    /// The tail behind the batch.
    pub(super) fn end(&self) -> Tail {
        self.first.behind(self.records, self.events)
    }
}

impl Tail {
    /// Whether neither of its numbers is behind that of `other`.
    pub(super) fn is_at_or_before(self, other: Self) -> bool {
        self.next_lsn <= other.next_lsn && self.next_seq <= other.next_seq
    }
}

impl Place {
    /// Reads the batch and checks it again: it may have been damaged since it was written.
    /// Blocks.
    pub(super) fn read(&self, key: SessionKey) -> io::Result<Read> {
        Ok(self.check(key, &self.bytes()?))
    }

    /// The bytes that stand there, unchecked. Blocks.
    pub(super) fn bytes(&self) -> io::Result<Bytes> {
        read_at(Reach::Disk, &self.segment, self.spot.at, self.spot.bytes)
    }

    /// What `bytes`, read at this place, are.
    pub(super) fn check(&self, key: SessionKey, bytes: &Bytes) -> Read {
        let Spot { at, seed, .. } = self.spot;
        match decode_batch(bytes, seed) {
            Found::Batch(header, entries)
                if header.key == key && Spot::new(&header, at.into(), seed) == self.spot =>
            {
                Read::Whole(header, bytes.slice(BATCH_HEADER_BYTES..), entries)
            }
            Found::Batch(..) | Found::Damaged(_) | Found::Nothing => Read::Damaged,
        }
    }

    /// Whether what is read with the places from `first` on may go on to this one, the next.
    fn is_close_behind(&self, first: &Self, last: &Self) -> bool {
        let behind = u64::from(last.spot.at) + u64::from(last.spot.bytes);
        let between = u64::from(self.spot.at).checked_sub(behind);
        let is_close = between.is_some_and(|between| between <= limits::READ_ACROSS_BYTES);
        let end = u64::from(self.spot.at) + u64::from(self.spot.bytes);
        let all = end.saturating_sub(first.spot.at.into());
        Arc::ptr_eq(&self.segment, &first.segment)
            && is_close
            && all <= limits::CURSOR_STEP_BYTES as u64
    }
}

/// The bytes at each of `places`, in order. Those that stand close together are read at once, and
/// then share one buffer. Blocks as far as `reach` says.
pub(super) fn read_all(reach: Reach, places: &[Place]) -> io::Result<Vec<Bytes>> {
    let mut all = Vec::with_capacity(places.len());
    let mut rest = places;
    while let Some(first) = rest.first() {
        let is_close =
            |pair: &&[Place]| matches!(pair, [last, next] if next.is_close_behind(first, last));
        let close = rest.windows(2).take_while(is_close).count();
        let (together, behind) = rest.split_at(close + 1);
        rest = behind;
        // Of a damaged index even the sum of two numbers may be too large.
        let bytes = together
            .last()
            .map_or(0, |last| (last.spot.at - first.spot.at).saturating_add(last.spot.bytes));
        let bytes = read_at(reach, &first.segment, first.spot.at, bytes)?;
        all.extend(together.iter().map(|Place { spot, .. }| {
            let from = (spot.at - first.spot.at) as usize;
            // Behind the end of a file that is shorter than it was, there is nothing.
            bytes.slice(from.min(bytes.len())..(from + spot.bytes as usize).min(bytes.len()))
        }));
    }
    Ok(all)
}

/// Up to `bytes` of a segment, fewer where its file ends.
fn read_at(reach: Reach, segment: &Segment, at: u32, bytes: u32) -> io::Result<Bytes> {
    let mut long = bytes as usize;
    if reach == Reach::Memory && long > limits::LOG_READ_IN_PLACE_BYTES {
        // To copy and check so many is not the work of a moment.
        return Err(io::ErrorKind::WouldBlock.into());
    }
    if long > limits::CURSOR_STEP_BYTES {
        // Hardly any is: what a damaged index says of it is held against the file first.
        let there = segment.file.bytes()?.saturating_sub(at.into());
        long = long.min(usize::try_from(there).unwrap_or(usize::MAX));
    }
    let mut buffer = vec![0; long];
    let read = read_within(reach, &*segment.file, &mut buffer, at.into())?;
    buffer.truncate(read);
    Ok(buffer.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::blank::Blanks;
    use crate::log::segment::{Draft, Origin};
    use crate::log::{Disk, RealDisk};

    #[test]
    fn of_a_length_that_a_damaged_index_claims_only_what_is_there_is_read() {
        let home = tempfile::tempdir().expect("tempdir");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(home.path()).expect("free"));
        let blank = Blanks::new(Arc::clone(&disk), Vec::new()).take(4096).expect("room");
        let draft = Draft::new(1, Origin::Rotation);
        let segment = Arc::new(draft.make(&*disk, blank, &[]).expect("a segment"));
        let place = |at, bytes| {
            let spot = Spot { first: Tail::EMPTY, records: 1, events: 0, at, bytes, seed: 0 };
            Place { segment: Arc::clone(&segment), spot }
        };
        let read = read_all(Reach::Disk, &[place(1024, 100), place(1124, u32::MAX)]).expect("read");
        let lengths: Vec<_> = read.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [100, 4096 - 1124]);
    }
}
