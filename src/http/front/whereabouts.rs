//! Where a learned box may be, as far as the text of its URL tells.
//!
//! Told at once, so that a URL that can never be connected to is not taken. It is not the last word:
//! a host's name is judged by the address that is connected to, each time.

use std::net::SocketAddr;

use crate::limits;
use crate::upstream::endpoint::{Endpoint, Host};
use crate::upstream::own_door;
use crate::upstream::reach::Reach;

/// What a URL is judged by.
#[derive(Debug, Clone)]
pub struct Whereabouts {
    /// Which addresses it may have.
    pub reach: Reach,
    /// Where this program listens, which no box does.
    pub own_doors: Vec<SocketAddr>,
    /// Where clients reach this program.
    pub public_url: Endpoint,
}

/// Why a URL is not taken. Says nothing of it: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("it is no http(s) URL of a host and a path")]
    Form,
    #[error("it is too long")]
    Length,
    #[error("it leads to an address that boxes may not have")]
    Address,
    #[error("it leads to afterbay itself")]
    OwnDoor,
}

impl Whereabouts {
    /// The place that `url` names.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub(super) fn place(&self, url: &str) -> Result<Endpoint, NotTaken> {
        let Self { reach, own_doors, public_url } = self;
        if url.len() > limits::MAX_BOX_URL_BYTES {
            return Err(NotTaken::Length);
        }
        let endpoint: Endpoint = url.parse().map_err(|_| NotTaken::Form)?;
        let is_public_url = endpoint.port() == public_url.port()
            && endpoint.host_text().eq_ignore_ascii_case(public_url.host_text());
        if is_public_url || own_doors.iter().any(|door| own_door::leads_to(&endpoint, *door)) {
            return Err(NotTaken::OwnDoor);
        }
        match own_door::host(&endpoint) {
            Host::Address(address) => reach.check(address).map_err(|_| NotTaken::Address)?,
            Host::Name(_) => {}
        }
        Ok(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whereabouts(allowed: &[&str]) -> Whereabouts {
        let allowed = allowed.iter().map(|network| network.parse().expect("a network")).collect();
        Whereabouts {
            reach: Reach::Public { allowed },
            own_doors: vec!["127.0.0.1:8788".parse().expect("an address")],
            public_url: "https://bay.example/path".parse().expect("a URL"),
        }
    }

    #[test]
    fn a_box_may_be_at_a_public_place_of_any_path() {
        for url in [
            "https://box.example",
            "http://box.example:8080/v1/sandboxes/a/runtime/",
            "https://8.8.8.8/x",
            "https://[2606:4700::1111]",
            "https://bay.example:8443/other-port",
        ] {
            assert!(whereabouts(&[]).place(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_no_place_for_a_box_is_not_taken() {
        let long = format!("https://box.example/{}", "a".repeat(limits::MAX_BOX_URL_BYTES));
        for (url, why) in [
            ("https://user:secret@box.example/", NotTaken::Form),
            ("https://box.example/?token=secret", NotTaken::Form),
            ("https://box.example/#x", NotTaken::Form),
            ("ftp://box.example/", NotTaken::Form),
            ("file:///etc/passwd", NotTaken::Form),
            ("/box", NotTaken::Form),
            ("box.example", NotTaken::Form),
            (&long, NotTaken::Length),
            ("http://127.0.0.1/", NotTaken::Address),
            ("http://localhost:9/", NotTaken::Address),
            ("http://LocalHost./", NotTaken::Address),
            ("http://a.localhost/", NotTaken::Address),
            ("http://0.0.0.0:9/", NotTaken::Address),
            ("http://[::1]/", NotTaken::Address),
            ("http://[::ffff:127.0.0.1]/", NotTaken::Address),
            ("http://10.1.2.3/", NotTaken::Address),
            ("http://169.254.169.254/latest/meta-data", NotTaken::Address),
            ("http://[fe80::1]/", NotTaken::Address),
            ("http://[fd00::1]/", NotTaken::Address),
            ("http://127.0.0.1:8788/box/a", NotTaken::OwnDoor),
            ("http://localhost:8788/box/a", NotTaken::OwnDoor),
            ("https://bay.example/path/box/a", NotTaken::OwnDoor),
            ("https://BAY.example:443/", NotTaken::OwnDoor),
        ] {
            assert_eq!(whereabouts(&[]).place(url).err(), Some(why), "{url}");
        }
    }

    #[test]
    fn a_network_that_is_allowed_is_a_place_but_never_our_own_door() {
        let whereabouts = whereabouts(&["127.0.0.0/8"]);
        assert!(whereabouts.place("http://127.0.0.1:9/").is_ok());
        assert!(whereabouts.place("http://localhost:9/").is_ok());
        assert_eq!(whereabouts.place("http://10.0.0.1/").err(), Some(NotTaken::Address));
        assert_eq!(whereabouts.place("http://127.0.0.1:8788/").err(), Some(NotTaken::OwnDoor));
    }
}
