//! The JSON calls to one box over HTTP.
//!
//! Promises: no redirect is followed, no proxy and no cookie is used; a body is read up to a bound
//! and no further; every call ends within [`limits::BOX_CALL_TIMEOUT`]. A failed call says whether
//! a byte of it can have left: [`Error::Connect`] is said only of a connection that was never
//! made. No error text holds the URL's query, a credential or a body.
//!
//! Reads ride pooled connections. A pooled connection that breaks proves nothing about the box
//! (the box may have closed it while the request was on its way), so a read is then repeated once
//! on a connection of its own. Whatever acts on the box gets a connection of its own at once.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use reqwest::Url;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Error;
use super::endpoint::Endpoint;
use super::reply::Reply;
use super::stream::{Chunks, Opened};
use crate::credential::Credential;
use crate::limits;
use crate::metrics::upstream::{Call, Metrics};

/// The way to one box, wherever it is at each call. Clones share the connections.
#[derive(Debug, Clone)]
pub struct BoxClient {
    endpoint: watch::Receiver<Endpoint>,
    pooled: reqwest::Client,
    fresh: reqwest::Client,
    metrics: Metrics,
}

/// The HTTP client could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("set up the HTTP client")]
pub struct NoClient;

impl BoxClient {
    /// A client for the box at `endpoint`, which each call reads anew.
    ///
    /// # Errors
    /// [`NoClient`] if the HTTP client cannot be made.
    pub fn new(endpoint: watch::Receiver<Endpoint>, metrics: Metrics) -> Result<Self, NoClient> {
        let (pooled, fresh) = (http_client(usize::MAX)?, http_client(0)?);
        Ok(Self { endpoint, pooled, fresh, metrics })
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
        let request = || {
            let request = self.request(Method::GET, who, target, HeaderMap::new(), Bytes::new());
            request.map(|mut request| {
                *request.timeout_mut() = time_for(call);
                request
            })
        };
        self.counted(call, told_by_reply, async {
            match exchange(&self.pooled, request()?).await {
                Err(Broken { timed_out: false, error: Error::NoAnswer(_) }) => {
                    Ok(exchange(&self.fresh, request()?).await?)
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
        self.counted(call, told_by_reply, async { Ok(exchange(&self.fresh, request?).await?) })
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
            let response = self.fresh.execute(request?).await.map_err(broken)?;
            if response.status().is_success() && is_event_stream(response.headers()) {
                return Ok(Opened::Stream(Chunks::new(response)));
            }
            Ok(Opened::Whole(whole(response).await?))
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
    ) -> Result<reqwest::Request, Error> {
        let url = Url::parse(&format!("{}{target}", *self.endpoint.borrow()))
            .map_err(|_| Error::Connect("no URL can be made for this call".into()))?;
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
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        if request.method() == Method::POST {
            *request.body_mut() = Some(body.into());
        }
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

/// A shorter time than the client's own, where a poll must not hang on one call.
const fn time_for(call: Call) -> Option<Duration> {
    match call {
        Call::Status | Call::Interactions | Call::Health => Some(limits::BOX_STATUS_TIMEOUT),
        Call::Session
        | Call::Prompt
        | Call::Replay
        | Call::Messages
        | Call::Result
        | Call::Abort => None,
    }
}

fn http_client(idle_connections: usize) -> Result<reqwest::Client, NoClient> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(limits::BOX_CONNECT_TIMEOUT)
        .read_timeout(limits::BOX_READ_TIMEOUT)
        .timeout(limits::BOX_CALL_TIMEOUT)
        .pool_idle_timeout(limits::BOX_IDLE_CONNECTION)
        .pool_max_idle_per_host(idle_connections)
        .build()
        .map_err(|_| NoClient)
}

/// A call that gave no answer.
pub(super) struct Broken {
    error: Error,
    /// A silent box, not a broken connection: asking again would only wait again.
    timed_out: bool,
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        broken.error
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self { error, timed_out: false }
    }
}

async fn exchange(client: &reqwest::Client, request: reqwest::Request) -> Result<Reply, Broken> {
    whole(client.execute(request).await.map_err(broken)?).await
}

async fn whole(mut response: reqwest::Response) -> Result<Reply, Broken> {
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let body = if status.is_success() {
        read_whole(&mut response).await?
    } else {
        read_start(&mut response).await
    };
    Ok(Reply { status, headers, body })
}

/// The whole body of a good answer; a bound against endless ones.
async fn read_whole(response: &mut reqwest::Response) -> Result<Bytes, Broken> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > limits::MAX_BOX_BODY_BYTES {
            return Err(Error::TooLarge(limits::MAX_BOX_BODY_BYTES).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// As much of a bad answer's body as is handed on. Its status is the answer; that the rest did not
/// come changes nothing.
async fn read_start(response: &mut reqwest::Response) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = limits::MAX_REFUSAL_BYTES - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() == limits::MAX_REFUSAL_BYTES {
            break;
        }
    }
    body.freeze()
}

/// A connection that was never made carried nothing; of anything else that cannot be known.
pub(super) fn broken(error: reqwest::Error) -> Broken {
    let error = error.without_url();
    let cause = root_cause(&error);
    let (never_connected, timed_out) = (error.is_connect(), error.is_timeout());
    let error = if never_connected { Error::Connect(cause) } else { Error::NoAnswer(cause) };
    Broken { error, timed_out }
}

/// The innermost error's text: the outer ones only repeat that a request failed.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_callers_credential_is_sent_and_it_is_marked_as_a_secret() {
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("a registry of its own");
        let endpoint = "http://box".parse::<Endpoint>().expect("an endpoint").fixed();
        let client = BoxClient::new(endpoint, metrics).expect("a client");
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
