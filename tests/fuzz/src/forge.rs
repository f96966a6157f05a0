//! Segments as FORMAT.md has them, without a line of the log's own code: made from parts, and with
//! fresh checksums whatever is in them.

use std::collections::BTreeSet;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::support::log_bytes::{DATA_START, u32_at, u64_at};

const SECTOR: usize = 512;
const GROUP_HEADER: usize = 40;
const BATCH_HEADER: usize = 68;
const RECORD_HEADER: usize = 9;
const GROUP_MAGIC: &[u8; 8] = b"\xffABgrp\xfe\n";

/// What a segment says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) epoch: u64,
    pub(crate) base: u64,
    pub(crate) origin: u32,
    pub(crate) end: u64,
    pub(crate) groups: u64,
}

/// What a batch says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchHead {
    pub(crate) key: [u8; 16],
    pub(crate) lsn: u64,
    pub(crate) seq: u64,
    pub(crate) records: u32,
    pub(crate) events: u32,
}

/// A field of a segment: where it stands, and how many bytes it has.
pub(crate) type Field = (usize, usize);

/// A segment without groups and without checksums.
pub(crate) fn segment(head: Head) -> Vec<u8> {
    let mut out = b"\xffABlog\xfe\n\x02\0\0\0".to_vec();
    out.extend_from_slice(&head.epoch.to_le_bytes());
    out.extend_from_slice(&head.base.to_le_bytes());
    out.extend_from_slice(b"saltsalt");
    out.extend_from_slice(&head.origin.to_le_bytes());
    out.extend_from_slice(&head.end.to_le_bytes());
    out.extend_from_slice(&head.groups.to_le_bytes());
    out.resize(SECTOR, 0);
    out.extend_from_within(..);
    out
}

/// Puts a group behind the end of `segment`, without its checksum.
pub(crate) fn push_group(segment: &mut Vec<u8>, number: u64, batches: &[Vec<u8>]) {
    segment.resize(segment.len().next_multiple_of(SECTOR), 0);
    let epoch = u64_at(segment, 12);
    let body = batches.concat();
    segment.extend_from_slice(GROUP_MAGIC);
    segment.extend_from_slice(&epoch.to_le_bytes());
    segment.extend_from_slice(&number.to_le_bytes());
    segment.extend_from_slice(&0_u32.to_le_bytes());
    segment.extend_from_slice(&(batches.len() as u32).to_le_bytes());
    segment.extend_from_slice(&(body.len() as u32).to_le_bytes());
    segment.extend_from_slice(&[0; 4]);
    segment.extend_from_slice(&body);
    segment.resize(segment.len().next_multiple_of(SECTOR), 0);
}

/// A batch that follows `chain`, which it moves on; without its checksums.
pub(crate) fn batch(head: BatchHead, chain: &mut [u8; 16], body: &[u8]) -> Vec<u8> {
    let mut out = head.key.to_vec();
    out.extend_from_slice(&head.lsn.to_le_bytes());
    out.extend_from_slice(&head.seq.to_le_bytes());
    out.extend_from_slice(&head.records.to_le_bytes());
    out.extend_from_slice(&head.events.to_le_bytes());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    let hash = Sha256::new().chain_update(*chain).chain_update(&out);
    let hash = hash.chain_update(Sha256::digest(body)).finalize();
    chain.copy_from_slice(&hash[..16]);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(chain);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(body);
    out
}

/// Gives all that looks like a part of a segment the checksum that it should have.
pub(crate) fn sign(segment: &mut [u8]) {
    if segment.len() < DATA_START {
        return;
    }
    for copy in [0, SECTOR] {
        put_sum(segment, 0, copy..copy + 56);
    }
    let seed = checksum(checksum(0, &segment[12..20]), &segment[28..36]);
    for group in group_starts(segment) {
        put_sum(segment, seed, group..group + 36);
        let stamp = checksum(seed, &segment[group + 16..group + 28]);
        for batch in batches_at(segment, group) {
            let body = checksum(0, &segment[batch.start + BATCH_HEADER..batch.end]);
            segment[batch.start + 44..batch.start + 48].copy_from_slice(&body.to_le_bytes());
            put_sum(segment, stamp, batch.start..batch.start + 64);
        }
    }
}

/// All fields of a segment and of what stands in it, checksums left out.
pub(crate) fn fields(segment: &[u8]) -> Vec<Field> {
    if segment.len() < DATA_START {
        return Vec::new();
    }
    let mut fields = vec![(8, 4), (12, 8), (20, 8), (28, 8), (36, 4), (40, 8), (48, 8)];
    for group in group_starts(segment) {
        let own = [(8, 8), (16, 8), (24, 4), (28, 4), (32, 4)];
        fields.extend(own.map(|(at, width)| (group + at, width)));
        for batch in batches_at(segment, group) {
            let own = [(0, 1), (16, 8), (24, 8), (32, 4), (36, 4), (40, 4), (48, 8)];
            fields.extend(own.map(|(at, width)| (batch.start + at, width)));
            for record in records_at(segment, &batch) {
                fields.extend([(record, 1), (record + 1, 4), (record + 5, 4)]);
            }
        }
    }
    fields
}

/// What a segment says of the numbers of groups, its own and those of others.
pub(crate) fn numbers(segment: &[u8]) -> BTreeSet<u64> {
    if segment.len() < DATA_START {
        return BTreeSet::new();
    }
    let head = [20, 40, 48].map(|at| u64_at(segment, at));
    let groups = group_starts(segment).into_iter().map(|group| u64_at(segment, group + 16));
    groups.chain(head).collect()
}

/// Whether a session says in it where its log begins.
pub(crate) fn has_cut(segment: &[u8]) -> bool {
    let groups = group_starts(segment).into_iter();
    let batches = groups.flat_map(|group| batches_at(segment, group));
    batches
        .into_iter()
        .any(|batch| records_at(segment, &batch).into_iter().any(|record| segment[record] == 3))
}

/// Where groups begin, perhaps.
fn group_starts(segment: &[u8]) -> Vec<usize> {
    let sectors = (DATA_START..segment.len()).step_by(SECTOR);
    sectors
        .filter(|at| *at + GROUP_HEADER <= segment.len() && segment[*at..].starts_with(GROUP_MAGIC))
        .collect()
}

/// The batches of the group at `group`, as far as they are there.
fn batches_at(segment: &[u8], group: usize) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let mut at = group + GROUP_HEADER;
    for _ in 0..u32_at(segment, group + 28) {
        if at + BATCH_HEADER > segment.len() {
            break;
        }
        let end = at + BATCH_HEADER + u32_at(segment, at + 40) as usize;
        if end > segment.len() {
            break;
        }
        batches.push(at..end);
        at = end;
    }
    batches
}

/// Where the records of a batch begin, as far as they are there.
fn records_at(segment: &[u8], batch: &Range<usize>) -> Vec<usize> {
    let mut records = Vec::new();
    let mut at = batch.start + BATCH_HEADER;
    while at + RECORD_HEADER <= batch.end {
        records.push(at);
        let name = if segment[at] == 1 { u32_at(segment, at + 1) } else { 0 };
        at += RECORD_HEADER + name as usize + u32_at(segment, at + 5) as usize;
    }
    records
}

/// Puts the checksum of `covered` behind it.
fn put_sum(bytes: &mut [u8], seed: u32, covered: Range<usize>) {
    let sum = checksum(seed, &bytes[covered.clone()]);
    bytes[covered.end..covered.end + 4].copy_from_slice(&sum.to_le_bytes());
}

fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}
