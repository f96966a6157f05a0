//! Cleartext HTTP/2 on our side, HTTP/1.1 on the box's: what passes through must not tell the
//! difference.

use std::convert::Infallible;

use afterbay::http::Settings;
use afterbay::tasks::Tasks;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::raw::{DEADLINE, RawBox};
use super::support::open_doors::OpenDoors;

type Body = BoxBody<Bytes, Infallible>;
type Answer = JoinHandle<hyper::Result<http::Response<Incoming>>>;

/// A client that begins with HTTP/2, and the box behind the doors.
struct Ends {
    raw_box: RawBox,
    sender: http2::SendRequest<Body>,
    tasks: Tasks,
}

impl Ends {
    async fn open() -> Self {
        let raw_box = RawBox::listen().await;
        let base = format!("http://{}", raw_box.addr);
        let doors = OpenDoors::before(&base, Settings::default()).await;
        let stream = TcpStream::connect(doors.addr).await.expect("connects");
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.expect("HTTP/2 is spoken");
        let tasks = Tasks::new();
        tasks.spawn("client", connection);
        Self { raw_box, sender, tasks }
    }

    /// Sends a request; its answer comes when the box has given it.
    fn ask(&mut self, request: http::request::Builder, body: Body) -> Answer {
        let request = request.version(Version::HTTP_2).body(body).expect("a request");
        self.tasks.spawn("request", self.sender.send_request(request))
    }
}

async fn answered(answer: Answer) -> http::Response<Incoming> {
    let answer = timeout(DEADLINE, answer).await.expect("in time").expect("no panic");
    answer.expect("an answer")
}

fn empty() -> Body {
    Empty::new().boxed()
}

fn to(target: &str) -> http::request::Builder {
    Request::builder().uri(format!("http://localhost{target}"))
}

#[tokio::test]
async fn a_request_is_the_same_to_the_box() {
    let mut ends = Ends::open().await;
    let request = to("/a//b/%2F?").method(Method::DELETE).header("x-many", "b");
    let request = request.header("x-many", "a").header("te", "trailers");
    let answer = ends.ask(request, Full::new(Bytes::from("hello")).boxed());
    let mut at_box = ends.raw_box.accept().await;
    let head = at_box.read_head().await;
    assert_eq!(head.first_line(), "DELETE /a//b/%2F? HTTP/1.1");
    assert_eq!(head.one("host"), Some(ends.raw_box.addr.to_string().as_str()));
    assert_eq!(head.all("x-many"), ["b", "a"]);
    assert_eq!(head.one("content-length"), Some("5"));
    assert!(head.one("via").is_some_and(|via| via.starts_with("2.0 afterbay-")));
    assert_eq!(head.names(), ["content-length", "host", "via", "x-many"]);
    assert_eq!(at_box.read_exactly(5).await, "hello");
    at_box
        .send("HTTP/1.1 404 Nope\r\nSet-Cookie: b\r\nSet-Cookie: a\r\nContent-Length: 2\r\n\r\nno")
        .await;
    let answer = answered(answer).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["b", "a"]);
    assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "no");
}

#[tokio::test]
async fn a_cookie_in_crumbs_is_one_cookie_to_the_box() {
    let mut ends = Ends::open().await;
    let request = to("/x").header("cookie", "a=1").header("cookie", "b=2; c=3");
    let _answer = ends.ask(request, empty());
    let head = ends.raw_box.accept().await.read_head().await;
    assert_eq!(head.one("cookie"), Some("a=1; b=2; c=3"));
}

#[tokio::test]
async fn a_get_has_no_body_and_a_head_keeps_its_length() {
    let mut ends = Ends::open().await;
    let answer = ends.ask(to("/x").method(Method::HEAD), empty());
    let mut at_box = ends.raw_box.accept().await;
    let head = at_box.read_head().await;
    assert_eq!(head.first_line(), "HEAD /x HTTP/1.1");
    assert_eq!((head.one("content-length"), head.one("transfer-encoding")), (None, None));
    at_box.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n").await;
    let answer = answered(answer).await;
    assert_eq!(answer.headers()["content-length"], "1234");
}

/// A body that the test sends piece by piece; it ends when the sender is dropped.
fn body_of(pieces: mpsc::Receiver<Frame<Bytes>>) -> Body {
    let pieces = stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((Ok::<_, Infallible>(piece), pieces))
    });
    StreamBody::new(pieces).boxed()
}

async fn send(pieces: &mpsc::Sender<Frame<Bytes>>, piece: Frame<Bytes>) {
    assert!(pieces.send(piece).await.is_ok(), "the body is still wanted");
}

#[tokio::test]
async fn both_bodies_are_streamed_with_their_trailers() {
    let mut ends = Ends::open().await;
    let (pieces, body) = mpsc::channel(1);
    let request = to("/up").method(Method::POST).header("trailer", "x-sum");
    let answer = ends.ask(request, body_of(body));
    let mut at_box = ends.raw_box.accept().await;
    assert_eq!(at_box.read_head().await.one("transfer-encoding"), Some("chunked"));
    at_box.send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut answer = answered(answer).await.into_body();
    for word in ["one", "two"] {
        send(&pieces, Frame::data(Bytes::from(word))).await;
        let chunk = format!("3\r\n{word}\r\n");
        assert_eq!(at_box.read_exactly(chunk.len()).await, chunk);
        at_box.send(chunk).await;
        assert_eq!(frame(&mut answer).await.into_data().expect("data"), word);
    }
    let sum = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from(1))]);
    send(&pieces, Frame::trailers(sum.clone())).await;
    drop(pieces);
    assert_eq!(at_box.read_exactly(15).await, "0\r\nx-sum: 1\r\n\r\n");
    at_box.send("0\r\nX-Sum: 1\r\n\r\n").await;
    assert_eq!(frame(&mut answer).await.into_trailers().expect("trailers"), sum);
    assert!(timeout(DEADLINE, answer.frame()).await.expect("in time").is_none());
}

async fn frame(answer: &mut Incoming) -> Frame<Bytes> {
    let frame = timeout(DEADLINE, answer.frame()).await.expect("in time");
    frame.expect("a frame").expect("unbroken")
}

#[tokio::test]
async fn a_body_that_breaks_off_at_the_box_is_an_error_at_the_client() {
    for (framing, begun) in
        [("Content-Length: 9", "begun"), ("Transfer-Encoding: chunked", "5\r\nbegun\r\n")]
    {
        let mut ends = Ends::open().await;
        let answer = ends.ask(to("/x"), empty());
        let mut at_box = ends.raw_box.accept().await;
        at_box.read_head().await;
        at_box.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{begun}")).await;
        let mut answer = answered(answer).await.into_body();
        assert_eq!(frame(&mut answer).await.into_data().expect("data"), "begun");
        drop(at_box);
        let last = timeout(DEADLINE, answer.frame()).await.expect("in time");
        assert!(last.is_some_and(|frame| frame.is_err()), "{framing}");
    }
}

#[tokio::test]
async fn a_request_that_its_client_takes_back_is_taken_back_at_the_box() {
    let mut ends = Ends::open().await;
    let (pieces, body) = mpsc::channel(1);
    let answer = ends.ask(to("/up").method(Method::PUT), body_of(body));
    let mut at_box = ends.raw_box.accept().await;
    at_box.read_head().await;
    send(&pieces, Frame::data(Bytes::from("one"))).await;
    assert_eq!(at_box.read_exactly(8).await, "3\r\none\r\n");
    answer.abort();
    // Not ended: the connection is closed where the body broke off.
    assert_eq!(at_box.read_to_close().await, "");
}
