//! The built program between a raw client and a scripted box.
//!
//! Its logs are as talkative as they get, its credentials hold a word that must show nowhere, and
//! its end checks what holds after any input: it still serves, the box was sent what was counted
//! and no more, it stops when told, and neither a panic nor a credential is on stderr.

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::json;
use tempfile::{NamedTempFile, TempDir};

use super::super::raw::{Answer, Conn, read};
use super::super::support::box_state::BoxState;
use super::super::support::daemon::Daemon;
use super::super::support::scripted_box::{Route, ScriptedBox};

/// What a client shows; the scripted box asks for nothing unless a test says so.
pub(super) const GOOD: &str = "Bearer good-canary";

/// What the program polls with when a turn's own credential is gone.
const OF_THE_BOX: &str = "Bearer box-canary";

const ALWAYS: [&str; 24] = [
    "--kind",
    "opencode",
    "--listen",
    "127.0.0.1:0",
    "--admin",
    "127.0.0.1:0",
    "--log-level",
    "trace",
    "--poll-fast",
    "20ms",
    "--poll-slow",
    "50ms",
    "--poll-waiting",
    "50ms",
    "--unreachable-deadline",
    "1s",
    "--start-deadline",
    "1s",
    "--unauthorized-deadline",
    "1s",
    "--idle-grace",
    "1s",
    "--shutdown-grace",
    "3s",
];

pub(super) struct Stage {
    data: TempDir,
    more: Vec<String>,
    operators: SocketAddr,
    pub(super) scripted: ScriptedBox,
    pub(super) daemon: Daemon,
    pub(super) clients: SocketAddr,
    log: NamedTempFile,
}

impl Stage {
    pub(super) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// Starts the program with `more` flags before a box that answers each prompt at once.
    pub(super) async fn with(more: &[&str]) -> Self {
        let scripted = ScriptedBox::start().await;
        scripted.on_prompt(answer_at_once);
        let data = tempfile::tempdir().unwrap();
        let more = more.iter().map(ToString::to_string).collect();
        Self::open(scripted, data, more).await
    }

    /// Starts the program again, on the same data folder; the one before has stopped by itself.
    pub(super) async fn again(self) -> Self {
        let Self { data, more, operators: _, scripted, mut daemon, clients: _, log: _ } = self;
        assert!(daemon.exit().await.success());
        Self::open(scripted, data, more).await
    }

    async fn open(scripted: ScriptedBox, data: TempDir, more: Vec<String>) -> Self {
        let (base, folder) = (scripted.base(), data.path().to_str().unwrap());
        let own = ["serve", "--box", base.as_str(), "--data-dir", folder];
        let given: Vec<&str> = more.iter().map(String::as_str).collect();
        let arguments = [&own[..], &ALWAYS[..], &given[..]].concat();
        let log = NamedTempFile::new().unwrap();
        let credential = [("AFTERBAY_BOX_CREDENTIAL", OF_THE_BOX)];
        let mut daemon = Daemon::start_with_log(log.reopen().unwrap(), &arguments, &credential);
        let (clients, operators) = daemon.addresses().await;
        Self { data, more, operators, scripted, daemon, clients, log }
    }

    /// What the program counts.
    pub(super) async fn metrics(&self) -> String {
        self.ask_operators("GET /metrics").await.body
    }

    /// Asks at the operators' door.
    pub(super) async fn ask_operators(&self, line: &str) -> Answer {
        let mut operator = Conn::open(self.operators).await;
        operator.send(format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        read(operator).await
    }

    pub(super) async fn connect(&self) -> Conn {
        Conn::open(self.clients).await
    }

    /// Sends a request on a connection of its own.
    pub(super) async fn send(&self, line: &str, fields: &str, body: impl AsRef<[u8]>) -> Conn {
        let (mut client, body) = (self.connect().await, body.as_ref());
        let head = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}Content-Length: {}\r\n\r\n",
            body.len()
        );
        client.send([head.as_bytes(), body].concat()).await;
        client
    }

    pub(super) async fn ask(&self, line: &str, fields: &str, body: impl AsRef<[u8]>) -> Answer {
        read(self.send(line, fields, body).await).await
    }

    pub(super) async fn post(&self, fields: &str, body: impl AsRef<[u8]>) -> Answer {
        let fields = format!("Authorization: {GOOD}\r\n{fields}");
        self.ask("POST /agents/run/stream", &fields, body).await
    }

    pub(super) async fn get(&self, target: &str, fields: &str) -> Answer {
        let fields = format!("Authorization: {GOOD}\r\n{fields}");
        self.ask(&format!("GET {target}"), &fields, "").await
    }

    /// The prompts that reached the box.
    pub(super) fn prompts(&self) -> usize {
        self.scripted.seen(Route::Prompt).len()
    }

    /// Checks what holds after any input. `prompts` were sent to the box before.
    pub(super) async fn holds(self, prompts: usize) {
        assert_eq!(self.prompts(), prompts, "prompts at the box");
        let turn = self.post("X-Execution-ID: last-one\r\n", r#"{"message":"hi"}"#).await;
        assert_eq!(turn.head.status(), 200, "it still serves: {turn:?}");
        assert_eq!(turn.last_data("done")["status"], json!("success"), "{turn:?}");
        assert_eq!(self.prompts(), prompts + 1, "one more prompt at the box");
        self.daemon.signal(Signal::TERM);
        let ended = self.daemon.ended().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let log = std::fs::read_to_string(self.log.path()).expect("UTF-8");
        assert!(log.contains("stopped"), "{log}");
        for word in ["panic", "canary"] {
            assert!(!log.contains(word), "{word} on stderr: {log}");
        }
    }
}

/// The agent says one word and is done.
pub(super) fn answer_at_once(state: &mut BoxState, session: &str, prompt: &str) {
    let message = state.begin(session, prompt);
    state.text(session, &message, "prt_1", "word", true);
    state.complete(session, &message, Some("stop"));
    state.idle(session);
}

/// Checks an error of ours.
#[track_caller]
pub(super) fn check(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.head.status(), status, "{answer:?}");
    assert_eq!(answer.head.one("x-afterbay-error"), Some(code), "{answer:?}");
    assert_eq!(answer.json("/error/code"), code);
    assert!(!answer.json("/error/message").is_empty() && !answer.body.contains("canary"));
}
