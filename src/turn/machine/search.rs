//! Looking for a prompt that left and was not answered.
//!
//! It is looked for until the start deadline. Once, after a grace, it may be sent again under the
//! same ids: only if the box tells repeats by them, and only if nothing speaks for the box having
//! been started anew since, for then it may have run the prompt and forgotten both. Without the
//! body (after a restart) that waits until somebody repeats the request.

use tokio::time::Instant;

use crate::mode::Phase;
use crate::turn::verdict::Code;
use crate::upstream::schedule::Pace;
use crate::upstream::{Boot, Redispatch};

use super::{Action, Failure, Input, Machine};

/// What is known while a prompt is looked for.
#[derive(Debug)]
pub(super) struct Search {
    /// Whether the box tells repeats.
    pub(super) redispatch: Redispatch,
    /// Since when it is looked for, in this process.
    since: Instant,
    /// It was sent again, or the box was heard to have it: never (again).
    pub(super) settled: bool,
    /// Something happened that a box which is started anew would look like: a call that failed, or
    /// a time in which nobody watched.
    doubt: bool,
    /// The box has been started anew.
    box_restarted: bool,
}

impl Search {
    pub(super) const fn new(now: Instant) -> Self {
        let redispatch = Redispatch::Never;
        Self { redispatch, since: now, settled: false, doubt: false, box_restarted: false }
    }

    /// Goes on with one that another process began; `repeated` if that had sent it again.
    pub(super) const fn resumed(now: Instant, repeated: bool) -> Self {
        Self { settled: repeated, doubt: true, ..Self::new(now) }
    }
}

impl Machine {
    /// Lets an unanswered prompt be sent again, if the box allows it.
    #[must_use]
    pub const fn with_redispatch(mut self, redispatch: Redispatch) -> Self {
        self.search.redispatch = redispatch;
        self
    }

    /// Whether the turn would go on, or could, if its body came (again).
    #[must_use]
    pub fn wants_body(&self) -> bool {
        let could_repeat = self.phase == Phase::Resolving && self.may_repeat();
        !self.has_body && self.closing.is_none() && (self.is_before_dispatch() || could_repeat)
    }

    fn may_repeat(&self) -> bool {
        let Search { redispatch, settled, box_restarted, doubt: _, since: _ } = self.search;
        let in_vain = settled || box_restarted || self.cancel_asked;
        redispatch == Redispatch::Deduped && !in_vain
    }

    /// The prompt left, and nothing was heard. What failed before it left says nothing: a box that
    /// was started anew then has lost nothing of it.
    pub(super) fn unanswered(&mut self, now: Instant) -> Action {
        self.phase = Phase::Resolving;
        self.search.since = now;
        self.search.doubt = false;
        Action::Find
    }

    /// The box has it, and did not say where.
    pub(super) fn unnamed(&mut self, now: Instant) -> Action {
        self.search.settled = true;
        self.unanswered(now)
    }

    /// What the answer to a prompt that was sent again means. The first one may still have
    /// arrived, so whatever it is, only a yes ends the search.
    pub(super) fn repeat_answered(&mut self, now: Instant, input: Input) -> Action {
        self.phase = Phase::Resolving;
        match input {
            Input::Dispatched(ending) => self.dispatched(now, ending),
            Input::NotSent => self.failed(now, Failure::Unreachable),
            Input::Refused => self.absent(now, Boot::Unknown),
            Input::Failed(failure) => self.failed(now, failure),
            Input::Absent(boot) => self.absent(now, boot),
            Input::Gone => self.gone(now),
            Input::CancelAsked => self.cancel(now),
            Input::LogRefused => self.log_refused(now),
            Input::Unanswered
            | Input::Unnamed
            | Input::Tick
            | Input::Prepared
            | Input::Forgotten
            | Input::BodyArrived
            | Input::CredentialArrived
            | Input::Polled(_) => self.next(now),
        }
    }

    /// Before the dispatch the same step is tried again. A dispatch whose acceptance the log did
    /// not take is looked for again: the box has it. A page is read again: its cursor has not moved.
    pub(super) fn log_refused(&mut self, now: Instant) -> Action {
        if self.phase == Phase::Dispatching {
            self.phase = Phase::Resolving;
            self.search.settled = true;
        }
        self.pause(now, Pace::Failing)
    }

    /// A call failed while the prompt is looked for.
    pub(super) fn doubt_the_box(&mut self, failure: Failure) {
        match failure {
            // One that asks for patience may be warming up after a start.
            Failure::Unreachable | Failure::Nonsense | Failure::Later(_) => {
                self.search.doubt = true;
            }
            // The box is there and says what it wants.
            Failure::Unauthorized => {}
        }
    }

    /// A session that is gone shows no prompt and never will; a box that was started anew since
    /// looks the same.
    pub(super) fn gone(&mut self, now: Instant) -> Action {
        self.search.doubt = true;
        self.absent(now, Boot::Unknown)
    }

    /// The box was searched and does not show the prompt.
    pub(super) fn absent(&mut self, now: Instant, boot: Boot) -> Action {
        self.failing = None;
        let surely_the_same = match boot {
            Boot::Same => true,
            Boot::Unknown => !self.search.doubt,
            Boot::Changed => {
                self.search.box_restarted = true;
                false
            }
        };
        if now >= self.start_ends {
            let lost = self.search.box_restarted;
            return self.finish(if lost { Code::BoxLost } else { Code::DispatchUnconfirmed });
        }
        let waited = now.duration_since(self.search.since) >= self.deadlines.redispatch;
        if waited && surely_the_same && self.has_body && self.may_repeat() {
            self.search.settled = true;
            self.phase = Phase::Dispatching;
            return Action::Redispatch;
        }
        self.pause(now, Pace::Active)
    }
}
