//! Segments that were rewritten while the log is read, or before. A rewritten segment stands for the
//! groups of an older one, lacks what was cut off of them, and was whole when it got its name.

use std::ops::Range;
use std::sync::Arc;

use super::listing::is_intact;
use super::look::{AGAIN, Look, ON, Pass, Place, Step};
use super::report::{At, Fault};
use super::taken::is_whole;
use super::witness::Witness;
use crate::log::scan::Walk;
use crate::log::segment::{Origin, Segment};

impl Pass<'_> {
    /// Reads a rewritten segment of so many groups, from its start or from the last good place.
    pub(super) fn read_compacted(
        &mut self,
        segment: &Arc<Segment>,
        (replaces, groups): (&Range<u64>, u64),
        witness: Option<&Witness>,
        look: &mut Look,
    ) -> Step {
        let epoch = segment.id.epoch;
        let begun = self.place.as_ref().filter(|place| place.segment.id == segment.id);
        let walk = match begun {
            Some(Place { walk, .. }) => walk.again(walk.number()..groups),
            None => {
                self.settle(look)?;
                self.hole_before(replaces.start, segment.id, look)?;
                self.number = self.number.max(replaces.end);
                self.taken.book.holes.add_thinned();
                self.taken.enter_compacted(epoch, replaces.clone());
                Walk::new(segment, 0..groups)
            }
        };
        let mut walk = match walk {
            Ok(walk) => walk,
            Err(error) => return self.cannot_read(segment, 0..0, &error, look),
        };
        loop {
            let expected = walk.number();
            match walk.next() {
                Ok(Some(mut group)) => {
                    let unreadable = std::mem::take(&mut group.unreadable);
                    let is_next = unreadable.is_empty() && group.header.number == expected;
                    let pieces = group.pieces();
                    let is_good = is_next && is_whole(&group, &pieces);
                    if !is_good && !is_intact(self.disk, segment.id) {
                        return AGAIN;
                    }
                    if unreadable.is_empty() && !is_next {
                        let at = At::new(epoch, group.at..group.at);
                        self.lose(at, Fault::MissingGroups, 0..0);
                    } else if !is_next {
                        self.lose(At::new(epoch, unreadable), Fault::UnreadableRange, 0..0);
                    }
                    self.taken.take(&group, pieces);
                    self.taken.book.holes.add_thinned();
                    let segment = Arc::clone(segment);
                    self.place = Some(Place { segment, walk: walk.clone() });
                }
                Ok(None) if walk.is_complete() => break,
                Ok(None) if !is_intact(self.disk, segment.id) => return AGAIN,
                Ok(None) => {
                    self.lose(At::new(epoch, walk.rest()), Fault::MissingGroups, 0..0);
                    break;
                }
                Err(error) => return self.cannot_read(segment, walk.rest(), &error, look),
            }
        }
        look.since.clear();
        look.since.push(segment.id);
        look.is_clouded = false;
        witness.map_or(ON, |witness| self.compare(segment, witness, walk.rest(), look))
    }

    /// The segment in which the last look ended has been rewritten since, and stands now for the
    /// groups up to `end`: the rest is read in the old file, which nobody can use again.
    pub(super) fn read_replaced(&mut self, old: &Arc<Segment>, end: u64, look: &mut Look) -> Step {
        match &old.origin {
            Origin::Compaction { replaces, groups } => {
                self.read_compacted(old, (replaces, *groups), None, look)?;
            }
            Origin::Opening { .. } | Origin::Rotation => self.read_groups(old, end, None, look)?,
        }
        // It was durable before it was rewritten. What it lacks now had been cut off.
        self.settle(look)?;
        self.taken.book.holes.add_thinned();
        self.number = self.number.max(end);
        ON
    }
}
