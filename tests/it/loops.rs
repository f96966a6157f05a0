//! A box that is a way back to the program itself, by an address that nobody can tell for its own:
//! what comes back is stopped, whatever was asked, and no prompt goes round.

use std::net::SocketAddr;

use afterbay::tasks::Tasks;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::raw::{Answer, Conn, read};
use super::support::daemon::Daemon;

const PROMPT: &str = r#"{"message":"hi","sessionId":"ses_1"}"#;

/// The program before a hop that leads back to it.
struct Ring {
    clients: SocketAddr,
    operators: SocketAddr,
    _daemon: Daemon,
    _hop: Tasks,
    _data: TempDir,
}

impl Ring {
    async fn of(kind: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (to, leads_to) = watch::channel(None);
        let hop = Tasks::new();
        let connections = hop.clone();
        hop.spawn("hop", async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let Some(to) = *leads_to.borrow() else { continue };
                connections.spawn("connection", async move {
                    let mut far = TcpStream::connect::<SocketAddr>(to).await.expect("connects");
                    // A side that breaks off ends it, too.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        let data = tempfile::tempdir().expect("a folder");
        let folder = data.path().to_str().expect("UTF-8");
        let own = ["serve", "--kind", kind, "--box", &base, "--data-dir", folder];
        let local = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut daemon = Daemon::start(&[&own[..], &local].concat(), &[]);
        let (clients, operators) = daemon.addresses().await;
        to.send_replace(Some(clients));
        Self { clients, operators, _daemon: daemon, _hop: hop, _data: data }
    }

    async fn ask(&self, line: &str, fields: &str, body: &str) -> Answer {
        let mut client = Conn::open(self.clients).await;
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}");
        client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        read(client).await
    }

    async fn metrics(&self) -> String {
        let mut operator = Conn::open(self.operators).await;
        operator.send("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        read(operator).await.body
    }
}

#[tokio::test]
async fn a_turn_whose_box_leads_back_here_is_refused_and_does_not_start_itself() {
    for kind in ["tangle", "opencode"] {
        let ring = Ring::of(kind).await;
        let json = "Content-Type: application/json\r\nX-Execution-ID: e\r\n";
        let native = "POST /afterbay/v1/boxes/default/sessions/ses_1/turns";
        for (line, fields, body) in [
            ("POST /agents/run/stream", "X-Execution-ID: e\r\n", PROMPT),
            ("POST /agents/run/stream", "", r#"{"message":"hi"}"#),
            (native, json, PROMPT),
        ] {
            let told = ring.ask(line, fields, body).await;
            assert_eq!(told.head.status(), 508, "{kind} {line}: {told:?}");
            assert_eq!(told.head.one("x-afterbay-error"), Some("LOOP_DETECTED"), "{kind} {line}");
        }
        // Nothing of it is left, so the ids are free.
        let gone = ring.ask("GET /agents/executions/e/events", "", "").await;
        assert_eq!(gone.head.one("x-afterbay-error"), Some("EXECUTION_NOT_FOUND"), "{kind}");
        let metrics = ring.metrics().await;
        let verdicts = metrics.lines().filter(|l| l.starts_with("afterbay_turns_finished_total{"));
        let (none, some): (Vec<_>, Vec<_>) = verdicts.partition(|line| line.ends_with(" 0"));
        assert!(!none.is_empty() && some.is_empty(), "{kind}: {some:?}");
    }
}

#[tokio::test]
async fn whatever_else_comes_back_is_stopped_too() {
    let ring = Ring::of("tangle").await;
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let abort = json!({}).to_string();
    for (line, fields, body) in [
        ("GET /x", "", ""),
        ("GET /agents/sessions/nobody/events", "", ""),
        ("GET /agents/sessions/nobody", "", ""),
        ("POST /agents/sessions/nobody/abort", "", abort.as_str()),
        ("POST /agents/run/stream", "X-Execution-ID: nobody\r\nLast-Event-ID: 1\r\n", ""),
        ("GET /socket", upgrade, ""),
    ] {
        let told = ring.ask(line, fields, body).await;
        assert_eq!(told.head.status(), 508, "{line}: {told:?}");
        assert_eq!(told.head.one("x-afterbay-error"), Some("LOOP_DETECTED"), "{line}");
    }
}
