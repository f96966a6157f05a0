//! What will be kept once an answer has been read. Pure: from what is known and what was seen.
//!
//! A newcomer that finds no room takes that of a box that was not seen for longest, deleted ones first;
//! never of one that the same answer shows, nor of one that turns run on.

use std::collections::{HashMap, HashSet};

use super::known::Known;
use super::line::{Kept, Line};
use super::{Learnt, Sighting};
use crate::credential::CredentialHash;
use crate::ids::BoxName;
use crate::limits;
use crate::metrics::front::Change;
use crate::upstream::endpoint::Endpoint;

/// What will be kept of some boxes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Of those without anything, nothing.
    pub(super) boxes: HashMap<BoxName, Option<Kept>>,
    pub(super) changes: Vec<Change>,
    /// Whether somebody is told something that must not be forgotten.
    pub(super) is_told: bool,
}

/// How many boxes for which there is no room an answer shows.
pub(super) fn missing_room(known: &HashMap<BoxName, Known>, seen: &[Sighting]) -> usize {
    let new = seen.iter().map(|sighting| &sighting.name).filter(|name| !known.contains_key(*name));
    let new = new.collect::<HashSet<_>>().len();
    (known.len() + new).saturating_sub(limits::MAX_LEARNED_BOXES)
}

impl Plan {
    /// What follows from an answer, with a verdict for each box that it shows. `busy` are the boxes that
    /// turns run on.
    pub(super) fn of(
        known: &HashMap<BoxName, Known>,
        seen: &[Sighting],
        now_ms: u64,
        busy: &HashSet<BoxName>,
    ) -> (Self, Vec<Learnt>) {
        let mut plan = Self::default();
        plan.make_room(known, seen, busy);
        let evicted = plan.boxes.len();
        let mut room = (limits::MAX_LEARNED_BOXES + evicted).saturating_sub(known.len());
        let mut learnt = Vec::with_capacity(seen.len());
        for Sighting { name, endpoint, handed_out } in seen {
            let before = match plan.boxes.get(name) {
                Some(planned) => planned.clone(),
                None => known.get(name).map(Kept::from),
            };
            if before.is_none() {
                let Some(less) = room.checked_sub(1) else {
                    learnt.push(Learnt::NoRoom);
                    continue;
                };
                room = less;
            }
            learnt.push(Learnt::Known);
            let kept = plan.take_in(before, endpoint, *handed_out, now_ms);
            plan.boxes.insert(name.clone(), Some(kept));
        }
        (plan, learnt)
    }

    fn make_room(
        &mut self,
        known: &HashMap<BoxName, Known>,
        seen: &[Sighting],
        busy: &HashSet<BoxName>,
    ) {
        let missing = missing_room(known, seen);
        if missing == 0 {
            return;
        }
        let shown: HashSet<_> = seen.iter().map(|sighting| &sighting.name).collect();
        let may_go =
            known.iter().filter(|(name, _)| !shown.contains(name) && !busy.contains(*name));
        let mut may_go: Vec<_> =
            may_go.map(|(name, known)| (!known.is_deleted, known.seen_ms, name)).collect();
        may_go.sort_unstable();
        for (_, _, name) in may_go.into_iter().take(missing) {
            self.boxes.insert(name.clone(), None);
            self.changes.push(Change::Evicted);
        }
    }

    /// What is kept of a box that was seen.
    fn take_in(
        &mut self,
        before: Option<Kept>,
        endpoint: &Endpoint,
        handed_out: Option<CredentialHash>,
        now_ms: u64,
    ) -> Kept {
        let change = match &before {
            None => Some(Change::Learned),
            Some(before) if before.is_deleted => Some(Change::Learned),
            Some(before) if before.endpoint != *endpoint => Some(Change::Moved),
            Some(_) => None,
        };
        self.is_told |= change.is_some();
        self.changes.extend(change);
        let (seen_ms, mut hashes) =
            before.map_or((0, Vec::new()), |before| (before.seen_ms, before.handed_out));
        if let Some(new) = handed_out.filter(|new| !hashes.contains(new)) {
            let too_many = (hashes.len() + 1).saturating_sub(limits::MAX_HANDED_OUT);
            hashes.drain(..too_many);
            hashes.push(new);
        }
        let (endpoint, seen_ms) = (endpoint.clone(), seen_ms.max(now_ms));
        Kept { endpoint, seen_ms, handed_out: hashes, is_deleted: false }
    }
}

/// The line that tells what is kept of a box.
pub(super) fn line_of(name: &BoxName, kept: Option<Kept>) -> Line {
    match kept {
        Some(kept) => Line::Box(name.clone(), kept),
        None => Line::Out(name.clone()),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
