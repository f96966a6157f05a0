//! Write groups: what goes out in one write and one sync (FORMAT.md, "Group").
//!
//! A group is stamped with its number and with the attempt at writing it, and the checksums of
//! its batches continue from that stamp: what an earlier, refused attempt left behind on the same
//! sectors cannot pass for a part of a later group.

use super::body::Body;
use super::fields::{Fields, checksum, len32, put};
use super::place::Spot;
use super::record::BatchHeader;
use super::segment::SegmentId;
use crate::limits;

/// The unit in which a disk keeps or loses what was not synced. Groups begin at its multiples, so
/// that no write touches a sector with durable bytes.
pub(super) const SECTOR_BYTES: u64 = 512;
pub(super) const GROUP_HEADER_BYTES: usize = 40;

/// Holds bytes that cannot stand in UTF-8, and so not in an event.
const MAGIC: [u8; 8] = *b"\xffABgrp\xfe\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupHeader {
    /// Counts groups over the whole log; the same group after a copy or another attempt keeps it.
    pub(super) number: u64,
    /// Counts writes of groups in this segment.
    pub(super) attempt: u32,
    pub(super) batches: u32,
    pub(super) body_bytes: u32,
}

impl GroupHeader {
    fn encode(&self, segment: SegmentId) -> Vec<u8> {
        let mut out = Vec::with_capacity(GROUP_HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&segment.epoch.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.attempt.to_le_bytes());
        out.extend_from_slice(&self.batches.to_le_bytes());
        out.extend_from_slice(&self.body_bytes.to_le_bytes());
        out.extend_from_slice(&checksum(segment.seed, &[&out]).to_le_bytes());
        out
    }

    /// The header at the start of `bytes`, if there is one of this segment.
    pub(super) fn decode(bytes: &[u8], segment: SegmentId) -> Option<Self> {
        let mut fields = Fields::new(bytes.get(..GROUP_HEADER_BYTES)?);
        let covered = bytes.get(..GROUP_HEADER_BYTES - 4)?;
        if fields.array()? != MAGIC || fields.u64()? != segment.epoch {
            return None;
        }
        let header = Self {
            number: fields.number()?,
            attempt: fields.u32()?,
            batches: fields.u32()?,
            body_bytes: fields.u32()?,
        };
        let whole = fields.u32()? == checksum(segment.seed, &[covered]);
        (whole && header.body_bytes as usize <= limits::MAX_GROUP_BODY_BYTES).then_some(header)
    }

    /// What the checksums of its batches continue from.
    pub(super) fn seed(&self, segment: SegmentId) -> u32 {
        seed(segment, self.number, self.attempt)
    }

    /// Bytes from its start to where the next group begins.
    pub(super) fn disk_bytes(&self) -> u64 {
        (GROUP_HEADER_BYTES as u64 + u64::from(self.body_bytes)).next_multiple_of(SECTOR_BYTES)
    }
}

fn seed(segment: SegmentId, number: u64, attempt: u32) -> u32 {
    checksum(segment.seed, &[&number.to_le_bytes(), &attempt.to_le_bytes()])
}

/// What tells a group from all others, and from other attempts at writing it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) segment: SegmentId,
    /// The group's number.
    pub(super) number: u64,
    pub(super) attempt: u32,
}

impl Stamp {
    /// What the checksums of the group's batches continue from.
    pub(super) fn seed(&self) -> u32 {
        seed(self.segment, self.number, self.attempt)
    }
}

/// Collects the batches of one group, which is stamped when it is known where it goes.
#[derive(Debug)]
pub(super) struct GroupBuilder {
    bytes: Vec<u8>,
    /// Where each batch begins.
    starts: Vec<usize>,
    /// Behind the last batch.
    end: usize,
}

/// Where a batch stands in its group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) header: BatchHeader,
    /// Bytes from the group's start to the batch's.
    at: usize,
}

impl GroupBuilder {
    /// An empty group.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; GROUP_HEADER_BYTES], starts: Vec::new(), end: GROUP_HEADER_BYTES }
    }

    /// An empty one again, which keeps its memory up to a bound.
    pub(super) fn cleared(mut self) -> Self {
        self.bytes.truncate(GROUP_HEADER_BYTES);
        self.bytes.shrink_to(2 * limits::LOG_GROUP_BYTES);
        self.starts.clear();
        self.end = GROUP_HEADER_BYTES;
        self
    }

    /// Bytes of the batches up to now.
    pub(super) fn batch_bytes(&self) -> usize {
        self.end - GROUP_HEADER_BYTES
    }

    /// Adds a batch that was read.
    pub(super) fn push(&mut self, header: BatchHeader, body: &[u8]) -> Placed {
        let placed = self.push_header(header);
        self.bytes.extend_from_slice(body);
        self.end = self.bytes.len();
        placed
    }

    /// Adds a batch whose body must be pushed before anything else is.
    pub(super) fn push_header(&mut self, header: BatchHeader) -> Placed {
        let at = self.bytes.len();
        self.starts.push(at);
        header.encode(&mut self.bytes);
        Placed { header, at }
    }

    /// Adds the body of the last batch.
    pub(super) fn push_body(&mut self, body: &Body) {
        body.encode(&mut self.bytes);
        self.end = self.bytes.len();
    }

    /// The group's bytes, whole sectors, with this stamp instead of an earlier one.
    pub(super) fn stamped(&mut self, stamp: Stamp) -> &mut Vec<u8> {
        let Stamp { segment, number, attempt } = stamp;
        let seed = stamp.seed();
        for at in &self.starts {
            BatchHeader::stamp(&mut self.bytes, *at, seed);
        }
        let header = GroupHeader {
            number,
            attempt,
            batches: len32(self.starts.len()),
            body_bytes: len32(self.batch_bytes()),
        };
        put(&mut self.bytes, 0, &header.encode(segment));
        self.bytes.truncate(self.end);
        self.bytes.resize(self.end.next_multiple_of(SECTOR_BYTES as usize), 0);
        &mut self.bytes
    }
}

impl Placed {
    /// Where the batch stands, once its group, of this seed, stands at `group_at` of its segment.
    pub(super) fn spot_at(&self, group_at: u64, seed: u32) -> Spot {
        Spot::new(&self.header, group_at + self.at as u64, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: SegmentId = SegmentId { epoch: 4, seed: 99 };

    fn group(number: u64, attempt: u32) -> Vec<u8> {
        let mut builder = GroupBuilder::new();
        builder.stamped(Stamp { segment: SEGMENT, number, attempt }).clone()
    }

    #[test]
    fn a_header_is_read_only_in_the_segment_it_was_written_for() {
        let bytes = group(12, 3);
        let header = GroupHeader::decode(&bytes, SEGMENT).expect("a header");
        assert_eq!((header.number, header.attempt, header.batches), (12, 3, 0));
        assert_eq!(header.disk_bytes(), bytes.len() as u64);
        for other in [SegmentId { epoch: 5, ..SEGMENT }, SegmentId { seed: 98, ..SEGMENT }] {
            assert_eq!(GroupHeader::decode(&bytes, other), None);
        }
        assert_eq!(GroupHeader::decode(&bytes[1..], SEGMENT), None);
        assert_eq!(GroupHeader::decode(&bytes[..GROUP_HEADER_BYTES - 1], SEGMENT), None);
    }

    #[test]
    fn a_header_with_any_bit_turned_is_none() {
        let good = group(12, 3);
        for bit in 0..GROUP_HEADER_BYTES * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(GroupHeader::decode(&bad, SEGMENT), None, "bit {bit}");
        }
    }

    #[test]
    fn each_attempt_has_a_seed_of_its_own() {
        assert_ne!(seed(SEGMENT, 12, 3), seed(SEGMENT, 12, 4));
        assert_ne!(seed(SEGMENT, 12, 3), seed(SEGMENT, 13, 3));
    }
}
