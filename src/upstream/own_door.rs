//! Whether a box's URL leads to a door of this very program.
//!
//! Told from text and numbers alone: no name is resolved here. The addresses that mean "this
//! machine" to whoever connects (`localhost`, `127.0.0.1`, `[::1]`, `0.0.0.0`, `[::]`) count as one,
//! also where two programs could hold one port of two families: nobody wants to find out which of
//! them a name leads to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::upstream::endpoint::{Endpoint, Host};

/// The host of `endpoint`; `localhost` and what stands below it is always this machine.
pub(crate) fn host(endpoint: &Endpoint) -> Host<'_> {
    let host = endpoint.host();
    let Host::Name(name) = host else {
        return host;
    };
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or(name);
    let local = last.eq_ignore_ascii_case("localhost");
    if local { Host::Address(Ipv4Addr::LOCALHOST.into()) } else { host }
}

/// Whether `endpoint` leads to `door` for sure.
pub(crate) fn leads_to(endpoint: &Endpoint, door: SocketAddr) -> bool {
    let Host::Address(address) = host(endpoint) else {
        return false;
    };
    endpoint.port() == door.port() && is_behind(address, door.ip())
}

/// Whether a connection to `address` comes in at a door bound to `bound`, if the port is the same.
/// Addresses of this machine that are not a loopback's are not known here.
pub(crate) fn is_behind(address: IpAddr, bound: IpAddr) -> bool {
    let (address, bound) = (as_connected(address), bound.to_canonical());
    if bound.is_unspecified() { address.is_loopback() } else { address == as_connected(bound) }
}

/// The address that a connection to `address` is made with, the families' loopbacks as one.
fn as_connected(address: IpAddr) -> IpAddr {
    let plain = address.to_canonical();
    let loopback = plain.is_unspecified() || (plain.is_ipv6() && plain.is_loopback());
    if loopback { Ipv4Addr::LOCALHOST.into() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, door: &str, leads: bool) {
        let (url, door) = (url.parse().expect("a URL"), door.parse().expect("an address"));
        assert_eq!(leads_to(&url, door), leads, "{url} {door}");
    }

    #[test]
    fn every_form_of_this_machine_leads_to_a_door_on_its_loopback() {
        for door in ["127.0.0.1:8788", "[::1]:8788", "0.0.0.0:8788", "[::]:8788"] {
            for host in [
                "127.0.0.1",
                "localhost",
                "LocalHost.",
                "box.localhost",
                "0.0.0.0",
                "[::1]",
                "[::]",
                "[::ffff:127.0.0.1]",
            ] {
                check(&format!("http://{host}:8788/path"), door, true);
                check(&format!("http://{host}:8789"), door, false);
            }
        }
        check("http://localhost", "127.0.0.1:80", true);
        check("https://localhost", "127.0.0.1:443", true);
        check("https://localhost:8788", "127.0.0.1:8788", true);
        check("https://localhost", "127.0.0.1:80", false);
    }

    #[test]
    fn another_address_is_another_door() {
        check("http://127.0.0.2:8788", "127.0.0.1:8788", false);
        check("http://127.0.0.1:8788", "127.0.0.2:8788", false);
        check("http://127.0.0.2:8788", "0.0.0.0:8788", true);
        check("http://192.0.2.1:8788", "192.0.2.1:8788", true);
        check("http://192.0.2.1:8788", "192.0.2.2:8788", false);
        check("http://box:8788", "127.0.0.1:8788", false);
        check("http://localhost.example.org:8788", "127.0.0.1:8788", false);
    }
}
