//! The built program with its admin door, before a box whose agent works until it is told to end.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

use crate::it::raw::{Answer, Conn, read};
use crate::it::support::daemon::Daemon;
use crate::it::support::rig::within;
use crate::it::support::scripted_box::{Route, ScriptedBox};

/// What a change must bear.
pub(super) const MEANT: &str = "X-Afterbay-Admin: 1\r\n";
/// What the turns are started with.
pub(super) const OWNER: &str = "Authorization: Bearer owner\r\n";

pub(super) struct Stage {
    pub(super) scripted: ScriptedBox,
    pub(super) daemon: Daemon,
    pub(super) clients: SocketAddr,
    pub(super) operators: SocketAddr,
    log: NamedTempFile,
    data: TempDir,
}

impl Stage {
    pub(super) async fn open() -> Self {
        Self::with(&[]).await
    }

    /// With these flags, too.
    pub(super) async fn with(more: &[&str]) -> Self {
        let scripted = ScriptedBox::start().await;
        scripted.on_prompt(|state, session, prompt| {
            let message = state.begin(session, prompt);
            state.text(session, &message, "p-1", "at work", false);
        });
        let (data, log) = (tempfile::tempdir().expect("a folder"), NamedTempFile::new());
        let log = log.expect("a file");
        let (mut daemon, clients, operators) = start(&scripted, &data, &log, more);
        let (clients, operators) = match operators {
            Some(()) => daemon.addresses().await,
            None => (daemon.line("listening on http://").await, clients),
        };
        Self { scripted, daemon, clients, operators, log, data }
    }

    /// Another life on the same folder; the one before has ended.
    pub(super) async fn again(self) -> Self {
        let Self { scripted, mut daemon, data, log, .. } = self;
        daemon.exit().await;
        let (mut daemon, _, _) = start(&scripted, &data, &log, &[]);
        let (clients, operators) = daemon.addresses().await;
        Self { scripted, daemon, clients, operators, log, data }
    }

    /// A file in the data folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    /// The header that shows the token of the data folder.
    pub(super) fn token(&self) -> String {
        let token = fs::read_to_string(self.file("admin.token")).expect("a token");
        format!("Authorization: Bearer {}\r\n", token.trim_end())
    }

    /// What it has logged so far.
    pub(super) fn lines(&self) -> String {
        fs::read_to_string(self.log.path()).expect("log lines")
    }

    /// Asks operators' door with these header lines.
    pub(super) async fn ask(&self, line: &str, fields: &str, body: &str) -> Answer {
        within(line, async { read(send(self.operators, line, fields, body).await).await }).await
    }

    /// Asks as an operator.
    pub(super) async fn operate(&self, line: &str, body: &str) -> (u16, Value) {
        let answer = self.ask(line, &format!("{}{MEANT}", self.token()), body).await;
        let json = serde_json::from_str(&answer.body);
        (answer.head.status(), json.unwrap_or_else(|error| panic!("{error}: {answer:?}")))
    }

    /// Opens a stream at the operators' door.
    pub(super) async fn open_stream(&self, target: &str, fields: &str) -> Conn {
        send(self.operators, &format!("GET {target}"), fields, "").await
    }

    /// Opens a stream as the client that starts the turns.
    pub(super) async fn read_as_client(&self, target: &str, fields: &str) -> Conn {
        send(self.clients, &format!("GET {target}"), &format!("{OWNER}{fields}"), "").await
    }

    /// The agent ends its turn.
    pub(super) fn end_turn(&self) {
        self.scripted.with(|state| {
            let session = state.sessions.keys().next().expect("a session").clone();
            let messages = &state.session(&session).messages;
            let last = messages.last().expect("a message")["info"]["id"].clone();
            let last = last.as_str().expect("an id");
            state.text(&session, last, "p-1", "at work, and done", true);
            state.complete(&session, last, Some("stop"));
            state.idle(&session);
        });
    }

    /// Starts a turn as a client, and waits until the agent is at work on it.
    pub(super) async fn turn(&self, session: &str, execution: &str) {
        let before = self.scripted.seen(Route::Prompt).len();
        let line = format!("POST /afterbay/v1/boxes/default/sessions/{session}/turns");
        let fields =
            format!("{OWNER}Content-Type: application/json\r\nX-Execution-ID: {execution}\r\n");
        let client = send(self.clients, &line, &fields, r#"{"message":"hi"}"#).await;
        assert_eq!(within(&line, read(client)).await.head.status(), 202);
        within("the prompt", self.scripted.reached(Route::Prompt, before + 1)).await;
    }
}

/// Starts the program; nothing in the place of the operators if they are not served.
fn start(
    scripted: &ScriptedBox,
    data: &TempDir,
    log: &NamedTempFile,
    more: &[&str],
) -> (Daemon, SocketAddr, Option<()>) {
    let (base, folder) = (scripted.base(), data.path().to_str().expect("UTF-8"));
    let own = ["serve", "--kind", "opencode", "--box", &base, "--data-dir", folder];
    let fast = ["--listen", "127.0.0.1:0", "--poll-fast", "20ms", "--poll-slow", "50ms"];
    let is_off = more.contains(&"off");
    let admin: &[&str] = if is_off { &[] } else { &["--admin", "127.0.0.1:0"] };
    let lines = File::options().append(true).open(log.path()).expect("the log");
    let arguments = [&own[..], &fast, admin, more].concat();
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    (Daemon::start_with_log(lines, &arguments, &[]), nowhere, (!is_off).then_some(()))
}

async fn send(to: SocketAddr, line: &str, fields: &str, body: &str) -> Conn {
    let mut client = Conn::open(to).await;
    let length = body.len();
    let host = if fields.to_ascii_lowercase().contains("host:") { "" } else { "Host: a\r\n" };
    let head = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n{fields}");
    client.send(format!("{head}Content-Length: {length}\r\n\r\n{body}")).await;
    client
}
