//! The doors: every request that a client or a box's user sends comes in here.
//!
//! [`router`] has one handler, since a route is decided on the raw path (`route`): paths that
//! are not ours must reach the box with every byte. In order, for each request: for which box is it
//! ([`boxes`]) and in which mode (`streaming`), is it meant for this server and not sent by a foreign
//! page (`guard`), is it let in ([`own_tokens`]), has it been here before ([`passthrough`]), what does
//! it ask (`route`), may it (`auth`), and then one file for each answer:
//! `run_stream`, `events`, `abort`, [`passthrough`], `upgrade`, and those of the native API below
//! `native`. A named page is told that it may read the answer (`cors`). What streams show is read from
//! the log alone (`follow`, `stream`). Every
//! error becomes an answer in `error`. [`admin`] is a door of its own, on its own port.
//!
//! Nothing here holds a turn: a client that goes away takes nothing with it but its stream.

mod abort;
pub mod admin;
mod auth;
mod body;
pub mod boxes;
mod cors;
mod cursor;
mod end_to_end;
mod error;
mod events;
mod expect;
mod follow;
pub mod guard;
mod head;
mod last_words;
mod leave;
mod native;
pub mod own_tokens;
pub mod passthrough;
mod place;
mod query;
mod remembered;
mod route;
mod run_stream;
mod settings;
mod stream;
mod streaming;
mod tunnel;
mod turn_request;
mod upgrade;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use tokio_util::sync::CancellationToken;

pub use settings::{SessionBus, Settings};

use crate::ids::BoxName;
use crate::metrics::http::{Asked, Metrics};
use crate::mode::Mode;
use crate::session::Sessions;
use crate::tasks::Tasks;
use body::Budget;
use boxes::{FurtherBox, Hall};
use error::Error;
use passthrough::Passthrough;
use place::Places;
use query::Query;
use route::Route;

/// What the doors need from the rest of the program.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Where turns are started and read.
    pub sessions: Sessions,
    /// The way to the box at the root for everything else.
    pub passthrough: Passthrough,
    /// How to behave.
    pub settings: Settings,
    /// What is counted here.
    pub metrics: Metrics,
    /// Fires when afterbay stops: streams end, new ones are turned away.
    pub drain: CancellationToken,
    /// What must finish although its client is gone runs here.
    pub tasks: Tasks,
    /// The box at the root.
    pub box_name: BoxName,
    /// The other boxes, each below its name.
    pub further: Vec<FurtherBox>,
}

/// The doors of one box, with what they keep between requests: the budgets.
#[derive(Debug)]
struct Door {
    doors: Doors,
    places: Places,
    bodies: Budget,
}

/// The routes of the public port.
pub fn router(doors: Doors) -> Router {
    Router::new().fallback(serve).with_state(Arc::new(Hall::new(doors)))
}

async fn serve(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    end_to_end::join_cookie(&mut parts);
    let Doors { settings, metrics, .. } = &hall.root().doors;
    let page = cors::named_origin(&parts.headers, &settings.allowed);
    let mode = streaming::take(&mut parts.headers).map(|mode| mode.unwrap_or(settings.mode));
    let counted = mode.as_ref().copied().unwrap_or(settings.mode);
    let admitted = hall.door(&mut parts).and_then(|door| {
        let route = admit(door, &mut parts, mode, page.is_some())?;
        Ok((door, route))
    });
    let (asked, about, answer) = match admitted {
        Ok((door, route)) => {
            (label(&route), box_of(door, &route), answer(door, route, parts, body).await)
        }
        Err(error) => (Asked::Other, None, Err(error)),
    };
    let mut response = answer.unwrap_or_else(Error::into_response);
    if let Some(origin) = page {
        cors::let_read(&mut response, origin);
    }
    let about = about.as_ref().map_or("", BoxName::as_str);
    metrics.answered(asked, about, counted, response.status().as_u16());
    response
}

/// Lets a request in and says what it asks; `is_named` if a page of a named origin sends it. No work is
/// done before.
fn admit(
    door: &Door,
    parts: &mut Parts,
    mode: Result<Mode, Error>,
    is_named: bool,
) -> Result<Route, Error> {
    let Settings { session_bus, allowed, tokens, .. } = &door.doors.settings;
    guard::check_host(parts, allowed)?;
    if is_named && cors::is_preflight(parts) {
        return Ok(Route::Preflight);
    }
    let route = mode.and_then(|mode| asked(door, parts, mode));
    let is_options = matches!(route, Ok(Route::Options(_)));
    // A page that asks what it may do is told nothing, so it may ask.
    if !is_options {
        guard::check_origin(parts, allowed)?;
    }
    if !(is_options && cors::is_preflight(parts)) {
        tokens.admit(parts)?;
    }
    door.doors.passthrough.check_loop(&parts.headers)?;
    match (route?, session_bus) {
        (Route::Session(_), SessionBus::Pass) => Ok(Route::Pass),
        (route, SessionBus::Log | SessionBus::Pass) => Ok(route),
    }
}

/// What a request asks.
fn asked(door: &Door, parts: &Parts, mode: Mode) -> Result<Route, Error> {
    let path = parts.uri.path();
    let query = Query::parse(parts.uri.query());
    native::route(&parts.method, path).unwrap_or_else(|| match mode {
        // None of our other routes speaks that protocol, whatever its path.
        _ if upgrade::is_asked(parts) => Ok(Route::WebSocket),
        Mode::Sse if path.starts_with('/') => Ok(Route::Pass),
        Mode::Sse | Mode::Poll => {
            let at = door.doors.settings.result_path.as_ref();
            let result = at.and_then(|at| route::result_route(&parts.method, path, at));
            let other = || route::route(&parts.method, path, &query, &parts.headers);
            result.map_or_else(other, Ok).map_err(Error::from)
        }
    })
}

async fn answer(door: &Door, route: Route, parts: Parts, body: Body) -> Result<Response, Error> {
    let Doors { sessions, box_name, .. } = &door.doors;
    match route {
        Route::Turn => run_stream::post(door, parts, body).await,
        Route::NamedReplay => events::named(door, &parts).await,
        Route::Replay(execution) => events::execution(door, &parts, &execution).await,
        Route::PerhapsReplay(names) => {
            match names.iter().find_map(|name| sessions.turn(box_name, name)) {
                Some(turn) => events::turn(door, &parts, turn).await,
                None => door.pass(parts, body).await,
            }
        }
        Route::Session(id) => match sessions.session(box_name, &id) {
            Some(session) => events::session(door, &parts, &session, id).await,
            None => door.pass(parts, body).await,
        },
        Route::SessionState(id) => remembered::state(door, parts, body, &id).await,
        Route::SessionResult(id) => remembered::result(door, parts, body, &id).await,
        Route::Abort(id) => abort::post(door, parts, body, id).await,
        Route::Native(route) => native::answer(door, route, parts, body).await,
        Route::Options(_) => Ok(no_content()),
        Route::Preflight => Ok(cors::preflight(&parts)),
        Route::WrongMethod(allowed) => Err(Error::MethodNotAllowed(allowed)),
        Route::WebSocket => upgrade::carry(door, parts, body).await,
        Route::Pass => door.pass(parts, body).await,
    }
}

const fn label(route: &Route) -> Asked {
    match route {
        Route::Turn => Asked::Turn,
        Route::NamedReplay | Route::Replay(_) | Route::PerhapsReplay(_) => Asked::Replay,
        Route::Session(_) => Asked::Session,
        Route::Abort(_) => Asked::Abort,
        Route::Native(_) => Asked::Native,
        Route::WebSocket => Asked::WebSocket,
        Route::Options(_) | Route::Preflight | Route::WrongMethod(_) => Asked::Other,
        Route::Pass | Route::SessionState(_) | Route::SessionResult(_) => Asked::Passed,
    }
}

/// The configured box that a request is about.
fn box_of(door: &Door, route: &Route) -> Option<BoxName> {
    let Doors { sessions, box_name, .. } = &door.doors;
    let Route::Native(native) = route else { return Some(box_name.clone()) };
    native.box_name().filter(|name| sessions.knows_box(name)).cloned()
}

fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

impl Door {
    async fn pass(&self, parts: Parts, body: Body) -> Result<Response, Error> {
        self.doors.passthrough.send(parts, body).await
    }
}
