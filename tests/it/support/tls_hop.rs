//! TLS in front of something plain: what comes through a handshake is carried on byte for byte.
//!
//! So every box of the tests can stand behind TLS, whatever it is. It counts what came: connections,
//! and handshakes that were finished.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::certificates::Identity;

/// A running hop. Dropped, it and its connections end.
#[derive(Debug)]
pub(crate) struct TlsHop {
    pub(crate) address: SocketAddr,
    came: Arc<AtomicUsize>,
    shaken: Arc<AtomicUsize>,
    names: Arc<std::sync::Mutex<Vec<Option<String>>>>,
    _serving: JoinSet<()>,
}

impl TlsHop {
    /// Stands before `behind` on a free port of loopback, and says that it is `who`.
    pub(crate) async fn before(behind: SocketAddr, who: &Identity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (came, shaken) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let names = Arc::<std::sync::Mutex<Vec<Option<String>>>>::default();
        let mut serving = JoinSet::new();
        let (at, done, told) = (Arc::clone(&came), Arc::clone(&shaken), Arc::clone(&names));
        let acceptor = TlsAcceptor::from(Arc::new(config(who)));
        serving.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                at.fetch_add(1, Ordering::Relaxed);
                let (acceptor, done, told) =
                    (acceptor.clone(), Arc::clone(&done), Arc::clone(&told));
                carried.spawn(async move {
                    // A client that does not like the certificate goes; that is its good right.
                    let Ok(mut secured) = acceptor.accept(socket).await else { return };
                    done.fetch_add(1, Ordering::Relaxed);
                    let name = secured.get_ref().1.server_name().map(str::to_owned);
                    told.lock().expect("no panic under the lock").push(name);
                    let Ok(mut plain) = TcpStream::connect(behind).await else { return };
                    // How a connection ends is the test's business, not the hop's.
                    let _ = copy_bidirectional(&mut secured, &mut plain).await;
                });
            }
        });
        Self { address, came, shaken, names, _serving: serving }
    }

    /// Its URL under `host`, without a trailing slash.
    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }

    /// How many connections came.
    pub(crate) fn came(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }

    /// How many handshakes were finished.
    pub(crate) fn shaken(&self) -> usize {
        self.shaken.load(Ordering::Relaxed)
    }

    /// The names that clients asked for in their handshakes.
    pub(crate) fn names(&self) -> Vec<Option<String>> {
        self.names.lock().expect("no panic under the lock").clone()
    }
}

/// What a server needs to be `who`, speaking HTTP/1.1.
fn config(who: &Identity) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(who.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("a chain");
    let key = PrivateKeyDer::from_pem_slice(who.key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("default versions");
    let mut config =
        builder.with_no_client_auth().with_single_cert(chain, key).expect("an identity");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
