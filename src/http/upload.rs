//! A passed request's body on its way to the box: it may last, and it may not fall silent for ever.
//!
//! Promises: what arrives is handed on as it comes, for as long as it comes; a pause is no fault, and
//! a box that does not read is never taken for a client that does not send. While the box waits for
//! more and has answered nothing, a client that sends nothing for [`limits::PASS_BODY_SILENCE`] is
//! given up. Once the box answers there is no bound: both bodies may then be one conversation, and its
//! silences are the box's to judge.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use http::Request;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::limits;

/// The request's side of an answer that is not there yet.
#[derive(Debug)]
pub(super) struct Unanswered(Arc<AtomicBool>);

impl Unanswered {
    /// The head of the box's answer is there.
    pub(super) fn answered(self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why such a body ends.
#[derive(Debug, thiserror::Error)]
#[error("the client has sent nothing for too long")]
struct Silent;

/// Watches the body of a request, if there is one.
pub(super) fn watch(request: &mut Request<Body>) -> Unanswered {
    let answered = Arc::new(AtomicBool::new(false));
    if !request.body().is_end_stream() {
        let body = std::mem::take(request.body_mut());
        let watched = Watched { body, answered: Arc::clone(&answered), wait: Wait::Over(None) };
        *request.body_mut() = Body::new(watched);
    }
    Unanswered(answered)
}

/// Whether a failed request has failed for a body that fell silent.
pub(super) fn was_silent(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<Silent>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A wait for the client; its timer is kept, since an upload waits for each of its pieces.
enum Wait {
    Over(Option<Pin<Box<Sleep>>>),
    On(Pin<Box<Sleep>>),
}

struct Watched {
    body: Body,
    answered: Arc<AtomicBool>,
    wait: Wait,
}

impl Watched {
    /// Ready when the client has been silent for too long.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.answered.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        if let Wait::Over(timer) = &mut self.wait {
            let timer = match timer.take() {
                Some(mut timer) => {
                    timer.as_mut().reset(Instant::now() + limits::PASS_BODY_SILENCE);
                    timer
                }
                None => Box::pin(sleep(limits::PASS_BODY_SILENCE)),
            };
            self.wait = Wait::On(timer);
        }
        if let Wait::On(timer) = &mut self.wait {
            ready!(timer.as_mut().poll(context));
        }
        // It may have been answered meanwhile; what comes from the client wakes by itself.
        if self.answered.load(Ordering::Relaxed) { Poll::Pending } else { Poll::Ready(()) }
    }

    fn end_wait(&mut self) {
        if let Wait::On(timer) = std::mem::replace(&mut self.wait, Wait::Over(None)) {
            self.wait = Wait::Over(Some(timer));
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.end_wait();
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                ready!(self.poll_silence(context));
                Poll::Ready(Some(Err(Silent.into())))
            }
        }
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
    use std::convert::Infallible;

    use http_body_util::BodyExt as _;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    /// A watched body, and its client's side.
    fn upload() -> (Body, Unanswered, mpsc::Sender<&'static str>) {
        let (client, pieces) = mpsc::channel(1);
        let pieces = futures_util::stream::unfold(pieces, async |mut pieces| {
            let piece: &str = pieces.recv().await?;
            Some((Ok::<_, Infallible>(piece), pieces))
        });
        let mut request = Request::new(Body::from_stream(pieces));
        let unanswered = watch(&mut request);
        (request.into_body(), unanswered, client)
    }

    const ALMOST: std::time::Duration = limits::PASS_BODY_SILENCE.saturating_sub(
        // The clock of a test goes on by whole milliseconds.
        std::time::Duration::from_millis(5),
    );

    #[tokio::test(start_paused = true)]
    async fn a_body_may_pause_again_and_again_and_last_for_days() {
        let (mut body, _unanswered, client) = upload();
        for _ in 0..1000 {
            assert!(timeout(ALMOST, body.frame()).await.is_err(), "it waits");
            client.send("x").await.expect("it is read");
            let frame = body.frame().await.expect("a frame").expect("no fault");
            assert_eq!(frame.into_data().expect("data"), "x");
        }
        drop(client);
        assert!(body.frame().await.is_none(), "and it ends as it is");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_is_given_up_in_time() {
        let (mut body, _unanswered, client) = upload();
        client.send("x").await.expect("it is read");
        body.frame().await.expect("a frame").expect("no fault");
        let begun = Instant::now();
        let fault = timeout(limits::PASS_BODY_SILENCE * 10, body.frame()).await.expect("in time");
        let error = fault.expect("a frame").expect_err("a fault");
        assert!(was_silent(&error), "{error:?}");
        let waited = begun.elapsed();
        assert!((ALMOST..limits::PASS_BODY_SILENCE * 2).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_box_that_does_not_read_is_no_silence_of_the_client() {
        let (mut body, _unanswered, client) = upload();
        tokio::time::sleep(limits::PASS_BODY_SILENCE * 3).await;
        assert!(timeout(ALMOST, body.frame()).await.is_err(), "the wait begins here");
        client.send("x").await.expect("it is read");
        tokio::time::sleep(limits::PASS_BODY_SILENCE * 3).await;
        body.frame().await.expect("a frame").expect("no fault");
    }

    #[tokio::test(start_paused = true)]
    async fn once_the_box_answers_silence_is_no_fault() {
        for waits_before in [false, true] {
            let (mut body, unanswered, client) = upload();
            if waits_before {
                assert!(timeout(ALMOST, body.frame()).await.is_err());
            }
            unanswered.answered();
            assert!(timeout(limits::PASS_BODY_SILENCE * 100, body.frame()).await.is_err());
            client.send("x").await.expect("it is read");
            body.frame().await.expect("a frame").expect("no fault");
        }
    }

    #[test]
    fn what_has_no_body_is_left_alone() {
        let mut request = Request::new(Body::empty());
        watch(&mut request).answered();
        assert!(request.body().is_end_stream());
        let mut request = Request::new(Body::from("abc"));
        let _unanswered = watch(&mut request);
        assert_eq!(request.body().size_hint().exact(), Some(3));
    }
}
