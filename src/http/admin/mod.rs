//! The door for whoever runs this: is it alive, is it ready, what does it count, what is going on; and
//! a few things to do.
//!
//! `/livez`, `/readyz` and `/metrics` are open, so that probes and scrapers need nothing: they show no
//! id, no URL, no credential and nothing of a turn. So are the files of the web page (`page`), which asks
//! for all that it shows. Everything else needs the token in the data folder (`entry`), whether it is
//! there or not. In reading order: `entry` says who is let in, `route` what is asked, then one file for
//! each answer: `readiness`, `status`, `log_level`, `sessions`, `timeline`, `ticket`, with their JSON in
//! `answers`.

mod answers;
mod entry;
mod log_level;
mod page;
mod readiness;
mod route;
mod sessions;
mod status;
mod ticket;
mod timeline;
mod wrong;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::body::Budget;
use super::error::{Error, json};
use super::outgoing::Outgoing;
use super::place::Places;
use super::route::Allowed;
use super::settings::Settings;
use super::{Audience, Door, Doors};
use crate::credential::AdminToken;
use crate::ids::BoxName;
use crate::limits;
use crate::metrics::Metrics;
use crate::mode::BoxKind;
pub use log_level::LogLevel;
pub use readiness::Latch;
use route::Route;
pub(super) use wrong::Wrong;

/// What the admin door looks at, and what it may touch.
#[derive(Debug, Clone)]
pub struct Admin {
    /// What lets operators in.
    pub token: AdminToken,
    /// Set when every unfinished turn has its driver again.
    pub resumed: Latch,
    /// The clients' doors: whose sessions, settings and end the operators' are, too.
    pub doors: Doors,
    /// The configured boxes, the one at the root first. Shown, no condition: a box that is away must
    /// not turn clients away from what is in the log.
    pub boxes: Vec<ShownBox>,
    /// What `/metrics` renders.
    pub metrics: Metrics,
    /// What operators may change.
    pub controls: Controls,
    /// Where clients connect, as a URL.
    pub clients: String,
}

/// What operators may change of the program itself.
#[derive(Debug, Clone)]
pub struct Controls {
    /// Which log lines are written.
    pub log_level: LogLevel,
    /// To be fired when an operator asks for the program's end.
    pub shutdown: CancellationToken,
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

/// The methods of the open routes.
const METHODS: Allowed = Allowed("GET, HEAD");

/// The admin door, open.
#[derive(Debug)]
struct Inside {
    admin: Admin,
    /// Through which sessions are read: with places of its own.
    door: Door,
    begun: status::Begun,
}

/// The routes of the admin port.
pub fn router(admin: Admin) -> Router {
    let door = door(&admin.doors);
    let inside = Arc::new(Inside { admin, door, begun: status::Begun::now() });
    page::routes()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(closed)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed(METHODS).into_response())
        .with_state(inside)
}

/// A door that leads to no box.
fn door(doors: &Doors) -> Door {
    let settings = Settings { max_streams: limits::MAX_ADMIN_STREAMS, ..doors.settings.clone() };
    let places = Places::new(&settings, doors.drain.clone());
    let bodies = Budget::new(limits::MAX_ADMIN_BODY_BYTES, limits::MAX_ADMIN_BODIES_BYTES);
    let doors = Doors { settings, root: None, further: Vec::new(), front: None, ..doors.clone() };
    let (doors, box_name) = (Arc::new(doors), BoxName::default_box());
    let outgoing = Outgoing::new(limits::LARGE_ADMIN_PIECES);
    let audience = Audience::Operators;
    Door { doors, audience, places, bodies, outgoing, box_name, way: None, result_path: None }
}

async fn readyz(State(inside): State<Arc<Inside>>) -> Response {
    let readiness = readiness::now(&inside.admin);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, &readiness)
}

async fn metrics(State(inside): State<Arc<Inside>>) -> Response {
    inside.admin.metrics.process.readiness(readiness::conditions_now(&inside.admin));
    match inside.admin.metrics.render() {
        Ok(text) => with_type(StatusCode::OK, "text/plain; version=0.0.4", Body::from(text)),
        Err(error) => {
            tracing::error!(%error, "render metrics");
            with_type(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Body::empty())
        }
    }
}

/// Whatever is not open.
async fn closed(State(inside): State<Arc<Inside>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    asked(&inside, parts, body).await.unwrap_or_else(Error::into_response)
}

async fn asked(inside: &Inside, mut parts: Parts, body: Body) -> Result<Response, Error> {
    let route = route::route(&parts.method, parts.uri.path());
    // Who has no token is not told which routes there are.
    entry::admit(inside, &mut parts, route.as_ref().ok())?;
    match route? {
        Route::Status => status::get(inside).await,
        Route::LogLevel => Ok(log_level::get(&inside.admin.controls.log_level)),
        Route::SetLogLevel => log_level::put(inside, &parts, body).await,
        Route::Sessions => sessions::list(inside, &parts).await,
        Route::Session(id) => sessions::one(inside, &parts, id).await,
        Route::Events(id) => sessions::events(inside, &parts, id).await,
        Route::Ticket(id) => sessions::ticket(inside, &parts, id).await,
        Route::Cancel(id, execution) => sessions::cancel(inside, &parts, id, execution).await,
        Route::Timeline(id, execution) => timeline::get(inside, &parts, id, execution).await,
        Route::Shutdown => Ok(status::shutdown(inside)),
    }
}

fn answer<T: Serialize>(status: StatusCode, body: &T) -> Response {
    with_type(status, "application/json", json(body))
}

fn with_type(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
