//! The hop between the daemon and the box: it forwards whole requests, counts the prompts that
//! pass, and can stop one at an aimed point for good: held, so that the test kills the daemon
//! exactly there, or cut, so that the daemon must find out what became of it.
//!
//! A request that was stopped is never forwarded or answered later, whatever happens.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::wait;

/// Where a request is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// The box's session is open, its answer is held: no prompt has left.
    SessionAnswer,
    /// The prompt has left the daemon and does not reach the box.
    PromptRequest,
    /// The box has the prompt, its answer is held.
    PromptAnswer,
}

/// The running hop.
#[derive(Debug)]
pub(crate) struct BoxHop {
    address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    armed: Mutex<Option<Armed>>,
    prompts: Mutex<Vec<String>>,
    authorized: AtomicUsize,
}

/// What happens to the next request that comes to a point.
#[derive(Debug)]
struct Armed {
    at: At,
    then: Then,
    reached: oneshot::Sender<()>,
}

/// How a request is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Its connection stays open and silent.
    Hold,
    /// Its connection is closed without an answer.
    Cut,
}

/// Resolves when the armed point is reached.
#[derive(Debug)]
pub(crate) struct Reached(oneshot::Receiver<()>);

impl Reached {
    /// Waits for the request to be stopped; panics with the point when it never comes.
    pub(crate) async fn wait(self, at: At) {
        let what = format!("a request is stopped at {at:?}");
        let reached = wait::within(Duration::from_secs(30), &what, self.0).await;
        reached.expect("the hop lives");
    }
}

impl BoxHop {
    /// Serves in front of `target` until dropped.
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the hop");
        let address = listener.local_addr().expect("the hop's address");
        let client = Client::builder(TokioExecutor::new()).build_http();
        let (armed, prompts, authorized) = Default::default();
        let shared = Arc::new(Shared { target, client, armed, prompts, authorized });
        let app = axum::Router::new().fallback(forward).with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, app).await.expect("serve the hop");
        });
        Self { address, shared, _server: server }
    }

    /// The base URL of the box, seen through the hop.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Holds the next request that comes to `at`.
    pub(crate) fn stop_at(&self, at: At) -> Reached {
        self.arm(at, Then::Hold)
    }

    /// Cuts the connection of the next request that comes to `at`.
    pub(crate) fn cut_at(&self, at: At) -> Reached {
        self.arm(at, Then::Cut)
    }

    fn arm(&self, at: At, then: Then) -> Reached {
        let (reached, hit) = oneshot::channel();
        let armed = Armed { at, then, reached };
        *self.shared.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some(armed);
        Reached(hit)
    }

    /// How many prompts that name `marker` the daemon has sent, whatever became of them.
    pub(crate) fn prompts_sent(&self, marker: &str) -> usize {
        let named = format!("[{marker}]");
        let prompts = self.shared.prompts.lock().unwrap_or_else(PoisonError::into_inner);
        prompts.iter().filter(|body| body.contains(&named)).count()
    }

    /// How many requests have carried a credential.
    pub(crate) fn authorized(&self) -> usize {
        self.shared.authorized.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Stops here for good if `at` is armed.
    async fn pass(&self, at: At) {
        let armed = {
            let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
            armed.take_if(|armed| armed.at == at)
        };
        let Some(Armed { at: _, then, reached }) = armed else { return };
        // The test may have given up; the request stays stopped all the same.
        let _gone = reached.send(());
        match then {
            Then::Hold => std::future::pending().await,
            // Ends the connection's task, and the connection with it; no panic is reported.
            Then::Cut => std::panic::resume_unwind(Box::new("cut as told")),
        }
    }
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if head.headers.contains_key(http::header::AUTHORIZATION) {
        shared.authorized.fetch_add(1, Ordering::Relaxed);
    }
    let posted = head.method == http::Method::POST;
    let prompt = posted && head.uri.path().ends_with("/prompt_async");
    let opening = posted && head.uri.path() == "/session";
    if prompt {
        let text = String::from_utf8_lossy(&body).into_owned();
        shared.prompts.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        shared.pass(At::PromptRequest).await;
    }
    let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    head.uri = format!("http://{}{path}", shared.target).parse().expect("an address and a path");
    let answer = shared.client.request(http::Request::from_parts(head, Full::new(body))).await;
    if opening {
        shared.pass(At::SessionAnswer).await;
    }
    if prompt {
        shared.pass(At::PromptAnswer).await;
    }
    answer.map_or_else(|_| cut(), |answer| answer.map(Body::new))
}

/// An answer that breaks off at once: what a client of a dead box sees.
fn cut() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>("the box is gone") });
    (StatusCode::BAD_GATEWAY, Body::from_stream(broken)).into_response()
}

#[tokio::test]
async fn a_stopped_prompt_never_arrives_and_a_stopped_answer_never_comes_back() {
    use super::fake_model::FakeModel;
    use super::http;
    use super::opencode::{Opencode, Settings};
    use serde_json::json;
    let model = FakeModel::start().await;
    let opencode = Opencode::start(&model.base_url(), Settings::default()).await;
    let hop = BoxHop::start(opencode.address()).await;
    let opened = http::Request::post("/session", &json!({})).send(hop.address).await;
    let session = opened.expect("an answer").json().await.expect("a session");
    let path = format!("/session/{}/prompt_async", session["id"].as_str().expect("an id"));
    for (marker, at, runs) in [("turn-1", At::PromptRequest, 0), ("turn-2", At::PromptAnswer, 1)] {
        let text = format!("[{marker}] [words=2]");
        let prompt = json!({"parts": [{"type": "text", "text": text}]});
        let prompt = http::Request::post(path.as_str(), &prompt);
        let reached = hop.stop_at(at);
        tokio::select! {
            answer = prompt.send(hop.address) => panic!("stopped at {at:?}, answered {answer:?}"),
            () = reached.wait(at) => {}
        }
        assert_eq!(hop.prompts_sent(marker), 1);
        if runs == 1 {
            model.called(marker, 1).await;
        }
        assert_eq!(model.runs(marker), runs, "stopped at {at:?}");
    }
    // What was stopped is not sent later: a whole turn of the same session runs after it.
    let last = json!({"parts": [{"type": "text", "text": "[turn-3] [words=2]"}]});
    let answer = http::Request::post(path, &last).send(hop.address).await.expect("an answer");
    assert_eq!(answer.status, 204);
    model.called("turn-3", 1).await;
    assert_eq!(model.runs("turn-1"), 0);
}
