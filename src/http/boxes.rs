//! Which box a request is for: by the first two segments of its raw path.
//!
//! `/box/{name}/…` is for the box of that name, and what follows the name is routed and passed on
//! as if it had come to a door of that box alone; everything else is for the box at the root, which
//! can be named, too. One prefix is taken off and never a second, so that a box's own routes below
//! `/box/` are found under its name. Behind `/box/` every segment that is not empty is ours: one
//! that names no box is answered here, whatever the box at the root has there, since otherwise a
//! misspelt name would send a turn to the wrong box.

use std::collections::HashMap;
use std::sync::Arc;

use http::Uri;
use http::request::Parts;
use http::uri::PathAndQuery;

use super::body::Budget;
use super::error::{Error, Resource};
use super::passthrough::Passthrough;
use super::place::Places;
use super::query::decode_segment;
use super::{Door, Doors, Settings, guard};
use crate::ids::BoxName;
use crate::upstream::result_path::ResultPath;

/// A box behind the doors that is not the one at the root.
#[derive(Debug, Clone)]
pub struct FurtherBox {
    /// Its name, no other box's.
    pub name: BoxName,
    /// The way to it.
    pub passthrough: Passthrough,
    /// Where a client asks it for a turn's result.
    pub result_path: Option<ResultPath>,
}

/// One door for each box; what is bounded is bounded for all of them together.
#[derive(Debug)]
pub(super) struct Hall {
    root: Arc<Door>,
    named: HashMap<BoxName, Arc<Door>>,
}

impl Hall {
    pub(super) fn new(mut doors: Doors) -> Self {
        let Settings { max_turn_body, max_bodies, .. } = doors.settings;
        let places = Places::new(&doors.settings, doors.drain.clone());
        let bodies = Budget::new(max_turn_body, max_bodies);
        let further = std::mem::take(&mut doors.further);
        let door =
            |doors: Doors| Arc::new(Door { doors, places: places.clone(), bodies: bodies.clone() });
        let mut named = HashMap::new();
        for FurtherBox { name, passthrough, result_path } in further {
            let mut doors = doors.clone();
            doors.settings.result_path = result_path;
            let doors = Doors { passthrough, box_name: name.clone(), ..doors };
            named.insert(name, door(doors));
        }
        let root = door(doors);
        named.insert(root.doors.box_name.clone(), Arc::clone(&root));
        Self { root, named }
    }

    /// The door at the root.
    pub(super) fn root(&self) -> &Door {
        &self.root
    }

    /// The door of the box that the request is for; a prefix is taken off its target.
    ///
    /// # Errors
    /// [`Error::BoxUnknown`], and before that those of the guard and [`Error::TokenRequired`].
    pub(super) fn door(&self, parts: &mut Parts) -> Result<&Door, Error> {
        let Some(segment) = segment(parts.uri.path()) else {
            return Ok(&self.root);
        };
        let name = decode_segment(segment).and_then(|text| BoxName::parse(&text).ok());
        if let Some(door) = name.as_ref().and_then(|name| self.named.get(name)) {
            parts.uri = without_prefix(&parts.uri, PREFIX.len() + segment.len())?;
            return Ok(door);
        }
        let Settings { allowed, tokens, .. } = &self.root.doors.settings;
        guard::check_host(parts, allowed)?;
        guard::check_origin(parts, allowed)?;
        tokens.admit(parts)?;
        Err(Error::BoxUnknown(name.map(Resource::Box)))
    }
}

const PREFIX: &str = "/box/";

/// The segment of `path` that stands for a box.
fn segment(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(PREFIX)?;
    rest.split('/').next().filter(|segment| !segment.is_empty())
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
    fn check(target: &str, expected: Option<(&str, &str)>) {
        let uri: Uri = target.parse().expect("a target");
        let found = segment(uri.path()).map(|segment| {
            let rest = without_prefix(&uri, PREFIX.len() + segment.len()).expect("a target");
            (segment.to_owned(), rest.to_string())
        });
        let expected = expected.map(|(segment, rest)| (segment.to_owned(), rest.to_owned()));
        assert_eq!(found, expected, "{target}");
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
}
