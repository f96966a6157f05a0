//! Stopping a running turn: the box is asked with the credential of whoever asks, and the turn's
//! driver is told, so that its verdict is looked for at once. For whoever shows an own token, the
//! box is asked with its configured credential, if it has one: the token stands for that, as it
//! does when a turn of theirs is driven.

use crate::credential::Caller;
use crate::ids::ExecutionId;
use crate::log::Batch;
use crate::mode::Phase;
use crate::turn::control::TurnRecord;
use crate::turn::handle::Stop;

use super::readers::Denied;
use super::registry::Sessions;
use super::{Session, TurnRef};

/// What an abort came to.
#[derive(Debug)]
pub enum Abort {
    /// The turn was told, and the box was asked to stop if it has the turn.
    Asked,
    /// No turn of ours runs on the session: the request is the box's business.
    NothingRuns,
}

/// Why an abort failed.
#[derive(Debug, thiserror::Error)]
pub enum AbortError {
    /// No right to this session.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The box could not be asked.
    #[error(transparent)]
    Box(#[from] crate::upstream::Error),
}

impl Sessions {
    /// Asks the box, with the caller's credential, to stop what runs, and tells the turn.
    ///
    /// # Errors
    /// [`AbortError`].
    pub async fn abort(
        &self,
        session: &Session,
        who: Option<&Caller>,
    ) -> Result<Abort, AbortError> {
        self.stop(session, who, |_| true).await
    }

    /// The same for this turn: one that follows it goes on.
    ///
    /// # Errors
    /// [`AbortError`].
    pub async fn abort_turn(
        &self,
        turn: &TurnRef,
        who: Option<&Caller>,
    ) -> Result<Abort, AbortError> {
        self.stop(&turn.session, who, |execution| *execution == turn.execution).await
    }

    /// Stops what runs, if it is what is meant.
    async fn stop(
        &self,
        session: &Session,
        who: Option<&Caller>,
        is_meant: impl Fn(&ExecutionId) -> bool,
    ) -> Result<Abort, AbortError> {
        self.may_read(session, who).await?;
        session.settled().await;
        let (handle, execution, id) = {
            let state = session.state();
            let running = state.running.turn();
            let running = running.filter(|turn| is_meant(&turn.accepted.execution));
            let Some(running) = running else {
                return Ok(Abort::NothingRuns);
            };
            (running.handle.clone(), running.accepted.execution.clone(), state.box_session.clone())
        };
        let entry = self.boxes().get(&session.box_name);
        let (Some(id), Some(entry), true) = (id, entry, is_at_box(handle.status().phase)) else {
            // A box that has nothing yet need not be asked, and may be down: the turn does not
            // send its prompt, or stops the box as soon as it knows that the box has it.
            remember(session, execution).await;
            handle.cancel(Stop::TurnOnly);
            return Ok(Abort::Asked);
        };
        let shown = match who {
            Some(Caller::Holder(credential)) => Some(credential),
            Some(Caller::Own(_)) => entry.credential.as_ref(),
            None => None,
        };
        entry.upstream.cancel(shown, &id).await?;
        remember(session, execution).await;
        handle.cancel(Stop::AtBox);
        Ok(Abort::Asked)
    }
}

/// A stop that is answered outlives a restart. If the log refuses the note, the stop is still
/// obeyed now.
pub(super) async fn remember(session: &Session, execution: ExecutionId) {
    let batch = Batch::default().control(TurnRecord::CancelAsked(execution).encode());
    if let Err(error) = session.log.append(batch).await {
        tracing::warn!(%error, "the log does not take a request to stop");
    }
}

/// Whether the box is known to have a turn in this phase.
const fn is_at_box(phase: Phase) -> bool {
    match phase {
        Phase::Accepted | Phase::Prepared | Phase::Dispatching | Phase::Resolving => false,
        Phase::Running | Phase::Waiting | Phase::Draining | Phase::Finished => true,
    }
}
