//! Rewriting a sealed segment of which little counts any more: what counts is copied, session by
//! session, to a new file, which takes the name of the old one in one step. Whoever reads the old one
//! goes on reading it.
//!
//! Only what a trim has cut off is left out. A trim's own record stands behind its cut, so it is
//! always copied: what was trimmed never comes back.

use std::io;
use std::sync::Arc;

use super::Roles;
use super::blank::discard;
use super::disk::{Disk, write_all_at};
use super::error::Failure;
use super::group::{GroupBuilder, Stamp};
use super::index::Index;
use super::place::{Place, Read, Spot};
use super::sealed::{self, Builder, IndexFile, Part};
use super::segment::{Blank, DATA_START, Draft, Origin, Segment};
use super::upkeep::write_index;
use crate::ids::SessionKey;
use crate::limits;

/// Whether so little of the segment counts that rewriting it pays.
pub(super) fn pays(segment: &Segment) -> bool {
    let whole = segment.index().map_or(0, |index| index.batch_bytes);
    segment.live() * limits::LOG_COMPACTED_FRACTION < whole
}

/// What compacting needs.
pub(super) struct Compaction<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) index: &'a Index,
    pub(super) roles: Roles,
}

/// The new segment as it grows.
struct Copy {
    draft: Draft,
    blank: Blank,
    /// Bytes from its start.
    at: u64,
    groups: u64,
    builder: Builder,
}

impl Compaction<'_> {
    /// The new segment, durable, with all that counts of `old`; `None` if that does not read as it
    /// was written: then the old one stays.
    pub(super) fn run(
        &self,
        old: &Arc<Segment>,
        blank: Blank,
    ) -> Result<Option<Arc<Segment>>, Failure> {
        let Some(index) = old.index() else { return Ok(None) };
        let IndexFile { file, groups: replaces, .. } = &*index;
        let name = blank.name.clone();
        let copied = sealed::read(&**file, old.id).and_then(|sealed| match sealed {
            Some(sealed) => self.copy(old, replaces, &sealed.parts, blank),
            None => Ok(None),
        });
        let copy = match copied {
            Ok(Some(copy)) => copy,
            Ok(None) => {
                discard(self.disk, &name);
                return Ok(None);
            }
            Err(source) => {
                discard(self.disk, &name);
                return Err(Failure::Refused(source));
            }
        };
        self.finish(old, replaces, copy).map(Some)
    }

    fn copy(
        &self,
        old: &Arc<Segment>,
        replaces: &std::ops::Range<u64>,
        parts: &[Part],
        blank: Blank,
    ) -> io::Result<Option<Copy>> {
        let origin = Origin::Compaction { replaces: replaces.clone(), groups: 0 };
        let draft = Draft::new(old.id.epoch, origin);
        let builder = Builder::new(self.roles);
        let mut copy = Copy { draft, blank, at: DATA_START, groups: 0, builder };
        let mut waiting: Vec<(SessionKey, Place)> = Vec::new();
        let mut bytes = 0;
        for (key, place) in self.counting(old, parts)? {
            bytes += place.spot.bytes as usize;
            waiting.push((key, place));
            if bytes >= limits::LOG_GROUP_BYTES {
                bytes = 0;
                if !copy.add_group(&std::mem::take(&mut waiting))? {
                    return Ok(None);
                }
            }
        }
        Ok((waiting.is_empty() || copy.add_group(&waiting)?).then_some(copy))
    }

    /// The batches that count, session by session.
    fn counting(&self, old: &Arc<Segment>, parts: &[Part]) -> io::Result<Vec<(SessionKey, Place)>> {
        let mut counting = Vec::new();
        for Part { key, extent, .. } in parts {
            let kept = self.index.known(*key).and_then(|session| session.kept_in(old));
            let Some(begins) = kept else { continue };
            let spots = old.index().map(|index| extent.all(&*index.file)).transpose()?.flatten();
            // An index that is damaged by now tells nothing for sure.
            let Some(spots) = spots else { return Err(io::ErrorKind::InvalidData.into()) };
            let spots = spots.into_iter().filter(|spot| spot.end().next_lsn > begins);
            let place = |spot: Spot| Place { segment: Arc::clone(old), spot };
            counting.extend(spots.map(|spot| (*key, place(spot))));
        }
        Ok(counting)
    }

    fn finish(
        &self,
        old: &Arc<Segment>,
        replaces: &std::ops::Range<u64>,
        copy: Copy,
    ) -> Result<Arc<Segment>, Failure> {
        let Copy { draft, blank, at, groups, builder } = copy;
        let draft = draft.with_groups(groups);
        let (bytes, parts) = builder.finish(draft.id(), replaces, at);
        let new = Arc::new(draft.finish(self.disk, blank)?);
        let file = write_index(self.disk, old.id.epoch, &bytes)?;
        new.seal(IndexFile::new(file, replaces.clone(), &parts));
        for Part { key, extent, bytes, .. } in parts {
            if let Some(session) = self.index.known(key) {
                session.move_to(old, &new, extent, bytes);
            }
        }
        Ok(new)
    }
}

impl Copy {
    /// Copies batches as one group; false if one of them is damaged, or not in order.
    fn add_group(&mut self, batches: &[(SessionKey, Place)]) -> io::Result<bool> {
        let stamp = Stamp { segment: self.draft.id(), number: self.groups, attempt: 0 };
        let mut group = GroupBuilder::new();
        for (key, place) in batches {
            let Read::Whole(header, body, entries) = place.read(*key)? else { return Ok(false) };
            let spot = group.push(header, &body).spot_at(self.at, stamp.seed());
            if !self.builder.add(&header, spot, entries) {
                return Ok(false);
            }
        }
        let bytes = group.stamped(stamp);
        write_all_at(&*self.blank.file, bytes, self.at).map_err(|short| short.source)?;
        self.at += bytes.len() as u64;
        self.groups += 1;
        Ok(true)
    }
}
