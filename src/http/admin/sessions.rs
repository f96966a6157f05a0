//! Sessions as operators see them: which there are, one of them, its events, and the stop of a turn.

use std::sync::Arc;

use axum::response::Response;
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Serialize;

use super::super::cursor;
use super::super::error::{Error, Resource};
use super::super::follow::{self, Ask, UntilIdle};
use super::super::head::Head;
use super::super::listing::{broken, looking, most, wanted};
use super::super::page_token;
use super::super::query::Query;
use super::answers::{Page, Session, SessionDetail, Turn};
use super::wrong::Wrong;
use super::{Inside, answer, ticket as tickets};
use crate::ids::{BoxName, ExecutionId, SessionId};
use crate::limits;
use crate::session;
use crate::session::listing::Listed;
use crate::session::operators::Filter;
use crate::turn::control::wall_ms;

/// A page of the sessions that the query wants.
///
/// # Errors
/// [`Error::InvalidQuery`], [`Error::InvalidId`].
pub(super) async fn list(inside: &Inside, parts: &Parts) -> Result<Response, Error> {
    let query = Query::parse(parts.uri.query());
    let (filter, most) = (filter(&query)?, most(&query)?);
    let sessions = inside.admin.doors.sessions.clone();
    let listed = looking(move || sessions.list_for_operators(&filter, most)).await?;
    let Listed { sessions, more_after } = listed;
    let now_ms = wall_ms();
    let sessions = sessions.into_iter().map(|seen| Session::of(seen, now_ms)).collect();
    let page = Page { sessions, next_page: more_after.map(page_token::of) };
    Ok(answer(StatusCode::OK, &page))
}

/// One session with its turns.
///
/// # Errors
/// As [`found`].
pub(super) async fn one(inside: &Inside, parts: &Parts, id: SessionId) -> Result<Response, Error> {
    let session = found(inside, parts, id).await?;
    let turns = session.turns(limits::MAX_SHOWN_TURNS).await;
    let (seen, now_ms) = (session.seen(), wall_ms());
    let (box_name, last) = (session.box_name().as_str(), seen.overview.last);
    let turns = turns.into_iter().map(|turn| Turn::of(turn, box_name, last, now_ms)).collect();
    let names = session.ids().into_iter().map(|id| id.to_string()).collect();
    let detail = SessionDetail { session: Session::of(seen, now_ms), names, turns };
    Ok(answer(StatusCode::OK, &detail))
}

/// A session's events, as a stream.
///
/// # Errors
/// As [`found`]; [`Error::InvalidCursor`], [`Error::CursorBeyondTail`], [`Error::InvalidMaxLine`], and
/// if there is no place for one who did not ask for events.
pub(super) async fn events(
    inside: &Inside,
    parts: &Parts,
    id: SessionId,
) -> Result<Response, Error> {
    let session = found(inside, parts, id).await?;
    let head = Head { session: session.id(), execution: None };
    if parts.method == Method::HEAD {
        return Ok(head.bare());
    }
    let query = Query::parse(parts.uri.query());
    let cursor = cursor::of_request(&parts.headers, &query);
    cursor::strictly_after(cursor, session.tail().next_seq)?;
    let ask = Ask { cursor, lines: query.data_lines()?, reader: None };
    let is_until_idle = query.get("until") == Some("idle");
    let until_idle = if is_until_idle { UntilIdle::Yes } else { UntilIdle::No };
    match inside.door.places.take_at(&session) {
        Ok(place) => Ok(follow::session(&inside.door, &session, ask, until_idle, place)),
        Err(error) => follow::turned_away(&parts.headers, &head, error),
    }
}

/// What a page is given to read events with.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ticket {
    /// Where, on this door.
    events: String,
    expires_at_ms: u64,
}

/// A ticket for a session's events.
///
/// # Errors
/// As [`found`].
pub(super) async fn ticket(
    inside: &Inside,
    parts: &Parts,
    id: SessionId,
) -> Result<Response, Error> {
    let session = found(inside, parts, id).await?;
    let age = u64::try_from(limits::ADMIN_TICKET_AGE.as_millis()).unwrap_or(0);
    let expires_at_ms = wall_ms().saturating_add(age);
    // By the name that no other session has.
    let path = format!("/admin/sessions/{}/events", session.seen().key.session_id());
    let events = tickets::target(&inside.admin.token, &path, expires_at_ms);
    Ok(answer(StatusCode::OK, &Ticket { events, expires_at_ms }))
}

/// Stops a turn: 202 if it was asked to, 200 if it is over.
///
/// # Errors
/// As [`found`]; [`Error::ExecutionNotFound`].
pub(super) async fn cancel(
    inside: &Inside,
    parts: &Parts,
    id: SessionId,
    execution: ExecutionId,
) -> Result<Response, Error> {
    let session = found(inside, parts, id).await?;
    let unknown = || Error::ExecutionNotFound(Resource::Execution(execution.clone()));
    let turn = session.turn(&execution).ok_or_else(unknown)?;
    let sessions = inside.admin.doors.sessions.clone();
    let meant = turn.clone();
    // It runs to its end although the operator goes away.
    let asked = inside
        .admin
        .doors
        .tasks
        .spawn("operator's cancel", async move { sessions.stop_for_operators(&meant).await });
    let asked = asked.await.map_err(broken)?;
    if asked {
        tracing::info!(%execution, session = %session.id(), "an operator stops a turn");
    }
    let told = turn.overview().await.ok_or_else(unknown)?;
    let status = if told.outcome.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let last = session.tail().next_seq.previous();
    Ok(answer(status, &Turn::of(told, session.box_name().as_str(), last, wall_ms())))
}

/// The session of that name, on the query's `box` if it names one.
///
/// # Errors
/// [`Error::SessionNotFound`], [`Wrong::SessionAmbiguous`], [`Error::InvalidId`].
pub(super) async fn found(
    inside: &Inside,
    parts: &Parts,
    id: SessionId,
) -> Result<Arc<session::Session>, Error> {
    let query = Query::parse(parts.uri.query());
    let box_name = query.get("box").map(BoxName::parse).transpose()?;
    let (sessions, name) = (inside.admin.doors.sessions.clone(), id.clone());
    let mut found = looking(move || sessions.named(&name, box_name.as_ref())).await?;
    match (found.pop(), found.pop()) {
        (Some(found), None) => Ok(found),
        (Some(_), Some(_)) => Err(Wrong::SessionAmbiguous.into()),
        (None, _) => Err(Error::SessionNotFound(Resource::Session(id))),
    }
}

fn filter(query: &Query<'_>) -> Result<Filter, Error> {
    let outcome = query.get("outcome").map(str::parse).transpose();
    let outcome = outcome.map_err(|_| Error::InvalidQuery("outcome"))?;
    let text = query.get("search").map(str::to_owned);
    if text.as_ref().is_some_and(|text| text.len() > limits::MAX_SEARCH_BYTES) {
        return Err(Error::InvalidQuery("search"));
    }
    Ok(Filter { wanted: wanted(query)?, outcome, text })
}
