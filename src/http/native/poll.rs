//! The long poll: events as one JSON answer, at once or after a wait.
//!
//! What is durable is read to the end of what was asked for; only if there is nothing it waits.
//! Events that are gone are told with exact bounds, always before the events of the same answer: a
//! later gap is left to the next request. Afterbay's stop ends the wait.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use tokio::time::{Instant, timeout_at};

use super::super::Door;
use super::super::error::Error;
use super::super::query::Query;
use super::answers::{Event, Events, Gap, answer as json, raw};
use crate::event::Seq;
use crate::limits;
use crate::log::{Logged, Step};
use crate::session::Session;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    after: Seq,
    /// The most events.
    limit: usize,
    /// How long to wait for the first one.
    wait: Duration,
}

impl Page {
    /// What the query asks for, after this event.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`].
    pub(super) fn asked(query: &Query<'_>, after: Seq) -> Result<Self, Error> {
        let limit = query.number("limit", 1..=limits::MAX_POLL_EVENTS)?;
        let limit = usize::try_from(limit.unwrap_or(limits::POLL_EVENTS)).unwrap_or(1);
        let wait = query.number("wait", 0..=limits::MAX_POLL_WAIT_SECONDS)?;
        Ok(Self { after, limit, wait: Duration::from_secs(wait.unwrap_or(0)) })
    }

    /// The same without a wait.
    pub(super) const fn at_once(mut self) -> Self {
        self.wait = Duration::ZERO;
        self
    }
}

/// The answer.
///
/// # Errors
/// [`Error::LogUnavailable`].
pub(super) async fn answer(door: &Door, session: &Session, page: Page) -> Result<Response, Error> {
    let until = Instant::now() + page.wait;
    let mut found = Found::new(page);
    let mut cursor = session.cursor(page.after);
    while !found.is_full {
        let is_durable = found.next < session.tail().next_seq.previous();
        if !is_durable && !found.is_empty() {
            break;
        }
        // What is durable is there; what is not is waited for.
        let step = if is_durable {
            cursor.next().await
        } else {
            // Each arm only waits, or reads a cancel-safe cursor.
            tokio::select! {
                biased;
                () = door.doors.drain.cancelled() => break,
                step = timeout_at(until, cursor.next()) => match step {
                    Ok(step) => step,
                    Err(_elapsed) => break,
                },
            }
        };
        match step {
            Ok(Step::Records(records)) => found.take(records)?,
            Ok(Step::Gap { from, to }) => found.take_gap(from, to),
            Ok(Step::End) if door.doors.drain.is_cancelled() => break,
            Ok(Step::End) => return Err(Error::LogUnavailable),
            Err(error) => {
                tracing::warn!(%error, "cannot read the events of a session");
                return Err(Error::LogUnavailable);
            }
        }
    }
    Ok(json(StatusCode::OK, &found.into_answer()))
}

/// What was found so far.
struct Found {
    events: Vec<Event>,
    bytes: usize,
    limit: usize,
    gap: Option<Gap>,
    /// Everything up to this one was seen or told as gone.
    next: Seq,
    is_full: bool,
}

impl Found {
    const fn new(page: Page) -> Self {
        let Page { after, limit, wait: _ } = page;
        Self { events: Vec::new(), bytes: 0, limit, gap: None, next: after, is_full: false }
    }

    const fn is_empty(&self) -> bool {
        self.events.is_empty() && self.gap.is_none()
    }

    fn take(&mut self, records: Vec<Logged>) -> Result<(), Error> {
        for record in records {
            let Logged::Event { seq, event } = record else { continue };
            let data = event.data.as_bytes();
            self.bytes += data.len();
            let is_too_much = self.bytes > limits::MAX_POLL_BYTES && !self.events.is_empty();
            if is_too_much || self.events.len() >= self.limit {
                self.is_full = true;
                return Ok(());
            }
            let Some(data) = raw(data) else {
                tracing::error!(%seq, "an event in the log is not JSON");
                return Err(Error::Internal);
            };
            let name = String::from_utf8_lossy(event.name.as_bytes()).into_owned();
            self.events.push(Event { id: seq.get(), event: name, data });
            self.next = seq;
        }
        self.is_full = self.events.len() >= self.limit;
        Ok(())
    }

    fn take_gap(&mut self, from: Seq, to: Seq) {
        if self.is_empty() {
            self.gap = Some(Gap { from: from.get(), to: to.get() });
            self.next = to;
        } else {
            self.is_full = true;
        }
    }

    fn into_answer(self) -> Events {
        let Self { events, gap, next, .. } = self;
        Events { events, next: next.get(), gap }
    }
}
