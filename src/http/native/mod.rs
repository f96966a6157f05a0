//! The native API: for any client and any kind of box, under `/afterbay/v1`.
//!
//! `route` says what is asked; one file answers each: `start`, `events` (with `poll` for JSON),
//! `session`, `turn`, `cancel`, `listing`, and `document`, which describes them all. Their JSON
//! stands in `answers`, `named` puts the names of a path into a turn's body.
//!
//! Nothing under `/afterbay/` ever reaches a box, in any mode. Everything is read from the log, and
//! the rights are those of the other doors: checked before anything is revealed, and what is
//! unknown is told as there.

mod answers;
mod cancel;
mod document;
mod events;
mod listing;
mod named;
mod poll;
mod route;
mod session;
mod start;
mod turn;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;

use super::Door;
use super::auth;
use super::error::{Error, Resource};
use crate::credential::Caller;
use crate::ids::{BoxName, ExecutionId, SessionId};
use crate::session::{Session, TurnRef};
pub(crate) use route::{Route, is_ours, route};

/// Answers a request of the native API.
///
/// # Errors
/// Whatever is wrong with it.
pub(crate) async fn answer(
    door: &Door,
    route: Route,
    parts: Parts,
    body: Body,
) -> Result<Response, Error> {
    match route {
        Route::Document => Ok(document::get()),
        Route::Sessions => listing::get(door, &parts).await,
        Route::Session(box_name, id) => session::get(door, &parts, box_name, id).await,
        Route::Events(box_name, id) => events::get(door, &parts, box_name, id).await,
        Route::Start(box_name, id) => start::post(door, parts, body, box_name, id).await,
        Route::Turn(box_name, id) => turn::get(door, &parts, box_name, id).await,
        Route::Cancel(box_name, id) => cancel::post(door, &parts, box_name, id).await,
    }
}

/// The box of that name.
///
/// # Errors
/// [`Error::BoxUnknown`].
fn known_box(door: &Door, name: BoxName) -> Result<BoxName, Error> {
    let is_known = door.doors.sessions.knows_box(&name);
    if is_known { Ok(name) } else { Err(Error::BoxUnknown(Some(Resource::Box(name)))) }
}

/// The session that the path names, if whoever asks may read it.
///
/// # Errors
/// [`Error::BoxUnknown`], [`Error::SessionNotFound`], [`Error::InvalidCredential`],
/// [`Error::Denied`].
async fn readable_session(
    door: &Door,
    parts: &Parts,
    box_name: BoxName,
    id: SessionId,
) -> Result<Arc<Session>, Error> {
    let box_name = known_box(door, box_name)?;
    let who = auth::caller(parts)?;
    let sessions = &door.doors.sessions;
    let resource = Resource::Session(id.clone());
    let Some(session) = sessions.session(&box_name, &id) else {
        return Err(Error::SessionNotFound(resource));
    };
    auth::may_read(sessions, &session, who.as_ref(), resource).await?;
    Ok(session)
}

/// The turn that the path names, if whoever asks may read it, and who that is.
///
/// # Errors
/// [`Error::BoxUnknown`], [`Error::ExecutionNotFound`], [`Error::InvalidCredential`],
/// [`Error::Denied`].
async fn readable_turn(
    door: &Door,
    parts: &Parts,
    box_name: BoxName,
    id: ExecutionId,
) -> Result<(TurnRef, Option<Caller>), Error> {
    let box_name = known_box(door, box_name)?;
    let who = auth::caller(parts)?;
    let sessions = &door.doors.sessions;
    let resource = Resource::Execution(id.clone());
    let Some(turn) = sessions.turn(&box_name, &id) else {
        return Err(Error::ExecutionNotFound(resource));
    };
    auth::may_read(sessions, &turn.session, who.as_ref(), resource).await?;
    Ok((turn, who))
}
