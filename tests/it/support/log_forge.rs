//! A segment taken apart and put together again with fresh checksums, without a line of the log's
//! own code: for changes that no checksum shows.

use std::collections::BTreeMap;

use super::log_bytes::{DATA_START, groups, u32_at, u64_at};

const SECTOR: usize = 512;
const BATCH_HEADER: usize = 68;

/// A segment, apart.
#[derive(Debug, Clone)]
pub(crate) struct Forged {
    head: Vec<u8>,
    pub(crate) groups: Vec<ForgedGroup>,
    /// Behind its last group.
    rest: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct ForgedGroup {
    pub(crate) number: u64,
    attempt: u32,
    /// Each with its header.
    pub(crate) batches: Vec<Vec<u8>>,
    /// How many of the last ones its header does not count.
    pub(crate) hidden: usize,
}

impl Forged {
    pub(crate) fn new(segment: &[u8]) -> Self {
        let found = groups(segment);
        let end = found.last().map_or(DATA_START, |group| group.all.end);
        let groups = found.into_iter().map(|group| ForgedGroup {
            number: group.number,
            attempt: u32_at(segment, group.all.start + 24),
            batches: group.batches.into_iter().map(|batch| segment[batch].to_vec()).collect(),
            hidden: 0,
        });
        Self {
            head: segment[..DATA_START].to_vec(),
            groups: groups.collect(),
            rest: segment[end..].to_vec(),
        }
    }

    /// Groups in newer segments have the same numbers from this one on, if they say so.
    pub(crate) fn base(&self) -> Option<u64> {
        (u32_at(&self.head, 36) == 2).then(|| u64_at(&self.head, 20))
    }

    /// Whether it was rewritten: then its groups have numbers of their own.
    pub(crate) fn is_compacted(&self) -> bool {
        u32_at(&self.head, 36) == 3
    }

    /// The segment with fresh checksums, as long as it was if it can be.
    pub(crate) fn bytes(&self, long: usize) -> Vec<u8> {
        let mut out = self.head.clone();
        let seed = checksum(checksum(0, &self.head[12..20]), &self.head[28..36]);
        for ForgedGroup { number, attempt, batches, hidden } in &self.groups {
            let stamp = checksum(checksum(seed, &number.to_le_bytes()), &attempt.to_le_bytes());
            let body: Vec<u8> = batches.iter().flat_map(|batch| signed(batch, stamp)).collect();
            let at = out.len();
            out.extend_from_slice(b"\xffABgrp\xfe\n");
            out.extend_from_slice(&self.head[12..20]);
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&attempt.to_le_bytes());
            out.extend_from_slice(&((batches.len() - hidden) as u32).to_le_bytes());
            out.extend_from_slice(&(body.len() as u32).to_le_bytes());
            out.extend_from_slice(&checksum(seed, &out[at..]).to_le_bytes());
            out.extend_from_slice(&body);
            out.resize(out.len().next_multiple_of(SECTOR), 0);
        }
        out.extend_from_slice(&self.rest);
        out.resize(long.max(out.len() - self.rest.len()), 0);
        out
    }
}

/// The bytes of an index with fresh checksums over header, directory and spots.
pub(crate) fn signed_index(index: &[u8], segment: &[u8]) -> Vec<u8> {
    let seed = checksum(checksum(0, &segment[12..20]), &segment[28..36]);
    let mut out = index.to_vec();
    let sessions = u32_at(index, 44) as usize;
    let directory = u64_at(index, 56) as usize;
    // What says how long it is was changed itself.
    if sessions * 84 > directory || directory.saturating_add(72) > index.len() {
        return out;
    }
    let sum = checksum(seed, &out[..64]);
    out[64..68].copy_from_slice(&sum.to_le_bytes());
    let sum = checksum(seed, &out[68..68 + directory]);
    out[68 + directory..72 + directory].copy_from_slice(&sum.to_le_bytes());
    for n in 0..sessions {
        let part = 68 + 84 * n;
        let (mut at, mut spots) =
            (u64_at(index, part + 72) as usize, u32_at(index, part + 80) as usize);
        while spots > 0 {
            let end = at.saturating_add(28 * spots.min(128));
            if end.saturating_add(4) > out.len() {
                break;
            }
            let sum = checksum(0, &out[at..end]);
            out[end..end + 4].copy_from_slice(&sum.to_le_bytes());
            spots -= spots.min(128);
            at = end + 4;
        }
    }
    out
}

/// Whose batch it is.
pub(crate) fn owner(batch: &[u8]) -> [u8; 16] {
    batch[..16].try_into().expect("sixteen bytes")
}

/// Lsn and Seq of its first record and event.
pub(crate) fn numbers(batch: &[u8]) -> (u64, u64) {
    (u64_at(batch, 16), u64_at(batch, 24))
}

pub(crate) fn set_numbers(batch: &mut [u8], (lsn, seq): (u64, u64)) {
    batch[16..24].copy_from_slice(&lsn.to_le_bytes());
    batch[24..32].copy_from_slice(&seq.to_le_bytes());
}

/// How many records, and how many of them are events.
pub(crate) fn sizes(batch: &[u8]) -> (u64, u64) {
    (u32_at(batch, 32).into(), u32_at(batch, 36).into())
}

/// Numbers all batches anew, as if none had ever been elsewhere.
pub(crate) fn renumber(segments: &mut BTreeMap<String, Forged>, session: [u8; 16]) {
    let mut next = (1, 1);
    let groups = segments.values_mut().flat_map(|segment| &mut segment.groups);
    for batch in groups.flat_map(|group| &mut group.batches) {
        if owner(batch) == session {
            set_numbers(batch, next);
            let (records, events) = sizes(batch);
            next = (next.0 + records, next.1 + events);
        }
    }
}

fn signed(batch: &[u8], stamp: u32) -> Vec<u8> {
    let mut out = batch.to_vec();
    let body = checksum(0, &out[BATCH_HEADER..]);
    out[44..48].copy_from_slice(&body.to_le_bytes());
    let header = checksum(stamp, &out[..64]);
    out[64..68].copy_from_slice(&header.to_le_bytes());
    out
}

fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}
