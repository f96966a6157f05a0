//! A model for `opencode`: OpenAI's `/v1/chat/completions`, streaming and not, on loopback, in
//! the test's own process. What it says is fixed by the prompt (`script.rs`).
//!
//! It counts how often each turn's prompt was run: that is the proof that nothing runs twice. A
//! continuation after a tool result is no new run, nor is a repeat of a call that this model
//! itself refused, nor are the side requests for titles and summaries (they offer no tools).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::script::{Act, Script};
use super::wait;

/// The running model.
#[derive(Debug)]
pub(crate) struct FakeModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

/// What the model remembers.
#[derive(Debug)]
struct Shared {
    turns: Mutex<BTreeMap<String, Turn>>,
    calls: watch::Sender<usize>,
    open: watch::Sender<BTreeSet<String>>,
}

/// One turn's account.
#[derive(Debug, Default, Clone, Copy)]
struct Turn {
    runs: usize,
    calls: usize,
    refused: usize,
    repeats_owed: usize,
}

/// A chunk of the answer and what has to be true before it goes out.
type Piece = (Vec<Hold>, Value);

/// What holds a chunk back.
#[derive(Debug)]
enum Hold {
    For(Duration),
    Gate(String),
}

impl FakeModel {
    /// Binds a free port and serves until dropped.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the model");
        let address = listener.local_addr().expect("the model's address");
        let shared = Arc::new(Shared {
            turns: Mutex::default(),
            calls: watch::Sender::new(0),
            open: watch::Sender::default(),
        });
        let app = axum::Router::new()
            .route("/v1/chat/completions", axum::routing::post(complete))
            .with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, app).await.expect("serve the model");
        });
        Self { address, shared, _server: server }
    }

    /// What stands in `baseURL`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// How often the prompt named `marker` was run.
    pub(crate) fn runs(&self, marker: &str) -> usize {
        self.shared.turn(marker).runs
    }

    /// Every turn that was run, with how often.
    pub(crate) fn all_runs(&self) -> Vec<(String, usize)> {
        let turns = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.iter().map(|(marker, turn)| (marker.clone(), turn.runs)).collect()
    }

    /// Lets every answer go on that waits at this gate, now and later.
    pub(crate) fn open(&self, gate: &str) {
        self.shared.open.send_modify(|open| {
            open.insert(gate.to_owned());
        });
    }

    /// Resolves when the model was called `calls` times for the turn, refusals included.
    pub(crate) async fn called(&self, marker: &str, calls: usize) {
        let mut changes = self.shared.calls.subscribe();
        let what = format!("the model is called {calls} times for {marker}");
        wait::within(Duration::from_secs(60), &what, async {
            while self.shared.turn(marker).calls < calls {
                changes.changed().await.expect("the model lives");
            }
        })
        .await;
    }
}

impl Shared {
    fn turn(&self, marker: &str) -> Turn {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get(marker).copied().unwrap_or_default()
    }

    /// Books a call; says with which status to refuse it, if so.
    fn book(&self, call: &Call) -> Option<StatusCode> {
        let refusal = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = turns.entry(call.script.marker.clone()).or_default();
            turn.calls += 1;
            if call.results == 0 && turn.repeats_owed > 0 {
                turn.repeats_owed -= 1;
            } else if call.results == 0 {
                turn.runs += call.named;
            }
            call.refusal(turn)
        };
        self.calls.send_modify(|calls| *calls += 1);
        refusal
    }
}

/// A request, understood.
#[derive(Debug)]
struct Call {
    script: Script,
    /// Tool results since the user's words: 0 for a fresh prompt.
    results: usize,
    /// How often the user's last words name the turn: 2 if the same prompt was put in twice.
    named: usize,
    streaming: bool,
    /// A title or a summary, not the agent at work.
    aside: bool,
}

impl Call {
    fn read(request: &Value) -> Self {
        let none = Vec::new();
        let messages = request["messages"].as_array().unwrap_or(&none);
        let last_user = messages.iter().rposition(|message| message["role"] == "user");
        let words = last_user.map(|at| text_of(&messages[at]["content"])).unwrap_or_default();
        let after = last_user.map_or(&messages[..0], |at| &messages[at + 1..]);
        let script = Script::parse(&words);
        Self {
            results: after.iter().filter(|message| message["role"] == "tool").count(),
            named: words.matches(&format!("[{}]", script.marker)).count(),
            script,
            streaming: request["stream"] == true,
            aside: request["tools"].as_array().is_none_or(Vec::is_empty),
        }
    }

    /// Whether this call is to be refused; a refused fresh prompt will come again.
    fn refusal(&self, turn: &mut Turn) -> Option<StatusCode> {
        let acts = self.script.call(self.results);
        let refusal = acts.iter().find_map(|act| match act {
            Act::Fail { status, times } if turn.refused < *times => Some(*status),
            Act::Words { .. } | Act::Big(_) | Act::Quiet(_) => None,
            Act::Gate(_) | Act::Tool(_) | Act::Fail { .. } => None,
        })?;
        turn.refused += 1;
        turn.repeats_owed += usize::from(self.results == 0);
        Some(StatusCode::from_u16(refusal).expect("a status to fail with"))
    }
}

/// A message's content: a string, or an array of text parts.
fn text_of(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let parts = content.as_array().into_iter().flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}

async fn complete(State(shared): State<Arc<Shared>>, request: axum::extract::Request) -> Response {
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let request = body.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let Some(request) = request else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let call = Call::read(&request);
    let pieces = if call.aside {
        VecDeque::from([(vec![], json!({"content": "A title"})), (vec![], Value::Null)])
    } else if let Some(status) = shared.book(&call) {
        let error = json!({"error": {"message": "the model refuses as told", "type": "told"}});
        return (status, [(header::CONTENT_TYPE, "application/json")], error.to_string())
            .into_response();
    } else {
        pieces(&call)
    };
    if call.streaming { stream(shared, pieces) } else { whole(&shared, pieces).await }
}

/// The deltas of one model call; `null` stands for its end.
fn pieces(call: &Call) -> VecDeque<Piece> {
    let mut out = VecDeque::new();
    let mut holds = Vec::new();
    let name = call.script.marker.trim_start_matches("turn-");
    for act in call.script.call(call.results) {
        match act {
            Act::Quiet(time) => holds.push(Hold::For(time)),
            Act::Gate(gate) => holds.push(Hold::Gate(gate)),
            Act::Fail { .. } => {}
            Act::Words { count, pace } => {
                for at in 0..count {
                    let delta = json!({"content": format!("w{name}.{at} ")});
                    out.push_back((std::mem::take(&mut holds), delta));
                    holds.push(Hold::For(pace));
                }
                holds.clear();
            }
            Act::Big(bytes) => {
                out.push_back((std::mem::take(&mut holds), json!({"content": "b".repeat(bytes)})));
            }
            Act::Tool(command) => {
                let arguments = json!({"command": command, "description": "As told"}).to_string();
                let function = json!({"name": "bash", "arguments": arguments});
                let id = format!("call_{name}_{}", call.results);
                let tool = json!({"index": 0, "id": id, "type": "function", "function": function});
                out.push_back((std::mem::take(&mut holds), json!({"tool_calls": [tool]})));
            }
        }
    }
    out.push_back((holds, Value::Null));
    out
}

impl Shared {
    async fn wait(&self, holds: Vec<Hold>) {
        for hold in holds {
            match hold {
                Hold::For(time) => tokio::time::sleep(time).await,
                Hold::Gate(gate) => {
                    let mut open = self.open.subscribe();
                    // The sender lives in `self`, so waiting can only end with the gate.
                    let _open = open.wait_for(|open| open.contains(&gate)).await;
                }
            }
        }
    }
}

fn stream(shared: Arc<Shared>, pieces: VecDeque<Piece>) -> Response {
    let start = (shared, pieces, "stop");
    let chunks = futures_util::stream::unfold(start, |(shared, mut pieces, finish)| async move {
        let (holds, delta) = pieces.pop_front()?;
        shared.wait(holds).await;
        let finish = if delta["tool_calls"].is_array() { "tool_calls" } else { finish };
        let text = if delta.is_null() {
            let end = chunk(&json!({}), Some(finish));
            format!("data: {end}\n\ndata: [DONE]\n\n")
        } else {
            format!("data: {}\n\n", chunk(&delta, None))
        };
        Some((Ok::<_, Infallible>(Bytes::from(text)), (shared, pieces, finish)))
    });
    let head = [(header::CONTENT_TYPE, "text/event-stream")];
    (head, Body::from_stream(chunks)).into_response()
}

fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    let mut chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
        "model": "fake-1", "choices": [choice]});
    if finish.is_some() {
        chunk["usage"] = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15});
    }
    chunk
}

async fn whole(shared: &Shared, pieces: VecDeque<Piece>) -> Response {
    let (mut content, mut tools, mut finish) = (String::new(), Value::Null, "stop");
    for (holds, delta) in pieces {
        shared.wait(holds).await;
        content.push_str(delta["content"].as_str().unwrap_or_default());
        if delta["tool_calls"].is_array() {
            tools = delta["tool_calls"].clone();
            finish = "tool_calls";
        }
    }
    let message = json!({"role": "assistant", "content": content, "tool_calls": tools});
    let choice = json!({"index": 0, "message": message, "finish_reason": finish});
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15});
    let answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1,
        "model": "fake-1", "choices": [choice], "usage": usage});
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}
