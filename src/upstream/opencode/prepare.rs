//! Opening or looking up the session, and what is kept for later: the notes.
//!
//! The notes hold the session's directory and the message id under which the prompt will go out.
//! They are enough to find, poll and cancel the turn after a restart.

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::api::{Message, Session};
use super::message_id;
use crate::credential::Credential;
use crate::ids::SessionId;
use crate::limits;
use crate::metrics::upstream::Call;
use crate::upstream::client::BoxClient;
use crate::upstream::reply::{Reply, is_clear_no};
use crate::upstream::{Error, Prepare, Prepared, TurnIds, Vouched};

/// What the box's own session ids begin with; it answers 500 to an id that does not.
const SESSION_PREFIX: &str = "ses";

/// What `prepare` keeps in the log.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Notes {
    /// The session's directory at the box.
    pub(super) directory: String,
    /// Our prompt's id.
    #[serde(rename = "messageID")]
    pub(super) message: String,
}

impl Notes {
    pub(super) fn read(prepared: &Prepared) -> Result<Self, Error> {
        serde_json::from_str(&prepared.notes)
            .map_err(|_| Error::Nonsense("the turn's notes cannot be read".into()))
    }
}

pub(super) async fn prepare(
    client: &BoxClient,
    who: Option<&Credential>,
    ids: &TurnIds,
) -> Prepare {
    match try_prepare(client, who, ids).await {
        Ok(prepare) => prepare,
        Err(error) => Prepare::Failed(error),
    }
}

async fn try_prepare(
    client: &BoxClient,
    who: Option<&Credential>,
    ids: &TurnIds,
) -> Result<Prepare, Error> {
    if let Some(bound) = &ids.box_session {
        let reply = look_up(client, who, bound).await?;
        if is_unknown(&reply) {
            return Ok(Prepare::Forgotten);
        }
        return known(client, who, reply).await;
    }
    if let Some(session) = ids.client_session.as_ref().filter(|id| is_opencodes(id)) {
        let reply = look_up(client, who, session).await?;
        // An id that only looks like one of the box's is an alias like any other.
        if !is_unknown(&reply) {
            return known(client, who, reply).await;
        }
    }
    let empty = Bytes::from_static(b"{}");
    let reply = client.act(Call::Session, who, "/session", HeaderMap::new(), empty).await?;
    if !reply.status.is_success() {
        return Ok(unopened(reply));
    }
    let session: Session<'_> = reply.json()?;
    ready(&session, session.time.updated)
}

/// Whether it is the box's own 404.
fn is_unknown(reply: &Reply) -> bool {
    matches!(reply.class(), Error::Gone)
}

fn is_opencodes(id: &SessionId) -> bool {
    id.as_str().starts_with(SESSION_PREFIX)
}

/// The session's record at the box.
pub(super) async fn look_up(
    client: &BoxClient,
    who: Option<&Credential>,
    session: &SessionId,
) -> Result<Reply, Error> {
    client.read(Call::Session, who, &format!("/session/{session}")).await
}

/// A session that has been talked to. Its last touch is no bound for what the box made since (an
/// abort does not touch it), so its newest message is asked, too.
async fn known(
    client: &BoxClient,
    who: Option<&Credential>,
    reply: Reply,
) -> Result<Prepare, Error> {
    if !reply.status.is_success() {
        return Ok(unopened(reply));
    }
    let session: Session<'_> = reply.json()?;
    let path = format!("/session/{}/message?limit=1", session_id(&session)?);
    let newest = client.read(Call::Messages, who, &path).await?;
    if !newest.status.is_success() {
        return Ok(unopened(newest));
    }
    let messages: Vec<Message<'_>> = newest.json()?;
    let times = messages.iter().flat_map(|message| {
        [Some(message.info.time.created), message.info.time.completed].into_iter().flatten()
    });
    let latest = times.fold(session.time.updated, u64::max);
    ready(&session, latest)
}

fn session_id(session: &Session<'_>) -> Result<SessionId, Error> {
    SessionId::parse(&session.id)
        .map_err(|_| Error::Nonsense("the box's session id is not an id".into()))
}

fn ready(session: &Session<'_>, latest_ms: u64) -> Result<Prepare, Error> {
    let id = session_id(session)?;
    let notes = Notes {
        directory: session.directory.clone().into_owned(),
        message: message_id::after(latest_ms, rand::rng()),
    };
    let notes = serde_json::to_string(&notes)
        .map_err(|_| Error::Nonsense("the session's directory cannot be kept".into()))?;
    if notes.len() > limits::MAX_PREPARED_BYTES {
        return Err(Error::Nonsense("the session's directory is too long to be kept".into()));
    }
    Ok(Prepare::Ready(Prepared { session: Some(id), notes }))
}

/// Nothing has been sent that could run, so a clear no is the box's answer, and anything unclear
/// can be tried again.
fn unopened(reply: Reply) -> Prepare {
    match reply.class() {
        Error::Unauthorized(_) | Error::Gone => Prepare::Refused(reply.into_refusal()),
        Error::Later { retry_after, .. } => Prepare::Later(reply.into_refusal(), retry_after),
        Error::Status(status) if is_clear_no(status) => Prepare::Refused(reply.into_refusal()),
        error @ (Error::Status(_)
        | Error::Connect(_)
        | Error::NoAnswer(_)
        | Error::Nonsense(_)
        | Error::TooLarge(_)) => Prepare::Failed(error),
    }
}

pub(super) async fn vouch(
    client: &BoxClient,
    who: &Credential,
    session: &SessionId,
) -> Result<Vouched, Error> {
    let reply = look_up(client, Some(who), session).await?;
    match reply.json::<Session<'_>>() {
        Ok(_) => Ok(Vouched::Yes),
        Err(Error::Unauthorized(status)) => Ok(Vouched::No(status)),
        Err(Error::Gone) => Ok(Vouched::UnknownSession),
        Err(error) => Err(error),
    }
}
