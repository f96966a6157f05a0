//! The life of a sandbox: made, worked in, moved, copied, deleted; and of the program beside it.

use super::super::boxes::answers;
use super::super::support::scripted_sidecar::{Canned, Sidecar};
use super::{PROMPT, Scene, sandbox, token_of, works};

const RUN: &str = "/agents/run/stream";

#[tokio::test]
async fn a_sandbox_is_made_and_its_turn_survives_kill_9() {
    let scene = Scene::open().await;
    let made = Canned::json(201, &sandbox("sbx", &scene.a_box.base()));
    scene.api.says_to("POST /v1/sandboxes", [made]);
    let key = "Authorization: Bearer key\r\nContent-Type: application/json\r\n";
    let made = scene.stage.ask("POST /v1/sandboxes", key, r#"{"image":"x"}"#).await;
    assert_eq!(made.head.status(), 201, "{made:?}");
    assert_eq!(made.json("/connection/sidecarUrl"), scene.ours("sbx"));
    let asked = &scene.api.seen_at("POST /v1/sandboxes")[0];
    assert_eq!(
        (asked.header("authorization"), &asked.body[..]),
        (Some("Bearer key"), &b"{\"image\":\"x\"}"[..])
    );

    works(&scene.a_box);
    let mut client =
        scene.stage.send(&format!("POST /box/sbx{RUN}"), &token_of("sbx"), PROMPT).await;
    assert_eq!(client.read_head().await.status(), 200);
    client.read_to("event: execution.started").await;
    let Scene { api, a_box, stage } = scene;
    let stage = stage.killed_and_again().await;
    answers(&a_box, "done well");
    // Its own token has gone with the process; the API's word about it has not.
    let again = stage.ask(&format!("POST /box/sbx{RUN}"), &token_of("sbx"), PROMPT).await;
    assert_eq!(again.last_data("result")["finalText"], "done well", "{again:?}");
    assert_eq!(a_box.seen_at(&format!("POST {RUN}")).len(), 1, "dispatched twice");
    assert_eq!(api.seen_at("GET /v1/sandboxes/sbx").len(), 0);
}

#[tokio::test]
async fn a_box_that_moves_in_mid_turn_is_followed() {
    let scene = Scene::open().await;
    scene.learns("sbx", &scene.a_box).await;
    works(&scene.a_box);
    let mut client =
        scene.stage.send(&format!("POST /box/sbx{RUN}"), &token_of("sbx"), PROMPT).await;
    assert_eq!(client.read_head().await.status(), 200);
    client.read_to("event: execution.started").await;
    scene.a_box.stop().await;
    let elsewhere = Sidecar::start().await;
    answers(&elsewhere, "said elsewhere");
    scene.learns("sbx", &elsewhere).await;
    let rest = client.read_to_close().await;
    assert!(rest.contains("said elsewhere") && rest.contains("event: done"), "{rest}");
    assert!(!elsewhere.seen_at("GET /agents/sessions/sess_box").is_empty());
    assert_eq!(elsewhere.seen_at(&format!("POST {RUN}")).len(), 0);
    // Whatever else is asked goes there, too.
    elsewhere.says_to("GET /files", [Canned::text(200, "text/plain", "of the new place")]);
    let passed = scene.stage.ask("GET /box/sbx/files", "", "").await;
    assert_eq!(passed.body, "of the new place");
    let moved = scene.metric("afterbay_api_box_changes_total{change=\"moved\"}").await;
    assert_eq!(moved, "1");
}

#[tokio::test]
async fn a_deleted_sandbox_takes_nothing_new_and_its_log_stays() {
    let scene = Scene::open().await;
    scene.learns("sbx", &scene.a_box).await;
    answers(&scene.a_box, "kept");
    let run = format!("POST /box/sbx{RUN}");
    let who = token_of("sbx");
    let told = scene.stage.ask(&run, &format!("X-Execution-ID: e\r\n{who}"), PROMPT).await;
    assert_eq!(told.last_data("result")["finalText"], "kept");

    // What the API refuses leaves everything as it is.
    scene.api.says_to("DELETE /v1/sandboxes/sbx", [Canned::error(404, "NOT_FOUND")]);
    scene.stage.ask("DELETE /v1/sandboxes/sbx", &who, "").await;
    assert_eq!(scene.metric("afterbay_api_boxes").await, "1");
    scene.api.says_to("DELETE /v1/sandboxes/sbx", [Canned::text(204, "text/plain", "")]);
    let deleted = scene.stage.ask("DELETE /v1/sandboxes/sbx", &who, "").await;
    assert_eq!(deleted.head.status(), 204);
    assert_eq!(scene.metric("afterbay_api_boxes").await, "0");

    let Scene { api: _api, a_box, mut stage } = scene;
    let polled = a_box.seen_at("GET /agents/sessions/sess_box").len();
    for restarted in [false, true] {
        if restarted {
            stage = stage.killed_and_again().await;
        }
        let events = stage.ask("GET /box/sbx/agents/executions/e/events", &who, "").await;
        assert_eq!(events.last_data("result")["finalText"], "kept", "{events:?}");
        let repeated = stage.ask(&run, &who, PROMPT).await;
        assert_eq!(repeated.last_data("result")["finalText"], "kept", "{repeated:?}");
        let state = stage.ask("GET /box/sbx/agents/sessions/ses", &who, "").await;
        assert_eq!(state.head.one("x-afterbay-source"), Some("log"), "{state:?}");
        let native = "GET /afterbay/v1/boxes/sbx/sessions/ses/events?after=0";
        let native = stage.ask(native, &format!("{who}Accept: application/json\r\n"), "").await;
        assert_eq!(native.head.status(), 200, "{native:?}");
        // What would go to the box is told that there is none.
        let other = PROMPT.replace("\"t\"", "\"another\"");
        for (line, body) in [
            (run.as_str(), other.as_str()),
            ("GET /box/sbx/files", ""),
            ("POST /box/sbx/agents/sessions/nobody/abort", ""),
        ] {
            let refused = stage.ask(line, &who, body).await;
            assert_eq!(refused.head.status(), 404, "{line} {refused:?}");
            assert_eq!(refused.head.one("x-afterbay-error"), Some("BOX_UNKNOWN"), "{line}");
            assert_eq!(refused.json("/resourceId"), "sbx", "{line}");
        }
    }
    assert_eq!(a_box.seen_at("GET /files").len(), 0);
    assert_eq!(a_box.seen_at("GET /agents/sessions/sess_box").len(), polled);
}

#[tokio::test]
async fn a_turn_of_a_deleted_sandbox_goes_on_to_its_verdict_also_after_a_restart() {
    let scene =
        Scene::with("networks = [\"127.0.0.0/8\"]\n", &["--unreachable-deadline", "1s"]).await;
    scene.learns("sbx", &scene.a_box).await;
    works(&scene.a_box);
    let run = format!("POST /box/sbx{RUN}");
    let mut client = scene.stage.send(&run, &token_of("sbx"), PROMPT).await;
    client.read_to("event: execution.started").await;
    scene.api.says_to("DELETE /v1/sandboxes/sbx", [Canned::text(204, "text/plain", "")]);
    scene.stage.ask("DELETE /v1/sandboxes/sbx", "", "").await;
    scene.a_box.stop().await;
    let Scene { api: _api, a_box: _a_box, stage } = scene;
    let stage = stage.killed_and_again().await;
    let told = stage.ask(&run, &token_of("sbx"), PROMPT).await;
    assert_eq!(told.last_data("result")["errorCode"], "BOX_UNREACHABLE", "{told:?}");
}

#[tokio::test]
async fn a_fork_begins_sessions_of_its_own_under_the_same_names() {
    let scene = Scene::open().await;
    scene.learns("sbx", &scene.a_box).await;
    answers(&scene.a_box, "of the first");
    let run = |id: &str| format!("POST /box/{id}{RUN}");
    scene.stage.ask(&run("sbx"), &token_of("sbx"), PROMPT).await;

    let copy = Sidecar::start().await;
    answers(&copy, "of the fork");
    let forked = serde_json::json!({"sandbox": sandbox("fork", &copy.base())});
    scene.api.says_to("POST /v1/sandboxes/sbx/fork", [Canned::json(201, &forked)]);
    let forked = scene.stage.ask("POST /v1/sandboxes/sbx/fork", "", "{}").await;
    assert_eq!(forked.json("/sandbox/connection/sidecarUrl"), scene.ours("fork"));
    let told = scene.stage.ask(&run("fork"), &token_of("fork"), PROMPT).await;
    assert_eq!(told.last_data("result")["finalText"], "of the fork", "{told:?}");
    assert_eq!(copy.seen_at(&format!("POST {RUN}")).len(), 1);
    let told = scene.stage.ask(&run("sbx"), &token_of("sbx"), PROMPT).await;
    assert_eq!(told.last_data("result")["finalText"], "of the first", "{told:?}");
}

#[tokio::test]
async fn a_box_is_also_below_the_apis_own_prefix() {
    let scene = Scene::open().await;
    scene.learns("sbx", &scene.a_box).await;
    answers(&scene.a_box, "through the runtime");
    let run = format!("POST /v1/sandboxes/sbx/runtime{RUN}");
    let told = scene.stage.ask(&run, &token_of("sbx"), PROMPT).await;
    assert_eq!(told.last_data("result")["finalText"], "through the runtime");
    let again = scene.stage.ask(&format!("POST /box/sbx{RUN}"), &token_of("sbx"), PROMPT).await;
    assert_eq!(again.last_data("result")["finalText"], "through the runtime");
    assert_eq!(scene.a_box.seen_at(&format!("POST {RUN}")).len(), 1, "one door, one turn");
    scene.a_box.says_to("GET //x%2F", [Canned::text(200, "text/plain", "seen")]);
    let passed = scene.stage.ask("GET /v1/sandboxes/sbx/runtime//x%2F?y", "", "").await;
    assert_eq!(passed.body, "seen");
}

#[tokio::test]
async fn an_answer_that_was_shown_is_known_after_a_crash() {
    let mut scene = Scene::open().await;
    scene.a_box.says_to("GET /x", [Canned::text(200, "text/plain", "here")]);
    for round in 0..8 {
        let id = format!("sbx{round}");
        scene.shows(&id, &sandbox(&id, &scene.a_box.base()));
        let target = format!("GET /v1/sandboxes/{id}");
        let mut client = scene.stage.send(&target, "", "").await;
        // Killed in the moment in which the answer's head is there.
        assert_eq!(client.read_head().await.status(), 200);
        let Scene { api, a_box, stage } = scene;
        scene = Scene { api, a_box, stage: stage.killed_and_again().await };
        for known in 0..=round {
            let passed = scene.stage.ask(&format!("GET /box/sbx{known}/x"), "", "").await;
            assert_eq!(passed.body, "here", "sbx{known} after round {round}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_told() {
    let scene = Scene::open().await;
    let data = scene.stage.folder.path().join("data");
    // A damaged list is written anew with the next change, and something stands in the way of that.
    let list = std::fs::read_to_string(data.join("sandboxes")).expect("the list");
    std::fs::write(data.join("sandboxes"), format!("{list}damage\n")).expect("the list");
    std::fs::create_dir(data.join("sandboxes.new")).expect("a folder");
    let Scene { api, a_box, stage } = scene;
    let scene = Scene { api, a_box, stage: stage.killed_and_again().await };
    scene.shows("sbx", &sandbox("sbx", &scene.a_box.base()));
    let refused = scene.stage.ask("GET /v1/sandboxes/sbx", "", "").await;
    assert_eq!(refused.head.status(), 503, "{refused:?}");
    assert_eq!(refused.head.one("x-afterbay-error"), Some("LOG_UNAVAILABLE"));
    assert!(!refused.body.contains("sbx") && refused.head.one("retry-after").is_some());
    let unknown = scene.stage.ask("GET /box/sbx/x", "", "").await;
    assert_eq!(unknown.head.one("x-afterbay-error"), Some("BOX_UNKNOWN"));
    std::fs::remove_dir(data.join("sandboxes.new")).expect("the folder");
    scene.learns("sbx", &scene.a_box).await;
    let Scene { api: _api, a_box, stage } = scene;
    let stage = stage.killed_and_again().await;
    a_box.says_to("GET /x", [Canned::text(200, "text/plain", "here")]);
    assert_eq!(stage.ask("GET /box/sbx/x", "", "").await.body, "here");
}
