//! WebSockets as people use them, through the daemon: client and box are the npm package `ws`.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::daemon::{self, Daemon};
use super::packages::{node, program, script};
use super::process::Process;
use super::wait;

/// A script of `clients` with its lines.
#[derive(Debug)]
pub(crate) struct Script {
    process: Process,
    output: NamedTempFile,
}

impl Script {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let modules = node();
        let output = NamedTempFile::new().expect("a file for the script's output");
        let process = Process::start(&program("node"), |command| {
            command.arg(script(name)).args(arguments);
            command.env("AFTERBAY_CLIENT_MODULES", modules);
            command.stdin(Stdio::null()).stdout(output.reopen().expect("share the output"));
        });
        Self { process, output }
    }

    /// The box, and the port on which it listens.
    pub(crate) async fn start_box() -> (Self, u16) {
        let script = Self::start("websocket_box.mjs", &[]);
        let port = wait::until(Duration::from_secs(60), "the box listens", || async {
            script.lines().first().and_then(|line| line["port"].as_u64())
        });
        let port = port.await;
        (script, u16::try_from(port).expect("a port"))
    }

    /// What a client that does this has seen, once it has ended well.
    pub(crate) async fn client(base: &str, act: &[&str], limit: Duration) -> Vec<Value> {
        let mut script = Self::start("websocket_client.mjs", &[&[base], act].concat());
        let ended =
            wait::until(limit, "the client ends", || std::future::ready(script.process.ended()));
        let ended = ended.await;
        assert!(ended.success(), "the client: {ended}, {:?}", script.lines());
        script.lines()
    }

    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.output.path()).expect("the script's output");
        // The last line counts only when it is whole.
        let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
        whole.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

#[tokio::test]
async fn a_client_and_a_box_talk_as_without_a_proxy() {
    let (at_box, port) = Script::start_box().await;
    let direct = format!("http://127.0.0.1:{port}");
    let daemon = Daemon::start(direct.clone(), daemon::Settings::default()).await;
    let through = format!("http://{}", daemon.address());
    let limit = Duration::from_secs(60);
    let seen = Script::client(&through, &["talk"], limit).await;
    assert_eq!(seen, Script::client(&direct, &["talk"], limit).await, "as without a proxy");

    assert_eq!(seen[0], json!({"protocol": "tty.v2", "extensions": "permessage-deflate"}));
    assert_eq!(seen[1], json!({"text": "h\u{e9}llo", "isBinary": false}));
    let (echoed, rest) = seen[2..].split_at(5);
    assert!(echoed.iter().all(|seen| seen["same"] == true && seen["isBinary"] == true), "{seen:?}");
    let rest_expected = [
        json!({"pong": "from the client"}),
        json!({"ping": "pong from the box"}),
        json!({"closed": 4001}),
        json!({"closed": 4002, "reason": "as you wish"}),
    ];
    assert_eq!(rest, rest_expected);
    let ends = wait::until(limit, "the box has seen each end", || async {
        let lines = at_box.lines();
        (lines.len() == 5).then_some(lines)
    });
    let ends = ends.await;
    for pair in ends[1..].chunks(2) {
        assert_eq!(pair[0], json!({"closed": 4001, "reason": "enough"}));
        assert_eq!(pair[1], json!({"closed": 4002, "reason": "as you wish"}));
    }
    let closed = wait::until(limit, "the daemon has counted each end", || async {
        let closed = daemon.metric("afterbay_http_websockets_ended_total").await;
        (closed >= 2.0).then_some(closed)
    });
    assert!((closed.await - 2.0).abs() < f64::EPSILON);
}
