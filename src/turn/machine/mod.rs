//! What happens next to a turn: the only place that decides.
//!
//! Pure: no I/O, no clock, no rng. The driver does what an [`Action`] says and feeds back what
//! happened as an [`Input`], with the time. `LIFECYCLE.md` draws the states. The rules that guard
//! a user's work:
//! - A prompt is dispatched only from `prepared`, and only once, unless it surely never left, or
//!   is not found at a box that tells repeats (`search`).
//! - A failed call is not "still running", and quiet is not dead: each has a deadline of its own.
//! - A turn that the box may have ends in one verdict; one that it never took is withdrawn.
//! - A finished machine accepts nothing more: it answers [`Action::Stop`] for ever.

mod action;
mod deadline;
mod input;
mod resume_point;
mod search;
mod seen;

use std::time::Duration;

use tokio::time::Instant;

use crate::limits;
use crate::mode::Phase;
use crate::upstream::schedule::Pace;
use crate::upstream::{Depth, Ending};

use super::Deadlines;
use super::verdict::{Code, Verdict, Withdrawal};
pub use action::Action;
use deadline::same_deadline;
pub use input::{Failure, Input, Seen};
pub use resume_point::{ResumePoint, Stage};
use search::Search;

/// The state of one turn.
#[derive(Debug)]
pub struct Machine {
    phase: Phase,
    deadlines: Deadlines,
    turn_ends: Instant,
    /// Before the dispatch: when to give up. After it: when the agent must have been seen.
    start_ends: Instant,
    /// The body is in memory; without it nothing can be dispatched.
    has_body: bool,
    cancel_asked: bool,
    /// Since when, and how, every call has failed.
    failing: Option<(Instant, Failure)>,
    /// Since when nothing of the turn could be seen, however the calls failed.
    unseen_since: Option<Instant>,
    /// Since when the turn shows nothing new.
    quiet_since: Instant,
    /// Since when the box has been idle without a verdict, or without knowledge of the turn.
    unfinished_since: Option<Instant>,
    /// Since when the answer is complete while the box says busy.
    lingering_since: Option<Instant>,
    /// The box's verdict, as long as the last sight of it showed one.
    ending: Option<Ending>,
    /// When the box was last asked to stop.
    stop_sent: Option<Instant>,
    /// The box's verdict as the dispatch stream told it: stands if nothing more is seen.
    told_ending: Option<Ending>,
    /// What is known of a prompt that is looked for.
    search: Search,
    /// The verdict, while its close-out is not durable yet; a withdrawal likewise.
    closing: Option<Action>,
}

impl Machine {
    /// A new turn, accepted at `now`.
    #[must_use]
    pub fn new(now: Instant, deadlines: Deadlines) -> Self {
        Self {
            phase: Phase::Accepted,
            turn_ends: now + deadlines.turn,
            start_ends: now + deadlines.start,
            deadlines,
            has_body: true,
            cancel_asked: false,
            failing: None,
            unseen_since: None,
            quiet_since: now,
            unfinished_since: None,
            lingering_since: None,
            ending: None,
            stop_sent: None,
            told_ending: None,
            search: Search::new(now),
            closing: None,
        }
    }

    /// A turn that the log remembers. What remains of each deadline is clamped, so that a clock
    /// that jumped cannot extend it.
    #[must_use]
    pub fn resumed(now: Instant, deadlines: Deadlines, point: &ResumePoint) -> Self {
        let ResumePoint { stage, accepted_ago, stage_ago, cancel_asked, repeated } = point;
        let turn_ends = now + deadlines.turn.saturating_sub(*accepted_ago);
        let start_ends = now + deadlines.start.saturating_sub(*stage_ago);
        let phase = match stage {
            Stage::Accepted => Phase::Accepted,
            Stage::Prepared => Phase::Resolving,
            Stage::Dispatched => Phase::Running,
        };
        let cancel_asked = *cancel_asked;
        let search = Search::resumed(now, *repeated);
        let fresh = Self::new(now, deadlines);
        Self { phase, turn_ends, start_ends, has_body: false, cancel_asked, search, ..fresh }
    }

    /// With the body in memory, although the turn is resumed.
    #[must_use]
    pub const fn with_body(mut self) -> Self {
        self.has_body = true;
        self
    }

    /// Where the turn is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Since when nothing new was seen; what could not be seen is left out, as for its deadline.
    #[must_use]
    pub const fn quiet_since(&self) -> Instant {
        self.quiet_since
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub const fn is_cancel_asked(&self) -> bool {
        self.cancel_asked
    }

    /// How long the turn has shown nothing new, time in which it could not be seen left out. What the
    /// page in hand brings does not count yet.
    #[must_use]
    pub fn quiet_for(&self, now: Instant) -> Duration {
        let unseen = self.unseen_since.map_or(Duration::ZERO, |since| now.duration_since(since));
        now.duration_since(self.quiet_since).saturating_sub(unseen)
    }

    /// What to do first. A resumed turn whose time ran out meanwhile is looked at once all the
    /// same: the box may have finished it long ago.
    pub fn begin(&mut self, now: Instant) -> Action {
        match self.phase {
            Phase::Resolving => Action::Find,
            Phase::Running => Action::Poll(Depth::Messages),
            Phase::Accepted
            | Phase::Prepared
            | Phase::Dispatching
            | Phase::Waiting
            | Phase::Draining
            | Phase::Finished => self.next(now),
        }
    }

    /// Takes in what happened and says what to do next.
    pub fn step(&mut self, now: Instant, input: Input) -> Action {
        if self.phase == Phase::Finished {
            return Action::Stop;
        }
        if let Some(closing) = &self.closing {
            return self.closed_or_again(now, &input, closing.clone());
        }
        if self.phase == Phase::Dispatching && self.search.settled {
            return self.repeat_answered(now, input);
        }
        match input {
            Input::Tick => self.next(now),
            Input::BodyArrived => {
                self.has_body = true;
                self.next(now)
            }
            Input::CredentialArrived => self.next(now),
            Input::CancelAsked => self.cancel(now),
            Input::LogRefused => self.log_refused(now),
            Input::Prepared => self.prepared(now),
            Input::Dispatched(ending) => self.dispatched(now, ending),
            Input::NotSent => self.not_sent(now),
            Input::Unanswered => self.unanswered(now),
            Input::Unnamed => self.unnamed(now),
            Input::Absent(boot) => self.absent(now, boot),
            Input::Gone => self.gone(now),
            Input::Forgotten => self.close(Action::Withdraw(Withdrawal::SessionLost)),
            Input::Refused => self.close(Action::Withdraw(Withdrawal::Refused)),
            Input::Failed(failure) => self.failed(now, failure),
            Input::Polled(seen) => self.polled(now, seen),
        }
    }

    /// Says that the close-out, or the withdrawal, is durable.
    pub fn closed(&mut self) {
        self.phase = Phase::Finished;
        self.closing = None;
    }

    /// The work of the phase, or the verdict of a deadline that has passed.
    fn next(&mut self, now: Instant) -> Action {
        match self.phase {
            Phase::Accepted | Phase::Prepared | Phase::Dispatching => {
                self.next_before_dispatch(now)
            }
            Phase::Resolving => self.overdue(now).map_or(Action::Find, |end| self.close(end)),
            Phase::Running | Phase::Waiting => {
                self.overdue(now).map_or(Action::Poll(Depth::Status), |end| self.close(end))
            }
            Phase::Draining => Action::Poll(Depth::Messages),
            Phase::Finished => Action::Stop,
        }
    }

    fn next_before_dispatch(&mut self, now: Instant) -> Action {
        if self.cancel_asked {
            return self.close(Action::Withdraw(Withdrawal::Cancelled));
        }
        if now >= self.start_ends {
            return self.close(Action::Withdraw(self.unsent_reason()));
        }
        if !self.has_body {
            return Action::Await(self.start_ends);
        }
        match self.phase {
            Phase::Prepared | Phase::Dispatching => {
                self.phase = Phase::Dispatching;
                Action::Dispatch
            }
            Phase::Accepted
            | Phase::Resolving
            | Phase::Running
            | Phase::Waiting
            | Phase::Draining
            | Phase::Finished => Action::Prepare,
        }
    }

    fn unsent_reason(&self) -> Withdrawal {
        match self.failing {
            _ if !self.has_body => Withdrawal::NeverSent,
            Some((_, Failure::Unreachable)) => Withdrawal::BoxUnreachable,
            Some((_, Failure::Nonsense)) => Withdrawal::BoxError,
            // The box kept asking for patience, or refused the credential: that is its answer.
            Some((_, Failure::Later(_) | Failure::Unauthorized)) => Withdrawal::Refused,
            None => Withdrawal::LogUnavailable,
        }
    }

    fn prepared(&mut self, now: Instant) -> Action {
        self.failing = None;
        self.phase = Phase::Prepared;
        self.next(now)
    }

    fn dispatched(&mut self, now: Instant, ending: Option<Ending>) -> Action {
        self.failing = None;
        self.unseen_since = None;
        self.told_ending = ending;
        self.phase = Phase::Running;
        self.start_ends = now + self.deadlines.start;
        self.quiet_since = now;
        if self.cancel_asked { self.stop_box(now) } else { Action::Poll(Depth::Status) }
    }

    fn stop_box(&mut self, now: Instant) -> Action {
        self.stop_sent = Some(now);
        Action::CancelAtBox
    }

    fn not_sent(&mut self, now: Instant) -> Action {
        self.phase = Phase::Prepared;
        self.failed(now, Failure::Unreachable)
    }

    fn cancel(&mut self, now: Instant) -> Action {
        self.cancel_asked = true;
        match self.phase {
            // The box was asked by whoever asked us; look at once.
            Phase::Running | Phase::Waiting => {
                self.stop_sent = Some(now);
                Action::Poll(Depth::Messages)
            }
            Phase::Accepted
            | Phase::Prepared
            | Phase::Dispatching
            | Phase::Resolving
            | Phase::Draining
            | Phase::Finished => self.next(now),
        }
    }

    fn failed(&mut self, now: Instant, failure: Failure) -> Action {
        let since = match self.failing {
            Some((since, before)) if same_deadline(before, failure) => since,
            Some(_) | None => now,
        };
        self.failing = Some((since, failure));
        self.doubt_the_box(failure);
        self.unseen_since.get_or_insert(now);
        if let Some(end) = self.overdue(now) {
            return self.close(end);
        }
        match failure {
            Failure::Unreachable | Failure::Nonsense => self.pause(now, Pace::Failing),
            Failure::Unauthorized => self.pause(now, Pace::Waiting),
            Failure::Later(Some(wait)) => self.pause(now, Pace::After(wait)),
            Failure::Later(None) => self.pause(now, Pace::Failing),
        }
    }

    fn finish(&mut self, code: Code) -> Action {
        self.close(Action::Finish { verdict: Verdict::ours(code), stop_box: false })
    }

    /// From here on the machine only waits for [`Machine::closed`].
    fn close(&mut self, end: Action) -> Action {
        self.closing = Some(end.clone());
        end
    }

    /// The close-out is not durable yet: wait after a refusal of the log, else try (again).
    fn closed_or_again(&self, now: Instant, input: &Input, closing: Action) -> Action {
        match (input, closing) {
            (Input::LogRefused, _) => {
                let until = now + limits::CLOSE_OUT_RETRY;
                Action::Pause { pace: Pace::Failing, until }
            }
            // The box was asked to stop once; the verdict does not wait for it.
            (_, Action::Finish { verdict, .. }) => Action::Finish { verdict, stop_box: false },
            (_, other) => other,
        }
    }
}
