//! The raw disk: one thread, one write and one sync a group. No log on this file system can be
//! faster than it, whatever it does besides.
//!
//! The blocks that a group goes to decide what its sync costs, so there is one variant for each
//! kind of blocks. Only the write and its sync are timed, never the making of the file.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use tokio::time::Instant;

/// A prepared file; as large as a segment of the log, so that seeks and caches are alike.
const FILE_BYTES: u64 = 64 << 20;
/// Where a file that grows is replaced by a fresh one.
const GROWN_BYTES: u64 = 1 << 30;
/// What direct writes must be aligned to, in memory and in the file.
const PAGE_BYTES: usize = 4096;

/// Where a group's bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocks {
    /// Behind the end of a file that was empty: blocks and length are news to the file system.
    Extending,
    /// Over blocks that were written and synced before: only the data is new.
    Written,
    /// Over blocks that were reserved and never written: that they now are is news.
    Fallocated,
    /// As [`Blocks::Written`], past the page cache, and synced by the write itself.
    Direct,
}

impl Blocks {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Extending => "extending a fresh file",
            Self::Written => "over written blocks",
            Self::Fallocated => "over fallocated blocks",
            Self::Direct => "written, O_DIRECT+O_DSYNC",
        }
    }
}

/// One file that takes groups of one size.
pub(crate) struct Raw {
    blocks: Blocks,
    path: PathBuf,
    file: File,
    at: u64,
    end: u64,
    /// The group, and before it as much as its alignment needs.
    buffer: Vec<u8>,
    start: usize,
}

impl Raw {
    /// A file in `folder` that takes groups of `bytes`.
    pub(crate) fn open(folder: &Path, blocks: Blocks, bytes: usize) -> Self {
        let bytes =
            if blocks == Blocks::Direct { bytes.next_multiple_of(PAGE_BYTES) } else { bytes };
        let mut buffer = noise(bytes + PAGE_BYTES);
        let start = buffer.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        buffer.truncate(start + bytes);
        let path = folder.join("raw");
        let file = prepare(&path, blocks);
        let end = if blocks == Blocks::Extending { GROWN_BYTES } else { FILE_BYTES };
        Self { blocks, path, file, at: 0, end, buffer, start }
    }

    /// What one group holds.
    pub(crate) fn group_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Writes and syncs one group; says how long that took.
    pub(crate) fn write(&mut self) -> Duration {
        let bytes = self.group_bytes() as u64;
        if self.at + bytes > self.end {
            self.begin_anew();
        }
        // Each group differs from the one that it overwrites.
        let stamp = (self.at ^ u64::from_le_bytes(self.first_eight())).wrapping_add(1);
        self.buffer[self.start..self.start + 8].copy_from_slice(&stamp.to_le_bytes());
        let begun = Instant::now();
        self.file.write_all_at(&self.buffer[self.start..], self.at).unwrap();
        if self.blocks != Blocks::Direct {
            self.file.sync_data().unwrap();
        }
        let took = begun.elapsed();
        self.at += bytes;
        took
    }

    fn first_eight(&self) -> [u8; 8] {
        self.buffer[self.start..self.start + 8].try_into().unwrap()
    }

    /// Written blocks are written again; the others are what they are only once.
    fn begin_anew(&mut self) {
        if matches!(self.blocks, Blocks::Extending | Blocks::Fallocated) {
            self.file = prepare(&self.path, self.blocks);
        }
        self.at = 0;
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

/// A durable file with such blocks, in place of an older one.
fn prepare(path: &Path, blocks: Blocks) -> File {
    let file = File::create(path).unwrap();
    match blocks {
        Blocks::Extending => {}
        Blocks::Written | Blocks::Direct => fill(&file, FILE_BYTES),
        Blocks::Fallocated => fallocate(&file, FallocateFlags::empty(), 0, FILE_BYTES).unwrap(),
    }
    file.sync_all().unwrap();
    File::open(path.parent().unwrap()).unwrap().sync_all().unwrap();
    if blocks != Blocks::Direct {
        return file;
    }
    let flags = (OFlags::DIRECT | OFlags::DSYNC).bits();
    OpenOptions::new().write(true).custom_flags(flags.cast_signed()).open(path).unwrap()
}

/// Writes `bytes` zeros from the start of `file`, unsynced.
pub(crate) fn fill(file: &File, bytes: u64) {
    let zeros = vec![0; 1 << 20];
    for at in (0..bytes).step_by(zeros.len()) {
        let part = zeros.len().min((bytes - at) as usize);
        file.write_all_at(&zeros[..part], at).unwrap();
    }
}

/// Bytes that no device can shrink.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut noise: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(|_| next().to_le_bytes()).collect();
    noise.truncate(bytes);
    noise
}
