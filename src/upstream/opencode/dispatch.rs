//! Sending the prompt, looking for one that went unanswered, and stopping the work.

use http::{HeaderMap, StatusCode};

use super::api::Session;
use super::prepare::{Notes, look_up};
use super::{in_directory, prompt, transcript};
use crate::credential::Credential;
use crate::ids::SessionId;
use crate::metrics::upstream::Call;
use crate::upstream::client::BoxClient;
use crate::upstream::prompt_headers;
use crate::upstream::reply::{Reply, is_clear_no};
use crate::upstream::{Accepted, Body, Boot, Dispatch, Error, Found, Prepared, TurnIds};

pub(super) async fn dispatch(
    client: &BoxClient,
    who: Option<&Credential>,
    ids: &TurnIds,
    prepared: &Prepared,
    body: &Body,
) -> Dispatch {
    let (session, notes, prompt) = match what_to_send(prepared, body) {
        Ok(sendable) => sendable,
        Err(error) => return Dispatch::NotSent(error),
    };
    let target = in_directory(&format!("/session/{session}/prompt_async"), &notes.directory);
    let headers = prompt_headers::of_rewritten(ids, &body.headers);
    match client.act(Call::Prompt, who, &target, headers, prompt).await {
        Ok(reply) => answered(session, reply),
        Err(error) => error.of_a_prompt(),
    }
}

fn what_to_send(
    prepared: &Prepared,
    body: &Body,
) -> Result<(SessionId, Notes, bytes::Bytes), Error> {
    let notes = Notes::read(prepared)?;
    let prompt = prompt::translate(&body.bytes, &notes.message)
        .map_err(|bad| Error::Nonsense(bad.to_string()))?;
    Ok((prepared_session(prepared)?, notes, prompt))
}

fn prepared_session(prepared: &Prepared) -> Result<SessionId, Error> {
    let unknown = || Error::Nonsense("the turn was prepared without a session".into());
    prepared.session.clone().ok_or_else(unknown)
}

/// Only a 204 says that the box has the prompt, and only a clear no that it has not. Behind any other answer may stand a gateway that lost the box's.
fn answered(session: SessionId, reply: Reply) -> Dispatch {
    if reply.status == StatusCode::NO_CONTENT {
        return Dispatch::Accepted(taken(session));
    }
    let gateway = reply.status == StatusCode::SERVICE_UNAVAILABLE && !reply.is_object();
    let patience = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    if patience.contains(&reply.status) && !gateway {
        let retry_after = reply.retry_after();
        return Dispatch::Later(reply.into_refusal(), retry_after);
    }
    // A page in the place of the box's own 404 is a gateway's.
    let is_own_404 = matches!(reply.class(), Error::Gone);
    if is_own_404 || is_clear_no(reply.status) {
        return Dispatch::Refused(reply.into_refusal());
    }
    if reply.status.is_success() {
        return Dispatch::Unanswered(Error::Nonsense("the box took the prompt with a body".into()));
    }
    Dispatch::Unanswered(Error::Status(reply.status))
}

/// The box answers with nothing: the session is known from before, and it has no execution ids.
const fn taken(session: SessionId) -> Accepted {
    Accepted { session, execution: None, frames: Vec::new(), ended: None }
}

pub(super) async fn find(
    client: &BoxClient,
    who: Option<&Credential>,
    prepared: &Prepared,
) -> Result<Found, Error> {
    let notes = Notes::read(prepared)?;
    let session = prepared_session(prepared)?;
    let place = transcript::Place { session: &session, directory: &notes.directory };
    let anchor = transcript::Anchor { id: &notes.message, prompt: &notes.message };
    let found = transcript::read_from(client, who, place, anchor, |_| ()).await?;
    Ok(match found {
        Some(()) => Found::Arrived(taken(session)),
        // This box tells no repeats, so it does not matter which process of it answers.
        None => Found::Absent(Boot::Unknown),
    })
}

/// Asks the session's own directory to stop: asked elsewhere, the box says `true` and goes on.
pub(super) async fn cancel(
    client: &BoxClient,
    who: Option<&Credential>,
    session: &SessionId,
) -> Result<(), Error> {
    let reply = look_up(client, who, session).await?;
    let directory = match reply.json::<Session<'_>>() {
        Ok(session) => session.directory,
        // In a session that is gone nothing runs.
        Err(Error::Gone) => return Ok(()),
        Err(error) => return Err(error),
    };
    let target = in_directory(&format!("/session/{session}/abort"), &directory);
    let empty = bytes::Bytes::from_static(b"{}");
    let reply = client.act(Call::Abort, who, &target, HeaderMap::new(), empty).await?;
    if reply.status.is_success() { Ok(()) } else { Err(reply.class()) }
}
