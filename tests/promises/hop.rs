//! The hop between an adapter and a box: it forwards whole requests, counts the prompts that pass,
//! keeps what the box answered, and breaks things where a test says so.
//!
//! - A prompt that is lost never reaches the box; an answer that is lost never comes back.
//! - [`Hop::refuse`] keeps the port, so that nobody else can answer there.
//! - Nothing is sent twice: each request that comes in goes out once, on a connection of its own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use super::CANARY;

/// Whether a request brings a prompt: its path and its body.
pub(super) type IsPrompt = fn(&str, &[u8]) -> bool;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The next prompt does not reach the box; its connection is closed.
    LosePrompt,
    /// The next prompt reaches the box; its connection is closed without an answer.
    LoseAnswer,
    /// The next prompt reaches the box; this comes back.
    GarbleAnswer(Garbage),
    /// Everything but prompts is answered so, until the hop is mended.
    GarbleReads(Garbage),
}

/// An answer that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Garbage {
    /// 502 and a gateway's page.
    BadGateway,
    /// 200 and a page.
    Page,
    /// 404 and a page.
    LostPage,
    /// 200 and nothing.
    Empty,
    /// 200 and the first half of the JSON.
    Half,
    /// 200, and the connection breaks in the middle of the JSON.
    Cut,
}

impl Garbage {
    pub(crate) const ALL: [Self; 6] =
        [Self::BadGateway, Self::Page, Self::LostPage, Self::Empty, Self::Half, Self::Cut];
}

/// The running hop.
#[derive(Debug)]
pub(crate) struct Hop {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::sync::Mutex<Server>,
}

#[derive(Debug)]
enum Server {
    Listening(JoinSet<()>),
    /// The port is held, and nobody listens.
    Refusing(TcpSocket),
    /// In between.
    Closed,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    is_prompt: IsPrompt,
    client: Client<HttpConnector, Full<Bytes>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    fault: Option<Fault>,
    /// The bodies of all prompts.
    prompts: Vec<Bytes>,
    requests: usize,
    /// The last answer of each path.
    last: BTreeMap<String, Bytes>,
    /// The path whose last answer is given again.
    frozen: Option<String>,
    /// The bodies that came back since they were last taken, streams left out.
    served: Vec<String>,
}

impl Hop {
    /// Serves in front of `target` until dropped.
    pub(crate) async fn start(target: SocketAddr, is_prompt: IsPrompt) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        let shared = Arc::new(Shared { target, is_prompt, client, seen: Mutex::default() });
        let server = Server::Listening(serve(listener, &shared));
        Self { address, shared, server: tokio::sync::Mutex::new(server) }
    }

    /// The base URL of the box, seen through the hop.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, this goes wrong.
    pub(crate) fn breaks(&self, fault: Fault) {
        self.shared.seen().fault = Some(fault);
    }

    /// From now on, what is read at `path` is what was read there last.
    pub(crate) fn freeze(&self, path: &str) {
        self.shared.seen().frozen = Some(path.to_owned());
    }

    /// From now on, all goes well; connections are taken again.
    pub(crate) async fn mend(&self) {
        {
            let mut seen = self.shared.seen();
            (seen.fault, seen.frozen) = (None, None);
        }
        let mut server = self.server.lock().await;
        *server = match std::mem::replace(&mut *server, Server::Closed) {
            Server::Refusing(socket) => {
                let listener = socket.listen(1024).expect("listen again");
                Server::Listening(serve(listener, &self.shared))
            }
            as_it_is @ (Server::Listening(_) | Server::Closed) => as_it_is,
        };
    }

    /// From now on, connections are refused, and those that were open are closed.
    pub(crate) async fn refuse(&self) {
        let mut server = self.server.lock().await;
        if let Server::Listening(tasks) = &mut *server {
            tasks.shutdown().await;
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_reuseaddr(true).expect("a socket's option");
            socket.bind(self.address).expect("the port is still free");
            *server = Server::Refusing(socket);
        }
    }

    /// How many prompts that say `words` have left the adapter, whatever became of them.
    pub(crate) fn prompts_with(&self, words: &str) -> usize {
        let seen = self.shared.seen();
        seen.prompts.iter().filter(|body| String::from_utf8_lossy(body).contains(words)).count()
    }

    /// How many requests have come.
    pub(crate) fn requests(&self) -> usize {
        self.shared.seen().requests
    }

    /// What the box answered since this was last asked.
    pub(crate) fn take_served(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.seen().served)
    }
}

fn serve(listener: TcpListener, shared: &Arc<Shared>) -> JoinSet<()> {
    let shared = Arc::clone(shared);
    let mut server = JoinSet::new();
    server.spawn(async move {
        // Dropped with the server, and the connections with it.
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            connections.spawn(async move {
                let service = service_fn(|request| forward(Arc::clone(&shared), request));
                let http = hyper::server::conn::http1::Builder::new();
                // A fault ends the connection with an error; that is its purpose.
                let _ended = http.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    server
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the hop closes the connection")]
struct Close;

type Answer = Response<BoxBody<Bytes, Close>>;

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong with a request. A fault of prompts is met by one of them.
    fn fault(&self, prompt: Option<&Bytes>) -> Option<Fault> {
        let mut seen = self.seen();
        seen.requests += 1;
        seen.prompts.extend(prompt.cloned());
        let is_for_reads = matches!(seen.fault, Some(Fault::GarbleReads(_)));
        match prompt {
            Some(_) => seen.fault.take_if(|_| !is_for_reads),
            None => seen.fault.filter(|_| is_for_reads),
        }
    }

    /// The answer that is given again at `path`, if there is one.
    fn frozen(&self, path: &str) -> Option<Answer> {
        let mut seen = self.seen();
        let is_frozen = seen.frozen.as_deref() == Some(path);
        let body = seen.last.get(path).filter(|_| is_frozen)?.clone();
        seen.served.push(String::from_utf8_lossy(&body).into_owned());
        let mut answer = Response::new(whole(body));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(answer)
    }

    async fn answer_of_the_box(&self, request: Request<Bytes>) -> Result<Answer, Close> {
        let (mut head, body) = request.into_parts();
        let here = head.uri.path().to_owned();
        if let Some(frozen) = self.frozen(&here) {
            return Ok(frozen);
        }
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        head.uri = format!("http://{}{path}", self.target).parse().map_err(|_| Close)?;
        let request = Request::from_parts(head, Full::new(body));
        let (head, body) = self.client.request(request).await.map_err(|_| Close)?.into_parts();
        let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if kind.starts_with(b"text/event-stream") {
            return Ok(Response::from_parts(head, body.map_err(|_| Close).boxed()));
        }
        let body = body.collect().await.map_err(|_| Close)?.to_bytes();
        let mut seen = self.seen();
        seen.served.push(String::from_utf8_lossy(&body).into_owned());
        seen.last.insert(here, body.clone());
        Ok(Response::from_parts(head, whole(body)))
    }
}

async fn forward(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Close> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Close)?.to_bytes();
    let is_prompt = head.method == Method::POST && (shared.is_prompt)(head.uri.path(), &body);
    let fault = shared.fault(is_prompt.then_some(&body));
    let request = Request::from_parts(head, body);
    match fault {
        None => shared.answer_of_the_box(request).await,
        Some(Fault::LosePrompt) => Err(Close),
        Some(Fault::LoseAnswer) => {
            shared.answer_of_the_box(request).await?;
            Err(Close)
        }
        Some(Fault::GarbleAnswer(garbage)) => {
            shared.answer_of_the_box(request).await?;
            let receipt = format!("{{\"data\":{{\"{CANARY}\":true,\"status\":\"running\"}}}}");
            Ok(garbled(garbage, &receipt.into()))
        }
        Some(Fault::GarbleReads(garbage)) => {
            let (head, body) = shared.answer_of_the_box(request).await?.into_parts();
            // What a stream would have said is not waited for.
            let is_whole = head.headers.contains_key(CONTENT_LENGTH);
            let body = if is_whole { body.collect().await?.to_bytes() } else { "{\"a\":1}".into() };
            Ok(garbled(garbage, &body))
        }
    }
}

fn whole(body: Bytes) -> BoxBody<Bytes, Close> {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed()
}

/// `garbage` in the place of an answer with this body.
fn garbled(garbage: Garbage, body: &Bytes) -> Answer {
    let page = format!("<html><h1>{CANARY}</h1></html>");
    let half = body.slice(..body.len() / 2);
    let (status, kind, shown) = match garbage {
        Garbage::BadGateway => (StatusCode::BAD_GATEWAY, "text/html", page.into()),
        Garbage::Page => (StatusCode::OK, "text/html", page.into()),
        Garbage::LostPage => (StatusCode::NOT_FOUND, "text/html", page.into()),
        Garbage::Empty => (StatusCode::OK, "application/json", Bytes::new()),
        Garbage::Half | Garbage::Cut => (StatusCode::OK, "application/json", half),
    };
    let mut answer = if garbage == Garbage::Cut {
        let parts = [Ok(Frame::data(shown)), Err(Close)];
        let mut cut = Response::new(BodyExt::boxed(StreamBody::new(stream::iter(parts))));
        cut.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len() + 1));
        cut
    } else {
        Response::new(whole(shown))
    };
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
