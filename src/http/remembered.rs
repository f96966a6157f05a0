//! A session's state and a turn's result when the box no longer tells them: from the log.
//!
//! The box is asked first, and whatever it says stands. Only if it does not know the session (any
//! more), or cannot be reached, and a verdict is held here, the log answers in the box's own form,
//! marked as such by `x-afterbay-source: log`. The right to read is the log's.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::Door;
use super::auth;
use super::error::{Error, json};
use super::query::Query;
use crate::event::{Event, Seq};
use crate::ids::{ExecutionId, SessionId};
use crate::log::{Logged, Step};
use crate::mode::Outcome;
use crate::session::{Ended, Session};

/// Tells answers from the log from those of the box.
const SOURCE: HeaderName = HeaderName::from_static("x-afterbay-source");

/// What is asked about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    State,
    Result,
}

/// Answers a question for a session's state.
///
/// # Errors
/// Those of the pass-through, if the log has no answer either.
pub(crate) async fn state(
    door: &Door,
    parts: Parts,
    body: Body,
    id: &SessionId,
) -> Result<Response, Error> {
    answer(door, parts, body, Asked::State, id).await
}

/// Answers a question for what a turn came to.
///
/// # Errors
/// As [`state`].
pub(crate) async fn result(
    door: &Door,
    parts: Parts,
    body: Body,
    id: &SessionId,
) -> Result<Response, Error> {
    answer(door, parts, body, Asked::Result, id).await
}

/// The box's answer, or the log's in its place.
async fn answer(
    door: &Door,
    parts: Parts,
    body: Body,
    asked: Asked,
    id: &SessionId,
) -> Result<Response, Error> {
    let again = parts.clone();
    let from_box = door.pass(parts, body).await;
    let is_missing = match &from_box {
        Ok(answer) => no_word_of_the_box(answer.status()),
        Err(error) => {
            matches!(error, Error::BoxUnreachable | Error::BoxBroke | Error::BoxUnknown(_))
        }
    };
    if is_missing && let Some(answer) = from_log(door, &again, asked, id).await {
        return Ok(answer);
    }
    from_box
}

/// An unknown session, or a gateway that does not reach the box.
const fn no_word_of_the_box(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 410 | 502 | 503 | 504 | 520..=530)
}

/// `None` if there is nothing to tell, or nobody to tell it to.
async fn from_log(door: &Door, parts: &Parts, asked: Asked, id: &SessionId) -> Option<Response> {
    let sessions = &door.doors.sessions;
    let session = sessions.session(&door.box_name, id)?;
    let who = auth::caller(parts).ok()?;
    sessions.may_read(&session, who.as_ref()).await.ok()?;
    let query = Query::parse(parts.uri.query());
    let execution = match query.get("executionId").map(ExecutionId::parse) {
        Some(id) => Some(id.ok()?),
        None => None,
    };
    let ended = session.ended(execution.as_ref()).await?;
    let body = match asked {
        Asked::State => json(&told_state(&session, &ended)),
        Asked::Result => Body::from(told_result(&session, ended.last).await?),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(SOURCE, HeaderValue::from_static("log"));
    Some(response)
}

/// The data of the `result` of a turn that ended with the event `last`.
pub(crate) async fn told_result(session: &Session, last: Seq) -> Option<Bytes> {
    // The close-out ends with it, or with it and `done`: nothing before is read.
    let mut cursor = session.cursor(last.previous().previous());
    let mut found = None;
    // The turn is over, so its last event is there and this ends.
    loop {
        let Ok(Step::Records(records)) = cursor.next().await else { return found };
        for record in records {
            let Logged::Event { seq, event: Event { name, data } } = record else { continue };
            if name == *"result" {
                found = Some(data.as_bytes().clone());
            }
            if seq >= last {
                return found;
            }
        }
    }
}

#[derive(Serialize)]
struct Told {
    success: bool,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    session: State,
}

/// A session in which nothing runs, in the sandbox's form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    id: String,
    state: &'static str,
    reconnectable: bool,
}

fn told_state(session: &Session, ended: &Ended) -> Told {
    let state = match ended.outcome {
        Outcome::Completed => "completed",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "aborted",
    };
    let id = session.id().to_string();
    Told { success: true, data: Data { session: State { id, state, reconnectable: false } } }
}
