//! Segment files: their names, their header, and how one comes to be (FORMAT.md, "Segment").
//!
//! A segment gets its final name only when its header, and the group that recovery may put into
//! it, are durable: a file with that name is whole, or damaged.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::disk::{Disk, DiskFile, read_up_to, write_all_at};
use super::error::{Failure, OpenError};
use super::fields::{Fields, checksum, put};
use super::group::SECTOR_BYTES;

/// The format that this build writes and reads. Its place and that of the magic never change.
pub(super) const VERSION: u32 = 0;
/// Where the first group begins: behind the header's two copies, a sector each.
pub(super) const DATA_START: u64 = 2 * SECTOR_BYTES;

const MAGIC: [u8; 8] = *b"\xffABlog\xfe\n";
const HEADER_BYTES: usize = 40;

/// What the checksums in a segment depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentId {
    /// Increases from segment to segment.
    pub(super) epoch: u64,
    /// Derived from the epoch and the salt.
    pub(super) seed: u32,
}

/// A segment file, open.
pub(super) struct Segment {
    pub(super) id: SegmentId,
    /// The number of the first group that may stand in it. In older segments this number and all
    /// above are void.
    pub(super) base: u64,
    pub(super) file: Arc<dyn DiskFile>,
}

/// A segment that is about to be created.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft {
    epoch: u64,
    base: u64,
    /// Random, so that neither the content of an event nor an earlier file of the same epoch, whose
    /// name a crash took back, can hold a valid checksum of this one.
    salt: u64,
}

impl Draft {
    pub(super) fn new(epoch: u64, base: u64) -> Self {
        Self { epoch, base, salt: rand::random() }
    }

    pub(super) fn id(&self) -> SegmentId {
        let seed = checksum(0, &[&self.epoch.to_le_bytes(), &self.salt.to_le_bytes()]);
        SegmentId { epoch: self.epoch, seed }
    }

    /// Creates the file, with `group` (whole sectors, or nothing) as its first group.
    // Durable: when this returns Ok, the file, its content and its name are.
    pub(super) fn create(self, disk: &dyn Disk, group: &[u8]) -> Result<Segment, Failure> {
        let temporary = temporary_name(self.epoch);
        let file = disk.create(&temporary).map_err(Failure::Refused)?;
        let mut start = self.encode();
        start.extend_from_slice(group);
        if let Err(short) = write_all_at(&*file, &start, 0) {
            // A temporary file is no part of the log: whether it can be removed does not matter.
            drop(disk.remove(&temporary));
            return Err(Failure::Refused(short.source));
        }
        file.sync_data().map_err(Failure::Broken)?;
        // After a failed rename nobody knows whether the new name is there; if it is, and the old
        // segment went on, the next opening would take its newest groups for void.
        disk.rename(&temporary, &name(self.epoch)).map_err(Failure::Broken)?;
        disk.sync_dir().map_err(Failure::Broken)?;
        Ok(Segment { id: self.id(), base: self.base, file })
    }

    fn encode(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(DATA_START as usize);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&self.epoch.to_le_bytes());
        header.extend_from_slice(&self.base.to_le_bytes());
        header.extend_from_slice(&self.salt.to_le_bytes());
        header.extend_from_slice(&checksum(0, &[&header]).to_le_bytes());
        let mut start = vec![0; DATA_START as usize];
        put(&mut start, 0, &header);
        put(&mut start, SECTOR_BYTES as usize, &header);
        start
    }

    fn decode(sector: &[u8]) -> Result<Self, BadHeader> {
        let covered = sector.get(..HEADER_BYTES - 4).unwrap_or_default();
        let mut fields = Fields::new(sector);
        let decoded = (|| {
            let (magic, version) = (fields.array()?, fields.u32()?);
            let draft = Self { epoch: fields.u64()?, base: fields.u64()?, salt: fields.u64()? };
            Some((magic, version, draft, fields.u32()?))
        })();
        match decoded {
            Some((MAGIC, VERSION, draft, sum)) if sum == checksum(0, &[covered]) => Ok(draft),
            Some((MAGIC, other, ..)) if other != VERSION => Err(BadHeader::Version(other)),
            Some(_) | None => Err(BadHeader::Damaged),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BadHeader {
    Version(u32),
    Damaged,
}

impl Segment {
    /// Opens the segment of `epoch` to read.
    pub(super) fn open(disk: &dyn Disk, epoch: u64) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { doing: "read a segment's header", source };
        let file = disk.open(&name(epoch)).map_err(failed)?;
        let mut sectors = vec![0; DATA_START as usize];
        let read = read_up_to(&*file, &mut sectors, 0).map_err(failed)?;
        sectors.truncate(read);
        let (first, second) = sectors.split_at(read.min(SECTOR_BYTES as usize));
        let draft = Draft::decode(first).or_else(|bad| match Draft::decode(second) {
            Ok(draft) => Ok(draft),
            // Either copy that names a version of its own is believed: refusing is harmless.
            Err(BadHeader::Damaged) => Err(bad),
            Err(BadHeader::Version(found)) => Err(BadHeader::Version(found)),
        });
        match draft {
            Ok(draft) if draft.epoch == epoch => {
                Ok(Self { id: draft.id(), base: draft.base, file })
            }
            Ok(_) => {
                Err(OpenError::Damaged { file: name(epoch), what: "it was another segment's" })
            }
            Err(BadHeader::Version(found)) => Err(OpenError::Version { file: name(epoch), found }),
            Err(BadHeader::Damaged) => {
                Err(OpenError::Damaged { file: name(epoch), what: "both copies of its header" })
            }
        }
    }

    /// Its file's name.
    pub(super) fn name(&self) -> String {
        name(self.id.epoch)
    }

    /// An error about the bytes `from..to` of it.
    pub(super) fn damaged(&self, what: fmt::Arguments<'_>, from: u64, to: u64) -> io::Error {
        let name = self.name();
        io::Error::new(io::ErrorKind::InvalidData, format!("{name} bytes {from}..{to}: {what}"))
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("name", &self.name()).finish_non_exhaustive()
    }
}

pub(super) fn name(epoch: u64) -> String {
    format!("segment-{epoch:016x}.log")
}

fn temporary_name(epoch: u64) -> String {
    format!("segment-{epoch:016x}.tmp")
}

/// The epoch in a segment's name; `None` for all other names.
pub(super) fn epoch_of(file_name: &str) -> Option<u64> {
    epoch_between(file_name, ".log").filter(|epoch| name(*epoch) == file_name)
}

/// Whether it is the name of a segment whose creation was not finished.
pub(super) fn is_temporary(file_name: &str) -> bool {
    epoch_between(file_name, ".tmp").is_some_and(|epoch| temporary_name(epoch) == file_name)
}

fn epoch_between(file_name: &str, suffix: &str) -> Option<u64> {
    let digits = file_name.strip_prefix("segment-")?.strip_suffix(suffix)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_are_names_of_segments() {
        assert_eq!(epoch_of("segment-000000000000002a.log"), Some(42));
        for other in ["segment-2a.log", "segment-000000000000002A.log", "lock", "segment-.log"] {
            assert_eq!(epoch_of(other), None, "{other}");
        }
        assert!(is_temporary("segment-000000000000002a.tmp"));
        assert!(!is_temporary("segment-000000000000002a.log"));
    }

    #[test]
    fn a_header_with_any_bit_turned_is_refused() {
        let good = Draft::new(3, 17).encode();
        assert_eq!(Draft::decode(&good).map(|draft| (draft.epoch, draft.base)), Ok((3, 17)));
        for bit in 0..HEADER_BYTES * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Draft::decode(&bad).is_err(), "bit {bit}");
        }
    }

    // A crash may take back a segment's name, so that the next one gets the same epoch.
    #[test]
    fn two_segments_of_one_epoch_have_different_seeds() {
        assert_ne!(Draft::new(3, 17).id().seed, Draft::new(3, 17).id().seed);
    }

    #[test]
    fn another_version_is_named_whatever_follows_it() {
        let mut other = Draft::new(3, 17).encode();
        put(&mut other, 8, &7_u32.to_le_bytes());
        assert_eq!(Draft::decode(&other).map(|_| ()), Err(BadHeader::Version(7)));
    }
}
