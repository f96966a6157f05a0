//! Which timelines are kept: those of running turns, with the turns, and the newest of those that are over,
//! here.
//!
//! In memory alone, so they end with the process. They are found among [`limits::MAX_KEPT_TIMELINES`] by
//! looking at each, newest first: what is asked for most has just ended.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::{ExecutionId, SessionKey};
use crate::limits;
use crate::turn::timeline::{Picture, Timeline};

use super::TurnRef;
use super::registry::Sessions;

/// The timelines of turns that are over, oldest first. The lock is the innermost one: nothing else is
/// locked under it.
#[derive(Debug, Default)]
pub(super) struct Timelines(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    session: SessionKey,
    execution: ExecutionId,
    timeline: Timeline,
}

impl Timelines {
    /// Keeps the timeline of a turn that is over; the oldest one goes for it.
    pub(super) fn keep(&self, session: SessionKey, execution: ExecutionId, timeline: Timeline) {
        let mut kept = self.kept();
        while kept.len() >= limits::MAX_KEPT_TIMELINES {
            kept.pop_front();
        }
        kept.push_back(Kept { session, execution, timeline });
    }

    /// The timeline of this turn.
    pub(super) fn of_turn(&self, session: SessionKey, execution: &ExecutionId) -> Option<Timeline> {
        self.newest(|kept| kept.session == session && kept.execution == *execution)
    }

    /// The timeline of the session's newest turn that is over.
    pub(super) fn newest_of(&self, session: SessionKey) -> Option<Timeline> {
        self.newest(|kept| kept.session == session)
    }

    fn newest(&self, is_meant: impl Fn(&Kept) -> bool) -> Option<Timeline> {
        let kept = self.kept();
        kept.iter().rev().find(|kept| is_meant(kept)).map(|kept| kept.timeline.clone())
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// How a turn went, or goes; `None` if that is no longer kept, or if it was over before this process
    /// began. A close-out that is being written is waited for.
    // Cancel-safe: it only waits.
    pub async fn timeline(&self, turn: &TurnRef) -> Option<Picture> {
        turn.settled().await;
        let TurnRef { session, execution, .. } = turn;
        let running = session.running_timeline(Some(execution));
        // In this order: a turn that ends meanwhile is kept before it runs no more.
        let timeline = running.or_else(|| self.timelines().of_turn(session.key, execution));
        timeline.map(|timeline| timeline.picture())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(number: usize) -> ExecutionId {
        ExecutionId::parse(&format!("e-{number}")).expect("an id")
    }

    #[test]
    fn the_newest_are_kept_and_each_is_found_by_its_session_and_its_execution() {
        let (timelines, one, other) =
            (Timelines::default(), SessionKey::mint(), SessionKey::mint());
        let since = |timeline: Option<Timeline>| timeline.map(|found| found.picture().since_ms);
        for number in 0..limits::MAX_KEPT_TIMELINES + 2 {
            timelines.keep(one, execution(number), Timeline::of_new(number as u64));
        }
        assert_eq!(timelines.kept().len(), limits::MAX_KEPT_TIMELINES);
        for (number, expected) in [(0, None), (1, None), (2, Some(2)), (257, Some(257))] {
            assert_eq!(since(timelines.of_turn(one, &execution(number))), expected, "{number}");
            assert_eq!(since(timelines.of_turn(other, &execution(number))), None);
        }
        assert_eq!(since(timelines.newest_of(one)), Some(257));
        assert_eq!(since(timelines.newest_of(other)), None);
    }
}
