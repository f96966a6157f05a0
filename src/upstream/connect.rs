//! How a connection to a box is made: one way for every client that talks to boxes.
//!
//! Promises: a name is resolved for each connection, and each address, be it resolved or written in
//! the URL, is asked for at the address policy ([`Reach`]) before anything is sent to it; https means
//! TLS with a certificate that [`Trust`] accepts for the URL's host; all of it ends within a time.
//! An error here means that not one byte of a request has left, and its text, for people, says what
//! is wrong without naming a host or an address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::connection::Connection;
use super::reach::Reach;
use super::trust::Trust;
use crate::limits;

/// How some boxes are connected to. Clones share what is trusted. The default is for boxes without
/// TLS, at any address.
#[derive(Debug, Clone, Default)]
pub struct Connect {
    trust: Trust,
    reach: Reach,
}

impl Connect {
    /// With this trust, to these addresses.
    #[must_use]
    pub const fn new(trust: Trust, reach: Reach) -> Self {
        Self { trust, reach }
    }

    /// The same trust under another address policy.
    #[must_use]
    pub fn reaching(&self, reach: Reach) -> Self {
        Self { trust: self.trust.clone(), reach }
    }

    /// A client's connector; each connection is there `within` that time, or fails.
    pub(crate) fn connector(&self, within: Duration) -> Connector {
        let Self { trust, reach } = self.clone();
        let resolver = Resolver { reach: reach.clone(), system: GaiResolver::new() };
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        // Small requests are wanted at once.
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(within));
        tcp.set_keepalive(Some(limits::TCP_KEEP_ALIVE));
        Connector { tcp, reach, tls: trust.config(), within }
    }
}

/// No connection, and why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No address was found, allowed, or answered.
    #[error("{0}")]
    Tcp(String),
    /// The box's side of a handshake is not what it must be.
    #[error("{0}")]
    Tls(String),
    /// It took too long.
    #[error("no connection within {0:?}")]
    Time(Duration),
}

/// Makes connections for one client.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector<Resolver>,
    reach: Reach,
    tls: Arc<ClientConfig>,
    within: Duration,
}

impl Connector {
    async fn connect(self, to: Uri) -> Result<Connection, Error> {
        let Self { mut tcp, reach, tls, within: _ } = self;
        let host = to.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        // A written address is never resolved, so nobody else would ask.
        if let Ok(address) = host.parse::<IpAddr>() {
            reach.check(address).map_err(|refused| Error::Tcp(refused.to_string()))?;
        }
        let encrypted = to.scheme() == Some(&Scheme::HTTPS);
        let stream = tcp.call(to).await.map_err(|error| Error::Tcp(root_cause(&error)))?;
        let stream = stream.into_inner();
        if !encrypted {
            return Ok(Connection::Plain(stream));
        }
        let name = ServerName::try_from(host)
            .map_err(|_| Error::Tls("no certificate can be for the box's host".to_owned()))?;
        let secured = TlsConnector::from(tls).connect(name, stream).await;
        let secured = secured.map_err(|error| Error::Tls(told(&error)))?;
        Ok(Connection::Tls(Box::new(secured)))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Connection>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    // Cancel-safe: a connection that nobody waits for any more is closed.
    fn call(&mut self, to: Uri) -> Self::Future {
        let (connector, within) = (self.clone(), self.within);
        Box::pin(async move {
            let connected = timeout(within, connector.connect(to)).await;
            connected.map_err(|_| Error::Time(within))?.map(TokioIo::new)
        })
    }
}

/// The system's resolver, less the addresses that the policy refuses.
#[derive(Debug, Clone)]
struct Resolver {
    reach: Reach,
    system: GaiResolver,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (reach, found) = (self.reach.clone(), self.system.call(name));
        Box::pin(async move {
            let (mut allowed, mut refused) = (Vec::new(), None);
            for address in found.await? {
                match reach.check(address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                Some(why) if allowed.is_empty() => Err(io::Error::other(why)),
                Some(_) | None => Ok(allowed.into_iter()),
            }
        })
    }
}

/// What is wrong with a handshake, for people.
fn told(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => told_of_a_certificate(why),
        Some(rustls::Error::InvalidMessage(_)) => {
            "its port does not speak TLS; is it an http:// box?".to_owned()
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("it refuses the TLS handshake with {alert:?}")
        }
        _ => format!("the TLS handshake fails: {error}"),
    }
}

fn told_of_a_certificate(why: &CertificateError) -> String {
    use CertificateError as E;
    if matches!(why, E::Expired | E::ExpiredContext { .. }) {
        "its certificate has expired".to_owned()
    } else if matches!(why, E::NotValidYet | E::NotValidYetContext { .. }) {
        "its certificate is not valid yet; are the clocks right?".to_owned()
    } else if matches!(why, E::UnknownIssuer) {
        "its certificate has an unknown issuer; --ca-file names further ones".to_owned()
    } else if matches!(why, E::NotValidForName | E::NotValidForNameContext { .. }) {
        "its certificate is for another name".to_owned()
    } else {
        format!("its certificate cannot be accepted: {why}")
    }
}

/// The innermost error's text: the outer ones only repeat that a request failed.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
