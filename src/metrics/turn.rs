//! Families of the turn floor: dispatches, polls, events, verdicts.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::mode::Outcome;

/// The handles; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Prompts sent to boxes, repeats after a failed connection included.
    pub dispatches: IntCounter,
    /// Prompts that left and were not answered.
    pub unanswered: IntCounter,
    /// Turns taken up again after a restart.
    pub resumed: IntCounter,
    /// Events read from boxes.
    pub events: IntCounter,
    polls: IntCounterVec,
    verdicts: IntCounterVec,
    withdrawn: IntCounterVec,
}

/// What a poll came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollResult {
    /// It brought events.
    Changed,
    /// It brought none.
    Unchanged,
    /// It failed.
    Failed,
}

impl PollResult {
    const fn label(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let labelled = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        Ok(Self {
            dispatches: counter("afterbay_dispatches_total", "Prompts sent to boxes.")?,
            unanswered: counter(
                "afterbay_dispatches_unanswered_total",
                "Prompts that left for a box and were not answered.",
            )?,
            resumed: counter("afterbay_turns_resumed_total", "Turns taken up after a restart.")?,
            events: counter("afterbay_box_events_total", "Events read from boxes.")?,
            polls: labelled("afterbay_polls_total", "Polls of boxes by result.", &["result"])?,
            verdicts: labelled(
                "afterbay_turns_finished_total",
                "Turns that got their verdict, by outcome and code.",
                &["outcome", "code"],
            )?,
            withdrawn: labelled(
                "afterbay_turns_withdrawn_total",
                "Turns that the box never took, by code.",
                &["code"],
            )?,
        })
    }

    /// Polls with this result.
    #[must_use]
    pub fn polls(&self, result: PollResult) -> IntCounter {
        self.polls.with_label_values(&[result.label()])
    }

    /// Verdicts with this outcome; `code` comes from a closed set.
    #[must_use]
    pub fn verdict(&self, outcome: Outcome, code: &str) -> IntCounter {
        self.verdicts.with_label_values(&[outcome.as_str(), code])
    }

    /// Turns that were given up before the box took them; `code` comes from a closed set.
    #[must_use]
    pub fn withdrawn(&self, code: &'static str) -> IntCounter {
        self.withdrawn.with_label_values(&[code])
    }
}
