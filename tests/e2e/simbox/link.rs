//! A TCP hop that does what networks do to long silences and what a box's host does when it is
//! down: it cuts connections that carry no byte for a while, and refuses new ones on request.
//!
//! The box behind it notices nothing but closed connections: it forgets nothing.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::wait;

/// Far longer than closing or binding a listener takes on a busy machine.
const SWITCH_LIMIT: Duration = Duration::from_secs(30);

/// The running hop.
#[derive(Debug)]
pub(crate) struct Link {
    address: SocketAddr,
    up: watch::Sender<bool>,
    seen: watch::Receiver<Seen>,
    _server: JoinSet<()>,
}

/// What the hop has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether it listens.
    pub(crate) listens: bool,
    /// Connections taken.
    pub(crate) connections: usize,
    /// Connections cut because they were silent.
    pub(crate) cuts: usize,
}

impl Link {
    /// Pumps between whoever connects and `target` until dropped; a connection is cut when it
    /// carried nothing, either way, for `idle`.
    pub(crate) async fn start(target: SocketAddr, idle: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the hop");
        let address = listener.local_addr().expect("the hop's address");
        let (up, is_up) = watch::channel(true);
        let (tell, seen) = watch::channel(Seen { listens: true, ..Seen::default() });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Way { target, idle, tell }, is_up));
        Self { address, up, seen, _server: server }
    }

    /// Where one connects.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done so far.
    pub(crate) fn seen(&self) -> Seen {
        *self.seen.borrow()
    }

    /// Cuts every connection and refuses new ones; resolves when nobody listens.
    pub(crate) async fn go_down(&self) {
        self.switch(false).await;
    }

    /// Takes connections again, on the same port; resolves when it listens.
    pub(crate) async fn come_back(&self) {
        self.switch(true).await;
    }

    async fn switch(&self, up: bool) {
        self.up.send_replace(up);
        let mut seen = self.seen.clone();
        let switched = seen.wait_for(|seen| seen.listens == up);
        let what = if up { "the hop listens" } else { "the hop refuses connections" };
        wait::within(SWITCH_LIMIT, what, switched).await.expect("the hop lives");
    }
}

/// What every connection of the hop needs.
#[derive(Debug, Clone)]
struct Way {
    target: SocketAddr,
    idle: Duration,
    tell: watch::Sender<Seen>,
}

async fn serve(mut listener: TcpListener, way: Way, mut up: watch::Receiver<bool>) {
    let address = listener.local_addr().expect("the hop's address");
    loop {
        // Dropping the pumps closes their connections.
        let mut pumps = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                down = up.wait_for(|up| !up) => match down {
                    Ok(_) => break,
                    Err(_) => return,
                },
                Ok((socket, _)) = listener.accept() => {
                    way.tell.send_modify(|seen| seen.connections += 1);
                    let way = way.clone();
                    pumps.spawn(async move {
                        // A broken pump is what the hop is for: both ends see it.
                        let _broken = pump(socket, &way).await;
                    });
                }
                Some(_) = pumps.join_next() => {}
            }
        }
        drop(listener);
        pumps.shutdown().await;
        way.tell.send_modify(|seen| seen.listens = false);
        if up.wait_for(|up| *up).await.is_err() {
            return;
        }
        listener = TcpListener::bind(address).await.expect("bind the hop's address again");
        way.tell.send_modify(|seen| seen.listens = true);
    }
}

/// Carries bytes both ways; closing either side, or silence, closes both.
async fn pump(mut near: TcpStream, way: &Way) -> io::Result<()> {
    let mut far = TcpStream::connect(way.target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut up, mut down) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        // Dropping a read loses nothing: it has read nothing if it is not ready.
        tokio::select! {
            read = near.read(&mut up) => match read? {
                0 => return Ok(()),
                read => far.write_all(&up[..read]).await?,
            },
            read = far.read(&mut down) => match read? {
                0 => return Ok(()),
                read => near.write_all(&down[..read]).await?,
            },
            () = tokio::time::sleep(way.idle) => {
                way.tell.send_modify(|seen| seen.cuts += 1);
                return Ok(());
            }
        }
    }
}

#[tokio::test]
async fn a_silent_connection_is_cut_and_a_hop_that_is_down_refuses() {
    let target = TcpListener::bind("127.0.0.1:0").await.expect("bind a target");
    let address = target.local_addr().expect("its address");
    let link = Link::start(address, Duration::from_millis(100)).await;
    let mut near = TcpStream::connect(link.address()).await.expect("connect to the hop");
    let (mut far, _) = target.accept().await.expect("the hop connects on");
    near.write_all(b"a").await.expect("a byte leaves");
    assert_eq!(far.read_u8().await.expect("a byte arrives"), b'a');
    let cut = wait::within(SWITCH_LIMIT, "the silence is cut", near.read(&mut [0; 1])).await;
    assert_eq!(cut.unwrap_or(0), 0);
    assert_eq!((link.seen().connections, link.seen().cuts), (1, 1));

    link.go_down().await;
    let refused = TcpStream::connect(link.address()).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    link.come_back().await;
    TcpStream::connect(link.address()).await.expect("it listens again");
}
