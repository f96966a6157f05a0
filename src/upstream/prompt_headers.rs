//! The headers that go out with a prompt: the client's end-to-end ones and the execution's id.
//!
//! What frames the body, addresses the box or is the cursor's is left out; the credential is the
//! caller's business.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::TurnIds;
use super::reply::drop_hop_by_hop;

/// Under which the execution is known at the box.
pub(super) const EXECUTION: HeaderName = HeaderName::from_static("x-execution-id");
/// What describes the bytes of a body, by whichever standard.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// The headers for a body that goes out byte for byte.
pub(super) fn of_kept(ids: &TurnIds, sent: &HeaderMap) -> HeaderMap {
    let mut headers = sent.clone();
    drop_hop_by_hop(&mut headers);
    for name in [
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::ACCEPT_ENCODING,
        header::EXPECT,
        HeaderName::from_static("last-event-id"),
    ] {
        headers.remove(name);
    }
    if let Ok(execution) = HeaderValue::from_str(ids.execution.as_str()) {
        headers.insert(EXECUTION, execution);
    }
    headers
}

/// The headers for a body that was changed: what described the old one would be wrong.
pub(super) fn of_changed(ids: &TurnIds, sent: &HeaderMap) -> HeaderMap {
    let mut headers = of_kept(ids, sent);
    for name in DIGESTS {
        headers.remove(name);
    }
    headers
}

/// The headers for a body of another form, on a route that answers with JSON.
pub(super) fn of_rewritten(ids: &TurnIds, sent: &HeaderMap) -> HeaderMap {
    let mut headers = of_changed(ids, sent);
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::ACCEPT);
    headers
}
