//! The way from those who append to the writer: first come, first written, bounded in bytes. When
//! it is full, appending waits; nothing is dropped.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Appended;
use super::body::{Body, body_bytes};
use super::error::Error;
use super::fields::len32;
use super::forming::{Forming, Intake};
use super::index::Session;
use super::record::{BATCH_HEADER_BYTES, Entry};
use crate::limits;

/// The end of those who append; the writer's ends once it is dropped.
#[derive(Debug)]
pub(super) struct Queue {
    forming: Arc<Forming>,
    room: Arc<Semaphore>,
}

/// A batch on its way to the disk.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) session: Arc<Session>,
    pub(super) body: Body,
    /// Whether it may take the reserve of a full disk.
    pub(super) is_urgent: bool,
    /// There until it is answered.
    answer: Option<oneshot::Sender<Result<Appended, Error>>>,
    /// Its bytes of the queue, free again when it is dropped.
    _room: OwnedSemaphorePermit,
}

/// A queue whose groups are full at `group_bytes`.
pub(super) fn queue(group_bytes: usize) -> (Queue, Intake) {
    let forming = Forming::new(group_bytes);
    let intake = forming.intake();
    (Queue { forming, room: Arc::new(Semaphore::new(limits::LOG_QUEUE_BYTES)) }, intake)
}

impl Queue {
    /// Queues a batch and waits until it is durable or refused.
    pub(super) async fn append(
        &self,
        session: Arc<Session>,
        entries: Vec<Entry>,
        is_urgent: bool,
    ) -> Result<Appended, Error> {
        let bytes = BATCH_HEADER_BYTES + body_bytes(&entries);
        if bytes > limits::MAX_BATCH_BYTES {
            return Err(Error::TooLarge(bytes));
        }
        // What is copied into its group is there twice until it is written.
        let copied = if bytes <= limits::COPIED_IN_PLACE_BYTES { bytes } else { 0 };
        let taken = bytes + copied + limits::LOG_QUEUED_BATCH_BYTES;
        let room = Arc::clone(&self.room).acquire_many_owned(len32(taken)).await;
        let room = room.map_err(|_| Error::Closed)?;
        let body = hash(entries, bytes).await?;
        let (answer, answered) = oneshot::channel();
        let answer = Some(answer);
        let pending = Pending { session, body, is_urgent, answer, _room: room };
        self.forming.add(pending)?;
        // Without an answer the writer broke down between taking and syncing: as after a crash.
        answered.await.unwrap_or(Err(Error::Poisoned))
    }

    /// Asks the writer to take nothing more.
    pub(super) fn close(&self) {
        self.forming.close();
    }
}

/// Hashes here, unless that would hold up whatever else runs on this thread.
async fn hash(entries: Vec<Entry>, bytes: usize) -> Result<Body, Error> {
    if bytes <= limits::HASHED_IN_PLACE_BYTES {
        return Ok(Body::new(entries));
    }
    // An error means that the runtime ends.
    tokio::task::spawn_blocking(move || Body::new(entries)).await.map_err(|_| Error::Closed)
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.forming.close();
    }
}

impl Pending {
    /// Tells whoever appended, if they still wait.
    pub(super) fn answer(&mut self, answer: Result<Appended, Error>) {
        if let Some(waiting) = self.answer.take() {
            drop(waiting.send(answer));
        }
    }
}
