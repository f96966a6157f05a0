//! What a request at the operators' door asks for, besides what is open: its table.
//!
//! Pure, on the raw path: a segment that stands for an id is decoded, the others are compared byte for
//! byte.

use http::Method;

use super::super::error::Error;
use super::super::route::{Allowed, parse_segment};
use super::wrong::Wrong;
use crate::ids::{ExecutionId, SessionId};

const READ: Allowed = Allowed("GET, HEAD");
const READ_OR_PUT: Allowed = Allowed("GET, HEAD, PUT");
const ACT: Allowed = Allowed("POST");

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// How it goes.
    Status,
    /// Which log lines are written.
    LogLevel,
    /// To write others.
    SetLogLevel,
    /// Which sessions there are.
    Sessions,
    /// This session.
    Session(SessionId),
    /// Its events.
    Events(SessionId),
    /// A ticket to read its events with.
    Ticket(SessionId),
    /// To stop this turn of it.
    Cancel(SessionId, ExecutionId),
    /// How this turn of it went.
    Timeline(SessionId, ExecutionId),
    /// The program's end.
    Shutdown,
}

/// Decides what is asked.
///
/// # Errors
/// [`Wrong::RouteNotFound`], [`Error::MethodNotAllowed`], [`Error::InvalidId`].
pub(super) fn route(method: &Method, path: &str) -> Result<Route, Error> {
    let reads = method == Method::GET || method == Method::HEAD;
    let read = || if reads { Ok(()) } else { Err(Error::MethodNotAllowed(READ)) };
    let act = || if method == Method::POST { Ok(()) } else { Err(Error::MethodNotAllowed(ACT)) };
    let segments: Vec<&str> = path.split('/').skip(1).take(7).collect();
    match segments.as_slice() {
        ["admin", "status"] => read().map(|()| Route::Status),
        ["admin", "log-level"] if reads => Ok(Route::LogLevel),
        ["admin", "log-level"] if method == Method::PUT => Ok(Route::SetLogLevel),
        ["admin", "log-level"] => Err(Error::MethodNotAllowed(READ_OR_PUT)),
        ["admin", "sessions"] => read().map(|()| Route::Sessions),
        ["admin", "sessions", id] => {
            read()?;
            Ok(Route::Session(parse_segment(id)?))
        }
        ["admin", "sessions", id, "events"] => {
            read()?;
            Ok(Route::Events(parse_segment(id)?))
        }
        ["admin", "sessions", id, "ticket"] => {
            act()?;
            Ok(Route::Ticket(parse_segment(id)?))
        }
        ["admin", "sessions", id, "turns", execution, "cancel"] => {
            act()?;
            Ok(Route::Cancel(parse_segment(id)?, parse_segment(execution)?))
        }
        ["admin", "sessions", id, "turns", execution, "timeline"] => {
            read()?;
            Ok(Route::Timeline(parse_segment(id)?, parse_segment(execution)?))
        }
        ["shutdown"] => act().map(|()| Route::Shutdown),
        _ => Err(Wrong::RouteNotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Result<Route, Error> {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        route(&method.parse().expect("a method"), path)
    }

    #[test]
    fn each_path_has_its_answer() {
        let session = || SessionId::parse("s:1").expect("an id");
        let execution = || ExecutionId::parse("e-1").expect("an id");
        for (line, expected) in [
            ("GET /admin/status", Route::Status),
            ("GET /admin/log-level", Route::LogLevel),
            ("PUT /admin/log-level", Route::SetLogLevel),
            ("HEAD /admin/sessions", Route::Sessions),
            ("GET /admin/sessions/s%3A1", Route::Session(session())),
            ("GET /admin/sessions/s:1/events", Route::Events(session())),
            ("POST /admin/sessions/s:1/ticket", Route::Ticket(session())),
            ("POST /admin/sessions/s:1/turns/e-1/cancel", Route::Cancel(session(), execution())),
            ("GET /admin/sessions/s:1/turns/e-1/timeline", Route::Timeline(session(), execution())),
            ("POST /shutdown", Route::Shutdown),
        ] {
            assert_eq!(ask(line).expect(line), expected);
        }
    }

    #[test]
    fn a_wrong_method_is_told_which_there_are() {
        for (line, allowed) in [
            ("DELETE /admin/log-level", READ_OR_PUT),
            ("POST /admin/sessions", READ),
            ("PUT /admin/sessions/s/events", READ),
            ("GET /admin/sessions/s/turns/e/cancel", ACT),
            ("POST /admin/sessions/s/turns/e/timeline", READ),
            ("GET /shutdown", ACT),
        ] {
            let told = ask(line);
            let is_told = matches!(&told, Err(Error::MethodNotAllowed(there)) if *there == allowed);
            assert!(is_told, "{line}: {told:?}");
        }
    }

    #[test]
    fn what_only_looks_alike_is_not_there() {
        for path in ["/", "/admin", "/admin/", "/admin/status/", "//admin/status", "/Admin/status"]
        {
            let told = ask(&format!("GET {path}"));
            assert!(matches!(told, Err(Error::Operators(Wrong::RouteNotFound))), "{path}");
        }
        let long = format!("POST /admin/sessions/s/turns/e/cancel{}", "/a".repeat(1000));
        assert!(matches!(ask(&long), Err(Error::Operators(Wrong::RouteNotFound))));
        assert!(matches!(ask("GET /admin/sessions/a%2Fb"), Err(Error::InvalidId(_))));
    }
}
