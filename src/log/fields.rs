//! Little-endian fields of fixed width: how they are read from bytes that may be anything, and
//! put where their value is known only later. Never panics.

use std::ops::Range;

use super::Tail;
use crate::event::{Lsn, Seq};
use crate::limits;

/// Bytes not yet read. A field that is not there is `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(field)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number that counts something; `None` also if nothing can have come to it.
    pub(super) fn number(&mut self) -> Option<u64> {
        self.u64().filter(|number| *number <= limits::MAX_LOG_NUMBER)
    }

    /// Two of them: the first one, and the one behind the last.
    pub(super) fn numbers(&mut self) -> Option<Range<u64>> {
        let range = self.number()?..self.number()?;
        (range.start <= range.end).then_some(range)
    }

    /// An Lsn and behind it a Seq.
    pub(super) fn tail(&mut self) -> Option<Tail> {
        let next_lsn = Lsn::new(self.number()?);
        Some(Tail { next_seq: Seq::new(self.number()?), next_lsn })
    }
}

impl Tail {
    /// An Lsn and behind it a Seq, as [`Fields::tail`] reads them.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut out = [0; 16];
        put(&mut out, 0, &self.next_lsn.get().to_le_bytes());
        put(&mut out, 8, &self.next_seq.get().to_le_bytes());
        out
    }
}

/// The checksum of `parts`, one after the other, continued from `seed`.
pub(super) fn checksum(seed: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Puts `field` over the bytes at `at`, where room was left for it.
pub(super) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(room) = bytes.get_mut(at..at + field.len()) {
        room.copy_from_slice(field);
    }
}

/// A length as it stands on disk. Batches and groups are bounded far below `u32::MAX`.
pub(super) fn len32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
