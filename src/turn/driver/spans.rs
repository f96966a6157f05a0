//! The spans of one turn: its calls to the box, its appends, and at its end the turn itself.
//!
//! Each is as long as one operation, so that a process that is killed takes none with it that was worth
//! much; the span of the turn is told at its end, with the id that its acceptance has in the log, whichever
//! process began it. What ends a process between a verdict and the next sending takes that one with it. A poll that brought nothing is not told but counted: of hours there would be
//! thousands. So the box sees of a poll the span of the turn, which is always told, and of any other call
//! that call's own. Of polls that fail one after the other the first is told, for the same reason.

use std::borrow::Cow;
use std::sync::Arc;

use crate::ids::{BoxName, ExecutionId, SessionId};
use crate::log::{self, Appended};
use crate::mode::Outcome;
use crate::trace::context::TraceContext;
use crate::trace::span::{Kind, Span};
use crate::trace::{Root, Tracer};
use crate::turn::control;
use crate::upstream::{Dispatch, Error, Page, Prepare, Refusal, Upstream};

/// What a turn's spans are made from.
#[derive(Debug)]
pub struct Spans {
    tracer: Tracer,
    /// None if the turn is not traced.
    root: Option<Root>,
    execution: ExecutionId,
    box_name: BoxName,
    accepted_ms: u64,
    /// Whether another process began the turn.
    is_resumed: bool,
    /// The call whose outcome is being written, if it is told.
    under: Option<TraceContext>,
    /// Polls of this process that are told.
    polls: u64,
    /// Polls that failed.
    failed: u64,
    /// Whether the last one did.
    is_failing: bool,
    /// Polls that brought nothing, since the last one that did, and in all.
    unchanged: (u64, u64),
    /// Events of this process.
    events: u64,
}

impl Spans {
    /// Those of a turn that begins.
    #[must_use]
    pub fn of_new(tracer: Tracer, accepted: &control::Accepted) -> Self {
        Self {
            tracer,
            root: accepted.trace.clone(),
            execution: accepted.execution.clone(),
            box_name: accepted.box_name.clone(),
            accepted_ms: accepted.at_ms,
            is_resumed: false,
            under: None,
            polls: 0,
            failed: 0,
            is_failing: false,
            unchanged: (0, 0),
            events: 0,
        }
    }

    /// Those of a turn that another process has begun.
    #[must_use]
    pub fn of_resumed(tracer: Tracer, accepted: &control::Accepted) -> Self {
        Self { is_resumed: true, ..Self::of_new(tracer, accepted) }
    }

    /// Begins a call to the box, which sees the span.
    pub(super) fn call(
        &mut self,
        name: &'static str,
        at: &Arc<dyn Upstream>,
    ) -> (Arc<dyn Upstream>, Span) {
        let span = self.call_below_turn(name);
        (within(at, span.context()), span)
    }

    /// Begins a poll; the box sees the turn.
    pub(super) fn poll(&mut self, at: &Arc<dyn Upstream>) -> (Arc<dyn Upstream>, Span) {
        let span = self.call_below_turn("poll");
        let turn = self.root().filter(|_| span.context().is_some());
        (within(at, turn), span)
    }

    fn call_below_turn(&mut self, name: &'static str) -> Span {
        self.under = None;
        self.begin(name, Kind::Client, self.root())
    }

    fn root(&self) -> Option<&TraceContext> {
        self.root.as_ref().map(|root| &root.context)
    }

    fn begin(&self, name: &'static str, kind: Kind, parent: Option<&TraceContext>) -> Span {
        let mut span = self.tracer.begin(name, kind, parent);
        self.tell_turn(&mut span);
        span
    }

    fn tell_turn(&self, span: &mut Span) {
        span.set_with("afterbay.execution", || self.execution.to_string());
        span.set_with("afterbay.box", || self.box_name.to_string());
    }

    /// Ends a call; what is written next is its outcome.
    pub(super) fn end(&mut self, span: Span) {
        self.under = span.context().cloned();
        span.end();
    }

    /// Ends a poll that was answered.
    pub(super) fn polled(&mut self, mut span: Span, page: &Page) {
        self.is_failing = false;
        let events: usize = page.steps.iter().map(|step| step.events.len()).sum();
        if events == 0 {
            self.unchanged = (self.unchanged.0 + 1, self.unchanged.1 + 1);
            return;
        }
        span.set("afterbay.events", events as u64);
        self.end_poll(span);
    }

    /// Ends a poll that failed.
    pub(super) fn poll_failed(&mut self, mut span: Span, error: &Error) {
        self.failed += 1;
        if !std::mem::replace(&mut self.is_failing, true) {
            fail(&mut span, error);
            self.end_poll(span);
        }
    }

    fn end_poll(&mut self, mut span: Span) {
        self.polls += 1;
        let (before, _) = self.unchanged;
        self.unchanged.0 = 0;
        span.set("afterbay.unchanged_polls", before);
        self.end(span);
    }

    /// What is written next is the turn's own, whatever was called before.
    pub(super) fn close_out(&mut self) {
        self.under = None;
    }

    /// Begins an append.
    pub(super) fn append(&self) -> Span {
        self.begin("append", Kind::Internal, self.under.as_ref().or(self.root()))
    }

    /// Ends it. One without events that the log took is the turn's bookkeeping, and not told.
    pub(super) fn appended(
        &mut self,
        mut span: Span,
        events: usize,
        appended: &Result<Appended, log::Error>,
    ) {
        let events = events as u64;
        match appended {
            Ok(_) if events == 0 => return,
            Ok(Appended { first_seq, .. }) => {
                self.events += events;
                span.set("afterbay.events", events);
                span.set("afterbay.first_event", first_seq.get());
                span.set("afterbay.last_event", first_seq.get() + events - 1);
            }
            Err(error) => span.fail(match error {
                log::Error::Refused(_) => "log_refused",
                log::Error::TooLarge(_) => "too_large",
                log::Error::Poisoned | log::Error::Closed | log::Error::Read(_) => {
                    "log_unavailable"
                }
            }),
        }
        span.end();
    }

    /// Tells the turn, which is over.
    pub(super) fn finished(&self, session: &SessionId, outcome: Outcome, label: &str) {
        let mut span = self.turn(session);
        span.set("afterbay.outcome", outcome.as_str());
        if outcome == Outcome::Failed {
            span.fail(label.to_owned());
        }
        span.end();
    }

    /// Tells the turn, which never was.
    pub(super) fn withdrawn(&self, session: &SessionId, code: &'static str) {
        let mut span = self.turn(session);
        span.fail(code);
        span.end();
    }

    fn turn(&self, session: &SessionId) -> Span {
        let mut span = self.tracer.turn(self.root.as_ref(), self.accepted_ms);
        self.tell_turn(&mut span);
        span.set_with("gen_ai.conversation.id", || session.to_string());
        span.set("afterbay.resumed", self.is_resumed);
        span.set("afterbay.events", self.events);
        span.set("afterbay.polls", self.polls);
        span.set("afterbay.failed_polls", self.failed);
        span.set("afterbay.unchanged_polls", self.unchanged.1);
        span
    }
}

fn within(at: &Arc<dyn Upstream>, context: Option<&TraceContext>) -> Arc<dyn Upstream> {
    context.map_or_else(|| Arc::clone(at), |context| Arc::clone(at).within(context))
}

/// Notes why a call failed.
pub(super) fn fail(span: &mut Span, error: &Error) {
    span.fail(error.class());
}

/// Notes what `prepare` came to.
pub(super) fn tell_prepare(span: &mut Span, answer: &Prepare) {
    match answer {
        Prepare::Ready(_) => {}
        Prepare::Refused(refusal) | Prepare::Later(refusal, _) => refused(span, refusal),
        Prepare::Forgotten => span.fail("session_forgotten"),
        Prepare::Failed(error) => fail(span, error),
    }
}

/// Notes what became of the prompt.
pub(super) fn tell_dispatch(span: &mut Span, answer: &Dispatch) {
    match answer {
        Dispatch::Accepted(_) => {}
        Dispatch::Refused(refusal) | Dispatch::Later(refusal, _) => refused(span, refusal),
        Dispatch::NotSent(error) | Dispatch::Unanswered(error) | Dispatch::Unnamed(error) => {
            fail(span, error);
        }
    }
}

fn refused(span: &mut Span, refusal: &Refusal) {
    span.set("http.response.status_code", u64::from(refusal.status.as_u16()));
    span.fail(Cow::Owned(refusal.status.as_u16().to_string()));
}
