//! Which headers travel through a proxy and which end at it.
//!
//! Hop-by-hop headers are about one connection: the known ones and whatever `Connection` names.
//! What is left keeps its values byte for byte, and the order of values within a name.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

/// Headers about one connection, besides those that `Connection` names. `Trailer` is not among
/// them: it announces a part of the message, and whoever writes the message on needs it.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers that a turn's dispatch does not carry on, besides the hop-by-hop ones: the adapter
/// frames, addresses and reads the box's answer itself, and the cursor is ours.
const NOT_FOR_THE_TURN: [HeaderName; 7] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::ACCEPT_ENCODING,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::TRAILER,
    HeaderName::from_static("last-event-id"),
];

/// The member of a list that is `wanted`, as the message spells it, whatever its case.
pub(crate) fn member<'a>(
    headers: &'a HeaderMap,
    name: HeaderName,
    wanted: &str,
) -> Option<&'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let mut members = values.flat_map(|value| value.split(',')).map(str::trim);
    members.find(|member| member.eq_ignore_ascii_case(wanted))
}

/// Removes what is about one connection only.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Makes one `Cookie` of the crumbs that HTTP/2 may cut it into: HTTP/1.1 has one at the most, and
/// servers read the first alone.
pub(crate) fn join_cookie(parts: &mut Parts) {
    let mut crumbs = parts.headers.get_all(header::COOKIE).iter();
    if parts.version != Version::HTTP_2 || crumbs.by_ref().nth(1).is_none() {
        return;
    }
    let crumbs = parts.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let whole = crumbs.collect::<Vec<_>>().join(&b"; "[..]);
    // Valid values with such a separator between them are a valid value.
    if let Ok(whole) = HeaderValue::from_bytes(&whole) {
        parts.headers.insert(header::COOKIE, whole);
    }
}

/// The headers of a turn's POST that go on to the box.
pub(crate) fn of_turn(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    strip_hop_by_hop(&mut kept);
    for name in &NOT_FOR_THE_TURN {
        kept.remove(name);
    }
    kept
}

/// The headers of a box's refusal that go on to the client; its length is written anew, since the
/// body may have been cut.
pub(crate) fn of_refusal(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    strip_hop_by_hop(&mut kept);
    for name in [header::CONTENT_LENGTH, header::TRAILER] {
        kept.remove(name);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_turn_carries_its_end_to_end_headers_in_their_order() {
        let kept = of_turn(&headers(&[
            ("host", "127.0.0.1:8788"),
            ("connection", "close, X-Hop"),
            ("connection", "x-other-hop"),
            ("x-hop", "1"),
            ("x-other-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic x"),
            ("content-length", "3"),
            ("last-event-id", "7"),
            ("accept-encoding", "gzip"),
            ("expect", "100-continue"),
            ("authorization", "Bearer x"),
            ("content-type", "application/json"),
            ("x-execution-id", "e"),
            ("x-many", "b"),
            ("x-many", "a"),
        ]));
        let expected = headers(&[
            ("authorization", "Bearer x"),
            ("content-type", "application/json"),
            ("x-execution-id", "e"),
            ("x-many", "b"),
            ("x-many", "a"),
        ]);
        assert_eq!(kept, expected);
        let many: Vec<_> = kept.get_all("x-many").iter().collect();
        assert_eq!(many, ["b", "a"]);
    }

    #[test]
    fn a_cookie_in_crumbs_is_joined_and_lines_of_http_1_1_stay() {
        for (version, joined) in
            [(Version::HTTP_2, &["a=1; b=2; c=3"][..]), (Version::HTTP_11, &["a=1", "b=2; c=3"])]
        {
            let request = http::Request::builder().version(version);
            let request = request.header("cookie", "a=1").header("cookie", "b=2; c=3");
            let mut parts = request.body(()).expect("a request").into_parts().0;
            join_cookie(&mut parts);
            let cookies: Vec<_> = parts.headers.get_all("cookie").iter().collect();
            assert_eq!(cookies, joined, "{version:?}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_retry_after_and_loses_its_length() {
        let kept = of_refusal(&headers(&[
            ("retry-after", "7"),
            ("content-type", "text/html"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
        ]));
        assert_eq!(kept, headers(&[("retry-after", "7"), ("content-type", "text/html")]));
    }
}
