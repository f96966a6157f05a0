//! Files for the segments to come: retired ones, whose blocks are written already, or new ones.
//!
//! A retired segment is renamed, and the folder synced, before anything in it changes: until then a
//! crash may give it its old name back, and what it holds must still be what that name says.

use std::sync::Arc;

use super::disk::Disk;
use super::error::Failure;
use super::segment::{Blank, FileKind, Segment, blank_name, index_name, kind_of};
use crate::limits;

/// The blanks of a folder.
#[derive(Debug)]
pub(super) struct Blanks {
    disk: Arc<dyn Disk>,
    /// Names that are durable.
    ready: Vec<String>,
    /// Names that are not yet.
    retired: Vec<String>,
    /// Indexes of segments whose names are gone, perhaps not durably.
    indexes: Vec<String>,
    next_number: u64,
}

impl Blanks {
    /// With those that were found in the folder, under names that are durable.
    pub(super) fn new(disk: Arc<dyn Disk>, found: Vec<String>) -> Self {
        let number = |name: &String| match kind_of(name) {
            Some(FileKind::Blank { number }) => Some(number),
            _ => None,
        };
        let newest = found.iter().filter_map(number).max().unwrap_or_default();
        let next_number = newest.wrapping_add(1);
        Self { disk, ready: found, retired: Vec::new(), indexes: Vec::new(), next_number }
    }

    /// A file with room for `bytes`: one that was retired, else a new one.
    pub(super) fn take(&mut self, bytes: u64) -> Result<Blank, Failure> {
        self.take_ready(bytes).map_or_else(|| self.make(bytes), Ok)
    }

    /// The same, but a retired one, which is larger, only where there is no room for a new one.
    pub(super) fn take_small(&mut self, bytes: u64) -> Result<Blank, Failure> {
        self.make(bytes).or_else(|refused| self.take_ready(bytes).ok_or(refused))
    }

    /// The same as [`Blanks::take`]; where there is no such room, whatever has room for `least`. Says
    /// whether it is such a makeshift.
    pub(super) fn take_whole_or(
        &mut self,
        bytes: u64,
        least: u64,
    ) -> Result<(Blank, bool), Failure> {
        let refused = match self.take(bytes) {
            Ok(blank) => return Ok((blank, false)),
            Err(refused) => refused,
        };
        let some = limits::LOG_RESERVE_BYTES.min(bytes / 2).max(least);
        let makeshift = self.take(some).or_else(|_| self.take(least));
        makeshift.map(|blank| (blank, true)).map_err(|_| refused)
    }

    /// One that was retired, if it has room for `bytes` or can have it.
    fn take_ready(&mut self, bytes: u64) -> Option<Blank> {
        let found = self.ready.iter().enumerate().rev().find_map(|(at, name)| {
            // What a crash left of it may be shorter than it was.
            let file = self.disk.edit(name).and_then(|file| file.allocate(bytes).map(|()| file));
            Some((at, file.ok()?))
        });
        let (at, file) = found?;
        Some(Blank { name: self.ready.remove(at), file })
    }

    fn make(&mut self, bytes: u64) -> Result<Blank, Failure> {
        let name = self.fresh_name();
        let file = self.disk.create(&name).map_err(Failure::Refused)?;
        match file.allocate(bytes) {
            Ok(()) => Ok(Blank { name, file }),
            Err(source) => {
                discard(&*self.disk, &name);
                Err(Failure::Refused(source))
            }
        }
    }

    /// Gives back a segment that counts for nothing any more and that nobody reads; false if it stays,
    /// with its index, because the disk refuses that.
    pub(super) fn retire(&mut self, segment: &Segment) -> bool {
        let name = segment.name();
        let are_enough = self.ready.len() + self.retired.len() >= limits::LOG_BLANKS;
        let gone = if are_enough && !self.discard_shorter(segment) {
            self.disk.remove(&name)
        } else {
            let blank = self.fresh_name();
            let renamed = self.disk.rename(&name, &blank);
            renamed.map(|()| self.retired.push(blank))
        };
        if let Err(error) = gone {
            tracing::warn!(%name, %error, "cannot retire a dead segment");
            return false;
        }
        if segment.index().is_some() {
            self.indexes.push(index_name(segment.id.epoch));
        }
        true
    }

    /// Gives up one that has less room than `segment`, if there is one.
    fn discard_shorter(&mut self, segment: &Segment) -> bool {
        let bytes = segment.file.bytes().unwrap_or_default();
        let is_shorter = |name: &String| {
            self.disk.open(name).and_then(|file| file.bytes()).is_ok_and(|own| own < bytes)
        };
        let Some(at) = self.ready.iter().position(is_shorter) else { return false };
        discard(&*self.disk, &self.ready.remove(at));
        true
    }

    /// Makes the names of what was retired durable: only then may it be used.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        if !self.retired.is_empty() || !self.indexes.is_empty() {
            self.disk.sync_dir().map_err(Failure::Broken)?;
            self.ready.append(&mut self.retired);
        }
        // Not before: of a segment that came back without its index, those behind it would be missed.
        for index in std::mem::take(&mut self.indexes) {
            discard(&*self.disk, &index);
        }
        Ok(())
    }

    /// Whether the disk takes new files again: tries it.
    pub(super) fn probe(&mut self) -> Result<(), Failure> {
        let name = self.fresh_name();
        let file = self.disk.create(&name).map_err(Failure::Refused)?;
        let tried = file.write_at(&[0; 1], 0).and_then(|_| file.sync_data());
        discard(&*self.disk, &name);
        tried.map_err(Failure::Refused)
    }

    fn fresh_name(&mut self) -> String {
        let name = blank_name(self.next_number);
        self.next_number = self.next_number.wrapping_add(1);
        name
    }
}

/// Removes a file that is no part of the log: if it stays, the next opening finds it.
pub(super) fn discard(disk: &dyn Disk, name: &str) {
    if let Err(error) = disk.remove(name) {
        tracing::warn!(%name, %error, "cannot remove a file of the log");
    }
}
