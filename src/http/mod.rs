//! The doors: every request that a client or a box's user sends comes in here.
//!
//! [`Service`] has one handler and no router, since a route is decided on the raw path (`route`): paths that
//! are not ours must reach the box with every byte. In order, for each request: for which box is it,
//! or for the Sandbox API ([`boxes`], [`front`]), and in which mode (`streaming`), is it meant for this
//! server and not sent by a foreign page (`guard`), is it let in ([`own_tokens`]), has it been here
//! before ([`passthrough`]), what does it ask (`route`), may it (`auth`), and then one file for each answer:
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
mod delivery;
mod end_to_end;
mod error;
mod events;
mod expect;
mod follow;
pub mod front;
pub mod guard;
mod head;
mod last_words;
mod leave;
mod listing;
mod native;
mod outgoing;
pub mod own_tokens;
mod page_token;
pub mod passthrough;
mod place;
mod query;
mod remembered;
mod route;
mod run_stream;
mod service;
mod settings;
mod source;
mod stream;
mod streaming;
mod tunnel;
mod turn_request;
mod upgrade;
mod upload;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use service::Service;
pub use settings::{SessionBus, Settings};

use crate::ids::BoxName;
use crate::metrics::http::{Asked, Metrics, Passed};
use crate::mode::Mode;
use crate::session::Sessions;
use crate::tasks::Tasks;
use crate::upstream::result_path::ResultPath;
use body::Budget;
use boxes::{Entrance, Hall, NamedBox};
use error::{Error, Resource};
use front::Front;
use outgoing::Outgoing;
use passthrough::Passthrough;
use place::Places;
use query::Query;
use route::Route;

/// What the doors need from the rest of the program.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Where turns are started and read.
    pub sessions: Sessions,
    /// How to behave.
    pub settings: Settings,
    /// What is counted here.
    pub metrics: Metrics,
    /// Fires when afterbay stops: streams end, new ones are turned away.
    pub drain: CancellationToken,
    /// What must finish although its client is gone runs here.
    pub tasks: Tasks,
    /// The box at the root, if there is one.
    pub root: Option<NamedBox>,
    /// The other boxes, each below its name.
    pub further: Vec<NamedBox>,
    /// The Sandbox API, if there is one.
    pub front: Option<Front>,
}

/// The door of one box, with what all doors share: the rest of the program, and the budgets.
#[derive(Debug, Clone)]
struct Door {
    doors: Arc<Doors>,
    audience: Audience,
    places: Places,
    bodies: Budget,
    outgoing: Outgoing,
    box_name: BoxName,
    /// The way to the box; there is none to a box of which only the log tells.
    way: Option<Passthrough>,
    /// Where it tells the results of turns.
    result_path: Option<ResultPath>,
}

/// Who comes through a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// Those who turns are run for: their streams are noted in the turns' timelines.
    Clients,
    /// Those who look after the program.
    Operators,
}

async fn serve(hall: &Hall, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    end_to_end::join_cookie(&mut parts);
    let Doors { settings, metrics, .. } = hall.root().doors.as_ref();
    let page = cors::named_origin(&parts.headers, &settings.allowed);
    let mode = streaming::take(&mut parts.headers).map(|mode| mode.unwrap_or(settings.mode));
    let counted = mode.as_ref().copied().unwrap_or(settings.mode);
    let (asked, about, answer) = match hall.entrance(&mut parts) {
        Ok(Entrance::Box(door)) => match admit(&door, &mut parts, mode, page.is_some()) {
            Ok(route) => {
                (label(&route), box_of(&door, &route), answer(&door, route, parts, body).await)
            }
            Err(error) => (Asked::Other, None, Err(error)),
        },
        Ok(Entrance::Api(front, door)) => {
            match admit_to_api(door, &mut parts, mode, page.is_some()) {
                Ok(ApiRoute::Api) => {
                    (Asked::Api, None, Box::pin(front.answer(door, parts, body)).await)
                }
                Ok(ApiRoute::Preflight) => (Asked::Other, None, Ok(cors::preflight(&parts))),
                Err(error) => (Asked::Other, None, Err(error)),
            }
        }
        Err(error) => (Asked::Other, None, Err(error)),
    };
    let mut response = answer.unwrap_or_else(Error::into_response);
    if let Some(origin) = page {
        cors::let_read(&mut response, origin);
    }
    let about = about.as_ref().map_or("", |name| hall.root().doors.sessions.label_of(name));
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
    if let Some(way) = &door.way {
        way.check_loop(&parts.headers)?;
    }
    match (route?, session_bus) {
        (Route::Session(_), SessionBus::Pass) => Ok(Route::Pass),
        (route, SessionBus::Log | SessionBus::Pass) => Ok(route),
    }
}

/// What a request to the Sandbox API is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ApiRoute {
    /// The API's.
    Api,
    /// The page of a named origin asks what it may send.
    Preflight,
}

/// As [`admit`], for what is the Sandbox API's: the same in every mode, of which there must be at most
/// one.
fn admit_to_api(
    door: &Door,
    parts: &mut Parts,
    mode: Result<Mode, Error>,
    is_named: bool,
) -> Result<ApiRoute, Error> {
    let Settings { allowed, tokens, .. } = &door.doors.settings;
    guard::check_host(parts, allowed)?;
    if is_named && cors::is_preflight(parts) {
        return Ok(ApiRoute::Preflight);
    }
    mode?;
    guard::check_origin(parts, allowed)?;
    tokens.admit(parts)?;
    Ok(ApiRoute::Api)
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
            let at = door.result_path.as_ref();
            let result = at.and_then(|at| route::result_route(&parts.method, path, at));
            let other = || route::route(&parts.method, path, &query, &parts.headers);
            result.map_or_else(other, Ok).map_err(Error::from)
        }
    })
}

async fn answer(door: &Door, route: Route, parts: Parts, body: Body) -> Result<Response, Error> {
    if matches!(route, Route::Pass) {
        return door.pass(parts, body).await;
    }
    // Beside the future of a passed request, which is moved several times: it would triple its size.
    Box::pin(answer_ours(door, route, parts, body)).await
}

async fn answer_ours(
    door: &Door,
    route: Route,
    parts: Parts,
    body: Body,
) -> Result<Response, Error> {
    let Door { doors, box_name, .. } = door;
    let sessions = &doors.sessions;
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
        Route::WebSocket => upgrade::carry(door, door.way()?, parts, body).await,
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

/// The box that a request is about.
fn box_of(door: &Door, route: &Route) -> Option<BoxName> {
    let Door { doors, box_name, .. } = door;
    let Route::Native(native) = route else { return Some(box_name.clone()) };
    native.box_name().filter(|name| doors.sessions.knows_box(name)).cloned()
}

fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

impl Door {
    /// The way to the box.
    fn way(&self) -> Result<&Passthrough, Error> {
        let unknown = || Error::BoxUnknown(Some(Resource::Box(self.box_name.clone())));
        self.way.as_ref().ok_or_else(unknown)
    }

    async fn pass(&self, parts: Parts, body: Body) -> Result<Response, Error> {
        let (way, began) = (self.way()?, Instant::now());
        let answer = way.send(parts, body).await;
        let came_to = match &answer {
            Ok(response) => Passed::Status(response.status().as_u16()),
            Err(Error::BoxUnreachable) => Passed::Unreachable,
            Err(Error::BoxBroke) => Passed::Broke,
            Err(_) => Passed::Refused,
        };
        let Doors { sessions, metrics, .. } = self.doors.as_ref();
        metrics.passed(sessions.label_of(&self.box_name), came_to, began.elapsed());
        answer
    }
}
