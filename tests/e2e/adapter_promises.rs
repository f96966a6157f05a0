//! The adapters' promises on a real opencode server, with the fake model behind it. One server for
//! each group of promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use afterbay::credential::Credential;
use afterbay::ids::SessionId;
use afterbay::metrics::upstream::Metrics;
use afterbay::upstream::Upstream;
use afterbay::upstream::client::BoxClient;
use afterbay::upstream::connect::Connect;
use afterbay::upstream::endpoint::Endpoint;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::fake_model::FakeModel;
use super::http::Request;
use super::opencode::{Opencode, Settings};

#[path = "../promises/mod.rs"]
mod promises;

use promises::{DISPATCHING, ENDING, FINDING, GARBAGE, Hop, POLLING, RIGHTS, WAITING};
use promises::{Scene, Stage, keep};

/// The server, the model, and the hop between the adapter and the server.
struct Real {
    opencode: Opencode,
    model: FakeModel,
    hop: Hop,
    numbers: AtomicUsize,
}

impl Real {
    /// A server with a password, whose tools need nobody's permission.
    async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    /// One whose agent asks before it runs a tool.
    async fn asking() -> Self {
        Self::with(Settings { ask_before_bash: true, ..Settings::default() }).await
    }

    async fn with(settings: Settings) -> Self {
        let model = FakeModel::start().await;
        let settings = Settings { password: Some("canary-owner-41d0".into()), ..settings };
        let opencode = Opencode::start(&model.base_url(), settings).await;
        let hop = Hop::start(opencode.address(), |path, _| path.ends_with("/prompt_async")).await;
        Self { opencode, model, hop, numbers: AtomicUsize::new(1) }
    }

    /// The words of all prompts on record that name the turn.
    async fn prompts(&self, name: &str) -> Vec<String> {
        let mark = format!("[{name}]");
        let mut prompts = Vec::new();
        for session in list(&self.opencode.ask(Request::get("/session")).await) {
            let id = session["id"].as_str().expect("a session's id");
            let messages = self.opencode.ask(Request::get(format!("/session/{id}/message"))).await;
            let users = list(&messages).into_iter().filter(|it| it["info"]["role"] == "user");
            let parts = users.flat_map(|message| list(&message["parts"]));
            let texts = parts.filter_map(|part| part["text"].as_str().map(str::to_owned));
            prompts.extend(texts.filter(|text| text.contains(&mark)));
        }
        prompts
    }
}

fn list(json: &Value) -> Vec<Value> {
    json.as_array().expect("a list").clone()
}

#[async_trait]
impl Stage for Real {
    fn hop(&self) -> &Hop {
        &self.hop
    }

    fn adapter(&self) -> Arc<dyn Upstream> {
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("a registry of its own");
        let endpoint = self.hop.url().parse::<Endpoint>().expect("a URL").fixed();
        let client = BoxClient::new(endpoint, &Connect::default(), metrics);
        Arc::new(afterbay::upstream::opencode::Opencode::new(client))
    }

    fn who(&self) -> Credential {
        Credential::new(&self.opencode.authorization().expect("the server has a password"))
    }

    fn stranger(&self) -> Credential {
        Credential::new("Basic b3BlbmNvZGU6c3RyYW5nZXI=")
    }

    fn unknown_session(&self) -> SessionId {
        SessionId::parse("ses_000000000000AAAAAAAAAAAAAA").expect("an id")
    }

    fn number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn prompt(&self, scene: Scene) -> Value {
        let growing =
            "for i in $(seq 80); do head -c 300 /dev/zero | tr '\\0' x; echo; sleep 0.02; done";
        let words = match scene {
            Scene::Answers | Scene::NeverBegins => "[tool=bash:echo hi] [words=3]",
            Scene::Works => "[tool=bash:echo hi] [gate=never] [words=1]",
            Scene::Fails => "[tool=bash:echo hi] [fail=400]",
            Scene::Asks => "[tool=bash:echo hi] [words=2]",
            Scene::Grows => &format!("[tool=bash:{growing}] [words=2]"),
            Scene::SaysMuch => "[big=700k] [tool=bash:echo hi] [big=700k]",
        };
        let model = if scene == Scene::NeverBegins { "no-such-model" } else { "fake-1" };
        json!({ "message": words, "model": { "providerID": "fake", "modelID": model } })
    }

    fn status_path(&self, _session: &SessionId) -> String {
        "/session/status".to_owned()
    }

    fn shows_growing_text(&self) -> Result<(), &'static str> {
        Err("its texts are empty until they are whole; what grows is a tool's output")
    }

    async fn go_on(&self, _name: &str) {}

    async fn answer(&self, _name: &str) {
        for permission in list(&self.opencode.ask(Request::get("/permission")).await) {
            let id = permission["id"].as_str().expect("a permission's id");
            let path = format!("/permission/{id}/reply");
            self.opencode.ask(Request::post(path, &json!({ "reply": "once" }))).await;
        }
    }

    async fn arrived(&self, name: &str) -> usize {
        self.prompts(name).await.len()
    }

    async fn runs(&self, name: &str) -> usize {
        self.model.runs(name)
    }

    async fn record(&self, session: &SessionId) -> String {
        let request = Request::get(format!("/session/{session}/message"));
        let request = request.header("authorization", self.who().expose());
        let answer = request.send(self.opencode.address()).await.expect("opencode answers");
        assert!(answer.status.is_success(), "the messages of {session}: {}", answer.status);
        let bytes = answer.bytes().await.expect("opencode answers in full");
        String::from_utf8(bytes.into()).expect("opencode speaks UTF-8")
    }
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_dispatching() {
    keep(&Real::start().await, &[DISPATCHING]).await;
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_finding() {
    keep(&Real::start().await, &[FINDING]).await;
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_polling() {
    keep(&Real::start().await, &[POLLING]).await;
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_ending() {
    keep(&Real::start().await, &[ENDING]).await;
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_waiting() {
    keep(&Real::asking().await, &[WAITING]).await;
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_rights_and_bad_answers() {
    let stage = Real::start().await;
    keep(&stage, &[RIGHTS, GARBAGE]).await;
}
