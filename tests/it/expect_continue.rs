//! `Expect: 100-continue` through the doors: the client's body is asked for when the box asks.

use afterbay::http::Settings;

use super::raw::{Conn, Head, RawBox};
use super::support::open_doors::OpenDoors;

const ASK: &str = "PUT /up HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// A box, and a client at the doors before it.
async fn doors() -> (RawBox, Conn) {
    let raw_box = RawBox::listen().await;
    let doors = OpenDoors::before(&format!("http://{}", raw_box.addr), Settings::default()).await;
    let client = Conn::open(doors.addr).await;
    (raw_box, client)
}

/// Sends the head of a request with this framing, and gives what the box sees of it.
async fn ask(raw_box: &RawBox, client: &mut Conn, framing: &str) -> (Conn, Head) {
    client.send(format!("{ASK}{framing}\r\n\r\n")).await;
    let mut at_box = raw_box.accept().await;
    let head = at_box.read_head().await;
    (at_box, head)
}

#[tokio::test]
async fn a_body_goes_when_the_box_asks_for_it() {
    for (framing, body) in
        [("Content-Length: 4", "body"), ("Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n")]
    {
        let (raw_box, mut client) = doors().await;
        let (mut at_box, head) = ask(&raw_box, &mut client, framing).await;
        assert_eq!(head.one("expect"), Some("100-continue"));
        // Hints ahead of the answer ask for nothing.
        at_box.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
        at_box.send(CONTINUE).await;
        assert_eq!(client.read_head().await.0, CONTINUE);
        client.send(body).await;
        assert_eq!(at_box.read_exactly(body.len()).await, body);
        at_box.send("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok").await;
        let told = client.read_head().await;
        assert_eq!((told.status(), told.one("connection")), (201, None));
        assert_eq!(client.read_exactly(2).await, "ok");
        // Both connections go on.
        client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(at_box.read_head().await.first_line(), "GET /next HTTP/1.1");
    }
}

#[tokio::test]
async fn a_box_that_refuses_without_asking_gets_no_body_and_the_client_its_answer() {
    let page = "no".repeat(200_000);
    for (answer, body) in [
        ("HTTP/1.1 413 Content Too Large\r\n", page.as_str()),
        ("HTTP/1.1 417 Expectation Failed\r\n", ""),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 401 Unauthorized\r\n", "no"),
    ] {
        let (raw_box, mut client) = doors().await;
        let (mut at_box, _) = ask(&raw_box, &mut client, "Content-Length: 1000000").await;
        at_box.send(format!("{answer}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        // The first that the client hears is the answer: it was never told to go on.
        let told = client.read_head().await;
        assert!(answer.contains(&format!(" {} ", told.status())), "{told:?}");
        assert_eq!(told.one("connection"), Some("close"));
        assert_eq!(client.read_exactly(body.len()).await, body);
        assert_eq!(client.read_to_close().await, "");
        assert_eq!(at_box.read_to_close().await, "", "nothing of a body");
    }
}

#[tokio::test]
async fn an_answer_without_a_question_is_streamed_for_as_long_as_it_lasts() {
    let (raw_box, mut client) = doors().await;
    let (mut at_box, _) = ask(&raw_box, &mut client, "Content-Length: 4").await;
    at_box.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(client.read_head().await.status(), 200);
    for piece in ["1\r\na\r\n", "1\r\nb\r\n", "0\r\n\r\n"] {
        at_box.send(piece).await;
        assert_eq!(client.read_exactly(piece.len()).await, piece);
    }
    assert_eq!(client.read_to_close().await, "");
    assert_eq!(at_box.read_to_close().await, "");
}

#[tokio::test]
async fn a_box_that_never_asks_gets_the_body_all_the_same() {
    let (raw_box, mut client) = doors().await;
    let (mut at_box, _) = ask(&raw_box, &mut client, "Content-Length: 4").await;
    assert_eq!(client.read_head().await.0, CONTINUE);
    client.send("body").await;
    assert_eq!(at_box.read_exactly(4).await, "body");
    at_box.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.read_head().await.status(), 204);
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_not_kept_from_it() {
    let (raw_box, mut client) = doors().await;
    let (mut at_box, _) = ask(&raw_box, &mut client, "Content-Length: 4\r\n\r\nbody").await;
    at_box.send(CONTINUE).await;
    assert_eq!(at_box.read_exactly(4).await, "body");
    at_box.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut told = client.read_head().await;
    if told.status() == 100 {
        told = client.read_head().await;
    }
    assert_eq!(told.status(), 204);
}

#[tokio::test]
async fn a_client_that_goes_while_its_body_is_held_takes_the_request_along() {
    let (raw_box, mut client) = doors().await;
    let (mut at_box, _) = ask(&raw_box, &mut client, "Content-Length: 4").await;
    drop(client);
    assert_eq!(at_box.read_to_close().await, "");
}

#[tokio::test]
async fn a_box_that_hangs_up_without_an_answer_is_an_error_of_ours() {
    let (raw_box, mut client) = doors().await;
    let (at_box, _) = ask(&raw_box, &mut client, "Content-Length: 4").await;
    drop(at_box);
    let told = client.read_head().await;
    assert_eq!((told.status(), told.one("x-afterbay-error")), (502, Some("BOX_ERROR")));
}

#[tokio::test]
async fn the_body_of_a_turn_is_ours_to_ask_for() {
    let (raw_box, mut client) = doors().await;
    client
        .send(
            "POST /agents/run/stream HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
             Content-Length: 2\r\n\r\n",
        )
        .await;
    assert_eq!(client.read_head().await.0, CONTINUE);
    client.send("[]").await;
    assert_eq!(client.read_head().await.status(), 400);
    assert!(raw_box.is_untouched().await);
}
