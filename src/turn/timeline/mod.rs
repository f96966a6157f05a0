//! How a turn went, as a picture needs it: which states it was in and when, and how many polls, events and
//! comings and goings of clients there were in each slot of time.
//!
//! In memory alone, of a bounded size however long the turn lasts: [`slots`] become wider as it grows
//! old, and of very many states some of the middle go. A turn that goes on after a restart begins a
//! new one that says so. Noting takes a short lock of the turn's own and a constant time; it is done for
//! a poll, a page or the two ends of a stream, and never for each event on its way to a client.
//!
//! Times are told by the wall clock of its beginning and what the steady clock says has passed: setting the
//! wall clock does not move them, and a machine that sleeps adds nothing.

pub mod slots;
mod states;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::mode::Phase;
use crate::turn::control::wall_ms;
use slots::{Happening, Slots};
use states::States;

/// The record of one turn. Clones share it.
#[derive(Debug, Clone)]
pub struct Timeline(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// When the first slot begins, by both clocks.
    begun: Instant,
    begun_ms: u64,
    is_whole: bool,
    record: Mutex<Record>,
}

/// All times are what has passed since the first slot began.
#[derive(Debug, Default)]
struct Record {
    slots: Slots,
    states: States,
    end: Option<Duration>,
}

/// A timeline at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// When the first slot begins, in wall-clock milliseconds since 1970.
    pub since_ms: u64,
    /// Now, or when the turn ended.
    pub until_ms: u64,
    /// Whether it shows the turn from its beginning.
    pub is_whole: bool,
    /// The states that it came into and when, oldest first.
    pub states: Vec<(Phase, u64)>,
    /// How many of the middle are missing there.
    pub states_left_out: u64,
    /// When the first of those began.
    pub states_left_out_from_ms: Option<u64>,
    /// What happened, up to the slot of `until_ms`.
    pub slots: Slots,
}

impl Timeline {
    /// Of a turn that was accepted at this time of the wall clock.
    #[must_use]
    pub fn of_new(accepted_ms: u64) -> Self {
        Self::begin(accepted_ms, true)
    }

    /// Of a turn that began in an earlier life of the program.
    #[must_use]
    pub fn of_resumed() -> Self {
        Self::begin(wall_ms(), false)
    }

    fn begin(begun_ms: u64, is_whole: bool) -> Self {
        let (begun, record) = (Instant::now(), Mutex::default());
        Self(Arc::new(Shared { begun, begun_ms, is_whole, record }))
    }

    /// Notes something that happens now. After the turn's end it counts as of its last moment.
    pub fn note(&self, what: Happening, times: usize) {
        let at = self.now();
        self.record().note(at, what, times);
    }

    /// The turn comes into this state; nothing is noted if it is in it already.
    pub fn enter(&self, phase: Phase) {
        let at = self.now();
        self.record().enter(at, phase);
    }

    /// When the turn ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<Instant> {
        let end = self.record().end?;
        Some(self.0.begun + end)
    }

    /// The picture now.
    #[must_use]
    pub fn picture(&self) -> Picture {
        let Shared { begun_ms, is_whole, .. } = *self.0;
        let now = self.now();
        let mut record = self.record();
        let until = record.end.unwrap_or(now);
        record.slots.reach(until);
        let at = |at: Duration| begun_ms.saturating_add(millis(at));
        Picture {
            since_ms: begun_ms,
            until_ms: at(until),
            is_whole,
            states: record.states.iter().map(|(phase, since)| (phase, at(since))).collect(),
            states_left_out: record.states.left_out(),
            states_left_out_from_ms: record.states.left_out_from().map(at),
            slots: record.slots.clone(),
        }
    }

    fn now(&self) -> Duration {
        self.0.begun.elapsed()
    }

    /// A panic under the lock cannot leave more behind than a number that was not counted.
    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn note(&mut self, at: Duration, what: Happening, times: usize) {
        let at = self.end.map_or(at, |end| at.min(end));
        self.slots.count(at, what, times);
    }

    fn enter(&mut self, at: Duration, phase: Phase) {
        if self.end.is_some() {
            return;
        }
        self.states.enter(at, phase);
        if phase == Phase::Finished {
            self.end = Some(at);
        }
    }
}

fn millis(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn states_and_counts_stand_at_their_times() {
        let timeline = Timeline::of_new(1_000_000);
        timeline.enter(Phase::Accepted);
        advance(SECOND).await;
        timeline.enter(Phase::Running);
        timeline.enter(Phase::Running);
        timeline.note(Happening::Poll, 1);
        advance(SECOND).await;
        timeline.note(Happening::Event, 3);
        advance(SECOND / 2).await;
        let picture = timeline.picture();
        assert_eq!((picture.since_ms, picture.until_ms), (1_000_000, 1_002_500));
        let expected = vec![(Phase::Accepted, 1_000_000), (Phase::Running, 1_001_000)];
        assert_eq!((picture.is_whole, picture.states), (true, expected));
        assert_eq!(picture.slots.column(Happening::Poll), [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(picture.slots.column(Happening::Event), [0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_the_end_counts_as_of_its_last_moment() {
        let timeline = Timeline::of_resumed();
        timeline.enter(Phase::Running);
        advance(SECOND).await;
        timeline.enter(Phase::Finished);
        let end = Instant::now();
        advance(60 * 60 * SECOND).await;
        timeline.note(Happening::Ended, 1);
        timeline.enter(Phase::Running);
        let picture = timeline.picture();
        assert_eq!((timeline.ended(), picture.is_whole), (Some(end), false));
        assert_eq!(picture.until_ms - picture.since_ms, 1000);
        assert_eq!(picture.slots.column(Happening::Ended), [0, 0, 0, 0, 1]);
        assert_eq!(picture.states.last().map(|(phase, _)| *phase), Some(Phase::Finished));
    }
}
