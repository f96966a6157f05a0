//! Whose word is taken that a box is who it says: the system's certificate authorities, and those
//! of a file that the configuration names.
//!
//! What follows for a connection is fixed here, once for all boxes: TLS 1.2 and 1.3 with ring's
//! ciphers, names and dates checked, HTTP/1.1 and nothing else on top, no certificate of our own.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Who is trusted, ready for use. Clones share it.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

/// Certificates of authorities, each one usable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// Why a file's text gives no authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthorities {
    /// There is none.
    #[error("holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")]
    Empty,
    /// The PEM form itself is broken.
    #[error("is broken behind certificate {0}: what follows is no PEM form")]
    Pem(usize),
    /// One of them, counted from 1, is none.
    #[error("has something as certificate {0} that is none")]
    Certificate(usize),
}

/// The system has no authorities, and nobody named others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "https is wanted, and this system trusts no certificate authority{0}; install its \
     ca-certificates, or name a file of authorities (--ca-file)"
)]
pub struct NoAuthorities(String);

impl Authorities {
    /// Reads every certificate of a PEM file; what else it holds is passed over.
    ///
    /// # Errors
    /// [`BadAuthorities`] if there is none, or one that cannot be used.
    pub fn from_pem(text: &[u8]) -> Result<Self, BadAuthorities> {
        let mut found = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(text) {
            let certificate = certificate.map_err(|_| BadAuthorities::Pem(found.len()))?;
            let usable = RootCertStore::empty().add(certificate.clone());
            usable.map_err(|_| BadAuthorities::Certificate(found.len() + 1))?;
            found.push(certificate);
        }
        if found.is_empty() { Err(BadAuthorities::Empty) } else { Ok(Self(found)) }
    }
}

impl Trust {
    /// Trust in nobody: for boxes that are reached without TLS.
    #[must_use]
    pub fn none() -> Self {
        Self::in_roots(RootCertStore::empty())
    }

    /// Trust in the system's authorities and in `more`. Reads files; the system's may be named by
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    ///
    /// # Errors
    /// [`NoAuthorities`] if there is nobody to trust.
    pub fn with(more: &Authorities) -> Result<Self, NoAuthorities> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        // Stores hold old certificates that nobody can use any more; the others count.
        roots.add_parsable_certificates(found.certs);
        roots.add_parsable_certificates(more.0.iter().cloned());
        if roots.is_empty() {
            let why = found.errors.first().map(|error| format!(" ({error})"));
            return Err(NoAuthorities(why.unwrap_or_default()));
        }
        tracing::debug!(authorities = roots.len(), "certificate authorities are read");
        Ok(Self::in_roots(roots))
    }

    fn in_roots(roots: RootCertStore) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has ciphers for the default versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }

    /// What a handshake needs.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn a_file_without_one_usable_certificate_is_told_with_its_place() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (text, why) in [
            ("", BadAuthorities::Empty),
            ("canary", BadAuthorities::Empty),
            (key, BadAuthorities::Empty),
            (BROKEN, BadAuthorities::Certificate(1)),
            ("-----BEGIN CERTIFICATE-----\n%%\n", BadAuthorities::Pem(0)),
        ] {
            assert_eq!(Authorities::from_pem(text.as_bytes()), Err(why), "{text}");
        }
    }
}
