//! Which boxes are known, in memory and in the file, and how the two stay one.
//!
//! Durable: what must not be forgotten is in the file before it is in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::file::LinesFile;
use super::known::Known;
use super::line::{Kept, Line};
use super::plan::{self, Plan, line_of};
use super::{Learnt, Means, NotKept, Sighting};
use crate::ids::BoxName;
use crate::metrics::front::Metrics;
use crate::session::boxes::BoxEntry;

/// All learned boxes. Who is in it, and what is kept of them, changes only under the file's lock.
#[derive(Debug)]
pub(super) struct Directory {
    /// Guarded by one short lock, never held over an await or a write.
    known: Mutex<HashMap<BoxName, Known>>,
    means: Means,
    metrics: Metrics,
}

impl Directory {
    /// Of what the file's lines tell.
    pub(super) fn new(lines: Vec<Line>, means: Means, metrics: Metrics) -> Self {
        let mut known = HashMap::new();
        for line in lines {
            match line {
                Line::Box(name, kept) => known.insert(name, Known::from(kept)),
                Line::Out(name) => known.remove(&name),
            };
        }
        let directory = Self { known: Mutex::new(known), means, metrics };
        directory.tell_how_many();
        directory
    }

    /// A panic under the lock cannot leave it half-written: each change is one insertion or removal.
    pub(super) fn known(&self) -> MutexGuard<'_, HashMap<BoxName, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn entry(
        &self,
        name: &BoxName,
        is_meant: impl Fn(&Known) -> bool,
    ) -> Option<BoxEntry> {
        let mut known = self.known();
        let Known { endpoint, entry, .. } = known.get_mut(name).filter(|known| is_meant(known))?;
        Some(entry.get_or_insert_with(|| self.means.entry(endpoint.subscribe())).clone())
    }

    /// Whether all of this is known, and written down lately; if so, it is noted as seen.
    pub(super) fn is_nothing_new(&self, seen: &[Sighting], now_ms: u64) -> bool {
        let mut known = self.known();
        let nothing_new = seen.iter().all(|sighting| {
            let known = known.get(&sighting.name);
            known.is_some_and(|known| known.covers(sighting) && !known.is_worth_a_note(now_ms))
        });
        if nothing_new {
            for Sighting { name, .. } in seen {
                if let Some(known) = known.get_mut(name) {
                    known.seen_ms = known.seen_ms.max(now_ms);
                }
            }
        }
        nothing_new
    }

    /// What follows from an answer; `busy` is asked only if somebody has to go, and without our lock: it
    /// takes those of sessions.
    pub(super) fn plan(
        &self,
        seen: &[Sighting],
        now_ms: u64,
        busy: impl FnOnce() -> HashSet<BoxName>,
    ) -> (Plan, Vec<Learnt>) {
        let is_full = plan::missing_room(&self.known(), seen) > 0;
        let busy = if is_full { busy() } else { HashSet::new() };
        Plan::of(&self.known(), seen, now_ms, &busy)
    }

    /// Makes a plan durable, then visible.
    pub(super) fn carry_out(&self, file: &mut LinesFile, plan: Plan) -> Result<(), NotKept> {
        let Plan { boxes, changes, is_told } = plan;
        let lines: Vec<_> = boxes.iter().map(|(name, kept)| line_of(name, kept.clone())).collect();
        let known = self.known().len();
        let written = file.write(&lines, known, || self.all_lines(&boxes));
        if let Err(error) = &written {
            tracing::error!(%error, "the list of learned boxes cannot be written");
            if is_told {
                return Err(NotKept);
            }
        }
        {
            let mut known = self.known();
            for (name, kept) in boxes {
                match kept {
                    Some(kept) => match known.get_mut(&name) {
                        Some(known) => known.follow(kept),
                        None => drop(known.insert(name, Known::from(kept))),
                    },
                    None => drop(known.remove(&name)),
                }
            }
        }
        changes.into_iter().for_each(|change| self.metrics.changed(change));
        self.tell_how_many();
        Ok(())
    }

    /// The lines of everything that is known once these boxes are as planned.
    fn all_lines(&self, planned: &HashMap<BoxName, Option<Kept>>) -> Vec<Line> {
        let known = self.known();
        let others = known.iter().filter(|(name, _)| !planned.contains_key(*name));
        let others = others.map(|(name, known)| Line::Box(name.clone(), Kept::from(known)));
        let planned = planned.iter().filter_map(|(name, kept)| Some((name, kept.clone()?)));
        others.chain(planned.map(|(name, kept)| Line::Box(name.clone(), kept))).collect()
    }

    pub(super) fn tell_how_many(&self) {
        let alive = self.known().values().filter(|known| !known.is_deleted).count();
        self.metrics.boxes.set(i64::try_from(alive).unwrap_or(i64::MAX));
    }
}
