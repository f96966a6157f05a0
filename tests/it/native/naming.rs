//! What a box gets of a turn: the client's body, with the names that stood elsewhere in the request.

use serde_json::json;

use super::super::raw::{Conn, read};
use super::super::support::daemon::Daemon;
use super::super::support::scripted_sidecar::{Canned, Route, Sidecar};
use super::TURNS;

#[tokio::test]
async fn a_sidecar_finds_the_session_and_the_turn_where_it_looks_for_them() {
    let sidecar = Sidecar::start().await;
    let started = r#"{"executionId":"exec_box","sessionId":"ses"}"#;
    sidecar.says(Route::Run, [Canned::stream(&[("execution.started", started)])]);
    let status = json!({"data": {"session": {"state": "running"}}});
    sidecar.says(Route::Status, [Canned::json(200, &status)]);
    let data = tempfile::tempdir().expect("a folder");
    let (base, folder) = (sidecar.base(), data.path().to_str().expect("UTF-8").to_owned());
    let own = ["serve", "--kind", "tangle", "--box", &base, "--data-dir", &folder];
    let mut daemon = Daemon::start(
        &[&own[..], &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]].concat(),
        &[],
    );
    let (clients, _) = daemon.addresses().await;
    let mut client = Conn::open(clients).await;
    let body = r#"{ "message" : "hi", "metadata":{"n":1.0} }"#;
    let fields =
        "Content-Type: application/json\r\nIdempotency-Key: k-1\r\nX-Execution-ID: e-1\r\n";
    let length = body.len();
    client
        .send(format!(
            "POST {TURNS} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\
             Content-Length: {length}\r\n\r\n{body}"
        ))
        .await;
    let answer = read(client).await;
    assert_eq!(answer.head.status(), 202, "{answer:?}");
    let seen = sidecar.seen(Route::Run);
    assert_eq!(seen.len(), 1);
    let sent = r#"{"detach":true,"sessionId":"ses","turnId":"k-1", "message" : "hi", "metadata":{"n":1.0} }"#;
    assert_eq!(std::str::from_utf8(&seen[0].body), Ok(sent));
    assert_eq!(seen[0].header("x-execution-id"), Some("e-1"));
}
