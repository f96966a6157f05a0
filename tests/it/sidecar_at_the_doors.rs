//! The built program before a sandbox's sidecar that means no good: strangers learn nothing from
//! a box that says little, no credential shows in what the program writes at its most talkative,
//! and a dispatch's stream that never ends holds nothing up.

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::json;
use tempfile::{NamedTempFile, TempDir};

use super::raw::{Answer, Conn, read};
use super::support::daemon::Daemon;
use super::support::scripted_sidecar::{Canned, Route, Sidecar};

const OWNER: &str = "Bearer owner-canary";
const STRANGER: &str = "Bearer stranger-canary";
const PROMPT: &str =
    r#"{"message":"prompt-canary","sessionId":"ses","metadata":{"k":"body-canary"}}"#;
const TURN: &str = "POST /agents/run/stream";

struct Stage {
    sidecar: Sidecar,
    daemon: Daemon,
    clients: SocketAddr,
    log: NamedTempFile,
    _data: TempDir,
}

impl Stage {
    async fn with(more: &[&str]) -> Self {
        let sidecar = Sidecar::start().await;
        let data = tempfile::tempdir().expect("a folder");
        let (base, folder) = (sidecar.base(), data.path().to_str().expect("UTF-8").to_owned());
        let own = ["serve", "--kind", "tangle", "--box", &base, "--data-dir", &folder];
        let local = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let fast = ["--log-level", "trace", "--poll-fast", "20ms", "--poll-slow", "50ms"];
        let arguments = [&own[..], &local, &fast, more].concat();
        let log = NamedTempFile::new().expect("a file");
        let credential = [("AFTERBAY_BOX_CREDENTIAL", "Bearer box-canary")];
        let mut daemon =
            Daemon::start_with_log(log.reopen().expect("the file"), &arguments, &credential);
        let (clients, _) = daemon.addresses().await;
        Self { sidecar, daemon, clients, log, _data: data }
    }

    async fn ask(&self, line: &str, who: &str, more: &str, body: &str) -> Answer {
        let mut client = Conn::open(self.clients).await;
        let fields = format!("Authorization: {who}\r\n{more}");
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}");
        client.send(format!("{head}Content-Length: {length}\r\n\r\n{body}")).await;
        read(client).await
    }

    /// The box takes the prompt and has answered it by the first poll.
    fn answers_at_once(&self) {
        let started = r#"{"executionId":"exec_box","sessionId":"sess_box"}"#;
        let stream = Canned::stream(&[("execution.started", started)]);
        self.sidecar.says(Route::Run, [stream]);
        let status = json!({"data": {"session": {"state": "completed"}}});
        self.sidecar.says(Route::Status, [Canned::json(200, &status)]);
        self.sidecar.holds(&json!([
            {"id": "u", "role": "user", "parts": [{"id": "p0", "type": "text", "text": "prompt-canary"}]},
            {"id": "a", "role": "assistant", "metadata": {"completed": true},
                "parts": [{"id": "p1", "type": "text", "text": "answer"}]}]));
    }

    /// The program stops when told, and wrote neither a panic nor a secret.
    async fn holds(self) {
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

#[tokio::test]
async fn a_box_that_forgot_the_session_vouches_only_if_it_tells_credentials_apart() {
    let (gone, wrong) = (Canned::error(404, "NOT_FOUND"), Canned::error(401, "UNAUTHORIZED"));
    for (answers, status) in [
        // It says the same to everybody: a stranger, and a credential that nobody has.
        (vec![gone.clone()], 403),
        (vec![gone.clone(), Canned::html(502), gone.clone()], 403),
        (vec![gone.clone(), Canned::json(200, &json!({"session": {"state": "idle"}}))], 403),
        (vec![wrong.clone()], 401),
        (vec![Canned::html(404)], 403),
        // It looks at the credential first.
        (vec![gone.clone(), wrong.clone()], 200),
    ] {
        let stage = Stage::with(&["--readers", "box"]).await;
        stage.answers_at_once();
        let turn = stage.ask(TURN, OWNER, "X-Execution-ID: e\r\n", PROMPT).await;
        assert_eq!(turn.last_data("done")["status"], "success", "{turn:?}");
        stage.sidecar.says(Route::Status, answers.clone());
        let target = "GET /agents/executions/e/events";
        let answer = stage.ask(target, STRANGER, "", "").await;
        assert_eq!(answer.head.status(), status, "{answers:?}: {answer:?}");
        assert_eq!(answer.body.contains("answer"), status == 200);
        let owner = stage.ask(target, OWNER, "", "").await;
        assert_eq!(owner.head.status(), 200, "{owner:?}");
        stage.holds().await;
    }
}

#[tokio::test]
async fn what_a_client_may_not_know_stays_out_of_logs_whatever_the_sidecar_says() {
    let stage = Stage::with(&["--start-deadline", "1s", "--idle-grace", "1s"]).await;
    let bad =
        "id: canary\nevent: exe\u{0}canary\ndata: {\"canary\n\nevent: error\ndata: {}canary\n\n";
    for answer in [
        Canned::text(200, "text/event-stream", bad),
        Canned::text(200, "text/event-stream", b"event: \xffcanary\ndata: {}\n\n".to_vec()),
        Canned::text(200, "text/event-stream", format!(":{}\n\n", "canary".repeat(1 << 19))),
        Canned::stream(&[(
            "execution.started",
            r#"{"sessionId":"../canary","executionId":"a\r\nX: canary"}"#,
        )]),
        Canned::text(200, "application/json", format!("{}canary", "[".repeat(10_000))),
        Canned::text(200, "application/json", b"\x1f\x8bcanary".to_vec())
            .with("content-encoding", "gzip"),
        Canned::text(503, "text/plain", "canary"),
        Canned::html(502),
        Canned::error(409, "canary"),
        Canned::nothing(),
    ] {
        let shown = format!("{answer:?}");
        stage.sidecar.says(Route::Run, [answer]);
        let told = stage.ask(&format!("{TURN}?token=query-canary"), OWNER, "", PROMPT).await;
        let refused = told.head.status() == 409;
        assert!(refused || told.last_data("done")["status"] == "failed", "{shown}: {told:?}");
        assert!(refused || !told.body.contains("canary"), "{shown}: {told:?}");
    }
    stage.answers_at_once();
    for messages in ["{\"canary\":", "[[[canary", "\u{feff}[]", "[{\"id\":\"canary\",\"id\":1}]"] {
        stage.sidecar.says(Route::Messages, [Canned::text(200, "application/json", messages)]);
        let body = PROMPT.replace("ses", "other");
        stage.ask("GET /agents/sessions/x/result?token=canary", OWNER, "", "").await;
        stage.sidecar.says(Route::Messages, []);
        let turn = stage.ask(TURN, OWNER, "", &body).await;
        assert_eq!(turn.last_data("done")["status"], "success", "{turn:?}");
    }
    stage.holds().await;
}

#[tokio::test]
async fn a_turn_of_a_session_that_the_box_has_forgotten_fails_before_it_is_sent() {
    let stage = Stage::with(&["--head-wait", "5s", "--start-deadline", "1s"]).await;
    stage.answers_at_once();
    let turn = stage.ask(TURN, OWNER, "X-Execution-ID: e1\r\n", PROMPT).await;
    assert_eq!(turn.last_data("done")["status"], "success", "{turn:?}");
    let gone = || [Canned::error(404, "NOT_FOUND")];
    stage.sidecar.says(Route::Messages, gone());
    stage.sidecar.says(Route::Status, gone());

    let lost = stage.ask(TURN, OWNER, "X-Execution-ID: e2\r\n", PROMPT).await;
    assert_eq!(lost.head.status(), 410, "{lost:?}");
    assert_eq!(lost.head.one("x-afterbay-error"), Some("SESSION_LOST"), "{lost:?}");
    assert_eq!(stage.sidecar.seen(Route::Run).len(), 1, "it was sent");
    // What was said in it is still there.
    let read = stage.ask("GET /agents/executions/e1/events", OWNER, "", "").await;
    assert!(read.body.contains("answer"), "{read:?}");
    // Its ids are free: once the box has the session again, it is sent.
    stage.answers_at_once();
    stage.sidecar.says(Route::Messages, []);
    let turn = stage.ask(TURN, OWNER, "X-Execution-ID: e2\r\n", PROMPT).await;
    assert_eq!((turn.head.status(), stage.sidecar.seen(Route::Run).len()), (200, 2), "{turn:?}");
    stage.holds().await;
}
