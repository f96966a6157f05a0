//! Families about the Sandbox API: the boxes that its answers tell of, and what was done for them.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::families::Families;

const BOXES: (&str, &str) =
    ("afterbay_api_boxes", "Boxes that are known from answers of the Sandbox API.");
const CHANGES: (&str, &str) = (
    "afterbay_api_box_changes_total",
    "What became of boxes of the Sandbox API, by kind of change.",
);
const LEFT: (&str, &str) = (
    "afterbay_api_objects_left_total",
    "Sandbox objects passed on with their own URL, by why: their clients go around afterbay.",
);
const UNREADABLE: (&str, &str) = (
    "afterbay_api_answers_unreadable_total",
    "Answers of the Sandbox API that were not passed on, since they could not be read.",
);
const RETRIES: (&str, &str) =
    ("afterbay_api_create_retries_total", "Failed creates of sandboxes that were sent once more.");

/// What became of a box, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not known before.
    Learned,
    /// It is somewhere else now.
    Moved,
    /// Its sandbox was deleted.
    Deleted,
    /// It was not seen for too long.
    Expired,
    /// It made room for others.
    Evicted,
}

impl Change {
    const ALL: [Self; 5] =
        [Self::Learned, Self::Moved, Self::Deleted, Self::Expired, Self::Evicted];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Moved => "moved",
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::Evicted => "evicted",
        }
    }
}

/// Why an object was left as it came, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Its id cannot stand in a path.
    Id,
    /// A configured box has its id as its name.
    Taken,
    /// Its URL is none, or leads where boxes must not be.
    Url,
    /// So many boxes are known already.
    Full,
}

impl Left {
    const ALL: [Self; 4] = [Self::Id, Self::Taken, Self::Url, Self::Full];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Taken => "taken",
            Self::Url => "url",
            Self::Full => "full",
        }
    }
}

/// The handles; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Boxes that are known, and not deleted.
    pub boxes: IntGauge,
    changes: IntCounterVec,
    left: IntCounterVec,
    /// Answers that could not be read.
    pub unreadable: IntCounter,
    /// Creates that were sent once more.
    pub retries: IntCounter,
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let of = Families(registry);
        let changes = of.counters(CHANGES, &["change"])?;
        let left = of.counters(LEFT, &["why"])?;
        // All are there from the start: a series that is born at 1 has not increased.
        Change::ALL
            .into_iter()
            .for_each(|change| drop(changes.with_label_values(&[change.as_str()])));
        Left::ALL.into_iter().for_each(|why| drop(left.with_label_values(&[why.as_str()])));
        Ok(Self {
            boxes: of.gauge(BOXES)?,
            changes,
            left,
            unreadable: of.counter(UNREADABLE)?,
            retries: of.counter(RETRIES)?,
        })
    }

    /// A box changed.
    pub fn changed(&self, change: Change) {
        self.changes.with_label_values(&[change.as_str()]).inc();
    }

    /// An object was left as it came.
    pub fn left(&self, why: Left) {
        self.left.with_label_values(&[why.as_str()]).inc();
    }
}
