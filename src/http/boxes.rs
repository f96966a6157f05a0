//! Whom a request is for, by its raw path: a box, or the Sandbox API.
//!
//! `/box/{name}/…` is for the box of that name, and what follows the name is routed and passed on
//! as if it had come to a door of that box alone; everything else is for the box at the root, which
//! can be named, too. One prefix is taken off and never a second, so that a box's own routes below
//! `/box/` are found under its name. Behind `/box/` every segment that is not empty is ours: one
//! that names no box is answered here, whatever the box at the root has there, since otherwise a
//! misspelt name would send a turn to the wrong box.
//!
//! Before a Sandbox API its routes are its own, and all of the root if no box is there. A sandbox's box
//! has two prefixes, `/box/{id}` and `/v1/sandboxes/{id}/runtime`. One that is not known any more has
//! a door without a way behind it as long as the log holds a session of it.
//!
//! Configured boxes have doors that stay; a learned one's is made for each request, out of what all
//! doors share. So a name that is guessed leaves nothing behind.

use std::collections::HashMap;
use std::sync::Arc;

use http::Uri;
use http::request::Parts;
use http::uri::PathAndQuery;

use super::body::Budget;
use super::error::{Error, Resource};
use super::front::Front;
use super::outgoing::Outgoing;
use super::passthrough::Passthrough;
use super::place::Places;
use super::query::decode_segment;
use super::{Audience, Door, Doors, Settings, guard, native};
use crate::ids::BoxName;
use crate::limits;
use crate::upstream::result_path::ResultPath;

/// A configured box behind the doors.
#[derive(Debug, Clone)]
pub struct NamedBox {
    /// Its name, no other box's.
    pub name: BoxName,
    /// The way to it.
    pub passthrough: Passthrough,
    /// Where a client asks it for a turn's result: a path with `{id}` in the place of the session.
    pub result_path: Option<ResultPath>,
}

/// All doors; what is bounded is bounded for all of them together.
#[derive(Debug)]
pub(super) struct Hall {
    /// Without a box at the root it is the door of one that is not there.
    root: Arc<Door>,
    has_root: bool,
    named: HashMap<BoxName, Arc<Door>>,
}

/// Whom a request is for.
#[derive(Debug)]
pub(super) enum Entrance<'a> {
    /// This box.
    Box(Arc<Door>),
    /// The Sandbox API. The door is for what needs no box.
    Api(&'a Front, &'a Door),
}

impl Hall {
    pub(super) fn new(mut doors: Doors) -> Self {
        let Settings { max_turn_body, max_bodies, .. } = doors.settings;
        let (root, further) = (doors.root.take(), std::mem::take(&mut doors.further));
        let places = Places::new(&doors.settings, doors.drain.clone());
        let bodies = Budget::new(max_turn_body, max_bodies);
        let outgoing = Outgoing::new(limits::LARGE_PIECES);
        let (doors, box_name) = (Arc::new(doors), BoxName::default_box());
        let audience = Audience::Clients;
        let nobody = Door {
            doors,
            audience,
            places,
            bodies,
            outgoing,
            box_name,
            way: None,
            result_path: None,
        };
        let door = |named: NamedBox| {
            let NamedBox { name: box_name, passthrough, result_path } = named;
            Arc::new(Door { box_name, way: Some(passthrough), result_path, ..nobody.clone() })
        };
        let mut named: HashMap<_, _> =
            further.into_iter().map(|named| (named.name.clone(), door(named))).collect();
        let (has_root, root) = match root {
            Some(root) => (true, door(root)),
            None => (false, Arc::new(nobody)),
        };
        if has_root {
            named.insert(root.box_name.clone(), Arc::clone(&root));
        }
        Self { root, has_root, named }
    }

    /// The door at the root.
    pub(super) fn root(&self) -> &Door {
        &self.root
    }

    /// Whom the request is for; a prefix is taken off its target.
    ///
    /// # Errors
    /// [`Error::BoxUnknown`], and before that those of the guard and [`Error::TokenRequired`].
    pub(super) fn entrance(&self, parts: &mut Parts) -> Result<Entrance<'_>, Error> {
        let front = self.root.doors.front.as_ref();
        let path = parts.uri.path();
        let prefix = prefix(path).or_else(|| self.runtime_prefix(path));
        let Some(Prefix { segment, length }) = prefix else {
            // The asterisk form names nothing that could be passed on.
            let is_ours = native::is_ours(path) || !path.starts_with('/');
            let is_apis = |front: &&Front| front.owns(path) || !self.has_root;
            return Ok(match front.filter(|_| !is_ours).filter(is_apis) {
                Some(front) => Entrance::Api(front, &self.root),
                None => Entrance::Box(Arc::clone(&self.root)),
            });
        };
        let name = name_of(segment);
        if let Some(door) = name.as_ref().and_then(|name| self.door(name)) {
            parts.uri = without_prefix(&parts.uri, length)?;
            return Ok(Entrance::Box(door));
        }
        let Settings { allowed, tokens, .. } = &self.root.doors.settings;
        guard::check_host(parts, allowed)?;
        guard::check_origin(parts, allowed)?;
        tokens.admit(parts)?;
        Err(Error::BoxUnknown(name.map(Resource::Box)))
    }

    /// The prefix that a sandbox's box has among the routes of the API, unless that is not ours.
    fn runtime_prefix<'a>(&self, path: &'a str) -> Option<Prefix<'a>> {
        self.root.doors.front.as_ref()?;
        let prefix = runtime_prefix(path)?;
        // What cannot be a learned box's name, or is a configured box's, is left to the API.
        let name = name_of(prefix.segment)?;
        (!self.named.contains_key(&name)).then_some(prefix)
    }

    fn door(&self, name: &BoxName) -> Option<Arc<Door>> {
        if let Some(door) = self.named.get(name) {
            return Some(Arc::clone(door));
        }
        let Doors { sessions, front, .. } = self.root.doors.as_ref();
        let way = front.as_ref().zip(sessions.learned_box(name));
        let way = way.map(|(front, endpoint)| front.to_boxes.to(endpoint));
        let is_known = way.is_some() || sessions.knows_box(name);
        let of_it = || Door {
            box_name: name.clone(),
            way,
            result_path: None,
            ..self.root.as_ref().clone()
        };
        is_known.then(of_it).map(Arc::new)
    }
}

/// A part of a path that stands for a box.
#[derive(Debug, Clone, Copy)]
struct Prefix<'a> {
    /// What names the box, as it came.
    segment: &'a str,
    /// How many bytes of the path it takes, with all before it.
    length: usize,
}

const BOXES: &str = "/box/";
const SANDBOXES: &str = "/v1/sandboxes/";
const RUNTIME: &str = "/runtime";

fn prefix(path: &str) -> Option<Prefix<'_>> {
    let rest = path.strip_prefix(BOXES)?;
    let segment = rest.split('/').next().filter(|segment| !segment.is_empty())?;
    Some(Prefix { segment, length: BOXES.len() + segment.len() })
}

fn runtime_prefix(path: &str) -> Option<Prefix<'_>> {
    let (segment, _) = path.strip_prefix(SANDBOXES)?.split_once('/')?;
    let length = SANDBOXES.len() + segment.len() + RUNTIME.len();
    let rest = path.get(length - RUNTIME.len()..)?.strip_prefix(RUNTIME)?;
    let is_whole = rest.is_empty() || rest.starts_with('/');
    (is_whole && !segment.is_empty()).then_some(Prefix { segment, length })
}

fn name_of(segment: &str) -> Option<BoxName> {
    decode_segment(segment).and_then(|text| BoxName::parse(&text).ok())
}

/// `uri` without the first bytes of its path; nothing left is `/`. The other bytes are kept.
fn without_prefix(uri: &Uri, bytes: usize) -> Result<Uri, Error> {
    let asked = uri.path_and_query().map_or("", PathAndQuery::as_str);
    let rest = asked.get(bytes..).unwrap_or("");
    let slash = if rest.starts_with('/') { "" } else { "/" };
    let mut target = uri.clone().into_parts();
    // It was a part of a valid target, and is one itself.
    let rest = PathAndQuery::try_from(format!("{slash}{rest}")).map_err(|_| Error::Internal)?;
    target.path_and_query = Some(rest);
    Uri::from_parts(target).map_err(|_| Error::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_of(
        found: fn(&str) -> Option<Prefix<'_>>,
        target: &str,
        expected: Option<(&str, &str)>,
    ) {
        let uri: Uri = target.parse().expect("a target");
        let found = found(uri.path()).map(|Prefix { segment, length }| {
            let rest = without_prefix(&uri, length).expect("a target");
            (segment.to_owned(), rest.to_string())
        });
        let expected = expected.map(|(segment, rest)| (segment.to_owned(), rest.to_owned()));
        assert_eq!(found, expected, "{target}");
    }

    #[track_caller]
    fn check(target: &str, expected: Option<(&str, &str)>) {
        check_of(prefix, target, expected);
    }

    #[test]
    fn one_prefix_is_taken_off_and_every_other_byte_is_kept() {
        check("/box/a", Some(("a", "/")));
        check("/box/a/", Some(("a", "/")));
        check("/box/a?x=%2f", Some(("a", "/?x=%2f")));
        check("/box/a/?", Some(("a", "/?")));
        check("/box/a//b/%2F%2f/../c;d?e=/box/f", Some(("a", "//b/%2F%2f/../c;d?e=/box/f")));
        check("/box/a/box/b/c", Some(("a", "/box/b/c")));
        check("/box/a%3Ab/x", Some(("a%3Ab", "/x")));
        check("http://h:1/box/a/x?y", Some(("a", "http://h:1/x?y")));
        check("http://h:1/box/a", Some(("a", "http://h:1/")));
    }

    #[test]
    fn everything_else_is_for_the_root() {
        for target in
            ["/", "/box", "/box/", "/box//a", "/boxes/a", "/Box/a", "//box/a", "*", "/b%6Fx/a"]
        {
            check(target, None);
        }
    }

    #[test]
    fn a_sandbox_has_a_prefix_among_the_routes_of_the_api() {
        let check = |target, expected| check_of(runtime_prefix, target, expected);
        check("/v1/sandboxes/a/runtime", Some(("a", "/")));
        check("/v1/sandboxes/a/runtime/", Some(("a", "/")));
        check("/v1/sandboxes/a/runtime?x", Some(("a", "/?x")));
        check("/v1/sandboxes/a%3Ab/runtime//x%2F?y", Some(("a%3Ab", "//x%2F?y")));
        check("/v1/sandboxes/a/runtime/runtime/x", Some(("a", "/runtime/x")));
        for target in [
            "/v1/sandboxes/a",
            "/v1/sandboxes/a/",
            "/v1/sandboxes//runtime",
            "/v1/sandboxes/a/runtimes",
            "/v1/sandboxes/a/Runtime",
            "/v1/sandboxes/a//runtime",
            "/v1/sandboxes/a/x/runtime",
            "/v2/sandboxes/a/runtime",
            "/box/v1/sandboxes/a/runtime",
        ] {
            check(target, None);
        }
    }
}
