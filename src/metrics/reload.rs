//! The family about reading the configuration anew.

use prometheus::{IntCounterVec, Registry};

use super::families::Families;

/// The handle; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics(IntCounterVec);

/// How a reload went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What can change counts now.
    Done,
    /// There was a mistake in it; all stays as it was.
    Refused,
}

impl Outcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

impl Metrics {
    /// Registers the family.
    ///
    /// # Errors
    /// If its name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Times that the configuration was read anew, by result.";
        let reloads = Families(registry).counters(("afterbay_reloads_total", help), &["result"])?;
        let metrics = Self(reloads);
        for outcome in [Outcome::Done, Outcome::Refused] {
            // Both are there from the start, so that the first one shows as an increase.
            metrics.0.with_label_values(&[outcome.label()]);
        }
        Ok(metrics)
    }

    /// Counts one.
    pub fn count(&self, outcome: Outcome) {
        self.0.with_label_values(&[outcome.label()]).inc();
    }
}
