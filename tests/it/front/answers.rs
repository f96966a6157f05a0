//! What becomes of the API's answers: which are read, and that nothing but URLs changes in them.

use serde_json::json;

use super::super::raw::{Conn, RawBox};
use super::super::support::scripted_sidecar::{Canned, Sidecar};
use super::{Scene, Stage, sandbox};

#[tokio::test]
async fn a_list_of_a_hundred_leads_here_and_every_other_byte_stays() {
    let scene = Scene::open().await;
    let base = scene.a_box.base();
    let item = |n: u32, url: &str| {
        format!(
            "{{\"metadata\" : {{\"sandbox\":{{\"id\":\"m{n}\",\"connection\":{{\"sidecarUrl\":\
             \"{base}\"}}}},\"n\":1.50e+3}},\n  \"id\":\"s{n}\",\"connection\":{{\"runtimeUrl\":\
             \"{url}\", \"webTerminalUrl\":\"{base}/t\",\"authToken\":\"token-{n}\"}} }}"
        )
    };
    let list = |url: &dyn Fn(u32) -> String| {
        let items: Vec<_> = (0..100).map(|n| item(n, &url(n))).collect();
        format!("{{\"sandboxes\":[{}],\"total\":100}}", items.join(",\n"))
    };
    let theirs = list(&|_| base.replace('/', "\\/"));
    let answer = Canned::text(200, "application/json; charset=utf-8", theirs);
    scene.api.says_to("GET /v1/sandboxes", [answer.with("etag", "\"e\"").with("x-own", "kept")]);
    let fields = "Accept-Encoding: gzip\r\nIf-None-Match: \"e\"\r\nRange: bytes=0-9\r\n";
    let told = scene.stage.ask("GET /v1/sandboxes?limit=100", fields, "").await;
    assert_eq!(told.head.status(), 200);
    assert_eq!(told.body, list(&|n| scene.ours(&format!("s{n}"))));
    assert_eq!(told.head.one("content-length"), Some(told.body.len().to_string().as_str()));
    assert_eq!((told.head.one("etag"), told.head.one("x-own")), (None, Some("kept")));
    let asked = &scene.api.seen_at("GET /v1/sandboxes")[0];
    assert_eq!(asked.header("accept-encoding"), Some("identity"));
    assert_eq!((asked.header("if-none-match"), asked.header("range")), (None, None));
    assert_eq!(asked.query, "limit=100");
    assert_eq!(scene.metric("afterbay_api_boxes").await, "100");
    scene.a_box.says_to("GET /x", [Canned::text(200, "text/plain", "here")]);
    assert_eq!(scene.stage.ask("GET /box/s99/x", "", "").await.body, "here");
    assert_eq!(scene.stage.ask("GET /box/m99/x", "", "").await.head.status(), 404);
}

#[tokio::test]
async fn what_holds_no_objects_passes_untouched() {
    let scene = Scene::open().await;
    let object = sandbox("sbx", &scene.a_box.base()).to_string();
    let json = |status| Canned::text(status, "application/json", object.clone()).with("etag", "e");
    for (line, answer) in [
        ("GET /v1/sessions/a", json(200)),
        ("POST /v1/sandboxes/sbx/snapshot", json(200)),
        ("GET /v1/sandboxes/sbx", json(404)),
        ("GET /v1/sandboxes", Canned::text(200, "text/plain", object.clone()).with("etag", "e")),
        (
            "POST /v1/sandboxes",
            Canned::text(307, "application/json", object.clone()).with("etag", "e"),
        ),
        ("GET /usage", json(200)),
        ("POST /batch/run", json(200)),
        // Without a box at the root it has no other owner.
        ("GET /health", json(200)),
        ("GET /agents/sessions/x", json(200)),
    ] {
        scene.api.says_to(line, [answer]);
        let told = scene.stage.ask(line, "Accept-Encoding: gzip\r\n", "{}").await;
        assert_eq!(
            (told.body.as_str(), told.head.one("etag")),
            (object.as_str(), Some("e")),
            "{line}"
        );
        assert_eq!(told.head.one("x-afterbay-error"), None);
    }
    assert_eq!(scene.metric("afterbay_api_boxes").await, "0");
    let frames = Canned::stream(&[("status", &object)]).hangs();
    scene.api.says_to("GET /v1/sandboxes/sbx/events", [frames]);
    let mut stream = scene.stage.send("GET /v1/sandboxes/sbx/events", "", "").await;
    let head = stream.read_head().await;
    assert_eq!(head.status(), 200);
    // The stream goes on, and what came is here.
    stream.read_to(&object).await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_shown() {
    let scene = Scene::open().await;
    let object = sandbox("sbx", &scene.a_box.base()).to_string();
    let json = |body: Vec<u8>| Canned::text(200, "application/json", body);
    let huge = format!("[{}{object}]", " ".repeat(afterbay::limits::MAX_API_ANSWER_BYTES));
    for (what, answer) in [
        ("encoded", json(object.clone().into_bytes()).with("content-encoding", "gzip")),
        ("torn", json(object.as_bytes()[..object.len() - 1].to_vec())),
        ("no UTF-8", json([object.as_bytes(), b"\xff"].concat())),
        ("huge", json(huge.into_bytes())),
    ] {
        scene.api.says_to("GET /v1/sandboxes/sbx", [answer]);
        let told = scene.stage.ask("GET /v1/sandboxes/sbx", "", "").await;
        assert_eq!(told.head.status(), 502, "{what}");
        assert_eq!(told.head.one("x-afterbay-error"), Some("API_ANSWER_UNREADABLE"), "{what}");
        assert!(!told.body.contains(&scene.a_box.base()), "{what} {told:?}");
    }
    assert_eq!(scene.metric("afterbay_api_answers_unreadable_total").await, "4");
    assert_eq!(scene.metric("afterbay_api_boxes").await, "0");
    // Nothing to read is no fault.
    scene.api.says_to("POST /v1/sandboxes/sbx/stop", [json(Vec::new())]);
    let told = scene.stage.ask("POST /v1/sandboxes/sbx/stop", "", "").await;
    assert_eq!((told.head.status(), told.body.as_str()), (200, ""));
}

#[tokio::test]
async fn an_answer_of_any_size_below_the_bound_is_read() {
    let scene = Scene::open().await;
    let payload = "x".repeat(8 << 20);
    let mut object = sandbox("sbx", &scene.a_box.base());
    object["metadata"] = json!({ "payload": payload });
    scene.shows("sbx", &object);
    let told = scene.stage.ask("GET /v1/sandboxes/sbx", "", "").await;
    assert_eq!(told.json("/connection/sidecarUrl"), scene.ours("sbx"));
    assert_eq!(told.json("/metadata/payload").len(), payload.len());
}

#[tokio::test]
async fn a_head_tells_no_length_of_other_bytes() {
    let scene = Scene::open().await;
    let answer = Canned::text(200, "application/json", "{}").with("etag", "\"e\"");
    scene.api.says_to("HEAD /v1/sandboxes/sbx", [answer]);
    let told = scene.stage.ask("HEAD /v1/sandboxes/sbx", "", "").await;
    assert_eq!(told.head.status(), 200);
    assert_eq!((told.head.one("content-length"), told.head.one("etag")), (None, None));
}

#[tokio::test]
async fn an_api_that_is_gone_is_told_from_a_box() {
    let scene = Scene::open().await;
    scene.learns("sbx", &scene.a_box).await;
    scene.api.says_to("GET /v1/sandboxes/broken", [Canned::nothing()]);
    let told = scene.stage.ask("GET /v1/sandboxes/broken", "", "").await;
    assert_eq!((told.head.status(), told.head.one("x-afterbay-error")), (502, Some("API_ERROR")));
    scene.api.stop().await;
    for line in
        ["GET /v1/sandboxes/sbx", "POST /v1/sandboxes", "GET /v1/x", "DELETE /v1/sandboxes/sbx"]
    {
        let told = scene.stage.ask(line, "", "").await;
        assert_eq!(told.head.status(), 502, "{line}");
        assert_eq!(told.head.one("x-afterbay-error"), Some("API_UNREACHABLE"), "{line}");
    }
    scene.a_box.says_to("GET /x", [Canned::text(200, "text/plain", "here")]);
    assert_eq!(scene.stage.ask("GET /box/sbx/x", "", "").await.body, "here");
}

#[tokio::test]
async fn a_box_at_the_root_keeps_what_is_not_the_apis() {
    let root = Sidecar::start().await;
    let keys = format!(
        "networks = [\"127.0.0.0/8\"]\n[box]\nurl = \"{}\"\nkind = \"tangle\"\n",
        root.base()
    );
    let scene = Scene::with(&keys, &[]).await;
    for (path, is_apis) in [
        ("/v1/sandboxes", true),
        ("/v1", true),
        ("/batch/run", true),
        ("/usage", true),
        ("/v1x", false),
        ("/health", false),
        ("/agents/sessions/x", false),
        ("/", false),
    ] {
        let line = format!("GET {path}");
        for (sidecar, name) in [(&scene.api, "the api"), (&root, "the root")] {
            sidecar.says_to(&line, [Canned::text(200, "text/plain", name)]);
        }
        let told = scene.stage.ask(&line, "", "").await;
        assert_eq!(told.body, if is_apis { "the api" } else { "the root" }, "{path}");
    }
    // The configured box's name is never a sandbox's.
    scene.shows("default", &sandbox("default", &scene.a_box.base()));
    let told = scene.stage.ask("GET /v1/sandboxes/default", "", "").await;
    assert_eq!(told.json("/connection/sidecarUrl"), scene.a_box.base());
    let runtime = "GET /v1/sandboxes/default/runtime/x";
    scene.api.says_to(runtime, [Canned::text(200, "text/plain", "left to the api")]);
    assert_eq!(scene.stage.ask(runtime, "", "").await.body, "left to the api");
    let left = scene.metric("afterbay_api_objects_left_total{why=\"taken\"}").await;
    assert_eq!(left, "1");
}

#[tokio::test]
async fn a_websocket_to_the_api_is_carried_and_what_is_ours_stays_here() {
    let api = RawBox::listen().await;
    let stage = Stage::of(&[format!("[api]\nurl = \"http://{}/pre\"\n", api.addr)], &[]).await;
    let mut client = Conn::open(stage.clients).await;
    client
        .send(
            "GET /v1/terminal?x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    let mut at_api = api.accept().await;
    let head = at_api.read_head().await;
    assert_eq!(head.first_line(), "GET /pre/v1/terminal?x HTTP/1.1");
    let switch = "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    at_api.send(switch).await;
    assert_eq!(client.read_head().await.status(), 101);
    client.send("to the api").await;
    at_api.read_to("to the api").await;
    at_api.send("to the client").await;
    client.read_to("to the client").await;
    // Neither the native API nor a target without a path is the API's.
    for (line, status) in [
        ("GET /afterbay/v1/openapi.json", 200),
        ("GET /afterbay/v1/sessions", 200),
        ("GET /afterbay/nothing", 404),
        ("GET /afterbay/v1/boxes/default/sessions/s", 404),
        ("OPTIONS *", 204),
    ] {
        assert_eq!(stage.ask(line, "", "").await.head.status(), status, "{line}");
    }
    assert!(api.is_untouched().await);
}
