//! Pages of the origins that were named with `origins`, and of no others, may read what is answered
//! here: the browser is told so. Without a named origin nothing is added to any answer.
//!
//! A preflight of such a page is answered here for every path, also for those that are passed on:
//! the box does not know the page. What a box itself says about origins is replaced for such a page
//! alone, since a browser refuses an answer that says it twice.

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::guard::{self, Allowed};
use crate::limits;

const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// What a page may send beyond what any page may. A wildcard would not cover `Authorization`, nor
/// anything of a request with credentials.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, cache-control, content-type, idempotency-key, last-event-id, x-execution-id, \
     x-session-id, x-afterbay-streaming, x-afterbay-token, traceparent, tracestate",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// What a page may read beyond what any page may.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "location, retry-after, x-execution-id, x-session-id, x-afterbay-cursor, x-afterbay-error, \
     x-afterbay-source",
);

/// The origin of the page that asks, if it was named.
pub(crate) fn named_origin(headers: &HeaderMap, allowed: &Allowed) -> Option<HeaderValue> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = origins.next().filter(|origin| guard::is_listed(origin, allowed))?;
    origins.next().is_none().then(|| origin.clone())
}

/// Whether a browser asks what a page may send.
pub(crate) fn is_preflight(parts: &Parts) -> bool {
    let asks = parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    parts.method == Method::OPTIONS && asks
}

/// What a named page may send.
pub(crate) fn preflight(parts: &Parts) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, limits::PREFLIGHT_SECONDS.into());
    if parts.headers.contains_key(REQUEST_PRIVATE_NETWORK) {
        headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    response
}

/// Lets the page of a named origin read the answer.
pub(crate) fn let_read(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
