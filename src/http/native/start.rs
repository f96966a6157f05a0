//! Starting a turn without a stream: the answer says that it is in the log, and where it is.
//!
//! The start is that of the sandbox's route. What is added: the session stands in the path, a
//! repeat is known by `turnId` or `Idempotency-Key`, and one with another message is a conflict.
//! The box's refusal is the answer if it comes within the head wait; after it, the turn tells.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::timeout;

use super::super::error::{Error, ErrorBody};
use super::super::query::Query;
use super::super::turn_request::{self, Asked};
use super::super::{Door, auth, end_to_end, follow, run_stream};
use super::answers::{Accepted, Name, answer};
use super::document::Refusals;
use super::known_box;
use super::named::named;
use crate::ids::{BoxName, InvalidId, SessionId, TurnId};
use crate::mode::Phase;
use crate::session::overview::TurnOverview;
use crate::session::{Answered, Session, Started, TurnRef};

/// The header that names a request, so that its repeat is known.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Starts a turn, or finds the one that was started by the same request before.
///
/// # Errors
/// What is wrong with the request, why no turn was started, [`Error::Withdrawn`], or
/// [`Error::IdempotencyConflict`].
#[utoipa::path(
    post,
    path = "/afterbay/v1/boxes/{box}/sessions/{session}/turns",
    operation_id = "startTurn",
    params(
        ("box" = Name, Path, description = "The box, by its configured name, or a sandbox by its id."),
        ("session" = Name, Path, description = "The session: a name of your own begins one."),
        ("Idempotency-Key" = Option<Name>, Header,
            description = "Names this request: a repeat of it starts nothing. The same as `turnId`."),
    ),
    request_body(content = Prompt, description = "The prompt, and whatever else the box takes."),
    responses(
        (status = 202, description = "In the log, and not over.", body = Accepted,
            headers(("Location" = String, description = "The turn."))),
        (status = 200, description = "It was started before and is over.", body = Accepted,
            headers(("Location" = String, description = "The turn."))),
        (status = 408, description = "The body did not arrive in time.", body = ErrorBody),
        (status = 409, description = "Another turn runs, these ids were used for another message, \
            or the turn was cancelled before the box took it.", body = ErrorBody),
        (status = 410, description = "The box has forgotten this session: nothing was sent.",
            body = ErrorBody),
        (status = 413, description = "The body is too large.", body = ErrorBody),
        (status = 415, description = "The body is not JSON, or encoded.", body = ErrorBody),
        Refusals,
    ),
)]
pub(super) async fn post(
    door: &Door,
    parts: Parts,
    body: Body,
    box_name: BoxName,
    session: SessionId,
) -> Result<Response, Error> {
    let box_name = known_box(door, box_name)?;
    let who = auth::caller(&parts)?;
    check_content_type(&parts.headers)?;
    let mut held = door.bodies.read(&parts.headers, body).await?;
    let query = Query::parse(parts.uri.query());
    let mut asked = turn_request::parse(&parts.headers, &query, &held.bytes)?;
    complete(&mut asked, &parts.headers, &session)?;
    let sent = held.bytes.clone();
    held.bytes = named(&sent, &session, asked.turn.as_ref());
    let (turn_id, headers) = (asked.turn.clone(), end_to_end::of_turn(&parts.headers));
    let Started { new, turn } =
        run_stream::start(door, box_name.clone(), asked, headers, held, who).await?;
    if !new {
        check_same(&turn, &session, turn_id.as_ref(), &sent).await?;
    }
    turn.logged().await;
    // Dropping the wait loses nothing: the turn goes on.
    match timeout(door.doors.settings.head_wait, turn.answered()).await {
        // Stopped on purpose: it is in the log and goes on after the restart.
        Ok(Answered::Running | Answered::Stopped) | Err(_) => {}
        Ok(Answered::Refused(refusal)) => return Ok(follow::refused(refusal)),
        Ok(Answered::Withdrawn(why)) => return Err(Error::Withdrawn(why)),
    }
    let Some(told) = turn.overview().await else { return Err(Error::Internal) };
    Ok(accepted(&box_name, &turn.session, told))
}

/// What the body of a turn holds, besides what only the box knows.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = Prompt)]
#[expect(dead_code, reason = "it describes what `turn_request` reads")]
pub(super) struct Prompt {
    /// The prompt; or `parts`.
    #[schema(value_type = Option<String>, min_length = 1)]
    message: Option<String>,
    /// The prompt in parts, as the box takes them.
    #[schema(value_type = Option<Vec<Object>>, min_items = 1)]
    parts: Option<Vec<serde_json::Value>>,
    /// Names the turn: a repeat with the same one starts nothing.
    #[schema(rename = "turnId", max_length = 256, pattern = "^(?!\\.{1,2}$)[A-Za-z0-9._:@=+~-]*$")]
    turn_id: Option<String>,
    /// Names the turn on its box.
    #[schema(
        rename = "executionId",
        max_length = 256,
        pattern = "^(?!\\.{1,2}$)[A-Za-z0-9._:@=+~-]*$"
    )]
    execution_id: Option<String>,
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Error> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = value.and_then(|value| value.split(';').next()).map(str::trim);
    let is_json = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    if is_json { Ok(()) } else { Err(Error::ContentType) }
}

/// Takes the session from the path and the turn's id from the header, where the body names none.
fn complete(asked: &mut Asked, headers: &HeaderMap, session: &SessionId) -> Result<(), Error> {
    if asked.is_empty {
        return Err(Error::MessageRequired);
    }
    if asked.session.as_ref().is_some_and(|said| said != session) {
        return Err(Error::TwoNames("sessionId"));
    }
    asked.session = Some(session.clone());
    asked.turn = match (asked.turn.take(), key(headers)?) {
        (Some(said), Some(key)) if said != key => return Err(Error::TwoNames("turnId")),
        (said, key) => said.or(key),
    };
    Ok(())
}

/// The key of the request; it may stand in quotes, as the header's draft standard wants it.
fn key(headers: &HeaderMap) -> Result<Option<TurnId>, Error> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::TwoNames("Idempotency-Key"));
    }
    let invalid = InvalidId { kind: "Idempotency-Key" };
    let text = value.to_str().map_err(|_| invalid.clone())?;
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Ok(TurnId::parse_optional(inner.unwrap_or(text)).map_err(|_| invalid)?)
}

/// Whether a turn that was known is the one that is asked for: on this session, under this id, with
/// this body, whichever of the session's names the path had.
async fn check_same(
    turn: &TurnRef,
    session: &SessionId,
    id: Option<&TurnId>,
    sent: &Bytes,
) -> Result<(), Error> {
    // It was given up a moment ago: its answer tells that.
    let Some(known) = turn.overview().await else { return Ok(()) };
    let names = turn.session.ids();
    let same_body = names.iter().any(|name| {
        let body = named(sent, name, known.turn.as_ref());
        *blake3::hash(&body).as_bytes() == known.body_digest
    });
    let same_id = id.is_none() || id == known.turn.as_ref();
    let same = names.contains(session) && same_id && same_body;
    if same { Ok(()) } else { Err(Error::IdempotencyConflict) }
}

fn accepted(box_name: &BoxName, session: &Session, turn: TurnOverview) -> Response {
    let TurnOverview { execution, turn, phase, first, .. } = turn;
    let is_over = phase == Phase::Finished;
    let told = Accepted {
        execution_id: Name::of(&execution),
        session_id: Name::of(&session.id()),
        turn_id: turn.as_ref().map(Name::of),
        cursor: first.previous().get(),
        state: phase.into(),
    };
    let status = if is_over { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = answer(status, &told);
    // The alphabet of names is within that of paths.
    let location = format!("/afterbay/v1/boxes/{box_name}/turns/{execution}");
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_id_with_or_without_quotes() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static(value));
            }
            key(&headers).map(|key| key.map(|key| key.to_string()))
        };
        assert!(matches!(of(&[]), Ok(None)));
        assert!(matches!(of(&[""]), Ok(None)));
        for value in ["k-1", "\"k-1\""] {
            assert_eq!(of(&[value]).expect("a key").as_deref(), Some("k-1"));
        }
        assert!(matches!(of(&["a b"]), Err(Error::InvalidId(_))));
        assert!(matches!(of(&["a\"b"]), Err(Error::InvalidId(_))));
        assert!(matches!(of(&["a", "a"]), Err(Error::TwoNames(_))));
    }
}
