//! Where boxes may be, and what is said of those that nobody knows.

use super::super::support::scripted_sidecar::{Canned, Sidecar};
use super::{PROMPT, Scene, sandbox};

/// The API shows a sandbox at `url`: its answer is passed on as it came, and nothing is learned.
async fn check_left(scene: &Scene, id: &str, url: &str) {
    scene.shows("sbx", &sandbox(id, url));
    let told = scene.stage.ask("GET /v1/sandboxes/sbx", "", "").await;
    assert_eq!(told.head.status(), 200);
    assert_eq!(told.body, sandbox(id, url).to_string(), "{url}");
    assert_eq!(scene.metric("afterbay_api_boxes").await, "0", "{url}");
}

#[tokio::test]
async fn a_box_inside_this_machine_or_around_it_is_not_taken() {
    let scene = Scene::with("", &[]).await;
    let base = scene.a_box.base();
    for url in [
        base.as_str(),
        "http://localhost:1/",
        "http://0.0.0.0/",
        "http://[::1]:1",
        "http://[::ffff:127.0.0.1]:1",
        "http://10.0.0.1",
        "http://192.168.1.1",
        "http://169.254.169.254/latest",
        "http://[fe80::1]",
        "http://user:canary@box.example",
        "http://box.example/?token=canary",
        "ftp://box.example",
        "nonsense",
    ] {
        check_left(&scene, "sbx", url).await;
    }
    check_left(&scene, "a b", "https://box.example").await;
    check_left(&scene, "..", "https://box.example").await;
    assert_eq!(scene.metric("afterbay_api_objects_left_total{why=\"url\"}").await, "13");
    assert_eq!(scene.metric("afterbay_api_objects_left_total{why=\"id\"}").await, "2");
}

#[tokio::test]
async fn our_own_door_is_no_box_although_its_network_is_allowed() {
    let scene = Scene::open().await;
    for host in ["127.0.0.1", "localhost", "0.0.0.0"] {
        check_left(&scene, "sbx", &format!("http://{host}:{}", scene.stage.clients.port())).await;
    }
}

#[tokio::test]
async fn a_name_is_judged_by_the_address_that_it_leads_to() {
    // A way to write a loopback address that no parser of addresses takes and every resolver does.
    let scene = Scene::with("", &["--unreachable-deadline", "1s", "--start-deadline", "1s"]).await;
    let port = scene.a_box.base().rsplit(':').next().expect("a port").to_owned();
    scene.shows("sbx", &sandbox("sbx", &format!("http://127.1:{port}")));
    let told = scene.stage.ask("GET /v1/sandboxes/sbx", "", "").await;
    assert_eq!(told.json("/connection/sidecarUrl"), scene.ours("sbx"));
    let passed = scene.stage.ask("GET /box/sbx/x", "", "").await;
    assert_eq!(passed.head.one("x-afterbay-error"), Some("BOX_UNREACHABLE"), "{passed:?}");
    let turn = scene.stage.ask("POST /box/sbx/agents/run/stream", "", PROMPT).await;
    assert!(turn.head.status() >= 500 || turn.body.contains("BOX_UNREACHABLE"), "{turn:?}");
    for line in ["GET /x", "POST /agents/run/stream", "GET /health"] {
        assert_eq!(scene.a_box.seen_at(line).len(), 0, "{line}");
    }
}

#[tokio::test]
async fn of_two_urls_the_one_that_may_be_is_taken_and_none_is_shown() {
    let scene = Scene::open().await;
    let mut object = sandbox("sbx", "http://10.0.0.1/");
    object["connection"]["runtimeUrl"] = scene.a_box.base().into();
    scene.shows("sbx", &object);
    let told = scene.stage.ask("GET /v1/sandboxes/sbx", "", "").await;
    assert_eq!(told.json("/connection/sidecarUrl"), scene.ours("sbx"));
    assert_eq!(told.json("/connection/runtimeUrl"), scene.ours("sbx"));
    scene.a_box.says_to("GET /x", [Canned::text(200, "text/plain", "here")]);
    assert_eq!(scene.stage.ask("GET /box/sbx/x", "", "").await.body, "here");
}

#[tokio::test]
async fn ids_that_are_guessed_are_answered_here_and_leave_nothing() {
    let scene = Scene::open().await;
    for n in 0..1000 {
        let line = match n % 4 {
            0 => format!("GET /box/guess{n}/x"),
            1 => format!("GET /v1/sandboxes/guess{n}/runtime/x"),
            2 => format!("GET /box/guess{n}/agents/sessions/s/events"),
            _ => format!("GET /afterbay/v1/boxes/guess{n}/sessions/s"),
        };
        let told = scene.stage.ask(&line, "", "").await;
        assert_eq!(told.head.status(), 404, "{line}");
        assert_eq!(told.head.one("x-afterbay-error"), Some("BOX_UNKNOWN"), "{line}");
        assert_eq!(told.json("/resourceId"), format!("guess{n}"), "{line}");
    }
    for path in ["/x", "/runtime/x"] {
        assert!(scene.api.seen_at(&format!("GET {path}")).is_empty());
    }
    assert_eq!(scene.metric("afterbay_api_boxes").await, "0");
    let file = std::fs::read_to_string(scene.stage.folder.path().join("data/sandboxes"));
    assert_eq!(file.expect("the list").lines().count(), 1);
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_from_the_api() {
    let scene = Scene::open().await;
    for (fields, status, code) in [
        ("Origin: https://evil.example\r\n", 403, "ORIGIN_NOT_ALLOWED"),
        ("Sec-Fetch-Site: cross-site\r\n", 403, "ORIGIN_NOT_ALLOWED"),
        ("x-afterbay-streaming: nonsense\r\n", 400, "INVALID_STREAMING"),
    ] {
        let told = scene.stage.ask("POST /v1/sandboxes", fields, "{}").await;
        assert_eq!((told.head.status(), told.head.one("x-afterbay-error")), (status, Some(code)));
    }
    let told = scene.stage.ask("GET http://evil.example/v1/sandboxes", "", "").await;
    assert_eq!(told.head.status(), 421);
    assert!(scene.api.seen_at("POST /v1/sandboxes").is_empty());
    assert!(scene.api.seen_at("GET /v1/sandboxes").is_empty());
}

#[tokio::test]
async fn redirects_pass_and_are_never_followed() {
    let scene = Scene::open().await;
    let elsewhere = Sidecar::start().await;
    let target = format!("{}/v1/sandboxes/sbx", elsewhere.base());
    let redirect = Canned::text(307, "application/json", "").with("location", &target);
    scene.api.says_to("GET /v1/sandboxes/sbx", [redirect]);
    let told = scene.stage.ask("GET /v1/sandboxes/sbx", "", "").await;
    assert_eq!((told.head.status(), told.head.one("location")), (307, Some(target.as_str())));
    assert!(elsewhere.seen_at("GET /v1/sandboxes/sbx").is_empty());
}
