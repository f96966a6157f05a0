//! Where one batch stands on disk, and how it is read from there.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::Tail;
use super::disk::read_up_to;
use super::fields::len32;
use super::record::{BATCH_HEADER_BYTES, BatchHeader, Found, Numbered, decode_batch};
use super::segment::Segment;
use crate::ids::SessionKey;

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

    /// The tail behind the batch.
    pub(super) fn end(&self) -> Tail {
        self.first.behind(self.records, self.events)
    }
}

impl Place {
    /// Reads the batch and checks it again: it may have been damaged since it was written.
    /// Blocks.
    pub(super) fn read(&self, key: SessionKey) -> io::Result<Read> {
        let Spot { first, at, bytes, seed, .. } = self.spot;
        let mut buffer = vec![0; bytes as usize];
        let read = read_up_to(&*self.segment.file, &mut buffer, at.into())?;
        buffer.truncate(read);
        let bytes = Bytes::from(buffer);
        Ok(match decode_batch(&bytes, seed) {
            Found::Batch(header, entries) if header.key == key && header.first == first => {
                Read::Whole(header, bytes.slice(BATCH_HEADER_BYTES..), entries)
            }
            Found::Batch(..) | Found::Damaged(_) | Found::Nothing => Read::Damaged,
        })
    }
}
