//! An answer of the Sandbox API that is read before it is passed on.
//!
//! The request asks for it whole and unencoded, the answer is read within a bound, and goes on with the
//! length that it has then. What described its old bytes is dropped: entity tags and digests.
//! An answer that cannot be read is not passed on, since it might tell a client where a box is, and the
//! client would go there by itself.

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::super::body::Budget;
use super::super::error::Error;
use crate::limits;

/// Why an answer cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it is encoded, although that was not asked for")]
    Encoded,
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    #[error("it is not JSON in UTF-8")]
    NotJson,
}

/// Has the request ask for an answer that can be read.
pub(super) fn ask_for_readable(parts: &mut Parts) {
    let headers = &mut parts.headers;
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if parts.method == Method::GET || parts.method == Method::HEAD {
        // The client holds other bytes than the API would compare with.
        for name in
            [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE]
        {
            headers.remove(name);
        }
    }
}

/// Whether it is a success that says that it is JSON.
pub(super) fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let status = response.status();
    let has_body = status.is_success() && status != StatusCode::NO_CONTENT;
    has_body && (kind == "application/json" || kind == "text/json" || kind.ends_with("+json"))
}

/// Reads it.
///
/// # Errors
/// [`Error::ApiAnswer`], [`Error::ApiBroke`], [`Error::TooManyBodies`].
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    bodies: &Budget,
) -> Result<String, Error> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut encodings =
        encodings.filter(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encodings.next().is_some() {
        return Err(Error::ApiAnswer(Unreadable::Encoded));
    }
    let most = limits::MAX_API_ANSWER_BYTES;
    let held = bodies.up_to(most).read(&HeaderMap::new(), body).await.map_err(|error| {
        if matches!(error, Error::BodyTooLarge(_)) {
            Error::ApiAnswer(Unreadable::TooLarge(most))
        } else if matches!(error, Error::BodyBroken | Error::BodyTimeout) {
            Error::ApiBroke
        } else {
            error
        }
    })?;
    String::from_utf8(held.into_bytes().into()).map_err(|_| Error::ApiAnswer(Unreadable::NotJson))
}

/// Drops what the head says of a body that may be another one now.
pub(super) fn forget_bytes(headers: &mut HeaderMap) {
    for name in [header::CONTENT_LENGTH, header::ETAG, header::ACCEPT_RANGES, header::TRAILER] {
        headers.remove(name);
    }
    for name in ["content-md5", "digest", "content-digest", "repr-digest"] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readable_answer_is_whole_and_unencoded() {
        let lines = [
            ("accept-encoding", "gzip, br"),
            ("range", "bytes=0-9"),
            ("if-range", "\"a\""),
            ("if-none-match", "\"a\""),
            ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("if-match", "\"a\""),
            ("accept", "application/json"),
        ];
        for (method, left) in [
            ("GET", &["accept", "accept-encoding", "if-match"][..]),
            ("PATCH", &lines.map(|l| l.0)),
        ] {
            let mut request = http::Request::builder().method(method);
            for (name, value) in lines {
                request = request.header(name, value);
            }
            let mut parts = request.body(()).expect("a request").into_parts().0;
            ask_for_readable(&mut parts);
            let mut names: Vec<_> = parts.headers.keys().map(|name| name.as_str()).collect();
            names.sort_unstable();
            let mut left = left.to_vec();
            left.sort_unstable();
            assert_eq!(names, left, "{method}");
            assert_eq!(parts.headers["accept-encoding"], "identity");
        }
    }

    #[test]
    fn only_a_success_of_json_is_read() {
        let of = |status: u16, kind: &str| {
            let response = Response::builder().status(status).header("content-type", kind);
            is_json(&response.body(Body::empty()).expect("a response"))
        };
        for kind in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"]
        {
            assert!(of(200, kind) && of(202, kind), "{kind}");
            for status in [204, 304, 302, 400, 500] {
                assert!(!of(status, kind), "{status} {kind}");
            }
        }
        for kind in ["text/event-stream", "text/html", "", "application/jsonx", "json"] {
            assert!(!of(200, kind), "{kind}");
        }
    }
}
