//! Which sessions there are, for whoever asks: those that the credential is known to may read.
//!
//! No box is asked: a credential that a box would accept for a session shows it here once it has
//! read it. A page's token says where the page before ended and grants nothing.

use axum::response::Response;
use http::StatusCode;
use http::request::Parts;

use super::super::error::Error;
use super::super::listing::{looking, most, wanted};
use super::super::page_token;
use super::super::query::Query;
use super::super::{Door, auth};
use super::answers::{Session, Sessions, answer};
use super::document::Refusals;
use crate::session::listing::Listed;

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
    let (wanted, most) = (wanted(&query)?, most(&query)?);
    let sessions = door.doors.sessions.clone();
    let listed = looking(move || sessions.list(who.as_ref(), &wanted, most)).await?;
    let Listed { sessions, more_after } = listed;
    let sessions = sessions.into_iter().map(Session::from).collect();
    let next_page = more_after.map(page_token::of);
    Ok(answer(StatusCode::OK, &Sessions { sessions, next_page }))
}
