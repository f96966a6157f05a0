//! Families of the turn floor: dispatches, polls, events, verdicts, each by box and by its kind. A
//! box's label is its configured name.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::mode::{BoxKind, Outcome};

/// The families; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    dispatches: IntCounterVec,
    unanswered: IntCounterVec,
    resumed: IntCounterVec,
    events: IntCounterVec,
    polls: IntCounterVec,
    verdicts: IntCounterVec,
    withdrawn: IntCounterVec,
}

/// What is counted of one box.
#[derive(Debug, Clone)]
pub struct OfBox {
    /// Prompts sent to it, repeats after a failed connection included.
    pub dispatches: IntCounter,
    /// Prompts that left and were not answered.
    pub unanswered: IntCounter,
    /// Turns taken up again after a restart.
    pub resumed: IntCounter,
    /// Events read from it.
    pub events: IntCounter,
    families: Metrics,
    box_name: String,
    kind: BoxKind,
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
        let labelled = |name: &str, help: &str, own: &[&str]| {
            let labels = [&["box", "kind"], own].concat();
            let family = IntCounterVec::new(Opts::new(name, help), &labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        Ok(Self {
            dispatches: labelled("afterbay_dispatches_total", "Prompts sent to boxes.", &[])?,
            unanswered: labelled(
                "afterbay_dispatches_unanswered_total",
                "Prompts that left for a box and were not answered.",
                &[],
            )?,
            resumed: labelled(
                "afterbay_turns_resumed_total",
                "Turns taken up after a restart.",
                &[],
            )?,
            events: labelled("afterbay_box_events_total", "Events read from boxes.", &[])?,
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

    /// The counters of the box that has this name in the configuration.
    #[must_use]
    pub fn of_box(&self, box_name: &str, kind: BoxKind) -> OfBox {
        let plain = |family: &IntCounterVec| family.with_label_values(&[box_name, kind.as_str()]);
        OfBox {
            dispatches: plain(&self.dispatches),
            unanswered: plain(&self.unanswered),
            resumed: plain(&self.resumed),
            events: plain(&self.events),
            families: self.clone(),
            box_name: box_name.to_owned(),
            kind,
        }
    }
}

impl OfBox {
    /// Polls with this result.
    #[must_use]
    pub fn polls(&self, result: PollResult) -> IntCounter {
        self.labelled(&self.families.polls, &[result.label()])
    }

    /// Verdicts with this outcome; `code` comes from a closed set.
    #[must_use]
    pub fn verdict(&self, outcome: Outcome, code: &str) -> IntCounter {
        self.labelled(&self.families.verdicts, &[outcome.as_str(), code])
    }

    /// Turns that were given up before the box took them; `code` comes from a closed set.
    #[must_use]
    pub fn withdrawn(&self, code: &'static str) -> IntCounter {
        self.labelled(&self.families.withdrawn, &[code])
    }

    fn labelled(&self, family: &IntCounterVec, own: &[&str]) -> IntCounter {
        family.with_label_values(&[&[self.box_name.as_str(), self.kind.as_str()], own].concat())
    }
}
