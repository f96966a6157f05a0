//! An answer that comes as an event stream: its bytes, as long as somebody wants them.
//!
//! Reading ends at the first silence, after a time in all, and behind a number of bytes, whatever
//! the box goes on to send. Dropped, the connection is closed; what that means to the work behind
//! it is the dialect's business.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::time::{Instant, timeout_at};

use super::Error;
use super::answer::Answer;
use super::reply::Reply;

/// What came back.
#[derive(Debug)]
pub enum Opened {
    /// Anything but a stream, read as far as replies are.
    Whole(Reply),
    /// A success whose events are yet to be read.
    Stream(Chunks),
}

/// How long, and how much, is read of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Without a byte.
    pub silence: Duration,
    /// From the head on.
    pub in_all: Duration,
    /// Bytes.
    pub bytes: usize,
}

/// The bytes of a stream.
#[derive(Debug)]
pub struct Chunks {
    answer: Answer,
}

impl Chunks {
    pub(super) const fn new(answer: Answer) -> Self {
        Self { answer }
    }

    /// The bytes within `patience`. A stream that is given up for that ends with
    /// [`Error::NoAnswer`] or [`Error::TooLarge`].
    pub fn within(self, patience: Patience) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        let Patience { silence, in_all, bytes } = patience;
        let ends = Instant::now() + in_all;
        stream::try_unfold((self.answer, bytes), move |(mut answer, room)| async move {
            let until = ends.min(Instant::now() + silence);
            // Cancel-safe: a chunk that is given up here is never asked for again.
            let chunk = timeout_at(until, answer.chunk()).await;
            let chunk =
                chunk.map_err(|_| Error::NoAnswer("the stream says nothing more".into()))?;
            let Some(chunk) = chunk.map_err(Error::from)? else {
                return Ok(None);
            };
            let room = room.checked_sub(chunk.len()).ok_or(Error::TooLarge(bytes))?;
            Ok(Some((chunk, (answer, room))))
        })
    }
}
