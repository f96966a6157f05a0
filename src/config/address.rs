//! Addresses in the configuration: sockets, the boxes' URLs, public URL, hosts and origins.
//!
//! A mistake in a URL is told without the URL: people paste tokens into them.

use std::net::SocketAddr;

use crate::upstream::endpoint::{Endpoint, Invalid};

/// Reads an IP address with a port.
pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not an IP address with a port, such as 127.0.0.1:8788 or [::1]:8788")
    })
}

/// The same, or `off`.
pub(super) fn socket_or_off(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" { Ok(None) } else { socket(text).map(Some) }
}

/// Reads an http or https URL without userinfo, query or fragment; one trailing slash is dropped.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|invalid: Invalid| invalid.to_string())
}

/// Reads one origin as browsers send it: a scheme, a host, maybe a port, nothing behind.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let wrong = |_| format!("`{text}` is not an origin such as https://app.example.org");
    let shown = endpoint(text).map_err(wrong)?.to_string().to_ascii_lowercase();
    let bare = shown.matches('/').count() == 2;
    if !bare || shown != text.to_ascii_lowercase() {
        return Err(wrong(String::new()));
    }
    Ok(shown)
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
