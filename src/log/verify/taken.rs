//! What is made of the groups that count, in their order: sessions, counts, and the content of the
//! segment that is being read. Reads nothing but indexes.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use super::content::{Content, Difference};
use super::report::{At, Counts, Fault, Numbers, Reach, Report, Unfinished};
use super::strands::{Book, Strands};
use crate::ids::SessionKey;
use crate::log::disk::DiskFile;
use crate::log::group::GROUP_HEADER_BYTES;
use crate::log::options::Roles;
use crate::log::record::{Cut, Entry};
use crate::log::scan::{Group, Piece, Scanned};
use crate::log::sealed::Sealed;

/// All that was taken so far.
#[derive(Debug)]
pub(super) struct Taken {
    roles: Roles,
    strands: Strands,
    pub(super) book: Book,
    pub(super) counts: Counts,
    /// Of the segment whose groups are being taken.
    content: Content,
}

impl Taken {
    pub(super) fn new(roles: Roles, forecast: HashMap<SessionKey, Cut>) -> Self {
        Self {
            roles,
            strands: Strands::new(forecast),
            book: Book::default(),
            counts: Counts::default(),
            content: Content::default(),
        }
    }

    /// The next group, with what is found in it.
    pub(super) fn take(&mut self, group: &Group, pieces: Vec<Piece>) {
        let epoch = group.segment.id.epoch;
        let rest = unclaimed(group, &pieces);
        self.take_pieces(group, pieces);
        if let Some(bytes) = rest {
            self.lose(At::new(epoch, bytes), Fault::UnreadableRange, 0..0);
        }
    }

    /// The last group, which nothing proves: counts as far as it is whole, as an opening would have
    /// it.
    pub(super) fn take_last(
        &mut self,
        group: &Group,
        mut pieces: Vec<Piece>,
    ) -> Option<Unfinished> {
        let (whole, from) = first_bad(group, &pieces)?;
        pieces.truncate(whole);
        self.take_pieces(group, pieces);
        let (file, group_end) = (group.segment.name(), group.at + group.header.disk_bytes());
        Some(Unfinished { file, bytes: from..group_end, group: group.header.number })
    }

    fn take_pieces(&mut self, group: &Group, pieces: Vec<Piece>) {
        let epoch = group.segment.id.epoch;
        self.enter(epoch);
        self.content.add_group(group.header.number);
        self.counts.groups += 1;
        self.counts.bytes += group.header.disk_bytes();
        for piece in pieces {
            match piece {
                Piece::Batch(batch) => self.take_batch(epoch, &batch),
                Piece::Damaged { header, bytes } => {
                    let at = At::new(epoch, bytes);
                    let finding = at.finding(Fault::DamagedBatch);
                    let finding = finding.of(header.key, Numbers::of(&header));
                    self.book.findings.add(&at, finding);
                    self.strands.take(&header, None, &at, &mut self.book);
                    self.content.is_damaged = true;
                }
                Piece::Unreadable { bytes } => {
                    let number = group.header.number;
                    // Those of a rewritten segment are not the log's.
                    let groups = if self.content.is_compacted { 0..0 } else { number..number + 1 };
                    self.lose(At::new(epoch, bytes), Fault::UnreadableRange, groups);
                }
            }
        }
    }

    fn take_batch(&mut self, epoch: u64, batch: &Scanned) {
        let Scanned { header, spot, body, entries } = batch;
        let from = u64::from(spot.at);
        let at = At::new(epoch, from..from + u64::from(spot.bytes));
        self.counts.batches += 1;
        self.counts.records += u64::from(header.records);
        self.counts.events += u64::from(header.events);
        self.strands.take(header, Some(body), &at, &mut self.book);
        for numbered in entries {
            if let Entry::Cut(cut) = numbered.entry {
                self.strands.cut(header.key, cut, &mut self.book);
            }
        }
        self.content.add(header, *spot, entries, self.roles);
    }

    /// Something of a segment is lost, and nobody knows whose it was.
    pub(super) fn lose(&mut self, at: At, fault: Fault, groups: Range<u64>) {
        self.enter(at.epoch);
        self.content.is_damaged = true;
        let finding = at.finding(fault).of_groups(groups);
        self.book.findings.add(&at, finding);
        self.book.holes.add_named();
    }

    /// What follows is of a rewritten segment, which stands for these groups.
    pub(super) fn enter_compacted(&mut self, epoch: u64, replaces: Range<u64>) {
        self.content = Content::of_compacted(epoch, replaces);
    }

    /// What follows is of the segment of this epoch.
    pub(super) fn enter(&mut self, epoch: u64) {
        if self.content.epoch != epoch {
            self.content = Content::of(epoch);
        }
    }

    /// Holds the segment that was read last, up to `end`, against what its index says.
    pub(super) fn compare(
        &mut self,
        sealed: &Sealed,
        file: &dyn DiskFile,
        end: u64,
    ) -> io::Result<Option<Difference>> {
        self.counts.indexes += 1;
        if !self.content.is_damaged {
            return self.content.difference(sealed, file, end);
        }
        // The segment knows less than its index.
        for part in &sealed.parts {
            let tail = self.strands.tail(part.key);
            let spots = part.extent.all(file)?.unwrap_or_default();
            let lost = || spots.iter().filter(|spot| spot.first.next_lsn >= tail.next_lsn);
            let from = lost().next().map_or(end, |spot| spot.at.into());
            let to =
                lost().next_back().map_or(from, |spot| u64::from(spot.at) + u64::from(spot.bytes));
            let at = At::new(self.content.epoch, from..to);
            self.strands.heal(part, &at, &mut self.book);
        }
        Ok(None)
    }

    /// The end was found.
    pub(super) fn finish(self, unfinished: Option<Unfinished>) -> Report {
        let Self { strands, book, mut counts, roles: _, content: _ } = self;
        counts.sessions = strands.count();
        let Book { mut findings, holes } = book;
        holes.judge(strands.into_lacks(), &mut findings);
        let (findings, more) = findings.finish();
        Report { counts, findings, more, unfinished, reach: Reach::End }
    }

    /// The end was not found in time: what may have been cut off is not judged.
    pub(super) fn give_up(self) -> Report {
        let Self { strands, book, mut counts, roles: _, content: _ } = self;
        counts.sessions = strands.count();
        let (findings, more) = book.findings.finish();
        Report { counts, findings, more, unfinished: None, reach: Reach::TooBusy }
    }
}

/// Whether a group is as it was written.
pub(super) fn is_whole(group: &Group, pieces: &[Piece]) -> bool {
    first_bad(group, pieces).is_none()
}

/// How many batches of a group are whole before the first that is not, and where that one begins.
fn first_bad(group: &Group, pieces: &[Piece]) -> Option<(usize, u64)> {
    let bad = pieces.iter().enumerate().find_map(|(at, piece)| match piece {
        Piece::Batch(_) => None,
        Piece::Damaged { bytes, .. } | Piece::Unreadable { bytes } => Some((at, bytes.start)),
    });
    bad.or_else(|| unclaimed(group, pieces).map(|bytes| (pieces.len(), bytes.start)))
}

/// Bytes of a group's body behind its last batch.
fn unclaimed(group: &Group, pieces: &[Piece]) -> Option<Range<u64>> {
    let start = group.at + GROUP_HEADER_BYTES as u64;
    let end = start + u64::from(group.header.body_bytes);
    let last = pieces.last().map_or(start, |piece| match piece {
        Piece::Batch(batch) => u64::from(batch.spot.at) + u64::from(batch.spot.bytes),
        Piece::Damaged { bytes, .. } | Piece::Unreadable { bytes } => bytes.end,
    });
    (last < end).then_some(last..end)
}
