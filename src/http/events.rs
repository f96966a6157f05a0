//! What a GET shows: the events of a turn, or of a session.
//!
//! The right to read comes first, also before the bare head. HEAD gets the head and nothing
//! else: it takes no place and its cursor is not looked at.

use std::sync::Arc;

use axum::response::Response;
use http::Method;
use http::request::Parts;

use super::Door;
use super::auth;
use super::cursor;
use super::error::{Error, Resource};
use super::follow::{self, Ask, By, UntilIdle};
use super::head::Head;
use super::query::Query;
use super::turn_request;
use crate::ids::{ExecutionId, SessionId};
use crate::session::{Session, TurnRef};
use crate::sse::last_event_id::LastEventId;

/// The turn that the query or the header names.
///
/// # Errors
/// As [`execution`]; [`Error::ExecutionIdRequired`], [`Error::IdConflict`], [`Error::InvalidId`].
pub(crate) async fn named(door: &Door, parts: &Parts) -> Result<Response, Error> {
    let query = Query::parse(parts.uri.query());
    let in_query = query.get("executionId").map(ExecutionId::parse).transpose()?;
    let in_header = turn_request::header_execution(&parts.headers)?;
    let id = match (in_query, in_header) {
        (Some(one), Some(other)) if one != other => return Err(Error::IdConflict),
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => return Err(Error::ExecutionIdRequired),
    };
    execution(door, parts, &id).await
}

/// The turn with this execution id.
///
/// # Errors
/// [`Error::ExecutionNotFound`], and as [`turn`].
pub(crate) async fn execution(
    door: &Door,
    parts: &Parts,
    id: &ExecutionId,
) -> Result<Response, Error> {
    match door.doors.sessions.turn(&door.box_name, id) {
        Some(found) => turn(door, parts, found).await,
        None => Err(Error::ExecutionNotFound(Resource::Execution(id.clone()))),
    }
}

/// A turn that we know.
///
/// # Errors
/// [`Error::Denied`], [`Error::InvalidCredential`], [`Error::Withdrawn`], and if there is no place
/// for one who did not ask for events, [`Error::Draining`] or [`Error::TooManyStreams`].
pub(crate) async fn turn(door: &Door, parts: &Parts, turn: TurnRef) -> Result<Response, Error> {
    let who = auth::caller(parts)?;
    let resource = Resource::Execution(turn.execution.clone());
    auth::may_read(&door.doors.sessions, &turn.session, who.as_ref(), resource).await?;
    let head = Head { session: turn.session.id(), execution: Some(turn.execution.clone()) };
    if parts.method == Method::HEAD {
        return Ok(head.bare());
    }
    let query = Query::parse(parts.uri.query());
    let cursor = cursor::of_request(&parts.headers, &query);
    let reader = door.doors.sessions.tracer().reader(&parts.headers);
    let ask = Ask { cursor, lines: query.data_lines()?, reader };
    count(door, cursor);
    match door.places.take_at(&turn.session) {
        Ok(place) => follow::turn(door, turn, ask, By::Get, place).await,
        Err(error) => follow::turned_away(&parts.headers, &head, error),
    }
}

/// A session that we know, asked for as `id`.
///
/// # Errors
/// As [`turn`].
pub(crate) async fn session(
    door: &Door,
    parts: &Parts,
    session: &Arc<Session>,
    id: SessionId,
) -> Result<Response, Error> {
    let who = auth::caller(parts)?;
    let resource = Resource::Session(id);
    auth::may_read(&door.doors.sessions, session, who.as_ref(), resource).await?;
    let head = Head { session: session.id(), execution: None };
    if parts.method == Method::HEAD {
        return Ok(head.bare());
    }
    let query = Query::parse(parts.uri.query());
    let cursor = cursor::of_session_request(&parts.headers, &query);
    let reader = door.doors.sessions.tracer().reader(&parts.headers);
    let ask = Ask { cursor, lines: query.data_lines()?, reader };
    count(door, cursor);
    let until_idle =
        if query.get("until") == Some("idle") { UntilIdle::Yes } else { UntilIdle::No };
    match door.places.take_at(session) {
        Ok(place) => Ok(follow::session(door, session, ask, until_idle, place)),
        Err(error) => follow::turned_away(&parts.headers, &head, error),
    }
}

fn count(door: &Door, cursor: LastEventId) {
    if cursor.is_given() {
        door.doors.metrics.streams.reconnected();
    }
}
