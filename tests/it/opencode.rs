//! The opencode adapter against a scripted box: every trap of a real server by name, whatever a
//! box can answer that makes no sense, and what a turn costs.

mod bad_answers;
mod dispatching;
mod growth;
mod interacting;
mod traps;

use afterbay::credential::Credential;
use afterbay::ids::{ExecutionId, SessionId};
use afterbay::metrics::upstream::Metrics;
use afterbay::upstream::client::BoxClient;
use afterbay::upstream::connect::Connect;
use afterbay::upstream::endpoint::Endpoint;
use afterbay::upstream::opencode::Opencode;
use afterbay::upstream::{
    Accepted, Body, Bound, CursorDelta, Depth, Dispatch, Error, PollCursor, Prepare, Prepared,
    TurnIds, Upstream, View,
};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::support::box_state::BoxState;
use super::support::scripted_box::ScriptedBox;

/// A secret that must turn up in no error text.
const SECRET: &str = "Bearer canary-8af3";

fn adapter(scripted: &ScriptedBox) -> Opencode {
    let metrics = Metrics::new(&prometheus::Registry::new()).expect("a registry of its own");
    let endpoint = scripted.base().parse::<Endpoint>().expect("a URL").fixed();
    Opencode::new(BoxClient::new(endpoint, &Connect::default(), metrics))
}

fn who() -> Credential {
    Credential::new(SECRET)
}

fn new_turn() -> TurnIds {
    let execution = ExecutionId::parse("exec_1").expect("an id");
    TurnIds { client_session: None, box_session: None, execution, turn: None, text: None }
}

fn session_id(id: &str) -> SessionId {
    SessionId::parse(id).expect("an id")
}

fn prompt(json: &str) -> Body {
    Body { headers: HeaderMap::new(), bytes: Bytes::copy_from_slice(json.as_bytes()) }
}

async fn prepared(adapter: &Opencode, ids: &TurnIds) -> Prepared {
    let prepare = adapter.prepare(Some(&who()), ids).await;
    let Prepare::Ready(prepared) = prepare else { panic!("not ready: {prepare:?}") };
    prepared
}

/// One turn on a box of its own, and what a driver would keep of it.
struct Turn {
    scripted: ScriptedBox,
    adapter: Opencode,
    bound: Bound,
    cursor: PollCursor,
    deltas: Vec<Bytes>,
    /// The session's id at the box.
    session: String,
    /// Our prompt's message id.
    prompt: String,
}

/// What one poll saw.
#[derive(Debug)]
struct Polled {
    view: View,
    events: Vec<(String, Value)>,
    bytes: usize,
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
    /// A prompt that the box has taken; nothing runs yet.
    async fn start() -> Self {
        let scripted = ScriptedBox::start().await;
        Self::start_on(scripted, new_turn()).await
    }

    async fn start_on(scripted: ScriptedBox, ids: TurnIds) -> Self {
        let adapter = adapter(&scripted);
        let prepared = prepared(&adapter, &ids).await;
        let body = prompt(r#"{"message":"build it"}"#);
        let sent = adapter.dispatch(Some(&who()), &ids, &prepared, &body).await;
        let Dispatch::Accepted(Accepted { session, execution, .. }) = sent else {
            panic!("not accepted: {sent:?}")
        };
        let id = session.to_string();
        let message = scripted.with(|state| state.last_prompt(&id));
        let bound = Bound { ids, prepared, session, execution };
        Self {
            scripted,
            adapter,
            bound,
            cursor: PollCursor::default(),
            deltas: Vec::new(),
            session: id,
            prompt: message,
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut BoxState, &str, &str) -> R) -> R {
        self.scripted.with(|state| f(state, &self.session, &self.prompt))
    }

    async fn poll(&mut self) -> Polled {
        self.poll_at(Depth::Messages).await
    }

    async fn poll_at(&mut self, depth: Depth) -> Polled {
        self.try_poll(depth).await.expect("the box answers sensibly")
    }

    /// Polls and takes everything over, as a driver does whose appends all succeed.
    async fn try_poll(&mut self, depth: Depth) -> Result<Polled, Error> {
        let page = self.adapter.poll(Some(&who()), &self.bound, &self.cursor, depth).await?;
        let mut polled = Polled {
            view: page.view,
            events: Vec::new(),
            bytes: 0,
            read_messages: page.messages_took.is_some(),
        };
        for step in page.steps {
            for event in step.events {
                let name = String::from_utf8(event.name.as_bytes().to_vec()).expect("UTF-8");
                let data = serde_json::from_slice(event.data.as_bytes()).expect("JSON");
                polled.bytes += event.len();
                polled.events.push((name, data));
            }
            self.deltas.push(step.delta.encode());
            self.cursor.fold(step.delta);
        }
        Ok(polled)
    }

    /// What a restart keeps: the cursor, folded again from its bytes in the log.
    fn restart(&mut self) {
        let mut folded = PollCursor::default();
        for delta in &self.deltas {
            folded.fold(CursorDelta::decode(delta).expect("own bytes"));
        }
        assert_eq!(folded, self.cursor);
        self.adapter = adapter(&self.scripted);
        self.cursor = folded;
    }
}
