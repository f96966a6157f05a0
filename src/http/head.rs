//! The heads of our event streams: the same headers on each, and which stream it is.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::route::X_EXECUTION_ID;
use crate::ids::{ExecutionId, Id, SessionId};

/// Names the session of a stream.
const X_SESSION_ID: &str = "x-session-id";

/// Tells that the client's cursor made no sense and everything is sent again.
const X_AFTERBAY_CURSOR: &str = "x-afterbay-cursor";

/// What a head says about its stream.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) session: SessionId,
    /// None if the stream shows more than one turn.
    pub(crate) execution: Option<ExecutionId>,
}

impl Head {
    /// A stream with `body`.
    pub(crate) fn stream(&self, body: Body) -> Response {
        let mut response = self.named(StatusCode::OK, body);
        let headers = response.headers_mut();
        // Without a charset: some clients compare the whole value.
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        // A well-known reverse proxy buffers answers unless told so.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }

    /// The head of a stream and no more, for HEAD: as the stream, it states no length.
    pub(crate) fn bare(&self) -> Response {
        self.stream(Body::from_stream(stream::empty::<Result<Bytes, Infallible>>()))
    }

    /// A stream that begins again because the cursor made no sense.
    pub(crate) fn reset_stream(&self, body: Body) -> Response {
        let mut response = self.stream(body);
        response.headers_mut().insert(X_AFTERBAY_CURSOR, HeaderValue::from_static("reset"));
        response
    }

    /// Nothing is left: the status stops a native EventSource.
    pub(crate) fn no_content(&self) -> Response {
        self.named(StatusCode::NO_CONTENT, Body::empty())
    }

    fn named(&self, status: StatusCode, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let no_store = HeaderValue::from_static("no-store, no-transform");
        headers.insert(header::CACHE_CONTROL, no_store);
        insert_id(&mut response, X_SESSION_ID, &self.session);
        if let Some(execution) = &self.execution {
            insert_id(&mut response, X_EXECUTION_ID, execution);
        }
        response
    }
}

fn insert_id<K>(response: &mut Response, name: &'static str, id: &Id<K>)
where
    K: crate::ids::IdKind,
{
    // An id's alphabet is within that of header values.
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streams_head_has_all_headers_and_no_charset() {
        let head = Head {
            session: SessionId::parse("ses_1").expect("an id"),
            execution: Some(ExecutionId::parse("e-1").expect("an id")),
        };
        let response = head.reset_stream(Body::empty());
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store, no-transform"),
            ("x-accel-buffering", "no"),
            ("x-session-id", "ses_1"),
            ("x-execution-id", "e-1"),
            ("x-afterbay-cursor", "reset"),
        ] {
            assert_eq!(response.headers()[name], value, "{name}");
        }
        assert!(head.stream(Body::empty()).headers().get("x-afterbay-cursor").is_none());
        let bare = head.bare();
        assert_eq!(bare.headers()["content-type"], "text/event-stream");
        assert_eq!(axum::body::HttpBody::size_hint(bare.body()).exact(), None);
        let gone = head.no_content();
        assert_eq!(gone.status(), 204);
        assert!(gone.headers().get("content-type").is_none());
    }
}
