//! What a segment's index has to say while the segment is read: which groups count, that they were
//! durable, and whether it is right.

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::content::Difference;
use super::listing::{is_compacted, is_intact, open};
use super::look::{AGAIN, Look, ON, Pass, Step};
use super::report::{At, Fault, Finding};
use crate::log::disk::DiskFile;
use crate::log::sealed::{self, Sealed};
use crate::log::segment::{Segment, index_name};

/// The index of a segment.
#[derive(Debug)]
pub(super) struct Witness {
    file: Arc<dyn DiskFile>,
    pub(super) sealed: Sealed,
}

impl Pass<'_> {
    /// Holds the segment, behind whose last group is `rest`, against its index. That proves all groups
    /// of the segment.
    pub(super) fn compare(
        &mut self,
        segment: &Segment,
        witness: &Witness,
        rest: Range<u64>,
        look: &mut Look,
    ) -> Step {
        let epoch = segment.id.epoch;
        let Witness { file, sealed } = witness;
        if self.compared.contains(&epoch) {
            return ON;
        }
        self.settle(look)?;
        if sealed.groups.end > self.number {
            if sealed.groups.end > self.sure {
                self.sure = sealed.groups.end;
                return AGAIN;
            }
            if !is_intact(self.disk, segment.id) {
                return AGAIN;
            }
            let at = At::new(epoch, rest.clone());
            self.lose(at, Fault::MissingGroups, self.number..sealed.groups.end);
            self.number = sealed.groups.end;
        }
        self.taken.enter(epoch);
        match self.taken.compare(sealed, &**file, rest.start) {
            Ok(None) => {}
            Ok(Some(difference)) => return self.refuse_index(segment, difference),
            Err(_) => return self.refuse_index(segment, Difference::of_all("it cannot be read")),
        }
        self.compared.insert(epoch);
        ON
    }

    /// The index of the segment, if there is one that can be believed. It must not count groups from
    /// the number `limit` on.
    pub(super) fn witness(&mut self, segment: &Segment, limit: u64) -> Step<Option<Witness>> {
        let file = match self.disk.open(&index_name(segment.id.epoch)) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return ControlFlow::Continue(None);
            }
            Err(_) => Err("it cannot be opened"),
        };
        let witness = file.and_then(|file| match sealed::read(&*file, segment.id) {
            Ok(Some(sealed)) if sealed.groups.end <= limit => Ok(Some(Witness { file, sealed })),
            Ok(Some(_)) => Err("it counts groups that are void or another segment's"),
            // A rewritten segment has its name before it has its index: until then there is that of
            // the old one.
            Ok(None) if is_compacted(segment) => Ok(None),
            Ok(None) => Err("it is damaged"),
            Err(_) => Err("it cannot be read"),
        });
        match witness {
            Ok(witness) => ControlFlow::Continue(witness),
            Err(what) => {
                self.refuse_index(segment, Difference::of_all(what))?;
                ControlFlow::Continue(None)
            }
        }
    }

    /// The index is no witness, if it is that of the segment yet.
    fn refuse_index(&mut self, segment: &Segment, difference: Difference) -> Step {
        let now = open(self.disk, segment.id.epoch);
        if now.is_ok_and(|now| now.is_none_or(|now| now.id != segment.id)) {
            return AGAIN;
        }
        let epoch = segment.id.epoch;
        if self.compared.insert(epoch) {
            let at = At::new(epoch, 0..0);
            let Difference { session, what } = difference;
            let finding = Finding { session, ..at.finding(Fault::WrongIndex(what)) };
            self.taken.book.findings.add(&at, finding);
        }
        ON
    }
}
