//! Which box a request is for: the raw path says it.

use super::super::raw::RawBox;
use super::{Stage, table};

/// Two boxes that show what reaches them; the second has a path and a name with a colon.
async fn two() -> (RawBox, RawBox, Stage) {
    let (one, two) = (RawBox::listen().await, RawBox::listen().await);
    let tables = [
        table("zeta", &format!("http://{}", one.addr), ""),
        table("\"a:1\"", &format!("http://{}/pre", two.addr), ""),
    ];
    let stage = Stage::of(&tables, &[]).await;
    (one, two, stage)
}

#[tokio::test]
async fn a_request_below_a_name_is_that_boxs_and_the_box_sees_every_byte_behind_the_name() {
    let (root, other, stage) = two().await;
    for (target, at_root, seen) in [
        ("/x", true, "/x"),
        ("/box/zeta/x", true, "/x"),
        ("/box/zeta", true, "/"),
        ("/box/a:1/x", false, "/pre/x"),
        ("/box/a%3A1/x", false, "/pre/x"),
        ("/box/a:1", false, "/pre/"),
        ("/box/a:1?q", false, "/pre/?q"),
        ("/box/a:1//b/%2F%2e/../c;d?x=%20+&&", false, "/pre//b/%2F%2e/../c;d?x=%20+&&"),
        // One name is taken off and no second one.
        ("/box/a:1/box/zeta/x", false, "/pre/box/zeta/x"),
        ("/box/zeta/box/nobody/x", true, "/box/nobody/x"),
        // These name no box.
        ("/box", true, "/box"),
        ("/box/", true, "/box/"),
        ("/box//a:1/x", true, "/box//a:1/x"),
        ("//box/a:1/x", true, "//box/a:1/x"),
        ("/Box/a:1/x", true, "/Box/a:1/x"),
    ] {
        let mut client = stage.send(&format!("PUT {target}"), "X-Own: 1\r\n", "body").await;
        let (asked, silent) = if at_root { (&root, &other) } else { (&other, &root) };
        let mut at_box = asked.accept().await;
        let head = at_box.read_head().await;
        assert_eq!(head.first_line(), format!("PUT {seen} HTTP/1.1"), "{target}");
        assert_eq!(head.one("host"), Some(asked.addr.to_string().as_str()));
        assert_eq!((head.one("x-own"), at_box.read_to("body").await.as_str()), (Some("1"), "body"));
        let answer = "HTTP/1.1 307 T\r\nLocation: /elsewhere\r\nConnection: close\r\n\
                      Content-Length: 0\r\n\r\n";
        at_box.send(answer).await;
        // What a box says about its own paths is not rewritten.
        let head = client.read_head().await;
        assert_eq!((head.status(), head.one("location")), (307, Some("/elsewhere")), "{target}");
        assert!(silent.is_untouched().await, "{target}");
    }
}

#[tokio::test]
async fn a_name_that_no_box_has_is_answered_here() {
    let (root, other, stage) = two().await;
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (target, fields, status, code) in [
        ("GET /box/nobody/x", "", 404, "BOX_UNKNOWN"),
        ("GET /box/default/x", "", 404, "BOX_UNKNOWN"),
        ("GET /box/nobody", "", 404, "BOX_UNKNOWN"),
        ("GET /box/ZETA/x", "", 404, "BOX_UNKNOWN"),
        ("GET /box/a%2F1/x", "", 404, "BOX_UNKNOWN"),
        ("GET /box/%ff/x", "", 404, "BOX_UNKNOWN"),
        ("GET /box/../x", "", 404, "BOX_UNKNOWN"),
        ("POST /box/nobody/agents/run/stream", "", 404, "BOX_UNKNOWN"),
        ("OPTIONS /box/nobody/agents/run/stream", "", 404, "BOX_UNKNOWN"),
        ("GET /box/nobody/agents/sessions/s/events", "", 404, "BOX_UNKNOWN"),
        ("GET /box/nobody/ws", upgrade, 404, "BOX_UNKNOWN"),
        ("GET /box/nobody/x", "Origin: https://evil.example\r\n", 403, "ORIGIN_NOT_ALLOWED"),
        ("GET http://evil.example/box/nobody/x", "", 421, "HOST_NOT_ALLOWED"),
        ("GET /box/a:1/x", "Origin: https://evil.example\r\n", 403, "ORIGIN_NOT_ALLOWED"),
        ("GET http://evil.example/box/a:1/x", "", 421, "HOST_NOT_ALLOWED"),
    ] {
        let answer = stage.ask(target, fields, "").await;
        assert_eq!(answer.head.status(), status, "{target} {answer:?}");
        assert_eq!(answer.head.one("x-afterbay-error"), Some(code), "{target}");
        assert_eq!(answer.json("/error/code"), code);
    }
    assert!(root.is_untouched().await && other.is_untouched().await);
    let metrics = stage.metrics().await;
    assert!(!metrics.contains("nobody") && !metrics.contains("ZETA"), "{metrics}");
    let of_zeta = metrics.lines().filter(|line| line.contains("zeta"));
    assert!(of_zeta.clone().count() > 0 && of_zeta.clone().all(|line| line.ends_with(" 0")));
}

#[tokio::test]
async fn a_request_that_has_been_at_one_box_is_stopped_on_its_way_to_another() {
    let (root, other, stage) = two().await;
    let _client = stage.send("GET /x", "", "").await;
    let mut at_box = root.accept().await;
    let head = at_box.read_head().await;
    let via = format!("Via: {}\r\n", head.one("via").expect("a via"));
    for target in ["GET /x", "GET /box/zeta/x", "GET /box/a:1/x"] {
        let stopped = stage.ask(target, &via, "").await;
        assert_eq!(stopped.head.status(), 508, "{target}");
        assert_eq!(stopped.head.one("x-afterbay-error"), Some("LOOP_DETECTED"));
    }
    assert!(root.is_untouched().await && other.is_untouched().await);
}
