//! The states that a turn came into, oldest first, in a bounded space.
//!
//! Pure. How a turn began and what it did last tell most: when there are too many, the oldest behind the first
//! few go, and are counted.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits;
use crate::mode::Phase;

/// The states, each with the time that had passed when it began.
#[derive(Debug, Default)]
pub(super) struct States {
    first: Vec<(Phase, Duration)>,
    later: VecDeque<(Phase, Duration)>,
    left_out: u64,
    /// When the first one that is missing began.
    left_out_from: Option<Duration>,
}

impl States {
    /// The turn comes into this state, unless it is in it.
    pub(super) fn enter(&mut self, at: Duration, phase: Phase) {
        let last = self.later.back().or(self.first.last());
        if last.is_some_and(|(last, _)| *last == phase) {
            return;
        }
        if self.first.len() < limits::TIMELINE_FIRST_STATES {
            self.first.push((phase, at));
            return;
        }
        if self.later.len() >= limits::TIMELINE_STATES - limits::TIMELINE_FIRST_STATES {
            let gone = self.later.pop_front().map(|(_, at)| at);
            self.left_out_from = self.left_out_from.or(gone);
            self.left_out += 1;
        }
        self.later.push_back((phase, at));
    }

    /// Those that are known, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Phase, Duration)> {
        self.first.iter().chain(&self.later).copied()
    }

    /// How many are missing behind the first ones.
    pub(super) const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// When the first one that is missing began.
    pub(super) const fn left_out_from(&self) -> Option<Duration> {
        self.left_out_from
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn of_any_states_the_first_and_the_newest_are_kept_and_the_others_counted(
            places in prop::collection::vec(0..Phase::UNFINISHED.len(), 0..300),
        ) {
            let mut states = States::default();
            let mut all: Vec<(Phase, Duration)> = Vec::new();
            for (second, place) in (0..).zip(places) {
                let (at, phase) = (Duration::from_secs(second), Phase::UNFINISHED[place]);
                states.enter(at, phase);
                if all.last().is_none_or(|(last, _)| *last != phase) {
                    all.push((phase, at));
                }
            }
            let kept: Vec<_> = states.iter().collect();
            let left_out = all.len().saturating_sub(limits::TIMELINE_STATES);
            prop_assert_eq!(states.left_out(), left_out as u64);
            let from = all.get(limits::TIMELINE_FIRST_STATES).filter(|_| left_out > 0);
            prop_assert_eq!(states.left_out_from(), from.map(|(_, at)| *at));
            if left_out > 0 {
                all.drain(limits::TIMELINE_FIRST_STATES..limits::TIMELINE_FIRST_STATES + left_out);
            }
            prop_assert_eq!(kept, all);
        }
    }
}
