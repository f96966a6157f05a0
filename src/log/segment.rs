//! Segment files: their names, their header, and how one comes to be (FORMAT.md, "Segment").
//!
//! A segment gets its name only when its header, and whatever is put into it from the start, are
//! durable: a file with that name is whole, or damaged. It is made from a blank: a new file, or one
//! whose content counts no more. The epoch and the salt in every checksum tell the new content from
//! what the blank held.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{Disk, DiskFile, read_up_to, write_all_at};
use super::error::{Failure, OpenError};
use super::fields::{Fields, checksum, put};
use super::group::SECTOR_BYTES;
use super::sealed::IndexFile;

/// The format that this build writes and reads. Its place and that of the magic never change.
pub(super) const VERSION: u32 = 2;
/// Where the first group begins: behind the header's two copies, a sector each.
pub(super) const DATA_START: u64 = 2 * SECTOR_BYTES;

const MAGIC: [u8; 8] = *b"\xffABlog\xfe\n";
const HEADER_BYTES: usize = 60;

/// What the checksums in a segment depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentId {
    /// Increases from segment to segment.
    pub(super) epoch: u64,
    /// Derived from the epoch and the salt.
    pub(super) seed: u32,
}

/// Why a segment was made: what its groups say about those of older ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The one before it was full. It was made ahead of need, and may have stayed empty.
    Rotation,
    /// The log was opened. Groups of older segments from this number on are void.
    Opening {
        /// The number of the first group that may stand in it.
        base: u64,
    },
    /// It holds what counted of an older segment of the same epoch, and was whole when it got its
    /// name.
    Compaction {
        /// The numbers of the groups in whose place it stands.
        replaces: Range<u64>,
        /// How many groups it has; they are numbered from 0.
        groups: u64,
    },
}

/// A segment file, open.
pub(super) struct Segment {
    pub(super) id: SegmentId,
    pub(super) origin: Origin,
    pub(super) file: Arc<dyn DiskFile>,
    /// Its index, once it is sealed.
    index: Mutex<Option<Arc<IndexFile>>>,
    /// Bytes of the batches in it that no trim has cut off; after a cut in the middle of a session's
    /// batches an estimate.
    live: AtomicU64,
}

/// A file that may become a segment; what it holds counts for nothing.
#[derive(Debug)]
pub(super) struct Blank {
    pub(super) name: String,
    pub(super) file: Arc<dyn DiskFile>,
}

/// A segment that is about to be made.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    epoch: u64,
    origin: Origin,
    /// Random, so that neither the content of an event nor what the blank held, nor an earlier file
    /// of the same epoch whose name a crash took back, can hold a valid checksum of this one.
    salt: u64,
}

impl Origin {
    const ROTATION: u32 = 1;
    const OPENING: u32 = 2;
    const COMPACTION: u32 = 3;

    /// Its kind, and three numbers.
    fn to_fields(&self) -> (u32, [u64; 3]) {
        match self {
            Self::Rotation => (Self::ROTATION, [0; 3]),
            Self::Opening { base } => (Self::OPENING, [*base, 0, 0]),
            Self::Compaction { replaces, groups } => {
                (Self::COMPACTION, [replaces.start, replaces.end, *groups])
            }
        }
    }

    const fn from_fields(kind: u32, [base, end, groups]: [u64; 3]) -> Option<Self> {
        match kind {
            Self::ROTATION => Some(Self::Rotation),
            Self::OPENING => Some(Self::Opening { base }),
            Self::COMPACTION if base <= end => {
                Some(Self::Compaction { replaces: base..end, groups })
            }
            _ => None,
        }
    }
}

impl Draft {
    pub(super) fn new(epoch: u64, origin: Origin) -> Self {
        Self { epoch, origin, salt: rand::random() }
    }

    pub(super) fn id(&self) -> SegmentId {
        let seed = checksum(0, &[&self.epoch.to_le_bytes(), &self.salt.to_le_bytes()]);
        SegmentId { epoch: self.epoch, seed }
    }

    /// The same, of so many groups, if it is a compaction's.
    pub(super) fn with_groups(mut self, count: u64) -> Self {
        if let Origin::Compaction { groups, .. } = &mut self.origin {
            *groups = count;
        }
        self
    }

    /// Makes the segment of `blank`, with `group` (whole sectors, or nothing) as its first group.
    /// After a refusal the blank may be gone, and nothing of the log has changed.
    // Durable: when this returns Ok, the file, its content and its name are.
    pub(super) fn make(
        self,
        disk: &dyn Disk,
        blank: Blank,
        group: &[u8],
    ) -> Result<Segment, Failure> {
        let mut start = self.encode();
        start.extend_from_slice(group);
        self.name(disk, blank, &start)
    }

    /// Gives the segment that was written to `blank` its header and its name; that of an older one
    /// of the same epoch goes over to it in one step.
    // Durable: as above.
    pub(super) fn finish(self, disk: &dyn Disk, blank: Blank) -> Result<Segment, Failure> {
        let start = self.encode();
        self.name(disk, blank, &start)
    }

    fn name(self, disk: &dyn Disk, blank: Blank, start: &[u8]) -> Result<Segment, Failure> {
        let Blank { name: blank, file } = blank;
        let written = write_all_at(&*file, start, 0).map_err(|short| short.source);
        // Nothing depends on the file before it has its name: a failed sync costs no more than it.
        let made = written.and_then(|()| file.sync_data());
        let named = made.and_then(|()| disk.rename(&blank, &name(self.epoch)));
        if let Err(source) = named {
            // A blank is no part of the log, and a segment that nothing was written to is none
            // either: whether it can be removed does not matter.
            drop(disk.remove(&blank));
            return Err(Failure::Refused(source));
        }
        // After this nobody knows which names are durable.
        disk.sync_dir().map_err(Failure::Broken)?;
        Ok(self.segment(file))
    }

    fn segment(self, file: Arc<dyn DiskFile>) -> Segment {
        let id = self.id();
        let (index, live) = (Mutex::default(), AtomicU64::new(0));
        Segment { id, origin: self.origin, file, index, live }
    }

    fn encode(&self) -> Vec<u8> {
        let (kind, [base, end, groups]) = self.origin.to_fields();
        let mut header = Vec::with_capacity(DATA_START as usize);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&self.epoch.to_le_bytes());
        header.extend_from_slice(&base.to_le_bytes());
        header.extend_from_slice(&self.salt.to_le_bytes());
        header.extend_from_slice(&kind.to_le_bytes());
        header.extend_from_slice(&end.to_le_bytes());
        header.extend_from_slice(&groups.to_le_bytes());
        header.extend_from_slice(&checksum(0, &[&header]).to_le_bytes());
        let mut start = vec![0; DATA_START as usize];
        put(&mut start, 0, &header);
        put(&mut start, SECTOR_BYTES as usize, &header);
        start
    }

    fn decode(sector: &[u8]) -> Result<Self, BadHeader> {
        let mut fields = Fields::new(sector);
        let (Some(magic), Some(version)) = (fields.array(), fields.u32()) else {
            return Err(BadHeader::Damaged);
        };
        if magic != MAGIC {
            return Err(BadHeader::Damaged);
        }
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        let covered = sector.get(..HEADER_BYTES - 4).unwrap_or_default();
        let decoded = (|| {
            let (epoch, base, salt) = (fields.number()?, fields.number()?, fields.u64()?);
            let (kind, end, groups) = (fields.u32()?, fields.number()?, fields.number()?);
            let origin = Origin::from_fields(kind, [base, end, groups])?;
            (fields.u32()? == checksum(0, &[covered])).then_some(Self { epoch, origin, salt })
        })();
        decoded.ok_or(BadHeader::Damaged)
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
            Ok(draft) if draft.epoch == epoch => Ok(draft.segment(file)),
            Ok(_) => {
                Err(OpenError::Damaged { file: name(epoch), what: "it was another segment's" })
            }
            Err(BadHeader::Version(found)) => Err(OpenError::Version { file: name(epoch), found }),
            Err(BadHeader::Damaged) => {
                Err(OpenError::Damaged { file: name(epoch), what: "both copies of its header" })
            }
        }
    }

    /// Whether each copy of its header is as it was written.
    pub(super) fn whole_headers(&self) -> io::Result<[bool; 2]> {
        let mut sectors = vec![0; DATA_START as usize];
        read_up_to(&*self.file, &mut sectors, 0)?;
        let (first, second) = sectors.split_at(SECTOR_BYTES as usize);
        let own = |draft: Draft| draft.id() == self.id && draft.origin == self.origin;
        Ok([first, second].map(|copy| Draft::decode(copy).is_ok_and(own)))
    }

    /// Its file's name.
    pub(super) fn name(&self) -> String {
        name(self.id.epoch)
    }

    /// Its index, if it is sealed.
    pub(super) fn index(&self) -> Option<Arc<IndexFile>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It has this index from now on.
    pub(super) fn seal(&self, index: IndexFile) {
        *self.index.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(index));
    }

    /// So many bytes more of it count.
    pub(super) fn count(&self, bytes: u64) {
        self.live.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes of it count no more.
    pub(super) fn discount(&self, bytes: u64) {
        self.live.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that count.
    pub(super) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// What a file in the folder is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// A segment.
    Segment { epoch: u64 },
    /// The index of a segment.
    Index { epoch: u64 },
    /// A blank.
    Blank { number: u64 },
    /// What was being written when a crash came.
    Unfinished,
}

pub(super) fn name(epoch: u64) -> String {
    format!("segment-{epoch:016x}.log")
}

pub(super) fn index_name(epoch: u64) -> String {
    format!("segment-{epoch:016x}.idx")
}

/// Under which an index is written until it is whole.
pub(super) fn unfinished_name(epoch: u64) -> String {
    format!("segment-{epoch:016x}.tmp")
}

pub(super) fn blank_name(number: u64) -> String {
    format!("blank-{number:016x}.log")
}

/// `None` for all names that are none of ours.
pub(super) fn kind_of(file_name: &str) -> Option<FileKind> {
    let (stem, ending) = file_name.split_once('.')?;
    let (kind, digits) = stem.split_once('-')?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    let (own, kind) = match (kind, ending) {
        ("segment", "log") => (name(number), FileKind::Segment { epoch: number }),
        ("segment", "idx") => (index_name(number), FileKind::Index { epoch: number }),
        ("segment", "tmp") => (unfinished_name(number), FileKind::Unfinished),
        ("blank", "log") => (blank_name(number), FileKind::Blank { number }),
        _ => return None,
    };
    (own == file_name).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENING: Origin = Origin::Opening { base: 17 };
    const COMPACTION: Origin = Origin::Compaction { replaces: 4..9, groups: 2 };

    #[test]
    fn only_our_names_are_names_of_ours() {
        for (name, kind) in [
            ("segment-000000000000002a.log", FileKind::Segment { epoch: 42 }),
            ("segment-000000000000002a.idx", FileKind::Index { epoch: 42 }),
            ("segment-000000000000002a.tmp", FileKind::Unfinished),
            ("blank-000000000000002a.log", FileKind::Blank { number: 42 }),
        ] {
            assert_eq!(kind_of(name), Some(kind));
        }
        let others = ["segment-2a.log", "segment-000000000000002A.log", "lock", "segment-.log"];
        for other in others.into_iter().chain(["blank-000000000000002a.tmp", "reader.key"]) {
            assert_eq!(kind_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_header_with_any_bit_turned_is_refused() {
        for origin in [OPENING, Origin::Rotation, COMPACTION] {
            let good = Draft::new(3, origin.clone()).encode();
            let decoded = Draft::decode(&good).map(|draft| (draft.epoch, draft.origin));
            assert_eq!(decoded, Ok((3, origin)));
            for bit in 0..HEADER_BYTES * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(Draft::decode(&bad).is_err(), "bit {bit}");
            }
        }
    }

    // A crash may take back a segment's name, so that the next one gets the same epoch.
    #[test]
    fn two_segments_of_one_epoch_have_different_seeds() {
        assert_ne!(Draft::new(3, OPENING).id().seed, Draft::new(3, OPENING).id().seed);
    }

    #[test]
    fn another_version_is_named_whatever_follows_it() {
        let mut other = Draft::new(3, OPENING).encode();
        put(&mut other, 8, &7_u32.to_le_bytes());
        assert_eq!(Draft::decode(&other).map(|_| ()), Err(BadHeader::Version(7)));
    }
}
