//! What all streams together have on its way to their clients: bounded, however many clients stand
//! still.
//!
//! A stream gives one piece to the server at a time, and the next is not even read before that one
//! has gone into the socket: what waits for a slow client is that one piece. It is small, unless one
//! of a few places for large ones is free, which replay faster. So clients that stand still may hold
//! all large places for as long as they like: the others go on with small pieces.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;

/// The places for large pieces. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    large: Arc<Semaphore>,
}

/// One stream's way to its client.
#[derive(Debug)]
pub(crate) struct Lane {
    large: Arc<Semaphore>,
    /// One, while nothing of this stream is on its way.
    free: Arc<Semaphore>,
    /// Taken, for the piece that is being made.
    taken: Option<OwnedSemaphorePermit>,
}

/// A piece on its way. Its places are free again when the server lets go of it.
struct Piece {
    bytes: Bytes,
    _lane: OwnedSemaphorePermit,
    _large: Option<OwnedSemaphorePermit>,
}

impl Outgoing {
    /// With so many places for large pieces.
    pub(crate) fn new(large: usize) -> Self {
        Self { large: Arc::new(Semaphore::new(large)) }
    }

    /// A way for one stream.
    pub(crate) fn lane(&self) -> Lane {
        Lane { large: Arc::clone(&self.large), free: Arc::new(Semaphore::new(1)), taken: None }
    }
}

impl Lane {
    /// Resolves when nothing of the stream is on its way.
    // Cancel-safe: nothing is taken.
    pub(crate) async fn clear(&self) {
        drop(self.free.acquire().await);
    }

    /// Takes a place for a large piece, if one is free; says how long the next piece may be.
    pub(crate) fn widen(&mut self) -> usize {
        if self.taken.is_none() {
            self.taken = Arc::clone(&self.large).try_acquire_owned().ok();
        }
        self.width()
    }

    /// How long the next piece may be.
    pub(crate) fn width(&self) -> usize {
        if self.taken.is_some() { limits::LARGE_PIECE_BYTES } else { limits::SMALL_PIECE_BYTES }
    }

    /// Sends a piece. Those that are tiny are not waited for: the server itself takes a few of them
    /// and no more, and live events are most of them.
    pub(crate) fn send(&mut self, bytes: Bytes) -> Bytes {
        let large = self.taken.take().filter(|_| bytes.len() > limits::SMALL_PIECE_BYTES);
        if bytes.len() <= limits::TINY_PIECE_BYTES {
            return bytes;
        }
        match Arc::clone(&self.free).try_acquire_owned() {
            Ok(lane) => Bytes::from_owner(Piece { bytes, _lane: lane, _large: large }),
            // Whoever did not wait has something to say that cannot.
            Err(_) => bytes,
        }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
