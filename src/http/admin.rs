//! The door for whoever runs this: is it alive, is it ready, what does it count.
//!
//! All three are open; they show no id, no URL, no credential and nothing of a turn. `/livez` says that
//! the process answers; `/readyz` says whether new turns are taken, and if not, which of its
//! conditions is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::error::{Error, json};
use super::route::Allowed;
use crate::ids::BoxName;
use crate::log::{Health, Store};
use crate::metrics::Metrics;
use crate::mode::{BoxKind, Mode};
use crate::session::retention::Room;

/// What the admin door looks at.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Its health is a condition of readiness.
    pub store: Store,
    /// Another one: room for new turns.
    pub room: Room,
    /// Set when every unfinished turn has its driver again.
    pub resumed: Latch,
    /// Fires when afterbay stops.
    pub drain: CancellationToken,
    /// Shown, no condition.
    pub mode: Mode,
    /// The configured boxes, the one at the root first. Shown, no condition: a box that is away must
    /// not turn clients away from what is in the log.
    pub boxes: Vec<ShownBox>,
    /// What `/metrics` renders.
    pub metrics: Metrics,
}

/// A box as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownBox {
    name: String,
    kind: &'static str,
}

impl ShownBox {
    /// By its configured name and kind.
    #[must_use]
    pub fn new(name: &BoxName, kind: BoxKind) -> Self {
        Self { name: name.to_string(), kind: kind.as_str() }
    }
}

/// Something that becomes true once and stays so. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Latch(Arc<AtomicBool>);

impl Latch {
    /// Makes it true.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// All routes have the same methods.
const METHODS: Allowed = Allowed("GET, HEAD");

/// The routes of the admin port.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(async || Error::OperatorsRouteNotFound.into_response())
        .method_not_allowed_fallback(async || Error::MethodNotAllowed(METHODS).into_response())
        .with_state(admin)
}

/// What `/readyz` says.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Readiness<'a> {
    ready: bool,
    /// Why not; empty if it is.
    missing: Vec<&'static str>,
    log: &'static str,
    room: bool,
    resumed: bool,
    draining: bool,
    mode: &'static str,
    boxes: &'a [ShownBox],
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    health: Health,
    room: bool,
    resumed: bool,
    draining: bool,
    mode: Mode,
    boxes: &'a [ShownBox],
}

/// What must hold, by the name that is shown where it does not.
fn conditions(seen: Seen<'_>) -> [(&'static str, bool); 4] {
    let Seen { health, room, resumed, draining, mode: _, boxes: _ } = seen;
    [
        ("log", health == Health::Open),
        ("room", room),
        ("resumed", resumed),
        ("not draining", !draining),
    ]
}

fn readiness(seen: Seen<'_>) -> Readiness<'_> {
    let Seen { health, room, resumed, draining, mode, boxes } = seen;
    let log = match health {
        Health::Open => "open",
        Health::Refusing => "refusing",
        Health::Poisoned => "poisoned",
        Health::Closed => "closed",
    };
    let conditions = conditions(seen);
    let missing: Vec<_> =
        conditions.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect();
    let (ready, mode) = (missing.is_empty(), mode.as_str());
    Readiness { ready, missing, log, room, resumed, draining, mode, boxes }
}

impl Admin {
    fn seen(&self) -> Seen<'_> {
        Seen {
            health: self.store.health(),
            room: !self.room.is_short(),
            resumed: self.resumed.is_set(),
            draining: self.drain.is_cancelled(),
            mode: self.mode,
            boxes: &self.boxes,
        }
    }
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let readiness = readiness(admin.seen());
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, "application/json", json(&readiness))
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.metrics.process.readiness(conditions(admin.seen()));
    match admin.metrics.render() {
        Ok(text) => answer(StatusCode::OK, "text/plain; version=0.0.4", Body::from(text)),
        Err(error) => {
            tracing::error!(%error, "render metrics");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Body::empty())
        }
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: Seen<'static> = Seen {
        health: Health::Open,
        room: true,
        resumed: true,
        draining: false,
        mode: Mode::Poll,
        boxes: &[],
    };

    #[test]
    fn it_is_ready_when_every_condition_holds() {
        let ready = readiness(READY);
        assert!(ready.ready && ready.missing.is_empty());
        assert_eq!((ready.log, ready.mode), ("open", "poll"));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (seen, missing) in [
            (Seen { health: Health::Refusing, ..READY }, vec!["log"]),
            (Seen { health: Health::Poisoned, ..READY }, vec!["log"]),
            (Seen { health: Health::Closed, draining: true, ..READY }, vec!["log", "not draining"]),
            (Seen { room: false, ..READY }, vec!["room"]),
            (Seen { resumed: false, ..READY }, vec!["resumed"]),
            (Seen { draining: true, ..READY }, vec!["not draining"]),
        ] {
            let said = readiness(seen);
            assert_eq!((said.ready, &said.missing), (false, &missing));
        }
    }

    #[test]
    fn a_latch_stays_set_for_all_its_clones() {
        let latch = Latch::default();
        let clone = latch.clone();
        assert!(!clone.is_set());
        latch.set();
        assert!(clone.is_set());
    }
}
