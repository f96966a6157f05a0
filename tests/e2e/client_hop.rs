//! The hop between a client and the daemon: a plain TCP pump that cuts a stream within a frame
//! or holds it back from `done` on, one plan for each connection in turn.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::wait;

/// What happens to one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing.
    Whole,
    /// Both ways are closed `more` bytes after the `event`-th frame's name has begun.
    Cut { event: usize, more: usize },
    /// Nothing from the name of the `done` frame on reaches the client.
    HoldDone,
}

/// The running hop.
#[derive(Debug)]
pub(crate) struct ClientHop {
    address: SocketAddr,
    seen: watch::Receiver<Seen>,
    _server: JoinSet<()>,
}

/// What the hop has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Connections taken.
    pub(crate) connections: usize,
    /// Connections cut as planned.
    pub(crate) cuts: usize,
    /// Connections held at `done`.
    pub(crate) held: usize,
}

impl ClientHop {
    /// Pumps between clients and `target` until dropped; connections past the plans are whole.
    pub(crate) async fn start(target: SocketAddr, plans: impl IntoIterator<Item = Plan>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the hop");
        let address = listener.local_addr().expect("the hop's address");
        let plans = Mutex::new(plans.into_iter().collect::<VecDeque<_>>());
        let (tell, seen) = watch::channel(Seen::default());
        let tell = Arc::new(tell);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut pumps = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("accept at the hop");
                tell.send_modify(|seen| seen.connections += 1);
                let plan = plans.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let tell = Arc::clone(&tell);
                pumps.spawn(async move {
                    // A broken pump is what the hop is for: both ends see it.
                    let _broken = pump(client, target, plan.unwrap_or(Plan::Whole), &tell).await;
                });
            }
        });
        Self { address, seen, _server: server }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the hop has done so far.
    pub(crate) fn seen(&self) -> Seen {
        *self.seen.borrow()
    }

    /// Resolves when somebody has been cut and is back; for a limited time.
    ///
    /// # Errors
    /// What happened instead.
    pub(crate) async fn cut_and_back(&self, limit: Duration) -> Result<(), String> {
        let mut seen = self.seen.clone();
        let back = seen.wait_for(|seen| seen.cuts == 1 && seen.connections >= 2);
        let back = tokio::time::timeout(limit, back).await;
        back.map(drop).map_err(|_| format!("it was not cut, or is not back: {:?}", self.seen()))
    }

    /// Resolves when a stream is held at `done`.
    pub(crate) async fn held(&self) {
        let mut seen = self.seen.clone();
        let held = seen.wait_for(|seen| seen.held > 0);
        let held = wait::within(Duration::from_secs(60), "a stream is held at `done`", held);
        held.await.expect("the hop lives");
    }
}

async fn pump(
    mut client: TcpStream,
    target: SocketAddr,
    plan: Plan,
    tell: &watch::Sender<Seen>,
) -> io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        tokio::io::copy(&mut from_client, &mut to_server).await?;
        // The client is gone or done: a pump for SSE has nothing more to carry.
        Err::<(), _>(io::ErrorKind::ConnectionAborted.into())
    };
    let down = async {
        let mut scan = Scan::new(plan);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from_server.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            match scan.take(&buffer[..read]) {
                Verdict::All => to_client.write_all(&buffer[..read]).await?,
                Verdict::CutAfter(part) => {
                    to_client.write_all(&buffer[..part]).await?;
                    tell.send_modify(|seen| seen.cuts += 1);
                    return Ok(());
                }
                Verdict::HoldAfter(part) => {
                    to_client.write_all(&buffer[..part]).await?;
                    tell.send_modify(|seen| seen.held += 1);
                    // What comes now is lost; when the daemon is gone, the client must see it.
                    tokio::io::copy(&mut from_server, &mut tokio::io::sink()).await?;
                    return Ok(());
                }
            }
        }
    };
    // Dropping the other way closes both sockets, which is the cut.
    tokio::select! { ended = up => ended, ended = down => ended }
}

/// How much of what was read goes on.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    All,
    CutAfter(usize),
    HoldAfter(usize),
}

/// Looks for the plan's place in a stream that comes in pieces.
#[derive(Debug)]
struct Scan {
    plan: Plan,
    /// The last bytes seen, so that a name is found over the border of two reads.
    tail: VecDeque<u8>,
    events: usize,
    /// Bytes that may still pass before the cut, once its event has come.
    left: Option<usize>,
}

impl Scan {
    fn new(plan: Plan) -> Self {
        Self { plan, tail: VecDeque::new(), events: 0, left: None }
    }

    fn take(&mut self, bytes: &[u8]) -> Verdict {
        for (at, byte) in bytes.iter().enumerate() {
            if self.left == Some(0) {
                return Verdict::CutAfter(at);
            }
            self.left = self.left.map(|left| left - 1);
            self.tail.push_back(*byte);
            if self.tail.len() > b"\nevent: done\n".len() {
                self.tail.pop_front();
            }
            if self.ends_with(b"\nevent: ") {
                self.events += 1;
                if let Plan::Cut { event, more } = self.plan
                    && event == self.events
                {
                    self.left = Some(more);
                }
            }
            if self.plan == Plan::HoldDone && self.ends_with(b"\nevent: done\n") {
                return Verdict::HoldAfter(at);
            }
        }
        Verdict::All
    }

    fn ends_with(&self, name: &[u8]) -> bool {
        self.tail.iter().rev().take(name.len()).eq(name.iter().rev())
    }
}

#[test]
fn a_place_is_found_over_the_border_of_two_reads() {
    let stream = b"id: 1\nevent: start\ndata: {}\n\nid: 2\nevent: done\ndata: {}\n\n";
    for split in 0..stream.len() {
        let (first, second) = stream.split_at(split);
        for (plan, passed) in [
            (Plan::Whole, stream.len()),
            (Plan::Cut { event: 1, more: 3 }, 16),
            (Plan::Cut { event: 2, more: 0 }, 42),
            (Plan::Cut { event: 3, more: 0 }, stream.len()),
            (Plan::HoldDone, 46),
        ] {
            let mut scan = Scan::new(plan);
            let mut took = 0;
            for piece in [first, second] {
                match scan.take(piece) {
                    Verdict::All => took += piece.len(),
                    Verdict::CutAfter(part) | Verdict::HoldAfter(part) => {
                        took += part;
                        break;
                    }
                }
            }
            assert_eq!(took, passed, "{plan:?} with the first read of {split} bytes");
        }
    }
}
