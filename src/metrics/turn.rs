//! Families of the turn floor: where turns are, dispatches, polls, events, silences, verdicts, each by
//! box and by its kind. A box's label is its configured name.
//!
//! What is counted of one box is in `of_box`, what of one turn in `life`.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Registry};

use super::families::Families;
use super::of_box::OfBox;
use crate::mode::BoxKind;

const ACCEPTED: (&str, &str) =
    ("afterbay_turns_accepted_total", "Turns that are in the log, by the mode that they run in.");
const FINISHED: (&str, &str) =
    ("afterbay_turns_finished_total", "Turns that got their verdict, by mode, outcome and code.");
const WITHDRAWN: (&str, &str) =
    ("afterbay_turns_withdrawn_total", "Turns that the box never took, by code.");
const RESUMED: (&str, &str) = ("afterbay_turns_resumed_total", "Turns taken up after a restart.");
const IN_PHASE: (&str, &str) = ("afterbay_turns", "Turns without a verdict, by where they are.");
const PHASE_SECONDS: (&str, &str) =
    ("afterbay_turn_phase_seconds", "Time that turns spent in a phase, told when they leave it.");
const QUIET: (&str, &str) = (
    "afterbay_turns_quiet",
    "Turns at work that have shown nothing new for ten minutes, and can be seen.",
);
const QUIET_SECONDS: (&str, &str) = (
    "afterbay_turn_quiet_seconds",
    "Silences of turns at work, told when something new or the verdict ends them.",
);
const WAITING: (&str, &str) = (
    "afterbay_turns_waiting",
    "Turns that stand still until a client brings what they need: a credential, or the prompt.",
);
const DISPATCHES: (&str, &str) = ("afterbay_dispatches_total", "Prompts sent to boxes.");
const ANSWERS: (&str, &str) = (
    "afterbay_dispatch_answers_total",
    "What came of sending prompts; after not_sent and later it is tried again.",
);
const UNANSWERED: (&str, &str) =
    ("afterbay_dispatches_unanswered_total", "Prompts that left for a box and were not answered.");
const REPEATED: (&str, &str) = (
    "afterbay_dispatches_repeated_total",
    "Prompts sent once more under the same ids, since the box did not show them.",
);
const ERRORS: (&str, &str) =
    ("afterbay_box_errors_total", "Calls that brought a turn nothing, by class of the error.");
const EVENTS: (&str, &str) = ("afterbay_box_events_total", "Events read from boxes.");
const POLLS: (&str, &str) =
    ("afterbay_polls_total", "Polls of boxes by result; unchanged ones brought nothing new.");
const POLL_EVENTS: (&str, &str) =
    ("afterbay_poll_events", "Events that one poll brought, if it brought any.");

/// From a phase that only waits for an append or one call, over the minutes of a build and the
/// deadlines of a start (1 min) and of a box that is away (5 min), to a day, the longest turn.
const PHASE_TIMES: [f64; 10] =
    [0.01, 0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 14_400.0, 86_400.0];
/// The idle timers that hops have (30, 60, 100, 300 s) are edges: above one of them are the silences
/// that such a hop would have cut. Below are the poll intervals, above the hours of a test run.
const QUIET_TIMES: [f64; 11] =
    [1.0, 3.0, 10.0, 30.0, 60.0, 100.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0];
/// One change of one part, several parts at once, and what a first look after an outage brings.
const POLL_SIZES: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 32.0, 128.0, 1024.0];

/// The families; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) accepted: IntCounterVec,
    pub(super) finished: IntCounterVec,
    pub(super) withdrawn: IntCounterVec,
    pub(super) resumed: IntCounterVec,
    pub(super) in_phase: IntGaugeVec,
    pub(super) phase_seconds: HistogramVec,
    pub(super) quiet: IntGaugeVec,
    pub(super) quiet_seconds: HistogramVec,
    pub(super) waiting: IntGaugeVec,
    pub(super) dispatches: IntCounterVec,
    pub(super) answers: IntCounterVec,
    pub(super) unanswered: IntCounterVec,
    pub(super) repeated: IntCounterVec,
    pub(super) errors: IntCounterVec,
    pub(super) events: IntCounterVec,
    pub(super) polls: IntCounterVec,
    pub(super) poll_events: HistogramVec,
}

/// What a poll came to, as a label.
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
    pub(super) const ALL: [Self; 3] = [Self::Changed, Self::Unchanged, Self::Failed];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// What came of sending a prompt, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DispatchAnswer {
    /// The box has it.
    Accepted,
    /// No connection: nothing has left.
    NotSent,
    /// The box asks for patience.
    Later,
    /// The box does not take it.
    Refused,
    /// It left, and no clear answer came.
    Unanswered,
    /// The box has it and did not say where.
    Unnamed,
}

impl DispatchAnswer {
    pub(super) const ALL: [Self; 6] = [
        Self::Accepted,
        Self::NotSent,
        Self::Later,
        Self::Refused,
        Self::Unanswered,
        Self::Unnamed,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NotSent => "not_sent",
            Self::Later => "later",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Unnamed => "unnamed",
        }
    }
}

/// What only a client can bring, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A credential that the box accepts.
    Credential,
    /// The prompt, which a restart has lost before it was sent.
    Prompt,
}

impl Need {
    pub(super) const ALL: [Self; 2] = [Self::Credential, Self::Prompt];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Prompt => "prompt",
        }
    }
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        const BOX: [&str; 2] = ["box", "kind"];
        let of = Families(registry);
        let and = |own: &[&'static str]| [&BOX, own].concat();
        Ok(Self {
            accepted: of.counters(ACCEPTED, &and(&["mode"]))?,
            finished: of.counters(FINISHED, &and(&["mode", "outcome", "code"]))?,
            withdrawn: of.counters(WITHDRAWN, &and(&["code"]))?,
            resumed: of.counters(RESUMED, &BOX)?,
            in_phase: of.gauges(IN_PHASE, &and(&["phase"]))?,
            phase_seconds: of.histograms(PHASE_SECONDS, &["kind", "phase"], &PHASE_TIMES)?,
            quiet: of.gauges(QUIET, &BOX)?,
            quiet_seconds: of.histograms(QUIET_SECONDS, &["kind"], &QUIET_TIMES)?,
            waiting: of.gauges(WAITING, &and(&["need"]))?,
            dispatches: of.counters(DISPATCHES, &BOX)?,
            answers: of.counters(ANSWERS, &and(&["answer"]))?,
            unanswered: of.counters(UNANSWERED, &BOX)?,
            repeated: of.counters(REPEATED, &BOX)?,
            errors: of.counters(ERRORS, &and(&["class"]))?,
            events: of.counters(EVENTS, &BOX)?,
            polls: of.counters(POLLS, &and(&["result"]))?,
            poll_events: of.histograms(POLL_EVENTS, &["kind"], &POLL_SIZES)?,
        })
    }

    /// What is counted of the box that has this name in the configuration.
    #[must_use]
    pub fn of_box(&self, box_name: &str, kind: BoxKind) -> OfBox {
        OfBox::new(self.clone(), box_name, kind)
    }
}
