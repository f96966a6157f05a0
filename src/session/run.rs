//! Keeps a session in step with its running turn: binds names when the box takes it, releases
//! them when the box refuses it, and files it among the past ones when it has its verdict.
//!
//! The order matters to clients: names are bound or released before anyone is told. What is sealed of
//! a turn is there before its acceptance is in the log, and goes after its end is.

use std::sync::Arc;

use tracing::Instrument;

use crate::credential::Credential;
use crate::event::Seq;
use crate::mode::Outcome;
use crate::turn::control::{Dispatched, Finished, FinishedTurn, wall_ms};
use crate::turn::driver::{Driver, Milestone};
use crate::turn::handle::{Answered, Handle, Orders};
use crate::turn::verdict::Withdrawal;
use crate::upstream::Bound;

use super::names::Execution;
use super::registry::Sessions;
use super::sealed::{self, Vault, Whose};
use super::start::Admitted;
use super::{Owner, PastTurn, RunningTurn, Session, State};

/// Runs one turn to its end, or until the process stops.
pub(super) async fn run(
    sessions: Sessions,
    session: Arc<Session>,
    driver: Driver,
    handle: Handle,
    admitted: Admitted,
) {
    let accepted = session.state().running.turn().map(|turn| turn.accepted.clone());
    let execution = accepted.as_ref().map(|accepted| tracing::field::display(&accepted.execution));
    let trace = accepted.as_ref().and_then(|accepted| accepted.trace.as_ref());
    // One that another process began may be traced no more.
    let trace = trace.filter(|_| sessions.tracer().is_on());
    let trace_id = trace.map(|root| tracing::field::display(root.context.trace()));
    let span = tracing::info_span!("turn", session = %session.id(), execution, trace_id);
    drive(sessions, session, driver, handle, admitted).instrument(span).await;
}

async fn drive(
    sessions: Sessions,
    session: Arc<Session>,
    mut driver: Driver,
    handle: Handle,
    admitted: Admitted,
) {
    let Admitted { running: _place, mut unsent, text: _ } = admitted;
    let stop = sessions.tasks().stop_token().clone();
    let secrets = Secrets::of(&sessions, &session);
    // Before it is in the log: what is there must be able to go on.
    if driver.is_new() && !secrets.keep(&handle).await {
        release(&sessions, &session);
        return driver.announce(Answered::Withdrawn(Withdrawal::NotKept));
    }
    if let Err(answered) = driver.accept().await {
        secrets.forget_all().await;
        release(&sessions, &session);
        return driver.announce(answered);
    }
    loop {
        match driver.advance(&stop).await {
            Milestone::Dispatched(bound) => {
                tracing::info!(assigned = %bound.session, "the box has the turn");
                bind(&sessions, &session, &bound);
                handle.forget_body();
                unsent.take();
                driver.announce(Answered::Running);
                secrets.forget_body().await;
            }
            Milestone::Adopted(credential) => secrets.replace(credential).await,
            Milestone::Finished { last, outcome, record } => {
                file(&sessions, &session, last, outcome, record);
                // A dispatch that was never answered has its verdict in the log, for all to read.
                driver.announce(Answered::Running);
                break;
            }
            Milestone::Withdrawn(answered) => {
                // As long as its ids are taken: the next turn of the same ids has the same files.
                secrets.forget_all().await;
                release(&sessions, &session);
                return driver.announce(answered);
            }
            Milestone::Stopped => return driver.announce(Answered::Stopped),
        }
    }
    // Whoever waits for its end need not wait for a file to go.
    drop(driver);
    secrets.forget_all().await;
}

/// The sealed files of one turn, if such are kept.
struct Secrets(Option<(Vault, Whose)>);

impl Secrets {
    fn of(sessions: &Sessions, session: &Session) -> Self {
        let vault = sessions.vault().cloned();
        let execution = session.state().running.turn().map(|turn| turn.accepted.execution.clone());
        let (box_name, session) = (session.box_name.clone(), session.key);
        let whose = execution.map(|execution| Whose { box_name, session, execution });
        Self(vault.zip(whose))
    }

    /// Keeps what a new turn begins with. False if it cannot be kept: then nothing of it is.
    async fn keep(&self, handle: &Handle) -> bool {
        let Some((vault, whose)) = &self.0 else { return true };
        let Orders { credential, body, .. } = handle.orders();
        let Err(error) = vault.keep(whose, credential, body).await else { return true };
        tracing::error!(%error, source = sealed::source(&error), "a new turn's secrets cannot be sealed; it is refused");
        self.forget_all().await;
        false
    }

    /// The turn goes on without: it began with one that was kept.
    async fn replace(&self, credential: Credential) {
        let Some((vault, whose)) = &self.0 else { return };
        if let Err(error) = vault.replace(whose, credential).await {
            tracing::error!(%error, source = sealed::source(&error), "a newer credential cannot be sealed; a restart would know the former");
        }
    }

    async fn forget_body(&self) {
        if let Some((vault, whose)) = &self.0 {
            vault.forget_body(whose).await;
        }
    }

    async fn forget_all(&self) {
        if let Some((vault, whose)) = &self.0 {
            vault.forget_all(whose).await;
        }
    }
}

/// The box has the turn: what it assigned leads to this session, and its starter owns it.
fn bind(sessions: &Sessions, session: &Session, bound: &Bound) {
    let Session { key, box_name, .. } = session;
    let names = sessions.names();
    if !names.claim_session(box_name, &bound.session, *key) {
        tracing::warn!(assigned = %bound.session, "the box assigned a session id that leads elsewhere");
    }
    if let Some(assigned) = &bound.execution {
        let execution = Execution { key: *key, execution: bound.ids.execution.clone() };
        names.claim_execution(box_name, assigned, execution);
    }
    let mut state = session.state();
    state.box_session = Some(bound.session.clone());
    if let Some(running) = state.running.turn_mut() {
        let Bound { session, execution, .. } = bound.clone();
        running.dispatched = Some(Dispatched { at_ms: wall_ms(), session, execution });
    }
    decide_owner(&mut state);
}

/// The first turn that the box took, or may have taken, decides whose session it is.
fn decide_owner(state: &mut State) {
    if let (Owner::Undecided, Some(running)) = (state.owner, state.running.turn()) {
        state.owner = running.accepted.starter.map_or(Owner::Everyone, Owner::Holder);
    }
}

/// The box refused the turn: its ids may start again. A session that never had a turn goes too.
fn release(sessions: &Sessions, session: &Session) {
    let Session { key, box_name, .. } = session;
    // Under the lock to the end, so that no turn starts on a session that is being forgotten.
    let mut state = session.state();
    if let Some(turn) = state.running.end() {
        sessions.names().release_execution(box_name, &turn.accepted.execution, *key);
    }
    if state.owner == Owner::Undecided {
        sessions.release_session_names(session, &state);
        sessions.remove(*key);
    }
}

fn file(sessions: &Sessions, session: &Session, last: Seq, outcome: Outcome, finished: Finished) {
    let mut state = session.state();
    decide_owner(&mut state);
    if let Some(RunningTurn { accepted, dispatched, from, handle }) = state.running.end() {
        // Under the lock: whoever looks for it finds it running or kept.
        let (execution, timeline) = (accepted.execution.clone(), handle.timeline().clone());
        sessions.timelines().keep(session.key, execution, timeline);
        let trimmed_ms = None;
        let turn = FinishedTurn { accepted, dispatched, finished, from, last, trimmed_ms };
        state.past.push(PastTurn::new(turn, outcome));
    }
}
