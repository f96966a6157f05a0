//! Follows an event stream over cuts and restarts: comes back after the last event that it has given.
//!
//! Each event is given once. A connection that fails before the first event is told to the caller; from
//! then on it is made again until the stream is over (204) or refused. An afterbay that is looked up is
//! looked up each time, since a restart may move it.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::header::{ACCEPT, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::BodyDataStream;

use super::clients_door::{BrokenOff, ClientsDoor, Pieces, pieces};
use super::daemon::{Daemon, refusal, told};
use super::failure::Failure;
use crate::limits;
use crate::sse::parser::{Frame, ReadFrame, frames};

/// Where the events are.
#[derive(Debug)]
pub(super) enum Source {
    /// At an afterbay's admin address.
    Operators { daemon: Daemon, target: String },
    /// Anywhere, as any client reads it.
    Anywhere { door: Box<ClientsDoor>, url: String },
}

type Open = Pin<Box<dyn Stream<Item = Result<Frame, ReadFrame<BrokenOff>>> + Send>>;

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
        let (status, pieces) = match self.ask().await {
            Ok(answer) => answer,
            Err(failure @ Failure::Usage(_)) => return Err(failure),
            Err(failure) => return Ok(Attempt::Failed(failure)),
        };
        match status {
            StatusCode::OK => {
                Ok(Attempt::Open(Box::pin(frames(pieces, limits::MAX_FOLLOWED_FRAME_BYTES))))
            }
            StatusCode::NO_CONTENT => Ok(Attempt::Over),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                if self.has_opened {
                    return Ok(Attempt::Later);
                }
                Ok(Attempt::Failed(refusal(status, &beginning(pieces).await)))
            }
            status => Err(refusal(status, &beginning(pieces).await)),
        }
    }

    /// Asks for what follows the last event.
    async fn ask(&self) -> Result<(StatusCode, Pieces), Failure> {
        let accept = (ACCEPT, HeaderValue::from_static("text/event-stream"));
        let last = self.last.as_deref().and_then(|last| HeaderValue::from_str(last).ok());
        let last = last.map(|last| (HeaderName::from_static("last-event-id"), last));
        let headers = [accept].into_iter().chain(last);
        match &self.source {
            Source::Operators { daemon, target } => {
                let request = daemon.request(Method::GET, target)?.headers(headers.collect());
                let no_answer = |error| Failure::Unreachable(format!("no answer: {}", told(error)));
                let answer = request.send().await.map_err(no_answer)?;
                let status = answer.status();
                let pieces = BodyDataStream::new(reqwest::Body::from(answer));
                let pieces = pieces.map_err(|error| BrokenOff(told(error)));
                Ok((status, pieces.boxed()))
            }
            Source::Anywhere { door, url } => {
                let answer = door.ask(Method::GET, url, headers, Bytes::new()).await?;
                let (head, body) = answer.into_parts();
                Ok((head.status, pieces(body)))
            }
        }
    }
}

/// What an answer that is no stream begins with: an error is short.
async fn beginning(mut pieces: Pieces) -> Vec<u8> {
    let mut beginning = Vec::new();
    while let Some(Ok(piece)) = pieces.next().await {
        beginning.extend_from_slice(&piece);
        if beginning.len() >= limits::MAX_REFUSAL_SHOWN_BYTES {
            break;
        }
    }
    beginning
}
