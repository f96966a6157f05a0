//! A real `opencode` server: installed once under `target/e2e`, started in a throw-away home on
//! a fixed free port with the fake model behind it, killed and started again on request.
//!
//! It knows nothing of the daemon: tests ask it directly for its own account of a turn.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::Request;
use super::process::Process;
use super::wait;

/// The package and its version; another version is another box.
const PACKAGE: &str = "opencode-linux-x64";
const VERSION: &str = "1.18.33";

/// It serves after 3 s on an idle machine; two cores may be busy with other tests.
const START_LIMIT: Duration = Duration::from_secs(90);

/// A request that comes while it boots may be taken and never answered: ask again after this.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// How the box is set up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Ask a person before `bash` runs.
    pub(crate) ask_before_bash: bool,
    /// Require HTTP Basic with this password.
    pub(crate) password: Option<String>,
}

impl Settings {
    /// What an `Authorization` must say, if the box asks for one.
    pub(crate) fn authorization(&self) -> Option<String> {
        let password = self.password.as_deref()?;
        Some(format!("Basic {}", base64(format!("opencode:{password}").as_bytes())))
    }
}

/// The server, running or killed.
#[derive(Debug)]
pub(crate) struct Opencode {
    process: Option<Process>,
    address: SocketAddr,
    settings: Settings,
    home: TempDir,
}

impl Opencode {
    /// Installs it if need be and starts it; resolves when it answers.
    pub(crate) async fn start(model_url: &str, settings: Settings) -> Self {
        // The port is found by binding it once; it stays ours across restarts.
        let free = TcpListener::bind("127.0.0.1:0").expect("find a free port");
        let address = free.local_addr().expect("the free port");
        let home = tempfile::tempdir().expect("make the box's home");
        let project = home.path().join("project");
        fs::create_dir(&project).expect("make the box's project");
        let config = config(model_url, &settings).to_string();
        fs::write(project.join("opencode.json"), config).expect("write opencode.json");
        drop(free);
        let mut server = Self { process: None, address, settings, home };
        server.restart().await;
        server
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What an `Authorization` must say, if it asks for one.
    pub(crate) fn authorization(&self) -> Option<String> {
        self.settings.authorization()
    }

    /// A folder that its tools can reach, gone with the test.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Starts it on the same port and home; resolves when it answers.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.process = Some(self.spawn());
        let serves = format!("opencode serves; its output is in {}", self.output().display());
        wait::until(START_LIMIT, &serves, || async {
            let request = Request::get("/session/status");
            let request = request.maybe("authorization", self.settings.authorization().as_deref());
            let answer = tokio::time::timeout(LOOK_LIMIT, request.send(self.address)).await;
            let answer = answer.ok()?.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    fn output(&self) -> PathBuf {
        self.home.path().join("output")
    }

    fn spawn(&self) -> Process {
        let home = self.home.path();
        let output = File::options().create(true).append(true).open(self.output());
        let output = output.expect("open the box's output");
        Process::start(&installed(), |command| {
            command.args(["serve", "--pure", "--hostname", "127.0.0.1", "--port"]);
            command.arg(self.address.port().to_string());
            command.current_dir(home.join("project"));
            dress(command, home);
            command.envs(self.settings.password.iter().map(|it| ("OPENCODE_SERVER_PASSWORD", it)));
            command.stdin(Stdio::null()).stderr(output.try_clone().expect("share the output"));
            command.stdout(output);
        })
    }

    /// Asks it for JSON, as its owner.
    pub(crate) async fn ask(&self, request: Request) -> Value {
        let request = request.maybe("authorization", self.settings.authorization().as_deref());
        let answer = request.send(self.address).await.expect("opencode answers");
        assert!(answer.status.is_success(), "opencode says {}", answer.status);
        answer.json().await.expect("opencode answers in full")
    }

    /// What the agent said last to the prompt that names `marker`, in opencode's own words: the
    /// text parts of the last message whose parent is that prompt. `None` if there is none.
    pub(crate) async fn final_text(&self, marker: &str) -> Option<String> {
        let sessions = self.ask(Request::get("/session")).await;
        for session in sessions.as_array().expect("a list of sessions") {
            let id = session["id"].as_str().expect("a session's id");
            let messages = self.ask(Request::get(format!("/session/{id}/message"))).await;
            let messages = messages.as_array().expect("a list of messages");
            let named = format!("[{marker}]");
            let prompt = messages.iter().find(|message| {
                message["info"]["role"] == "user" && joined_text(message).contains(&named)
            });
            let Some(prompt) = prompt else { continue };
            let is_answer = |it: &&Value| it["info"]["parentID"] == prompt["info"]["id"];
            return messages.iter().rfind(is_answer).map(joined_text);
        }
        None
    }
}

/// The text parts of a message, with nothing between.
fn joined_text(message: &Value) -> String {
    let parts = message["parts"].as_array().into_iter().flatten();
    parts.filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str()).collect()
}

/// The program, installed by package name if it is not there yet. Several test processes may ask
/// at once: one installs, the others wait for its lock.
fn installed() -> PathBuf {
    let folder = folder().join("opencode");
    let program = folder.join("node_modules").join(PACKAGE).join("bin/opencode");
    fs::create_dir_all(&folder).expect("make the install folder");
    let lock = File::create(folder.join("lock")).expect("open the install lock");
    lock.lock().expect("lock the install folder");
    if !program.exists() {
        let package = format!("{PACKAGE}@{VERSION}");
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"]);
        let done = npm.arg(&folder).arg(package).status().expect("run npm");
        assert!(done.success(), "npm cannot install {PACKAGE}: {done}");
    }
    program
}

/// Where everything that only these tests need is kept.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e")
}

fn config(model_url: &str, settings: &Settings) -> Value {
    let model = json!({"tool_call": true, "limit": {"context": 100_000, "output": 4000}});
    json!({
        "provider": {"fake": {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": model_url, "apiKey": "x"},
            "models": {"fake-1": model},
        }},
        "model": "fake/fake-1",
        "small_model": "fake/fake-1",
        "enabled_providers": ["fake"],
        "permission": {"bash": if settings.ask_before_bash { "ask" } else { "allow" }},
        "autoupdate": false,
        "share": "disabled",
    })
}

/// A home of its own and nothing from the net.
fn dress(command: &mut Command, home: &Path) {
    command.env_clear().env("HOME", home).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    for kind in ["CONFIG", "DATA", "STATE", "CACHE"] {
        command.env(format!("XDG_{kind}_HOME"), home.join(kind.to_lowercase()));
    }
    let off = ["AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "SHARE"];
    command.envs(off.map(|what| (format!("OPENCODE_DISABLE_{what}"), "1")));
}

/// Standard base64 with padding, for HTTP Basic.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..4 {
            let sextet = bits >> (18 - 6 * at) & 63;
            let symbol = char::from(ALPHABET[sextet as usize]);
            out.push(if at <= three.len() { symbol } else { '=' });
        }
    }
    out
}

#[test]
fn base64_is_padded_as_http_basic_wants_it() {
    assert_eq!(base64(b"opencode:x"), "b3BlbmNvZGU6eA==");
    assert_eq!(base64(b"opencode:ab"), "b3BlbmNvZGU6YWI=");
    assert_eq!(base64(b"abc"), "YWJj");
}

#[tokio::test]
async fn opencode_runs_a_scripted_turn_once_and_is_back_after_a_kill() {
    use super::fake_model::FakeModel;
    let model = FakeModel::start().await;
    let mut server = Opencode::start(&model.base_url(), Settings::default()).await;
    let session = server.ask(Request::post("/session", &json!({}))).await;
    let id = session["id"].as_str().expect("an id");
    let text = "[turn-1] [tool=bash:echo hi] [tool=bash:echo two] [words=3 pace=5ms]";
    let prompt = json!({"parts": [{"type": "text", "text": text}]});
    let sent = Request::post(format!("/session/{id}/prompt_async"), &prompt);
    assert_eq!(sent.send(server.address()).await.expect("an answer").status, 204);
    model.called("turn-1", 3).await;
    wait::until(Duration::from_secs(20), "opencode has the answer", || async {
        (server.final_text("turn-1").await? == "w1.0 w1.1 w1.2 ").then_some(())
    })
    .await;
    assert_eq!(model.runs("turn-1"), 1);
    server.kill();
    assert!(Request::get("/session").send(server.address()).await.is_err());
    server.restart().await;
    assert_eq!(server.final_text("turn-1").await.as_deref(), Some("w1.0 w1.1 w1.2 "));
    assert_eq!(model.all_runs(), [("turn-1".to_owned(), 1)]);
}
