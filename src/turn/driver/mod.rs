//! Does what the machine says: one task per running turn, whatever the number of its readers.
//!
//! Each [`Action`] becomes one call to the box or one append to the log, and what happened goes
//! back as one [`Input`]. The intent is durable before the dispatch leaves; a page's events and
//! the cursor that produced them are one append; the verdict stands in one batch with `done`.
//!
//! Durable: nothing is told to anyone before its append has resolved.
//! Stopping drops whatever call is under way but a dispatch; the turn stays unfinished on purpose
//! and goes on after a restart.

mod calls;
mod frames;
pub mod spans;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::credential::Credential;
use crate::event::{Event, Seq};
use crate::log::Log;
use crate::metrics::life::Life;
use crate::metrics::of_box::OfBox;
use crate::metrics::turn::Need;
use crate::mode::{Fidelity, Outcome};
use crate::upstream::budget::BoxBudget;
use crate::upstream::schedule::Schedule;
use crate::upstream::{Answer, Bound, Depth, PollCursor, Prepared, Refusal, TurnIds, Upstream};

use super::control;
use super::handle::{Answered, Inside, Stop};
use super::machine::{Action, Input, Machine};
use frames::Frames;
use spans::Spans;

/// What a driver is built from.
#[derive(Debug)]
pub struct Parts {
    /// The box's adapter.
    pub upstream: Arc<dyn Upstream>,
    /// How often the box may be polled.
    pub budget: BoxBudget,
    /// When to poll.
    pub schedule: Schedule,
    /// The session's log.
    pub log: Log,
    /// New, or resumed.
    pub machine: Machine,
    /// The turn's side of its handle.
    pub inside: Inside,
    /// The turn's names.
    pub ids: TurnIds,
    /// The record to write first; none for a resumed turn.
    pub accept: Option<control::Accepted>,
    /// The number of the turn's first event.
    pub first: Seq,
    /// Whom the box is to see.
    pub standing: Standing,
    /// The configured credential, used when the client's own is gone or refused, and for those who
    /// showed an own token.
    pub box_credential: Option<Credential>,
    /// What `prepare` had come to before a restart.
    pub prepared: Option<Prepared>,
    /// The turn as the box has it, if it was dispatched before a restart.
    pub bound: Option<Bound>,
    /// How far it was read before a restart.
    pub cursor: PollCursor,
    /// How much of the turn is told.
    pub fidelity: Fidelity,
    /// What is counted of the box.
    pub metrics: OfBox,
    /// What is told to a collector of traces.
    pub spans: Spans,
}

/// Whom the box sees behind a turn: it follows from what its starter showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody: nothing was shown.
    Nobody,
    /// The starter, by a credential: nothing is asked of the box without one.
    Starter,
    /// Whoever runs this program, as an own token was shown: by the configured credential, and
    /// without any at a box for which none is configured.
    Operator,
}

impl Standing {
    /// What follows from the record of the turn.
    #[must_use]
    pub const fn of(accepted: &control::Accepted) -> Self {
        match (accepted.starter, accepted.by_own_token) {
            (None, _) => Self::Nobody,
            (Some(_), false) => Self::Starter,
            (Some(_), true) => Self::Operator,
        }
    }
}

/// Drives one turn. See the module.
#[derive(Debug)]
pub struct Driver {
    parts: Parts,
    /// The turn in the gauges.
    life: Life,
    /// The turn's frames, for the digest that its `done` tells.
    frames: Frames,
    /// The next thing to do.
    action: Action,
    /// What the agent had said at the last read.
    answer: Answer,
    /// The box's own closing frames of a very short turn.
    closing_frames: Vec<Event>,
    /// How deep the next poll reads, as the schedule says.
    depth: Depth,
    /// What the last read of the messages took, until the schedule knows.
    messages_took: Option<Duration>,
    /// The box's last word before it took the turn.
    refusal: Option<Refusal>,
    /// The client's credential was refused; this one, which a reader had shown, is used until
    /// another arrives.
    spare: Option<Credential>,
    /// The last of them that the box is known to accept; the starter's own counts as that.
    accepted: Option<Credential>,
    /// A newer one that it has just accepted.
    adopted: Option<Credential>,
    /// Those were refused, too; the configured one is used until another arrives.
    use_box_credential: bool,
}

/// What [`Driver::advance`] stopped at.
#[derive(Debug)]
pub enum Milestone {
    /// The box has the turn, and that is durable. Call `announce` and `advance` again.
    Dispatched(Bound),
    /// The box has accepted this credential in the place of the one before: another client's, or a
    /// newer one of the starter's. Call `advance` again.
    Adopted(Credential),
    /// The close-out is durable.
    Finished {
        /// The number of its last event.
        last: Seq,
        /// How it ended.
        outcome: Outcome,
        /// The same as it stands in the log.
        record: control::Finished,
    },
    /// The turn never was; what to tell its starter.
    Withdrawn(Answered),
    /// Told to stop, or the log is gone: unfinished on purpose.
    Stopped,
}

/// Either the machine's next input, or the end of this call of `advance`.
enum Done {
    Input(Input),
    Milestone(Milestone),
}

impl Driver {
    /// A driver at its first action.
    #[must_use]
    pub fn new(mut parts: Parts) -> Self {
        let action = parts.machine.begin(Instant::now());
        let frames = Frames::of(&parts);
        let accepted = parts.inside.orders().credential;
        let mut driver = Self {
            life: parts.metrics.life(),
            parts,
            frames,
            action,
            answer: Answer::default(),
            closing_frames: Vec::new(),
            depth: Depth::Messages,
            messages_took: None,
            refusal: None,
            spare: None,
            accepted,
            adopted: None,
            use_box_credential: false,
        };
        // A turn that begins by waiting for its body or a credential must say so before anyone
        // asks: whoever could bring them may be the first to come back, and come only once.
        driver.tell_phase();
        driver.tell_whether_authorized();
        driver
    }

    /// Whether the turn is not in the log yet.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.parts.accept.is_some()
    }

    /// Tells how the dispatch was answered; the first word counts.
    pub fn announce(&self, answered: Answered) {
        self.parts.inside.tell(|status| {
            status.answered.get_or_insert(answered);
        });
    }

    /// Goes on until the next milestone, or until `stop`.
    pub async fn advance(&mut self, stop: &CancellationToken) -> Milestone {
        loop {
            let input = match self.perform(self.action.clone(), stop).await {
                Done::Input(input) => input,
                Done::Milestone(milestone) => return milestone,
            };
            let dispatched = matches!(input, Input::Dispatched(_));
            self.action = self.parts.machine.step(Instant::now(), input);
            self.tell_phase();
            if let (true, Some(bound)) = (dispatched, &self.parts.bound) {
                return Milestone::Dispatched(bound.clone());
            }
            if let Some(credential) = self.adopted.take() {
                return Milestone::Adopted(credential);
            }
        }
    }

    fn tell_phase(&mut self) {
        let (phase, needs_body) = (self.parts.machine.phase(), self.parts.machine.wants_body());
        self.life.moves(Instant::now(), phase);
        self.parts.inside.timeline().enter(phase);
        self.life.needs(Need::Prompt, needs_body);
        self.parts.inside.tell(|status| {
            status.quiet_since = self.parts.machine.quiet_since();
            if status.phase != phase {
                tracing::debug!(%phase, "turn moves");
                status.phase = phase;
            }
            status.needs_body = needs_body;
        });
    }

    async fn perform(&mut self, action: Action, stop: &CancellationToken) -> Done {
        let sends = sends(&action);
        let act = self.act(action);
        tokio::pin!(act);
        // Dropping is safe in every arm: a call to the box that only reads or opens is repeated
        // after a restart, and an append that was handed over is in the log or is not. What sends is
        // not dropped.
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            done = &mut act => return done,
        }
        if sends {
            tracing::info!("its prompt is being sent; the answer is waited for");
            return act.await;
        }
        Done::Milestone(Milestone::Stopped)
    }

    async fn act(&mut self, action: Action) -> Done {
        match action {
            Action::Prepare => self.prepare().await,
            // The last moment at which a stop means that nothing is sent.
            Action::Dispatch => match self.ordered_stop() {
                Some(_) => Done::Input(Input::CancelAsked),
                None => self.dispatch().await,
            },
            Action::Find => self.find().await,
            Action::Redispatch => self.redispatch().await,
            Action::Poll(depth) => self.poll(depth).await,
            Action::CancelAtBox => {
                self.stop_box().await;
                Done::Input(Input::Tick)
            }
            Action::Pause { pace, until } => {
                let took = self.messages_took.take();
                let next = self.parts.schedule.next(Instant::now(), pace, took, rand::random());
                self.depth = next.depth;
                self.wait(next.at.min(until)).await
            }
            Action::Await(until) => self.wait(until).await,
            Action::Finish { verdict, stop_box } => {
                self.parts.inside.tell(|status| status.closing = true);
                self.finish(&verdict, stop_box).await
            }
            Action::Withdraw(why) => self.withdraw(why).await,
            Action::Stop => Done::Milestone(Milestone::Stopped),
        }
    }

    /// Waits for the time or for newer orders, whichever comes first.
    async fn wait(&mut self, until: Instant) -> Done {
        // Both arms only wait; an order that comes with the time is taken at the next wait.
        let ordered = tokio::select! {
            biased;
            () = self.parts.inside.changed() => true,
            () = tokio::time::sleep_until(until) => false,
        };
        if !ordered {
            return Done::Input(Input::Tick);
        }
        let orders = self.parts.inside.take_orders();
        self.spare = None;
        self.use_box_credential = false;
        let waits_for_body = self.parts.machine.wants_body();
        match self.ordered_stop() {
            Some(Stop::AtBox) => Done::Input(Input::CancelAsked),
            Some(Stop::TurnOnly) => {
                // Asked for while the prompt was on its way: the box has it by now.
                self.stop_box().await;
                Done::Input(Input::CancelAsked)
            }
            None if waits_for_body && orders.body.is_some() => Done::Input(Input::BodyArrived),
            None => Done::Input(Input::CredentialArrived),
        }
    }

    /// The stop that the machine does not know of yet.
    fn ordered_stop(&self) -> Option<Stop> {
        let known = self.parts.machine.is_cancel_asked();
        self.parts.inside.orders().cancel.filter(|_| !known)
    }
}

/// Whether an action sends the prompt: it must not be dropped half-way.
const fn sends(action: &Action) -> bool {
    matches!(action, Action::Dispatch | Action::Redispatch)
}
