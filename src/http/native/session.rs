//! One session: where it is, and its turns.

use axum::response::Response;
use http::StatusCode;
use http::request::Parts;

use super::super::Door;
use super::super::error::Error;
use super::answers::{Name, SessionDetail, Turn, answer};
use super::document::Refusals;
use super::readable_session;
use crate::ids::{BoxName, SessionId};
use crate::limits;

/// A session with its turns.
///
/// # Errors
/// As `readable_session`.
#[utoipa::path(
    get,
    path = "/afterbay/v1/boxes/{box}/sessions/{session}",
    operation_id = "readSession",
    params(
        ("box" = Name, Path, description = "The box, by its configured name, or a sandbox by its id."),
        ("session" = Name, Path, description = "The session, by any of its names."),
    ),
    responses(
        (status = 200, description = "The session.", body = SessionDetail),
        Refusals,
    ),
)]
pub(super) async fn get(
    door: &Door,
    parts: &Parts,
    box_name: BoxName,
    id: SessionId,
) -> Result<Response, Error> {
    let session = readable_session(door, parts, box_name, id).await?;
    let turns = session.turns(limits::MAX_SHOWN_TURNS).await.into_iter().map(Turn::from);
    let (turns, overview) = (turns.collect(), session.overview().await);
    Ok(answer(StatusCode::OK, &SessionDetail { session: overview.into(), turns }))
}
