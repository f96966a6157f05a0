//! One request to a collector of traces, and what its answer says.
//!
//! What a client of OTLP may send again follows the specification: after 429, 502, 503 and 504, and where
//! no answer came. No error holds anything of an answer's body.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message as _;
use tokio::time::timeout;

use super::message::{self, Origin};
use crate::limits;
use crate::trace::span::Finished;
use crate::upstream::connect::{Connect, Connector, root_cause};
use crate::upstream::endpoint::Endpoint;

/// Where traces go below a collector's base URL, says the specification.
const TRACES_PATH: &str = "/v1/traces";

/// The way to one collector.
pub(super) struct Collector {
    endpoint: Endpoint,
    client: Client<Connector, Full<Bytes>>,
    origin: Origin,
}

/// A batch that the collector does not have.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    /// No answer.
    #[error("{0}")]
    Away(String),
    /// It wants to be left alone, perhaps for that long.
    #[error("it is overloaded: {0}")]
    Overloaded(StatusCode, Option<Duration>),
    /// It will never take it.
    #[error("it answers {0}")]
    Refused(StatusCode),
}

impl Collector {
    pub(super) fn new(endpoint: Endpoint, connect: &Connect) -> Self {
        // The tasks that this executor spawns are the connections' own; they end with the client.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits::BOX_IDLE_CONNECTION)
            .build(connect.connector(limits::COLLECTOR_TIMEOUT));
        Self { endpoint, client, origin: Origin::of_this_process() }
    }

    /// Sends a batch; gives how many spans of it the collector rejects.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub(super) async fn send(&self, spans: &[Finished]) -> Result<usize, NotTaken> {
        let target = self.endpoint.target(TRACES_PATH);
        let target = target.map_err(|_| NotTaken::Away("no URL can be made of it".to_owned()))?;
        let request = request(target, message::request(&self.origin, spans).encode_to_vec().into());
        let asked = timeout(limits::COLLECTOR_TIMEOUT, self.ask(request)).await;
        asked.unwrap_or_else(|_| Err(NotTaken::Away("it says nothing in time".to_owned())))
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<usize, NotTaken> {
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| NotTaken::Away(root_cause(&error)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, limits::MAX_COLLECTOR_ANSWER_BYTES).collect().await;
        match head.status {
            status if status.is_success() => {
                // It has them; what it says of them may be missing.
                let told = body.map(|body| message::rejected(body.to_bytes())).unwrap_or_default();
                Ok(told)
            }
            status @ (StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT) => {
                Err(NotTaken::Overloaded(status, retry_after(&head.headers)))
            }
            status => Err(NotTaken::Refused(status)),
        }
    }
}

fn request(target: Uri, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = target;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let name = concat!("afterbay/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(name));
    request
}

/// Whole seconds; a date is not worth reading here.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
