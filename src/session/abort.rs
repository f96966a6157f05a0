//! Stopping a running turn: the box is asked with the credential of whoever asks, and the turn's
//! driver is told, so that its verdict is looked for at once.

use crate::credential::Credential;

use super::Session;
use super::readers::Denied;
use super::registry::Sessions;

/// What an abort came to.
#[derive(Debug)]
pub enum Abort {
    /// The box was asked to stop and the turn was told.
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
        who: Option<&Credential>,
    ) -> Result<Abort, AbortError> {
        self.may_read(session, who).await?;
        let (handle, id) = {
            let state = session.state();
            let Some(running) = state.running.turn() else {
                return Ok(Abort::NothingRuns);
            };
            (running.handle.clone(), state.box_session.clone())
        };
        if let (Some(id), Some(entry)) = (id, self.boxes().get(&session.box_name)) {
            entry.upstream.cancel(who, &id).await?;
        }
        handle.cancel();
        Ok(Abort::Asked)
    }
}
