//! The program of one life, what stands behind it, and everything that it wrote and said.

use std::fs::{self, File};
use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::json;
use tempfile::{NamedTempFile, TempDir};

use super::search::{Place, Secret, base64};
use crate::it::raw::{Answer, Conn, RawBox, read};
use crate::it::support::daemon::Daemon;
use crate::it::support::rig::within;
use crate::it::support::scripted_sidecar::{Canned, Route, Sidecar};

pub(super) const OWNER: &str = "owner-canary-a1b2c3d4e5f6";
pub(super) const STRANGER: &str = "stranger-canary-0f1e2d3c4b";
pub(super) const BOXS: &str = "box-canary-77aa88bb99cc00";
pub(super) const TOKEN: &str = "own-token-canary-5d6e7f8091";
pub(super) const WRONG_TOKEN: &str = "wrong-token-canary-13579bdf";
pub(super) const QUERY: &str = "query-canary-2468ace02468";
pub(super) const COOKIE: &str = "cookie-canary-fedcba987654";
/// As digits, which it must be.
pub(super) const ADMIN: &str = "c0ffee0ddba11fade0ddba11cafe5eed5a1ad0dec0deba5eba11facade0fdead";
pub(super) const MODEL_KEY: &str = "model-key-canary-abcabc123";

/// Where a collector of traces gets spans.
const SPANS: &str = "POST /v1/traces";

/// The bytes of the key, which is given in base64.
const SEAL_KEY: &str = "seal-key-canary-0123456789abcdef";

/// Everything that must be nowhere.
pub(super) const SECRETS: &[Secret] = &[
    Secret { name: "the owner's credential", text: OWNER },
    Secret { name: "a stranger's credential", text: STRANGER },
    Secret { name: "the box's credential", text: BOXS },
    Secret { name: "an own token", text: TOKEN },
    Secret { name: "a wrong token", text: WRONG_TOKEN },
    Secret { name: "a token in a query", text: QUERY },
    Secret { name: "a cookie", text: COOKIE },
    Secret { name: "the operators' token", text: ADMIN },
    Secret { name: "a model's key", text: MODEL_KEY },
    Secret { name: "the key of what is sealed", text: SEAL_KEY },
];

/// How log lines look.
#[derive(Debug, Clone, Copy)]
pub(super) enum Format {
    Human,
    Json,
}

pub(super) struct Life {
    format: Format,
    pub(super) sidecar: Sidecar,
    /// Gets the spans.
    collector: Sidecar,
    pub(super) raw_box: RawBox,
    pub(super) daemon: Option<Daemon>,
    pub(super) clients: SocketAddr,
    pub(super) operators: SocketAddr,
    /// Log lines of all its processes.
    lines: NamedTempFile,
    pub(super) places: Vec<Place>,
    files: TempDir,
    data: TempDir,
}

/// A body that holds a model's key, as those of the sandbox's clients may.
pub(super) fn prompt(session: &str) -> String {
    let model = json!({"provider": "fake", "model": "m", "apiKey": MODEL_KEY});
    json!({"message": "hi", "sessionId": session, "backend": {"model": model}}).to_string()
}

/// Headers of a client that shows everything that it has.
pub(super) fn shows(credential: &str) -> String {
    format!(
        "Authorization: Bearer {credential}\r\nX-Afterbay-Token: {TOKEN}\r\n\
         Cookie: id={COOKIE}\r\n"
    )
}

impl Life {
    pub(super) async fn begin(format: Format) -> Self {
        let (sidecar, raw_box) = (Sidecar::start().await, RawBox::listen().await);
        let collector = Sidecar::start().await;
        collector.says_to(SPANS, [Canned::text(200, "application/x-protobuf", "")]);
        let folder = || tempfile::tempdir().expect("a folder");
        let (files, data) = (folder(), folder());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let lines = NamedTempFile::new().expect("a file");
        let mut life = Self {
            format,
            sidecar,
            collector,
            raw_box,
            daemon: None,
            clients: nowhere,
            operators: nowhere,
            lines,
            places: Vec::new(),
            files,
            data,
        };
        life.write_files();
        life.start().await;
        life
    }

    pub(super) fn file(&self, name: &str) -> String {
        self.files.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn write_files(&self) {
        let write = |name: &str, text: &str| fs::write(self.file(name), text).expect("a file");
        fs::write(self.data.path().join("admin.token"), format!("{ADMIN}\n")).expect("a token");
        write("tokens", &format!("ci {TOKEN}\n"));
        write("credential", &format!("Bearer {BOXS}\n"));
        let (raw, credential) = (self.raw_box.addr, self.file("credential"));
        let gone = "http://127.0.0.1:1";
        let table = |name: &str, url: &str| {
            format!(
                "[boxes.{name}]\nurl = \"{url}\"\nkind = \"tangle\"\ncredential_file = \"{credential}\"\n"
            )
        };
        let tables = table("raw", &format!("http://{raw}")) + &table("gone", gone);
        write("config", &tables);
    }

    pub(super) fn daemon(&self, more: &[&str]) -> Daemon {
        let format = match self.format {
            Format::Human => "human",
            Format::Json => "json",
        };
        let (base, data) = (self.sidecar.base(), self.data.path().to_str().expect("UTF-8"));
        let (config, tokens) = (self.file("config"), self.file("tokens"));
        let own = ["serve", "--config", &config, "--kind", "tangle", "--box", &base];
        let kept = ["--data-dir", data, "--tokens-file", &tokens, "--credentials", "sealed"];
        let local = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let talkative = ["--log-level", "trace", "--log-format", format];
        let fast = ["--poll-fast", "20ms", "--poll-slow", "50ms", "--head-wait", "500ms"];
        let hasty =
            ["--start-deadline", "1s", "--idle-grace", "1s", "--unreachable-deadline", "1s"];
        let collector = self.collector.base();
        let traced = ["--otlp-endpoint", &*collector];
        let lines = File::options().append(true).open(self.lines.path()).expect("the file");
        let arguments =
            [&own[..], &kept, &local, &talkative, &fast, &hasty, &traced, more].concat();
        let (secret, key) = (format!("Bearer {BOXS}"), base64(SEAL_KEY.as_bytes()));
        let variables = [("AFTERBAY_BOX_CREDENTIAL", &*secret), ("AFTERBAY_CREDENTIALS_KEY", &key)];
        Daemon::start_with_log(lines, &arguments, &variables)
    }

    pub(super) async fn start(&mut self) {
        let mut daemon = self.daemon(&[]);
        (self.clients, self.operators) = daemon.addresses().await;
        self.daemon = Some(daemon);
    }

    /// What is below its data folder.
    pub(super) fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Waits for the end of a process and keeps what it wrote.
    pub(super) async fn ended(&mut self, daemon: Daemon) -> Option<i32> {
        let ended = daemon.ended().await;
        self.places.push(Place { name: "stdout".to_owned(), bytes: ended.stdout.into_bytes() });
        ended.code
    }

    pub(super) async fn ask_at(
        &mut self,
        at: SocketAddr,
        line: &str,
        fields: &str,
        body: &str,
    ) -> Answer {
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}");
        let request = format!("{head}Content-Length: {length}\r\n\r\n{body}");
        let asked = async {
            let mut client = Conn::open(at).await;
            client.send(request).await;
            read(client).await
        };
        let answer = within(line, asked).await;
        let bytes = format!("{}{}", answer.head.0, answer.body).into_bytes();
        self.places.push(Place { name: format!("the answer to {line}"), bytes });
        answer
    }

    pub(super) async fn ask(&mut self, line: &str, fields: &str, body: &str) -> Answer {
        self.ask_at(self.clients, line, fields, body).await
    }

    /// The box takes the prompt and is done with it by the first poll.
    pub(super) fn box_answers(&self) {
        let started = r#"{"executionId":"exec_box","sessionId":"sess_box"}"#;
        self.sidecar.says(Route::Run, [Canned::stream(&[("execution.started", started)])]);
        self.box_is("completed");
        self.sidecar.holds(&json!([
            {"id": "u", "role": "user", "parts": [{"id": "p0", "type": "text", "text": "hi"}]},
            {"id": "a", "role": "assistant", "metadata": {"completed": true},
                "parts": [{"id": "p1", "type": "text", "text": "answer"}]}]));
    }

    pub(super) fn box_is(&self, state: &str) {
        let status = json!({"data": {"session": {"state": state}}});
        self.sidecar.says(Route::Status, [Canned::json(200, &status)]);
    }

    /// Stops it, has its folder verified, and gives everything that it wrote, and the folder.
    pub(super) async fn end(mut self) -> (Vec<Place>, TempDir) {
        let daemon = self.daemon.take().expect("running");
        daemon.signal(Signal::TERM);
        assert_eq!(self.ended(daemon).await, Some(0));
        let data = self.data.path().to_str().expect("UTF-8").to_owned();
        let ended = Daemon::start(&["verify", &data, "--json"], &[]).ended().await;
        let told = format!("{}{}", ended.stdout, ended.stderr);
        self.places.push(Place { name: "verify".to_owned(), bytes: told.into_bytes() });
        let bytes = fs::read(self.lines.path()).expect("log lines");
        self.places.push(Place { name: "stderr".to_owned(), bytes });
        let spans = self.collector.seen_at(SPANS);
        self.places.extend(
            spans
                .into_iter()
                .map(|spans| Place { name: "spans".to_owned(), bytes: spans.body.to_vec() }),
        );
        (self.places, self.data)
    }
}
