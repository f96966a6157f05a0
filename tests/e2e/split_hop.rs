//! A hop that splits a finished stream anew: one chunk for each event, but each cut somewhere else,
//! from so many bytes before the event's beginning to so many behind it. A client gets a chunk only
//! when it has taken all before it from its socket, so that it sees the chunks as they were cut.
//!
//! It carries GET requests whose answers end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// More than an event has before its JSON.
const AROUND: usize = 60;

/// Places of a cut around the beginning of an event, each taken once by as many events.
pub(crate) const PLACES: usize = 2 * AROUND + 1;

/// Between two looks at what a client has left in its socket.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The running hop.
#[derive(Debug)]
pub(crate) struct SplitHop {
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl SplitHop {
    /// Stands between clients and `target` until dropped.
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the hop");
        let address = listener.local_addr().expect("the hop's address");
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut carried = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("accept at the hop");
                carried.spawn(async move {
                    // Each client ends its connection as it likes.
                    let _broken = carry(client, target).await;
                });
            }
        });
        Self { address, _server: server }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Carries one request after the other.
async fn carry(mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut waiting = BytesMut::new();
    loop {
        let request = head(&mut client, &mut waiting).await?;
        let mut server = TcpStream::connect(target).await?;
        server.write_all(&request).await?;
        let mut answer = BytesMut::new();
        let told = head(&mut server, &mut answer).await?;
        client.write_all(&told).await?;
        if !told.starts_with(b"HTTP/1.1 200") {
            continue;
        }
        assert!(String::from_utf8_lossy(&told).contains("transfer-encoding: chunked"));
        let body = body(&mut server, answer).await?;
        for piece in pieces(&body) {
            taken(&client).await?;
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            client.write_all(&chunk).await?;
        }
        client.write_all(b"0\r\n\r\n").await?;
    }
}

/// Takes a message's head, the empty line included.
async fn head(from: &mut TcpStream, waiting: &mut BytesMut) -> io::Result<BytesMut> {
    loop {
        if let Some(end) = waiting.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(waiting.split_to(end + 4));
        }
        if from.read_buf(waiting).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// All chunks of a body that begins with `waiting`, joined.
async fn body(from: &mut TcpStream, mut waiting: BytesMut) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        if let Some(line) = waiting.windows(2).position(|two| two == b"\r\n") {
            let digits = std::str::from_utf8(&waiting[..line]).map_err(io::Error::other)?;
            let length = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
            if length == 0 {
                return Ok(whole);
            }
            if waiting.len() >= line + length + 4 {
                let chunk = waiting.split_to(line + length + 4);
                whole.extend_from_slice(&chunk[line + 2..][..length]);
                continue;
            }
        }
        if from.read_buf(&mut waiting).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The body, cut near the beginning of each event: of the first as far before it as there is, of
/// each next one a byte later.
fn pieces(body: &[u8]) -> Vec<&[u8]> {
    let ends = body.windows(2).enumerate().filter(|(_, two)| *two == b"\n\n");
    let starts = ends.map(|(at, _)| at + 2).filter(|at| body[*at..].starts_with(b"id: "));
    let cuts = starts.enumerate();
    let cuts = cuts.map(|(number, at)| (at + number % PLACES).saturating_sub(AROUND));
    let mut cuts: Vec<usize> = cuts.filter(|cut| *cut < body.len()).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for cut in cuts.into_iter().chain([body.len()]) {
        pieces.extend((from < cut).then(|| &body[from..cut]));
        from = cut;
    }
    pieces
}

/// Resolves when the other end has nothing left in its socket, as the system tells it.
async fn taken(client: &TcpStream) -> io::Result<()> {
    let (ours, theirs) = (hex(client.local_addr()?), hex(client.peer_addr()?));
    let (sending, receiving) = (format!(" {ours} {theirs} "), format!(" {theirs} {ours} "));
    let mut looks = tokio::time::interval(LOOK_AGAIN);
    loop {
        let sockets = std::fs::read_to_string("/proc/net/tcp")?;
        // Behind the two addresses: the state, and the bytes to be sent and to be read, `tx:rx`.
        let queues = |socket: &str| sockets.split_once(socket)?.1.split_whitespace().nth(1);
        let sent = queues(&sending).is_some_and(|both| both.starts_with("00000000:"));
        let Some(read) = queues(&receiving) else {
            return Err(io::ErrorKind::ConnectionReset.into());
        };
        if sent && read.ends_with(":00000000") {
            return Ok(());
        }
        looks.tick().await;
    }
}

/// `0100007F:1F90`
fn hex(address: SocketAddr) -> String {
    let SocketAddr::V4(v4) = address else { panic!("{address} is not of this test") };
    format!("{:08X}:{:04X}", u32::from_le_bytes(v4.ip().octets()), v4.port())
}

#[test]
fn every_place_around_a_beginning_is_cut_once_and_nothing_is_lost() {
    let event = |id: usize| format!("id: {id}\nevent: e\ndata: \"{}\"\n\n", "x".repeat(200));
    let events: Vec<String> = (1000..1000 + PLACES).map(event).collect();
    let text = format!("{}: first\n\n{}", " ".repeat(AROUND), events.concat());
    let pieces = pieces(text.as_bytes());
    assert_eq!(pieces.concat(), text.as_bytes());
    assert_eq!(pieces.len(), PLACES + 1);
    let mut ends: Vec<usize> = Vec::new();
    for piece in &pieces[..PLACES] {
        ends.push(ends.last().unwrap_or(&0) + piece.len());
    }
    let first = AROUND + ": first\n\n".len();
    let places: Vec<usize> = ends
        .iter()
        .enumerate()
        .map(|(number, end)| end + AROUND - first - number * events[0].len())
        .collect();
    assert_eq!(places, (0..PLACES).collect::<Vec<_>>());
}
