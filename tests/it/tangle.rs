//! The sidecar's adapter against canned answers: what goes out byte for byte, what each answer to
//! a prompt means, how a lost one is found, and what a poll makes of every state and shape.

mod assuming;
mod dispatching;
mod finding;
mod interacting;
mod misleading;
mod polling;
mod preparing;
mod reading;
mod rewriting;

use afterbay::credential::Credential;
use afterbay::ids::{ExecutionId, SessionId, TurnId};
use afterbay::metrics::upstream::Metrics;
use afterbay::upstream::client::BoxClient;
use afterbay::upstream::connect::Connect;
use afterbay::upstream::endpoint::Endpoint;
use afterbay::upstream::tangle::{Settings, Tangle};
use afterbay::upstream::{
    Body, Bound, Depth, Error, PollCursor, Prepare, Prepared, TextHash, TurnIds, Upstream, View,
};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::support::scripted_sidecar::{Canned, Route, Sidecar};

/// A secret that must turn up in no error text.
const SECRET: &str = "Bearer canary-8af3";
/// The session that boxes assign here.
const ASSIGNED: &str = "sess_assigned";

fn who() -> Credential {
    Credential::new(SECRET)
}

fn adapter_with(sidecar: &Sidecar, settings: Settings) -> Tangle {
    let metrics = Metrics::new(&prometheus::Registry::new()).expect("a registry of its own");
    let endpoint = sidecar.base().parse::<Endpoint>().expect("a URL").fixed();
    Tangle::new(BoxClient::new(endpoint, &Connect::default(), metrics), settings)
}

fn adapter(sidecar: &Sidecar) -> Tangle {
    adapter_with(sidecar, Settings::default())
}

fn session_id(id: &str) -> SessionId {
    SessionId::parse(id).expect("an id")
}

/// A turn on the client's session `mine`, with the prompt `build it`.
fn new_turn() -> TurnIds {
    TurnIds {
        client_session: Some(session_id("mine")),
        box_session: None,
        execution: ExecutionId::parse("exec_1").expect("an id"),
        turn: Some(TurnId::parse("turn_1").expect("an id")),
        text: Some(TextHash::of("build it")),
    }
}

fn prompt(json: &str) -> Body {
    Body { headers: HeaderMap::new(), bytes: Bytes::copy_from_slice(json.as_bytes()) }
}

async fn prepared(adapter: &Tangle, ids: &TurnIds) -> Prepared {
    let prepare = adapter.prepare(Some(&who()), ids).await;
    let Prepare::Ready(prepared) = prepare else { panic!("not ready: {prepare:?}") };
    prepared
}

/// A session's status with these fields.
fn status(session: &Value) -> Canned {
    Canned::json(200, &json!({"data": {"session": session}}))
}

/// A message of the agent's with one text part.
fn said(id: &str, text: &str, metadata: &Value) -> Value {
    json!({"id": id, "role": "assistant", "metadata": metadata,
        "parts": [{"id": format!("prt_{id}"), "type": "text", "text": text}]})
}

/// The turn's prompt as the box keeps it.
fn asked() -> Value {
    json!({"id": "msg_ours", "role": "user", "metadata": {"turnId": "turn_1"},
        "parts": [{"id": "prt_ours", "type": "text", "text": "build it"}]})
}

/// One turn that the box has taken, and what a driver would keep of it.
struct Turn {
    sidecar: Sidecar,
    adapter: Tangle,
    bound: Bound,
    cursor: PollCursor,
}

/// What one poll saw.
#[derive(Debug)]
struct Polled {
    view: View,
    events: Vec<(String, Value)>,
    read_messages: bool,
}

impl Polled {
    fn names(&self) -> Vec<&str> {
        self.events.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The data of the only event with this name.
    fn only(&self, name: &str) -> &Value {
        let mut found = self.events.iter().filter(|(event, _)| event == name);
        let (_, data) = found.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.events));
        assert!(found.next().is_none(), "more than one {name} in {:?}", self.events);
        data
    }
}

impl Turn {
    /// On a session that the box has just made.
    async fn start() -> Self {
        Self::start_with(Settings::default(), None).await
    }

    /// On a session that the box had before, with these messages.
    async fn start_on(before: &Value) -> Self {
        Self::start_with(Settings::default(), Some(before)).await
    }

    async fn start_with(settings: Settings, before: Option<&Value>) -> Self {
        let sidecar = Sidecar::start().await;
        let adapter = adapter_with(&sidecar, settings);
        let mut ids = new_turn();
        if let Some(before) = before {
            ids.box_session = Some(session_id(ASSIGNED));
            sidecar.holds(before);
        }
        let prepared = prepared(&adapter, &ids).await;
        let execution = Some(ExecutionId::parse("exec_box").expect("an id"));
        let bound = Bound { ids, prepared, session: session_id(ASSIGNED), execution };
        sidecar.holds(&json!([asked()]));
        Self { sidecar, adapter, bound, cursor: PollCursor::default() }
    }

    /// Sets what the box says from here on.
    fn is(&self, session: &Value, messages: &Value) {
        self.sidecar.says(Route::Status, [status(session)]);
        self.sidecar.holds(messages);
    }

    async fn poll(&mut self) -> Polled {
        self.poll_at(Depth::Messages).await
    }

    async fn poll_at(&mut self, depth: Depth) -> Polled {
        self.try_poll(depth).await.expect("the box answers sensibly")
    }

    /// As [`Turn::poll`]; the data of the events as they are.
    async fn raw_poll(&mut self) -> Vec<String> {
        let polled = self.adapter.poll(None, &self.bound, &self.cursor, Depth::Messages).await;
        let mut told = Vec::new();
        for step in polled.expect("a page").steps {
            let data = |event: &afterbay::event::Event| event.data.as_bytes().to_vec();
            told.extend(step.events.iter().map(data));
            self.cursor.fold(step.delta);
        }
        told.into_iter().map(|data| String::from_utf8(data).expect("UTF-8")).collect()
    }

    /// Polls and takes everything over, as a driver does whose appends all succeed.
    async fn try_poll(&mut self, depth: Depth) -> Result<Polled, Error> {
        let page = self.adapter.poll(Some(&who()), &self.bound, &self.cursor, depth).await?;
        let mut polled = Polled {
            view: page.view,
            events: Vec::new(),
            read_messages: page.messages_took.is_some(),
        };
        for step in page.steps {
            for event in step.events {
                let name = String::from_utf8(event.name.as_bytes().to_vec()).expect("UTF-8");
                let data = serde_json::from_slice(event.data.as_bytes()).expect("JSON");
                polled.events.push((name, data));
            }
            self.cursor.fold(step.delta);
        }
        Ok(polled)
    }
}
