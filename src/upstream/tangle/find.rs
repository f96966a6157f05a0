//! Looking for a prompt that was sent and not answered.
//!
//! In this order: the execution's own stream, asked for again; the candidates' status; their
//! messages since the prompt was sent. If none of them shows it, the box's boot mark says whether
//! it can have been forgotten.

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};

use super::assumed::{REPLAY_BODY, REPLAY_FROM, REPLAY_PATH};
use super::dispatch::receipt;
use super::opening::{self, Opening};
use super::prepare::Notes;
use super::transcript::{self, Known, Proof};
use super::{boot, status};
use crate::credential::Credential;
use crate::ids::SessionId;
use crate::metrics::upstream::Call;
use crate::upstream::client::BoxClient;
use crate::upstream::prompt_headers::EXECUTION;
use crate::upstream::stream::Opened;
use crate::upstream::{Accepted, Error, Found, Prepared, TurnIds};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) async fn find(
    client: &BoxClient,
    who: Option<&Credential>,
    ids: &TurnIds,
    prepared: &Prepared,
) -> Result<Found, Error> {
    let notes = Notes::read(prepared)?;
    if let Some(opening) = find_by_ids(client, who, ids, &notes).await?
        && let Ok(accepted) = opening.accepted(&notes, None)
    {
        return Ok(Found::Arrived(accepted));
    }
    for session in notes.candidates() {
        if is_among_messages(client, who, ids, &notes, &session, Proof::Text).await? {
            return Ok(Found::Arrived(in_session(session)));
        }
    }
    let mark = boot::mark(client).await?;
    Ok(Found::Absent(boot::compare(notes.boot.as_deref(), mark.as_deref())))
}

/// Whether the box knows our ids. What it answers may leave out the session.
pub(super) async fn find_by_ids(
    client: &BoxClient,
    who: Option<&Credential>,
    ids: &TurnIds,
    notes: &Notes,
) -> Result<Option<Opening>, Error> {
    let replayed = replay(client, who, ids).await?;
    if replayed.as_ref().is_some_and(|opening| opening.session.is_some()) {
        return Ok(replayed);
    }
    for session in notes.candidates() {
        if is_running(client, who, ids, &session).await?
            || is_among_messages(client, who, ids, notes, &session, Proof::TurnId).await?
        {
            let opening = Opening { session: Some(session), ..replayed.unwrap_or_default() };
            return Ok(Some(opening));
        }
    }
    Ok(replayed)
}

/// Asks for the execution's stream from its start. `None` if the box does not know it, or does not
/// have such a route.
async fn replay(
    client: &BoxClient,
    who: Option<&Credential>,
    ids: &TurnIds,
) -> Result<Option<Opening>, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(LAST_EVENT_ID, HeaderValue::from_static(REPLAY_FROM));
    if let Ok(execution) = HeaderValue::from_str(ids.execution.as_str()) {
        headers.insert(EXECUTION, execution);
    }
    let body = Bytes::from_static(REPLAY_BODY.as_bytes());
    let reply = match client.open(Call::Replay, who, REPLAY_PATH, headers, body).await? {
        Opened::Stream(chunks) => {
            let opening = opening::read(chunks).await;
            return Ok(Some(opening).filter(|opening| !opening.is_mere_failure()));
        }
        Opened::Whole(reply) => reply,
    };
    if reply.status.is_success() {
        return receipt(&reply, false).map(Some);
    }
    let why = reply.class();
    // A refusal of its form: this box has no replay here.
    let has_no_replay = matches!(why, Error::Status(status) if status.is_client_error()
        && !matches!(status, StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT));
    if has_no_replay || matches!(why, Error::Gone) { Ok(None) } else { Err(why) }
}

async fn is_running(
    client: &BoxClient,
    who: Option<&Credential>,
    ids: &TurnIds,
    session: &SessionId,
) -> Result<bool, Error> {
    match status::read(client, who, session, &ids.execution, None).await {
        Ok(now) => Ok(now.names_ours()),
        Err(Error::Gone) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn is_among_messages(
    client: &BoxClient,
    who: Option<&Credential>,
    ids: &TurnIds,
    notes: &Notes,
    session: &SessionId,
    proof: Proof,
) -> Result<bool, Error> {
    let is_hopeless = match proof {
        Proof::TurnId => ids.turn.is_none(),
        Proof::Text | Proof::Position => false,
    };
    if is_hopeless {
        return Ok(false);
    }
    let known = Known {
        settled: None,
        told: None,
        prompt: None,
        turn: ids.turn.as_ref(),
        text: ids.text,
        before: notes.last_of(session),
        knows_before: notes.holds(session),
        proof,
    };
    match transcript::read(client, who, session, known, |turn| turn.is_found).await {
        Ok(is_found) => Ok(is_found),
        Err(Error::Gone) => Ok(false),
        Err(error) => Err(error),
    }
}

const fn in_session(session: SessionId) -> Accepted {
    Accepted { session, execution: None, frames: Vec::new(), ended: None }
}
