//! What a request under `/afterbay` asks for: a table of paths and methods, and nothing beside it.
//!
//! Pure, on the raw path: a segment in braces is decoded and must be an id, the others are
//! compared byte for byte. What is not in the table is not there, for any method.

use http::Method;

use super::super::error::Error;
use super::super::route::{self, Allowed, Route as Outer, parse_segment};
use crate::ids::{BoxName, ExecutionId, SessionId};

/// What stands before all paths of ours.
const ROOT: &str = "/afterbay";

/// A request that the native API has an answer for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// What the API is.
    Document,
    /// Which sessions there are.
    Sessions,
    /// A session with its turns.
    Session(BoxName, SessionId),
    /// The events of a session.
    Events(BoxName, SessionId),
    /// To start a turn.
    Start(BoxName, SessionId),
    /// A turn.
    Turn(BoxName, ExecutionId),
    /// To stop a turn.
    Cancel(BoxName, ExecutionId),
}

impl Route {
    /// The box that it names.
    pub(crate) const fn box_name(&self) -> Option<&BoxName> {
        match self {
            Self::Document | Self::Sessions => None,
            Self::Session(name, _)
            | Self::Events(name, _)
            | Self::Start(name, _)
            | Self::Turn(name, _)
            | Self::Cancel(name, _) => Some(name),
        }
    }
}

/// Which answer a path has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Document,
    Sessions,
    Session,
    Events,
    Start,
    Turn,
    Cancel,
}

/// A path of ours.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its segments, as the document writes it.
    pub(super) path: &'static str,
    pub(super) methods: Allowed,
    kind: Kind,
}

const fn read(path: &'static str, kind: Kind) -> Entry {
    Entry { path, methods: route::READ_METHODS, kind }
}

const fn act(path: &'static str, kind: Kind) -> Entry {
    Entry { path, methods: route::ACT_METHODS, kind }
}

/// All paths of ours.
pub(super) const TABLE: [Entry; 7] = [
    read("/afterbay/v1/openapi.json", Kind::Document),
    read("/afterbay/v1/sessions", Kind::Sessions),
    read("/afterbay/v1/boxes/{box}/sessions/{session}", Kind::Session),
    read("/afterbay/v1/boxes/{box}/sessions/{session}/events", Kind::Events),
    act("/afterbay/v1/boxes/{box}/sessions/{session}/turns", Kind::Start),
    read("/afterbay/v1/boxes/{box}/turns/{execution}", Kind::Turn),
    act("/afterbay/v1/boxes/{box}/turns/{execution}/cancel", Kind::Cancel),
];

/// What is asked; `None` if the path is not one of the native API.
///
/// # Errors
/// [`Error::RouteNotFound`] for what only begins like one, [`Error::InvalidId`].
pub(crate) fn route(method: &Method, path: &str) -> Option<Result<Outer, Error>> {
    is_ours(path).then(|| find(method, path))
}

/// Whether a path is one of the native API, or begins like one.
pub(crate) fn is_ours(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

fn find(method: &Method, path: &str) -> Result<Outer, Error> {
    let found = TABLE.iter().find_map(|entry| Some((entry, names_in(path, entry.path)?)));
    let Some((entry, names)) = found else { return Err(Error::RouteNotFound) };
    let reads = method == Method::GET || method == Method::HEAD;
    let fits = if entry.methods == route::READ_METHODS { reads } else { method == Method::POST };
    if !fits {
        return Ok(route::other_method(method, entry.methods));
    }
    let [first, second] = names;
    Ok(Outer::Native(match entry.kind {
        Kind::Document => Route::Document,
        Kind::Sessions => Route::Sessions,
        Kind::Session => Route::Session(parse_segment(first)?, parse_segment(second)?),
        Kind::Events => Route::Events(parse_segment(first)?, parse_segment(second)?),
        Kind::Start => Route::Start(parse_segment(first)?, parse_segment(second)?),
        Kind::Turn => Route::Turn(parse_segment(first)?, parse_segment(second)?),
        Kind::Cancel => Route::Cancel(parse_segment(first)?, parse_segment(second)?),
    }))
}

/// What stands in the place of the braces; `None` if the path is another one.
fn names_in<'a>(path: &'a str, template: &str) -> Option<[&'a str; 2]> {
    let mut names = ["", ""];
    let mut free = names.iter_mut();
    let (mut path, mut template) = (path.split('/'), template.split('/'));
    loop {
        match (path.next(), template.next()) {
            (None, None) => return Some(names),
            (Some(segment), Some(wanted)) if wanted.starts_with('{') => *free.next()? = segment,
            (Some(segment), Some(wanted)) if segment == wanted => {}
            (_, _) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Option<Result<Outer, Error>> {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        route(&method.parse().expect("a method"), path)
    }

    #[track_caller]
    fn check(line: &str, expected: Route) {
        let found = ask(line).expect("a path of ours").expect("a route");
        assert_eq!(found, Outer::Native(expected), "{line}");
    }

    #[test]
    fn each_path_has_its_answer() {
        let home = BoxName::default_box;
        let session = || SessionId::parse("s:1").expect("an id");
        let execution = || ExecutionId::parse("e-1").expect("an id");
        check("GET /afterbay/v1/openapi.json", Route::Document);
        check("GET /afterbay/v1/sessions", Route::Sessions);
        let base = "/afterbay/v1/boxes/default";
        check(&format!("GET {base}/sessions/s:1"), Route::Session(home(), session()));
        check(&format!("HEAD {base}/sessions/s%3A1/events"), Route::Events(home(), session()));
        check(&format!("POST {base}/sessions/s:1/turns"), Route::Start(home(), session()));
        check(&format!("GET {base}/turns/e-1"), Route::Turn(home(), execution()));
        check(&format!("POST {base}/turns/e-1/cancel"), Route::Cancel(home(), execution()));
    }

    #[test]
    fn a_wrong_method_is_told_which_there_are() {
        for (line, allowed) in [
            ("POST /afterbay/v1/sessions", route::READ_METHODS),
            ("DELETE /afterbay/v1/boxes/b/sessions/s", route::READ_METHODS),
            ("GET /afterbay/v1/boxes/b/sessions/s/turns", route::ACT_METHODS),
            ("PUT /afterbay/v1/boxes/b/turns/e/cancel", route::ACT_METHODS),
            // Also where the name could not be one.
            ("PUT /afterbay/v1/boxes/b/turns/a%20b/cancel", route::ACT_METHODS),
        ] {
            let found = ask(line).expect("ours").expect("a route");
            assert_eq!(found, Outer::WrongMethod(allowed), "{line}");
        }
        let options = ask("OPTIONS /afterbay/v1/sessions").expect("ours").expect("a route");
        assert_eq!(options, Outer::Options(route::READ_METHODS));
    }

    #[test]
    fn what_is_not_in_the_table_is_not_there_and_not_the_boxs() {
        for line in [
            "GET /afterbay",
            "GET /afterbay/",
            "GET /afterbay/v1",
            "GET /afterbay/v1/sessions/",
            "GET /afterbay/v1//sessions",
            "GET /afterbay/v1/session%73",
            "GET /afterbay/v2/sessions",
            "OPTIONS /afterbay/v1/nothing",
            "GET /afterbay/v1/boxes/b/sessions/s/events/more",
            "GET /afterbay/v1/boxes/b/turns",
        ] {
            assert!(matches!(ask(line), Some(Err(Error::RouteNotFound))), "{line}");
        }
        for line in ["GET /afterbayou/v1/sessions", "GET /Afterbay/v1/sessions", "GET /"] {
            assert!(ask(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_segment_that_cannot_be_an_id_is_refused() {
        for line in [
            "GET /afterbay/v1/boxes/b/sessions/a%2Fb",
            "GET /afterbay/v1/boxes/b/sessions/",
            "GET /afterbay/v1/boxes//sessions/s",
            "GET /afterbay/v1/boxes/b/turns/%2e%2e",
            "POST /afterbay/v1/boxes/%ff/sessions/s/turns",
        ] {
            assert!(matches!(ask(line), Some(Err(Error::InvalidId(_)))), "{line}");
        }
    }
}
