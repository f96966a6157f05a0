//! What has to go: pure, from what is known of all sessions and what there is room for.
//!
//! Promises: only the oldest turns of a session go, and never one that runs; what goes for want of
//! room is the oldest that there is, of all sessions; where nothing is too old or too much, nothing
//! goes. What one turn takes is not known: its events count as each other, so a turn's share of its
//! session's bytes is that of its numbers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::event::Seq;
use crate::ids::SessionKey;
use crate::limits;

/// What is kept of turns that are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// How long a turn's events are kept after its end.
    pub age: Duration,
    /// How many bytes are kept of all sessions.
    pub total: u64,
    /// How many bytes are kept of one session.
    pub session: u64,
    /// How many bytes stay free on the log's file system.
    pub free: u64,
    /// How long a turn's ids stay taken after its events are gone.
    pub idempotency_age: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            age: limits::RETENTION_AGE,
            total: limits::RETENTION_TOTAL_BYTES,
            session: limits::RETENTION_SESSION_BYTES,
            free: limits::RETENTION_FREE_BYTES,
            idempotency_age: limits::IDEMPOTENCY_AGE,
        }
    }
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    /// The wall clock in milliseconds.
    pub(super) now_ms: u64,
    /// Bytes that no trim has cut off, of all sessions.
    pub(super) kept: u64,
    /// Bytes left on the file system.
    pub(super) free: u64,
}

/// What is kept of one session.
#[derive(Debug, Clone)]
pub(super) struct Holding {
    pub(super) key: SessionKey,
    /// On disk.
    pub(super) bytes: u64,
    /// The first event that is kept.
    pub(super) begins: Seq,
    /// The number that the next event will get.
    pub(super) next: Seq,
    /// Where it can be cut, oldest first.
    pub(super) cuts: Vec<Cut>,
    /// The first event of the turn that runs.
    pub(super) running: Option<Seq>,
}

/// The end of a turn whose events are kept, behind which the log can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// When that turn ended, in wall-clock milliseconds.
    pub(super) ended_ms: u64,
    /// Its last event.
    pub(super) through: Seq,
}

/// A session that is to be cut behind an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trim {
    pub(super) key: SessionKey,
    pub(super) through: Seq,
}

/// What has to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) trims: Vec<Trim>,
    /// There is too much, or too little room.
    pub(super) is_pressed: bool,
}

/// A session while it is planned.
struct Draft<'a> {
    holding: &'a Holding,
    /// Those of `holding.cuts` that are in front of the turn that runs.
    cuts: &'a [Cut],
    /// How many of them go.
    gone: usize,
}

/// Says what has to go.
pub(super) fn plan(keep: &Keep, measured: Measured, holdings: &[Holding]) -> Plan {
    let Measured { now_ms, kept, free } = measured;
    let mut drafts: Vec<_> = holdings.iter().map(Draft::new).collect();
    for draft in &mut drafts {
        draft.drop_old(now_ms, keep.age);
        draft.drop_to_quota(keep.session);
    }
    let dropped: u64 = drafts.iter().map(Draft::dropped).sum();
    let too_much = above(kept.saturating_sub(dropped), keep.total);
    let too_little = below(free.saturating_add(dropped), keep.free);
    drop_oldest(&mut drafts, too_much.max(too_little));
    Plan {
        trims: drafts.iter().filter_map(Draft::trim).collect(),
        is_pressed: kept > keep.total || free < keep.free,
    }
}

/// How much has to go of `bytes` so that they stay below `most` for a while.
fn above(bytes: u64, most: u64) -> u64 {
    if bytes > most { bytes - low(most) } else { 0 }
}

/// How much has to be freed so that `free` stays above `least` for a while.
fn below(free: u64, least: u64) -> u64 {
    if free < least { (least + least / limits::RETENTION_BYTES_SLACK) - free } else { 0 }
}

/// What is left of `most` after a trim.
const fn low(most: u64) -> u64 {
    most - most / limits::RETENTION_BYTES_SLACK
}

/// Drops `bytes` of the oldest turns.
fn drop_oldest(drafts: &mut [Draft<'_>], bytes: u64) {
    let ends = |(at, draft): (usize, &Draft<'_>)| Some(Reverse((draft.next()?.ended_ms, at)));
    let mut oldest: BinaryHeap<_> = drafts.iter().enumerate().filter_map(ends).collect();
    let mut left = bytes;
    while left > 0
        && let Some(Reverse((_, at))) = oldest.pop()
        && let Some(draft) = drafts.get_mut(at)
    {
        let before = draft.dropped();
        draft.gone += 1;
        left = left.saturating_sub(draft.dropped() - before);
        oldest.extend(ends((at, draft)));
    }
}

impl<'a> Draft<'a> {
    fn new(holding: &'a Holding) -> Self {
        let is_over = |cut: &Cut| holding.running.is_none_or(|from| cut.through < from);
        let over = holding.cuts.iter().take_while(|cut| is_over(cut)).count();
        let cuts = holding.cuts.get(..over).unwrap_or_default();
        Self { holding, cuts, gone: 0 }
    }

    /// The next turn that would go.
    fn next(&self) -> Option<&Cut> {
        self.cuts.get(self.gone)
    }

    /// Drops what is too old, once the oldest of it is so by more than the slack.
    fn drop_old(&mut self, now_ms: u64, age: Duration) {
        let is_older = |cut: &Cut, than: Duration| {
            u128::from(now_ms.saturating_sub(cut.ended_ms)) >= than.as_millis()
        };
        let late = age.saturating_add(age / limits::RETENTION_AGE_SLACK);
        if self.next().is_some_and(|cut| is_older(cut, late)) {
            self.gone += self.cuts.iter().take_while(|cut| is_older(cut, age)).count();
        }
    }

    /// Drops what is too much of this session.
    fn drop_to_quota(&mut self, most: u64) {
        let bytes = self.holding.bytes;
        if bytes - self.dropped() > most {
            while bytes - self.dropped() > low(most) && self.next().is_some() {
                self.gone += 1;
            }
        }
    }

    /// Bytes of what goes, about.
    fn dropped(&self) -> u64 {
        let Holding { bytes, begins, next, .. } = self.holding;
        let Some(cut) = self.gone.checked_sub(1).and_then(|last| self.cuts.get(last)) else {
            return 0;
        };
        let events = |to: Seq| u128::from(to.get().saturating_sub(begins.get()));
        let (gone, all) = (events(cut.through.next()), events(*next));
        let share = u128::from(*bytes) * gone.min(all) / all.max(1);
        u64::try_from(share).unwrap_or(*bytes)
    }

    fn trim(&self) -> Option<Trim> {
        let last = self.cuts.get(self.gone.checked_sub(1)?)?;
        Some(Trim { key: self.holding.key, through: last.through })
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
