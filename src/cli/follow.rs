//! Follows an event stream over cuts and restarts: comes back after the last event that it has given.
//!
//! Each event is given once. A connection that fails before the first event is told to the caller; from
//! then on it is made again until the stream is over (204) or refused. An afterbay that is looked up is
//! looked up each time, since a restart may move it.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use http_body_util::BodyDataStream;
use reqwest::{Method, StatusCode};

use super::daemon::{Daemon, refusal, told};
use super::failure::Failure;
use crate::limits;
use crate::sse::parser::{Frame, ReadFrame, frames};

/// Where the events are.
#[derive(Debug)]
pub(super) enum Source {
    /// At an afterbay's admin address.
    Operators { daemon: Daemon, target: String },
    /// Anywhere, with the value of an Authorization header if one is needed.
    Anywhere { http: reqwest::Client, url: String, authorization: Option<String> },
}

type Open = Pin<Box<dyn Stream<Item = Result<Frame, ReadFrame<reqwest::Error>>> + Send>>;

/// A stream that is followed.
pub(super) struct Follower {
    source: Source,
    /// The last id that was given, or what to begin after.
    last: Option<String>,
    open: Option<Open>,
    has_opened: bool,
    pause: Duration,
}

/// What one attempt to open came to.
enum Attempt {
    Open(Open),
    Over,
    Failed(Failure),
    Later,
}

impl Follower {
    /// Follows `source` after the event `after`.
    pub(super) fn new(source: Source, after: Option<u64>) -> Self {
        let last = after.map(|after| after.to_string());
        let pause = limits::FOLLOW_PAUSES.0;
        Self { source, last, open: None, has_opened: false, pause }
    }

    /// The next event; `None` when the stream is over.
    ///
    /// # Errors
    /// If it is refused, or cannot be opened at all.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, Failure> {
        loop {
            let Some(open) = &mut self.open else {
                match self.attempt().await? {
                    Attempt::Open(open) => {
                        (self.has_opened, self.open) = (true, Some(open));
                    }
                    Attempt::Over => return Ok(None),
                    Attempt::Failed(failure) if !self.has_opened => return Err(failure),
                    Attempt::Failed(_) | Attempt::Later => self.wait().await,
                }
                continue;
            };
            match open.next().await {
                Some(Ok(frame)) => {
                    self.pause = limits::FOLLOW_PAUSES.0;
                    self.last = frame.id.clone().or(self.last.take());
                    return Ok(Some(frame));
                }
                Some(Err(ReadFrame::TooLong(most))) => {
                    return Err(Failure::Refused(format!("a frame of more than {most} bytes")));
                }
                Some(Err(ReadFrame::Transport(_) | ReadFrame::NotUtf8)) | None => {
                    self.open = None;
                    self.wait().await;
                }
            }
        }
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(limits::FOLLOW_PAUSES.1);
    }

    async fn attempt(&self) -> Result<Attempt, Failure> {
        let request = match &self.source {
            Source::Operators { daemon, target } => match daemon.request(Method::GET, target) {
                Ok(request) => request,
                Err(failure) => return Ok(Attempt::Failed(failure)),
            },
            Source::Anywhere { http, url, authorization } => {
                let request = http.get(url);
                match authorization {
                    Some(value) => request.header(reqwest::header::AUTHORIZATION, value),
                    None => request,
                }
            }
        };
        let request = request.header(reqwest::header::ACCEPT, "text/event-stream");
        let request = match &self.last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                return Ok(Attempt::Failed(Failure::Unreachable(format!(
                    "no answer: {}",
                    told(error)
                ))));
            }
        };
        match answer.status() {
            StatusCode::OK => {
                let bytes = BodyDataStream::new(reqwest::Body::from(answer));
                Ok(Attempt::Open(Box::pin(frames(bytes, limits::MAX_FOLLOWED_FRAME_BYTES))))
            }
            StatusCode::NO_CONTENT => Ok(Attempt::Over),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                if self.has_opened {
                    return Ok(Attempt::Later);
                }
                let body = answer.bytes().await.unwrap_or_default();
                Ok(Attempt::Failed(refusal(status, &body)))
            }
            status => {
                let body = answer.bytes().await.unwrap_or_default();
                Err(refusal(status, &body))
            }
        }
    }
}
