//! What is counted of one box and its turns: the turn floor's families under the box's labels.

use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::life::Life;
use super::turn::{DispatchAnswer, Metrics, Need, PollResult};
use crate::mode::{BoxKind, Mode, Outcome, Phase};

/// The counters of one box; clones share them.
#[derive(Debug, Clone)]
pub struct OfBox {
    /// Turns in the log.
    pub accepted: IntCounter,
    /// Prompts sent to it, repeats after a failed connection included.
    pub dispatches: IntCounter,
    /// Prompts that left and were not answered.
    pub unanswered: IntCounter,
    /// Prompts sent once more because they were not found.
    pub repeated: IntCounter,
    /// Turns taken up again after a restart.
    pub resumed: IntCounter,
    /// Events read from it.
    pub events: IntCounter,
    families: Metrics,
    box_name: String,
    kind: BoxKind,
}

impl OfBox {
    pub(super) fn new(families: Metrics, box_name: &str, kind: BoxKind) -> Self {
        let plain = |family: &IntCounterVec| family.with_label_values(&[box_name, kind.as_str()]);
        // What passes in another mode is not known to be a turn.
        let accepted = [box_name, kind.as_str(), Mode::Poll.as_str()];
        Self {
            accepted: families.accepted.with_label_values(&accepted),
            dispatches: plain(&families.dispatches),
            unanswered: plain(&families.unanswered),
            repeated: plain(&families.repeated),
            resumed: plain(&families.resumed),
            events: plain(&families.events),
            box_name: box_name.to_owned(),
            kind,
            families,
        }
    }

    /// Puts everything at 0 that has not been counted yet, so that the first of each shows as an
    /// increase. The codes of verdicts and withdrawals and the classes of errors are not known here.
    pub fn begin(&self) {
        PollResult::ALL.into_iter().for_each(|result| drop(self.polls(result)));
        DispatchAnswer::ALL.into_iter().for_each(|answer| drop(self.answer(answer)));
        for phase in Phase::UNFINISHED {
            drop(self.in_phase(phase));
            drop(self.families.phase_seconds.with_label_values(&self.kind_and(phase)));
        }
        Need::ALL.into_iter().for_each(|need| drop(self.waiting(need)));
        drop(self.quiet());
        self.families.quiet_seconds.with_label_values(&[self.kind.as_str()]);
        self.families.poll_events.with_label_values(&[self.kind.as_str()]);
    }

    /// A new turn's place in the gauges.
    #[must_use]
    pub fn life(&self) -> Life {
        Life::new(self.clone())
    }

    /// Polls with this result.
    #[must_use]
    pub fn polls(&self, result: PollResult) -> IntCounter {
        self.counter(&self.families.polls, &[result.as_str()])
    }

    /// A poll brought events.
    pub fn polled(&self, events: usize) {
        let family = &self.families.poll_events;
        family.with_label_values(&[self.kind.as_str()]).observe(events as f64);
    }

    /// Dispatches that came to this.
    #[must_use]
    pub fn answer(&self, answer: DispatchAnswer) -> IntCounter {
        self.counter(&self.families.answers, &[answer.as_str()])
    }

    /// Calls that brought nothing; `class` comes from a closed set.
    #[must_use]
    pub fn errors(&self, class: &'static str) -> IntCounter {
        self.counter(&self.families.errors, &[class])
    }

    /// Verdicts with this outcome; `code` comes from a closed set.
    #[must_use]
    pub fn verdict(&self, outcome: Outcome, code: &str) -> IntCounter {
        self.counter(&self.families.finished, &[Mode::Poll.as_str(), outcome.as_str(), code])
    }

    /// Turns that were given up before the box took them; `code` comes from a closed set.
    #[must_use]
    pub fn withdrawn(&self, code: &'static str) -> IntCounter {
        self.counter(&self.families.withdrawn, &[code])
    }

    /// A silence of a turn at work has ended.
    pub fn was_quiet(&self, quiet: Duration) {
        let family = &self.families.quiet_seconds;
        family.with_label_values(&[self.kind.as_str()]).observe(quiet.as_secs_f64());
    }

    pub(super) fn was_in(&self, phase: Phase, time: Duration) {
        let family = &self.families.phase_seconds;
        family.with_label_values(&self.kind_and(phase)).observe(time.as_secs_f64());
    }

    const fn kind_and(&self, phase: Phase) -> [&'static str; 2] {
        [self.kind.as_str(), phase.as_str()]
    }

    pub(super) fn in_phase(&self, phase: Phase) -> IntGauge {
        self.gauge(&self.families.in_phase, &[phase.as_str()])
    }

    pub(super) fn quiet(&self) -> IntGauge {
        self.gauge(&self.families.quiet, &[])
    }

    pub(super) fn waiting(&self, need: Need) -> IntGauge {
        self.gauge(&self.families.waiting, &[need.as_str()])
    }

    fn counter(&self, family: &IntCounterVec, own: &[&str]) -> IntCounter {
        family.with_label_values(&self.labels(own))
    }

    fn gauge(&self, family: &IntGaugeVec, own: &[&str]) -> IntGauge {
        family.with_label_values(&self.labels(own))
    }

    fn labels<'a>(&'a self, own: &[&'a str]) -> Vec<&'a str> {
        [&[self.box_name.as_str(), self.kind.as_str()], own].concat()
    }
}
