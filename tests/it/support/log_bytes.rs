//! The log's bytes, read once more from the format's description, without a line of the log's own
//! code: where groups and batches stand in a segment.

use std::ops::Range;

pub(crate) const DATA_START: usize = 1024;
const SECTOR: usize = 512;
const GROUP_HEADER: usize = 40;
const BATCH_HEADER: usize = 68;

#[derive(Debug, Clone)]
pub(crate) struct GroupBytes {
    pub(crate) number: u64,
    /// Its header alone.
    pub(crate) header: Range<usize>,
    /// Its batches, each with its header.
    pub(crate) batches: Vec<Range<usize>>,
    /// All of it, padding included.
    pub(crate) all: Range<usize>,
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The groups of a segment that is whole; behind them is what the file held before.
pub(crate) fn groups(segment: &[u8]) -> Vec<GroupBytes> {
    let mut groups = Vec::new();
    let mut at = DATA_START;
    while at < segment.len()
        && &segment[at..at + 8] == b"\xffABgrp\xfe\n"
        && segment[at + 8..at + 16] == segment[12..20]
    {
        let body = u32_at(segment, at + 32) as usize;
        let header = at..at + GROUP_HEADER;
        let mut batches = Vec::new();
        let mut next = header.end;
        for _ in 0..u32_at(segment, at + 28) {
            let end = next + BATCH_HEADER + u32_at(segment, next + 40) as usize;
            batches.push(next..end);
            next = end;
        }
        assert_eq!(next, header.end + body);
        let end = next.next_multiple_of(SECTOR);
        groups.push(GroupBytes { number: u64_at(segment, at + 16), header, batches, all: at..end });
        at = end;
    }
    groups
}

/// The body of a batch.
pub(crate) fn body(batch: &Range<usize>) -> Range<usize> {
    batch.start + BATCH_HEADER..batch.end
}
