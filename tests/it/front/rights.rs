//! Who may read what is kept of a sandbox: its owner, and whoever the API hands out a token for it.

use rustix::process::Signal;
use serde_json::json;
use tempfile::NamedTempFile;

use super::super::boxes::answers;
use super::super::raw::{Answer, Conn, read};
use super::super::support::daemon::Daemon;
use super::super::support::scripted_sidecar::{Canned, Route, Sidecar};
use super::{PROMPT, Scene, sandbox, token_of, works};

const RUN: &str = "/agents/run/stream";
const EVENTS: &str = "GET /box/sbx/agents/executions/e/events";
const EXECUTION: &str = "X-Execution-ID: e\r\n";

/// The API hands out this token for a sandbox.
async fn hands_out(scene: &Scene, id: &str, token: &str) {
    let mut object = sandbox(id, &scene.a_box.base());
    object["connection"]["authToken"] = token.into();
    scene.shows(id, &object);
    let told = scene.stage.ask(&format!("GET /v1/sandboxes/{id}"), "", "").await;
    assert_eq!(told.json("/connection/authToken"), token);
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn a_token_that_was_handed_out_reads_without_the_boxs_word_and_anothers_does_not() {
    let scene = Scene::open().await;
    scene.learns("sbx", &scene.a_box).await;
    scene.learns("other", &scene.a_box).await;
    answers(&scene.a_box, "kept");
    let run = format!("POST /box/sbx{RUN}");
    scene.stage.ask(&run, &format!("{EXECUTION}{}", token_of("sbx")), PROMPT).await;
    hands_out(&scene, "sbx", "fresh").await;
    scene.a_box.stop().await;

    let Scene { api, a_box, mut stage } = scene;
    for restarted in [false, true] {
        if restarted {
            stage = stage.killed_and_again().await;
        }
        for token in ["fresh", "token-of-sbx"] {
            let told = stage.ask(EVENTS, &bearer(token), "").await;
            assert_eq!(told.head.status(), 200, "{token} {told:?}");
            assert_eq!(told.last_data("result")["finalText"], "kept", "{token}");
        }
        for fields in [token_of("other"), bearer("guessed"), "Authorization: fresh\r\n".into()] {
            assert_eq!(stage.ask(EVENTS, &fields, "").await.head.status(), 403, "{fields}");
        }
        assert_eq!(stage.ask(EVENTS, "", "").await.head.status(), 401);
        // A token of one sandbox is none of another's, where nothing is kept.
        let elsewhere = "GET /box/other/agents/executions/e/events";
        assert_eq!(stage.ask(elsewhere, &bearer("fresh"), "").await.head.status(), 404);
    }
    drop((api, a_box));
    // None of them is on disk in the clear.
    let data = stage.folder.path().join("data");
    for file in [data.join("sandboxes"), data.join("reader.key")] {
        let bytes = std::fs::read(&file).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("fresh") && !text.contains("token-of"), "{}", file.display());
    }
}

#[tokio::test]
async fn a_turn_whose_token_expires_goes_on_with_the_one_that_the_api_hands_out_next() {
    let often = ["--poll-waiting", "100ms"];
    let scene = Scene::with("networks = [\"127.0.0.0/8\"]\n", &often).await;
    scene.learns("sbx", &scene.a_box).await;
    works(&scene.a_box);
    let run = format!("POST /box/sbx{RUN}");
    let mut client =
        scene.stage.send(&run, &format!("{EXECUTION}{}", token_of("sbx")), PROMPT).await;
    client.read_to("event: execution.started").await;
    // The token expires: the turn waits.
    let expired = [(Route::Status, 401), (Route::Messages, 401)];
    for (route, status) in expired {
        scene.a_box.says(route, [Canned::error(status, "UNAUTHORIZED")]);
    }
    let polls = || scene.a_box.seen(Route::Status).len();
    let before = polls();
    while polls() < before + 2 {
        tokio::task::yield_now().await;
    }
    hands_out(&scene, "sbx", "fresh").await;
    // Another reader's does not move it; the fresh one does.
    let stranger = scene.stage.ask(EVENTS, &bearer("guessed"), "").await;
    assert!(matches!(stranger.head.status(), 401 | 403), "{stranger:?}");
    let status = json!({"data": {"session": {"state": "completed"}}});
    scene.a_box.says(Route::Status, [Canned::json(200, &status)]);
    scene.a_box.says(
        Route::Messages,
        [Canned::json(
            200,
            &json!({"data": {"messages": [
        {"id": "u", "role": "user", "parts": [{"id": "p0", "type": "text", "text": "hi"}]},
        {"id": "a", "role": "assistant", "metadata": {"completed": true},
            "parts": [{"id": "p1", "type": "text", "text": "after all"}]}]}}),
        )],
    );
    let told = scene.stage.ask(EVENTS, &bearer("fresh"), "").await;
    assert_eq!(told.last_data("result")["finalText"], "after all", "{told:?}");
    let last = scene.a_box.seen(Route::Status).pop().expect("a poll");
    assert_eq!(last.header("authorization"), Some("Bearer fresh"));
    assert!(client.read_to_close().await.contains("after all"));
}

#[tokio::test]
async fn a_turn_of_a_learned_box_needs_a_credential_again_after_a_restart_and_takes_a_fresh_token()
{
    let scene = Scene::open().await;
    scene.learns("sbx", &scene.a_box).await;
    works(&scene.a_box);
    let run = format!("POST /box/sbx{RUN}");
    let mut client =
        scene.stage.send(&run, &format!("{EXECUTION}{}", token_of("sbx")), PROMPT).await;
    client.read_to("event: execution.started").await;
    let Scene { api, a_box, stage } = scene;
    let scene = Scene { api, a_box, stage: stage.killed_and_again().await };
    answers(&scene.a_box, "after the restart");
    let polls = scene.a_box.seen(Route::Status).len();
    hands_out(&scene, "sbx", "fresh").await;
    let told = scene.stage.ask(EVENTS, &bearer("fresh"), "").await;
    assert_eq!(told.last_data("result")["finalText"], "after the restart", "{told:?}");
    let asked = scene.a_box.seen(Route::Status).split_off(polls);
    let by_whom: Vec<_> = asked.iter().map(|seen| seen.header("authorization")).collect();
    assert!(by_whom.iter().all(|who| *who == Some("Bearer fresh")), "{by_whom:?}");
}

#[tokio::test]
async fn where_own_tokens_are_asked_for_they_are_asked_for_before_the_api_and_end_here() {
    let tokens = NamedTempFile::new().expect("a file");
    std::fs::write(tokens.path(), "a own-token-0123456789abcdef0123456789abcdef\n")
        .expect("a file");
    let path = tokens.path().to_str().expect("UTF-8");
    let scene = Scene::with("networks = [\"127.0.0.0/8\"]\n", &["--tokens-file", path]).await;
    scene.shows("sbx", &sandbox("sbx", &scene.a_box.base()));
    let get = "GET /v1/sandboxes/sbx";
    let key = "Authorization: Bearer key\r\n";
    for line in [get, "POST /v1/sandboxes", "DELETE /v1/sandboxes/sbx", "GET /box/sbx/x"] {
        let refused = scene.stage.ask(line, key, "").await;
        assert_eq!(refused.head.one("x-afterbay-error"), Some("TOKEN_REQUIRED"), "{line}");
        assert!(scene.api.seen_at(line).is_empty(), "{line}");
    }
    let own = "X-Afterbay-Token: own-token-0123456789abcdef0123456789abcdef\r\n";
    let told = scene.stage.ask(get, &format!("{key}{own}"), "").await;
    assert_eq!(told.json("/connection/sidecarUrl"), scene.ours("sbx"));
    let seen = &scene.api.seen_at(get)[0];
    assert_eq!(seen.header("authorization"), Some("Bearer key"));
    assert_eq!(seen.header("x-afterbay-token"), None);
}

#[tokio::test]
async fn nothing_secret_of_an_answer_or_a_request_is_written() {
    let (api, a_box) = (Sidecar::start().await, Sidecar::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let (url, data) = (api.base(), folder.path().to_str().expect("UTF-8").to_owned());
    let own = ["serve", "--api", &url, "--api-networks", "127.0.0.0/8", "--acquire-retry"];
    let rest = ["--data-dir", &data, "--log-level", "trace", "--poll-fast", "20ms"];
    let local = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let log = NamedTempFile::new().expect("a file");
    let arguments = [&own[..], &rest, &local].concat();
    let mut daemon = Daemon::start_with_log(log.reopen().expect("the file"), &arguments, &[]);
    let (clients, _) = daemon.addresses().await;
    let ask = async |line: &str, body: &str| -> Answer {
        let mut client = Conn::open(clients).await;
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{KEYS}");
        client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        read(client).await
    };
    let object = |url: &str| {
        json!({"id": "sbx", "connection": {"sidecarUrl": url, "authToken": "canary-handed-out"},
            "metadata": {"secret": "canary-metadata"}})
    };
    answers(&a_box, "done");
    let made = Canned::json(201, &object(&a_box.base()));
    let busy = Canned::error(503, "BUSY").with("retry-after", "0");
    api.says_to("POST /v1/sandboxes", [busy, made]);
    let body = r#"{"env":{"KEY":"canary-env"}}"#;
    assert_eq!(ask("POST /v1/sandboxes", body).await.head.status(), 201);
    for url in ["http://user:canary-user@h.example", "http://h.example/?canary-query", "canary"] {
        api.says_to("GET /v1/sandboxes/sbx", [Canned::json(200, &object(url))]);
        assert_eq!(ask("GET /v1/sandboxes/sbx", "").await.head.status(), 200);
    }
    let broken = Canned::text(200, "application/json", "{\"canary-broken\"");
    api.says_to("GET /v1/sandboxes/sbx", [broken]);
    assert_eq!(ask("GET /v1/sandboxes/sbx", "").await.head.status(), 502);
    let told = ask(&format!("POST /box/sbx{RUN}"), PROMPT).await;
    assert_eq!(told.last_data("result")["finalText"], "done", "{told:?}");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await.code, Some(0));
    let written = std::fs::read_to_string(log.path()).expect("UTF-8");
    assert!(written.contains("stopped") && !written.contains("canary"), "{written}");
    let list = std::fs::read_to_string(folder.path().join("sandboxes")).expect("the list");
    assert!(list.contains("sbx") && !list.contains("canary"), "{list}");
}

const KEYS: &str = "Authorization: Bearer canary-key\r\nIdempotency-Key: k\r\n";
