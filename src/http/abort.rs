//! Stopping what runs on a session.
//!
//! The box is asked with the credential of whoever asks here, and the turn is told. It runs to its
//! end although the client goes away: half an abort would leave the turn waiting for a box that
//! has stopped. If nothing of ours runs, the request is the box's.

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, header};
use serde::Serialize;

use super::Door;
use super::auth;
use super::error::{Error, Refused, Resource, json};
use crate::ids::SessionId;
use crate::session::{Abort, AbortError};

/// Answers the POST.
///
/// # Errors
/// [`Error::Denied`], [`Error::Abort`], and those of the pass-through.
pub(crate) async fn post(
    door: &Door,
    parts: Parts,
    body: Body,
    id: SessionId,
) -> Result<Response, Error> {
    let Some(session) = door.doors.sessions.session(&door.box_name, &id) else {
        return door.pass(parts, body).await;
    };
    let who = auth::caller(&parts)?;
    let sessions = door.doors.sessions.clone();
    let abort = door
        .doors
        .tasks
        .spawn("abort turn", async move { sessions.abort(&session, who.as_ref()).await });
    let resource = Resource::Session(id);
    match abort.await {
        Ok(Ok(Abort::Asked)) => Ok(asked()),
        Ok(Ok(Abort::NothingRuns)) => door.pass(parts, body).await,
        Ok(Err(AbortError::Denied(denied))) => Err(Error::Denied(Refused { denied, resource })),
        Ok(Err(error @ AbortError::Box(_))) => Err(Error::Abort { error, session: resource }),
        Err(error) => {
            tracing::error!(%error, "abort a turn");
            Err(Error::Internal)
        }
    }
}

fn asked() -> Response {
    let told = Told { success: true, data: Cancelled { cancelled: true } };
    let mut response = Response::new(json(&told));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The sandbox's own form of this answer.
#[derive(Serialize)]
struct Told {
    success: bool,
    data: Cancelled,
}

#[derive(Serialize)]
struct Cancelled {
    cancelled: bool,
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_answer_has_the_sandboxs_form() {
        let body = asked().into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, r#"{"success":true,"data":{"cancelled":true}}"#);
    }
}
