//! The operators' web page: its files, built into the program.
//!
//! They are open, since they say nothing of what runs here: the page asks for that with the token that its
//! user has. It needs nothing from elsewhere and is allowed nothing else: no script, style, connection or
//! frame but this door's own, and no text ever becomes markup.
//!
//! In reading order: `page.html`, `page.css`, then the modules, `main.js` first.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// What the page may do in a browser.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// One file of the page.
#[derive(Debug)]
struct File {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

/// All of them.
#[rustfmt::skip]
const FILES: &[File] = &[
    File { path: "/", content_type: HTML, content: include_str!("page.html") },
    File { path: "/page/page.css", content_type: CSS, content: include_str!("page.css") },
    File { path: "/page/icon.svg", content_type: SVG, content: include_str!("icon.svg") },
    File { path: "/page/main.js", content_type: SCRIPT, content: include_str!("main.js") },
    File { path: "/page/door.js", content_type: SCRIPT, content: include_str!("door.js") },
    File { path: "/page/entry.js", content_type: SCRIPT, content: include_str!("entry.js") },
    File { path: "/page/program.js", content_type: SCRIPT, content: include_str!("program.js") },
    File { path: "/page/sessions.js", content_type: SCRIPT, content: include_str!("sessions.js") },
    File { path: "/page/session.js", content_type: SCRIPT, content: include_str!("session.js") },
    File { path: "/page/timeline.js", content_type: SCRIPT, content: include_str!("timeline.js") },
    File { path: "/page/tail.js", content_type: SCRIPT, content: include_str!("tail.js") },
    File { path: "/page/follower.js", content_type: SCRIPT, content: include_str!("follower.js") },
    File { path: "/page/rows.js", content_type: SCRIPT, content: include_str!("rows.js") },
    File { path: "/page/dialog.js", content_type: SCRIPT, content: include_str!("dialog.js") },
    File { path: "/page/events.js", content_type: SCRIPT, content: include_str!("events.js") },
    File { path: "/page/format.js", content_type: SCRIPT, content: include_str!("format.js") },
    File { path: "/page/element.js", content_type: SCRIPT, content: include_str!("element.js") },
];

/// A route for each file.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.path, get(async |asked: HeaderMap| answer(file, &asked)))
    })
}

/// The answer that is a file: 304 to a browser that has it.
fn answer(file: &'static File, asked: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", blake3::hash(file.content.as_bytes()).to_hex());
    let mut known = asked.get_all(header::IF_NONE_MATCH).iter();
    let is_known = known.any(|known| known.as_bytes() == etag.as_bytes());
    let body = if is_known { Body::empty() } else { Body::from(file.content) };
    let mut response = Response::new(body);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, file.content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        // Asked again each time: after an update it must not be the page of before.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}
