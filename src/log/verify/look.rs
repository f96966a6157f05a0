//! Reads the segments from the last good place to the end, as often as the facts ask for it (the
//! module's own words say when). What is taken is taken once, and in order.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::listing::{Listed, Listing, is_intact, open};
use super::report::{At, Fault, Report};
use super::taken::{Taken, is_whole};
use super::witness::Witness;
use crate::ids::SessionKey;
use crate::log::disk::Disk;
use crate::log::options::Roles;
use crate::log::record::Cut;
use crate::log::scan::{Group, Walk};
use crate::log::segment::{DATA_START, Origin, Segment, SegmentId};

/// How far the log was read, and what came of it.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) taken: Taken,
    /// Behind the last group that was taken.
    pub(super) place: Option<Place>,
    /// The number of the next group.
    pub(super) number: u64,
    /// Groups before this one were durable, and where they belong, when this look began.
    pub(super) sure: u64,
    /// Segments that were looked at.
    seen: BTreeSet<u64>,
    /// What was told of damage that is behind the last group: the epoch, and up to which byte.
    told: (u64, u64),
    /// Segments whose index was looked at.
    pub(super) compared: BTreeSet<u64>,
}

/// Behind a group.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) segment: Arc<Segment>,
    pub(super) walk: Walk,
}

/// How a look ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It must be looked again, from the last good place.
    Early,
    /// At the end of the log, with the last group if nothing proves it.
    AtTheEnd(Option<Held>),
}

/// A group that nothing has proven yet to be durable.
#[derive(Debug)]
pub(super) struct Held {
    group: Group,
    before: Walk,
    after: Walk,
}

/// A segment that is being read.
struct Reading {
    segment: Arc<Segment>,
    walk: Walk,
    /// Groups from this number on do not count.
    limit: u64,
    witness: Option<Witness>,
}

/// One look.
#[derive(Debug, Default)]
pub(super) struct Look {
    held: Option<Held>,
    /// The segment of the last group, and all that were read since.
    pub(super) since: Vec<SegmentId>,
    /// A segment since then cannot be read.
    pub(super) is_clouded: bool,
    /// A segment went away, now or before: what accounts for it may stand in newer ones than were
    /// listed.
    something_went: bool,
}

/// Goes on, unless it must be looked again.
pub(super) type Step<T = ()> = ControlFlow<(), T>;

pub(super) const ON: Step = ControlFlow::Continue(());
pub(super) const AGAIN: Step = ControlFlow::Break(());

impl<'a> Pass<'a> {
    /// At the beginning of a log whose groups before `sure` are durable.
    pub(super) fn new(
        disk: &'a dyn Disk,
        roles: Roles,
        forecast: HashMap<SessionKey, Cut>,
        sure: u64,
    ) -> Self {
        Self {
            disk,
            taken: Taken::new(roles, forecast),
            place: None,
            number: 1,
            sure,
            seen: BTreeSet::new(),
            told: (0, 0),
            compared: BTreeSet::new(),
        }
    }

    /// The segment in which the next look begins.
    pub(super) fn epoch(&self) -> u64 {
        self.place.as_ref().map_or(0, |place| place.segment.id.epoch)
    }

    /// Reads on, through the segments that were listed just now.
    pub(super) fn look(&mut self, listing: &Listing) -> Ended {
        let mut look = Look { something_went: listing.is_torn, ..Look::default() };
        let read = listing.segments.iter().try_for_each(|listed| self.read(listed, &mut look));
        self.sure = self.sure.max(listing.proves());
        match look {
            Look { held, something_went: false, .. } if read == ON => Ended::AtTheEnd(held),
            Look { .. } => Ended::Early,
        }
    }

    /// The end was found.
    pub(super) fn finish(mut self, last: Option<Held>) -> Report {
        let mut unfinished = None;
        if let Some(Held { group, .. }) = last {
            let pieces = group.pieces();
            if is_whole(&group, &pieces) {
                self.taken.take(&group, pieces);
            } else {
                unfinished = self.taken.take_last(&group, pieces);
            }
        }
        self.taken.finish(unfinished)
    }

    /// The end was not found in time.
    pub(super) fn give_up(self) -> Report {
        self.taken.give_up()
    }

    /// Reads a segment.
    fn read(&mut self, listed: &Listed, look: &mut Look) -> Step {
        let Some(segment) = self.open(listed, look)? else { return ON };
        let (limit, next) = listed.header.as_ref().map_or((0, 0), |h| (h.limit, h.next));
        let here = self.place.as_ref().filter(|place| place.segment.id.epoch == listed.epoch);
        let old = here.map(|place| Arc::clone(&place.segment)).filter(|old| old.id != segment.id);
        match (&segment.origin, old) {
            (Origin::Compaction { replaces, .. }, Some(old)) => {
                return self.read_replaced(&old, replaces.end, look);
            }
            (Origin::Opening { base }, _) => self.open_at(*base, &segment, look)?,
            (Origin::Compaction { .. } | Origin::Rotation, _) => {}
        }
        let witness = self.witness(&segment, limit.min(next))?;
        match &segment.origin {
            Origin::Compaction { replaces, groups } => {
                self.read_compacted(&segment, (replaces, *groups), witness.as_ref(), look)
            }
            Origin::Opening { .. } | Origin::Rotation => {
                self.read_groups(&segment, limit, witness, look)
            }
        }
    }

    /// Reads a segment, from its start or from the last good place in it, up to the group `limit`.
    pub(super) fn read_groups(
        &mut self,
        segment: &Arc<Segment>,
        limit: u64,
        witness: Option<Witness>,
        look: &mut Look,
    ) -> Step {
        // A group behind those was void before, though what said so may be gone.
        let limit = witness.as_ref().map_or(limit, |witness| witness.sealed.groups.end);
        if let Some(witness) = &witness
            && self.epoch() < segment.id.epoch
        {
            self.settle(look)?;
            self.hole_before(witness.sealed.groups.start, segment.id, look)?;
        }
        let number = look.held.as_ref().map_or(self.number, |held| held.group.header.number + 1);
        let begun = match &self.place {
            Some(Place { segment: same, walk }) if same.id == segment.id => {
                walk.again(number..limit)
            }
            Some(_) | None => Walk::new(segment, number..limit),
        };
        match begun {
            Ok(walk) => {
                let segment = Arc::clone(segment);
                self.read_on(Reading { segment, walk, limit, witness }, look)
            }
            Err(error) => self.cannot_read(segment, 0..0, &error, look),
        }
    }

    fn read_on(&mut self, mut reading: Reading, look: &mut Look) -> Step {
        loop {
            let before = reading.walk.clone();
            let group = match reading.walk.next() {
                Ok(Some(group)) => group,
                Ok(None) => break,
                Err(error) => {
                    return self.cannot_read(&reading.segment, before.rest(), &error, look);
                }
            };
            self.settle(look)?;
            let group = self.fit(&mut reading, &before, group, look)?;
            look.since.clear();
            look.since.push(reading.segment.id);
            look.is_clouded = false;
            look.held = Some(Held { group, before, after: reading.walk.clone() });
        }
        let Reading { segment, walk, limit: _, witness } = reading;
        if look.since.last() != Some(&segment.id) {
            look.since.push(segment.id);
        }
        witness.map_or(ON, |witness| self.compare(&segment, &witness, walk.rest(), look))
    }

    /// The segment, if it is there and has a header.
    fn open(&mut self, listed: &Listed, look: &mut Look) -> Step<Option<Arc<Segment>>> {
        let epoch = listed.epoch;
        let at = At::new(epoch, 0..DATA_START);
        let found = match (open(self.disk, epoch), &listed.header) {
            (Ok(None), _) => {
                look.something_went = true;
                return ControlFlow::Continue(None);
            }
            (Ok(Some(segment)), Ok(header)) if segment.id == header.id => Ok(segment),
            (Err(error), Err(_)) => Err(error),
            // One of both was read while the file became another one.
            (Ok(Some(_)), _) | (Err(_), Ok(_)) => return ControlFlow::Break(()),
        };
        let is_new = self.seen.insert(epoch);
        self.taken.counts.segments += u64::from(is_new);
        let fault = match &found {
            Ok(segment) => {
                let is_half = segment.whole_headers().is_ok_and(|copies| copies != [true; 2]);
                let fault = Fault::DamagedHeader("one of its two copies");
                (is_new && is_half && is_intact(self.disk, segment.id)).then_some(fault)
            }
            Err(error) => is_new.then(|| Fault::SegmentUnreadable(error.to_string())),
        };
        if let Some(fault) = fault {
            self.taken.book.findings.add(&at, at.finding(fault));
        }
        look.is_clouded |= found.is_err();
        ControlFlow::Continue(found.ok())
    }

    /// The segment was made by an opening: all groups before its base were there, and those from it
    /// on are void in older ones.
    fn open_at(&mut self, base: u64, segment: &Segment, look: &mut Look) -> Step {
        self.settle(look)?;
        if base < self.number && self.epoch() < segment.id.epoch {
            let at = At::new(segment.id.epoch, 0..DATA_START);
            let fault = Fault::DamagedHeader("its groups would count before those of an older one");
            self.lose(at, fault, 0..0);
        }
        self.hole_before(base, segment.id, look)
    }

    /// Something proves that the held group was durable: takes it.
    pub(super) fn settle(&mut self, look: &mut Look) -> Step {
        let Some(Held { group, before, after }) = look.held.take() else { return ON };
        let pieces = group.pieces();
        if is_whole(&group, &pieces) {
            self.take(&group, after);
            return ON;
        }
        // It may have been read before it was durable.
        let number = group.header.number;
        let read = before.again(number..number + 1).and_then(|mut walk| Ok((walk.next()?, walk)));
        if !is_intact(self.disk, group.segment.id) {
            return AGAIN;
        }
        match read {
            Ok((Some(now), after)) if now.at == group.at => self.take(&now, after),
            Ok(_) | Err(_) => self.take(&group, after),
        }
        ON
    }

    fn take(&mut self, group: &Group, after: Walk) {
        self.taken.take(group, group.pieces());
        self.number = group.header.number + 1;
        self.place = Some(Place { segment: Arc::clone(&group.segment), walk: after });
    }

    /// The group that comes next, if need be read again; what it shows to be missing is told.
    fn fit(
        &mut self,
        reading: &mut Reading,
        before: &Walk,
        mut group: Group,
        look: &mut Look,
    ) -> Step<Group> {
        if !group.unreadable.is_empty() {
            // What was passed over may have been written since.
            let again = before.again(self.number..reading.limit);
            let read = again.and_then(|mut walk| Ok((walk.next()?, walk)));
            let Ok((Some(now), after)) = read else { return ControlFlow::Break(()) };
            (group, reading.walk) = (now, after);
        }
        let segment = reading.segment.id;
        let number = group.header.number;
        let unreadable = std::mem::take(&mut group.unreadable);
        // The index would have said that the segment begins with another one.
        let is_first = group.at == DATA_START && reading.witness.is_none();
        let (fault, bytes) = match (unreadable.is_empty(), number == self.number) {
            (true, true) => return ControlFlow::Continue(group),
            (true, false) if is_first => {
                self.hole_before(number, segment, look)?;
                return ControlFlow::Continue(group);
            }
            (true, false) => (Fault::MissingGroups, group.at..group.at),
            (false, _) => (Fault::UnreadableRange, unreadable),
        };
        if !is_intact(self.disk, segment) {
            return ControlFlow::Break(());
        }
        self.lose(At::new(segment.epoch, bytes), fault, self.number..number);
        self.number = number;
        ControlFlow::Continue(group)
    }

    /// Something of a segment is lost. It is told once, however often it is come upon.
    pub(super) fn lose(&mut self, at: At, fault: Fault, groups: Range<u64>) {
        let place = (at.epoch, at.bytes.end);
        if place > self.told || !groups.is_empty() {
            self.told = self.told.max(place);
            self.taken.lose(at, fault, groups);
        }
    }

    /// The segment begins with the group of this number: those before it should have been seen.
    pub(super) fn hole_before(&mut self, number: u64, segment: SegmentId, look: &mut Look) -> Step {
        if number <= self.number {
            return ON;
        }
        if number > self.sure {
            self.sure = number;
            return AGAIN;
        }
        let groups = self.number..number;
        let last = look.since.last().map_or(self.epoch(), |id| id.epoch);
        let missing = At::new(last + 1, 0..0);
        if look.is_clouded {
            self.taken.book.holes.add_named();
        } else if self.is_seamless(segment, look) {
            // If the index of the one before says that it is whole, they were in this one.
            let before =
                self.place.as_ref().filter(|p| !self.compared.contains(&p.segment.id.epoch));
            let at = match before {
                Some(place) => At::new(place.segment.id.epoch, place.walk.rest()),
                None => At::new(segment.epoch, DATA_START..DATA_START),
            };
            self.lose(at, Fault::MissingGroups, groups);
        } else {
            self.taken.book.holes.add_open(missing, groups);
        }
        self.number = number;
        look.something_went = true;
        ON
    }

    /// Whether no segment can have been between the last group and this segment: all epochs between
    /// are there.
    fn is_seamless(&self, segment: SegmentId, look: &Look) -> bool {
        let between = look.since.iter().map(|id| id.epoch);
        let first = self.place.as_ref().map_or(1, |place| place.segment.id.epoch);
        between.chain([segment.epoch]).eq(first..=segment.epoch)
            && look.since.iter().all(|id| is_intact(self.disk, *id))
    }

    /// Nothing more of a segment can be read.
    pub(super) fn cannot_read(
        &mut self,
        segment: &Segment,
        bytes: Range<u64>,
        error: &io::Error,
        look: &mut Look,
    ) -> Step {
        self.settle(look)?;
        if !is_intact(self.disk, segment.id) {
            return AGAIN;
        }
        let epoch = segment.id.epoch;
        let fault = Fault::SegmentUnreadable(error.to_string());
        self.lose(At::new(epoch, bytes), fault, 0..0);
        look.is_clouded = true;
        ON
    }
}
