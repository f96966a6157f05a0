//! A turn's POST: starts it, attaches to it, or replays it.
//!
//! The start runs to its end whether the client stays or not: a turn that was accepted is in the
//! log, and its dispatch must not hang on a socket. What the client then sees is read from the
//! log like everything else.

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;

use super::Door;
use super::auth;
use super::body::Held;
use super::end_to_end;
use super::error::{Error, Refused, Resource};
use super::follow::{self, Ask, By};
use super::query::Query;
use super::turn_request::{self, Asked};
use crate::credential::Caller;
use crate::ids::BoxName;
use crate::session::{StartError, Started, TurnRequest};
use crate::upstream;

/// Answers the POST.
///
/// # Errors
/// What is wrong with the request, why no turn was started, or [`Error::Withdrawn`].
pub(crate) async fn post(door: &Door, parts: Parts, body: Body) -> Result<Response, Error> {
    let who = auth::caller(&parts)?;
    let held = door.bodies.read(&parts.headers, body).await?;
    let query = Query::parse(parts.uri.query());
    let asked = turn_request::parse(&parts.headers, &query, &held.bytes)?;
    let cursor = asked.cursor;
    let reader = door.doors.sessions.tracer().reader(&parts.headers);
    let ask = Ask { cursor, lines: query.data_lines()?, reader };
    if cursor.is_given() {
        door.doors.metrics.streams.reconnected();
    }
    // Without a prompt there is nothing to start, only something to read.
    if let Some(execution) = asked.execution.as_ref().filter(|_| asked.is_empty) {
        let known = door.doors.sessions.turn(&door.box_name, execution);
        if let Some(turn) = known {
            let resource = Resource::Execution(execution.clone());
            auth::may_read(&door.doors.sessions, &turn.session, who.as_ref(), resource).await?;
            return follow::turn(door, turn, ask, By::Replay, door.places.take()?).await;
        }
        if cursor.is_given() {
            drop(query);
            return door.pass(parts, Body::from(held.into_bytes())).await;
        }
    }
    let place = door.places.take()?;
    let headers = end_to_end::of_turn(&parts.headers);
    let Started { new, turn } =
        start(door, door.box_name.clone(), asked, headers, held, who).await?;
    let by = if new { By::Start } else { By::Post };
    follow::turn(door, turn, ask, by, place).await
}

/// Starts the turn on the box of that name, or attaches to it, on a task of its own.
pub(crate) async fn start(
    door: &Door,
    box_name: BoxName,
    asked: Asked,
    headers: http::HeaderMap,
    held: Held,
    who: Option<Caller>,
) -> Result<Started, Error> {
    let Asked { session, execution, turn, cursor: _, is_empty: _ } = asked;
    let resource = session.clone().map(Resource::Session);
    let resource = resource.or_else(|| execution.clone().map(Resource::Execution));
    let sessions = door.doors.sessions.clone();
    let named = Resource::Box(box_name.clone());
    let started = door.doors.tasks.spawn("start turn", async move {
        let body = upstream::Body { headers, bytes: held.bytes.clone() };
        let request = TurnRequest { session, execution, turn, who, body };
        let started = sessions.start_turn(&box_name, request).await;
        // Until here the bytes count as the doors'; from now on as the session's.
        drop(held);
        started
    });
    match started.await {
        Ok(Ok(started)) => Ok(started),
        Ok(Err(StartError::Denied(denied))) => Err(match resource {
            Some(resource) => Error::Denied(Refused { denied, resource }),
            None => Error::Start(StartError::Denied(denied)),
        }),
        Ok(Err(StartError::UnknownBox)) => Err(Error::BoxUnknown(Some(named))),
        Ok(Err(error)) => Err(Error::Start(error)),
        Err(error) => {
            tracing::error!(%error, "start a turn");
            Err(Error::Internal)
        }
    }
}
