//! A client's side of TLS: it trusts one authority and asks for `bay.example`.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::Authority;
use super::daemon::LONG;

/// The name that a door must have in its certificate.
pub(crate) const NAME: &str = "bay.example";

/// A connection that offers these protocols, and of which the handshake is done.
pub(crate) async fn connect(
    to: SocketAddr,
    authority: &Authority,
    protocols: &[&str],
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
    roots.add(root).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("default versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(to).await.expect("somebody listens");
    let name = ServerName::try_from(NAME).expect("a name");
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream);
    timeout(LONG, shaken).await.expect("a handshake in time").expect("a good certificate")
}
