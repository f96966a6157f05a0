//! One call on its way: sent, then read within the time that it has.
//!
//! Time is bounded twice, in all and without a byte. What went wrong is told by what it says of the
//! request: a connection that was never made carried nothing; of anything else that cannot be known.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::Error;
use super::client::Http;
use super::connect::root_cause;
use crate::limits;

/// An answer whose head is there.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    ends: Instant,
}

/// A call that gave no answer.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) error: Error,
    /// A silent box, not a broken connection: asking again would only wait again.
    pub(super) timed_out: bool,
}

impl Broken {
    fn silent() -> Self {
        let error = Error::NoAnswer("the box says nothing in time".to_owned());
        Self { error, timed_out: true }
    }
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        broken.error
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self { error, timed_out: false }
    }
}

/// Sends `request` and waits for the head; the answer must be whole `within` that time.
pub(super) async fn send(
    client: &Http,
    request: Request<Full<Bytes>>,
    within: Duration,
) -> Result<Answer, Broken> {
    let ends = Instant::now() + within;
    // Cancel-safe: a request that is given up here closes its connection.
    let response = timeout_at(soon(ends), client.request(request)).await;
    let response = response.map_err(|_| Broken::silent())?.map_err(|error| {
        let cause = root_cause(&error);
        if error.is_connect() { Error::Connect(cause) } else { Error::NoAnswer(cause) }
    })?;
    let (head, body) = response.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, body, ends })
}

impl Answer {
    /// The next bytes of the body; `None` at its end.
    // Cancel-safe: bytes are taken only when they are given out.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            let frame = timeout_at(soon(self.ends), self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| Broken::silent())? else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| Error::NoAnswer(root_cause(&error)))?;
            // Trailers say nothing to us.
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }
}

/// When a wait that begins now ends.
fn soon(ends: Instant) -> Instant {
    ends.min(Instant::now() + limits::BOX_READ_TIMEOUT)
}
