//! The stage of the sandbox's adapter: a simulated box in this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use afterbay::credential::Credential;
use afterbay::ids::SessionId;
use afterbay::metrics::upstream::Metrics;
use afterbay::simbox::{Faults, Simbox};
use afterbay::tasks::Tasks;
use afterbay::upstream::Upstream;
use afterbay::upstream::client::BoxClient;
use afterbay::upstream::connect::Connect;
use afterbay::upstream::endpoint::Endpoint;
use afterbay::upstream::tangle::{Settings, Tangle};
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::raw::{Conn, read};
use super::promises::{Hop, Scene, Stage};

const TOKEN: &str = "canary-owner-41d0";

/// The served box and the hop in front of it. Dropped, both stop.
pub(super) struct Simulated {
    simbox: Simbox,
    address: SocketAddr,
    stop: CancellationToken,
    settings: Settings,
    hop: Hop,
    numbers: AtomicUsize,
    _tasks: Tasks,
}

impl Simulated {
    /// A box that speaks as these words say, and an adapter that was set so.
    pub(super) async fn start(words: &str, settings: Settings) -> Self {
        let faults = Faults::default().with_words_of(words).expect("good words");
        let simbox = Simbox::new(faults);
        simbox.accept_tokens(vec![TOKEN.to_owned()]);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, tasks) = (CancellationToken::new(), Tasks::new());
        let serving = simbox.clone().serve(listener, stop.clone());
        tasks.spawn("simbox", async move { serving.await.expect("served to its end") });
        let hop = Hop::start(address, is_prompt).await;
        Self { simbox, address, stop, settings, hop, numbers: AtomicUsize::new(0), _tasks: tasks }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A run without a message is a request for a replay.
fn is_prompt(path: &str, body: &[u8]) -> bool {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_run = path == "/agents/run/stream";
    let is_message = path.starts_with("/agents/sessions/") && path.ends_with("/messages");
    is_message || (is_run && json["message"].as_str().is_some_and(|text| !text.is_empty()))
}

#[async_trait]
impl Stage for Simulated {
    fn hop(&self) -> &Hop {
        &self.hop
    }

    fn adapter(&self) -> Arc<dyn Upstream> {
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("a registry of its own");
        let endpoint = self.hop.url().parse::<Endpoint>().expect("a URL").fixed();
        let client = BoxClient::new(endpoint, &Connect::default(), metrics);
        Arc::new(Tangle::new(client, self.settings.clone()))
    }

    fn who(&self) -> Credential {
        Credential::new(&format!("Bearer {TOKEN}"))
    }

    fn stranger(&self) -> Credential {
        Credential::new("Bearer canary-stranger-9b27")
    }

    fn unknown_session(&self) -> SessionId {
        SessionId::parse("no-such-chat").expect("an id")
    }

    fn number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn prompt(&self, scene: Scene) -> Value {
        let words = match scene {
            Scene::Answers => "tool=1 parts=2 step=5ms",
            Scene::Works => "tool=2 parts=2 quiet=1h",
            Scene::Fails => "tool=1 parts=1 step=5ms fail=MODEL_DOWN",
            Scene::Asks => "tool=2 parts=2 wait=answer wait-for=approval",
            Scene::Grows => "grow=800 step=1ms",
            Scene::SaysMuch => "tool=1 parts=2 big=1200KB",
            Scene::NeverBegins => "never",
        };
        json!({ "message": words })
    }

    fn status_path(&self, session: &SessionId) -> String {
        format!("/agents/sessions/{session}")
    }

    fn shows_growing_text(&self) -> Result<(), &'static str> {
        Ok(())
    }

    async fn go_on(&self, _name: &str) {}

    async fn answer(&self, _name: &str) {
        self.simbox.answer_waiting();
    }

    async fn arrived(&self, name: &str) -> usize {
        let account = self.simbox.account();
        account.turn(&format!("exec-{name}")).map_or(0, |turn| turn.dispatches as usize)
    }

    async fn runs(&self, name: &str) -> usize {
        let account = self.simbox.account();
        account.turn(&format!("exec-{name}")).map_or(0, |turn| turn.runs as usize)
    }

    async fn record(&self, session: &SessionId) -> String {
        let mut conn = Conn::open(self.address).await;
        conn.send(format!(
            "GET /agents/sessions/{session}/messages HTTP/1.1\r\nhost: box\r\nconnection: close\r\n\
             authorization: Bearer {TOKEN}\r\n\r\n"
        ))
        .await;
        let answer = read(conn).await;
        assert_eq!(answer.head.status(), 200, "the messages of {session}");
        let list = answer.body.strip_prefix("{\"data\":{\"messages\":");
        list.and_then(|list| list.strip_suffix("}}")).unwrap_or(&answer.body).to_owned()
    }
}
