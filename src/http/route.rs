//! What a request asks for: method and raw path to a closed enum.
//!
//! Pure, on the bytes of the path as they came: slashes are not merged and nothing is decoded
//! except one segment that stands for an id. Whatever is not one of our routes is the box's, so
//! a path that merely looks alike (a double or trailing slash, an encoded letter) is passed on.

use http::{HeaderMap, Method, header};

use super::native;
use super::query::{Query, decode_segment};
use crate::ids::{ExecutionId, Id, IdKind, InvalidId, SessionId};
use crate::limits;
use crate::upstream::result_path::ResultPath;

/// The header that names an execution, in requests and answers.
pub(crate) const X_EXECUTION_ID: &str = "x-execution-id";

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To start a turn, attach to one, or replay one; the body says which.
    Turn,
    /// The events of the execution that the query or a header names.
    NamedReplay,
    /// The events of this execution.
    Replay(ExecutionId),
    /// Perhaps the events of one of these executions: of the first that is known, else it is the
    /// box's request.
    PerhapsReplay(Vec<ExecutionId>),
    /// The events of this session, if it is known, else it is the box's request.
    Session(SessionId),
    /// The state of this session.
    SessionState(SessionId),
    /// The result of a turn of this session.
    SessionResult(SessionId),
    /// To stop what runs on this session; if nothing does, it is the box's request.
    Abort(SessionId),
    /// Something of the native API.
    Native(native::Route),
    /// What methods a route of ours has.
    Options(Allowed),
    /// The page of a named origin asks what it may send.
    Preflight,
    /// A route of ours with a method that it does not have.
    WrongMethod(Allowed),
    /// A WebSocket's handshake: it is the box's, whatever its path.
    WebSocket,
    /// The box's request.
    Pass,
}

/// The methods of a route, as its `Allow` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed(pub(crate) &'static str);

const TURN_METHODS: Allowed = Allowed("GET, HEAD, POST, OPTIONS");
pub(super) const READ_METHODS: Allowed = Allowed("GET, HEAD, OPTIONS");
pub(super) const ACT_METHODS: Allowed = Allowed("POST, OPTIONS");

/// Decides what is asked.
///
/// # Errors
/// [`InvalidId`] if a route of ours holds something that cannot be an id.
pub(crate) fn route(
    method: &Method,
    path: &str,
    query: &Query<'_>,
    headers: &HeaderMap,
) -> Result<Route, InvalidId> {
    let Some(rest) = path.strip_prefix("/agents/") else {
        // The asterisk and authority forms name no resource that could be passed on.
        let own = !path.starts_with('/');
        return Ok(if own { without_path(method) } else { Route::Pass });
    };
    let reads = method == Method::GET || method == Method::HEAD;
    let segments: Vec<&str> = rest.splitn(4, '/').collect();
    match segments.as_slice() {
        ["run", "stream"] => Ok(turn_route(method)),
        ["executions", id, "events"] if reads => parse_segment(id).map(Route::Replay),
        ["executions", _, "events"] => Ok(other_method(method, READ_METHODS)),
        ["sessions", id, "events"] if reads => parse_segment(id).map(Route::Session),
        ["sessions", _, "events"] if method == Method::OPTIONS => Ok(Route::Options(READ_METHODS)),
        // What cannot be an id of ours may be one of the box's.
        ["sessions", id] if method == Method::GET => {
            Ok(parse_segment(id).map_or(Route::Pass, Route::SessionState))
        }
        ["sessions", id, "abort"] if method == Method::POST => parse_segment(id).map(Route::Abort),
        ["sessions", _, "abort"] if method == Method::OPTIONS => Ok(Route::Options(ACT_METHODS)),
        ["events"] if reads && query.get("sessionId").is_some() => {
            SessionId::parse(query.get("sessionId").unwrap_or("")).map(Route::Session)
        }
        _ if reads && wants_events(headers) => Ok(perhaps_replay(rest, headers)),
        _ => Ok(Route::Pass),
    }
}

/// Whether a GET of `path` asks for the result of a turn.
pub(crate) fn result_route(method: &Method, path: &str, at: &ResultPath) -> Option<Route> {
    let id = at.session_in(path).filter(|_| method == Method::GET)?;
    Some(Route::SessionResult(parse_segment(id).ok()?))
}

/// Whether `Accept` names an event stream.
pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    accepts(headers, "text/event-stream")
}

/// Whether `Accept` names this kind itself.
pub(crate) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|value| value.split(','));
    ranges.any(|range| {
        let kind = range.split(';').next().unwrap_or("").trim();
        kind.eq_ignore_ascii_case(wanted)
    })
}

fn turn_route(method: &Method) -> Route {
    if method == Method::POST {
        Route::Turn
    } else if method == Method::GET || method == Method::HEAD {
        Route::NamedReplay
    } else {
        other_method(method, TURN_METHODS)
    }
}

pub(super) fn other_method(method: &Method, allowed: Allowed) -> Route {
    if method == Method::OPTIONS { Route::Options(allowed) } else { Route::WrongMethod(allowed) }
}

/// `OPTIONS *` is about this server; CONNECT asks for a tunnel, which nobody gets.
fn without_path(method: &Method) -> Route {
    other_method(method, Allowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"))
}

pub(super) fn parse_segment<K: IdKind>(segment: &str) -> Result<Id<K>, InvalidId> {
    let decoded = decode_segment(segment).ok_or(InvalidId { kind: K::NAME })?;
    Id::parse(&decoded)
}

/// Every name in the request that could be an execution: the header first, then the segments.
fn perhaps_replay(rest: &str, headers: &HeaderMap) -> Route {
    let header = headers.get(X_EXECUTION_ID).and_then(|value| value.to_str().ok());
    let header = header.and_then(|text| ExecutionId::parse(text).ok());
    let segments = rest.split('/').take(limits::MAX_REPLAY_SEGMENTS);
    let segments = segments.filter_map(|segment| parse_segment(segment).ok());
    let names: Vec<ExecutionId> = header.into_iter().chain(segments).collect();
    Route::PerhapsReplay(names)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ask(line: &str, lines: &[(&'static str, &'static str)]) -> Result<Route, InvalidId> {
        let (method, target) = line.split_once(' ').expect("a method and a target");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let method: Method = method.parse().expect("a method");
        route(&method, path, &Query::parse(Some(query)), &headers)
    }

    #[track_caller]
    fn check(line: &str, expected: Route) {
        assert_eq!(ask(line, &[]), Ok(expected), "{line}");
    }

    fn execution(text: &str) -> ExecutionId {
        ExecutionId::parse(text).expect("an id")
    }

    fn session(text: &str) -> SessionId {
        SessionId::parse(text).expect("an id")
    }

    #[test]
    fn our_routes_are_found() {
        check("POST /agents/run/stream", Route::Turn);
        check("POST /agents/run/stream?lastEventId=4", Route::Turn);
        check("GET /agents/run/stream?executionId=e", Route::NamedReplay);
        check("HEAD /agents/run/stream", Route::NamedReplay);
        check("GET /agents/executions/e-1/events", Route::Replay(execution("e-1")));
        check("HEAD /agents/executions/e%3A1/events", Route::Replay(execution("e:1")));
        check("GET /agents/sessions/ses_1/events?until=idle", Route::Session(session("ses_1")));
        check("GET /agents/events?sessionId=ses_1", Route::Session(session("ses_1")));
        check("GET /agents/sessions/ses_1", Route::SessionState(session("ses_1")));
        check("POST /agents/sessions/ses_1/abort", Route::Abort(session("ses_1")));
    }

    #[test]
    fn a_turn_route_with_a_wrong_method_says_which_it_has() {
        for method in ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"] {
            check(&format!("{method} /agents/run/stream"), Route::WrongMethod(TURN_METHODS));
        }
        check("POST /agents/executions/e/events", Route::WrongMethod(READ_METHODS));
        check("CONNECT example.com:443", without_path(&Method::CONNECT));
    }

    #[test]
    fn a_result_is_asked_for_where_the_configuration_says() {
        let at = "/agents/sessions/{id}/result".parse().expect("a path");
        let asked = |method, path| result_route(&method, path, &at);
        let found = Some(Route::SessionResult(session("s-1")));
        assert_eq!(asked(Method::GET, "/agents/sessions/s-1/result"), found);
        assert_eq!(asked(Method::POST, "/agents/sessions/s-1/result"), None);
        assert_eq!(asked(Method::GET, "/agents/sessions/a%20b/result"), None);
    }

    #[test]
    fn options_on_our_routes_is_ours_and_elsewhere_the_boxs() {
        check("OPTIONS /agents/run/stream", Route::Options(TURN_METHODS));
        check("OPTIONS /agents/executions/e/events", Route::Options(READ_METHODS));
        check("OPTIONS /agents/sessions/s/abort", Route::Options(ACT_METHODS));
        check("OPTIONS /session", Route::Pass);
        assert!(matches!(ask("OPTIONS *", &[]), Ok(Route::Options(_))));
    }

    #[test]
    fn what_only_looks_alike_is_passed_on() {
        for line in [
            "GET /",
            "GET /session",
            "POST /agents/run/stream/",
            "POST //agents/run/stream",
            "POST /agents//run/stream",
            "POST /agents/run/strea%6D",
            "POST /Agents/run/stream",
            "POST /agents/run",
            "POST /v1/agents/run/stream",
            "HEAD /agents/sessions/s",
            "DELETE /agents/sessions/s",
            "GET /agents/sessions/a%20b",
            "GET /agents/sessions/s/",
            "GET /agents/sessions/s/abort",
            "DELETE /agents/sessions/s/events",
            "GET /agents/executions/e/events/more",
            "GET /agents/events",
            "GET /agents/events?sessionId=",
            "GET /agents/",
            "GET /agents",
        ] {
            check(line, Route::Pass);
        }
    }

    #[test]
    fn an_id_that_cannot_be_one_is_refused_on_our_routes_only() {
        for line in [
            "GET /agents/executions/a%2Fb/events",
            "GET /agents/executions/%2e%2e/events",
            "GET /agents/executions//events",
            "GET /agents/sessions/a%00b/events",
            "GET /agents/sessions/%ff/events",
            "POST /agents/sessions/a%20b/abort",
            "GET /agents/events?sessionId=a/b",
        ] {
            assert!(ask(line, &[]).is_err(), "{line}");
        }
        check("GET /agents/files/a%2Fb", Route::Pass);
    }

    #[test]
    fn any_other_get_for_events_may_name_an_execution() {
        let events = [("accept", "text/html, Text/Event-Stream;q=0.9")];
        let names = ["runs", "e-1", "replay"].map(execution).to_vec();
        let found = ask("GET /agents/runs/e-1/replay", &events);
        assert_eq!(found, Ok(Route::PerhapsReplay(names)));

        let named = [("accept", "text/event-stream"), ("x-execution-id", "e-9")];
        let names = vec![execution("e-9"), execution("replay")];
        assert_eq!(ask("HEAD /agents/replay", &named), Ok(Route::PerhapsReplay(names)));

        assert_eq!(ask("POST /agents/replay", &named), Ok(Route::Pass));
        assert_eq!(ask("GET /other/e-9", &named), Ok(Route::Pass));
        assert_eq!(ask("GET /agents/e-9", &[("accept", "*/*")]), Ok(Route::Pass));
    }

    #[test]
    fn a_path_of_many_segments_costs_a_bounded_number_of_look_ups() {
        let path = format!("GET /agents/{}", "a/".repeat(1000));
        let Ok(Route::PerhapsReplay(names)) = ask(&path, &[("accept", "text/event-stream")]) else {
            panic!("a replay, perhaps");
        };
        assert_eq!(names.len(), limits::MAX_REPLAY_SEGMENTS);
    }
}
