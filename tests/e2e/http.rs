//! The tests' own HTTP client: one connection for each request, nothing repeated behind the
//! test's back, and dropping a response cuts its connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// No test asks for anything that takes longer to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A request to be sent once.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer whose body may still be on its way. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
    _connection: JoinSet<()>,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        let (method, headers, body) = (Method::GET, HeaderMap::new(), Bytes::new());
        Self { method, path: path.into(), headers, body }
    }

    pub(crate) fn put(path: impl Into<String>) -> Self {
        Self { method: Method::PUT, ..Self::get(path) }
    }

    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        let get = Self::get(path).header("content-type", "application/json");
        Self { method: Method::POST, body: body.to_string().into(), ..get }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        let value = HeaderValue::from_str(value.as_ref()).expect("a header value");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// Adds the header if there is a value for it.
    pub(crate) fn maybe(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Sends it to `address`; resolves with the head.
    pub(crate) async fn send(&self, address: SocketAddr) -> io::Result<Response> {
        let sent = tokio::time::timeout(ANSWER_LIMIT, self.send_unbounded(address));
        sent.await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn send_unbounded(&self, address: SocketAddr) -> io::Result<Response> {
        let socket = TcpStream::connect(address).await?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
        let (mut sender, connection) = shaken.map_err(io::Error::other)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // An error here reaches the reader through the body.
            let _error = connection.await;
        });
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.parse().map_err(io::Error::other)?;
        *request.headers_mut() = self.headers.clone();
        let host = HeaderValue::from_str(&address.to_string()).map_err(io::Error::other)?;
        request.headers_mut().insert(http::header::HOST, host);
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        let (status, headers) = (head.status, head.headers);
        Ok(Response { status, headers, body, _connection: driver })
    }
}

impl Response {
    /// The whole body.
    pub(crate) async fn bytes(self) -> io::Result<Bytes> {
        let whole = tokio::time::timeout(ANSWER_LIMIT, self.body.collect());
        let whole = whole.await.map_err(|_| io::ErrorKind::TimedOut)?;
        Ok(whole.map_err(io::Error::other)?.to_bytes())
    }

    /// The whole body as JSON; panics with the body if it is none.
    pub(crate) async fn json(self) -> io::Result<Value> {
        let bytes = self.bytes().await?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}")))
    }

    /// A header's text, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("header text"))
    }
}
