//! Walks over the groups of one segment, and over the batches of one group, and says what stands
//! in between. Reads only; what to make of it is recovery's business.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::read_up_to;
use super::group::{GROUP_HEADER_BYTES, GroupHeader, SECTOR_BYTES};
use super::record::{BATCH_HEADER_BYTES, BatchHeader, Found, Numbered, decode_batch};
use super::segment::{DATA_START, Segment};

/// Read at once while looking for a group header: whole sectors.
const LOOK_BYTES: u64 = 1 << 20;

/// A walk over the groups that count in one segment, in order.
#[derive(Debug)]
pub(super) struct Walk {
    segment: Arc<Segment>,
    file_bytes: u64,
    /// Where the next group should begin.
    at: u64,
    /// The number it should have.
    number: u64,
    /// This number and all above are void here: a newer segment has them.
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

/// What stands in a group, in order.
#[derive(Debug)]
pub(super) enum Piece {
    /// A batch, whole.
    Batch { header: BatchHeader, bytes: Range<u64>, body: Bytes, records: Vec<Numbered> },
    /// A batch of a known session, damaged.
    Damaged { header: BatchHeader, bytes: Range<u64> },
    /// The rest of the group: whose it is, nobody knows.
    Unreadable { bytes: Range<u64> },
}

impl Walk {
    pub(super) fn new(segment: &Arc<Segment>, limit: u64) -> io::Result<Self> {
        let file_bytes = segment.file.bytes()?;
        let (segment, number) = (Arc::clone(segment), segment.base);
        Ok(Self { segment, file_bytes, at: DATA_START, number, limit })
    }

    /// The number of the group that would come next.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// After the last group: the bytes in which more should stand. Only an older segment knows that
    /// there should be more: the next one's base says so.
    pub(super) fn unreadable(&self) -> Option<Range<u64>> {
        (self.number < self.limit && self.limit != u64::MAX)
            .then(|| self.at..self.file_bytes.max(self.at))
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
        let mut body = vec![0; header.body_bytes as usize];
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

impl Group {
    /// What the checksums of its batches continue from.
    pub(super) fn seed(&self) -> u32 {
        self.header.seed(self.segment.id)
    }

    /// Everything in it, in order.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let seed = self.seed();
        let mut rest = self.body.clone();
        let mut at = self.at + GROUP_HEADER_BYTES as u64;
        let end = at + u64::from(self.header.body_bytes);
        let mut pieces = Vec::with_capacity(self.header.batches as usize);
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
                Found::Batch(_, records) => {
                    let body = whole.slice(BATCH_HEADER_BYTES..);
                    Piece::Batch { header, bytes, body, records }
                }
                Found::Damaged(_) | Found::Nothing => Piece::Damaged { header, bytes },
            });
        }
        pieces
    }
}
