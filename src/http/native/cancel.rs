//! Stopping a turn, as the sandbox's abort stops what runs on a session, but this turn and no
//! other. A turn that is over is told as it ended, however often it is asked for.

use axum::response::Response;
use http::StatusCode;
use http::request::Parts;

use super::super::Door;
use super::super::error::{Error, ErrorBody, Refused, Resource};
use super::answers::{Name, TurnDetail, answer};
use super::document::Refusals;
use super::{readable_turn, turn};
use crate::ids::{BoxName, ExecutionId};
use crate::session::{Abort, AbortError};

/// Stops a turn.
///
/// # Errors
/// As `readable_turn`; [`Error::Abort`].
#[utoipa::path(
    post,
    path = "/afterbay/v1/boxes/{box}/turns/{execution}/cancel",
    operation_id = "cancelTurn",
    params(
        ("box" = Name, Path, description = "The box, by its configured name, or a sandbox by its id."),
        ("execution" = Name, Path, description = "The turn, by its execution id."),
    ),
    responses(
        (status = 202, description = "The box was asked to stop it.", body = TurnDetail),
        (status = 200, description = "It is over.", body = TurnDetail),
        (status = 429, description = "Too much at once, or the box is busy.", body = ErrorBody),
        Refusals,
    ),
)]
pub(super) async fn post(
    door: &Door,
    parts: &Parts,
    box_name: BoxName,
    id: ExecutionId,
) -> Result<Response, Error> {
    let (found, who) = readable_turn(door, parts, box_name, id.clone()).await?;
    let (sessions, meant) = (door.doors.sessions.clone(), found.clone());
    // It runs to its end although the client goes away, as an abort does.
    let abort = door
        .doors
        .tasks
        .spawn("cancel turn", async move { sessions.abort_turn(&meant, who.as_ref()).await });
    let resource = Resource::Execution(id);
    let status = match abort.await {
        Ok(Ok(Abort::Asked)) => StatusCode::ACCEPTED,
        Ok(Ok(Abort::NothingRuns)) => StatusCode::OK,
        Ok(Err(AbortError::Denied(denied))) => {
            return Err(Error::Denied(Refused { denied, resource }));
        }
        Ok(Err(error @ AbortError::Box(_))) => {
            return Err(Error::Abort { error, session: resource });
        }
        Err(error) => {
            tracing::error!(%error, "cancel a turn");
            return Err(Error::Internal);
        }
    };
    let Some(told) = found.overview().await else {
        return Err(Error::ExecutionNotFound(resource));
    };
    let status = if told.outcome.is_some() { StatusCode::OK } else { status };
    Ok(answer(status, &turn::detail(&found, told).await))
}
