//! Walks over the groups of one segment, and over the batches of one group, and says what stands
//! in between. Reads only; what to make of it is recovery's business.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::read_up_to;
use super::group::{GROUP_HEADER_BYTES, GroupHeader, SECTOR_BYTES};
use super::place::{Place, Spot};
use super::record::{BATCH_HEADER_BYTES, BatchHeader, Found, Numbered, decode_batch};
use super::segment::{DATA_START, Origin, Segment};
use super::view::{Position, StepPlaces};
use crate::ids::SessionKey;

/// Read at once while looking for a group header: whole sectors.
const LOOK_BYTES: u64 = 1 << 20;

/// A walk over the groups that count in one segment, in order.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    segment: Arc<Segment>,
    file_bytes: u64,
    /// Where the next group should begin.
    at: u64,
    /// The number it should have.
    number: u64,
    /// This number and all above are void: a newer segment has them.
    limit: u64,
}

/// A group as it was found; its batches may be damaged.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) segment: Arc<Segment>,
    pub(super) header: GroupHeader,
    /// Bytes from the segment's start.
    pub(super) at: u64,
    /// As much as there is of it.
    body: Bytes,
    /// Bytes before it in which its predecessor's successor should stand. Usually empty.
    pub(super) unreadable: Range<u64>,
}

/// A batch, whole.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) header: BatchHeader,
    pub(super) spot: Spot,
    pub(super) body: Bytes,
    pub(super) entries: Vec<Numbered>,
}

/// What stands in a group, in order.
#[derive(Debug)]
pub(super) enum Piece {
    /// A batch, whole.
    Batch(Scanned),
    /// A batch of a known session, damaged.
    Damaged { header: BatchHeader, bytes: Range<u64> },
    /// The rest of the group: whose it is, nobody knows.
    Unreadable { bytes: Range<u64> },
}

impl Walk {
    /// Over the groups that stand for those with `numbers` in the log.
    pub(super) fn over(segment: &Arc<Segment>, numbers: Range<u64>) -> io::Result<Self> {
        match segment.origin {
            Origin::Compaction { groups, .. } => Self::new(segment, 0..groups),
            Origin::Opening { .. } | Origin::Rotation => Self::new(segment, numbers),
        }
    }

    /// Over the groups from the number `numbers.start` on; those from `numbers.end` on are void.
    pub(super) fn new(segment: &Arc<Segment>, numbers: Range<u64>) -> io::Result<Self> {
        let file_bytes = segment.file.bytes()?;
        let Range { start: number, end: limit } = numbers;
        Ok(Self { segment: Arc::clone(segment), file_bytes, at: DATA_START, number, limit })
    }

    /// From the place where this one stands, over the file as it is now.
    pub(super) fn again(&self, numbers: Range<u64>) -> io::Result<Self> {
        Ok(Self { at: self.at, ..Self::new(&self.segment, numbers)? })
    }

    /// Whether all groups were there that should be.
    pub(super) fn is_complete(&self) -> bool {
        self.number >= self.limit
    }

    /// The number of the group that would come next.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The bytes behind the last group.
    pub(super) fn rest(&self) -> Range<u64> {
        self.at..self.file_bytes.max(self.at)
    }

    /// The next group; `None` after the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Group>> {
        if self.number >= self.limit {
            return Ok(None);
        }
        let Some((at, header)) = self.look()? else {
            return Ok(None);
        };
        let unreadable = self.at..at;
        let body_at = at + GROUP_HEADER_BYTES as u64;
        // What the file has not is not believed: the header may be damaged and look whole.
        let there = self.file_bytes.saturating_sub(body_at);
        let mut body = vec![0; u64::from(header.body_bytes).min(there) as usize];
        let read = read_up_to(&*self.segment.file, &mut body, body_at)?;
        body.truncate(read);
        self.at = at + header.disk_bytes();
        self.number = header.number + 1;
        let segment = Arc::clone(&self.segment);
        Ok(Some(Group { segment, header, at, body: body.into(), unreadable }))
    }

    /// The first header from here on that counts, sector by sector.
    fn look(&self) -> io::Result<Option<(u64, GroupHeader)>> {
        let mut from = self.at;
        // Nearly always the header is the very next thing: read no more than that at first.
        let mut look = SECTOR_BYTES;
        while from < self.file_bytes {
            let mut bytes = vec![0; look as usize];
            let read = read_up_to(&*self.segment.file, &mut bytes, from)?;
            bytes.truncate(read);
            let sectors = bytes.chunks(SECTOR_BYTES as usize);
            for (at, sector) in (from..).step_by(SECTOR_BYTES as usize).zip(sectors) {
                let header = GroupHeader::decode(sector, self.segment.id);
                let counts = |h: &GroupHeader| (self.number..self.limit).contains(&h.number);
                if let Some(header) = header.filter(counts) {
                    return Ok(Some((at, header)));
                }
            }
            from += look;
            look = LOOK_BYTES;
        }
        Ok(None)
    }
}

/// The batches of one session behind `from` in a segment, within the bounds of a step: what its
/// index would say.
pub(super) fn spots_of(
    segment: &Arc<Segment>,
    key: SessionKey,
    from: Position,
    most: usize,
) -> io::Result<Vec<Place>> {
    let mut step = StepPlaces::within(most);
    let groups = segment.index().map_or(0..u64::MAX, |index| index.groups.clone());
    let mut walk = Walk::over(segment, groups)?;
    while let Some(group) = walk.next()? {
        for piece in group.pieces() {
            let (header, spot) = match piece {
                Piece::Batch(Scanned { header, spot, .. }) => (header, spot),
                Piece::Damaged { .. } | Piece::Unreadable { .. } => continue,
            };
            if header.key != key || !from.is_before(header.end()) {
                continue;
            }
            if !step.takes(&spot) {
                return Ok(step.places);
            }
            step.places.push(Place { segment: Arc::clone(segment), spot });
        }
    }
    Ok(step.places)
}

impl Group {
    /// Everything in it, in order.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let seed = self.header.seed(self.segment.id);
        let mut rest = self.body.clone();
        let mut at = self.at + GROUP_HEADER_BYTES as u64;
        let end = at + u64::from(self.header.body_bytes);
        let most = rest.len() / BATCH_HEADER_BYTES + 1;
        let mut pieces = Vec::with_capacity(most.min(self.header.batches as usize));
        for _ in 0..self.header.batches {
            let found = decode_batch(&rest, seed);
            let (Found::Batch(header, _) | Found::Damaged(header)) = &found else {
                pieces.push(Piece::Unreadable { bytes: at..end });
                break;
            };
            let header = *header;
            let whole = rest.split_to(header.disk_bytes());
            let bytes = at..at + whole.len() as u64;
            at = bytes.end;
            pieces.push(match found {
                Found::Batch(_, entries) => {
                    let body = whole.slice(BATCH_HEADER_BYTES..);
                    let spot = Spot::new(&header, bytes.start, seed);
                    Piece::Batch(Scanned { header, spot, body, entries })
                }
                Found::Damaged(_) | Found::Nothing => Piece::Damaged { header, bytes },
            });
        }
        pieces
    }
}
