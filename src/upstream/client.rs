//! The JSON calls to one box over HTTP.
//!
//! Promises: no redirect is followed, no proxy and no cookie is used; a body is read up to a bound
//! and no further; every call ends within [`limits::BOX_CALL_TIMEOUT`]. A failed call says whether
//! a byte of it can have left: [`Error::Connect`] is said only of a connection that was never
//! made, its TLS handshake included. No error text holds the URL's query, a credential or a body.
//!
//! Every call is signed in `Via`, so that it is known again if the box leads back to this process. One
//! that belongs to a span says so in `traceparent`, in the place of the client's; all others leave the
//! client's as it is.
//!
//! Reads ride pooled connections. A pooled connection that breaks proves nothing about the box
//! (the box may have closed it while the request was on its way), so a read is then repeated once
//! on a connection of its own. Whatever acts on the box gets a connection of its own at once.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode, Version};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Error;
use super::answer::{Answer, Broken, send};
use super::connect::{Connect, Connector};
use super::endpoint::Endpoint;
use super::reply::Reply;
use super::stream::{Chunks, Opened};
use super::via::ViaName;
use crate::credential::Credential;
use crate::limits;
use crate::metrics::upstream::{Call, Metrics};
use crate::trace::context::TraceContext;

/// The way to one box, wherever it is at each call. Clones share the connections.
#[derive(Debug, Clone)]
pub struct BoxClient {
    endpoint: watch::Receiver<Endpoint>,
    pooled: Http,
    fresh: Http,
    via: ViaName,
    /// The span that the calls belong to, if somebody traces them.
    trace: Option<TraceContext>,
    metrics: Metrics,
}

/// An HTTP client under its pool of connections.
pub(super) type Http = Client<Connector, Full<Bytes>>;

impl BoxClient {
    /// A client for the box at `endpoint`, which each call reads anew.
    #[must_use]
    pub fn new(endpoint: watch::Receiver<Endpoint>, connect: &Connect, metrics: Metrics) -> Self {
        let connector = connect.connector(limits::BOX_CONNECT_TIMEOUT);
        let (pooled, fresh) =
            (http_client(connector.clone(), usize::MAX), http_client(connector, 0));
        Self { endpoint, pooled, fresh, via: ViaName::random(), trace: None, metrics }
    }

    /// The same under this name in `Via`, which is one for each process.
    #[must_use]
    pub fn known_as(mut self, via: ViaName) -> Self {
        self.via = via;
        self
    }

    /// The same, for calls that belong to this span.
    #[must_use]
    pub fn within(&self, trace: &TraceContext) -> Self {
        Self { trace: Some(trace.clone()), ..self.clone() }
    }

    /// The same way to the box at `endpoint`; the connections are shared.
    #[must_use]
    pub fn to(&self, endpoint: watch::Receiver<Endpoint>) -> Self {
        Self { endpoint, ..self.clone() }
    }

    /// Reads `target` (a path below the base, with its query).
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::NoAnswer`] or [`Error::TooLarge`]; any status is an answer.
    // Cancel-safe: dropped, the call is given up; a read changes nothing at the box.
    pub async fn read(
        &self,
        call: Call,
        who: Option<&Credential>,
        target: &str,
    ) -> Result<Reply, Error> {
        let request = || self.request(Method::GET, who, target, HeaderMap::new(), Bytes::new());
        let within = time_for(call);
        self.counted(call, told_by_reply, async {
            match exchange(&self.pooled, request()?, within).await {
                Err(Broken { timed_out: false, error: Error::NoAnswer(_) }) => {
                    Ok(exchange(&self.fresh, request()?, within).await?)
                }
                other => Ok(other?),
            }
        })
        .await
    }

    /// Posts `body` as JSON to `target`, on a connection of its own, once.
    ///
    /// # Errors
    /// As [`BoxClient::read`]; after [`Error::Connect`] nothing has left.
    pub async fn act(
        &self,
        call: Call,
        who: Option<&Credential>,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Reply, Error> {
        let request = self.request(Method::POST, who, target, headers, body);
        let within = limits::BOX_CALL_TIMEOUT;
        self.counted(call, told_by_reply, async {
            Ok(exchange(&self.fresh, request?, within).await?)
        })
        .await
    }

    /// As [`BoxClient::act`], for a route that may answer with an event stream: then the bytes are
    /// handed out as they come. Any other answer is read whole.
    ///
    /// # Errors
    /// As [`BoxClient::read`]; after [`Error::Connect`] nothing has left.
    pub async fn open(
        &self,
        call: Call,
        who: Option<&Credential>,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Opened, Error> {
        let request = self.request(Method::POST, who, target, headers, body);
        let told = |opened: &Opened| match opened {
            Opened::Whole(reply) => told_by_reply(reply),
            // What comes later is not part of the call.
            Opened::Stream(_) => ("ok", 0),
        };
        self.counted(call, told, async {
            let answer = send(&self.fresh, request?, limits::BOX_CALL_TIMEOUT).await?;
            if answer.status.is_success() && is_event_stream(&answer.headers) {
                return Ok(Opened::Stream(Chunks::new(answer)));
            }
            Ok(Opened::Whole(whole(answer).await?))
        })
        .await
    }

    /// Builds a request. A credential that is no header value can belong to nobody.
    fn request(
        &self,
        method: Method,
        who: Option<&Credential>,
        target: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let target = self.endpoint.borrow().target(target);
        let target =
            target.map_err(|_| Error::Connect("no URL can be made for this call".into()))?;
        headers.remove(AUTHORIZATION);
        if let Some(who) = who {
            let mut value = HeaderValue::from_str(who.expose())
                .map_err(|_| Error::Unauthorized(StatusCode::UNAUTHORIZED))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        self.via.sign(&mut headers, Version::HTTP_11);
        if let Some(trace) = &self.trace {
            trace.write(&mut headers);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Runs a call and counts it: how it ended, and the bytes that were read.
    async fn counted<T>(
        &self,
        call: Call,
        told: impl FnOnce(&T) -> (&'static str, usize),
        run: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let start = Instant::now();
        let result = run.await;
        let (label, read) = match &result {
            Ok(answer) => told(answer),
            Err(error) => (error.class(), 0),
        };
        self.metrics.called(call, label, start.elapsed(), read);
        result
    }
}

fn told_by_reply(reply: &Reply) -> (&'static str, usize) {
    (if reply.status.is_success() { "ok" } else { "refused" }, reply.body.len())
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().trim_ascii_start());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(b"text/event-stream"))
}

/// A shorter time than other calls have, where a poll must not hang on one of them.
const fn time_for(call: Call) -> Duration {
    match call {
        Call::Status | Call::Interactions | Call::Health => limits::BOX_STATUS_TIMEOUT,
        Call::Session
        | Call::Prompt
        | Call::Replay
        | Call::Messages
        | Call::Result
        | Call::Abort => limits::BOX_CALL_TIMEOUT,
    }
}

fn http_client(connector: Connector, idle_connections: usize) -> Http {
    // The tasks that this executor spawns are the connections' own; they end with the client.
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(limits::BOX_IDLE_CONNECTION)
        .pool_max_idle_per_host(idle_connections)
        .retry_canceled_requests(false)
        .build(connector)
}

async fn exchange(
    client: &Http,
    request: Request<Full<Bytes>>,
    within: Duration,
) -> Result<Reply, Broken> {
    whole(send(client, request, within).await?).await
}

async fn whole(mut answer: Answer) -> Result<Reply, Broken> {
    let status = answer.status;
    let body = if status.is_success() {
        read_whole(&mut answer).await?
    } else {
        read_start(&mut answer).await
    };
    Ok(Reply { status, headers: answer.headers, body })
}

/// The whole body of a good answer; a bound against endless ones.
async fn read_whole(answer: &mut Answer) -> Result<Bytes, Broken> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > limits::MAX_BOX_BODY_BYTES {
            return Err(Error::TooLarge(limits::MAX_BOX_BODY_BYTES).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// As much of a bad answer's body as is handed on. Its status is the answer; that the rest did not
/// come changes nothing.
async fn read_start(answer: &mut Answer) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        let room = limits::MAX_REFUSAL_BYTES - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() == limits::MAX_REFUSAL_BYTES {
            break;
        }
    }
    body.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_callers_credential_is_sent_and_it_is_marked_as_a_secret() {
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("a registry of its own");
        let endpoint = "http://box".parse::<Endpoint>().expect("an endpoint").fixed();
        let client = BoxClient::new(endpoint, &Connect::default(), metrics);
        let stale = || HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("stale"))]);
        let sent = |who: Option<&Credential>| {
            let request = client.request(Method::POST, who, "/x", stale(), Bytes::new());
            request.expect("a request").headers().get(AUTHORIZATION).cloned()
        };
        assert_eq!(sent(None), None);
        let value = sent(Some(&Credential::new("Bearer own"))).expect("sent");
        assert!(value == "Bearer own" && value.is_sensitive());
        let broken = Credential::new("Bearer \n");
        let refused = client.request(Method::GET, Some(&broken), "/x", stale(), Bytes::new());
        assert!(matches!(refused, Err(Error::Unauthorized(_))));
    }
}
