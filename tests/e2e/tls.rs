//! TLS on both sides of the daemon, and clients as people use them: `curl`, and `fetch` on node.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use afterbay::simbox::{Faults, Simbox};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::certificates::Authority;
use super::daemon::{self, Daemon, Kind};
use super::packages::program;
use super::tls_hop::TlsHop;
use super::wait;

const LIMIT: Duration = Duration::from_secs(60);

/// A daemon that is reached by https, before a box that is. Fields are dropped in this order.
struct Secured {
    daemon: Daemon,
    hop: TlsHop,
    simbox: Simbox,
    /// The file of the authority that vouches for both.
    authority: PathBuf,
    _folder: TempDir,
    _server: JoinSet<()>,
}

impl Secured {
    async fn start() -> Self {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
        let simbox = Simbox::new(Faults::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the box");
        let address = listener.local_addr().expect("the box's address");
        let mut server = JoinSet::new();
        let served = simbox.clone().serve(listener, CancellationToken::new());
        server.spawn(async move { served.await.expect("serve the box") });
        let hop = TlsHop::before(address, &authority.vouches_for(&["localhost"])).await;
        let (chain, key) = authority.vouches_for(&["127.0.0.1"]).files_in(folder.path());
        let authority = authority.file_in(folder.path());
        let environment = vec![
            ("AFTERBAY_CA_FILE", authority.clone()),
            ("AFTERBAY_TLS_CERT", chain),
            ("AFTERBAY_TLS_KEY", key),
        ];
        let settings = daemon::Settings { kind: Kind::Tangle, environment, ..Default::default() };
        let daemon = Daemon::start(hop.url("localhost"), settings).await;
        Self { daemon, hop, simbox, authority, _folder: folder, _server: server }
    }

    fn url(&self) -> String {
        format!("https://{}/agents/run/stream", self.daemon.address())
    }

    /// Asks with curl; what it printed, with the version of HTTP on a last line.
    async fn curl(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(program("curl"));
        command.args(["--silent", "--show-error", "--no-buffer", "--max-time", "50"]);
        command.args(["--write-out", "\n%{http_version}", "--data", &turn().to_string()]);
        command.args(["--header", "content-type: application/json"]).args(arguments);
        said(command.arg(self.url())).await
    }

    /// The box has run one turn, and every connection to it was a good one.
    fn check_box(&self) {
        assert_eq!(self.simbox.account().turns.len(), 1);
        assert!(self.hop.shaken() >= 2 && self.hop.shaken() == self.hop.came());
        assert!(self.hop.names().iter().all(|name| name.as_deref() == Some("localhost")));
    }
}

fn turn() -> Value {
    json!({
        "identifier": "default",
        "message": "parts=4 tool=1 step=50ms",
        "sessionId": "session-1",
        "turnId": "turn-1",
    })
}

async fn said(command: &mut Command) -> (Option<i32>, String) {
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let ended = wait::within(LIMIT, "the client ends", ended).await.expect("start the client");
    let Output { status, stdout, stderr } = ended;
    (status.code(), String::from_utf8([stdout, stderr].concat()).expect("text"))
}

/// The ids and names of the frames; the ids follow each other from 1, and `done` is the last.
fn frames(text: &str) -> Vec<(u64, String)> {
    let blocks = text.split("\n\n").filter(|block| block.contains("event: "));
    let frames: Vec<_> = blocks
        .map(|block| {
            let field = |name| block.lines().find_map(|line| line.strip_prefix(name));
            let id = field("id: ").expect("an id").parse().expect("a number");
            (id, field("event: ").expect("a name").to_owned())
        })
        .collect();
    assert!(frames.iter().map(|(id, _)| *id).eq(1..=frames.len() as u64), "{text}");
    assert_eq!(frames.last().map(|(_, name)| name.as_str()), Some("done"), "{text}");
    frames
}

#[tokio::test]
async fn curl_reads_a_turn_over_each_version_of_http() {
    let secured = Secured::start().await;
    let authority = secured.authority.to_str().expect("a path").to_owned();
    let mut seen = Vec::new();
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let (code, text) = secured.curl(&["--cacert", &authority, flag]).await;
        assert_eq!((code, text.lines().last()), (Some(0), Some(version)), "{text}");
        seen.push(frames(&text));
    }
    assert_eq!(seen[0], seen[1]);
    // Who does not know the authority does not ask: 60 is curl's word for that.
    let (code, text) = secured.curl(&[]).await;
    assert_eq!(code, Some(60), "{text}");
    secured.check_box();
}

#[tokio::test]
async fn fetch_on_node_reads_a_turn() {
    let secured = Secured::start().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/clients/fetch_turn.mjs");
    let node = |authority: Option<&Path>| {
        let mut command = Command::new(program("node"));
        command.arg(&script).arg(secured.url()).arg(turn().to_string());
        command.envs(authority.map(|authority| ("NODE_EXTRA_CA_CERTS", authority)));
        command
    };
    let (code, text) = said(&mut node(None)).await;
    assert_ne!(code, Some(0), "{text}");
    let (code, text) = said(&mut node(Some(&secured.authority))).await;
    assert_eq!(code, Some(0), "{text}");
    frames(&text);
    secured.check_box();
}

#[tokio::test]
async fn turn_and_tail_are_clients_by_https_too() {
    let secured = Secured::start().await;
    let authority = secured.authority.to_str().expect("a path").to_owned();
    let base = format!("https://{}", secured.daemon.address());
    let afterbay = |arguments: &[&str]| {
        let mut command = Command::new(daemon::program());
        command.args(arguments).arg("--data-dir").arg(secured.daemon.data()).env_clear();
        command
    };
    let prompt = ["turn", "--session", "s-1", "--raw", "parts=4 tool=1 step=50ms"];
    // Nobody vouches for the other side: nothing is sent.
    let (code, text) = said(&mut afterbay(&prompt)).await;
    assert!(code == Some(3) && text.contains("certificate"), "{code:?} {text}");
    assert_eq!(secured.simbox.account().turns.len(), 0);
    // Where it is stands in the data folder, whom to trust in a variable.
    let (code, text) = said(afterbay(&prompt).env("AFTERBAY_CA_FILE", &authority)).await;
    assert_eq!(code, Some(0), "{text}");
    let seen = frames(&text);
    secured.check_box();
    let line = text.lines().find(|line| line.contains("execution ")).expect("its execution");
    let execution = line.rsplit(' ').next().expect("a name");
    let events = format!("{base}/agents/executions/{execution}/events");
    let tail = ["tail", &events, "--raw", "--ca-file", &authority];
    let (code, text) = said(&mut afterbay(&tail)).await;
    assert_eq!((code, frames(&text)), (Some(0), seen), "{text}");
    let (code, _) = said(&mut afterbay(&["tail", &events, "--ca-file", "/no/such/file"])).await;
    assert_eq!(code, Some(2));
}
