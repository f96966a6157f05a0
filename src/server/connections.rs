//! The accept loop and what each connection may cost.
//!
//! Promises: a bounded number of connections, each with a bounded buffer; a peer that sends no
//! request, or half of one, or of a TLS handshake, is dropped in time, and one that brings no further
//! request is asked to end; a shortage of descriptors is survived. HTTP/1 and HTTP/2 on the same port,
//! upgrades included, in the clear or all under TLS. What is answered is the service's business.
//!
//! Two tokens end it. `drain`: each connection ends after what it is answering, newcomers get one
//! answer each if they ask soon, and when all who were there have gone, the listener closes. On a
//! socket that outlives the program they wait in its backlog instead. `cut`: whatever is
//! left is dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::ServiceExt as _;

use super::answers::Answers;
use super::terms::{Ends, Newcomers, Settings};
use crate::config::Identity;
use crate::limits;
use crate::tasks::Tasks;

/// What bytes travel in.
#[derive(Debug, Clone)]
pub enum Wire {
    /// Nothing: whoever is on the way can read them.
    Clear,
    /// TLS, by which the listener proves who it is.
    Tls(Identity),
}

/// Serves `service` on `listener` until drained or cut. Connections are tasks of `tasks`.
pub async fn serve_connections<S: Answers>(
    listener: TcpListener,
    wire: Wire,
    service: S,
    settings: Settings,
    ends: Ends,
    tasks: Tasks,
) {
    let acceptor = Acceptor {
        listener,
        wire,
        places: Arc::new(Semaphore::new(settings.max_connections)),
        service,
        settings,
        ends: ends.clone(),
        tasks,
    };
    let here = TaskTracker::new();
    // Dropping `accept_into` between two connections loses none: one that the kernel has accepted
    // is spawned without another wait.
    tokio::select! {
        biased;
        () = ends.cut.cancelled() => return,
        () = ends.drain.cancelled() => {}
        never = acceptor.accept_into(&here, KeepAlive::On) => match never {},
    }
    // Newcomers are told why rather than refused, until those who were here have been answered.
    let late = TaskTracker::new();
    here.close();
    let answers_newcomers = settings.newcomers == Newcomers::Answered;
    tokio::select! {
        biased;
        () = ends.cut.cancelled() => return,
        () = here.wait() => {}
        never = acceptor.accept_into(&late, KeepAlive::Off), if answers_newcomers => match never {},
    }
    drop(acceptor);
    late.close();
    tokio::select! {
        biased;
        () = ends.cut.cancelled() => {}
        () = late.wait() => {}
    }
}

/// Whether a connection may carry another request after its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeepAlive {
    On,
    /// It came while the server was draining.
    Off,
}

struct Acceptor<S> {
    listener: TcpListener,
    wire: Wire,
    places: Arc<Semaphore>,
    service: S,
    settings: Settings,
    ends: Ends,
    tasks: Tasks,
}

impl<S: Answers> Acceptor<S> {
    /// Accepts for ever; each connection holds a token of `tracker` while it lives.
    async fn accept_into(
        &self,
        tracker: &TaskTracker,
        keep_alive: KeepAlive,
    ) -> std::convert::Infallible {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let held = Held { _place: place, _tracked: tracker.token() };
                    self.spawn(stream, peer, keep_alive, held);
                }
                Err(error) => match after_failed_accept(&error) {
                    AfterFailedAccept::Next => {}
                    AfterFailedAccept::Pause => {
                        tracing::error!(%error, "connections cannot be accepted for now");
                        tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, keep_alive: KeepAlive, held: Held) {
        if let Err(error) = prepare(&stream) {
            // The peer has gone between its connect and now.
            tracing::debug!(%error, %peer, "a new connection is dropped");
            return;
        }
        let settings = match keep_alive {
            KeepAlive::On => self.settings,
            KeepAlive::Off => self.settings.of_newcomers(),
        };
        let connection = Connection {
            service: self.service.clone(),
            settings,
            ends: self.ends.clone(),
            tasks: self.tasks.clone(),
            keep_alive,
        };
        let wire = self.wire.clone();
        self.tasks.spawn("connection", async move {
            let _held = held;
            match wire {
                Wire::Clear => connection.serve(stream, peer).await,
                // On the heap, so that a connection in the clear does not hold the room for it.
                Wire::Tls(identity) => {
                    Box::pin(connection.serve_secured(identity, stream, peer)).await;
                }
            }
        });
    }
}

/// What a connection gives back when it ends.
struct Held {
    _place: OwnedSemaphorePermit,
    _tracked: TaskTrackerToken,
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    // Frames are small and wanted at once.
    stream.set_nodelay(true)?;
    let probes = TcpKeepalive::new().with_time(limits::TCP_KEEP_ALIVE);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

/// What to do when accepting failed.
#[derive(Debug, PartialEq, Eq)]
enum AfterFailedAccept {
    /// That one connection is gone; go on.
    Next,
    /// Something is short, and would be at once again.
    Pause,
}

fn after_failed_accept(error: &io::Error) -> AfterFailedAccept {
    let gone = [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::Interrupted,
    ];
    if gone.contains(&error.kind()) { AfterFailedAccept::Next } else { AfterFailedAccept::Pause }
}

struct Connection<S> {
    service: S,
    settings: Settings,
    ends: Ends,
    tasks: Tasks,
    keep_alive: KeepAlive,
}

impl<S: Answers> Connection<S> {
    async fn serve_secured(self, identity: Identity, stream: TcpStream, peer: SocketAddr) {
        if let Some(stream) = self.shake_hands(&identity, stream, peer).await {
            self.serve(stream, peer).await;
        }
    }

    /// The stream under TLS; `None` if the peer comes to no handshake in time, or the end is near.
    async fn shake_hands(
        &self,
        identity: &Identity,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake =
            timeout(self.settings.handshake_timeout, identity.acceptor().accept(stream));
        let newcomer = self.keep_alive == KeepAlive::Off;
        // Dropping the handshake closes the connection, which has not been asked for anything yet. A
        // newcomer is answered while the server drains, so only the cut ends its handshake.
        let shaken = tokio::select! {
            biased;
            () = self.ends.cut.cancelled() => return None,
            () = self.ends.drain.cancelled(), if !newcomer => return None,
            shaken = handshake => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake fails"),
            Err(_) => tracing::debug!(%peer, "a TLS handshake does not end in time"),
        }
        None
    }

    async fn serve<T>(self, stream: T, peer: SocketAddr)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { service, settings, ends, tasks, keep_alive } = self;
        let asked = Arc::new(AtomicU64::new(0));
        let answers = {
            let asked = Arc::clone(&asked);
            service_fn(move |request: Request<Incoming>| {
                asked.fetch_add(1, Ordering::Relaxed);
                service.clone().oneshot(request.map(Body::new))
            })
        };
        let builder = builder(settings, keep_alive, tasks);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), answers);
        tokio::pin!(connection);
        // The server's own timer covers a head once its first bytes have told the version of
        // HTTP; a peer that sends less than that is caught here.
        let opened = Instant::now();
        let next_request = tokio::time::sleep_until(opened + settings.head_read_timeout);
        tokio::pin!(next_request);
        let mut told = keep_alive == KeepAlive::Off;
        let (mut before, mut drains) = (0, told);
        loop {
            // Dropping the tokens' and the timer's waits loses nothing; the connection itself is
            // borrowed and goes on. The cut comes first, so that a busy peer cannot outrun it.
            tokio::select! {
                biased;
                () = ends.cut.cancelled() => {
                    // Those of operators are not asked to end before.
                    if drains && ends.outlasts() {
                        tracing::warn!(%peer, "a connection outlasts the grace; it is cut");
                    }
                    break;
                }
                () = ends.drain.cancelled(), if !drains => {
                    drains = true;
                    if asked.load(Ordering::Relaxed) > 0 {
                        told = true;
                        connection.as_mut().graceful_shutdown();
                    } else {
                        // Its first request may be on its way: to end now would leave that
                        // without an answer.
                        next_request.as_mut().reset(first_request_by(settings, opened));
                    }
                }
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, %peer, "a connection ended in error");
                    }
                    break;
                }
                () = &mut next_request, if before == 0 || !told => {
                    match asked.load(Ordering::Relaxed) {
                        0 => {
                            tracing::debug!(%peer, "a connection brought no request in time");
                            break;
                        }
                        // Its streams end as they would; there is no next one on it.
                        unchanged if unchanged == before || drains => {
                            told = true;
                            connection.as_mut().graceful_shutdown();
                        }
                        more => before = more,
                    }
                    next_request.as_mut().reset(Instant::now() + settings.idle_timeout);
                }
            }
        }
    }
}

/// Until when a connection that was opened then may bring its first request once draining begins.
fn first_request_by(settings: Settings, opened: Instant) -> Instant {
    let patience = Instant::now() + limits::NEWCOMER_PATIENCE;
    patience.min(opened + settings.head_read_timeout)
}

fn builder(settings: Settings, keep_alive: KeepAlive, tasks: Tasks) -> Builder<OnTasks> {
    let mut builder = Builder::new(OnTasks(tasks));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_read_timeout)
        .max_buf_size(limits::CONNECTION_BUFFER_BYTES)
        .keep_alive(keep_alive == KeepAlive::On);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits::HTTP2_KEEP_ALIVE)
        .keep_alive_timeout(limits::HTTP2_KEEP_ALIVE)
        .max_concurrent_streams(limits::MAX_HTTP2_STREAMS)
        .max_send_buf_size(limits::CONNECTION_BUFFER_BYTES)
        .max_header_list_size(u32::try_from(limits::CONNECTION_BUFFER_BYTES).unwrap_or(u32::MAX));
    builder
}

/// Runs the streams of HTTP/2 connections as named tasks.
#[derive(Debug, Clone)]
struct OnTasks(Tasks);

impl<F> hyper::rt::Executor<F> for OnTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn("http/2 stream", future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_waited_out_and_a_gone_peer_is_not() {
        for (code, then) in [
            (rustix::io::Errno::MFILE, AfterFailedAccept::Pause),
            (rustix::io::Errno::NFILE, AfterFailedAccept::Pause),
            (rustix::io::Errno::NOBUFS, AfterFailedAccept::Pause),
            (rustix::io::Errno::CONNABORTED, AfterFailedAccept::Next),
            (rustix::io::Errno::INTR, AfterFailedAccept::Next),
        ] {
            let error = io::Error::from_raw_os_error(code.raw_os_error());
            assert_eq!(after_failed_accept(&error), then, "{error}");
        }
    }
}
