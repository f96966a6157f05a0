//! Streams: a buffer's frames to one peer, followed until the execution is over.
//!
//! No comments and no heartbeats: silence is silence. A stream is cut, not ended, when it was
//! silent for too long or its buffer is reaped: the peer sees a broken connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Simbox;
use super::buffer::Found;
use super::memory::Execution;

/// What happens to the turn when its stream is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDrop {
    /// It goes on.
    GoOn,
    /// It is cancelled.
    Cancel,
}

/// The answer that follows `execution` from after the event number `after`.
pub(super) fn follow(
    simbox: &Simbox,
    execution: Arc<Execution>,
    after: u64,
    on_drop: OnDrop,
) -> Response {
    let number = simbox.ledger().opened(execution.no);
    let cancel = (on_drop == OnDrop::Cancel).then(|| execution.abort.clone());
    let stream = Stream {
        news: execution.buffer.news(),
        idle_cut: execution.plan.idle_cut,
        held: Held { simbox: simbox.clone(), execution, number, cancel },
        after,
        sent_at: Instant::now(),
    };
    let frames = futures_util::stream::unfold(stream, |mut stream| async move {
        let next = stream.next().await?;
        Some((next, stream))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

struct Stream {
    held: Held,
    news: watch::Receiver<()>,
    idle_cut: Option<Duration>,
    after: u64,
    sent_at: Instant,
}

impl Stream {
    /// The next bytes; an error cuts the connection, nothing ends it well.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            self.news.mark_unchanged();
            let reaped_at = match self.held.execution.buffer.read(self.after) {
                Found::Frames(bytes, up_to) => {
                    self.after = up_to;
                    self.sent_at = Instant::now();
                    self.held.sent();
                    return Some(Ok(bytes));
                }
                Found::Over => {
                    self.held.cancel = None;
                    return None;
                }
                Found::Reaped => return Some(Err(cut("the buffer is reaped"))),
                Found::Nothing(reaped_at) => reaped_at,
            };
            let cut_at = self.idle_cut.and_then(|idle| self.sent_at.checked_add(idle));
            // Dropping a wait loses nothing: news stay until they are marked as seen.
            tokio::select! {
                biased;
                _ = self.news.changed() => {}
                () = at(cut_at) => return Some(Err(cut("silent for too long"))),
                () = at(reaped_at) => {}
            }
        }
    }
}

fn cut(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, why)
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Notes how long the stream is held, for as long as the peer holds it.
struct Held {
    simbox: Simbox,
    execution: Arc<Execution>,
    number: u64,
    /// Cancelled when the stream is dropped before the end.
    cancel: Option<CancellationToken>,
}

impl Held {
    fn sent(&self) {
        self.simbox.ledger().sent(self.execution.no, self.number);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.simbox.ledger().closed(self.execution.no, self.number);
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
    }
}
