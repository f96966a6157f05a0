//! What was counted, slot by slot of time, in a space that does not grow with it.
//!
//! Pure: a time is what has passed since the first slot began. Slots are made up to the last one that is
//! needed. When a time lies beyond [`limits::TIMELINE_SLOTS`] of them, each two neighbours become one of twice
//! the width: sums stay, and what came before something else never stands after it.

use std::time::Duration;

use crate::limits;

use super::millis;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// The box was polled, whatever came of it.
    Poll,
    /// Such a poll failed.
    PollFailed,
    /// An event was written to the log.
    Event,
    /// A client's stream began without a cursor.
    Opened,
    /// One began with a cursor.
    Resumed,
    /// One was cut: the client or a hop on the way was gone.
    Cut,
    /// One ended in order.
    Ended,
}

impl Happening {
    const COUNT: usize = 7;

    const fn place(self) -> usize {
        match self {
            Self::Poll => 0,
            Self::PollFailed => 1,
            Self::Event => 2,
            Self::Opened => 3,
            Self::Resumed => 4,
            Self::Cut => 5,
            Self::Ended => 6,
        }
    }
}

/// The slots, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    width_ms: u64,
    /// How many there are.
    length: usize,
    /// For each kind one number a slot, up to the last slot in which there was any: most kinds are rare.
    columns: [Vec<u32>; Happening::COUNT],
}

impl Default for Slots {
    fn default() -> Self {
        let width_ms = millis(limits::TIMELINE_FIRST_SLOT);
        Self { width_ms, length: 0, columns: Default::default() }
    }
}

impl Slots {
    /// How wide each is, in milliseconds.
    #[must_use]
    pub const fn width_ms(&self) -> u64 {
        self.width_ms
    }

    /// How many of `what` there were in each.
    #[must_use]
    pub fn column(&self, what: Happening) -> Vec<u32> {
        let mut column = self.columns.get(what.place()).cloned().unwrap_or_default();
        column.resize(self.length, 0);
        column
    }

    /// Counts `what` at this time.
    pub(super) fn count(&mut self, at: Duration, what: Happening, times: usize) {
        let index = self.reach(at);
        let Some(column) = self.columns.get_mut(what.place()).filter(|_| times > 0) else { return };
        if index >= column.len() {
            column.resize(index + 1, 0);
        }
        if let Some(count) = column.get_mut(index) {
            *count = count.saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
        }
    }

    /// Makes slots up to the one of this time; which one that is.
    pub(super) fn reach(&mut self, at: Duration) -> usize {
        let index = loop {
            let index = usize::try_from(millis(at) / self.width_ms).unwrap_or(usize::MAX);
            if index < limits::TIMELINE_SLOTS {
                break index;
            }
            self.widen();
        };
        self.length = self.length.max(index + 1);
        index
    }

    fn widen(&mut self) {
        self.width_ms = self.width_ms.saturating_mul(2);
        self.length = self.length.div_ceil(2);
        let sum = |pair: &[u32]| pair.iter().fold(0, |sum: u32, more| sum.saturating_add(*more));
        for column in &mut self.columns {
            *column = column.chunks(2).map(sum).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Happening; Happening::COUNT] = [
        Happening::Poll,
        Happening::PollFailed,
        Happening::Event,
        Happening::Opened,
        Happening::Resumed,
        Happening::Cut,
        Happening::Ended,
    ];

    fn sum(slots: &Slots, what: Happening) -> u64 {
        slots.column(what).into_iter().map(u64::from).sum()
    }

    #[test]
    fn a_day_fits_and_a_short_turn_takes_what_it_needs() {
        let mut slots = Slots::default();
        for minute in 0..24 * 60 {
            slots.count(Duration::from_secs(minute * 60), Happening::Poll, 20);
        }
        assert_eq!((slots.width_ms(), sum(&slots, Happening::Poll)), (512_000, 24 * 60 * 20));
        assert_eq!(slots.length, 24 * 60 * 60 / 512 + 1);
        let mut short = Slots::default();
        assert_eq!(short.reach(Duration::from_millis(999)), 3);
        assert_eq!((short.width_ms(), short.length), (250, 4));
    }

    #[test]
    fn each_kind_has_a_column_of_its_own() {
        let mut slots = Slots::default();
        for (times, what) in ALL.into_iter().enumerate() {
            slots.count(Duration::ZERO, what, times + 1);
        }
        for (times, what) in (1..).zip(ALL) {
            assert_eq!(slots.column(what), [times], "{what:?}");
        }
    }

    #[test]
    fn the_end_of_all_time_and_of_all_numbers_is_counted_too() {
        let mut slots = Slots::default();
        slots.count(Duration::ZERO, Happening::Event, usize::MAX);
        slots.count(Duration::ZERO, Happening::Event, 1);
        let last = slots.reach(Duration::MAX);
        assert!(last < limits::TIMELINE_SLOTS && slots.length == last + 1);
        assert_eq!(sum(&slots, Happening::Event), u64::from(u32::MAX));
    }

    /// Moments of a few scales, in any order: within a slot, within a turn, within days.
    fn moments() -> impl Strategy<Value = Vec<(u64, usize, usize)>> {
        let at = prop_oneof![0..1000_u64, 0..120_000_u64, 0..300_000_000_u64];
        prop::collection::vec((at, 0..Happening::COUNT, 0..5_usize), 0..200)
    }

    proptest! {
        #[test]
        fn any_moments_are_all_counted_where_they_were_and_the_bound_holds(moments in moments()) {
            let mut slots = Slots::default();
            for (at, what, times) in &moments {
                slots.count(Duration::from_millis(*at), ALL[*what], *times);
                prop_assert!(slots.length <= limits::TIMELINE_SLOTS);
                prop_assert!(slots.columns.iter().all(|column| column.len() <= slots.length));
            }
            // The width follows from the latest moment alone, not from the way there.
            let latest = moments.iter().map(|(at, ..)| *at).max().unwrap_or(0);
            let mut width = 250;
            while latest / width >= limits::TIMELINE_SLOTS as u64 {
                width *= 2;
            }
            prop_assert_eq!(slots.width_ms(), width);
            // What a plain count of each moment into its final slot comes to.
            for (place, what) in ALL.into_iter().enumerate() {
                let mut expected = vec![0_u32; slots.length];
                for (at, _, times) in moments.iter().filter(|(_, what, _)| *what == place) {
                    expected[usize::try_from(at / width).unwrap()] += u32::try_from(*times).unwrap();
                }
                prop_assert_eq!(slots.column(what), expected);
            }
        }
    }
}
