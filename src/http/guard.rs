//! What keeps web pages out: a server on localhost can be reached by every page that its user
//! opens.
//!
//! A page that has its own name resolve to this address sends its own name as `Host`: dotted
//! names that were not configured are refused (421); addresses, `localhost` and single labels
//! pass, since no page can own them. A page that simply calls this address is told by its
//! `Origin` or by `Sec-Fetch-Site` and is refused (403), unless it brings an Authorization
//! header or an own token, which it cannot do without having been let in. Both come before any work, for every
//! route, also for those that are passed on.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Version, header};

use super::end_to_end;
use super::error::Error;
use super::own_tokens::X_AFTERBAY_TOKEN;

/// What is let in beyond the rules.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Host names without port, compared without case. The public URL's belongs here too.
    pub hosts: Vec<String>,
    /// Origins (`scheme://host[:port]`), compared without case.
    pub origins: Vec<String>,
}

/// Checks which server the request is meant for.
///
/// # Errors
/// [`Error::InvalidHost`] or [`Error::HostNotAllowed`].
pub(crate) fn check_host(parts: &Parts, allowed: &Allowed) -> Result<(), Error> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Error::InvalidHost);
    }
    if let Some(host) = first {
        check_authority(host.to_str().map_err(|_| Error::InvalidHost)?, allowed)?;
    }
    // HTTP/2 names the host in the target alone, HTTP/1.1 never.
    let target = parts.uri.authority();
    let named_in_target = target.is_some() && parts.version >= Version::HTTP_2;
    if first.is_none() && parts.version >= Version::HTTP_11 && !named_in_target {
        return Err(Error::InvalidHost);
    }
    target.map_or(Ok(()), |authority| check_authority(authority.as_str(), allowed))
}

/// Checks whether a web page of another origin asks.
///
/// # Errors
/// [`Error::OriginNotAllowed`].
pub(crate) fn check_origin(parts: &Parts, allowed: &Allowed) -> Result<(), Error> {
    let headers = &parts.headers;
    // A credential that the request brings itself is not one that a browser adds by itself. A
    // WebSocket's handshake is never preflighted, so there it proves nothing.
    let bears = [header::AUTHORIZATION, X_AFTERBAY_TOKEN];
    let bears = bears.iter().any(|name| headers.get(name).is_some_and(|value| !value.is_empty()));
    if bears && !is_websocket(headers) {
        return Ok(());
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let (origin, second) = (origins.next(), origins.next());
    if second.is_some() {
        return Err(Error::OriginNotAllowed);
    }
    if origin.is_some_and(|origin| is_listed(origin, allowed)) {
        return Ok(());
    }
    let foreign_origin = origin.is_some_and(|origin| !is_same_origin(origin, parts));
    let mut sites = headers.get_all("sec-fetch-site").iter();
    let foreign_site = sites.any(|site| {
        site.as_bytes().eq_ignore_ascii_case(b"cross-site")
            || site.as_bytes().eq_ignore_ascii_case(b"same-site")
    });
    if foreign_origin || foreign_site { Err(Error::OriginNotAllowed) } else { Ok(()) }
}

/// Whether the request asks to become a WebSocket.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    end_to_end::member(headers, header::UPGRADE, "websocket").is_some()
}

fn check_authority(authority: &str, allowed: &Allowed) -> Result<(), Error> {
    let host = host_of(authority).ok_or(Error::InvalidHost)?;
    let plain = host.strip_suffix('.').unwrap_or(host);
    let single_label = !plain.contains('.') && !plain.contains(':');
    let literal = plain.parse::<Ipv4Addr>().is_ok() || plain.parse::<Ipv6Addr>().is_ok();
    let listed = allowed.hosts.iter().any(|name| {
        let name = name.strip_suffix('.').unwrap_or(name);
        name.eq_ignore_ascii_case(plain)
    });
    if single_label || literal || listed { Ok(()) } else { Err(Error::HostNotAllowed) }
}

/// The host of `host[:port]` or `[address][:port]`; `None` if it is neither.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (address, after.strip_prefix(':').or_else(|| after.is_empty().then_some(""))?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    let good = !host.is_empty()
        && host != "."
        && host.bytes().all(named)
        && port.bytes().all(|b| b.is_ascii_digit());
    good.then_some(host)
}

/// Whether the origin was named.
pub(crate) fn is_listed(origin: &HeaderValue, allowed: &Allowed) -> bool {
    let mut listed = allowed.origins.iter();
    listed.any(|known| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether the origin is this server under the name that the request used, which passed the
/// check of hosts.
fn is_same_origin(origin: &HeaderValue, parts: &Parts) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let host = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = host.or_else(|| parts.headers.get(header::HOST)?.to_str().ok());
    named.zip(host).is_some_and(|(named, host)| named.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(target: &str, lines: &[(&'static str, &'static str)]) -> Parts {
        let mut request = http::Request::builder().uri(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn allowed() -> Allowed {
        Allowed {
            hosts: vec!["box.example.com".into()],
            origins: vec!["https://app.example.com".into()],
        }
    }

    fn host(value: &'static str) -> Result<(), Error> {
        check_host(&parts("/", &[("host", value)]), &allowed())
    }

    #[test]
    fn addresses_localhost_single_labels_and_configured_names_pass() {
        for value in [
            "127.0.0.1:8788",
            "127.0.0.1",
            "[::1]:8788",
            "[::1]",
            "localhost:8788",
            "LOCALHOST",
            "localhost.",
            "afterbay",
            "my_host:80",
            "Box.Example.com:8788",
            "box.example.com.",
        ] {
            assert!(host(value).is_ok(), "{value}");
        }
    }

    #[test]
    fn other_dotted_names_are_misdirected() {
        for value in [
            "evil.example",
            "evil.example.:80",
            "127.0.0.1.evil.example",
            "127.1",
            "127.0.0.256",
            "foo.localhost",
            "example.com",
            "xbox.example.com",
        ] {
            assert!(matches!(host(value), Err(Error::HostNotAllowed)), "{value}");
        }
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for value in [
            "",
            ":80",
            ".",
            "user@localhost",
            "localhost:8x",
            "[::1",
            "[evil.example]",
            "a/b",
            "::1",
        ] {
            assert!(matches!(host(value), Err(Error::InvalidHost)), "{value:?}");
        }
        let two = parts("/", &[("host", "localhost"), ("host", "localhost")]);
        assert!(matches!(check_host(&two, &allowed()), Err(Error::InvalidHost)));
        assert!(matches!(check_host(&parts("/", &[]), &allowed()), Err(Error::InvalidHost)));
    }

    #[test]
    fn the_targets_host_counts_too() {
        let target = parts("http://evil.example/", &[("host", "localhost")]);
        assert!(matches!(check_host(&target, &allowed()), Err(Error::HostNotAllowed)));
        let mut target = parts("http://127.0.0.1:1/", &[]);
        assert!(matches!(check_host(&target, &allowed()), Err(Error::InvalidHost)));
        target.version = Version::HTTP_2;
        assert!(check_host(&target, &allowed()).is_ok());
    }

    #[track_caller]
    fn check(lines: &[(&'static str, &'static str)], passes: bool) {
        let mut all = vec![("host", "127.0.0.1:8788")];
        all.extend_from_slice(lines);
        let checked = check_origin(&parts("/", &all), &allowed());
        assert_eq!(checked.is_ok(), passes, "{lines:?}");
    }

    #[test]
    fn programs_and_pages_of_our_own_pass() {
        check(&[], true);
        check(&[("sec-fetch-site", "none")], true);
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("origin", "http://127.0.0.1:8788"), ("sec-fetch-site", "same-origin")], true);
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        check(&[("origin", "https://evil.example")], false);
        check(&[("origin", "null")], false);
        check(&[("origin", "http://127.0.0.1:9999")], false);
        check(&[("origin", "http://localhost:8788")], false);
        check(&[("sec-fetch-site", "cross-site")], false);
        check(&[("sec-fetch-site", "Same-Site")], false);
        check(&[("origin", "http://127.0.0.1:8788"), ("sec-fetch-site", "cross-site")], false);
        check(&[("origin", "https://app.example.com"), ("origin", "https://evil.example")], false);
    }

    #[test]
    fn an_authorization_header_or_a_listed_origin_lets_a_page_in() {
        let bears = ("authorization", "Bearer x");
        check(&[("origin", "https://evil.example"), bears], true);
        check(&[("sec-fetch-site", "cross-site"), bears], true);
        check(&[("sec-fetch-site", "cross-site"), ("authorization", "")], false);
        check(&[("sec-fetch-site", "cross-site"), ("x-afterbay-token", "x")], true);
        check(&[("origin", "https://App.example.com"), ("sec-fetch-site", "cross-site")], true);
    }

    #[test]
    fn a_websocket_is_refused_even_with_an_authorization_header() {
        let socket = [("upgrade", "WebSocket"), ("authorization", "Bearer x")];
        check(&[socket[0], socket[1], ("origin", "https://evil.example")], false);
        check(&[socket[0], socket[1]], true);
        check(&[socket[0], ("x-afterbay-token", "x"), ("sec-fetch-site", "cross-site")], false);
    }
}
