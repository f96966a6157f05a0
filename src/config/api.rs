//! The Sandbox API in front of the boxes: where it is, where its boxes may be, how sandboxes are
//! acquired.

use super::keys::Key;
use super::mistake::Origin;
use super::parts::{AdminAddress, Api, Callers, Listen};
use super::sources::Sources;
use super::{address, duration, switch};
use crate::upstream::own_door;
use crate::upstream::reach::{Network, NotANetwork};

/// The API, if there is one, and where its URL was given.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) api: Api,
    origin: Origin,
}

/// Reads it: `Some(None)` if none is given.
pub(super) fn read(sources: &mut Sources<'_>) -> Option<Option<Placed>> {
    let origin = sources.place_of(Key::Api);
    let endpoint = sources.read_optional(Key::Api, address::endpoint);
    let networks = sources.read(Key::ApiNetworks, |text| address::list(text, network));
    let retry = sources.read(Key::AcquireRetry, switch);
    let budget = sources.read(Key::AcquireBudget, duration::parse);
    let Some(origin) = origin else {
        note_keys_without_an_api(sources);
        return networks.zip(retry).zip(budget).map(|_| None);
    };
    let (endpoint, networks, retry, budget) = (endpoint??, networks?, retry?, budget?);
    let acquire = retry.then_some(budget);
    Some(Some(Placed { api: Api { endpoint, networks, acquire }, origin }))
}

/// What would be ignored in silence.
fn note_keys_without_an_api(sources: &mut Sources<'_>) {
    for key in [Key::ApiNetworks, Key::AcquireRetry, Key::AcquireBudget] {
        if let Some(origin) = sources.place_of(key) {
            let what = "is about the Sandbox API, of which no URL is given; give --api";
            sources.note(origin, what.to_owned());
        }
    }
}

fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|wrong: NotANetwork| format!("`{text}` {wrong}"))
}

/// An API that is this program would be asked again and again. What the text does not tell is checked
/// once the doors are bound.
pub(super) fn check_own_doors(placed: &Placed, listen: &Listen, sources: &mut Sources<'_>) {
    let clients = Some(("listen", listen.clients));
    let operators = match listen.operators {
        AdminAddress::Given(admin) => Some(("admin", admin)),
        // The default one gives way to whoever has the port.
        AdminAddress::Default(_) | AdminAddress::Off => None,
    };
    for (key, door) in clients.into_iter().chain(operators) {
        if own_door::leads_to(&placed.api.endpoint, door) {
            let what = format!("the Sandbox API would be afterbay itself: `{key}` is {door}");
            sources.note(placed.origin.clone(), what);
        }
    }
}

/// The API's answers are to lead clients here, so it must be known under which URL.
pub(super) fn check_public_url(callers: &Callers, listen: &Listen, sources: &mut Sources<'_>) {
    let clients = listen.clients;
    if callers.public_url.is_none() && clients.ip().is_unspecified() {
        let what = format!(
            "`listen` is {clients}, which is no address that clients can be sent to, and the answers \
             of the Sandbox API are to send them here; give `public-url`"
        );
        sources.note(Origin::Whole, what);
    }
}
