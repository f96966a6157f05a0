//! Write groups: what goes out in one write and one sync (FORMAT.md, "Group").
//!
//! A group is stamped with its number and with the attempt at writing it, and the checksums of
//! its batches continue from that stamp: what an earlier, refused attempt left behind on the same
//! sectors cannot pass for a part of a later group.

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

/// Collects the batches of one group.
#[derive(Debug)]
pub(super) struct GroupBuilder {
    segment: SegmentId,
    header: GroupHeader,
    seed: u32,
    bytes: Vec<u8>,
}

/// Where a batch stands in its group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) header: BatchHeader,
    /// Bytes from the group's start to the batch's.
    at: usize,
    seed: u32,
}

impl GroupBuilder {
    /// An empty group; `buffer` is only there to be used again.
    pub(super) fn new(mut buffer: Vec<u8>, segment: SegmentId, number: u64, attempt: u32) -> Self {
        buffer.clear();
        buffer.resize(GROUP_HEADER_BYTES, 0);
        let header = GroupHeader { number, attempt, batches: 0, body_bytes: 0 };
        Self { segment, header, seed: seed(segment, number, attempt), bytes: buffer }
    }

    /// Adds a batch.
    pub(super) fn push(&mut self, header: BatchHeader, body: &[u8]) -> Placed {
        let at = self.bytes.len();
        header.encode(&mut self.bytes, self.seed);
        self.bytes.extend_from_slice(body);
        self.header.batches += 1;
        Placed { header, at, seed: self.seed }
    }

    /// The group's bytes, whole sectors.
    pub(super) fn finish(self) -> Vec<u8> {
        let Self { segment, mut header, seed: _, mut bytes } = self;
        header.body_bytes = len32(bytes.len() - GROUP_HEADER_BYTES);
        put(&mut bytes, 0, &header.encode(segment));
        bytes.resize(bytes.len().next_multiple_of(SECTOR_BYTES as usize), 0);
        bytes
    }
}

impl Placed {
    /// Where the batch stands, once its group stands at `group_at` of its segment.
    pub(super) fn spot_at(&self, group_at: u64) -> Spot {
        Spot::new(&self.header, group_at + self.at as u64, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: SegmentId = SegmentId { epoch: 4, seed: 99 };

    fn group(number: u64, attempt: u32) -> Vec<u8> {
        GroupBuilder::new(Vec::new(), SEGMENT, number, attempt).finish()
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
