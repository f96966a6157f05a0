//! Addresses in the configuration: sockets, the box's URL, public URL, hosts and origins.
//!
//! A mistake in a URL is told without the URL: people paste tokens into them.

use std::net::SocketAddr;
use std::num::NonZeroU16;

use http::Uri;
use http::uri::Scheme;

/// Reads an IP address with a port.
pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not an IP address with a port, such as 127.0.0.1:8788 or [::1]:8788")
    })
}

/// Reads the box's URL: http, a host, maybe a path; one trailing slash is dropped.
pub(super) fn box_url(text: &str) -> Result<Uri, String> {
    let url = plain_url(text)?;
    if url.scheme() == Some(&Scheme::HTTPS) {
        return Err("https boxes are not built yet; use an http:// address".to_owned());
    }
    Ok(url)
}

/// Reads an http or https URL without userinfo, query or fragment; one trailing slash is dropped.
pub(super) fn plain_url(text: &str) -> Result<Uri, String> {
    let wrong = || "is not a URL such as http://127.0.0.1:4096".to_owned();
    if text.contains('#') {
        return Err("a URL here has no fragment (`#…`)".to_owned());
    }
    let whole: Uri = text.parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(authority)) = (whole.scheme(), whole.authority()) else {
        return Err(wrong());
    };
    if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
        return Err("is neither an http:// nor an https:// URL".to_owned());
    }
    if authority.as_str().contains('@') {
        return Err("a URL here has no user or password; a credential has its own key".to_owned());
    }
    let port = authority.as_str().strip_prefix(authority.host()).and_then(|rest| {
        if rest.is_empty() {
            Some(())
        } else {
            rest.strip_prefix(':')?.parse::<NonZeroU16>().ok().map(drop)
        }
    });
    if authority.host().is_empty() || port.is_none() {
        return Err(wrong());
    }
    if whole.query().is_some() {
        return Err("a URL here has no query (`?…`)".to_owned());
    }
    let path = whole.path().strip_suffix('/').unwrap_or(whole.path());
    format!("{scheme}://{authority}{path}").parse().map_err(|_| wrong())
}

/// Reads one origin as browsers send it: a scheme, a host, maybe a port, nothing behind.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let wrong = |_| format!("`{text}` is not an origin such as https://app.example.org");
    let url = plain_url(text).map_err(wrong)?;
    let shown = url.to_string().to_ascii_lowercase();
    let shown = shown.trim_end_matches('/');
    if url.path() != "/" || shown != text.to_ascii_lowercase() {
        return Err(wrong(String::new()));
    }
    Ok(shown.to_owned())
}

/// Reads one host name, without a port; compared in lower case.
pub(super) fn host(text: &str) -> Result<String, String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if text.is_empty() || text.len() > 253 || !text.chars().all(letters) {
        return Err(format!("`{text}` is not a host name such as afterbay.example.org"));
    }
    Ok(text.to_ascii_lowercase())
}

/// Reads a list whose items stand between commas; blank around an item and empty items are
/// dropped.
pub(super) fn list<T>(
    text: &str,
    item: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_url_keeps_its_path_and_loses_one_slash() {
        for (given, kept) in [
            ("http://127.0.0.1:4096", "http://127.0.0.1:4096/"),
            ("http://127.0.0.1:4096/", "http://127.0.0.1:4096/"),
            ("http://[::1]:1/v1/sandboxes/a/runtime/", "http://[::1]:1/v1/sandboxes/a/runtime"),
        ] {
            assert_eq!(box_url(given).map(|url| url.to_string()).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn a_wrong_url_is_told_without_what_may_be_secret_in_it() {
        for text in [
            "http://user:canary@h:1",
            "http://h:1/?token=canary",
            "http://h:1/#canary",
            "https://canary:1",
            "ftp://canary",
            "canary",
            "http://",
            "http://:80",
            "http://canary:0",
            "http://canary:99999",
            "//canary/x",
            "http://can ary",
        ] {
            let told = box_url(text).expect_err(text);
            assert!(!told.contains("canary"), "{told}");
        }
        assert!(box_url("https://h").expect_err("https").contains("not built yet"));
    }

    #[test]
    fn origins_and_hosts_are_bare_and_in_lower_case() {
        assert_eq!(
            origin("https://App.Example.org:8443").as_deref(),
            Ok("https://app.example.org:8443")
        );
        for text in ["*", "null", "https://a/", "https://a/b", "a.example.org", "https://u@a"] {
            assert!(origin(text).is_err(), "{text}");
        }
        assert_eq!(host("Bay.Example.ORG").as_deref(), Ok("bay.example.org"));
        for text in ["", "a:80", "a/b", "é", "http://a"] {
            assert!(host(text).is_err(), "{text}");
        }
        assert_eq!(list(" a, ,b", host), Ok(vec!["a".to_owned(), "b".to_owned()]));
    }
}
