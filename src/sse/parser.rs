//! Reads `text/event-stream`: what a box sends, and what a client of ours gets.
//!
//! Fields, line ends (LF, CR, CRLF), the byte order mark and text split over chunks are the crate
//! `sse-stream`'s; around it stands a bound: a frame of more than so many bytes ends the stream
//! before it is gathered, comments are skipped without being kept. As the standard has it, a
//! block without `data:` is no frame, `retry:` and unknown fields are ignored, an `id:` holding
//! NUL does not count, and what the stream ends in the middle of is dropped.
//!
//! It does not keep the last id over frames and does not reconnect.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use sse_stream::{Sse, SseByteStream};

/// What a frame without `event:` is called.
const UNNAMED: &str = "message";

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The `id:` of this frame itself, if it has one; empty if it is there and empty.
    pub id: Option<String>,
    /// The `event:`; `message` if it is absent or empty.
    pub name: String,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
}

/// Why there are no more frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadFrame<E> {
    /// The bytes stopped coming.
    #[error("read the event stream")]
    Transport(#[source] E),
    /// One block has more bytes than this.
    #[error("a frame of more than {0} bytes")]
    TooLong(usize),
    /// A field's value is not UTF-8.
    #[error("a frame that is not UTF-8")]
    NotUtf8,
}

/// The frames in `bytes`, none of whose blocks may have more than `max_frame_bytes`, line ends
/// counted and comments not.
///
/// The stream ends after its first error. It keeps at most the block that it is in the middle of
/// and the chunk that it took last.
// Cancel-safe: whatever was read is in the stream itself, so a dropped `next()` loses nothing.
pub fn frames<S, E>(bytes: S, max_frame_bytes: usize) -> Frames<S, E>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    let bounded =
        Bounded { bytes: Box::pin(bytes), block: Block::new(max_frame_bytes), failed: None };
    Frames { blocks: SseByteStream::new(bounded) }
}

/// See [`frames`].
pub struct Frames<S, E>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    blocks: SseByteStream<Bounded<S, E>>,
}

impl<S, E> std::fmt::Debug for Frames<S, E>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").finish_non_exhaustive()
    }
}

impl<S, E> Stream for Frames<S, E>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    type Item = Result<Frame, ReadFrame<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Sse { event, data, id, retry: _ } =
                match ready!(Pin::new(&mut self.blocks).poll_next(cx)) {
                    Some(Ok(block)) => block,
                    Some(Err(error)) => return Poll::Ready(Some(Err(cause(error)))),
                    None => return Poll::Ready(None),
                };
            if let Some(data) = data {
                let name = event.filter(|name| !name.is_empty());
                let name = name.unwrap_or_else(|| UNNAMED.to_owned());
                return Poll::Ready(Some(Ok(Frame { id, name, data })));
            }
        }
    }
}

/// What ended the stream: our own error comes back as it was handed in.
fn cause<E>(error: sse_stream::Error) -> ReadFrame<E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    if let sse_stream::Error::Body(ours) = error
        && let Ok(ours) = ours.downcast()
    {
        return *ours;
    }
    // All else that it complains of is the text of a field.
    ReadFrame::NotUtf8
}

/// The bytes as they come, up to where a block would be too long.
struct Bounded<S, E> {
    bytes: Pin<Box<S>>,
    block: Block,
    /// To be told once what came before it has been handed on.
    failed: Option<ReadFrame<E>>,
}

// Nothing in it is pinned in place: the source is behind a box.
impl<S, E> Unpin for Bounded<S, E> {}

impl<S, E> Stream for Bounded<S, E>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    type Item = Result<Bytes, ReadFrame<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(failed) = this.failed.take() {
            return Poll::Ready(Some(Err(failed)));
        }
        let Some(next) = ready!(this.bytes.as_mut().poll_next(cx)) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(match next {
            Ok(mut chunk) => {
                let fits = this.block.fits(&chunk);
                if fits < chunk.len() {
                    chunk.truncate(fits);
                    this.failed = Some(ReadFrame::TooLong(this.block.limit));
                }
                Ok(chunk)
            }
            Err(error) => Err(ReadFrame::Transport(error)),
        }))
    }
}

/// How long the block that the stream is in has grown.
#[derive(Debug)]
struct Block {
    limit: usize,
    len: usize,
    place: Place,
}

/// Where in a line the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// Behind a CR: a line has ended, and an LF would belong to its end.
    AfterCr,
    Field,
    Comment,
}

impl Block {
    const fn new(limit: usize) -> Self {
        Self { limit, len: 0, place: Place::Start }
    }

    /// How many bytes of `chunk` come before the one that would be too many.
    fn fits(&mut self, chunk: &[u8]) -> usize {
        chunk.iter().position(|byte| !self.takes(*byte)).unwrap_or(chunk.len())
    }

    /// Goes on by one byte; false if it is one too many.
    const fn takes(&mut self, byte: u8) -> bool {
        let ends = matches!(byte, b'\n' | b'\r');
        match (self.place, byte) {
            (Place::AfterCr, b'\n') => {
                self.place = Place::Start;
                return true;
            }
            // An empty line ends the block.
            (Place::Start | Place::AfterCr, _) if ends => self.len = 0,
            (Place::Start | Place::AfterCr, b':') => self.place = Place::Comment,
            (Place::Comment, _) => {}
            (Place::Start | Place::AfterCr | Place::Field, _) => {
                self.place = Place::Field;
                self.len += 1;
            }
        }
        if ends {
            self.place = if byte == b'\r' { Place::AfterCr } else { Place::Start };
        }
        self.len <= self.limit
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
