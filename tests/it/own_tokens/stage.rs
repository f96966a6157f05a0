//! The built program with two own tokens, before a box that keeps all it was sent.

use std::io::Write as _;
use std::net::SocketAddr;

use afterbay::event::Seq;
use rustix::process::Signal;
use tempfile::{NamedTempFile, TempDir};
use tokio::sync::watch;

use crate::it::raw::{Answer, Conn, read};
use crate::it::support::daemon::Daemon;
use crate::it::support::rig::within;
use crate::it::support::scripted_box::{Route, ScriptedBox};

pub(super) const A: &str = "own-token-of-a-0123456789";
pub(super) const B: &str = "own-token-of-b-0123456789";
/// What the box asks for, in the tests in which it asks.
pub(super) const BOXS: &str = "Basic boxs-own";
pub(super) const TURN: &str = "POST /agents/run/stream";

pub(super) struct Stage {
    pub(super) scripted: ScriptedBox,
    pub(super) clients: SocketAddr,
    /// Session and message of the prompt that the agent works on.
    at_work: watch::Receiver<Option<(String, String)>>,
    daemon: Option<Daemon>,
    tokens: NamedTempFile,
    credential: Option<&'static str>,
    data: TempDir,
}

/// The header that shows this token.
pub(super) fn shows(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// The other header that shows it.
pub(super) fn beside(token: &str) -> String {
    format!("X-Afterbay-Token: {token}\r\n")
}

impl Stage {
    /// Before a box that asks for nothing.
    pub(super) async fn open() -> Self {
        Self::with(None, None).await
    }

    /// Before a box that asks for [`BOXS`], which the program is told.
    pub(super) async fn locked() -> Self {
        Self::with(Some(BOXS), Some(BOXS)).await
    }

    pub(super) async fn with(asked: Option<&str>, credential: Option<&'static str>) -> Self {
        let scripted = ScriptedBox::start().await;
        scripted.with(|state| state.authorization = asked.map(str::to_owned));
        let (begun, at_work) = watch::channel(None);
        scripted.on_prompt(move |state, session, prompt| {
            let message = state.begin(session, prompt);
            begun.send_replace(Some((session.to_owned(), message)));
        });
        let mut tokens = NamedTempFile::new().expect("a file");
        write!(tokens, "# two of us\na {A}\n{B}\n").expect("a file of tokens");
        let data = tempfile::tempdir().expect("a folder");
        let clients = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut stage = Self { scripted, clients, at_work, daemon: None, tokens, credential, data };
        stage.start().await;
        stage
    }

    async fn start(&mut self) {
        let base = self.scripted.base();
        let folder = self.data.path().to_str().expect("UTF-8").to_owned();
        let tokens = self.tokens.path().to_str().expect("UTF-8").to_owned();
        let own = ["serve", "--kind", "opencode", "--box", &base, "--data-dir", &folder];
        let local = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let more = ["--tokens-file", &tokens, "--origins", "https://named.example"];
        let fast = ["--poll-fast", "20ms", "--poll-slow", "50ms"];
        let variables: Vec<_> =
            self.credential.iter().map(|secret| ("AFTERBAY_BOX_CREDENTIAL", *secret)).collect();
        let mut daemon = Daemon::start(&[&own[..], &local, &more, &fast].concat(), &variables);
        (self.clients, _) = daemon.addresses().await;
        self.daemon = Some(daemon);
    }

    /// `kill -9`, and a start on the same folder.
    pub(super) async fn kill_and_start(&mut self) {
        let mut daemon = self.daemon.take().expect("running");
        daemon.signal(Signal::KILL);
        daemon.exit().await;
        self.start().await;
    }

    /// Sends a request with these header lines on a connection of its own.
    pub(super) async fn ask(&self, line: &str, fields: &str, body: &str) -> Answer {
        let answer = async { read(self.open_stream(line, fields, body).await).await };
        within(line, answer).await
    }

    pub(super) async fn open_stream(&self, line: &str, fields: &str, body: &str) -> Conn {
        let mut client = Conn::open(self.clients).await;
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}");
        client.send(format!("{head}Content-Length: {length}\r\n\r\n{body}")).await;
        client
    }

    /// Starts turn `e-1` on session `s` natively, and waits until the agent works on it.
    pub(super) async fn turn_of(&self, fields: &str) {
        let line = "POST /afterbay/v1/boxes/default/sessions/s/turns";
        let fields = format!("{fields}Content-Type: application/json\r\nX-Execution-ID: e-1\r\n");
        let answer = self.ask(line, &fields, r#"{"message":"hi"}"#).await;
        assert_eq!(answer.head.status(), 202, "{answer:?}");
        within("the prompt arrives", self.scripted.reached(Route::Prompt, 1)).await;
    }

    /// The agent comes to its end.
    pub(super) fn agent_ends(&self) {
        let (session, message) = self.at_work.borrow().clone().expect("a prompt");
        self.scripted.with(|state| {
            state.text(&session, &message, "p-1", "done", true);
            state.complete(&session, &message, Some("stop"));
            state.idle(&session);
        });
    }

    /// What the turn's stream tells to its end.
    pub(super) async fn events(&self, fields: &str) -> Answer {
        let line = "GET /agents/executions/e-1/events";
        let fields = format!("{fields}Last-Event-ID: {}\r\n", Seq::START.get());
        self.ask(line, &fields, "").await
    }

    /// Everything that the box was ever sent, and by which `Authorization`. No own token is in it.
    pub(super) fn sent(&self) -> Vec<(String, Option<String>)> {
        let seen = self.scripted.all_seen();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for seen in &seen {
            let whole = format!("{seen:?} {}", text(&seen.body));
            assert!(!whole.contains("own-token") && !whole.contains("x-afterbay"), "{whole}");
        }
        let who = |headers: &http::HeaderMap| Some(text(headers.get("authorization")?.as_bytes()));
        seen.into_iter().map(|seen| (seen.path, who(&seen.headers))).collect()
    }
}

/// Whether whoever asked has no right.
pub(super) fn is_denied(answer: &Answer) -> bool {
    answer.head.status() == 403 && answer.json("/error/code") == "FORBIDDEN"
}
