//! `Expect: 100-continue`: the client's body is asked for when the box asks for it.
//!
//! Our server tells a client to go on (100) when its body is first read, and our client reads the
//! body as soon as the head is sent. So the body stands behind a gate, which opens when the box's
//! own 100 arrives, or after [`limits::PASS_CONTINUE_WAIT`], since many boxes never say 100. If the
//! box answers without having asked, the client gets that answer and the body is never read: both
//! connections end after the answer, since its bytes may or may not be on their way.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http::{HeaderValue, Request, StatusCode, header};
use http_body::{Frame, SizeHint};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::limits;

/// A body behind its gate. Dropped, the body is never read.
#[derive(Debug)]
pub(super) struct Expected {
    /// Fires at the box's 100.
    asked: CancellationToken,
    /// Fires at the head of the box's answer.
    answered: CancellationToken,
    /// Fires when the answer has been handed on, or given up.
    over: DropGuard,
}

/// Puts the body of a request that expects `100-continue` behind a gate.
pub(super) fn hold(request: &mut Request<Body>) -> Option<Expected> {
    let expected = request.headers().get(header::EXPECT)?.as_bytes();
    if !expected.eq_ignore_ascii_case(b"100-continue") || request.body().is_end_stream() {
        return None;
    }
    let (asked, answered) = (CancellationToken::new(), CancellationToken::new());
    let over = CancellationToken::new();
    let gate = Box::pin(gate(asked.clone(), answered.clone(), over.clone()));
    let body = std::mem::take(request.body_mut());
    *request.body_mut() = Body::new(Held { body, gate: Gate::Shut(gate) });
    let open = asked.clone();
    hyper::ext::on_informational(request, move |told| {
        if told.status() == StatusCode::CONTINUE {
            open.cancel();
        }
    });
    Some(Expected { asked, answered, over: over.drop_guard() })
}

impl Expected {
    /// The box's answer is there: if the body is still held, it stays so.
    pub(super) fn answered(self, mut response: Response) -> Response {
        let Self { asked, answered, over } = self;
        answered.cancel();
        if !asked.is_cancelled() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| Body::new(Last { body, _over: over }))
    }
}

/// What becomes of a held body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Send,
    Keep,
}

async fn gate(
    asked: CancellationToken,
    answered: CancellationToken,
    over: CancellationToken,
) -> Word {
    // Dropping the waits loses nothing. Who has asked gets the body, also if the answer is there.
    tokio::select! {
        biased;
        () = asked.cancelled() => return Word::Send,
        () = answered.cancelled() => {}
        () = over.cancelled() => return Word::Keep,
        () = sleep(limits::PASS_CONTINUE_WAIT) => return Word::Send,
    }
    // An error of the body ends the connection to the box: not before its answer is through.
    over.cancelled().await;
    Word::Keep
}

/// Why a held body ends.
#[derive(Debug, thiserror::Error)]
#[error("the box has answered without asking for the body")]
struct NotAsked;

enum Gate {
    Shut(Pin<Box<dyn Future<Output = Word> + Send>>),
    Open,
}

/// The body behind the gate.
struct Held {
    body: Body,
    gate: Gate,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Gate::Shut(gate) = &mut self.gate {
            match ready!(gate.as_mut().poll(context)) {
                Word::Send => self.gate = Gate::Open,
                Word::Keep => {
                    self.gate = Gate::Shut(Box::pin(std::future::ready(Word::Keep)));
                    return Poll::Ready(Some(Err(NotAsked.into())));
                }
            }
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that tells when it is over.
struct Last {
    body: Body,
    _over: DropGuard,
}

impl HttpBody for Last {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use tokio::time::timeout;

    use super::*;

    /// A request that expects `expected`, and how often its body was read.
    fn request(expected: &'static str) -> (Request<Body>, Arc<AtomicUsize>) {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let body = futures_util::stream::poll_fn(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Some(Ok::<_, axum::Error>(Bytes::from_static(b"x"))))
        });
        let request = Request::builder().header(header::EXPECT, expected);
        (request.body(Body::from_stream(body)).expect("a request"), reads)
    }

    async fn read(request: &mut Request<Body>, wait: Duration) -> Option<bool> {
        let frame = timeout(wait, request.body_mut().frame()).await.ok()?;
        Some(frame.expect("no end").is_ok())
    }

    const WAIT: Duration = limits::PASS_CONTINUE_WAIT;

    #[tokio::test(start_paused = true)]
    async fn a_body_is_held_until_the_box_asks() {
        let (mut request, reads) = request("100-Continue");
        let expected = hold(&mut request).expect("is held");
        assert_eq!(read(&mut request, WAIT / 2).await, None);
        expected.asked.cancel();
        assert_eq!(read(&mut request, Duration::ZERO).await, Some(true));
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        let response = expected.answered(Response::new(Body::empty()));
        assert_eq!(response.headers().get(header::CONNECTION), None);
        drop(response);
        assert_eq!(read(&mut request, Duration::ZERO).await, Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_box_that_says_nothing_gets_the_body_after_a_while() {
        let (mut request, reads) = request("100-continue");
        let _expected = hold(&mut request).expect("is held");
        assert_eq!(read(&mut request, WAIT / 2).await, None);
        assert_eq!(reads.load(Ordering::Relaxed), 0);
        assert_eq!(read(&mut request, WAIT).await, Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_was_not_asked_for_is_never_read_and_ends_behind_the_answer() {
        let (mut request, reads) = request("100-continue");
        let expected = hold(&mut request).expect("is held");
        let response = expected.answered(Response::new(Body::from("no")));
        assert_eq!(response.headers()[header::CONNECTION], "close");
        assert_eq!(read(&mut request, 100 * WAIT).await, None);
        drop(response);
        assert_eq!(read(&mut request, Duration::ZERO).await, Some(false));
        assert_eq!(read(&mut request, Duration::ZERO).await, Some(false));
        assert_eq!(reads.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_ends_when_no_answer_comes() {
        let (mut request, reads) = request("100-continue");
        drop(hold(&mut request).expect("is held"));
        assert_eq!(read(&mut request, Duration::ZERO).await, Some(false));
        assert_eq!(reads.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn other_expectations_and_empty_bodies_are_not_held() {
        let (mut other, _) = request("something-else");
        assert!(hold(&mut other).is_none());
        let (mut empty, _) = request("100-continue");
        *empty.body_mut() = Body::empty();
        assert!(hold(&mut empty).is_none());
        empty.headers_mut().remove(header::EXPECT);
        assert!(hold(&mut empty).is_none());
    }
}
