//! The bytes of a carried connection, both ways, until it ends.
//!
//! Promises: what one side sends reaches the other in its order, untouched; one buffer for each
//! direction and no more, so a side that does not read stops the other; a side that has ended
//! what it sends may still read (half-close). It ends when both sides have ended, when one breaks
//! off, when one has ended and the other falls silent, or when afterbay stops.
//!
//! What the bytes say is neither known nor asked: no farewell of ours could be put between them.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::leave::Leave;
use crate::limits;
use crate::metrics::http::SocketEnded;

/// Carries what `opened` gives until it ends; `None` from it is a side that has gone before.
/// `leave` ends it in good time when afterbay stops, `stop` at once.
pub(super) async fn carry<C, B>(
    opened: impl Future<Output = Option<(C, B)>>,
    mut leave: Leave,
    stop: CancellationToken,
) -> SocketEnded
where
    C: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let carried = async {
        match opened.await {
            Some((client, at_box)) => both_ways(client, at_box).await,
            None => SocketEnded::Broken,
        }
    };
    // Dropping the waits loses nothing; dropping `carried` closes both sides, which is the end
    // here. The stop comes first, so that a busy connection cannot outrun it.
    tokio::select! {
        biased;
        () = stop.cancelled() => SocketEnded::Drained,
        () = leave.due() => SocketEnded::Drained,
        ended = carried => ended,
    }
}

async fn both_ways<C, B>(client: C, at_box: B) -> SocketEnded
where
    C: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = split(client);
    let (from_box, to_box) = split(at_box);
    let signs = Signs::default();
    let up = one_way(from_client, to_box, &signs);
    let down = one_way(from_box, to_client, &signs);
    // Dropping either closes both sides; a half that is silent has nothing in its buffer, unless
    // its reader takes nothing.
    tokio::select! {
        biased;
        ended = async { tokio::try_join!(up, down) } => match ended {
            Ok(((), ())) => SocketEnded::Closed,
            Err(error) => {
                tracing::debug!(%error, "a websocket broke off");
                SocketEnded::Broken
            }
        },
        () = signs.silence_of_a_half() => SocketEnded::HalfClosed,
    }
}

/// Hands on what `from` sends, and its end.
async fn one_way<R, W>(mut from: R, mut to: W, signs: &Signs) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; limits::WEBSOCKET_BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            to.shutdown().await?;
            signs.half_closed.notify_one();
            return Ok(());
        }
        to.write_all(bytes).await?;
        to.flush().await?;
        signs.moves.fetch_add(1, Ordering::Relaxed);
    }
}

/// Signs of life of one connection.
#[derive(Debug, Default)]
struct Signs {
    moves: AtomicU64,
    half_closed: Notify,
}

impl Signs {
    /// Resolves when one side has ended and nothing came from the other for a while.
    async fn silence_of_a_half(&self) {
        self.half_closed.notified().await;
        loop {
            let before = self.moves.load(Ordering::Relaxed);
            sleep(limits::WEBSOCKET_HALF_CLOSED).await;
            if self.moves.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;
    use crate::tasks::Tasks;

    /// A carried connection with both far ends, small pipes between.
    struct Carried {
        client: DuplexStream,
        at_box: DuplexStream,
        drain: CancellationToken,
        stop: CancellationToken,
        ended: tokio::task::JoinHandle<SocketEnded>,
    }

    /// How it ends; the clock of these tests goes on when nothing else does.
    async fn end(ended: tokio::task::JoinHandle<SocketEnded>) -> SocketEnded {
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        timeout(week, ended).await.expect("an end").expect("no panic")
    }

    const GRACE: Duration = Duration::from_secs(10);

    fn start() -> Carried {
        let (client, our_client) = duplex(64);
        let (at_box, our_box) = duplex(64);
        let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
        let leave = Leave::early(drain.clone(), GRACE);
        let opened = std::future::ready(Some((our_client, our_box)));
        let ended = Tasks::new().spawn("carried", carry(opened, leave, stop.clone()));
        Carried { client, at_box, drain, stop, ended }
    }

    async fn read(from: &mut DuplexStream, bytes: usize) -> Vec<u8> {
        let mut buffer = vec![0; bytes];
        from.read_exact(&mut buffer).await.expect("bytes");
        buffer
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_go_both_ways_and_an_end_leaves_the_other_way_open() {
        let Carried { mut client, mut at_box, ended, .. } = start();
        client.write_all(b"\x00up\xff").await.expect("sends");
        assert_eq!(read(&mut at_box, 4).await, b"\x00up\xff");
        client.shutdown().await.expect("ends");
        assert_eq!(at_box.read(&mut [0; 1]).await.expect("an end"), 0);
        at_box.write_all(b"down").await.expect("sends");
        assert_eq!(read(&mut client, 4).await, b"down");
        at_box.shutdown().await.expect("ends");
        assert_eq!(client.read(&mut [0; 1]).await.expect("an end"), 0);
        assert_eq!(end(ended).await, SocketEnded::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_read_stops_the_other() {
        let Carried { mut client, at_box: _at_box, ended, .. } = start();
        let mut taken = 0;
        let chunk = [7; 1 << 10];
        while let Ok(sent) = timeout(Duration::from_secs(1), client.write(&chunk)).await {
            taken += sent.expect("sends");
        }
        let most = limits::WEBSOCKET_BUFFER_BYTES + 4 * 64;
        assert!(taken <= most, "{taken} bytes were taken, {most} at most");
        assert!(!ended.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_half_ends_and_a_talking_one_does_not() {
        let Carried { mut client, mut at_box, ended, .. } = start();
        let half = limits::WEBSOCKET_HALF_CLOSED / 2;
        client.shutdown().await.expect("ends");
        for _ in 0..10 {
            sleep(half).await;
            at_box.write_all(b"x").await.expect("is carried");
            assert_eq!(read(&mut client, 1).await, b"x");
        }
        assert_eq!(end(ended).await, SocketEnded::HalfClosed);
        assert_eq!(at_box.read(&mut [0; 1]).await.expect("an end"), 0);
        assert_eq!(client.read(&mut [0; 1]).await.expect("an end"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_alone_ends_nothing() {
        let Carried { mut client, mut at_box, ended, .. } = start();
        sleep(Duration::from_secs(24 * 60 * 60)).await;
        assert!(!ended.is_finished());
        client.write_all(b"x").await.expect("sends");
        assert_eq!(read(&mut at_box, 1).await, b"x");
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_within_the_grace_or_at_once_when_told() {
        let Carried { client: _client, at_box: _at_box, drain, ended, .. } = start();
        drain.cancel();
        let ended = timeout(GRACE, ended).await.expect("within the grace");
        assert_eq!(ended.expect("no panic"), SocketEnded::Drained);

        let Carried { mut client, at_box: _at_box, stop, ended, .. } = start();
        stop.cancel();
        assert_eq!(end(ended).await, SocketEnded::Drained);
        assert_eq!(client.read(&mut [0; 1]).await.expect("an end"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_has_gone_before_is_a_break() {
        let leave = Leave::early(CancellationToken::new(), GRACE);
        let opened = std::future::ready(None::<(DuplexStream, DuplexStream)>);
        let ended = carry(opened, leave, CancellationToken::new()).await;
        assert_eq!(ended, SocketEnded::Broken);
    }
}
