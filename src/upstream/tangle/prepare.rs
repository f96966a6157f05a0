//! Reading what is needed to find the turn later, and what is kept of it: the notes. Nothing at
//! the box changes.
//!
//! The session that the prompt will go to is the box's to say, so the notes hold candidates: the
//! one that an earlier turn was told, and what the client calls it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::api::json_of;
use super::dispatch::patience;
use super::message::Message;
use super::{Lane, boot, status, transcript};
use crate::credential::Credential;
use crate::ids::SessionId;
use crate::limits;
use crate::metrics::upstream::Call;
use crate::upstream::client::BoxClient;
use crate::upstream::reply::{Reply, is_clear_no};
use crate::upstream::{Error, Prepare, Prepared, Refusal, TurnIds, Vouched};

/// What `prepare` keeps in the log.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Notes {
    /// Sessions that the prompt may go to, the likeliest first.
    candidates: Vec<Candidate>,
    /// Which process of the box answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) boot: Option<String>,
}

/// A session that the prompt may go to.
#[derive(Debug, Serialize, Deserialize)]
struct Candidate {
    id: String,
    /// Whether the box had it before the prompt was sent.
    known: bool,
    /// Its newest message then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

impl Notes {
    pub(super) fn read(prepared: &Prepared) -> Result<Self, Error> {
        serde_json::from_str(&prepared.notes)
            .map_err(|_| Error::Nonsense("the turn's notes cannot be read".into()))
    }

    /// The sessions that the prompt may have gone to.
    pub(super) fn candidates(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.candidates.iter().filter_map(|candidate| SessionId::parse(&candidate.id).ok())
    }

    /// The only candidate, if the box knew it: then the prompt can have gone nowhere else.
    pub(super) fn certain(&self) -> Option<SessionId> {
        match self.candidates.as_slice() {
            [only] if only.known => SessionId::parse(&only.id).ok(),
            _ => None,
        }
    }

    /// Whether the box had `session` before the prompt was sent.
    pub(super) fn knew(&self, session: &SessionId) -> bool {
        self.about(session).is_some_and(|candidate| candidate.known)
    }

    /// Whether `session` was looked at before the prompt was sent.
    pub(super) fn holds(&self, session: &SessionId) -> bool {
        self.about(session).is_some()
    }

    /// The newest message of `session` before the prompt was sent.
    pub(super) fn last_of(&self, session: &SessionId) -> Option<&str> {
        self.about(session)?.last.as_deref()
    }

    fn about(&self, session: &SessionId) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.id == session.as_str())
    }
}

pub(super) async fn prepare(
    client: &BoxClient,
    lane: Lane,
    who: Option<&Credential>,
    ids: &TurnIds,
) -> Prepare {
    match try_prepare(client, lane, who, ids).await {
        Ok(prepare) => prepare,
        Err(error) => Prepare::Failed(error),
    }
}

async fn try_prepare(
    client: &BoxClient,
    lane: Lane,
    who: Option<&Credential>,
    ids: &TurnIds,
) -> Result<Prepare, Error> {
    let mut notes = Notes { candidates: Vec::new(), boot: boot::mark(client).await? };
    let other = ids.client_session.iter().filter(|id| ids.box_session.as_ref() != Some(id));
    for session in ids.box_session.iter().chain(other) {
        let target = format!("{}?limit=1", transcript::path(session));
        let reply = client.read(Call::Messages, who, &target).await?;
        let (known, last) = match newest(&reply) {
            Ok(last) => (true, last),
            Err(Error::Gone) => (false, None),
            Err(error) if reply.status.is_success() => return Err(error),
            Err(_) => return Ok(unprepared(reply)),
        };
        notes.candidates.push(Candidate { id: session.to_string(), known, last });
    }
    if let Some(bound) = &ids.box_session
        && !notes.candidates.iter().any(|candidate| candidate.known)
    {
        // Its messages alone might be gone.
        let reply = client.read(Call::Session, who, &status::path(bound)).await?;
        match json_of(&reply) {
            Ok(_) => {}
            Err(Error::Gone) => return Ok(Prepare::Forgotten),
            Err(error) if reply.status.is_success() => return Err(error),
            Err(_) => return Ok(unprepared(reply)),
        }
    }
    if lane == Lane::Messages && notes.candidates.is_empty() {
        return Ok(Prepare::Refused(nameless()));
    }
    let notes = serde_json::to_string(&notes)
        .map_err(|_| Error::Nonsense("the turn's notes cannot be kept".into()))?;
    if notes.len() > limits::MAX_PREPARED_BYTES {
        return Err(Error::Nonsense("the session's newest message id is too long".into()));
    }
    Ok(Prepare::Ready(Prepared { session: None, notes }))
}

/// The id of the newest message, if there is one.
fn newest(reply: &Reply) -> Result<Option<String>, Error> {
    let list = transcript::list(reply)?;
    let Some(raw) = list.last() else { return Ok(None) };
    let message = Message::read(raw);
    // Without it, an older prompt might be taken for ours.
    let unreadable = || Error::Nonsense("the session's newest message has another shape".into());
    Ok(Some(message.ok_or_else(unreadable)?.id))
}

/// Nothing has been sent that could run, so a clear no is the box's answer, and anything unclear
/// can be tried again.
fn unprepared(reply: Reply) -> Prepare {
    match reply.class() {
        Error::Unauthorized(_) => Prepare::Refused(reply.into_refusal()),
        Error::Later { .. } => {
            let wait = patience(&reply);
            Prepare::Later(reply.into_refusal(), wait)
        }
        Error::Status(status) if is_clear_no(status) => Prepare::Refused(reply.into_refusal()),
        error @ (Error::Status(_)
        | Error::Gone
        | Error::Connect(_)
        | Error::NoAnswer(_)
        | Error::Nonsense(_)
        | Error::TooLarge(_)) => Prepare::Failed(error),
    }
}

/// What a client is told whose prompt is to become a message of a session that it did not name.
fn nameless() -> Refusal {
    let body = r#"{"success":false,"error":{"code":"INVALID_PROMPT","message":"prompts go out as messages of a session here, and the request names none"}}"#;
    let json = http::HeaderValue::from_static("application/json");
    Refusal {
        status: StatusCode::BAD_REQUEST,
        headers: HeaderMap::from_iter([(http::header::CONTENT_TYPE, json)]),
        body: Bytes::from_static(body.as_bytes()),
    }
}

pub(super) async fn vouch(
    client: &BoxClient,
    who: &Credential,
    session: &SessionId,
) -> Result<Vouched, Error> {
    let reply = client.read(Call::Session, Some(who), &status::path(session)).await?;
    match json_of(&reply) {
        Ok(_) => Ok(Vouched::Yes),
        Err(Error::Unauthorized(status)) => Ok(Vouched::No(status)),
        Err(Error::Gone) => Ok(Vouched::UnknownSession),
        Err(error) => Err(error),
    }
}
