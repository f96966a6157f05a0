//! Which pages may read what is answered: those of named origins, and no others.

use afterbay::http::Settings;
use afterbay::http::guard::Allowed;

use super::doors::{doors_with, read_error};
use super::raw::{Conn, Head, RawBox};

const PAGE: &str = "https://page.example";

async fn doors() -> (RawBox, Conn) {
    let origins = vec![PAGE.to_owned()];
    let allowed = Allowed { origins, ..Allowed::default() };
    doors_with(Settings { allowed, ..Settings::default() }).await
}

/// What the browser is told of origins.
fn told(head: &Head) -> Vec<(String, String)> {
    let mut told: Vec<_> = head
        .names()
        .into_iter()
        .filter(|name| name.starts_with("access-control-") || name == "vary")
        .flat_map(|name| {
            let values: Vec<_> = head.all(&name).into_iter().map(str::to_owned).collect();
            values.into_iter().map(move |value| (name.clone(), value))
        })
        .collect();
    told.sort();
    told.dedup();
    told
}

fn may_read() -> Vec<(String, String)> {
    let exposed = "location, retry-after, x-execution-id, x-session-id, x-afterbay-cursor, \
                   x-afterbay-error, x-afterbay-source";
    [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-origin", PAGE),
        ("access-control-expose-headers", exposed),
        ("vary", "origin"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

#[tokio::test]
async fn a_named_page_is_told_what_it_may_send_without_the_box() {
    for target in ["/agents/run/stream", "/agents/sessions/s/events", "/anything//at/all?x"] {
        let (raw_box, mut client) = doors().await;
        client
            .send(format!(
                "OPTIONS {target} HTTP/1.1\r\nHost: a\r\nOrigin: {PAGE}\r\n\
                 Sec-Fetch-Site: cross-site\r\nAccess-Control-Request-Method: POST\r\n\
                 Access-Control-Request-Headers: authorization,last-event-id\r\n\
                 Access-Control-Request-Private-Network: true\r\n\r\n"
            ))
            .await;
        let head = client.read_head().await;
        assert_eq!(head.status(), 204, "{target}");
        assert_eq!(head.one("access-control-allow-origin"), Some(PAGE));
        assert_eq!(head.one("access-control-allow-credentials"), Some("true"));
        assert_eq!(head.one("access-control-allow-private-network"), Some("true"));
        assert_eq!(head.one("access-control-max-age"), Some("600"));
        let headers = head.one("access-control-allow-headers").expect("headers");
        for header in
            ["authorization", "last-event-id", "x-execution-id", "traceparent", "tracestate"]
        {
            assert!(headers.split(", ").any(|allowed| allowed == header), "{headers}");
        }
        let methods = head.one("access-control-allow-methods").expect("methods");
        assert!(methods.split(", ").any(|allowed| allowed == "POST"), "{methods}");
        assert!(raw_box.is_untouched().await, "{target}");
    }
}

#[tokio::test]
async fn what_the_box_says_of_origins_is_replaced_for_a_named_page_alone() {
    let of_box = "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Origin: https://b.example";
    for (fields, expected) in [
        (format!("Origin: {PAGE}\r\nSec-Fetch-Site: cross-site\r\n"), may_read()),
        (
            String::new(),
            vec![
                ("access-control-allow-origin".to_owned(), "*".to_owned()),
                ("access-control-allow-origin".to_owned(), "https://b.example".to_owned()),
            ],
        ),
    ] {
        let (raw_box, mut client) = doors().await;
        client.send(format!("GET /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        let mut at_box = raw_box.accept().await;
        at_box.read_head().await;
        at_box.send(format!("HTTP/1.1 200 OK\r\n{of_box}\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(told(&client.read_head().await), expected, "{fields}");
    }
}

#[tokio::test]
async fn a_named_page_reads_our_errors_and_no_other_page_does() {
    let (_box, mut client) = doors().await;
    client
        .send(format!("PUT /agents/run/stream HTTP/1.1\r\nHost: a\r\nOrigin: {PAGE}\r\n\r\n"))
        .await;
    assert_eq!(told(&client.read_head().await), may_read());
    // The same name on another port is another origin, and so is one that holds the name.
    for origin in ["https://page.example:8443", "https://page.example.example", "null"] {
        let (raw_box, mut client) = doors().await;
        client.send(format!("GET /x HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n\r\n")).await;
        let (status, code) = read_error(&mut client).await;
        assert_eq!((status, code.as_str()), (403, "ORIGIN_NOT_ALLOWED"), "{origin}");
        assert!(raw_box.is_untouched().await);
    }
}

#[tokio::test]
async fn without_a_named_origin_nothing_is_added() {
    let (raw_box, mut client) = doors_with(Settings::default()).await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\n\r\n").await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(told(&client.read_head().await), []);
}
