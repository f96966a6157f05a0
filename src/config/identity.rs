//! Who the clients' door proves to be: a certificate chain and its key.
//!
//! What follows for a connection is fixed here: TLS 1.2 and 1.3 with ring's ciphers, HTTP/2 or
//! HTTP/1.1 on top, no certificate asked of clients. The key is shown nowhere.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// A chain and its key, known to fit. Clones share them, also when they are replaced.
#[derive(Clone)]
pub struct Identity(Arc<RwLock<Arc<ServerConfig>>>);

/// A certificate chain, the door's own certificate first.
pub(super) type Chain = Vec<CertificateDer<'static>>;

/// Reads a chain.
pub(super) fn chain(pem: &[u8]) -> Result<Chain, String> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Chain, _>>();
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err("holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)".to_owned())
        }
        Ok(chain) => Ok(chain),
        Err(_) => Err("is no PEM form throughout".to_owned()),
    }
}

/// Reads a key. A mistake says nothing of what the file holds.
pub(super) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        "holds no private key in PEM form (`-----BEGIN PRIVATE KEY-----`); an encrypted one \
         cannot be used"
            .to_owned()
    })
}

impl Identity {
    /// The identity that `chain` and `key` make.
    ///
    /// # Errors
    /// What is wrong, for people, without anything of the key.
    pub(super) fn new(chain: Chain, key: PrivateKeyDer<'static>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has ciphers for the default versions");
        let made = builder.with_no_client_auth().with_single_cert(chain, key);
        let mut config = made.map_err(|error| {
            let what = if matches!(error, rustls::Error::InconsistentKeys(_)) {
                "is not the key of the certificate"
            } else if matches!(error, rustls::Error::InvalidCertificate(_)) {
                "cannot be used, since what should be its certificate is none"
            } else {
                "holds a key of a kind that is not known here"
            };
            what.to_owned()
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(RwLock::new(Arc::new(config)))))
    }

    /// What shakes hands with clients.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current())
    }

    /// Proves to be `other` from the next handshake on; connections that are there go on.
    pub(crate) fn replace(&self, other: Self) {
        let other = other.current();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = other;
    }

    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}
