//! Where clients connect, as a command reaches it: by http, or by https with the system's certificate
//! authorities and those of a file; with the credential of a file, or none.
//!
//! It follows no redirect and takes no proxy: whom it asks was said. No error holds a credential or a URL's
//! query.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyDataStream, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::authorization;
use super::daemon::Which;
use super::failure::Failure;
use crate::config::Environment;
use crate::limits;
use crate::upstream::connect::{Connect, Connector, root_cause};
use crate::upstream::reach::Reach;
use crate::upstream::trust::Trust;

/// What clients show, and whom they trust.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct AsClient {
    /// For a client's URL: a file with the value of the Authorization header, as `Bearer …`
    #[arg(long, value_name = "FILE")]
    authorization_file: Option<PathBuf>,
    /// For https: a file of certificate authorities (PEM) besides the system's; AFTERBAY_CA_FILE names one
    /// too
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// A way to the clients' door. Clones share its connections.
#[derive(Debug, Clone)]
pub(super) struct ClientsDoor {
    http: Client<Connector, Full<Bytes>>,
    authorization: Option<HeaderValue>,
}

/// Why a stream broke off.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct BrokenOff(pub(super) String);

/// An answer's body as it comes.
pub(super) type Pieces = BoxStream<'static, Result<Bytes, BrokenOff>>;

impl ClientsDoor {
    /// The way to `url`, which is only looked at.
    pub(super) fn to(
        url: &str,
        as_client: &AsClient,
        which: &Which,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let AsClient { authorization_file, ca_file } = as_client;
        let authorization = authorization_file.as_deref().map(authorization::read).transpose()?;
        let trust = match url.split_once("://") {
            Some(("http", _)) => Trust::none(),
            Some(("https", _)) => {
                let authorities = which.authorities(ca_file.as_deref(), environment)?;
                let trust = Trust::with(&authorities);
                trust.map_err(|error| Failure::Usage(error.to_string()))?
            }
            Some(_) | None => {
                let what = "a URL must be http:// or https://; others are not read here";
                return Err(Failure::Usage(what.to_owned()));
            }
        };
        let connect = Connect::new(trust, Reach::Any);
        // The tasks that this executor spawns are the connections' own; they end with the client.
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connect.connector(limits::COMMAND_CALL_TIMEOUT));
        Ok(Self { http, authorization })
    }

    /// Asks once; resolves with the head.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        let uri = url.parse::<Uri>().ok().filter(|uri| uri.authority().is_some());
        *request.uri_mut() = uri.ok_or_else(|| Failure::Usage("this is no URL".to_owned()))?;
        request.headers_mut().extend(headers);
        if let Some(value) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        match timeout(limits::COMMAND_CALL_TIMEOUT, self.http.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                Err(Failure::Unreachable(format!("no answer: {}", root_cause(&error))))
            }
            Err(_elapsed) => Err(Failure::Unreachable("no answer in time".to_owned())),
        }
    }
}

/// A body as it comes, until nothing has come for too long.
pub(super) fn pieces(body: Incoming) -> Pieces {
    let silent = || BrokenOff("nothing comes any more".to_owned());
    let pieces =
        futures_util::stream::unfold(BodyDataStream::new(body), move |mut body| async move {
            let piece = match timeout(limits::FOLLOWED_SILENCE, body.next()).await {
                Ok(piece) => piece?.map_err(|error| BrokenOff(error.to_string())),
                Err(_elapsed) => Err(silent()),
            };
            Some((piece, body))
        });
    pieces.boxed()
}
