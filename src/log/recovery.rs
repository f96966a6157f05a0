//! Opening: from whatever a crash left to a log whose every record is durable (FORMAT.md,
//! "Opening" and "Damage").
//!
//! It never appends to a segment it found, and never shows what it merely read: the last group may
//! sit in the page cache only, so its whole batches are copied to a new segment, which is made
//! durable first. All other groups are durable, since a later one was written after their sync, or
//! the segment was sealed after it. It may itself be cut short anywhere: until the new segment has
//! its name, nothing has changed.

use std::ops::Range;
use std::sync::Arc;

use super::accepted::{Accepted, accept};
use super::blank::Blanks;
use super::disk::{Disk, DiskFile};
use super::error::{Failure, OpenError};
use super::folder::{Found, out_of_order, void_from};
use super::group::{GroupBuilder, Stamp};
use super::index::{Index, Link};
use super::losses::Losses;
use super::place::Spot;
use super::record::{BatchHeader, Entry, Numbered};
use super::scan::{Group, Piece, Scanned, Walk};
use super::sealed::{self, IndexFile, Part, Sealed};
use super::segment::{DATA_START, Draft, Origin, Segment, index_name};
use super::state::State;
use super::writer::Active;
use super::{Recovered, Tail};
use crate::event::Record;
use crate::{limits, metrics};

/// What opening came to.
#[derive(Debug)]
pub(super) struct Opened {
    /// Where the writer goes on.
    pub(super) active: Active,
    /// The segments found that count, oldest first; each with its groups if it is to be sealed.
    pub(super) older: Vec<(Arc<Segment>, Option<Range<u64>>)>,
    /// Those of them that are damaged: what they say of lost records must be found at each opening.
    pub(super) damaged: Vec<Arc<Segment>>,
    /// Files for the segments to come.
    pub(super) blanks: Blanks,
}

/// Fills `index` with what is durable and says where the writer goes on. Blocks.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    index: &Index,
    segment_bytes: u64,
    metrics: &metrics::log::Metrics,
    fold: &mut dyn FnMut(Recovered),
) -> Result<Opened, OpenError> {
    let Found { segments, unfinished, blanks } = Found::look(&**disk)?;
    let mut recovery = Recovery {
        index,
        fold,
        losses: Losses::new(index, metrics),
        number: 1,
        held: None,
        behind: None,
        states: vec![State::Dead; segments.len()],
    };
    for (at, segment) in segments.iter().enumerate() {
        recovery.take_segment(&**disk, at, segment, void_from(&segments, at))?;
    }
    // Whatever forbids opening is found by now.
    for name in unfinished {
        let failed = |source| OpenError::Io { doing: "remove an unfinished file", source };
        disk.remove(&name).map_err(failed)?;
    }
    // A name from before that is not durable must not be changed once more: with the first change lost
    // and the second kept, one file would have two names, and be used twice.
    disk.sync_dir().map_err(creating)?;
    let mut blanks = Blanks::new(Arc::clone(disk), blanks);
    for (at, segment) in segments.iter().enumerate() {
        // On a full disk there may be nothing else to go on in.
        if recovery.is_silent(at, segment) && blanks.retire(segment) {
            recovery.set_state(at, State::Retired);
        }
    }
    // What was given back just now may still go back to the name that it had before.
    blanks.settle().map_err(|failure| creating(failure.into_io()))?;
    let newest = segments.last().map_or(0, |segment| segment.id.epoch);
    let active = recovery.copy(&**disk, newest, segment_bytes, &mut blanks)?;
    recovery.losses.skip_what_may_be_lost();
    let (mut older, mut damaged) = (Vec::with_capacity(segments.len()), Vec::new());
    for (segment, state) in segments.into_iter().zip(recovery.states) {
        match state {
            State::Retired => {}
            State::Unsealed(groups) => older.push((segment, Some(groups))),
            // Upkeep gives dead ones back, each only when those before it are durably gone.
            State::Sealed | State::Dead => older.push((segment, None)),
            State::Damaged => {
                damaged.push(Arc::clone(&segment));
                older.push((segment, None));
            }
        }
    }
    Ok(Opened { active, older, damaged, blanks })
}

fn creating(source: std::io::Error) -> OpenError {
    OpenError::Io { doing: "create a segment", source }
}

fn reading(source: std::io::Error) -> OpenError {
    OpenError::Io { doing: "read a segment", source }
}

struct Recovery<'a> {
    index: &'a Index,
    fold: &'a mut dyn FnMut(Recovered),
    losses: Losses<'a>,
    /// The number of the next group.
    number: u64,
    /// The newest group, with the place of its segment: durable as soon as something proves it.
    held: Option<(usize, Group)>,
    /// The last segment that was walked over, and the bytes behind its last group.
    behind: Option<(usize, Arc<Segment>, Range<u64>)>,
    /// What is known of each segment.
    states: Vec<State>,
}

impl Recovery<'_> {
    /// Takes in the next segment; groups from the number `void_from` on are void.
    fn take_segment(
        &mut self,
        disk: &dyn Disk,
        at: usize,
        segment: &Arc<Segment>,
        void_from: u64,
    ) -> Result<(), OpenError> {
        if let Origin::Opening { base } = segment.origin {
            // Whoever made it had accepted everything before.
            self.prove_held();
            self.expect(base);
        }
        let sealed = self.sealed(disk, segment, void_from).map_err(reading)?;
        match (sealed, &segment.origin) {
            (Some((file, sealed)), _) => {
                segment.seal(IndexFile::new(file, sealed.groups.clone(), &sealed.parts));
                self.take_sealed(at, segment, sealed);
            }
            (None, Origin::Compaction { replaces, groups }) => {
                if replaces.start < self.number {
                    return Err(out_of_order(segment));
                }
                self.walk_compacted(at, segment, replaces, *groups).map_err(reading)?;
            }
            (None, Origin::Opening { .. } | Origin::Rotation) => {
                self.walk(at, segment, void_from).map_err(reading)?;
            }
        }
        Ok(())
    }

    /// The segment's own index, if it has one that can be believed.
    fn sealed(
        &mut self,
        disk: &dyn Disk,
        segment: &Segment,
        void_from: u64,
    ) -> std::io::Result<Option<(Arc<dyn DiskFile>, Sealed)>> {
        let Ok(file) = disk.open(&index_name(segment.id.epoch)) else { return Ok(None) };
        let sealed = sealed::read(&*file, segment.id)?;
        let file_bytes = segment.file.bytes()?;
        let fits = |s: &Sealed| {
            s.groups.start >= self.number && s.groups.end <= void_from && s.end <= file_bytes
        };
        let Some(sealed) = sealed.filter(fits) else { return Ok(None) };
        // It was empty before.
        self.prove_held();
        // Batches of which some are there already are taken or passed over one by one.
        let is_in_order = sealed.parts.iter().all(|part| {
            let tail = self.index.known(part.key).map_or(Tail::EMPTY, |session| session.tail());
            tail.is_at_or_before(part.extent.base()) || part.link.tail.is_at_or_before(tail)
        });
        Ok(is_in_order.then_some((file, sealed)))
    }

    fn take_sealed(&mut self, at: usize, segment: &Arc<Segment>, sealed: Sealed) {
        let Sealed { groups, end: _, parts, controls } = sealed;
        self.expect(groups.start);
        self.number = groups.end;
        self.set_state(at, State::Sealed);
        let taken: Vec<_> = parts.iter().map(|part| self.take_part(segment, part)).collect();
        for (of, lsn, next_seq, control) in controls {
            if let (Some(part), Some(Some(before))) = (parts.get(of), taken.get(of))
                && lsn >= before.next_lsn
            {
                (self.fold)(Recovered { key: part.key, lsn, next_seq, control });
            }
        }
    }

    /// What was known of the session before, if the part goes on from there.
    fn take_part(&mut self, segment: &Arc<Segment>, part: &Part) -> Option<Tail> {
        let Part { key, link, extent, bytes, cut } = *part;
        let session = self.index.session(key);
        let before = session.tail();
        if link.tail.next_lsn == before.next_lsn || !before.is_at_or_before(link.tail) {
            tracing::error!(session = %key.session_id(), "passed over repeated batches");
            return None;
        }
        session.add_sealed(segment, extent, link.tail, bytes);
        session.continue_from(link);
        session.advance(link.tail);
        if let Some(cut) = cut {
            session.cut(cut.first);
        }
        self.losses.note_batch(key);
        Some(before)
    }

    /// Reads a segment that is not sealed, group by group.
    fn walk(&mut self, at: usize, segment: &Arc<Segment>, void_from: u64) -> std::io::Result<()> {
        let mut walk = Walk::new(segment, self.number..void_from)?;
        let mut is_first = true;
        while let Some(mut group) = walk.next()? {
            // Behind another one it is proven durable: groups are written one after the other.
            self.prove_held();
            if is_first && group.at == DATA_START {
                // What is missing is missing at the end of the segment before.
                self.expect(group.header.number);
            } else if group.header.number != self.number {
                let bytes = std::mem::take(&mut group.unreadable);
                let there = bytes.end - bytes.start;
                // Where there is no room for those that are missing, nobody knows how large they were.
                let room = if there > 0 { there } else { limits::LOG_SEGMENT_BYTES };
                self.set_state(at, State::Damaged);
                self.losses.lose_unknown(segment, &bytes, room);
            }
            self.number = group.header.number + 1;
            self.held = Some((at, group));
            is_first = false;
        }
        // Where none counts, those that a newer segment proves to be missing may have been here.
        let is_blamed = self.behind.is_none() && self.number > 1;
        if !is_first || is_blamed || matches!(segment.origin, Origin::Opening { .. }) {
            self.behind = Some((at, Arc::clone(segment), walk.rest()));
        }
        Ok(())
    }

    /// Reads a compacted segment that has no index: it was whole when it got its name.
    fn walk_compacted(
        &mut self,
        at: usize,
        segment: &Arc<Segment>,
        replaces: &Range<u64>,
        groups: u64,
    ) -> std::io::Result<()> {
        self.prove_held();
        self.expect(replaces.start);
        let mut walk = Walk::new(segment, 0..groups)?;
        while let Some(group) = walk.next()? {
            if !group.unreadable.is_empty() {
                self.lose_unknown(at, segment, &group.unreadable);
            }
            self.held = Some((at, group));
            self.prove_held();
        }
        if walk.number() < groups {
            self.lose_unknown(at, segment, &walk.rest());
        }
        self.number = replaces.end;
        // Its own groups are numbered anew: an index of it stands for those that it replaces.
        if let Some(State::Unsealed(known)) = self.states.get_mut(at) {
            known.clone_from(replaces);
        }
        Ok(())
    }

    /// The next group has this number: if others should come before it, they are lost.
    fn expect(&mut self, number: u64) {
        if let Some((at, segment, bytes)) = self.behind.take()
            && self.number < number
        {
            // The file may be shorter than it was.
            let room = (bytes.end - bytes.start).max(limits::LOG_SEGMENT_BYTES);
            self.set_state(at, State::Damaged);
            self.losses.lose_unknown(&segment, &bytes, room);
        }
        self.number = number;
    }

    /// Whatever follows proves that the newest group is durable.
    fn prove_held(&mut self) {
        let Some((at, group)) = self.held.take() else { return };
        if let Some(state) = self.states.get_mut(at) {
            state.count_group(group.header.number);
        }
        let segment = Arc::clone(&group.segment);
        // Takes what is whole; the rest is damage.
        for piece in group.pieces() {
            match piece {
                Piece::Batch(Scanned { header, spot, body: _, entries }) => {
                    if !self.take(&segment, &header, spot, entries) {
                        self.set_state(at, State::Damaged);
                    }
                }
                Piece::Damaged { header, bytes } => {
                    self.set_state(at, State::Damaged);
                    self.losses.lose(&segment, &header, &bytes);
                }
                Piece::Unreadable { bytes } => self.lose_unknown(at, &segment, &bytes),
            }
        }
    }

    /// Whether the segment at this place was made ahead of need and holds no group that may count:
    /// then it says nothing about others, either.
    fn is_silent(&self, at: usize, segment: &Segment) -> bool {
        let is_held = self.held.as_ref().is_some_and(|(held, _)| *held == at);
        let is_dead = matches!(self.states.get(at), Some(State::Dead));
        segment.origin == Origin::Rotation && is_dead && !is_held
    }

    /// Makes what is accepted of the last group durable in a segment of its own, and only then
    /// takes it.
    fn copy(
        &mut self,
        disk: &dyn Disk,
        newest_epoch: u64,
        segment_bytes: u64,
        blanks: &mut Blanks,
    ) -> Result<Active, OpenError> {
        let last = self.held.take().map(|(_, group)| group);
        let number = last.as_ref().map_or(self.number, |group| group.header.number);
        let draft = Draft::new(newest_epoch + 1, Origin::Opening { base: number });
        let stamp = Stamp { segment: draft.id(), number, attempt: 0 };
        let mut builder = GroupBuilder::new();
        let accepted =
            last.as_ref().map_or_else(Vec::new, |last| accept(last, self.index, &mut builder));
        let group: &[u8] = if accepted.is_empty() { &[] } else { builder.stamped(stamp) };
        let at = DATA_START + group.len() as u64;
        let made = blanks.take_whole_or(segment_bytes, at).and_then(|(blank, is_reserve)| {
            let segment = draft.make(disk, blank, group)?;
            Ok((Arc::new(segment), is_reserve))
        });
        let (segment, is_reserve) = made.map_err(|failure: Failure| creating(failure.into_io()))?;
        let next = if accepted.is_empty() { number } else { number + 1 };
        for Accepted { header, entries, placed } in accepted {
            self.take(&segment, &header, placed.spot_at(DATA_START, stamp.seed()), entries);
        }
        let given = segment.file.bytes().map_err(reading)?;
        Ok(Active { segment, at, given, first: number, number: next, is_reserve })
    }

    /// A durable batch: indexed, its control records folded. False if it is passed over, since it
    /// does not go on where its session ends.
    fn take(
        &mut self,
        segment: &Arc<Segment>,
        header: &BatchHeader,
        spot: Spot,
        entries: Vec<Numbered>,
    ) -> bool {
        let session = self.index.session(header.key);
        if !session.tail().is_at_or_before(header.first) {
            let session = header.key.session_id();
            tracing::error!(%session, lsn = %header.first.next_lsn, "passed over a repeated batch");
            return false;
        }
        session.add(segment, spot);
        session.continue_from(Link { tail: header.end(), chain: header.chain });
        session.advance(header.end());
        self.losses.note_batch(header.key);
        for Numbered { lsn, seq, entry } in entries {
            match entry {
                Entry::Record(Record::Event(_)) => {}
                Entry::Record(Record::Control(control)) => {
                    (self.fold)(Recovered { key: header.key, lsn, next_seq: seq, control });
                }
                Entry::Cut(cut) => session.cut(cut.first),
            }
        }
        true
    }

    fn lose_unknown(&mut self, at: usize, segment: &Segment, bytes: &Range<u64>) {
        self.set_state(at, State::Damaged);
        self.losses.lose_unknown(segment, bytes, bytes.end - bytes.start);
    }

    fn set_state(&mut self, at: usize, state: State) {
        if let Some(known) = self.states.get_mut(at) {
            *known = state;
        }
    }
}
