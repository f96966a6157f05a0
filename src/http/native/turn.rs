//! One turn: where it is, how it ended, and what it came to.

use axum::response::Response;
use http::StatusCode;
use http::request::Parts;

use super::super::Door;
use super::super::error::{Error, Resource};
use super::super::remembered;
use super::answers::{Name, TurnDetail, answer, raw};
use super::document::Refusals;
use super::readable_turn;
use crate::ids::{BoxName, ExecutionId};
use crate::session::TurnRef;
use crate::session::overview::TurnOverview;

/// A turn.
///
/// # Errors
/// As `readable_turn`.
#[utoipa::path(
    get,
    path = "/afterbay/v1/boxes/{box}/turns/{execution}",
    operation_id = "readTurn",
    params(
        ("box" = Name, Path, description = "The box, by its configured name, or a sandbox by its id."),
        ("execution" = Name, Path, description = "The turn, by its execution id."),
    ),
    responses(
        (status = 200, description = "The turn.", body = TurnDetail),
        Refusals,
    ),
)]
pub(super) async fn get(
    door: &Door,
    parts: &Parts,
    box_name: BoxName,
    id: ExecutionId,
) -> Result<Response, Error> {
    let (turn, _who) = readable_turn(door, parts, box_name, id.clone()).await?;
    let Some(told) = turn.overview().await else {
        return Err(Error::ExecutionNotFound(Resource::Execution(id)));
    };
    Ok(answer(StatusCode::OK, &detail(&turn, told).await))
}

/// A turn with its result, if that is in the log.
pub(super) async fn detail(turn: &TurnRef, told: TurnOverview) -> TurnDetail {
    let session = &turn.session;
    let result = match told.last.filter(|_| !told.is_expired) {
        Some(last) => remembered::told_result(session, last).await,
        None => None,
    };
    let result = result.and_then(|result| raw(&result));
    TurnDetail::new(session.box_name(), &session.id(), told, result)
}
