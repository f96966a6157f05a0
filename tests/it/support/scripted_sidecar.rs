//! A scripted sidecar: an HTTP server that gives canned answers, route by route, and keeps what it
//! was asked.
//!
//! - [`Sidecar::start`] binds port 0 on loopback; [`Sidecar::base`] is its URL.
//! - [`Sidecar::says`] puts answers on a [`Route`]: each is given once, the last one for ever.
//! - [`Sidecar::says_to`] does the same for one method and path, before any route.
//! - [`Sidecar::holds`] sets the messages that the message route gives, with its `limit`.
//! - [`Sidecar::seen`] tells the requests that arrived, in order.
//! - [`Sidecar::drops_all`] waits until nobody reads a stream any more.
//! - [`Sidecar::leaves_after`] makes it go away after some more answers.
//!
//! A route without an answer says 404, `/health` says that all is well. It shares nothing with the
//! adapter.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use afterbay::tasks::Tasks;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::daemon::LONG;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    /// `POST /agents/run/stream` with a prompt.
    Run,
    /// The same with a cursor.
    Replay,
    /// `GET /agents/sessions/{id}`.
    Status,
    /// `GET /agents/sessions/{id}/messages`.
    Messages,
    /// `POST /agents/sessions/{id}/messages`.
    Say,
    /// `POST /agents/sessions/{id}/abort`.
    Abort,
    /// `GET /health`.
    Health,
    /// Anything else.
    Other,
}

/// What comes back.
#[derive(Debug, Clone)]
pub(crate) struct Canned {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    End,
    /// The body stays open and says nothing more.
    Hang,
    /// The connection is closed before the head.
    Close,
}

impl Canned {
    /// An answer of this status and type.
    pub(crate) fn text(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", kind.to_owned())];
        Self { status, headers, body: body.into(), then: Then::End }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// The box's form of an error.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = json!({"success": false, "error": {"code": code, "message": "canary no"}});
        Self::json(status, &body)
    }

    /// A gateway's page.
    pub(crate) fn html(status: u16) -> Self {
        Self::text(status, "text/html; charset=utf-8", "<html><h1>canary</h1></html>")
    }

    /// An event stream of these frames: name and data.
    pub(crate) fn stream(frames: &[(&str, &str)]) -> Self {
        let frame = |(at, (name, data)): (usize, &(&str, &str))| {
            format!("id: {}\nevent: {name}\ndata: {data}\n\n", at + 1)
        };
        let body: String = frames.iter().enumerate().map(frame).collect();
        Self::text(200, "text/event-stream; charset=utf-8", body)
    }

    /// The same, and the stream stays open.
    pub(crate) fn hangs(self) -> Self {
        Self { then: Then::Hang, ..self }
    }

    /// No answer at all.
    pub(crate) fn nothing() -> Self {
        Self { then: Then::Close, ..Self::text(200, "", "") }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) route: Route,
    /// Method and path.
    pub(crate) line: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[derive(Default)]
struct Shared {
    answers: BTreeMap<Route, VecDeque<Canned>>,
    /// By method and path.
    answers_to: BTreeMap<String, VecDeque<Canned>>,
    messages: Option<Vec<Value>>,
    seen: Vec<Seen>,
    /// How many open streams somebody reads.
    held: watch::Sender<usize>,
    /// How many answers it still gives, if it is to go away.
    left: Option<usize>,
    door: watch::Sender<Door>,
}

/// Whether new connections are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Door {
    #[default]
    Open,
    /// Nobody will listen in a moment.
    Closing,
    Closed,
}

/// Counts as one held stream as long as it lives.
struct Held(watch::Sender<usize>);

impl Held {
    fn new(held: watch::Sender<usize>) -> Self {
        held.send_modify(|held| *held += 1);
        Self(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

/// The running server. Dropped, it stops.
pub(crate) struct Sidecar {
    shared: Arc<Mutex<Shared>>,
    address: SocketAddr,
    tasks: Tasks,
}

impl Sidecar {
    /// Starts one on a free port of loopback.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let tasks = Tasks::new();
        tasks.spawn("scripted sidecar", serve(listener, Arc::clone(&shared), tasks.clone()));
        let sidecar = Self { shared, address, tasks };
        sidecar.says(Route::Health, [Canned::json(200, &json!({"status": "ok", "bootId": "b1"}))]);
        sidecar
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops: connections are closed, new ones are refused.
    pub(crate) async fn stop(&self) {
        self.tasks.stop();
        self.tasks.wait().await;
    }

    /// Gives so many more answers, at least one, and is then gone: the last one is given when new
    /// connections are refused already, and older ones are closed.
    pub(crate) fn leaves_after(&self, answers: usize) {
        self.lock().left = Some(answers);
    }

    /// Replaces the answers of a route.
    pub(crate) fn says(&self, route: Route, answers: impl IntoIterator<Item = Canned>) {
        self.lock().answers.insert(route, answers.into_iter().collect());
    }

    /// Replaces the answers to what is asked so, as `GET /path`.
    pub(crate) fn says_to(&self, line: &str, answers: impl IntoIterator<Item = Canned>) {
        self.lock().answers_to.insert(line.to_owned(), answers.into_iter().collect());
    }

    /// The requests so far that asked so.
    pub(crate) fn seen_at(&self, line: &str) -> Vec<Seen> {
        self.lock().seen.iter().filter(|seen| seen.line == line).cloned().collect()
    }

    /// Sets the messages of every session, oldest first.
    pub(crate) fn holds(&self, messages: &Value) {
        self.lock().messages = messages.as_array().cloned();
    }

    /// The requests on `route` so far.
    pub(crate) fn seen(&self, route: Route) -> Vec<Seen> {
        self.lock().seen.iter().filter(|seen| seen.route == route).cloned().collect()
    }

    /// Waits until nobody reads any of the open streams.
    pub(crate) async fn drops_all(&self) {
        let mut held = self.lock().held.subscribe();
        let dropped = timeout(LONG, held.wait_for(|held| *held == 0)).await;
        drop(dropped.expect("the streams are dropped").expect("the sidecar holds the sender"));
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no test panics while it holds the state")
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Mutex<Shared>>, tasks: Tasks) {
    let stop = tasks.stop_token().clone();
    let door = shared.lock().expect("no test panics while it holds the state").door.clone();
    let mut closing = door.subscribe();
    loop {
        // All arms are cancel-safe: nothing is accepted in a dropped accept.
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            _ = closing.wait_for(|door| *door == Door::Closing) => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = accepted else { continue };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tasks.spawn("scripted sidecar connection", async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service);
            tokio::select! {
                () = stop.cancelled() => {}
                // A canned close ends the connection with an error; that is its purpose.
                _ = connection => {}
            }
        });
    }
    drop(listener);
    door.send_replace(Door::Closed);
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the script closes the connection")]
struct Close;

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(
    shared: Arc<Mutex<Shared>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Close> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Close)?.to_bytes();
    let seen = Seen {
        route: route(&head),
        line: format!("{} {}", head.method, head.uri.path()),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    };
    let (canned, held, door, left) = {
        let mut shared = shared.lock().expect("no test panics while it holds the state");
        shared.seen.push(seen.clone());
        shared.left = shared.left.map(|left| left.checked_sub(1).ok_or(Close)).transpose()?;
        (shared.next(&seen), shared.held.clone(), shared.door.clone(), shared.left)
    };
    let Canned { status, headers, body, then } = canned;
    if then == Then::Close {
        return Err(Close);
    }
    let mut response = Response::builder().status(status);
    if left == Some(0) {
        door.send_replace(Door::Closing);
        let closed = door.subscribe().wait_for(|door| *door == Door::Closed).await.is_ok();
        assert!(closed, "the door outlives its answers");
        response = response.header("connection", "close");
    }
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let first = stream::iter((!body.is_empty()).then_some(Ok::<_, Infallible>(Frame::data(body))));
    let body: Body = if then == Then::Hang {
        let held = Held::new(held);
        let open = first.chain(stream::pending()).map(move |frame| {
            let _held = &held;
            frame
        });
        BodyExt::boxed(StreamBody::new(open))
    } else {
        BodyExt::boxed(StreamBody::new(first))
    };
    Ok(response.body(body).expect("a canned answer can be built"))
}

fn route(head: &http::request::Parts) -> Route {
    let segments: Vec<&str> = head.uri.path().split('/').skip(1).collect();
    match (head.method.as_str(), segments.as_slice()) {
        ("POST", ["agents", "run", "stream"]) if head.headers.contains_key("last-event-id") => {
            Route::Replay
        }
        ("POST", ["agents", "run", "stream"]) => Route::Run,
        ("GET", ["agents", "sessions", _]) => Route::Status,
        ("GET", ["agents", "sessions", _, "messages"]) => Route::Messages,
        ("POST", ["agents", "sessions", _, "messages"]) => Route::Say,
        ("POST", ["agents", "sessions", _, "abort"]) => Route::Abort,
        ("GET", ["health"]) => Route::Health,
        _ => Route::Other,
    }
}

impl Shared {
    fn next(&mut self, seen: &Seen) -> Canned {
        let queue = match self.answers_to.get_mut(&seen.line) {
            Some(queue) => queue,
            None => self.answers.entry(seen.route).or_default(),
        };
        let canned = if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() };
        if let Some(canned) = canned {
            return canned;
        }
        match &self.messages {
            Some(messages) if seen.route == Route::Messages => {
                let limit = seen.query.strip_prefix("limit=").and_then(|limit| limit.parse().ok());
                let first = messages.len().saturating_sub(limit.unwrap_or(usize::MAX));
                Canned::json(200, &json!({"data": {"messages": &messages[first..]}}))
            }
            _ => Canned::error(404, "NOT_FOUND"),
        }
    }
}
