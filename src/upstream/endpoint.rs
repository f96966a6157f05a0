//! Where a box is: parsed once, safe from then on.
//!
//! An [`Endpoint`] is an http or https URL with a host, perhaps a port, and perhaps a path that
//! stands before every path sent there. It holds no user, no password, no query and no fragment, so it
//! can be shown and kept; an error of its parser holds nothing of the text, which may be a secret.
//!
//! Boxes move, so whoever sends something reads its endpoint anew each time, from a `watch`. Of a box
//! that stays where it is, [`Endpoint::fixed`] makes one.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::sync::Arc;

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use tokio::sync::watch;

/// Where a box is. A clone costs a few counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    /// The authority, as the header says it.
    host: HeaderValue,
    /// Empty, or a path that begins with a slash; of slashes at its end, one was taken off.
    prefix: Arc<str>,
}

/// A host, as far as its text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'a> {
    /// This address.
    Address(IpAddr),
    /// Whatever this name is resolved to.
    Name(&'a str),
}

/// Why a text is no endpoint. Says nothing of it: people paste tokens into URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not an absolute URL with a host and a port that can be.
    #[error("is not a URL such as http://127.0.0.1:4096")]
    NotAUrl,
    /// Another scheme.
    #[error("is neither an http:// nor an https:// URL")]
    Scheme,
    /// A user or a password, which would be sent nowhere.
    #[error("a URL here has no user or password; a credential has its own key")]
    UserInfo,
    /// A query, which no path could follow.
    #[error("a URL here has no query (`?…`)")]
    Query,
    /// A fragment.
    #[error("a URL here has no fragment (`#…`)")]
    Fragment,
}

impl Endpoint {
    /// An endpoint that never changes.
    #[must_use]
    pub fn fixed(self) -> watch::Receiver<Self> {
        watch::Sender::new(self).subscribe()
    }

    /// The target there for `path`, which may have a query: its bytes are kept behind the prefix.
    ///
    /// # Errors
    /// If `path` is none, or the target becomes longer than one can be.
    pub fn target(&self, path: &str) -> Result<Uri, http::Error> {
        let target = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        target.path_and_query(format!("{}{path}", self.prefix)).build()
    }

    /// What `Host` is there.
    #[must_use]
    pub fn host_header(&self) -> HeaderValue {
        self.host.clone()
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> Host<'_> {
        let text = self.host_text();
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse().map_or(Host::Name(text), Host::Address)
    }

    /// The host as the URL has it, an IPv6 address in its brackets.
    #[must_use]
    pub fn host_text(&self) -> &str {
        self.authority.host()
    }

    /// The port, the scheme's own if the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Whether `other` is the same place in other words: a host's case and a final dot say nothing, nor
    /// does a port that is named although it is the scheme's own.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let host = |one: &Self| one.host_text().trim_end_matches('.').to_ascii_lowercase();
        host(self) == host(other) && self.port() == other.port() && self.prefix == other.prefix
    }

    /// Whether connections there are encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, authority, host: _, prefix } = self;
        write!(f, "{scheme}://{authority}{prefix}")
    }
}

impl FromStr for Endpoint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.contains('#') {
            return Err(Invalid::Fragment);
        }
        let whole: Uri = text.parse().map_err(|_| Invalid::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (whole.scheme(), whole.authority()) else {
            return Err(Invalid::NotAUrl);
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(Invalid::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(Invalid::UserInfo);
        }
        if authority.host().is_empty() || !has_good_port(authority) {
            return Err(Invalid::NotAUrl);
        }
        if whole.query().is_some() {
            return Err(Invalid::Query);
        }
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Invalid::NotAUrl)?;
        let prefix = whole.path().strip_suffix('/').unwrap_or(whole.path()).into();
        Ok(Self { scheme: scheme.clone(), authority: authority.clone(), host, prefix })
    }
}

/// Whether the authority names no port, or one from 1 to 65535.
fn has_good_port(authority: &Authority) -> bool {
    match authority.as_str().strip_prefix(authority.host()) {
        Some("") => true,
        Some(rest) => rest.strip_prefix(':').is_some_and(|port| port.parse::<NonZeroU16>().is_ok()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_has_several_spellings() {
        let place = |text: &str| text.parse::<Endpoint>().expect(text);
        let one = place("https://after.example/p/");
        for same in
            ["https://After.Example/p", "https://after.example:443/p", "https://after.example./p"]
        {
            assert!(one.is_same(&place(same)), "{same}");
        }
        for other in [
            "https://after.example/P",
            "https://after.example",
            "https://after.example/p/q",
            "https://after.example:8443/p",
            "http://after.example/p",
            "https://other.example/p",
        ] {
            assert!(!one.is_same(&place(other)), "{other}");
        }
    }

    #[track_caller]
    fn endpoint(text: &str) -> Endpoint {
        text.parse().expect(text)
    }

    #[test]
    fn a_path_is_kept_and_loses_one_trailing_slash() {
        for (given, kept) in [
            ("http://127.0.0.1:4096", "http://127.0.0.1:4096"),
            ("http://127.0.0.1:4096/", "http://127.0.0.1:4096"),
            ("https://box.example/v1/runtime/", "https://box.example/v1/runtime"),
            ("http://[::1]:1/v1//", "http://[::1]:1/v1/"),
        ] {
            assert_eq!(endpoint(given).to_string(), kept);
            assert_eq!(endpoint(kept), endpoint(kept).to_string().parse().expect(kept));
        }
    }

    #[test]
    fn more_than_a_place_is_refused_without_what_may_be_secret_in_it() {
        for (text, why) in [
            ("canary", Invalid::NotAUrl),
            ("127.0.0.1:4096", Invalid::NotAUrl),
            ("//canary/x", Invalid::NotAUrl),
            ("http://", Invalid::NotAUrl),
            ("http://:80", Invalid::NotAUrl),
            ("http://canary:0", Invalid::NotAUrl),
            ("http://canary:99999", Invalid::NotAUrl),
            ("http://canary:", Invalid::NotAUrl),
            ("http://can ary", Invalid::NotAUrl),
            ("ftp://canary", Invalid::Scheme),
            ("http://canary@box", Invalid::UserInfo),
            ("https://user:canary@box/", Invalid::UserInfo),
            ("http://box/?token=canary", Invalid::Query),
            ("http://box/?", Invalid::Query),
            ("https://box/#canary", Invalid::Fragment),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(why), "{text}");
            assert!(!why.to_string().contains("canary"));
        }
    }

    #[test]
    fn host_and_port_are_told_as_a_connection_needs_them() {
        let name = Host::Name("box.example");
        let six = Host::Address("::1".parse().expect("an address"));
        for (text, host, port) in [
            ("http://box.example", name, 80),
            ("https://box.example", name, 443),
            ("https://box.example:80/x", name, 80),
            ("https://[::1]:8443", six, 8443),
        ] {
            assert_eq!((endpoint(text).host(), endpoint(text).port()), (host, port), "{text}");
        }
        assert_eq!(endpoint("http://box:1/x").host_header(), "box:1");
    }

    #[test]
    fn a_target_keeps_its_bytes_behind_the_prefix() {
        for (base, path, expected) in [
            ("http://box", "/a//b/%2F%2f?x=%20+&&", "http://box/a//b/%2F%2f?x=%20+&&"),
            ("http://box/", "//", "http://box//"),
            ("https://box/p/", "/a?", "https://box/p/a?"),
            ("http://box/p//", "/a", "http://box/p//a"),
        ] {
            let target = endpoint(base).target(path).expect("a target");
            assert_eq!(target.to_string(), expected, "{base} {path}");
        }
        assert!(endpoint("http://box").target("/a b").is_err());
        assert!(endpoint("http://box").target(&format!("/{}", "a".repeat(70_000))).is_err());
    }

    #[test]
    fn a_fixed_endpoint_stays_readable() {
        let fixed = endpoint("http://box").fixed();
        assert_eq!(*fixed.borrow(), endpoint("http://box"));
    }
}
