//! Several boxes behind the built program: which one a request is for, and that nothing of one is
//! seen at another.

mod apart;
mod prefixes;
mod starts;

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::json;
use tempfile::TempDir;

use super::raw::{Answer, Conn, read};
use super::support::daemon::Daemon;
use super::support::scripted_sidecar::{Canned, Route, Sidecar};

/// The program with a configuration file of its own, and a folder that outlives it.
pub(super) struct Stage {
    daemon: Daemon,
    pub(super) clients: SocketAddr,
    operators: SocketAddr,
    pub(super) folder: TempDir,
    more: Vec<String>,
}

/// A table of a box of kind `tangle`, with `more` keys.
pub(super) fn table(name: &str, url: &str, more: &str) -> String {
    format!("[boxes.{name}]\nurl = \"{url}\"\nkind = \"tangle\"\n{more}\n")
}

impl Stage {
    pub(super) async fn of(tables: &[String], more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut text = String::new();
        for table in tables {
            write!(text, "{table}").expect("a text");
        }
        std::fs::write(folder.path().join("afterbay.toml"), text).expect("a file");
        let more = more.iter().map(ToString::to_string).collect();
        Self::open(folder, more).await
    }

    async fn open(folder: TempDir, more: Vec<String>) -> Self {
        let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
        let (file, data) = (path("afterbay.toml"), path("data"));
        let own = ["serve", "--config", &file, "--data-dir", &data, "--log-level", "error"];
        let local = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let fast = ["--poll-fast", "20ms", "--poll-slow", "50ms"];
        let given: Vec<&str> = more.iter().map(String::as_str).collect();
        let mut daemon = Daemon::start(&[&own[..], &local, &fast, &given].concat(), &[]);
        let (clients, operators) = daemon.addresses().await;
        Self { daemon, clients, operators, folder, more }
    }

    /// Kills it and starts it again on what it has left.
    pub(super) async fn killed_and_again(self) -> Self {
        let Self { mut daemon, folder, more, .. } = self;
        daemon.signal(rustix::process::Signal::KILL);
        daemon.exit().await;
        Self::open(folder, more).await
    }

    pub(super) async fn send(&self, line: &str, fields: &str, body: &str) -> Conn {
        let mut client = Conn::open(self.clients).await;
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}");
        client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        client
    }

    pub(super) async fn ask(&self, line: &str, fields: &str, body: &str) -> Answer {
        read(self.send(line, fields, body).await).await
    }

    pub(super) async fn metrics(&self) -> String {
        let mut operator = Conn::open(self.operators).await;
        operator.send("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        read(operator).await.body
    }
}

/// From now on the box takes a prompt and has answered it with `text` by the first poll.
pub(super) fn answers(sidecar: &Sidecar, text: &str) {
    let started = r#"{"executionId":"exec_box","sessionId":"sess_box"}"#;
    sidecar.says(Route::Run, [Canned::stream(&[("execution.started", started)])]);
    let status = json!({"data": {"session": {"state": "completed"}}});
    sidecar.says(Route::Status, [Canned::json(200, &status)]);
    sidecar.holds(&json!([
        {"id": "u", "role": "user", "parts": [{"id": "p0", "type": "text", "text": "hi"}]},
        {"id": "a", "role": "assistant", "metadata": {"completed": true},
            "parts": [{"id": "p1", "type": "text", "text": text}]}]));
}
