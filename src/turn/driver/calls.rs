//! The calls to the box that a driver makes, and what their failures mean to the turn.

use crate::credential::Credential;
use crate::metrics::turn::{DispatchAnswer, Need, PollResult};
use crate::turn::handle::Orders;
use crate::turn::machine::{Failure, Input};
use crate::turn::timeline::slots::Happening;
use crate::upstream::{Depth, Dispatch, Error, Found, Prepare};

use super::{Done, Driver, Standing, spans};

impl Driver {
    /// Whom to be at the box, or `None` if the turn's credential is gone.
    fn who(&self) -> Option<Option<Credential>> {
        if self.is_nobody() {
            return Some(None);
        }
        let own = self.own();
        let configured = self.parts.box_credential.clone();
        let who = if self.use_box_credential { configured } else { own.or(configured) };
        // At a box for which nothing is configured, an own token's holder is nobody.
        let is_operator = self.parts.standing == Standing::Operator;
        who.map(Some).or(is_operator.then_some(None))
    }

    /// A client's credential: the one that was adopted last.
    fn own(&self) -> Option<Credential> {
        self.spare.clone().or_else(|| self.parts.inside.orders().credential)
    }

    pub(super) async fn prepare(&mut self) -> Done {
        let Some(who) = self.who() else {
            return failed(Failure::Unauthorized);
        };
        let (upstream, mut span) = self.parts.spans.call("prepare", &self.parts.upstream);
        let prepare = upstream.prepare(who.as_ref(), &self.parts.ids).await;
        spans::tell_prepare(&mut span, &prepare);
        self.parts.spans.end(span);
        match prepare {
            Prepare::Ready(prepared) => self.intend(prepared).await,
            Prepare::Refused(refusal) => {
                self.refusal = Some(refusal);
                Done::Input(Input::Refused)
            }
            Prepare::Forgotten => Done::Input(Input::Forgotten),
            Prepare::Later(refusal, wait) => {
                self.refusal = Some(refusal);
                failed(Failure::Later(wait))
            }
            Prepare::Failed(error) => self.failure(&error),
        }
    }

    /// Sends the prompt once more; that it was meant to is durable before.
    pub(super) async fn redispatch(&mut self) -> Done {
        match self.intend_again().await {
            Ok(()) => {
                self.parts.metrics.repeated.inc();
                self.dispatch().await
            }
            Err(done) => done,
        }
    }

    pub(super) async fn dispatch(&mut self) -> Done {
        let (body, prepared) = (self.parts.inside.orders().body, self.parts.prepared.clone());
        let (Some(body), Some(prepared), Some(who)) = (body, prepared, self.who()) else {
            return failed(Failure::Unauthorized);
        };
        self.parts.metrics.dispatches.inc();
        let (upstream, mut span) = self.parts.spans.call("dispatch", &self.parts.upstream);
        let answer = upstream.dispatch(who.as_ref(), &self.parts.ids, &prepared, &body).await;
        spans::tell_dispatch(&mut span, &answer);
        self.parts.spans.end(span);
        self.count_answer(&answer);
        match answer {
            Dispatch::Accepted(accepted) => self.dispatched(prepared, accepted).await,
            Dispatch::NotSent(error) => {
                tracing::info!(%error, "the prompt did not leave");
                Done::Input(Input::NotSent)
            }
            Dispatch::Later(refusal, wait) => {
                self.refusal = Some(refusal);
                failed(Failure::Later(wait))
            }
            Dispatch::Refused(refusal) => {
                self.refusal = Some(refusal);
                Done::Input(Input::Refused)
            }
            Dispatch::Unanswered(error) => {
                tracing::warn!(%error, "the prompt left and was not answered; looking for it");
                Done::Input(Input::Unanswered)
            }
            Dispatch::Unnamed(error) => {
                tracing::warn!(%error, "the box took the prompt and does not say where; looking");
                Done::Input(Input::Unnamed)
            }
        }
    }

    fn count_answer(&self, answer: &Dispatch) {
        let (answer, error) = match answer {
            Dispatch::Accepted(_) => (DispatchAnswer::Accepted, None),
            Dispatch::NotSent(error) => (DispatchAnswer::NotSent, Some(error)),
            Dispatch::Later(..) => (DispatchAnswer::Later, None),
            Dispatch::Refused(_) => (DispatchAnswer::Refused, None),
            Dispatch::Unanswered(error) => (DispatchAnswer::Unanswered, Some(error)),
            Dispatch::Unnamed(error) => (DispatchAnswer::Unnamed, Some(error)),
        };
        let metrics = &self.parts.metrics;
        metrics.answer(answer).inc();
        if matches!(answer, DispatchAnswer::Unanswered | DispatchAnswer::Unnamed) {
            metrics.unanswered.inc();
        }
        if let Some(error) = error {
            metrics.errors(error.class()).inc();
        }
    }

    pub(super) async fn find(&mut self) -> Done {
        let Some(prepared) = self.parts.prepared.clone() else {
            return failed(Failure::Nonsense);
        };
        let Some(who) = self.who() else {
            return self.unauthorized();
        };
        self.parts.budget.question().await;
        let (upstream, mut span) = self.parts.spans.call("find", &self.parts.upstream);
        let found = upstream.find(who.as_ref(), &self.parts.ids, &prepared).await;
        match &found {
            Ok(found) => span.set("afterbay.found", matches!(found, Found::Arrived(_))),
            Err(error) => spans::fail(&mut span, error),
        }
        self.parts.spans.end(span);
        match found {
            Ok(Found::Arrived(accepted)) => self.dispatched(prepared, accepted).await,
            Ok(Found::Absent(boot)) => Done::Input(Input::Absent(boot)),
            Err(error @ Error::Gone) => {
                self.parts.metrics.errors(error.class()).inc();
                Done::Input(Input::Gone)
            }
            Err(error) => self.failure(&error),
        }
    }

    pub(super) async fn poll(&mut self, depth: Depth) -> Done {
        let Some(bound) = self.parts.bound.clone() else {
            return failed(Failure::Nonsense);
        };
        let Some(who) = self.who() else {
            return self.unauthorized();
        };
        let depth = match depth {
            Depth::Messages => Depth::Messages,
            Depth::Status => self.depth,
        };
        self.parts.budget.turn().await;
        let (upstream, span) = self.parts.spans.poll(&self.parts.upstream);
        let polled = upstream.poll(who.as_ref(), &bound, &self.parts.cursor, depth).await;
        self.parts.inside.timeline().note(Happening::Poll, 1);
        match polled {
            Ok(page) => {
                self.parts.spans.polled(span, &page);
                self.take_page(page).await
            }
            Err(error) => {
                self.parts.spans.poll_failed(span, &error);
                self.parts.metrics.polls(PollResult::Failed).inc();
                self.parts.inside.timeline().note(Happening::PollFailed, 1);
                self.failure(&error)
            }
        }
    }

    pub(super) async fn stop_box(&mut self) {
        let Some(session) = self.parts.bound.as_ref().map(|bound| bound.session.clone()) else {
            return;
        };
        let Some(who) = self.who() else { return };
        let (upstream, mut span) = self.parts.spans.call("cancel", &self.parts.upstream);
        let asked = upstream.cancel(who.as_ref(), &session).await;
        if let Err(error) = &asked {
            spans::fail(&mut span, error);
        }
        self.parts.spans.end(span);
        if let Err(error) = asked {
            self.parts.metrics.errors(error.class()).inc();
            tracing::warn!(%error, "the box was asked to stop and did not answer");
        }
    }

    fn failure(&mut self, error: &Error) -> Done {
        tracing::debug!(%error, "a call to the box fails");
        self.parts.metrics.errors(error.class()).inc();
        match error {
            Error::Unauthorized(_) => self.unauthorized(),
            Error::Connect(_) | Error::NoAnswer(_) => failed(Failure::Unreachable),
            Error::Later { retry_after, .. } => failed(Failure::Later(*retry_after)),
            Error::Status(_) | Error::Gone | Error::Nonsense(_) | Error::TooLarge(_) => {
                failed(Failure::Nonsense)
            }
        }
    }

    /// The client's credential has expired or is gone: one that a reader had shown and the
    /// configured one are tried once each, else the turn waits for its owner.
    fn unauthorized(&mut self) -> Done {
        if let Some(spare) = self.untried_spare() {
            self.spare = Some(spare);
            return Done::Input(Input::CredentialArrived);
        }
        let configured = !self.is_nobody() && self.parts.box_credential.is_some();
        let own = self.spare.is_some() || self.parts.inside.orders().credential.is_some();
        if configured && !self.use_box_credential && own {
            self.use_box_credential = true;
            return Done::Input(Input::CredentialArrived);
        }
        self.tell_needs_credential(true);
        failed(Failure::Unauthorized)
    }

    fn untried_spare(&self) -> Option<Credential> {
        let Orders { spare, credential, cancel: _, body: _ } = self.parts.inside.orders();
        let refused = [self.spare.clone(), credential];
        let is_new = |new: &Credential| {
            refused.iter().flatten().all(|refused| refused.expose() != new.expose())
        };
        // For finding and polling only: a prompt goes out as whoever sent it.
        let may_have_left = self.parts.prepared.is_some();
        spare.filter(|spare| !self.is_nobody() && may_have_left && is_new(spare))
    }

    fn is_nobody(&self) -> bool {
        self.parts.standing == Standing::Nobody
    }

    pub(super) fn tell_whether_authorized(&mut self) {
        self.tell_needs_credential(self.who().is_none());
    }

    fn tell_needs_credential(&mut self, needs: bool) {
        self.life.needs(Need::Credential, needs);
        self.parts.inside.tell(|status| status.needs_credential = needs);
    }

    /// The box has answered whoever the driver is.
    pub(super) fn authorized(&mut self) {
        self.tell_needs_credential(false);
        let is_same = |one: &Credential, other: &Credential| one.expose() == other.expose();
        let used = self.own().filter(|_| !self.use_box_credential && !self.is_nobody());
        let Some(used) = used else { return };
        if !self.accepted.as_ref().is_some_and(|accepted| is_same(accepted, &used)) {
            self.accepted = Some(used.clone());
            self.adopted = Some(used);
        }
    }
}

fn failed(failure: Failure) -> Done {
    Done::Input(Input::Failed(failure))
}
