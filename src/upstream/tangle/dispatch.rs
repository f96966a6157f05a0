//! Sending the prompt, and what the answer says of it.
//!
//! The head of a stream, or a receipt, says that the box has the prompt. A 409 says that a turn is
//! running, which may be this very one: a hop in between may have sent the request twice. So the
//! box is asked whether it knows our ids, and only if it does not, the 409 is a refusal. If it
//! cannot be asked, the prompt counts as unanswered.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use rand::Rng;

use super::api::{json_of, object};
use super::find::find_by_ids;
use super::frame::said;
use super::opening::{self, Opening};
use super::prepare::Notes;
use super::{Lane, detach, prompt, transcript};
use crate::credential::Credential;
use crate::ids::SessionId;
use crate::limits;
use crate::metrics::upstream::Call;
use crate::upstream::client::BoxClient;
use crate::upstream::prompt_headers;
use crate::upstream::reply::{Reply, is_clear_no};
use crate::upstream::stream::Opened;
use crate::upstream::{BadPrompt, Body, Dispatch, Error, Prepared, TurnIds};

/// The route of runs.
const RUN_PATH: &str = "/agents/run/stream";
/// What a box says that is not ready yet.
const WARMING_UP: &str = "AGENT_WARMING_UP";

/// What goes out, and where.
struct Outgoing {
    target: String,
    headers: HeaderMap,
    body: Bytes,
    /// The session, if the route names it.
    session: Option<SessionId>,
}

pub(super) async fn dispatch(
    client: &BoxClient,
    lane: Lane,
    who: Option<&Credential>,
    ids: &TurnIds,
    prepared: &Prepared,
    body: &Body,
) -> Dispatch {
    let notes = match Notes::read(prepared) {
        Ok(notes) => notes,
        Err(error) => return Dispatch::NotSent(error),
    };
    let outgoing = match lane {
        Lane::Run => as_run(ids, body),
        Lane::Messages => as_message(ids, &notes, body),
    };
    let Outgoing { target, headers, body, session } = match outgoing {
        Ok(outgoing) => outgoing,
        Err(bad) => return Dispatch::NotSent(Error::Nonsense(bad.to_string())),
    };
    match client.open(Call::Prompt, who, &target, headers, body).await {
        Ok(Opened::Stream(chunks)) => taken(opening::read(chunks).await, &notes, session),
        Ok(Opened::Whole(reply)) if reply.status == StatusCode::CONFLICT => {
            match find_by_ids(client, who, ids, &notes).await {
                Ok(Some(opening)) => taken(opening, &notes, session),
                Ok(None) => Dispatch::Refused(reply.into_refusal()),
                Err(_) => Dispatch::Unanswered(Error::Status(reply.status)),
            }
        }
        Ok(Opened::Whole(reply)) => answered(reply, &notes, session),
        Err(error) => error.of_a_prompt(),
    }
}

fn as_run(ids: &TurnIds, body: &Body) -> Result<Outgoing, BadPrompt> {
    let detached = detach::detached(&body.bytes)?;
    let mut headers = if detached == body.bytes {
        prompt_headers::of_kept(ids, &body.headers)
    } else {
        prompt_headers::of_changed(ids, &body.headers)
    };
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/event-stream"));
    Ok(Outgoing { target: RUN_PATH.to_owned(), headers, body: detached, session: None })
}

fn as_message(ids: &TurnIds, notes: &Notes, body: &Body) -> Result<Outgoing, BadPrompt> {
    let nameless = || BadPrompt("the request names no session".to_owned());
    let session = notes.candidates().next().ok_or_else(nameless)?;
    Ok(Outgoing {
        target: transcript::path(&session),
        headers: prompt_headers::of_rewritten(ids, &body.headers),
        body: prompt::as_message(&body.bytes, ids.turn.as_ref())?,
        session: Some(session),
    })
}

/// The box has it; whether it says where is another question.
fn taken(opening: Opening, notes: &Notes, only: Option<SessionId>) -> Dispatch {
    match opening.accepted(notes, only) {
        Ok(accepted) => Dispatch::Accepted(accepted),
        Err(error) => Dispatch::Unnamed(error),
    }
}

/// Only a receipt says that the box has the prompt, and only a clear no that it has not. Behind any other answer may stand a gateway that lost the box's.
fn answered(reply: Reply, notes: &Notes, only: Option<SessionId>) -> Dispatch {
    if reply.status.is_success() {
        return match receipt(&reply, only.is_some()) {
            Ok(opening) => taken(opening, notes, only),
            Err(error) => Dispatch::Unanswered(error),
        };
    }
    match reply.class() {
        // A gateway's own 503 may stand there for an answer that was lost; a 429 is given before
        // anything is passed on.
        Error::Later { status, .. }
            if status == StatusCode::SERVICE_UNAVAILABLE && !reply.is_object() =>
        {
            Dispatch::Unanswered(Error::Status(status))
        }
        Error::Later { .. } => {
            let wait = patience(&reply);
            Dispatch::Later(reply.into_refusal(), wait)
        }
        Error::Status(status) if !is_clear_no(status) => {
            Dispatch::Unanswered(Error::Status(status))
        }
        Error::Status(_)
        | Error::Unauthorized(_)
        | Error::Gone
        | Error::Connect(_)
        | Error::NoAnswer(_)
        | Error::Nonsense(_)
        | Error::TooLarge(_) => Dispatch::Refused(reply.into_refusal()),
    }
}

/// What a JSON answer says, if it is a receipt: it names the session or the execution, or says
/// that it dispatched. On a route that names the session itself, a plain success is one.
pub(super) fn receipt(reply: &Reply, is_named: bool) -> Result<Opening, Error> {
    #[derive(serde::Deserialize)]
    struct Receipt<'a> {
        #[serde(borrow, default)]
        dispatched: Option<&'a serde_json::value::RawValue>,
    }
    let bodiless = matches!(reply.status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT);
    if is_named && bodiless && reply.body.is_empty() {
        return Ok(Opening::default());
    }
    let json = json_of(reply)?;
    let other_shape = || Error::Nonsense("the box's receipt has another shape".into());
    let receipt: Receipt<'_> = object(json).ok_or_else(other_shape)?;
    let said = said(json);
    let mut opening = Opening::default();
    opening.name(said.session.as_deref(), said.execution.as_deref());
    let tells = opening.session.is_some()
        || opening.execution.is_some()
        || receipt.dispatched.is_some()
        || is_named;
    if !tells || said.success == Some(false) {
        return Err(other_shape());
    }
    Ok(opening)
}

/// How long the box wants to be left alone. One that warms up says so without a time.
pub(super) fn patience(reply: &Reply) -> Option<Duration> {
    let asked = reply.retry_after();
    let is_cold = || {
        reply.status == StatusCode::SERVICE_UNAVAILABLE
            && reply.body.windows(WARMING_UP.len()).any(|word| word == WARMING_UP.as_bytes())
    };
    asked.or_else(|| {
        is_cold()
            .then(|| Duration::from_millis(rand::rng().random_range(limits::WARMING_UP_MILLIS)))
    })
}
