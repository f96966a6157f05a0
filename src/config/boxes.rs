//! The boxes: the one that flags, variables and `[box]` tell of, and one for each table
//! `[boxes.NAME]` of the file.
//!
//! The former is named [`BoxName::default_box`] and comes first, the others follow in the order of
//! the file; the first of all is the one at the root. No name is there twice, at least one box is
//! there unless there is a Sandbox API, none of them is this program, and none stands open to strangers unless that is meant.

use super::address;
use super::file::BoxTable;
use super::keys::Key;
use super::mistake::Origin;
use super::parts::{AdminAddress, Listen, Upstream};
use super::sources::{Sources, credential};
use crate::ids::BoxName;
use crate::mode::BoxKind;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::own_door;

/// A box, and where its URL was given.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) upstream: Upstream,
    origin: Origin,
}

/// Reads every box before a wrong one ends it. The list is empty only before a Sandbox API.
pub(super) fn read(sources: &mut Sources<'_>) -> Option<Vec<Placed>> {
    let tables = sources.take_boxes();
    let mut boxes = Vec::new();
    let is_needed = tables.is_empty() && sources.place_of(Key::Api).is_none();
    let has_default = is_needed || sources.place_of(Key::Box).is_some();
    if has_default {
        boxes.push(read_one(sources, Some(BoxName::default_box())));
    } else {
        note_keys_without_a_box(sources);
    }
    for table in tables {
        boxes.push(read_table(sources, table, has_default));
    }
    boxes.into_iter().collect()
}

/// What would be ignored in silence, a credential above all.
fn note_keys_without_a_box(sources: &mut Sources<'_>) {
    for key in [Key::Kind, Key::BoxCredential, Key::Lane, Key::ResultPath] {
        if let Some(origin) = sources.place_of(key) {
            let what = "is about the box of `--box` or [box], of which no URL is given; \
                        a box of [boxes.NAME] has its own keys in its table";
            sources.note(origin, what.to_owned());
        }
    }
}

/// The file's parser has refused a name that is there twice, so only the one that is taken already
/// is left.
fn read_table(sources: &mut Sources<'_>, table: BoxTable, has_default: bool) -> Option<Placed> {
    let name = table.name.clone();
    let doubled = has_default && name == Some(BoxName::default_box());
    if doubled {
        let origin = Origin::File(table.path.clone(), table.place.clone());
        let what = "is the name of the box of `--box` or [box]; give this one another";
        sources.note(origin, what.to_owned());
    }
    let placed = sources.within(table, |sources| read_one(sources, name));
    placed.filter(|_| !doubled)
}

fn read_one(sources: &mut Sources<'_>, name: Option<BoxName>) -> Option<Placed> {
    let endpoint = sources.read_with_origin(Key::Box, address::endpoint);
    let kind = sources
        .read(Key::Kind, |text| text.parse::<BoxKind>().map_err(|unknown| unknown.to_string()));
    let credential = sources.read_secret(Key::BoxCredential, credential);
    let lane = sources.read(Key::Lane, str::parse);
    let result_path = sources.read_optional(Key::ResultPath, str::parse);
    let ((endpoint, origin), kind, credential) = (endpoint?, kind?, credential?);
    let (name, lane, result_path) = (name?, lane?, result_path?);
    let upstream = Upstream { name, endpoint, kind, credential, lane, result_path };
    Some(Placed { upstream, origin })
}

/// A box that is this program would be sent its own turns, again and again. What the text does not
/// tell, a port 0 or a name, is checked once the doors are bound.
pub(super) fn check_own_doors(
    boxes: &[Placed],
    listen: &Listen,
    public_url: Option<&Endpoint>,
    sources: &mut Sources<'_>,
) {
    let clients = Some(("listen", listen.clients));
    let operators = match listen.operators {
        AdminAddress::Given(admin) => Some(("admin", admin)),
        // The default one gives way to whoever has the port.
        AdminAddress::Default(_) | AdminAddress::Off => None,
    };
    for Placed { upstream, origin } in boxes {
        for (key, door) in clients.into_iter().chain(operators) {
            if own_door::leads_to(&upstream.endpoint, door) {
                let name = &upstream.name;
                let what = format!("box `{name}` would be afterbay itself: `{key}` is {door}");
                sources.note(origin.clone(), what);
            }
        }
        // Below it there may be another program, where a gateway parts paths.
        if let Some(url) = public_url.filter(|url| upstream.endpoint.is_same(url)) {
            let name = &upstream.name;
            let what = format!("box `{name}` would be afterbay itself: `public-url` is {url}");
            sources.note(origin.clone(), what);
        }
    }
}

/// Whoever reaches this program reaches its boxes. A box that asks for a credential guards itself;
/// one without is guarded by nothing but the listener's address, unless that is meant or every
/// request must show a token.
pub(super) fn check_open_door(
    boxes: &[Placed],
    listen: &Listen,
    is_meant: bool,
    sources: &mut Sources<'_>,
) {
    let clients = listen.clients;
    if is_meant || clients.ip().is_loopback() {
        return;
    }
    for Placed { upstream: Upstream { name, credential, .. }, .. } in boxes {
        if credential.is_some() {
            continue;
        }
        let give = if *name == BoxName::default_box() {
            "AFTERBAY_BOX_CREDENTIAL".to_owned()
        } else {
            format!("`boxes.{name}.credential_file`")
        };
        let what = format!(
            "`listen` is {clients}, beyond this machine, and box `{name}` has no credential: \
             anyone who reaches it could run the agent. Give {give}, or --tokens-file, or --open \
             if that is meant"
        );
        sources.note(Origin::Whole, what);
    }
}
