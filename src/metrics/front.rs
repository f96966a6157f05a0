//! Families about the Sandbox API: the boxes that its answers tell of, and what was done for them.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

const BOXES: (&str, &str) =
    ("afterbay_api_boxes", "Boxes that are known from answers of the Sandbox API.");
const CHANGES: (&str, &str) =
    ("afterbay_api_box_changes_total", "What became of such boxes, by kind of change.");
const LEFT: (&str, &str) = (
    "afterbay_api_objects_left_total",
    "Sandbox objects that were passed on with their own URL, by why: clients of these go around afterbay.",
);
const UNREADABLE: (&str, &str) = (
    "afterbay_api_answers_unreadable_total",
    "Answers of the Sandbox API that were not passed on, since they could not be read.",
);
const RETRIES: (&str, &str) =
    ("afterbay_api_create_retries_total", "Failed creates that were sent once more.");

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
        let plain = |(name, help): (&str, &str)| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let labelled = |(name, help): (&str, &str), label: &str| {
            let family = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let boxes = IntGauge::new(BOXES.0, BOXES.1)?;
        registry.register(Box::new(boxes.clone()))?;
        Ok(Self {
            boxes,
            changes: labelled(CHANGES, "change")?,
            left: labelled(LEFT, "why")?,
            unreadable: plain(UNREADABLE)?,
            retries: plain(RETRIES)?,
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
