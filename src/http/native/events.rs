//! The events of a session: as a stream, the sandbox's session log, or in JSON for who asks so.
//!
//! A cursor is stricter here: one that is no number, or that nobody can have been given, is an
//! error and never a replay.

use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method};

use super::super::cursor;
use super::super::error::{Error, ErrorBody};
use super::super::follow::{self, Ask, UntilIdle};
use super::super::head::Head;
use super::super::query::Query;
use super::super::{Door, route};
use super::answers::{Events, Name, StreamEvent};
use super::document::Refusals;
use super::{poll, readable_session};
use crate::ids::{BoxName, SessionId};

/// The events of a session after a cursor.
///
/// As a stream, or with `Accept: application/json` a long poll: it answers once there is an event,
/// or with none at the end of the wait.
///
/// # Errors
/// As `readable_session`; [`Error::InvalidCursor`], [`Error::CursorBeyondTail`],
/// [`Error::InvalidQuery`], [`Error::LogUnavailable`], and if there is no place.
#[utoipa::path(
    get,
    path = "/afterbay/v1/boxes/{box}/sessions/{session}/events",
    operation_id = "readEvents",
    params(
        ("box" = Name, Path, description = "The box, by its configured name, or a sandbox by its id."),
        ("session" = Name, Path, description = "The session, by any of its names."),
        ("after" = Option<u64>, Query, minimum = 0, maximum = 9_223_372_036_854_775_807_i64,
            description = "The cursor: what follows this event. Also `Last-Event-ID`, \
            `lastEventId`, `last_event_id`, `starting_after`."),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000,
            description = "JSON: the most events, 100 unless said."),
        ("wait" = Option<u64>, Query, minimum = 0, maximum = 50,
            description = "JSON: how many seconds to wait for an event, 0 unless said."),
        ("until" = Option<String>, Query,
            description = "Stream: `idle` ends it when no turn runs."),
        ("max_line" = Option<u64>, Query, minimum = 1, maximum = 9_223_372_036_854_775_807_i64,
            description = "Stream: breaks longer lines of data."),
    ),
    responses(
        (status = 200, description = "The events.", content(
            (Events = "application/json"),
            (StreamEvent = "text/event-stream"),
        )),
        (status = 204, description = "With `until=idle`: nothing follows."),
        (status = 409, description = "The cursor is beyond the last event.", body = ErrorBody),
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
    let head = Head { session: session.id(), execution: None };
    let wants_json = wants_json(&parts.headers);
    if parts.method == Method::HEAD && !wants_json {
        return Ok(head.bare());
    }
    let query = Query::parse(parts.uri.query());
    let cursor = cursor::of_request(&parts.headers, &query);
    let after = cursor::strictly_after(cursor, session.tail().next_seq)?;
    // Checked for both: what is wrong is told, whether it would be used or not.
    let page = poll::Page::asked(&query, after)?;
    let reader = door.doors.sessions.tracer().reader(&parts.headers);
    let ask = Ask { cursor, lines: query.data_lines()?, reader };
    if cursor.is_given() {
        door.doors.metrics.streams.reconnected();
    }
    if wants_json {
        let page = if parts.method == Method::HEAD { page.at_once() } else { page };
        let _place = door.places.take_at(&session)?;
        return poll::answer(door, &session, page).await;
    }
    let is_until_idle = query.get("until") == Some("idle");
    let until_idle = if is_until_idle { UntilIdle::Yes } else { UntilIdle::No };
    match door.places.take_at(&session) {
        Ok(place) => Ok(follow::session(door, &session, ask, until_idle, place)),
        Err(error) => follow::turned_away(&parts.headers, &head, error),
    }
}

/// JSON, unless an event stream is named, too.
fn wants_json(headers: &HeaderMap) -> bool {
    route::accepts(headers, "application/json") && !route::wants_events(headers)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    #[test]
    fn json_is_for_who_names_it_and_no_stream() {
        for (value, expected) in [
            ("application/json", true),
            ("text/html, Application/JSON;q=0.5", true),
            ("application/json, text/event-stream", false),
            ("text/event-stream", false),
            ("*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            assert_eq!(wants_json(&headers), expected, "{value}");
        }
        assert!(!wants_json(&HeaderMap::new()));
    }
}
