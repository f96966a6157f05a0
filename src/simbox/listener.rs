//! The accept loop: loopback only, and gone for a while after a crash.
//!
//! Each connection ends with the boot that it came in, or when an answer on it is to be lost. A
//! box that is down has no listener at all, so that connecting is refused. HTTP/1 only.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::Simbox;
use super::answers::Connection;
use super::routes::router;
use crate::limits;

/// Serves `simbox` on `listener` until `stop`.
pub(super) async fn serve(
    simbox: &Simbox,
    mut listener: TcpListener,
    stop: &CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        let why = "a simulated box has no secrets and keeps none: it listens on loopback only";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let router = router(simbox.clone());
    let places = Arc::new(Semaphore::new(limits::SIMBOX_CONNECTIONS));
    loop {
        let boot = simbox.memory().boot.clone();
        // Dropping the accepting loses at most a connection that nobody was told of.
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = boot.cancelled() => {}
            error = accept(simbox, &listener, &router, &places, &boot) => return Err(error),
        }
        drop(listener);
        let kept = keep(address).await?;
        simbox.listener_is_closed();
        // Dropping the wait loses nothing: the listener is gone either way.
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = down(simbox) => {}
        }
        listener = kept.listen(limits::LISTEN_BACKLOG.unsigned_abs())?;
    }
}

/// Waits until the box is to listen again.
async fn down(simbox: &Simbox) {
    loop {
        let until = simbox.memory().down_until.filter(|until| *until > Instant::now());
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => return,
        }
    }
}

/// Keeps the address without listening: connecting is refused, and nobody else can take it.
async fn keep(address: SocketAddr) -> io::Result<TcpSocket> {
    let begun = Instant::now();
    loop {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // The connections of the last boot still stand on the address for a while.
        socket.set_reuseaddr(true)?;
        match socket.bind(address) {
            Ok(()) => return Ok(socket),
            Err(error) if begun.elapsed() > limits::SIMBOX_REBIND_TIMEOUT => return Err(error),
            Err(_) => tokio::time::sleep(limits::SIMBOX_REBIND_PAUSE).await,
        }
    }
}

/// Accepts for ever; an error is one that accepting cannot go on after.
async fn accept(
    simbox: &Simbox,
    listener: &TcpListener,
    router: &Router,
    places: &Arc<Semaphore>,
    boot: &CancellationToken,
) -> io::Error {
    loop {
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            return io::Error::other("the places for connections are never closed");
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let stop = simbox.tasks().stop_token().clone();
                let connection = serve_connection(stream, router.clone(), boot.clone(), stop);
                simbox.tasks().spawn("simbox connection", async move {
                    let _place = place;
                    connection.await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "the simulated box cannot accept for now");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until its boot ends or an answer on it is to be lost.
async fn serve_connection(
    stream: TcpStream,
    router: Router,
    boot: CancellationToken,
    stop: CancellationToken,
) {
    // Without it frames are late, not lost.
    let _ = stream.set_nodelay(true);
    let handle = Connection::default();
    let told = handle.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(told.clone());
        router.clone().oneshot(request)
    });
    let mut builder = Builder::new();
    builder.max_buf_size(limits::CONNECTION_BUFFER_BYTES);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // Dropping the connection is what the first two mean.
    tokio::select! {
        biased;
        () = handle.lose.cancelled() => return,
        () = boot.cancelled() => {}
        _ = &mut connection => return,
    }
    if handle.spare.is_cancelled() {
        connection.as_mut().graceful_shutdown();
        // The one answer that survives a crash: to whoever asked for it.
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = connection => {}
        }
    }
}
