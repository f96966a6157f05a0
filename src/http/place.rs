//! Places for open streams and WebSockets: bounded in all, so that the program stays within its
//! descriptors and its memory, and for each session, so that one client that opens streams and never closes them takes
//! none from others. Who starts a turn reads it in any case.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::settings::Settings;
use crate::session::{Session, StreamPlace};

/// All places. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    sockets: Arc<Semaphore>,
    of_session: usize,
    drain: CancellationToken,
}

/// One of them, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _all: OwnedSemaphorePermit,
    _session: Option<StreamPlace>,
}

impl Places {
    /// As many as `settings` say; none once `drain` has fired.
    pub(crate) fn new(settings: &Settings, drain: CancellationToken) -> Self {
        let places = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let (all, sockets) = (places(settings.max_streams), places(settings.max_sockets));
        Self { all, sockets, of_session: settings.max_session_streams, drain }
    }

    /// For who starts a turn.
    ///
    /// # Errors
    /// [`Error::Draining`] or [`Error::TooManyStreams`].
    pub(crate) fn take(&self) -> Result<Place, Error> {
        Ok(Place { _all: self.one_of(&self.all, Error::TooManyStreams)?, _session: None })
    }

    /// For who reads what is there of `session`.
    ///
    /// # Errors
    /// As [`Places::take`].
    pub(crate) fn take_at(&self, session: &Session) -> Result<Place, Error> {
        let place = self.take()?;
        let own = session.stream_place(self.of_session).ok_or(Error::TooManyStreams)?;
        Ok(Place { _session: Some(own), ..place })
    }

    /// For a WebSocket.
    ///
    /// # Errors
    /// [`Error::Draining`] or [`Error::TooManyWebSockets`].
    pub(crate) fn take_socket(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.one_of(&self.sockets, Error::TooManyWebSockets)
    }

    fn one_of(&self, places: &Arc<Semaphore>, full: Error) -> Result<OwnedSemaphorePermit, Error> {
        if self.drain.is_cancelled() {
            return Err(Error::Draining);
        }
        Arc::clone(places).try_acquire_owned().map_err(|_| full)
    }
}
