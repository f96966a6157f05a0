//! Which sessions there are, for whoever asks: those that the credential is known to may read.
//!
//! No box is asked: a credential that a box would accept for a session shows it here once it has
//! read it. A page's token says where the page before ended and grants nothing.

use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use tokio::task::spawn_blocking;

use super::super::error::Error;
use super::super::query::Query;
use super::super::{Door, auth};
use super::answers::{Session, Sessions, answer};
use super::document::Refusals;
use super::page_token;
use crate::ids::BoxName;
use crate::limits;
use crate::session::listing::{Listed, Wanted};

/// The sessions that may be read with the request's credential, newest first.
///
/// # Errors
/// [`Error::InvalidCredential`], [`Error::InvalidQuery`], [`Error::InvalidId`].
#[utoipa::path(
    get,
    path = "/afterbay/v1/sessions",
    operation_id = "listSessions",
    params(
        ("box" = Option<String>, Query, max_length = 256,
            pattern = "^(?!\\.{1,2}$)[A-Za-z0-9._:@=+~-]*$", description = "Those on this box."),
        ("state" = Option<super::answers::SessionState>, Query,
            description = "Those in which a turn runs, or in which none does."),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 500,
            description = "The most sessions, 50 unless said."),
        ("page" = Option<String>, Query, pattern = "^([0-9a-f]{32})?$", description = "The `nextPage` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of sessions.", body = Sessions),
        Refusals,
    ),
)]
pub(super) async fn get(door: &Door, parts: &Parts) -> Result<Response, Error> {
    let who = auth::caller(parts)?;
    let query = Query::parse(parts.uri.query());
    let wanted = wanted(&query)?;
    let most = query.number("limit", 1..=limits::MAX_PAGE_SESSIONS)?;
    let most = usize::try_from(most.unwrap_or(limits::PAGE_SESSIONS)).unwrap_or(1);
    let sessions = door.doors.sessions.clone();
    // Of a hundred thousand sessions each is looked at.
    let listed = spawn_blocking(move || sessions.list(who.as_ref(), &wanted, most)).await;
    let Listed { sessions, more_after } = listed.map_err(|error| {
        tracing::error!(%error, "list sessions");
        Error::Internal
    })?;
    let sessions = sessions.into_iter().map(Session::from).collect();
    let next_page = more_after.map(page_token::of);
    Ok(answer(StatusCode::OK, &Sessions { sessions, next_page }))
}

fn wanted(query: &Query<'_>) -> Result<Wanted, Error> {
    let box_name = query.get("box").map(BoxName::parse).transpose()?;
    let is_busy = match query.get("state") {
        None => None,
        Some("busy") => Some(true),
        Some("idle") => Some(false),
        Some(_) => return Err(Error::InvalidQuery("state")),
    };
    let before = match query.get("page") {
        None => None,
        Some(page) => Some(page_token::key(page).ok_or(Error::InvalidQuery("page"))?),
    };
    Ok(Wanted { box_name, is_busy, before })
}
