//! The segments of a folder as one look finds them, by names and headers.

use std::io;
use std::sync::Arc;

use crate::log::disk::{Disk, read_up_to};
use crate::log::error::OpenError;
use crate::log::group::{GROUP_HEADER_BYTES, GroupHeader};
use crate::log::segment::{DATA_START, FileKind, Origin, Segment, SegmentId, kind_of};

/// What one look finds.
#[derive(Debug)]
pub(super) struct Listing {
    /// Oldest first.
    pub(super) segments: Vec<Listed>,
    /// Whether some were gone before they could be opened.
    pub(super) is_torn: bool,
}

#[derive(Debug)]
pub(super) struct Listed {
    pub(super) epoch: u64,
    pub(super) header: Result<Header, OpenError>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) id: SegmentId,
    /// Groups from this number on are void: a newer segment was made to go on with it.
    pub(super) limit: u64,
    /// A newer segment begins with the group of this number.
    pub(super) next: u64,
    /// All groups before this one were durable when it was read.
    proves: u64,
}

impl Listing {
    /// The segments from this epoch on.
    pub(super) fn read(disk: &dyn Disk, from: u64) -> io::Result<Self> {
        let epochs = disk.list()?.into_iter().filter_map(|name| match kind_of(&name)? {
            FileKind::Segment { epoch } => Some(epoch),
            FileKind::Index { .. } | FileKind::Blank { .. } | FileKind::Unfinished => None,
        });
        let mut epochs: Vec<_> = epochs.filter(|epoch| *epoch >= from).collect();
        epochs.sort_unstable();
        let (mut limit, mut next) = (u64::MAX, u64::MAX);
        let mut segments = Vec::with_capacity(epochs.len());
        let mut is_torn = false;
        for epoch in epochs.into_iter().rev() {
            let header = match open(disk, epoch) {
                Ok(None) => {
                    is_torn = true;
                    continue;
                }
                Ok(Some(segment)) => {
                    let mut header = Header { id: segment.id, limit, next, proves: 0 };
                    let first = match &segment.origin {
                        Origin::Rotation => first_group(&segment),
                        Origin::Opening { base } => {
                            header.proves = *base;
                            limit = limit.min(*base);
                            first_group(&segment)
                        }
                        Origin::Compaction { replaces, .. } => {
                            header.proves = replaces.end;
                            // It may have been one that was made by an opening.
                            limit = limit.min(replaces.start);
                            Some(replaces.start)
                        }
                    };
                    if let Some(first) = first {
                        next = next.min(first);
                        header.proves = header.proves.max(first);
                    }
                    Ok(header)
                }
                Err(error) => Err(error),
            };
            segments.push(Listed { epoch, header });
        }
        segments.reverse();
        Ok(Self { segments, is_torn })
    }

    /// All groups before this one were durable when this was listed.
    pub(super) fn proves(&self) -> u64 {
        let headers = self.segments.iter().filter_map(|listed| listed.header.as_ref().ok());
        headers.map(|header| header.proves).max().unwrap_or_default()
    }

    /// Why nothing can be said of the log, if each of its segments is of another version.
    pub(super) fn into_foreign(self) -> Option<OpenError> {
        let mut foreign = None;
        for listed in self.segments {
            match listed.header {
                Err(error @ OpenError::Version { .. }) => foreign = foreign.or(Some(error)),
                Ok(_) | Err(_) => return None,
            }
        }
        foreign
    }
}

/// The segment of this epoch; `None` if it went away.
pub(super) fn open(disk: &dyn Disk, epoch: u64) -> Result<Option<Arc<Segment>>, OpenError> {
    match Segment::open(disk, epoch) {
        Ok(segment) => Ok(Some(Arc::new(segment))),
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether nothing else was written to the segment's file before now: it has its name yet, or a
/// rewritten segment took that over. In that case it lost its last name, and cannot be used again.
pub(super) fn is_intact(disk: &dyn Disk, segment: SegmentId) -> bool {
    match open(disk, segment.epoch) {
        Ok(Some(now)) => now.id == segment || is_compacted(&now),
        Ok(None) => false,
        // Its file is there, and damaged.
        Err(_) => true,
    }
}

/// Whether the segment is a rewritten one.
pub(super) fn is_compacted(segment: &Segment) -> bool {
    matches!(segment.origin, Origin::Compaction { .. })
}

/// The number of the group at the segment's start, if it can be read.
fn first_group(segment: &Segment) -> Option<u64> {
    let mut bytes = [0; GROUP_HEADER_BYTES];
    read_up_to(&*segment.file, &mut bytes, DATA_START).ok()?;
    GroupHeader::decode(&bytes, segment.id).map(|header| header.number)
}
