//! What opening finds each segment to be, and so what becomes of it.

use std::ops::Range;

/// What opening found a segment to be.
#[derive(Debug, Clone, Default)]
pub(super) enum State {
    /// Nothing of it counts.
    #[default]
    Dead,
    /// Nothing of it counted, and it is a blank by now.
    Retired,
    /// These groups of it count; it has no index.
    Unsealed(Range<u64>),
    /// It has an index.
    Sealed,
    /// Some of it is lost: it stays without an index, and is read anew at each opening.
    Damaged,
}

impl State {
    /// The group of this number in it counts.
    pub(super) fn count_group(&mut self, number: u64) {
        match self {
            Self::Unsealed(groups) => groups.end = number + 1,
            Self::Dead => *self = Self::Unsealed(number..number + 1),
            Self::Retired | Self::Sealed | Self::Damaged => {}
        }
    }
}
