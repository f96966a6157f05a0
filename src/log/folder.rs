//! What stands in the log's folder, told by names and headers. Reads only.

use std::sync::Arc;

use super::disk::Disk;
use super::error::OpenError;
use super::segment::{FileKind, Origin, Segment, index_name, kind_of};

/// The files of a log.
#[derive(Debug)]
pub(super) struct Found {
    /// All segments, oldest first.
    pub(super) segments: Vec<Arc<Segment>>,
    /// Files that never became a part of the log, or are none any more.
    pub(super) unfinished: Vec<String>,
    /// Files whose content counts for nothing.
    pub(super) blanks: Vec<String>,
}

impl Found {
    /// Looks at everything. Whatever forbids opening is found here, before anything changes.
    pub(super) fn look(disk: &dyn Disk) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { doing: "list the folder", source };
        let (mut epochs, mut indexes) = (Vec::new(), Vec::new());
        let (mut unfinished, mut blanks) = (Vec::new(), Vec::new());
        for name in disk.list().map_err(failed)? {
            match kind_of(&name) {
                Some(FileKind::Segment { epoch }) => epochs.push(epoch),
                Some(FileKind::Index { epoch }) => indexes.push(epoch),
                Some(FileKind::Blank { .. }) => blanks.push(name),
                Some(FileKind::Unfinished) => unfinished.push(name),
                None => {}
            }
        }
        epochs.sort_unstable();
        let orphans = indexes.into_iter().filter(|epoch| epochs.binary_search(epoch).is_err());
        unfinished.extend(orphans.map(index_name));
        let opened = epochs.iter().map(|epoch| Segment::open(disk, *epoch).map(Arc::new));
        let segments: Vec<_> = opened.collect::<Result<_, _>>()?;
        check_bases(&segments)?;
        Ok(Self { segments, unfinished, blanks })
    }
}

fn check_bases(segments: &[Arc<Segment>]) -> Result<(), OpenError> {
    let mut before = 0;
    for segment in segments {
        let numbers = match &segment.origin {
            Origin::Rotation => continue,
            Origin::Opening { base } => *base..*base,
            Origin::Compaction { replaces, .. } => replaces.clone(),
        };
        if numbers.start < before {
            return Err(out_of_order(segment));
        }
        before = numbers.end;
    }
    Ok(())
}

/// What the header of `segment` says cannot be.
pub(super) fn out_of_order(segment: &Segment) -> OpenError {
    let what = "its groups would count before those of an older segment";
    OpenError::Damaged { file: segment.name(), what }
}

/// The number from which on groups in the segment at this place are void.
pub(super) fn void_from(segments: &[Arc<Segment>], at: usize) -> u64 {
    let newer = segments.get(at + 1..).unwrap_or_default().iter();
    let mut bases = newer.filter_map(|segment| match segment.origin {
        Origin::Opening { base } => Some(base),
        // It may have been one that was made by an opening.
        Origin::Compaction { ref replaces, .. } => Some(replaces.start),
        Origin::Rotation => None,
    });
    bases.next().unwrap_or(u64::MAX)
}
