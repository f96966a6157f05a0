//! Everything that is not ours goes to the box and comes back, as it is.
//!
//! Promises: method, path, query, body and header values arrive byte for byte, values of one name
//! in their order; both bodies are streamed as they come, without a bound of their size; exactly
//! one request reaches the box for one request here, re-framed from what was read, so that the
//! two cannot disagree about where it ends; redirects, statuses and error pages are the box's. It is
//! signed in `Via`. Failures of ours carry `x-afterbay-error`.
//!
//! The box is where its endpoint says; nothing in a request can name another host. A `Location` in
//! its answer is the box's, too, and is not rewritten: a path in it knows nothing of a box's prefix
//! here.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;

use super::error::Error;
use super::{end_to_end, expect, upload};
use crate::limits;
use crate::upstream::connect::{Connect, Connector, root_cause};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::via::ViaName;

/// The way to the box, wherever it is at each request. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Passthrough {
    client: Client<Connector, Body>,
    endpoint: watch::Receiver<Endpoint>,
    via: ViaName,
}

impl Passthrough {
    /// The way to the box at `endpoint`, which each request reads anew.
    #[must_use]
    pub fn new(endpoint: watch::Receiver<Endpoint>, connect: &Connect) -> Self {
        Self { client: client(connect), endpoint, via: ViaName::random() }
    }

    /// The same way to another endpoint: under the same name, over the same connections.
    #[must_use]
    pub fn to(&self, endpoint: watch::Receiver<Endpoint>) -> Self {
        Self { endpoint, ..self.clone() }
    }

    /// The same way under this name in `Via`, which is one for each process: so each way knows what
    /// has come through another.
    #[must_use]
    pub fn known_as(mut self, via: ViaName) -> Self {
        self.via = via;
        self
    }

    /// Checks that a request has not been through this process before.
    ///
    /// # Errors
    /// [`Error::LoopDetected`].
    pub(super) fn check_loop(&self, headers: &HeaderMap) -> Result<(), Error> {
        if self.via.has_signed(headers) { Err(Error::LoopDetected) } else { Ok(()) }
    }

    /// Sends the request on and gives the box's answer as soon as its head is there.
    ///
    /// # Errors
    /// [`Error::AmbiguousFraming`]: then nothing was sent.
    /// [`Error::BoxUnreachable`], [`Error::BoxBroke`], [`Error::BodyTimeout`].
    // Cancel-safe: dropping it closes the connection to the box, as the client closed its own.
    pub(crate) async fn send(&self, parts: Parts, body: Body) -> Result<Response, Error> {
        let mut request = self.request(parts, body)?;
        let unanswered = upload::watch(&mut request);
        let expected = expect::hold(&mut request);
        let answer = self.exchange(request).await?;
        unanswered.answered();
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            tracing::warn!("the box switches protocols unasked");
            return Err(Error::BoxBroke);
        }
        let response = relay(answer);
        Ok(match expected {
            Some(expected) => expected.answered(response),
            None => response,
        })
    }

    /// Sends a request that [`Passthrough::request`] made; the answer is the box's, hop-by-hop
    /// headers and all.
    ///
    /// # Errors
    /// [`Error::BoxUnreachable`], [`Error::BoxBroke`], [`Error::BodyTimeout`].
    // Cancel-safe: as `send`.
    pub(super) async fn exchange(
        &self,
        request: Request<Body>,
    ) -> Result<http::Response<Incoming>, Error> {
        self.client.request(request).await.map_err(|error| {
            if upload::was_silent(&error) {
                return Error::BodyTimeout;
            }
            // The error's text names neither target nor headers.
            let cause = root_cause(&error);
            tracing::warn!(%error, cause, "pass a request to the box");
            if error.is_connect() { Error::BoxUnreachable } else { Error::BoxBroke }
        })
    }

    /// The request as the box gets it.
    ///
    /// # Errors
    /// [`Error::AmbiguousFraming`].
    pub(super) fn request(&self, parts: Parts, body: Body) -> Result<Request<Body>, Error> {
        let Parts { method, uri, version, mut headers, .. } = parts;
        check_framing(&headers)?;
        end_to_end::strip_hop_by_hop(&mut headers);
        reframe(&mut headers, &body);
        self.via.sign(&mut headers, version);
        let asked = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let mut request = Request::new(body);
        *request.method_mut() = method;
        {
            let endpoint = self.endpoint.borrow();
            headers.insert(header::HOST, endpoint.host_header());
            // Both parts were valid; what could fail is a length beyond what a target may have.
            *request.uri_mut() = endpoint.target(asked).map_err(|_| Error::AmbiguousFraming)?;
        }
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn client(connect: &Connect) -> Client<Connector, Body> {
    // The tasks that this executor spawns are the connections' own; they end with the client.
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(limits::PASS_IDLE_TIMEOUT)
        .set_host(false)
        .build(connect.connector(limits::PASS_CONNECT_TIMEOUT))
}

/// Refuses what two readers could cut in different places. The server has refused the crude cases
/// already, and drops a length beside a transfer coding.
fn check_framing(headers: &HeaderMap) -> Result<(), Error> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let clear = match (lengths.next(), codings.next()) {
        (None, None) => true,
        (Some(length), None) => {
            let digits = length.as_bytes();
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        }
        // Any other coding would be lost with the header.
        (None, Some(coding)) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if clear && lengths.next().is_none() && codings.next().is_none() {
        Ok(())
    } else {
        Err(Error::AmbiguousFraming)
    }
}

/// States the request's end once, by what is known of its body.
fn reframe(headers: &mut HeaderMap, body: &Body) {
    if body.is_end_stream() {
        // A stated length of zero stays stated; silence stays silence.
        if headers.contains_key(header::CONTENT_LENGTH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        }
    } else if let Some(length) = body.size_hint().exact() {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    } else {
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// The box's answer as the client gets it.
pub(super) fn relay(answer: http::Response<Incoming>) -> Response {
    let (parts, body) = answer.into_parts();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    // The words beside the status, where they are the box's own.
    if let Some(words) = parts.extensions.get::<ReasonPhrase>() {
        response.extensions_mut().insert(words.clone());
    }
    let headers = response.headers_mut();
    let asks_for = headers.get(header::UPGRADE).cloned();
    end_to_end::strip_hop_by_hop(headers);
    // This status says nothing without the protocol that it asks for.
    if let (StatusCode::UPGRADE_REQUIRED, Some(protocol)) = (parts.status, asks_for) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    *response.body_mut() = Body::new(Relayed(body));
    response
}

/// The box's body, frame by frame. It tells no length: what the box said about it stands in the
/// head, and a length that the box left unsaid (HEAD, 304) must not be made up on the way.
struct Relayed(Incoming);

impl HttpBody for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(base: &str) -> Passthrough {
        Passthrough::new(
            base.parse::<Endpoint>().expect("an endpoint").fixed(),
            &Connect::default(),
        )
    }

    fn request(target: &str, lines: &[(&'static str, &'static str)]) -> Parts {
        let mut request = Request::builder().uri(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[tokio::test]
    async fn a_target_that_names_a_host_goes_to_the_box_all_the_same() {
        for (asked, expected) in [
            ("http://evil.example/a?b", "http://box/p/a?b"),
            ("http://evil.example", "http://box/p/"),
        ] {
            let sent = to("http://box/p").request(request(asked, &[]), Body::empty());
            let sent = sent.expect("a request");
            assert_eq!(sent.uri().to_string(), expected, "{asked}");
            assert_eq!(sent.headers().get("host").expect("a host"), "box");
        }
    }

    #[tokio::test]
    async fn ambiguous_framing_is_refused() {
        let way = to("http://box");
        for lines in [
            &[("content-length", "3"), ("transfer-encoding", "chunked")][..],
            &[("content-length", "3"), ("content-length", "3")],
            &[("content-length", "3, 3")],
            &[("content-length", "+3")],
            &[("content-length", "")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "identity")],
        ] {
            let sent = way.request(request("/", lines), Body::empty());
            assert!(matches!(sent, Err(Error::AmbiguousFraming)), "{lines:?}");
        }
    }

    #[tokio::test]
    async fn a_request_states_its_length_as_its_body_is() {
        let way = to("http://box");
        let framing = |lines: &[(&'static str, &'static str)], body: Body| {
            let sent = way.request(request("/", lines), body).expect("a request");
            let text = |name| {
                sent.headers().get(name).map(|v: &HeaderValue| v.to_str().expect("text").to_owned())
            };
            (text("content-length"), text("transfer-encoding"))
        };
        let streamed =
            || Body::from_stream(futures_util::stream::pending::<Result<Bytes, axum::Error>>());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(framing(&[], Body::empty()), (None, None));
        assert_eq!(framing(&[("content-length", "0")], Body::empty()), (some("0"), None));
        assert_eq!(framing(&[("content-length", "3")], Body::from("abc")), (some("3"), None));
        let chunked = [("transfer-encoding", "Chunked")];
        assert_eq!(framing(&chunked, streamed()), (None, some("chunked")));
    }
}
