//! A last look before serving: no box may be this program itself, nor the Sandbox API or the collector of
//! traces.
//!
//! The configuration has checked what it could tell from text. Here the ports are bound, names can
//! be resolved, and the machine can be asked which addresses are its own. Only boxes on a port of
//! ours are looked at, so that no name is resolved at most starts.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::config::{Api, Upstream};
use crate::limits;
use crate::upstream::endpoint::{Endpoint, Host};
use crate::upstream::own_door::{host, is_behind};

/// Checks the boxes, the API and the collector against the doors.
///
/// # Errors
/// With the box's name and the door.
pub(super) async fn check(
    boxes: &[Upstream],
    api: Option<&Api>,
    collector: Option<&Endpoint>,
    doors: &[SocketAddr],
) -> anyhow::Result<()> {
    let boxes = boxes.iter().map(|one| (format!("box `{}`", one.name), &one.endpoint));
    let api = api.map(|api| ("the Sandbox API".to_owned(), &api.endpoint));
    let collector = collector.map(|endpoint| ("the collector of traces".to_owned(), endpoint));
    for (what, endpoint) in boxes.chain(api).chain(collector) {
        for door in doors.iter().filter(|door| door.port() == endpoint.port()) {
            let addresses = match host(endpoint) {
                Host::Address(address) => vec![address],
                Host::Name(name) => resolve(name, endpoint.port()).await,
            };
            let is_own = |address: &IpAddr| {
                is_behind(*address, door.ip()) || (door.ip().is_unspecified() && is_local(*address))
            };
            if addresses.iter().any(is_own) {
                anyhow::bail!("{what} would be afterbay itself, which listens on {door}");
            }
        }
    }
    Ok(())
}

/// A name that cannot be resolved leads nowhere, and not to us.
async fn resolve(name: &str, port: u16) -> Vec<IpAddr> {
    match timeout(limits::OWN_DOOR_LOOKUP_TIMEOUT, lookup_host((name, port))).await {
        Ok(Ok(found)) => found.map(|found| found.ip()).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// Whether the machine has this address: only then can a socket be bound to it. Nothing is sent.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
