//! A turn as its client asks for it, before anything was sent: names, body, and the calls that
//! bring it to the box.

use std::sync::Arc;

use afterbay::ids::{ExecutionId, SessionId, TurnId};
use afterbay::upstream::{Accepted, Body, Dispatch, Found, Prepare, Prepared, TurnIds, Upstream};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{CANARY, Scene, Stage, until};

/// A request that is known to nobody yet.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// How the box's own account knows the turn: `turn-7`.
    pub(super) name: String,
    pub(super) ids: TurnIds,
    pub(super) body: Body,
    pub(super) adapter: Arc<dyn Upstream>,
}

impl Request {
    /// The first turn of a new session.
    pub(super) fn new(stage: &dyn Stage, scene: Scene) -> Self {
        let chat = format!("chat-{}", stage.number());
        Self::of(stage, scene, &chat, None)
    }

    /// The next turn of a session that the box has.
    pub(super) fn next(stage: &dyn Stage, scene: Scene, session: &SessionId) -> Self {
        Self::of(stage, scene, session.as_str(), Some(session))
    }

    fn of(stage: &dyn Stage, scene: Scene, chat: &str, bound: Option<&SessionId>) -> Self {
        let number = stage.number();
        let name = format!("turn-{number}");
        let mut json = stage.prompt(scene);
        let words = json["message"].as_str().expect("the stage gives a text");
        json["message"] = json!(format!("[{name}] {words} {CANARY}"));
        json["identifier"] = json!("default");
        json["sessionId"] = json!(chat);
        json["turnId"] = json!(format!("id-{number}"));
        let body = Body { headers: HeaderMap::new(), bytes: json.to_string().into() };
        let adapter = stage.adapter();
        let text = adapter.check_prompt(&body).expect("a prompt of this box");
        let ids = TurnIds {
            client_session: Some(SessionId::parse(chat).expect("an id")),
            box_session: bound.cloned(),
            execution: ExecutionId::parse(&format!("exec-{name}")).expect("an id"),
            turn: Some(TurnId::parse(&format!("id-{number}")).expect("an id")),
            text,
        };
        Self { name, ids, body, adapter }
    }

    /// The next turn of the session, in the same words as this one.
    pub(super) fn again(&self, stage: &dyn Stage, session: &SessionId) -> Self {
        let next = Self::next(stage, Scene::Answers, session);
        let said = |json: &[u8]| serde_json::from_slice::<Value>(json).expect("our own body");
        let mut json = said(&next.body.bytes);
        json["message"] = said(&self.body.bytes)["message"].clone();
        let body = Body { bytes: json.to_string().into(), ..next.body };
        let ids = TurnIds { text: self.ids.text, ..next.ids };
        Self { name: self.name.clone(), ids, body, adapter: next.adapter }
    }

    /// What marks the turn in its text.
    pub(super) fn mark(&self) -> String {
        format!("[{}]", self.name)
    }

    pub(super) async fn prepared(&self, stage: &dyn Stage) -> Prepared {
        let prepare = self.adapter.prepare(Some(&stage.who()), &self.ids).await;
        let Prepare::Ready(prepared) = prepare else { panic!("not ready: {prepare:?}") };
        prepared
    }

    pub(super) async fn dispatched(&self, stage: &dyn Stage, prepared: &Prepared) -> Dispatch {
        self.adapter.dispatch(Some(&stage.who()), &self.ids, prepared, &self.body).await
    }

    pub(super) async fn accepted(&self, stage: &dyn Stage, prepared: &Prepared) -> Accepted {
        let dispatch = self.dispatched(stage, prepared).await;
        let Dispatch::Accepted(accepted) = dispatch else { panic!("not taken: {dispatch:?}") };
        accepted
    }

    /// As [`Request::found`], of a prompt that the box has.
    pub(super) async fn arrived(&self, stage: &dyn Stage, prepared: &Prepared) -> Accepted {
        until("the prompt is found", async || {
            let is_there = stage.arrived(&self.name).await > 0;
            match self.found(stage, prepared).await {
                Found::Arrived(accepted) => Some(accepted),
                Found::Absent(boot) => {
                    assert!(!is_there, "{} is at the box: absent, {boot:?}", self.name);
                    None
                }
            }
        })
        .await
    }

    /// Looks for the prompt as another process does: without the body, with a new adapter.
    pub(super) async fn found(&self, stage: &dyn Stage, prepared: &Prepared) -> Found {
        let adapter = stage.adapter();
        let found = adapter.find(Some(&stage.who()), &self.ids, prepared).await;
        found.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}
