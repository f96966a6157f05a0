//! Opening: from whatever a crash left to a log whose every record is durable (FORMAT.md,
//! "Opening" and "Damage").
//!
//! It never appends to a segment it found, and never shows what it merely read: the last group may
//! sit in the page cache only, so its whole batches are copied to a new segment, which is made
//! durable first. All other groups are durable, since a later one was written after their sync.
//! It may itself be cut short anywhere: until the new segment has its name, nothing has changed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::disk::Disk;
use super::error::{Failure, OpenError};
use super::group::{GroupBuilder, Placed};
use super::index::{Index, Place};
use super::record::{BatchHeader, Numbered, RECORD_HEADER_BYTES};
use super::scan::{Group, Piece, Walk};
use super::segment::{self, DATA_START, Draft, Segment};
use super::writer::Active;
use super::{Recovered, Tail};
use crate::event::{Lsn, Record, Seq};
use crate::ids::SessionKey;
use crate::{limits, metrics};

/// Fills `index` with what is durable and says where the writer goes on. Blocks.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    index: &Index,
    metrics: &metrics::log::Metrics,
    fold: &mut dyn FnMut(Recovered),
) -> Result<Active, OpenError> {
    let segments = open_all(&**disk)?;
    remove_unfinished(&**disk)?;
    let mut recovery = Recovery { index, metrics, fold, lost: 0, lost_before: HashMap::new() };
    let mut dead = Vec::new();
    let mut newest = Newest { epoch: 0, number: 1, batches: Vec::new() };
    for (at, segment) in segments.iter().enumerate() {
        let limit = segments.get(at + 1).map_or(u64::MAX, |next| next.base);
        let found = recovery.read_segment(segment, limit).map_err(reading)?;
        if found.is_dead {
            dead.push(segment.name());
        }
        newest = found.newest;
    }
    let active = recovery.copy(&**disk, newest)?;
    recovery.skip_what_may_be_lost();
    metrics.segments.set((segments.len() + 1 - dead.len()) as i64);
    for name in dead {
        // It holds nothing that counts: if it stays, the next opening tries again.
        if let Err(error) = disk.remove(&name) {
            tracing::warn!(%name, %error, "cannot remove a dead segment");
        }
    }
    Ok(active)
}

struct Recovery<'a> {
    index: &'a Index,
    metrics: &'a metrics::log::Metrics,
    fold: &'a mut dyn FnMut(Recovered),
    /// How many records may have been lost so far without saying whose they were.
    lost: u64,
    /// What `lost` was at the last batch of each session: what came later may have been theirs.
    lost_before: HashMap<SessionKey, u64>,
}

/// What one segment came to.
struct SegmentFound {
    /// The end of it, which counts if it is the last segment.
    newest: Newest,
    /// No group of it counts, once the newest is copied, and nothing of it is damaged.
    is_dead: bool,
}

/// The last group of the log, and what is accepted of it.
struct Newest {
    /// The segment's.
    epoch: u64,
    /// The group's; if nothing of it is accepted, the next group's.
    number: u64,
    batches: Vec<Accepted>,
}

/// A batch that will count once it is copied.
struct Accepted {
    header: BatchHeader,
    body: bytes::Bytes,
    records: Vec<Numbered>,
}

/// All segments, oldest first. Whatever forbids opening is found here, before anything changes.
fn open_all(disk: &dyn Disk) -> Result<Vec<Arc<Segment>>, OpenError> {
    let names = disk.list().map_err(|source| OpenError::Io { doing: "list the folder", source })?;
    let mut epochs: Vec<u64> = names.iter().filter_map(|name| segment::epoch_of(name)).collect();
    epochs.sort_unstable();
    let opened: Result<Vec<_>, _> =
        epochs.into_iter().map(|epoch| Segment::open(disk, epoch).map(Arc::new)).collect();
    let segments = opened?;
    for pair in segments.windows(2) {
        if let [older, newer] = pair
            && newer.base < older.base
        {
            let what = "its groups would count before those of an older segment";
            return Err(OpenError::Damaged { file: newer.name(), what });
        }
    }
    Ok(segments)
}

fn remove_unfinished(disk: &dyn Disk) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io { doing: "remove an unfinished segment", source };
    for name in disk.list().map_err(failed)? {
        if segment::is_temporary(&name) {
            disk.remove(&name).map_err(failed)?;
        }
    }
    Ok(())
}

fn reading(source: std::io::Error) -> OpenError {
    OpenError::Io { doing: "read a segment", source }
}

impl Recovery<'_> {
    /// Takes every group of a segment that is known to be durable; hands back the last group if
    /// the segment is the last (`limit` is then `u64::MAX`).
    fn read_segment(
        &mut self,
        segment: &Arc<Segment>,
        limit: u64,
    ) -> std::io::Result<SegmentFound> {
        let mut walk = Walk::new(segment, limit)?;
        let mut held: Option<Group> = None;
        let mut is_dead = true;
        while let Some(group) = walk.next()? {
            if !group.unreadable.is_empty() {
                is_dead = false;
                let bytes = group.unreadable.clone();
                let room = bytes.end - bytes.start;
                self.lose_unknown(segment, bytes, room);
            }
            // Behind another one it is proven durable: groups are written one after the other.
            if let Some(durable) = held.replace(group) {
                is_dead = false;
                self.take_durable(&durable);
            }
        }
        let mut newest = Newest { epoch: segment.id.epoch, number: walk.number(), batches: vec![] };
        if limit == u64::MAX {
            if let Some(last) = held {
                newest.number = last.header.number;
                newest.batches = self.cut(&last);
            }
        } else if let Some(durable) = held {
            is_dead = false;
            self.take_durable(&durable);
        }
        if let Some(bytes) = walk.unreadable() {
            is_dead = false;
            // The file may be shorter than it was.
            let room = (bytes.end - bytes.start).max(limits::LOG_SEGMENT_BYTES);
            self.lose_unknown(segment, bytes, room);
        }
        Ok(SegmentFound { newest, is_dead })
    }

    /// Takes what is whole in a durable group; the rest is damage.
    fn take_durable(&mut self, group: &Group) {
        for piece in group.pieces() {
            match piece {
                Piece::Batch { header, bytes, body: _, records } => {
                    let place = Place::new(&header, &group.segment, bytes.start, group.seed());
                    self.take(&header, records, place);
                }
                Piece::Damaged { header, bytes } => self.lose(&group.segment, &header, bytes),
                Piece::Unreadable { bytes } => {
                    let room = bytes.end - bytes.start;
                    self.lose_unknown(&group.segment, bytes, room);
                }
            }
        }
    }

    /// What is accepted of the last group: all before the first batch that is not whole. Batches
    /// behind it may look whole, since sectors land in any order, but the group was never synced.
    fn cut(&self, last: &Group) -> Vec<Accepted> {
        let mut accepted = Vec::new();
        for piece in last.pieces() {
            match piece {
                Piece::Batch { header, bytes: _, body, records } => {
                    accepted.push(Accepted { header, body, records });
                }
                Piece::Damaged { bytes, .. } | Piece::Unreadable { bytes } => {
                    let (file, from) = (last.segment.name(), bytes.start);
                    tracing::info!(file, from, "cut off what a crash left unfinished");
                    break;
                }
            }
        }
        accepted
    }

    /// Makes the last group durable in a segment of its own, and only then takes it.
    fn copy(&mut self, disk: &dyn Disk, newest: Newest) -> Result<Active, OpenError> {
        let Newest { epoch, number, batches } = newest;
        let draft = Draft::new(epoch + 1, number);
        let mut builder = GroupBuilder::new(Vec::new(), draft.id(), number, 0);
        let placed: Vec<Placed> =
            batches.iter().map(|batch| builder.copy(batch.header, &batch.body)).collect();
        let group = if batches.is_empty() { Vec::new() } else { builder.finish() };
        let segment = draft.create(disk, &group).map_err(|failure: Failure| OpenError::Io {
            doing: "create a segment",
            source: failure.into_io(),
        })?;
        let segment = Arc::new(segment);
        let next = if batches.is_empty() { number } else { number + 1 };
        for (batch, placed) in batches.into_iter().zip(placed) {
            let place = placed.in_segment(&segment, DATA_START);
            self.take(&batch.header, batch.records, place);
        }
        Ok(Active { segment, at: DATA_START + group.len() as u64, number: next })
    }

    /// A durable batch: indexed, its control records folded.
    fn take(&mut self, header: &BatchHeader, records: Vec<Numbered>, place: Place) {
        let session = self.index.session(header.key);
        if header.first.next_lsn < session.tail().next_lsn {
            let session = header.key.session_id();
            tracing::error!(%session, lsn = %header.first.next_lsn, "passed over a repeated batch");
            return;
        }
        session.add(place);
        session.advance(header.end());
        self.lost_before.insert(header.key, self.lost);
        for Numbered { lsn, seq, record } in records {
            match record {
                Record::Event(_) => {}
                Record::Control(control) => {
                    (self.fold)(Recovered { key: header.key, lsn, next_seq: seq, control });
                }
            }
        }
    }

    /// A damaged batch that still says whose it was: its numbers stay used.
    fn lose(&mut self, segment: &Segment, header: &BatchHeader, bytes: Range<u64>) {
        self.count_damage(&bytes);
        let (file, from, to) = (segment.name(), bytes.start, bytes.end);
        let (first, end) = (header.first.next_seq, header.end().next_seq);
        let session = self.index.session(header.key);
        tracing::error!(
            file, from, to, session = %header.key.session_id(), %first, %end,
            "lost a damaged batch of a session"
        );
        if header.end().next_lsn > session.tail().next_lsn {
            session.advance(header.end());
            self.lost_before.insert(header.key, self.lost);
        }
    }

    /// Damage that does not say whose it is. Sessions that have a later batch show exactly what
    /// they lost; the others may have lost as many records as there was `room` for, in bytes.
    fn lose_unknown(&mut self, segment: &Segment, bytes: Range<u64>, room: u64) {
        self.count_damage(&bytes);
        let (file, from, to) = (segment.name(), bytes.start, bytes.end);
        self.lost += room / RECORD_HEADER_BYTES as u64 + 1;
        tracing::error!(
            file,
            from,
            to,
            "lost a damaged range, of any of the sessions without a record behind it"
        );
    }

    fn count_damage(&self, bytes: &Range<u64>) {
        // At least one: of an end that is missing there are no bytes, and it must show all the same.
        self.metrics.damaged_bytes.inc_by((bytes.end - bytes.start).max(1));
    }

    /// Numbers that a lost record may have had are never given again: the sessions that may have
    /// lost some go on behind them, and show a gap.
    fn skip_what_may_be_lost(&self) {
        for session in self.index.all() {
            let before = self.lost_before.get(&session.key()).copied().unwrap_or_default();
            let lost = self.lost - before;
            if lost > 0 {
                let Tail { next_seq, next_lsn } = session.tail();
                session.advance(Tail {
                    next_seq: Seq::new(next_seq.get() + lost),
                    next_lsn: Lsn::new(next_lsn.get() + lost),
                });
            }
        }
    }
}
