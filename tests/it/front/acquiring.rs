//! Creates that fail and are sent once more, within a time.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::super::raw::{DEADLINE, RawBox, read};
use super::super::support::scripted_sidecar::{Canned, Sidecar};
use super::{Scene, sandbox};

const CREATE: &str = "POST /v1/sandboxes";
const KEY: &str = "Idempotency-Key: k-1\r\nAuthorization: Bearer key\r\nX-Own: a\r\n";
const BODY: &str = r#"{"image":"x"}"#;

async fn scene(more: &str) -> Scene {
    let keys = format!("networks = [\"127.0.0.0/8\"]\n[acquire]\n{more}\n");
    Scene::with(&keys, &[]).await
}

fn made(scene: &Scene) -> Canned {
    Canned::json(201, &sandbox("sbx", &scene.a_box.base()))
}

#[tokio::test]
async fn a_create_that_fails_is_sent_again_as_it_was_until_it_is_made() {
    let scene = scene("retry = true").await;
    let busy = Canned::error(503, "NO_CAPACITY").with("retry-after", "1");
    scene.api.says_to(CREATE, [busy, Canned::html(524), made(&scene)]);
    let begun = Instant::now();
    let expects = format!("{KEY}Expect: 100-continue\r\n");
    let mut client = scene.stage.send(CREATE, &expects, BODY).await;
    // The body is asked for at once, since it is kept.
    assert_eq!(client.read_head().await.status(), 100);
    let told = read(client).await;
    assert_eq!(told.head.status(), 201, "{told:?}");
    assert_eq!(told.json("/connection/sidecarUrl"), scene.ours("sbx"));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    let seen = scene.api.seen_at(CREATE);
    assert_eq!(seen.len(), 3);
    for one in &seen {
        assert_eq!((one.header("idempotency-key"), one.header("x-own")), (Some("k-1"), Some("a")));
        assert_eq!(
            (one.header("authorization"), &one.body[..]),
            (Some("Bearer key"), BODY.as_bytes())
        );
        assert_eq!(one.header("expect"), None);
    }
    assert_eq!(scene.metric("afterbay_api_create_retries_total").await, "2");
}

#[tokio::test]
async fn a_key_in_the_body_will_do() {
    let scene = scene("retry = true").await;
    scene.api.says_to(CREATE, [Canned::error(429, "RATE_LIMITED"), made(&scene)]);
    let body = r#"{"image":"x","idempotencyKey":"k"}"#;
    assert_eq!(scene.stage.ask(CREATE, "", body).await.head.status(), 201);
    assert_eq!(scene.api.seen_at(CREATE).len(), 2);
}

#[tokio::test]
async fn without_a_key_or_for_what_will_not_pass_it_is_sent_once() {
    let scene = scene("retry = true").await;
    for (fields, status) in [("", 503), (KEY, 500), (KEY, 400), (KEY, 402), (KEY, 409)] {
        let before = scene.api.seen_at(CREATE).len();
        scene.api.says_to(CREATE, [Canned::error(status, "NO"), made(&scene)]);
        let told = scene.stage.ask(CREATE, fields, BODY).await;
        assert_eq!(told.head.status(), status, "{fields}");
        assert_eq!(scene.api.seen_at(CREATE).len(), before + 1, "{status}");
    }
    // An answer that never came may be one to a sandbox that was made.
    scene.api.says_to(CREATE, [Canned::nothing(), made(&scene)]);
    assert_eq!(scene.stage.ask(CREATE, KEY, BODY).await.head.status(), 502);
    // A body that is too large to be kept.
    scene.api.says_to(CREATE, [Canned::error(503, "NO"), made(&scene)]);
    let large = json!({ "image": "x".repeat(afterbay::limits::MAX_CREATE_BODY_BYTES) }).to_string();
    assert_eq!(scene.stage.ask(CREATE, KEY, &large).await.head.status(), 503);
    assert_eq!(scene.metric("afterbay_api_create_retries_total").await, "0");
}

#[tokio::test]
async fn it_is_off_unless_it_is_asked_for() {
    let scene = Scene::open().await;
    scene.api.says_to(CREATE, [Canned::error(503, "NO"), made(&scene)]);
    assert_eq!(scene.stage.ask(CREATE, KEY, BODY).await.head.status(), 503);
}

#[tokio::test]
async fn what_would_come_too_late_is_not_begun_and_the_apis_answer_is_the_answer() {
    let scene = scene("retry = true\nbudget = \"2s\"").await;
    let begun = Instant::now();
    let later = Canned::error(503, "LATER").with("retry-after", "3");
    scene.api.says_to(CREATE, [later, made(&scene)]);
    let told = scene.stage.ask(CREATE, KEY, BODY).await;
    assert_eq!((told.head.status(), told.head.one("retry-after")), (503, Some("3")));
    assert_eq!(told.json("/error/code"), "LATER");
    assert_eq!(scene.api.seen_at(CREATE).len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // It goes on failing: the last answer comes before the budget is over.
    scene.api.says_to(CREATE, [Canned::error(502, "NO")]);
    let begun = Instant::now();
    assert_eq!(scene.stage.ask(CREATE, KEY, BODY).await.head.status(), 502);
    assert!(begun.elapsed() < Duration::from_millis(2500), "{:?}", begun.elapsed());
    assert!(scene.api.seen_at(CREATE).len() > 2);
}

#[tokio::test]
async fn an_api_that_comes_up_meanwhile_is_found() {
    // A port that nobody listens on for a while.
    let held = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = held.local_addr().expect("an address");
    drop(held);
    let table = format!(
        "[api]\nurl = \"http://{address}\"\nnetworks = [\"127.0.0.0/8\"]\n[acquire]\nretry = true\n"
    );
    let stage = super::Stage::of(&[table], &[]).await;
    let mut client = stage.send(CREATE, KEY, BODY).await;
    let tried = |metrics: String| {
        let line = "afterbay_api_create_retries_total 0";
        !metrics.lines().any(|l| l == line)
    };
    while !tried(stage.metrics().await) {
        tokio::task::yield_now().await;
    }
    let api = RawBox::listen_on(address).await;
    let mut asked = api.accept().await;
    asked.read_head().await;
    assert_eq!(asked.read_to("}").await, BODY);
    asked
        .send(
            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        )
        .await;
    assert_eq!(client.read_head().await.status(), 201);
}

#[tokio::test]
async fn a_client_that_has_gone_is_not_tried_for() {
    let scene = scene("retry = true").await;
    scene.api.says_to(CREATE, [Canned::error(503, "NO").with("retry-after", "1")]);
    let client = scene.stage.send(CREATE, KEY, BODY).await;
    let seen = || scene.api.seen_at(CREATE).len();
    let once = async {
        while seen() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, once).await.expect("a first try");
    drop(client);
    // Others are answered meanwhile, for longer than the next try would have taken.
    let elsewhere = Sidecar::start().await;
    scene.shows("sbx", &sandbox("sbx", &elsewhere.base()));
    let until = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < until {
        assert_eq!(scene.stage.ask("GET /v1/sandboxes/sbx", "", "").await.head.status(), 200);
    }
    assert_eq!(seen(), 1);
}
