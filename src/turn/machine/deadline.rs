//! The deadlines of a turn: which one comes next, and what it means when it has passed.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits;
use crate::mode::Phase;
use crate::turn::verdict::{Code, Verdict};
use crate::upstream::schedule::Pace;

use super::{Action, Failure, Machine};

impl Machine {
    /// The end that a passed deadline means, if one has passed.
    pub(super) fn overdue(&self, now: Instant) -> Option<Action> {
        if self.is_before_dispatch() {
            let late = now >= self.start_ends;
            return late.then(|| Action::Withdraw(self.unsent_reason()));
        }
        // What the box had said before it could not be seen any more is the verdict.
        let ended = self.ending.clone().map(|ending| self.judge(ending));
        if now >= self.turn_ends {
            let stop_box = ended.is_none();
            let verdict = ended.unwrap_or_else(|| Verdict::ours(Code::TurnDeadline));
            return Some(Action::Finish { verdict, stop_box });
        }
        let code = match self.failing {
            Some((since, failure)) => {
                let allowed = self.allowed_failing(failure)?;
                (now.duration_since(since) >= allowed).then(|| failure_code(failure))?
            }
            None => {
                let quiet = self.deadlines.quiet?;
                let late = now.duration_since(self.quiet_since) >= quiet;
                (late && self.phase == Phase::Running).then_some(Code::QuietDeadline)?
            }
        };
        let verdict = ended.unwrap_or_else(|| Verdict::ours(code));
        Some(Action::Finish { verdict, stop_box: false })
    }

    const fn allowed_failing(&self, failure: Failure) -> Option<Duration> {
        match failure {
            Failure::Unreachable | Failure::Nonsense => Some(self.deadlines.unreachable),
            Failure::Unauthorized => Some(self.deadlines.unauthorized),
            Failure::Later(_) => None,
        }
    }

    pub(super) const fn is_before_dispatch(&self) -> bool {
        matches!(self.phase, Phase::Accepted | Phase::Prepared | Phase::Dispatching)
    }

    /// Waits at `pace`, but not beyond the next deadline.
    pub(super) fn pause(&self, now: Instant, pace: Pace) -> Action {
        Action::Pause { pace, until: self.next_deadline(now) }
    }

    fn next_deadline(&self, now: Instant) -> Instant {
        if self.is_before_dispatch() {
            return self.start_ends.max(now);
        }
        let failing =
            self.failing.and_then(|(since, failure)| Some(since + self.allowed_failing(failure)?));
        // These stand still as long as nothing can be seen.
        let counts = |_: &Instant| self.failing.is_none();
        let lost = self.unfinished_since.filter(counts).map(|since| since + self.deadlines.lost);
        let linger = self.lingering_since.filter(counts).map(|since| since + limits::LINGER_GRACE);
        let deadlines = [Some(self.turn_ends), failing, lost, linger];
        deadlines.into_iter().flatten().min().unwrap_or(self.turn_ends).max(now)
    }
}

/// Whether two failures in a row run against the same deadline.
pub(super) const fn same_deadline(one: Failure, other: Failure) -> bool {
    matches!(
        (one, other),
        (Failure::Unreachable | Failure::Nonsense, Failure::Unreachable | Failure::Nonsense)
            | (Failure::Unauthorized, Failure::Unauthorized)
            | (Failure::Later(_), Failure::Later(_))
    )
}

const fn failure_code(failure: Failure) -> Code {
    match failure {
        Failure::Unreachable => Code::BoxUnreachable,
        Failure::Nonsense | Failure::Later(_) => Code::BoxError,
        Failure::Unauthorized => Code::BoxUnauthorized,
    }
}
