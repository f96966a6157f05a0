//! Keeps a session in step with its running turn: binds names when the box takes it, releases
//! them when the box refuses it, and files it among the past ones when it has its verdict.
//!
//! The order matters to clients: names are bound or released before anyone is told.

use std::sync::Arc;

use tracing::Instrument;

use crate::event::Seq;
use crate::mode::Outcome;
use crate::turn::control::{Dispatched, Finished, FinishedTurn, wall_ms};
use crate::turn::driver::{Driver, Milestone};
use crate::turn::handle::{Answered, Handle};
use crate::upstream::Bound;

use super::names::Execution;
use super::registry::Sessions;
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
    let execution = session.state().running.turn().map(|turn| turn.accepted.execution.clone());
    let execution = execution.as_ref().map(tracing::field::display);
    let span = tracing::info_span!("turn", session = %session.id(), execution);
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
    if let Err(answered) = driver.accept().await {
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
            }
            Milestone::Finished { last, outcome, record } => {
                file(&session, last, outcome, record);
                // A dispatch that was never answered has its verdict in the log, for all to read.
                return driver.announce(Answered::Running);
            }
            Milestone::Withdrawn(answered) => {
                release(&sessions, &session);
                return driver.announce(answered);
            }
            Milestone::Stopped => return driver.announce(Answered::Stopped),
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

fn file(session: &Session, last: Seq, outcome: Outcome, finished: Finished) {
    let mut state = session.state();
    decide_owner(&mut state);
    if let Some(RunningTurn { accepted, dispatched, from, .. }) = state.running.end() {
        let trimmed_ms = None;
        let turn = FinishedTurn { accepted, dispatched, finished, from, last, trimmed_ms };
        state.past.push(PastTurn::new(turn, outcome));
    }
}
