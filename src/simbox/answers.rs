//! Answers that are not streams: JSON, errors, and answers made bad on purpose.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Extensions, StatusCode};
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::faults::Mishap;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=UTF-8";

/// What an edge in front of the box says when the box does not answer.
const PAGE: &str = "<!DOCTYPE html><html><head><title>Bad gateway</title></head>\
    <body><h1>The web server reported a bad gateway error</h1></body></html>\n";

/// The connection that a request came on.
#[derive(Debug, Clone, Default)]
pub(super) struct Connection {
    /// Cancelled, drops it without an answer.
    pub(super) lose: CancellationToken,
    /// Cancelled, lets it answer what it was asked even if the box crashes.
    pub(super) spare: CancellationToken,
}

/// Drops the connection of the request with these extensions; never answers.
pub(super) async fn drop_connection(extensions: &Extensions) -> Response {
    if let Some(connection) = extensions.get::<Connection>() {
        connection.lose.cancel();
        std::future::pending::<()>().await;
    }
    // Only a request that came on no connection gets here.
    error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "the connection is lost")
}

/// An answer with a JSON body.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    // What the box tells are structs with text keys, which always serialise.
    with_body(status, JSON, serde_json::to_string(value).unwrap_or_default())
}

/// An answer with a JSON body that is text already.
pub(super) fn json_text(text: String) -> Response {
    with_body(StatusCode::OK, JSON, text)
}

/// An error as the box words it.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    json(status, &json!({ "success": false, "error": { "code": code, "message": message } }))
}

/// A body that is not what the route takes.
#[derive(Debug)]
pub(super) struct BadBody(String);

impl BadBody {
    /// Because of `why`.
    pub(super) fn because(why: impl std::fmt::Display) -> Self {
        Self(format!("not such a body: {why}"))
    }

    /// How it is answered.
    pub(super) fn answer(&self) -> Response {
        error(StatusCode::BAD_REQUEST, "BAD_REQUEST", &self.0)
    }
}

/// Nothing of that name.
pub(super) fn not_found(what: &str) -> Response {
    error(StatusCode::NOT_FOUND, "NOT_FOUND", what)
}

/// The bad answer that `mishap` means.
pub(super) fn bad(mishap: Mishap, retry_after: Option<Duration>) -> Response {
    match mishap {
        Mishap::Status(status) => bad_status(status, retry_after),
        Mishap::Html => with_body(StatusCode::OK, HTML, PAGE),
        Mishap::Empty => with_body(StatusCode::OK, JSON, ""),
        Mishap::Half => with_body(StatusCode::OK, JSON, "{\"data\":{\"session\":{\"state\":\"id"),
    }
}

fn bad_status(status: u16, retry_after: Option<Duration>) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match status {
        429 => {
            let mut response = error(code, "RATE_LIMITED", "too many requests");
            let seconds = retry_after.unwrap_or(Duration::from_secs(1)).as_secs();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        401 => error(code, "UNAUTHORIZED", "no token"),
        403 => error(code, "FORBIDDEN", "wrong token"),
        500 => error(code, "INTERNAL_ERROR", "something went wrong"),
        503 => error(code, "AGENT_WARMING_UP", "the agent is warming up"),
        // These come from the edge, which speaks HTML.
        _ => with_body(code, HTML, PAGE),
    }
}

fn with_body(status: StatusCode, content: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
    response
}
