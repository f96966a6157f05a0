//! Clients of other languages, as people use them: `eventsource` on node, `httpx-sse` on Python.
//! Each reads a live turn through the daemon, is cut in its middle, resumes by its own means, and
//! prints what it got; that must be the turn, once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::client::{Turn, Way};
use super::client_hop::{ClientHop, Plan};
use super::frames::Frame;
use super::opencode::folder;
use super::process::Process;
use super::stage::Stage;
use super::wait;

/// The packages, pinned.
const EVENTSOURCE: &str = "eventsource@4.1.0";
const PYTHON_PACKAGES: [&str; 2] = ["httpx==0.28.1", "httpx-sse==0.4.3"];

/// Its second half starts when the client was cut.
const SCRIPT: &str = "[tool=bash:echo one] [gate=cut] [tool=bash:echo two] [words=5]";

/// Runs a command that must succeed.
pub(super) fn run(command: &mut Command) {
    let done = command.stdout(Stdio::null()).status();
    let done = done.unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    assert!(done.success(), "{command:?}: {done}");
}

/// A folder of that name, filled by `fill` unless it is there; one process fills it.
pub(super) fn installed(name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let place = folder().join(name);
    fs::create_dir_all(&place).expect("make the install folder");
    let lock = File::create(place.join("lock")).expect("open the install lock");
    lock.lock().expect("lock the install folder");
    let complete = place.join("complete");
    if !complete.exists() {
        fill(&place);
        fs::write(complete, "").expect("note that the folder is complete");
    }
    place
}

/// Starts the turn, lets `program` read it from a hop that cuts once, and compares.
async fn check_client(program: &Path, script: &str, modules: &Path) {
    let stage = Stage::start().await;
    let turn = Turn::new("turn-1", SCRIPT);
    let mut starter = stage.client(turn);
    let hop = ClientHop::start(stage.daemon.address(), [Plan::Cut { event: 3, more: 20 }]).await;
    starter.open(Way::SamePost).await.expect("the turn starts");
    let execution = starter.execution.clone().expect("an execution id");

    let output = tempfile::NamedTempFile::new().expect("a file for the client's output");
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/clients");
    let mut client = Process::start(program, |command| {
        command.arg(clients.join(script)).arg(format!("http://{}", hop.address())).arg(&execution);
        command.env("AFTERBAY_CLIENT_MODULES", modules);
        command.stdin(Stdio::null()).stdout(output.reopen().expect("share the output"));
    });
    wait::until(Duration::from_secs(60), "the client is cut", || async {
        (hop.seen().cuts == 1).then_some(())
    })
    .await;
    stage.model.open("cut");
    let ended = wait::until(Duration::from_secs(60), "the client ends by itself", || {
        std::future::ready(client.ended())
    })
    .await;
    let text = fs::read_to_string(output.path()).expect("the client's output");
    assert!(ended.success(), "the client: {ended}, {text}");
    starter.run().await;
    stage.check_completed(&starter).await;
    check_lines(&text, &starter.seen);
    assert!(hop.seen().connections >= 2, "it came back: {:?}", hop.seen());
}

/// One line a frame: id, name and data as they were sent; then how it ended.
fn check_lines(text: &str, seen: &[Frame]) {
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let (end, frames) = lines.split_last().expect("lines");
    assert_eq!(end["end"], "closed", "{end}");
    assert_eq!(frames.len(), seen.len(), "frames: {text}");
    for (line, frame) in frames.iter().zip(seen) {
        assert_eq!(line["id"].as_str(), Some(frame.id.to_string().as_str()));
        assert_eq!(line["event"].as_str(), Some(frame.event.as_str()));
        assert_eq!(line["data"].as_str(), Some(frame.data_text()));
    }
}

/// Where `name` is found, as a path that a process with another environment can use.
fn program(name: &str) -> PathBuf {
    let found = Command::new("sh").args(["-c", "command -v -- \"$0\"", name]).output();
    let found = found.expect("look for a program");
    let path = String::from_utf8(found.stdout).expect("a path");
    assert!(found.status.success(), "{name} is not installed");
    PathBuf::from(path.trim_end())
}

#[tokio::test]
async fn eventsource_on_node_resumes_by_itself_and_stops_at_the_end() {
    let modules = installed("node", |place| {
        let options = ["install", "--no-save", "--no-audit", "--no-fund", "--prefix"];
        run(Command::new("npm").args(options).arg(place).arg(EVENTSOURCE));
    });
    check_client(&program("node"), "eventsource.mjs", &modules).await;
}

#[tokio::test]
async fn httpx_sse_on_python_resumes_with_its_last_id() {
    let place = installed("python", |place| {
        run(Command::new("python3").args(["-m", "venv"]).arg(place.join("venv")));
        let pip = place.join("venv/bin/pip");
        run(Command::new(pip).args(["install", "--quiet"]).args(PYTHON_PACKAGES));
    });
    check_client(&place.join("venv/bin/python"), "httpx_sse_client.py", &place).await;
}
