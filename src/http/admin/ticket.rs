//! Tickets: what a page reads a session's events with, through a browser's own `EventSource`, which can
//! send no header.
//!
//! A ticket stands in the URL, so it is worth little: it opens the events of the one path that it was given
//! for, for reading, for a time. It is signed with the operators' token and kept nowhere, so it outlives
//! a restart and never the token.

use http::request::Parts;

use super::super::query::Query;
use crate::credential::AdminToken;

/// The query's name for it.
const NAME: &str = "ticket";

/// A target under which the events at `path` can be read until `expires_ms` on the wall clock.
pub(super) fn target(token: &AdminToken, path: &str, expires_ms: u64) -> String {
    format!("{path}?{NAME}={expires_ms}-{}", token.sign(&message(path, expires_ms)).to_hex())
}

/// Whether the request has a ticket for what it asks.
pub(super) fn admits(token: &AdminToken, parts: &Parts) -> bool {
    is_good(token, parts.uri.path(), parts.uri.query(), crate::turn::control::wall_ms())
}

fn is_good(token: &AdminToken, path: &str, query: Option<&str>, now_ms: u64) -> bool {
    let query = Query::parse(query);
    let Some((expires, signature)) = query.get(NAME).and_then(|ticket| ticket.split_once('-'))
    else {
        return false;
    };
    let (Ok(expires_ms), Ok(signature)) =
        (expires.parse::<u64>(), blake3::Hash::from_hex(signature))
    else {
        return false;
    };
    // Equality of hashes takes the same time for all.
    now_ms < expires_ms && token.sign(&message(path, expires_ms)) == signature
}

fn message(path: &str, expires_ms: u64) -> String {
    format!("{expires_ms} {path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/admin/sessions/s/events";

    #[test]
    fn a_ticket_is_good_for_its_path_until_its_time() {
        let token = AdminToken::from_bytes([7; 32]);
        let target = target(&token, PATH, 1000);
        let (path, query) = target.split_once('?').expect("a query");
        let good = |path, query: &str, now| is_good(&token, path, Some(query), now);
        assert!(path == PATH && good(path, query, 999));
        assert!(!good(path, query, 1000) && !good("/admin/sessions/t/events", query, 999));
        assert!(!good(path, &query.replace("1000", "2000"), 1500));
        let other = AdminToken::from_bytes([8; 32]);
        assert!(!is_good(&other, path, Some(query), 999));
        for bad in ["", "ticket=", "ticket=1000", "ticket=1000-", "ticket=x-00", "ticket=-1-00"] {
            assert!(!good(path, bad, 999), "{bad}");
        }
        assert!(!target.contains(token.expose()));
    }
}
