//! Places for open streams: bounded in all, so that the program stays within its descriptors and its
//! memory, and for each session, so that one client that opens streams and never closes them takes
//! none from others. Who starts a turn reads it in any case.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use crate::session::Session;

/// All places.
#[derive(Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    of_session: usize,
    drain: CancellationToken,
}

/// One of them, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _all: OwnedSemaphorePermit,
    _session: Option<OwnedSemaphorePermit>,
}

impl Places {
    /// So many, of which one session may have so many; none once `drain` has fired.
    pub(crate) fn new(all: usize, of_session: usize, drain: CancellationToken) -> Self {
        let all = Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS)));
        Self { all, of_session, drain }
    }

    /// For who starts a turn.
    ///
    /// # Errors
    /// [`Error::Draining`] or [`Error::TooManyStreams`].
    pub(crate) fn take(&self) -> Result<Place, Error> {
        if self.drain.is_cancelled() {
            return Err(Error::Draining);
        }
        let all = Arc::clone(&self.all).try_acquire_owned();
        Ok(Place { _all: all.map_err(|_| Error::TooManyStreams)?, _session: None })
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
}
