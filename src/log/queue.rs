//! The way from those who append to the writer: first come, first written, bounded in batches and
//! in bytes. When it is full, appending waits; nothing is dropped.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::Appended;
use super::error::Error;
use super::fields::len32;
use super::index::Session;
use super::record::{BATCH_HEADER_BYTES, EncodedBody, Entry, body_bytes};
use crate::limits;

/// The end of those who append. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    requests: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct Intake {
    requests: mpsc::Receiver<Request>,
    /// Taken, but too large for the group before it.
    carried: Option<Pending>,
    group_bytes: usize,
}

#[derive(Debug)]
enum Request {
    Append(Pending),
    Close,
}

/// A batch on its way to the disk.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) session: Arc<Session>,
    pub(super) body: EncodedBody,
    /// Whether it may take the reserve of a full disk.
    pub(super) is_urgent: bool,
    /// There until it is answered.
    answer: Option<oneshot::Sender<Result<Appended, Error>>>,
    /// Its bytes of the queue, free again when it is dropped.
    _room: OwnedSemaphorePermit,
}

/// A queue whose groups are full at `group_bytes`.
pub(super) fn queue(group_bytes: usize) -> (Queue, Intake) {
    let (sender, receiver) = mpsc::channel(limits::LOG_QUEUE_BATCHES);
    let room = Arc::new(Semaphore::new(limits::LOG_QUEUE_BYTES));
    let intake = Intake { requests: receiver, carried: None, group_bytes };
    (Queue { requests: sender, room }, intake)
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
        let room = Arc::clone(&self.room).acquire_many_owned(len32(bytes)).await;
        let room = room.map_err(|_| Error::Closed)?;
        let body = encode(entries, bytes).await?;
        let (answer, answered) = oneshot::channel();
        let answer = Some(answer);
        let pending = Pending { session, body, is_urgent, answer, _room: room };
        self.requests.send(Request::Append(pending)).await.map_err(|_| Error::Closed)?;
        // Without an answer the writer broke down between taking and syncing: as after a crash.
        answered.await.unwrap_or(Err(Error::Poisoned))
    }

    /// Asks the writer to take nothing more.
    pub(super) async fn close(&self) {
        // An error means that it was asked before.
        drop(self.requests.send(Request::Close).await);
    }
}

/// Encodes here, unless that would hold up whatever else runs on this thread.
async fn encode(entries: Vec<Entry>, bytes: usize) -> Result<EncodedBody, Error> {
    if bytes <= limits::ENCODED_IN_PLACE_BYTES {
        return Ok(EncodedBody::new(&entries));
    }
    // An error means that the runtime ends.
    let encoding = tokio::task::spawn_blocking(move || EncodedBody::new(&entries));
    encoding.await.map_err(|_| Error::Closed)
}

impl Intake {
    /// All that is queued, up to a full group; waits for the first. `None` when the store was
    /// closed, or everyone who could append is gone, and nothing is left. Blocks.
    pub(super) fn take_group(&mut self) -> Option<Vec<Pending>> {
        let first = match self.carried.take() {
            Some(carried) => carried,
            None => self.wait()?,
        };
        let mut bytes = first.body.disk_bytes();
        let mut group = vec![first];
        while let Ok(request) = self.requests.try_recv() {
            match request {
                Request::Close => self.requests.close(),
                Request::Append(pending) => {
                    bytes += pending.body.disk_bytes();
                    if bytes > self.group_bytes {
                        self.carried = Some(pending);
                        break;
                    }
                    group.push(pending);
                }
            }
        }
        Some(group)
    }

    fn wait(&mut self) -> Option<Pending> {
        loop {
            match self.requests.blocking_recv()? {
                Request::Append(pending) => return Some(pending),
                Request::Close => self.requests.close(),
            }
        }
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
