//! What a page of the box means for its turn: at work, waiting, over, or left unfinished.

use tokio::time::Instant;

use crate::limits;
use crate::mode::Phase;
use crate::turn::verdict::{Code, Verdict};
use crate::upstream::schedule::Pace;
use crate::upstream::{Activity, Depth, Ending};

use super::{Action, Machine, Seen};

impl Machine {
    pub(super) fn polled(&mut self, now: Instant, seen: Seen) -> Action {
        self.failing = None;
        self.leave_out_unseen(now);
        if seen.changed || seen.activity == Activity::Waiting {
            // Waiting for a person is not quiet.
            self.quiet_since = now;
        }
        if seen.started {
            // Seen at work: the start deadline has done its duty.
            self.start_ends = self.turn_ends;
        }
        let over = matches!(seen.activity, Activity::Idle | Activity::Gone);
        // A box that forgets the session takes nothing back of what it had said.
        let before = self.ending.take().filter(|_| seen.activity == Activity::Gone);
        self.ending = seen.ending.clone().or(before).or_else(|| self.told_ending.clone());
        match (&self.ending, over) {
            (Some(ending), true) => self.drained(ending.clone()),
            (Some(ending), false) => self.lingering(now, ending.clone()),
            (None, true) => self.unfinished(now, &seen),
            (None, false) => self.at_work(now, seen.activity, seen.changed),
        }
    }

    /// A time that could not be seen was neither quiet nor idle nor lingering, so it does not count.
    /// A box that was away for as long as a lost turn's grace may have been started anew, and gets
    /// all of it again.
    fn leave_out_unseen(&mut self, now: Instant) {
        let Some(since) = self.unseen_since.take() else { return };
        let unseen = now.duration_since(since);
        self.quiet_since += unseen;
        let was_away = unseen >= self.deadlines.lost;
        for grace in [&mut self.unfinished_since, &mut self.lingering_since] {
            *grace = grace.filter(|_| !was_away).map(|began| began + unseen);
        }
    }

    /// The box is done and idle; one more read after the first such one, for what came late.
    fn drained(&mut self, ending: Ending) -> Action {
        if self.phase != Phase::Draining {
            self.phase = Phase::Draining;
            return Action::Poll(Depth::Messages);
        }
        self.close(Action::Finish { verdict: self.judge(ending), stop_box: false })
    }

    /// The answer is complete, but the box still says busy.
    fn lingering(&mut self, now: Instant, ending: Ending) -> Action {
        self.phase = Phase::Running;
        let since = *self.lingering_since.get_or_insert(now);
        if now.duration_since(since) >= limits::LINGER_GRACE {
            return self.close(Action::Finish { verdict: self.judge(ending), stop_box: false });
        }
        self.pause(now, Pace::Active)
    }

    /// Idle, or unknown to the box, without a verdict: not begun yet, stopped, or lost.
    fn unfinished(&mut self, now: Instant, seen: &Seen) -> Action {
        self.phase = Phase::Running;
        self.lingering_since = None;
        let since = *self.unfinished_since.get_or_insert(now);
        let unfinished_for = now.duration_since(since);
        if let Some(end) = self.overdue(now) {
            return self.close(end);
        }
        if self.cancel_asked && unfinished_for >= self.deadlines.lost.min(limits::CANCEL_GRACE) {
            return self.close(Action::Finish { verdict: Verdict::Cancelled, stop_box: false });
        }
        let known_at_box = seen.activity != Activity::Gone;
        if unfinished_for >= self.deadlines.lost && (seen.started || !known_at_box) {
            return self.finish(Code::BoxLost);
        }
        if now >= self.start_ends {
            // A box that does not know the session any more tells nothing about a beginning.
            return self.finish(if known_at_box { Code::NeverStarted } else { Code::BoxLost });
        }
        self.pause(now, Pace::Active)
    }

    fn at_work(&mut self, now: Instant, activity: Activity, changed: bool) -> Action {
        self.unfinished_since = None;
        self.lingering_since = None;
        self.phase = if activity == Activity::Waiting { Phase::Waiting } else { Phase::Running };
        if let Some(end) = self.overdue(now) {
            return self.close(end);
        }
        // A stop that reached the box before the prompt did was in vain: ask again.
        let asked_lately = |at| now.duration_since(at) < limits::STOP_REPEAT;
        if self.cancel_asked && !self.stop_sent.is_some_and(asked_lately) {
            return self.stop_box(now);
        }
        match (self.phase, changed) {
            (_, true) => self.pause(now, Pace::Active),
            (Phase::Waiting, false) => self.pause(now, Pace::Waiting),
            (_, false) => self.pause(now, Pace::Quiet),
        }
    }

    pub(super) fn judge(&self, ending: Ending) -> Verdict {
        match ending {
            Ending::Completed => Verdict::Completed,
            Ending::Cancelled => Verdict::Cancelled,
            Ending::Failed { code, message } => {
                Verdict::Failed { code: Code::Agent(code), message }
            }
        }
    }
}
