//! A scripted box: an HTTP server that answers opencode's v1 routes as a real 1.18 does, from a
//! state that the test moves, with faults where the test wants them.
//!
//! - [`ScriptedBox::start`] binds port 0 on loopback; [`ScriptedBox::base`] is its URL.
//! - [`ScriptedBox::with`] reads or moves the state ([`BoxState`] has the verbs).
//! - [`ScriptedBox::on_prompt`] runs a script for each prompt that arrives.
//! - [`ScriptedBox::fail_next`] and [`ScriptedBox::fail_always`] put a [`Fault`] on a [`Route`].
//! - [`ScriptedBox::seen`] tells the requests that arrived, in order.
//!
//! It shares no type and no constant with the adapter, so that one misunderstanding cannot sit on
//! both sides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use afterbay::tasks::Tasks;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::box_state::{BoxState, HOME};
use super::daemon::LONG;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    /// `POST /session`.
    Open,
    /// `GET /session/{id}`.
    Session,
    /// `GET /session/{id}/message`.
    Messages,
    /// `POST /session/{id}/prompt_async`.
    Prompt,
    /// `POST /session/{id}/abort`.
    Abort,
    /// `GET /session/status`.
    Status,
    /// `GET /permission`.
    Permissions,
    /// `GET /question`.
    Questions,
    /// `POST /permission/{id}/reply` and the question routes.
    Reply,
    /// Anything else.
    Other,
}

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Another answer in the place of the right one; the request has no effect.
    Answer(u16, Vec<(&'static str, String)>, Bytes),
    /// A 200 whose JSON never ends.
    Endless,
    /// The request is read and has no effect; the connection is closed without an answer.
    LoseRequest,
    /// The request has its effect; the connection is closed without an answer.
    LoseAnswer,
    /// The request has its effect; another answer comes back.
    AnswerAfterEffect(u16),
    /// Nothing comes back at all; the connection stays.
    Silence,
}

impl Fault {
    /// An answer of this status and type.
    pub(crate) fn answer(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        Self::Answer(status, vec![("content-type", kind.to_owned())], body.into())
    }

    /// A gateway's page.
    pub(crate) fn html(status: u16) -> Self {
        Self::answer(status, "text/html; charset=utf-8", "<html><h1>Bad gateway</h1></html>")
    }

    /// The box's own JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::answer(status, "application/json", body.to_string())
    }

    /// An answer with a `Retry-After`.
    pub(crate) fn retry_after(status: u16, value: &str) -> Self {
        Self::Answer(status, vec![("retry-after", value.to_owned())], Bytes::new())
    }
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) route: Route,
    pub(crate) path: String,
    /// Decoded.
    pub(crate) directory: Option<String>,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Which of the connections it came on, counted from 0.
    pub(crate) connection: usize,
}

type Script = Box<dyn Fn(&mut BoxState, &str, &str) + Send>;

struct Shared {
    state: BoxState,
    next: BTreeMap<Route, VecDeque<Fault>>,
    always: BTreeMap<Route, Fault>,
    seen: Vec<Seen>,
    script: Option<Script>,
    /// Routes whose requests wait for their release before they have an effect.
    held: watch::Sender<BTreeSet<Route>>,
    /// How many requests have arrived on all routes.
    arrived: watch::Sender<usize>,
}

/// The running box. Dropped, it stops.
pub(crate) struct ScriptedBox {
    shared: Arc<Mutex<Shared>>,
    address: SocketAddr,
    tasks: Tasks,
}

impl ScriptedBox {
    /// Starts one on a free port of loopback.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Mutex::new(Shared {
            state: BoxState::new(),
            next: BTreeMap::new(),
            always: BTreeMap::new(),
            seen: Vec::new(),
            script: None,
            held: watch::Sender::default(),
            arrived: watch::Sender::default(),
        }));
        let tasks = Tasks::new();
        tasks.spawn("scripted box", serve(listener, Arc::clone(&shared), tasks.clone()));
        Self { shared, address, tasks }
    }

    /// Its URL, without a trailing slash.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: connections are closed, new ones are refused.
    pub(crate) async fn stop(&self) {
        self.tasks.stop();
        self.tasks.wait().await;
    }

    /// Reads or moves the state.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut BoxState) -> R) -> R {
        f(&mut self.lock().state)
    }

    /// Runs for each prompt, right after its message was put in: state, session, message id.
    pub(crate) fn on_prompt(&self, script: impl Fn(&mut BoxState, &str, &str) + Send + 'static) {
        self.lock().script = Some(Box::new(script));
    }

    /// One fault for the next request on `route`; more of them queue up.
    pub(crate) fn fail_next(&self, route: Route, fault: Fault) {
        self.lock().next.entry(route).or_default().push_back(fault);
    }

    /// A fault for all requests on `route`, until `None`.
    pub(crate) fn fail_always(&self, route: Route, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.lock().always.insert(route, fault),
            None => self.lock().always.remove(&route),
        };
    }

    /// Lets requests on `route` wait, before they have an effect, until [`ScriptedBox::release`].
    pub(crate) fn hold(&self, route: Route) {
        self.lock().held.send_if_modified(|held| held.insert(route));
    }

    /// Lets what waits on `route` go on.
    pub(crate) fn release(&self, route: Route) {
        self.lock().held.send_if_modified(|held| held.remove(&route));
    }

    /// Waits until `times` requests have arrived on `route`.
    pub(crate) async fn reached(&self, route: Route, times: usize) {
        let mut arrived = self.lock().arrived.subscribe();
        let there = arrived.wait_for(|_| self.seen(route).len() >= times);
        let there = timeout(LONG, there).await.expect("a request in time");
        there.expect("the box holds the sender");
    }

    /// Drops the faults that no request has met yet.
    pub(crate) fn forget_faults(&self) {
        self.lock().next.clear();
    }

    /// The requests on `route` so far.
    pub(crate) fn seen(&self, route: Route) -> Vec<Seen> {
        self.lock().seen.iter().filter(|seen| seen.route == route).cloned().collect()
    }

    /// All requests so far, in their order.
    pub(crate) fn all_seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no test panics while it holds the state")
    }
}

impl Drop for ScriptedBox {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Mutex<Shared>>, tasks: Tasks) {
    let stop = tasks.stop_token().clone();
    for connection in 0.. {
        // Both arms are cancel-safe: nothing is accepted in a dropped accept.
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = accepted else { continue };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tasks.spawn("scripted box connection", async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), connection, request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service);
            tokio::select! {
                () = stop.cancelled() => {}
                // A fault ends the connection with an error; that is its purpose.
                _ = connection => {}
            }
        });
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("a fault closes the connection")]
struct Close;

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(
    shared: Arc<Mutex<Shared>>,
    connection: usize,
    request: Request<Incoming>,
) -> Result<Answer, Close> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Close)?.to_bytes();
    let seen = Seen::new(&head, body, connection);
    let mut held = {
        let mut shared = shared.lock().expect("no test panics while it holds the state");
        shared.seen.push(seen.clone());
        (shared.held.subscribe(), shared.arrived.clone())
    };
    held.1.send_modify(|arrived| *arrived += 1);
    let released = held.0.wait_for(|held| !held.contains(&seen.route)).await;
    drop(released.map_err(|_| Close)?);
    let (fault, effect) = {
        let mut shared = shared.lock().expect("no test panics while it holds the state");
        let queued = shared.next.get_mut(&seen.route).and_then(VecDeque::pop_front);
        let fault = queued.or_else(|| shared.always.get(&seen.route).cloned());
        let has_effect = matches!(
            fault,
            None | Some(Fault::LoseAnswer | Fault::AnswerAfterEffect(_) | Fault::Silence)
        );
        (fault, has_effect.then(|| shared.handle(&seen)))
    };
    match fault {
        None => Ok(effect.expect("without a fault there is an answer")),
        Some(Fault::Answer(status, headers, body)) => {
            let mut answer = Response::builder().status(status);
            for (name, value) in headers {
                answer = answer.header(name, value);
            }
            Ok(answer.body(Full::new(body).boxed()).expect("a fault's answer can be built"))
        }
        Some(Fault::AnswerAfterEffect(status)) => {
            Ok(plain(StatusCode::from_u16(status).expect("a status"), Bytes::new()))
        }
        Some(Fault::Endless) => Ok(endless()),
        Some(Fault::LoseRequest | Fault::LoseAnswer) => Err(Close),
        Some(Fault::Silence) => std::future::pending().await,
    }
}

fn endless() -> Answer {
    let chunk = Bytes::from(vec![b'1'; 1 << 20]);
    let body = stream::unfold(false, move |opened| {
        let data = if opened { chunk.clone() } else { Bytes::from_static(b"[") };
        std::future::ready(Some((Ok::<_, Infallible>(Frame::data(data)), true)))
    });
    let body = BodyExt::boxed(StreamBody::new(body));
    Response::builder().header("content-type", "application/json").body(body).expect("an answer")
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into()).boxed();
    Response::builder().status(status).body(body).expect("an answer")
}

fn found(value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).boxed();
    Response::builder().header("content-type", "application/json").body(body).expect("an answer")
}

fn error(status: StatusCode, name: &str, message: &str) -> Answer {
    let mut answer = found(&json!({"name": name, "data": {"message": message}}));
    *answer.status_mut() = status;
    answer
}

impl Seen {
    fn new(head: &http::request::Parts, body: Bytes, connection: usize) -> Self {
        let path = head.uri.path().to_owned();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let route = route(&head.method, &path);
        let directory = value_of(&query, "directory").map(|value| percent_decoded(&value));
        Self { route, path, directory, query, headers: head.headers.clone(), body, connection }
    }

    /// The second segment of the path: a session's or a request's id.
    fn id(&self) -> String {
        self.path.split('/').nth(2).unwrap_or_default().to_owned()
    }
}

fn route(method: &Method, path: &str) -> Route {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (method.as_str(), segments.as_slice()) {
        ("POST", ["session"]) => Route::Open,
        ("GET", ["session", "status"]) => Route::Status,
        ("GET", ["session", _]) => Route::Session,
        ("GET", ["session", _, "message"]) => Route::Messages,
        ("POST", ["session", _, "prompt_async"]) => Route::Prompt,
        ("POST", ["session", _, "abort"]) => Route::Abort,
        ("GET", ["permission"]) => Route::Permissions,
        ("GET", ["question"]) => Route::Questions,
        ("POST", ["permission" | "question", _, "reply" | "reject"]) => Route::Reply,
        _ => Route::Other,
    }
}

impl Shared {
    fn handle(&mut self, seen: &Seen) -> Answer {
        let given = seen.headers.get("authorization").and_then(|value| value.to_str().ok());
        if self.state.authorization.is_some() && self.state.authorization.as_deref() != given {
            return plain(StatusCode::UNAUTHORIZED, Bytes::new());
        }
        let id = seen.id();
        let on_session = matches!(seen.route, Route::Session | Route::Messages | Route::Prompt);
        if on_session && !id.starts_with("ses") {
            return error(StatusCode::INTERNAL_SERVER_ERROR, "UnknownError", "Unexpected error");
        }
        if on_session && !self.state.sessions.contains_key(&id) {
            let message = format!("Session not found: {id}");
            return error(StatusCode::NOT_FOUND, "NotFoundError", &message);
        }
        let directory = seen.directory.as_deref().unwrap_or(HOME);
        match seen.route {
            Route::Open => {
                let id = self.state.open(directory);
                found(&self.state.session_json(&id).expect("just opened"))
            }
            Route::Session => found(&self.state.session_json(&id).expect("checked above")),
            Route::Messages => self.messages(&id, &seen.query),
            Route::Prompt => self.prompt(&id, &seen.body),
            Route::Abort => {
                // True also for a session that is unknown or lives in another directory.
                if self.state.sessions.get(&id).is_some_and(|s| s.directory == directory) {
                    self.state.abort(&id);
                }
                found(&json!(true))
            }
            Route::Status => found(&self.status(directory)),
            Route::Permissions => found(&self.listed(&self.state.permissions, directory)),
            Route::Questions => found(&self.listed(&self.state.questions, directory)),
            Route::Reply => {
                self.state.answer(&id);
                found(&json!(true))
            }
            Route::Other => error(StatusCode::NOT_FOUND, "NotFoundError", "no such route"),
        }
    }

    /// The newest N, oldest first; all without a limit.
    fn messages(&self, id: &str, query: &str) -> Answer {
        let messages = &self.state.sessions[id].messages;
        let limit = value_of(query, "limit").map_or(0, |limit| limit.parse().unwrap_or(0));
        let skipped = if limit == 0 { 0 } else { messages.len().saturating_sub(limit) };
        found(&Value::from(messages[skipped..].to_vec()))
    }

    fn prompt(&mut self, id: &str, body: &[u8]) -> Answer {
        let Ok(prompt) = serde_json::from_slice::<Value>(body) else {
            return error(StatusCode::INTERNAL_SERVER_ERROR, "UnknownError", "Unexpected error");
        };
        let bad = |what: &str| error(StatusCode::BAD_REQUEST, "BadRequest", what);
        if !prompt["parts"].is_array() {
            return bad("Expected array at [\"parts\"]");
        }
        let message = match prompt["messageID"].as_str() {
            Some(message) if message.starts_with("msg") => message.to_owned(),
            Some(_) => return bad("Expected a string starting with \"msg\" at [\"messageID\"]"),
            None => self.state.new_id("msg"),
        };
        self.state.user_message(id, &message, &prompt["parts"]);
        if let Some(script) = &self.script {
            script(&mut self.state, id, &message);
        }
        plain(StatusCode::NO_CONTENT, Bytes::new())
    }

    /// Scoped to one directory: asked with another, a busy session reads idle.
    fn status(&self, directory: &str) -> Value {
        let here = self.state.sessions.iter().filter(|(_, session)| session.directory == directory);
        let busy = here.filter_map(|(id, session)| Some((id.clone(), session.status.clone()?)));
        Value::Object(busy.collect::<Map<_, _>>())
    }

    fn listed(&self, requests: &[Value], directory: &str) -> Value {
        let is_here = |request: &&Value| {
            let session = request["sessionID"].as_str().and_then(|id| self.state.sessions.get(id));
            session.is_none_or(|session| session.directory == directory)
        };
        requests.iter().filter(is_here).cloned().collect()
    }
}

fn value_of(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn percent_decoded(value: &str) -> String {
    let mut bytes = value.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next(), bytes.next()].map(|digit| digit.expect("two hex digits"));
        let digits = std::str::from_utf8(&digits).expect("ASCII").to_owned();
        out.push(u8::from_str_radix(&digits, 16).expect("hex digits"));
    }
    String::from_utf8(out).expect("a directory is UTF-8")
}
