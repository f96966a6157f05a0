//! What a request to the Sandbox API asks for, as far as that matters here: whether its answer may hold
//! sandbox objects. Pure, on the raw path.
//!
//! A slash at the end of a path changes nothing: servers differ about it, and an answer that is read
//! for nothing is no loss. Everything that is not in the list is passed on unread, event streams and
//! batch runs above all.

use http::Method;

use super::super::query::decode_segment;
use crate::ids::BoxName;

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A new sandbox.
    Create,
    /// Something that is answered with sandbox objects.
    Objects,
    /// That this sandbox be deleted.
    Delete(BoxName),
    /// Anything else.
    Other,
}

/// Which acts on a sandbox are answered with an object; a fork's is the new one. Assumed beyond resume
/// and fork.
const ANSWERED_WITH_OBJECTS: [&str; 5] = ["resume", "fork", "stop", "start", "restart"];

/// Whether `path` is one of the Sandbox API's own.
pub(super) fn is_the_apis(path: &str) -> bool {
    ["/v1", "/batch", "/usage"].iter().any(|own| {
        path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Decides what is asked.
pub(super) fn asked(method: &Method, path: &str) -> Asked {
    let path = path.strip_suffix('/').unwrap_or(path);
    let rest = path.strip_prefix("/v1/sandboxes");
    // What goes on without a slash is another word.
    let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return Asked::Other;
    };
    let segments: Vec<&str> = rest.split('/').skip(1).collect();
    let reads = *method == Method::GET || *method == Method::HEAD;
    let changes = *method == Method::PATCH || *method == Method::PUT;
    match segments.as_slice() {
        [] if *method == Method::POST => Asked::Create,
        [] if reads => Asked::Objects,
        [id] if *method == Method::DELETE => deleted(id),
        [_] if reads || changes => Asked::Objects,
        [_, act] if *method == Method::POST && ANSWERED_WITH_OBJECTS.contains(act) => {
            Asked::Objects
        }
        _ => Asked::Other,
    }
}

/// What is no name is no box's that we know.
fn deleted(segment: &str) -> Asked {
    let name = decode_segment(segment).and_then(|text| BoxName::parse(&text).ok());
    name.map_or(Asked::Other, Asked::Delete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &Asked) {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        assert_eq!(asked(&method.parse().expect("a method"), path), *expected, "{line}");
    }

    #[test]
    fn only_answers_that_may_hold_objects_are_read() {
        check("POST /v1/sandboxes", &Asked::Create);
        check("POST /v1/sandboxes/", &Asked::Create);
        for line in [
            "GET /v1/sandboxes",
            "GET /v1/sandboxes/",
            "HEAD /v1/sandboxes/a",
            "GET /v1/sandboxes/a",
            "GET /v1/sandboxes/a/",
            "PATCH /v1/sandboxes/a",
            "POST /v1/sandboxes/a/resume",
            "POST /v1/sandboxes/a/fork",
            "POST /v1/sandboxes/a%2Fb/stop",
        ] {
            check(line, &Asked::Objects);
        }
        for line in [
            "DELETE /v1/sandboxes",
            "PUT /v1/sandboxes",
            "GET /v1/sandboxes/a/events",
            "GET /v1/sandboxes/a/fork",
            "POST /v1/sandboxes/a/snapshot",
            "POST /v1/sandboxes/a/fork/x",
            "POST /v1/sandboxes/a/Fork",
            "GET /v1/sandboxesx",
            "POST /v1/sandboxesx/a/fork",
            "GET /v1//sandboxes/a",
            "GET /v1/sessions/a",
            "POST /batch/run",
            "GET /usage",
            "GET /",
            "OPTIONS /v1/sandboxes",
        ] {
            check(line, &Asked::Other);
        }
    }

    #[test]
    fn a_deletion_names_its_box() {
        let of = |name: &str| Asked::Delete(name.parse().expect("a name"));
        check("DELETE /v1/sandboxes/a", &of("a"));
        check("DELETE /v1/sandboxes/a%3Ab/", &of("a:b"));
        for line in ["DELETE /v1/sandboxes/a%2Fb", "DELETE /v1/sandboxes/a/x"] {
            check(line, &Asked::Other);
        }
    }

    #[test]
    fn the_apis_routes_are_told_from_a_boxs() {
        for path in ["/v1", "/v1/", "/v1/sandboxes", "/batch/run", "/usage", "/usage/x"] {
            assert!(is_the_apis(path), "{path}");
        }
        for path in ["/", "/v1x", "/V1/x", "//v1/x", "/health", "/agents/run/stream", "/box/a/v1"] {
            assert!(!is_the_apis(path), "{path}");
        }
    }
}
