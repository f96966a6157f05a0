//! The built program, killed: what was accepted is there when it comes back, and goes on.

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::{Value, json as value};
use tempfile::TempDir;

use super::super::raw::{Answer, Conn, read};
use super::super::support::daemon::Daemon;
use super::super::support::rig::within;
use super::super::support::scripted_box::{Route, ScriptedBox};
use super::{EVENTS, MESSAGE, SESSION, TURNS, check_error, json};

const OWNER: &str = "Bearer owner";
const TURN: &str = "GET /afterbay/v1/boxes/default/turns/e-1";
const FIELDS: &str =
    "Content-Type: application/json\r\nX-Execution-ID: e-1\r\nIdempotency-Key: k-1\r\n";

fn start_program(at: &ScriptedBox, data: &TempDir) -> Daemon {
    let (base, folder) = (at.base(), data.path().to_str().expect("UTF-8").to_owned());
    let own = ["serve", "--kind", "opencode", "--box", &base, "--data-dir", &folder];
    let local = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--head-wait", "10ms"];
    let fast = ["--poll-fast", "20ms", "--poll-slow", "50ms"];
    Daemon::start(&[&own[..], &local, &fast].concat(), &[])
}

async fn ask(at: SocketAddr, who: &str, line: &str, fields: &str, body: &str) -> Answer {
    let mut client = Conn::open(at).await;
    let length = body.len();
    let head =
        format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {who}\r\n");
    client.send(format!("{head}{fields}Content-Length: {length}\r\n\r\n{body}")).await;
    read(client).await
}

async fn kill(mut daemon: Daemon) {
    daemon.signal(Signal::KILL);
    daemon.exit().await;
}

fn answers_each_prompt(scripted: &ScriptedBox) {
    scripted.on_prompt(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.text(session, &message, "p-1", "done", true);
        state.complete(session, &message, Some("stop"));
        state.idle(session);
    });
}

#[tokio::test]
async fn a_turn_that_was_accepted_is_readable_after_a_kill_and_comes_to_its_end() {
    let (scripted, data) = (ScriptedBox::start().await, tempfile::tempdir().expect("a folder"));
    let (begun, at_work) = tokio::sync::watch::channel(None);
    scripted.on_prompt(move |state, session, prompt| {
        let message = state.begin(session, prompt);
        begun.send_replace(Some((session.to_owned(), message)));
    });
    let mut daemon = start_program(&scripted, &data);
    let (clients, _) = daemon.addresses().await;
    let post = format!("POST {TURNS}");
    let accepted = ask(clients, OWNER, &post, FIELDS, MESSAGE).await;
    assert_eq!(accepted.head.status(), 202, "{accepted:?}");
    scripted.reached(Route::Prompt, 1).await;
    kill(daemon).await;
    let (session, message) = at_work.borrow().clone().expect("the agent is at work");

    let mut daemon = start_program(&scripted, &data);
    let (clients, _) = daemon.addresses().await;
    // Nobody who may not read it learns of it.
    check_error(&ask(clients, "", TURN, "", "").await, 401, "UNAUTHORIZED");
    let listed = ask(clients, "", "GET /afterbay/v1/sessions", "", "").await;
    assert_eq!(json(&listed), value!({"sessions": []}));
    scripted.with(|state| {
        state.text(&session, &message, "p-1", "done", true);
        state.complete(&session, &message, Some("stop"));
        state.idle(&session);
    });
    let told = within("the turn is over", async {
        loop {
            let told = json(&ask(clients, OWNER, TURN, "", "").await);
            if told["state"] == "finished" {
                break told;
            }
        }
    });
    let told: Value = told.await;
    let words = [&told["turnId"], &told["outcome"], &told["result"]["finalText"]];
    assert_eq!(words, ["k-1", "completed", "done"], "{told}");
    // The same request once more starts nothing, and another is refused its key.
    let again = ask(clients, OWNER, &post, FIELDS, MESSAGE).await;
    assert_eq!((again.head.status(), json(&again)["executionId"].as_str()), (200, Some("e-1")));
    let other = ask(clients, OWNER, &post, FIELDS, r#"{"message":"other"}"#).await;
    check_error(&other, 409, "IDEMPOTENCY_CONFLICT");
    assert_eq!(scripted.seen(Route::Prompt).len(), 1);
    kill(daemon).await;
}

#[tokio::test]
async fn a_turn_that_is_over_is_told_the_same_after_a_kill() {
    let (scripted, data) = (ScriptedBox::start().await, tempfile::tempdir().expect("a folder"));
    answers_each_prompt(&scripted);
    let mut daemon = start_program(&scripted, &data);
    let (clients, _) = daemon.addresses().await;
    let accepted = ask(clients, OWNER, &format!("POST {TURNS}"), FIELDS, MESSAGE).await;
    assert_eq!(accepted.head.status(), 202, "{accepted:?}");
    ask(clients, OWNER, &format!("GET {EVENTS}?until=idle"), "", "").await;
    let mut before = Vec::new();
    let poll = format!("GET {EVENTS}");
    let questions = [TURN, &format!("GET {SESSION}"), "GET /afterbay/v1/sessions", &poll];
    for line in questions {
        let answer = ask(clients, OWNER, line, super::AS_JSON, "").await;
        assert_eq!(answer.head.status(), 200, "{line}");
        before.push(json(&answer));
    }
    assert_eq!(before[0]["result"]["finalText"], "done");
    kill(daemon).await;
    // The box is not needed for it.
    scripted.stop().await;
    let mut daemon = start_program(&scripted, &data);
    let (clients, _) = daemon.addresses().await;
    for (line, before) in questions.into_iter().zip(before) {
        assert_eq!(json(&ask(clients, OWNER, line, super::AS_JSON, "").await), before, "{line}");
    }
    kill(daemon).await;
}
