//! A turn's POST, read and checked: ids, cursor, message, and the bytes as they came.
//!
//! The body is read within bounds of size, time and memory, must be one JSON object, and is
//! nested less deep than whoever decodes it later could stand. Only the keys below are looked at;
//! the bytes go on unchanged. A key that we read must not stand twice: the box might take the
//! other one.

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cursor;
use super::error::Error;
use super::query::Query;
use super::route::X_EXECUTION_ID;
use crate::ids::{ExecutionId, Id, IdKind, InvalidId, SessionId, TurnId};
use crate::limits;
use crate::sse::last_event_id::LastEventId;

/// What a turn's POST says, besides the bytes that go on.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) session: Option<SessionId>,
    pub(crate) execution: Option<ExecutionId>,
    pub(crate) turn: Option<TurnId>,
    /// What the client has seen: from the header, the query, or the body, in this order.
    pub(crate) cursor: LastEventId,
    /// Whether there is no prompt: together with an execution and a cursor it is a replay.
    pub(crate) is_empty: bool,
}

/// Reads what the request says. `body` is complete.
///
/// # Errors
/// What is wrong with it, for the client.
pub(crate) fn parse(headers: &HeaderMap, query: &Query<'_>, body: &Bytes) -> Result<Asked, Error> {
    let named = header_execution(headers)?;
    let cursor = cursor::of_request(headers, query);
    // A replay needs no body, and some clients send none.
    if body.trim_ascii().is_empty() && named.is_some() && cursor.is_given() {
        return Ok(Asked { session: None, execution: named, turn: None, cursor, is_empty: true });
    }
    let said = Said::read(body)?;
    let execution = match (named, id_of::<_>(said.execution_id)?) {
        (Some(header), Some(body)) if header != body => return Err(Error::IdConflict),
        (Some(id), _) | (None, Some(id)) => Some(id),
        (None, None) => None,
    };
    let cursor = if cursor.is_given() { cursor } else { cursor_of(said.last_event_id) };
    Ok(Asked {
        session: id_of(said.session_id)?,
        execution,
        turn: id_of(said.turn_id)?,
        cursor,
        is_empty: is_nothing(said.message) && is_nothing(said.parts),
    })
}

/// The execution that the header names; two lines that agree are one.
///
/// # Errors
/// [`Error::InvalidId`], or [`Error::IdConflict`] if they disagree.
pub(crate) fn header_execution(headers: &HeaderMap) -> Result<Option<ExecutionId>, Error> {
    let mut found: Option<ExecutionId> = None;
    for value in headers.get_all(X_EXECUTION_ID) {
        let text = value.to_str().map_err(|_| InvalidId { kind: "executionId" })?;
        let Some(id) = ExecutionId::parse_optional(text)? else {
            continue;
        };
        if found.as_ref().is_some_and(|other| *other != id) {
            return Err(Error::IdConflict);
        }
        found = Some(id);
    }
    Ok(found)
}

/// The keys that we read, undecoded.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said<'a> {
    #[serde(borrow)]
    session_id: Option<&'a RawValue>,
    #[serde(borrow)]
    execution_id: Option<&'a RawValue>,
    #[serde(borrow)]
    turn_id: Option<&'a RawValue>,
    #[serde(borrow)]
    last_event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    parts: Option<&'a RawValue>,
}

impl<'a> Said<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(body).map_err(|_| Error::InvalidJson)?;
        let depth = depth_of(text.as_bytes());
        if depth > limits::MAX_JSON_DEPTH {
            return Err(Error::BodyTooDeep);
        }
        // An array would be taken for the keys in their order.
        if !text.trim_ascii_start().starts_with('{') {
            let valid = serde_json::from_str::<&RawValue>(text).is_ok();
            return Err(if valid { Error::NotAnObject } else { Error::InvalidJson });
        }
        serde_json::from_str(text).map_err(|error| match error.classify() {
            // All keys are optional and take any value: only a repeated one can be wrong.
            serde_json::error::Category::Data => Error::DuplicateKey(repeated_key(&error)),
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io => Error::InvalidJson,
        })
    }
}

/// Which of our keys the error names.
fn repeated_key(error: &serde_json::Error) -> &'static str {
    let text = error.to_string();
    let keys = ["sessionId", "executionId", "turnId", "lastEventId", "message", "parts"];
    keys.into_iter().find(|key| text.contains(&format!("`{key}`"))).unwrap_or("a key")
}

/// The deepest nesting in `json`; counts brackets outside strings, so it needs no valid JSON.
fn depth_of(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = *byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// An id: a string; null and empty are absent.
fn id_of<K: IdKind>(value: Option<&RawValue>) -> Result<Option<Id<K>>, Error> {
    let Some(value) = value else {
        return Ok(None);
    };
    let text: String =
        serde_json::from_str(value.get()).map_err(|_| InvalidId { kind: K::NAME })?;
    Ok(Id::parse_optional(&text)?)
}

/// A cursor: a string or a plain number; anything else is not a number of ours.
fn cursor_of(value: Option<&RawValue>) -> LastEventId {
    let Some(value) = value else {
        return LastEventId::None;
    };
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => LastEventId::parse(text.as_bytes()),
        Err(_) => LastEventId::parse(value.get().as_bytes()),
    }
}

/// Whether a message or a list of parts says nothing.
fn is_nothing(value: Option<&RawValue>) -> bool {
    value.is_none_or(|value| {
        let text = value.get();
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        text == "\"\"" || inner.is_some_and(|inner| inner.trim_ascii().is_empty())
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::event::Seq;

    fn ask(
        lines: &[(&'static str, &'static str)],
        query: &str,
        body: &str,
    ) -> Result<Asked, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        parse(&headers, &Query::parse(Some(query)), &Bytes::from(body.to_owned()))
    }

    #[track_caller]
    fn good(lines: &[(&'static str, &'static str)], body: &str) -> Asked {
        ask(lines, "", body).expect("a valid turn")
    }

    #[track_caller]
    fn check_refused(body: &str, expected: fn(&Error) -> bool) {
        let error = ask(&[], "", body).expect_err(body);
        assert!(expected(&error), "{body}: {error:?}");
    }

    #[test]
    fn ids_come_from_the_body_and_null_and_empty_are_absent() {
        let asked = good(&[], r#"{"sessionId":"s","executionId":"e","turnId":"t","message":"hi"}"#);
        assert_eq!(asked.session.as_ref().map(Id::as_str), Some("s"));
        assert_eq!(asked.execution.as_ref().map(Id::as_str), Some("e"));
        assert_eq!(asked.turn.as_ref().map(Id::as_str), Some("t"));
        assert!(!asked.is_empty);

        let asked = good(&[], r#"{"sessionId":null,"executionId":"","message":"hi"}"#);
        assert_eq!((asked.session, asked.execution, asked.turn), (None, None, None));
        let asked = good(&[], "{\"session\\u0049d\":\"s\"}");
        assert_eq!(asked.session.as_ref().map(Id::as_str), Some("s"));
    }

    #[test]
    fn the_header_names_the_execution_and_must_agree_with_the_body() {
        let header = [("x-execution-id", "e")];
        assert!(good(&header, "{}").execution.is_some());
        assert!(good(&header, r#"{"executionId":"e"}"#).execution.is_some());
        assert!(good(&[("x-execution-id", "")], "{}").execution.is_none());
        let conflict = ask(&header, "", r#"{"executionId":"f"}"#);
        assert!(matches!(conflict, Err(Error::IdConflict)));
        let conflict = ask(&[("x-execution-id", "e"), ("x-execution-id", "f")], "", "{}");
        assert!(matches!(conflict, Err(Error::IdConflict)));
        let invalid = ask(&[("x-execution-id", "a/b")], "", "{}");
        assert!(matches!(invalid, Err(Error::InvalidId(_))));
    }

    #[test]
    fn an_id_that_is_not_a_string_of_the_alphabet_is_refused() {
        for value in
            ["7", "true", "{}", "[\"s\"]", r#""a/b""#, r#""..""#, r#""a\u0000""#, r#""\ud800""#]
        {
            for key in ["sessionId", "executionId", "turnId"] {
                check_refused(&format!("{{\"{key}\":{value}}}"), |e| {
                    matches!(e, Error::InvalidId(_))
                });
            }
        }
        let long = "x".repeat(257);
        check_refused(&format!("{{\"turnId\":\"{long}\"}}"), |e| matches!(e, Error::InvalidId(_)));
    }

    #[test]
    fn what_is_not_one_json_object_is_refused() {
        for body in ["", " ", "{", "{}{}", "{\"a\":}", "nope", "[1", "{\"a\":\"\u{1}\"}"] {
            check_refused(body, |e| matches!(e, Error::InvalidJson));
        }
        for body in ["[]", "[null,null]", "\"x\"", "1", "null", "true"] {
            check_refused(body, |e| matches!(e, Error::NotAnObject));
        }
        let bytes = Bytes::from_static(b"{\"message\":\"\xff\"}");
        let refused = parse(&HeaderMap::new(), &Query::parse(None), &bytes);
        assert!(matches!(refused, Err(Error::InvalidJson)));
    }

    #[test]
    fn a_key_that_we_read_must_not_stand_twice() {
        check_refused(r#"{"message":"a","message":"b"}"#, |e| {
            matches!(e, Error::DuplicateKey("message"))
        });
        check_refused(r#"{"sessionId":null,"sessionId":"s"}"#, |e| {
            matches!(e, Error::DuplicateKey("sessionId"))
        });
        check_refused("{\"turnId\":\"a\",\"turn\\u0049d\":\"b\"}", |e| {
            matches!(e, Error::DuplicateKey("turnId"))
        });
        assert!(ask(&[], "", r#"{"other":1,"other":2}"#).is_ok());
    }

    #[test]
    fn nesting_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(ask(&[], "", &nested(limits::MAX_JSON_DEPTH - 1)).is_ok());
        check_refused(&nested(limits::MAX_JSON_DEPTH), |e| matches!(e, Error::BodyTooDeep));
        check_refused(&"[".repeat(1_000_000), |e| matches!(e, Error::BodyTooDeep));
        let text = "[\\\"{".repeat(1000);
        assert!(ask(&[], "", &format!("{{\"message\":\"{text}\"}}")).is_ok());
        // What was let in can be decoded by whoever needs it.
        let json = nested(limits::MAX_JSON_DEPTH - 1);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }

    #[test]
    fn the_bodys_cursor_is_the_weakest() {
        let seen = |n| LastEventId::Seen(Seq::new(n));
        let body = r#"{"lastEventId":"7"}"#;
        assert_eq!(ask(&[], "", body).expect("valid").cursor, seen(7));
        assert_eq!(ask(&[], "after=3", body).expect("valid").cursor, seen(3));
        assert_eq!(ask(&[("last-event-id", "1")], "after=3", body).expect("valid").cursor, seen(1));
        assert_eq!(good(&[], r#"{"lastEventId":7}"#).cursor, seen(7));
        for value in ["null", "\"\""] {
            let body = format!("{{\"lastEventId\":{value}}}");
            assert_eq!(good(&[], &body).cursor, LastEventId::None);
        }
        for value in ["-1", "1.5", "\" 7\"", "{}", "true"] {
            let body = format!("{{\"lastEventId\":{value}}}");
            assert_eq!(good(&[], &body).cursor, LastEventId::NotANumber, "{value}");
        }
    }

    #[test]
    fn a_message_is_empty_only_if_there_is_no_prompt_at_all() {
        for body in ["{}", r#"{"message":""}"#, r#"{"message":null,"parts":[ ]}"#] {
            assert!(good(&[], body).is_empty, "{body}");
        }
        for body in [r#"{"message":" "}"#, r#"{"parts":[{}]}"#, r#"{"message":{}}"#] {
            assert!(!good(&[], body).is_empty, "{body}");
        }
    }

    #[test]
    fn a_replay_needs_no_body_when_headers_say_it_all() {
        let lines = [("x-execution-id", "e"), ("last-event-id", "4")];
        let asked = good(&lines, "");
        assert!(asked.is_empty && asked.execution.is_some() && asked.cursor.is_given());
        assert!(matches!(ask(&lines[..1], "", ""), Err(Error::InvalidJson)));
    }
}
