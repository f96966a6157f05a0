//! The family about spans on their way to a collector of traces.

use prometheus::{IntCounterVec, Registry};

use super::families::Families;

/// The handle; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics(IntCounterVec);

/// What became of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The collector has it.
    Exported,
    /// There was no place for it in the queue.
    Dropped,
    /// The collector refused it, or was away for too long.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Exported, Self::Dropped, Self::Failed];

    const fn label(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

impl Metrics {
    /// Registers the family.
    ///
    /// # Errors
    /// If its name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Spans of traces, by what became of them.";
        let spans =
            Families(registry).counters(("afterbay_trace_spans_total", help), &["result"])?;
        let metrics = Self(spans);
        for outcome in Outcome::ALL {
            // All are there from the start, so that the first one shows as an increase.
            metrics.count(outcome, 0);
        }
        Ok(metrics)
    }

    /// Counts so many.
    pub fn count(&self, outcome: Outcome, spans: u64) {
        self.0.with_label_values(&[outcome.label()]).inc_by(spans);
    }

    /// How many were counted.
    #[must_use]
    pub fn counted(&self, outcome: Outcome) -> u64 {
        self.0.with_label_values(&[outcome.label()]).get()
    }
}
