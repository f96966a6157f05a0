//! What a driver writes to the log: each function is one append, or one for each step of a page.
//!
//! Durable: whatever a function here reports back has happened only because its append resolved.

use tokio::time::Instant;

use crate::event::Event;
use crate::limits;
use crate::log::{self, Batch};
use crate::metrics::turn::PollResult;
use crate::turn::close_out::{self, Names};
use crate::turn::control::{self, Dispatched, Finished, TurnRecord, wall_ms};
use crate::turn::handle::Answered;
use crate::turn::machine::{Input, Seen};
use crate::turn::timeline::slots::Happening;
use crate::turn::verdict::{Verdict, Withdrawal};
use crate::upstream::{Accepted, Activity, Bound, Ended, Page, PageStep, Prepared};

use super::{Done, Driver, Milestone};

impl Driver {
    /// Writes that a new turn was accepted; before the first `advance`.
    ///
    /// # Errors
    /// The log did not take it: the turn never was.
    pub async fn accept(&mut self) -> Result<(), Answered> {
        if let Some(accept) = self.parts.accept.take() {
            self.write_accepted(accept).await?;
            self.parts.metrics.accepted.inc();
        }
        self.parts.inside.tell(|status| status.logged = true);
        Ok(())
    }

    async fn write_accepted(&self, accept: control::Accepted) -> Result<(), Answered> {
        let batch = Batch::default().control(TurnRecord::Accepted(accept).encode());
        match self.parts.log.append(batch).await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the log does not take a new turn");
                Err(Answered::Withdrawn(Withdrawal::LogUnavailable))
            }
        }
    }

    /// Makes the intent to dispatch durable.
    pub(super) async fn intend(&mut self, prepared: Prepared) -> Done {
        let Prepared { session, notes } = prepared.clone();
        let record = control::Prepared { at_ms: wall_ms(), session, notes };
        let batch = Batch::default().control(TurnRecord::Prepared(record).encode());
        match self.append(batch, &[]).await {
            Ok(_) => {
                self.parts.prepared = Some(prepared);
                Done::Input(Input::Prepared)
            }
            Err(done) => done,
        }
    }

    /// Makes the intent to send the prompt again durable: a process that comes after this one
    /// never does so a third time.
    pub(super) async fn intend_again(&mut self) -> Result<(), Done> {
        let batch = Batch::default().control(TurnRecord::Repeated.encode());
        self.append(batch, &[]).await.map(drop)
    }

    /// Makes it durable that the box has the turn, with the events that open it.
    pub(super) async fn dispatched(&mut self, prepared: Prepared, accepted: Accepted) -> Done {
        let Accepted { session, execution, frames, ended } = accepted;
        let ids = self.parts.ids.clone();
        let bound = Bound { ids, prepared, session: session.clone(), execution: execution.clone() };
        let record = Dispatched { at_ms: wall_ms(), session, execution };
        let batch = Batch::default().control(TurnRecord::Dispatched(record).encode());
        let opens = frames.iter().any(|frame| frame.name == *"execution.started");
        let opening = (!opens).then(|| close_out::execution_started(&self.names(Some(&bound))));
        let told: Vec<Event> = self.as_told(opening.into_iter().chain(frames)).collect();
        let batch = told.iter().cloned().fold(batch, Batch::event);
        match self.append(batch, &told).await {
            Ok(_) => {
                self.parts.bound = Some(bound);
                self.authorized();
                let ending = ended.map(|Ended { ending, answer, frames }| {
                    self.answer = answer;
                    self.closing_frames = frames;
                    ending
                });
                Done::Input(Input::Dispatched(ending))
            }
            Err(done) => done,
        }
    }

    /// Appends a page step by step; what the log refuses is read again later.
    pub(super) async fn take_page(&mut self, page: Page) -> Done {
        let Page { steps, view, messages_took } = page;
        self.authorized();
        self.messages_took = messages_took.or(self.messages_took);
        let changed = steps.iter().any(|step| !step.events.is_empty());
        let result = if changed { PollResult::Changed } else { PollResult::Unchanged };
        self.parts.metrics.polls(result).inc();
        self.count_silence(changed, view.activity);
        let brought = steps.iter().map(|step| step.events.len()).sum();
        if changed {
            self.parts.metrics.polled(brought);
        }
        self.parts.metrics.events.inc_by(brought as u64);
        for PageStep { events, delta } in steps {
            let told: Vec<Event> = self.as_told(events).collect();
            let batch = told.iter().cloned().fold(Batch::default(), Batch::event);
            let batch = batch.control(TurnRecord::Polled(delta.clone()).encode());
            if let Err(done) = self.append(batch, &told).await {
                return done;
            }
            self.parts.cursor.fold(delta);
        }
        if let Some(answer) = view.answer {
            self.answer = answer;
        }
        let (activity, started, ending) = (view.activity, view.started, view.ending);
        Done::Input(Input::Polled(Seen { activity, started, ending, changed }))
    }

    /// Before the machine takes the page in, which ends the silence.
    fn count_silence(&mut self, changed: bool, activity: Activity) {
        let quiet = self.parts.machine.quiet_for(Instant::now());
        if changed {
            self.parts.metrics.was_quiet(quiet);
        }
        let shows_nothing = !changed && activity != Activity::Waiting;
        self.life.quiet(shows_nothing && quiet >= limits::QUIET_SHOWN);
    }

    pub(super) async fn finish(&mut self, verdict: &Verdict, stop_box: bool) -> Done {
        if stop_box {
            self.stop_box().await;
        }
        self.parts.spans.close_out();
        if let Err(done) = self.know_frames().await {
            return done;
        }
        let (outcome, code) = (verdict.outcome(), verdict.code());
        let record = Finished {
            at_ms: wall_ms(),
            outcome: outcome.as_str().to_owned(),
            code: code.map(|code| code.as_str().to_owned()),
        };
        let names = self.names(self.parts.bound.as_ref());
        // Kept: a close-out that the log refuses is built anew.
        let by_box = self.closing_frames.clone();
        // The law: nobody else appends events to this session, so those of the close-out get the
        // numbers that follow the tail. `append` holds them against those that they got.
        let next = self.parts.log.tail().next_seq;
        let sum = |before: &[Event]| self.frames.sum(next, before);
        let frames = close_out::frames(&names, verdict, &self.answer, by_box, sum);
        let told: Vec<Event> = self.as_told(frames).collect();
        let batch = told.iter().cloned().fold(Batch::default(), Batch::event);
        let batch = batch.control(TurnRecord::Finished(record.clone()).encode()).urgent();
        match self.append(batch, &told).await {
            Ok(appended) => {
                if self.parts.bound.is_some() {
                    let quiet = self.parts.machine.quiet_for(Instant::now());
                    self.parts.metrics.was_quiet(quiet);
                }
                self.parts.machine.closed();
                self.tell_phase();
                let label = verdict.label();
                self.parts.metrics.verdict(outcome, label).inc();
                tracing::info!(%outcome, code = label, "turn ends");
                self.parts.spans.finished(&names.session, outcome, label);
                let last = appended.tail.next_seq.previous();
                Done::Milestone(Milestone::Finished { last, outcome, record })
            }
            Err(done) => done,
        }
    }

    pub(super) async fn withdraw(&mut self, why: Withdrawal) -> Done {
        let batch = Batch::default().control(TurnRecord::Withdrawn.encode());
        if let Err(done) = self.append(batch, &[]).await {
            return done;
        }
        self.parts.machine.closed();
        self.tell_phase();
        self.parts.metrics.withdrawn(why.code()).inc();
        tracing::info!(code = why.code(), "turn is withdrawn");
        self.parts.spans.withdrawn(&self.names(None).session, why.code());
        let answered = match (why, self.refusal.take()) {
            (Withdrawal::Refused, Some(refusal)) => Answered::Refused(refusal),
            (why, _) => Answered::Withdrawn(why),
        };
        Done::Milestone(Milestone::Withdrawn(answered))
    }

    /// What of these events is told at this fidelity.
    fn as_told(&self, events: impl IntoIterator<Item = Event>) -> impl Iterator<Item = Event> {
        let fidelity = self.parts.fidelity;
        events.into_iter().filter(move |event| close_out::is_told(event, fidelity))
    }

    /// Appends `batch`, whose events are `told`.
    pub(super) async fn append(
        &mut self,
        batch: Batch,
        told: &[Event],
    ) -> Result<log::Appended, Done> {
        let span = self.parts.spans.append();
        let appended = self.parts.log.append(batch).await;
        self.parts.spans.appended(span, told.len(), &appended);
        let appended = appended.map_err(|error| match error {
            // Once a poll of each turn; the log itself says when it begins to refuse.
            log::Error::Refused(_) => {
                tracing::debug!(%error, "the log refuses a page; it is read again later");
                Done::Input(Input::LogRefused)
            }
            log::Error::TooLarge(_) => {
                tracing::warn!(%error, "the log refuses a page; it is read again later");
                Done::Input(Input::LogRefused)
            }
            log::Error::Poisoned | log::Error::Closed | log::Error::Read(_) => {
                tracing::error!(%error, "the turn stands still until afterbay is restarted");
                Done::Milestone(Milestone::Stopped)
            }
        })?;
        self.parts.inside.timeline().note(Happening::Event, told.len());
        self.frames.take(appended.first_seq, told);
        Ok(appended)
    }

    fn names(&self, bound: Option<&Bound>) -> Names {
        let ids = &self.parts.ids;
        let known = bound.map(|bound| bound.session.clone());
        let session = known
            .or_else(|| ids.box_session.clone())
            .or_else(|| ids.client_session.clone())
            .unwrap_or_else(|| self.parts.log.key().session_id());
        Names { session, execution: ids.execution.clone() }
    }
}
