//! Readers of sessions on bare sockets, one connection each, that count every event's id.
//!
//! They read only when they are told to; what comes meanwhile, heartbeats for the most part, waits in the
//! socket. An event counts once its frame is whole and must have the id that follows the last one's.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Longest wait for the rest of what one reader is to get.
const DEADLINE: Duration = Duration::from_secs(120);

/// Readers with their open streams.
pub(crate) struct Readers(Vec<Reader>);

/// Readers whose streams are cut.
pub(crate) struct Absent(Vec<Place>);

/// What a reader comes back with.
#[derive(Clone, Copy)]
struct Place {
    session: usize,
    /// The last event that it has.
    seen: u64,
}

struct Reader {
    place: Place,
    stream: TcpStream,
    /// What came and is no whole line yet.
    rest: Vec<u8>,
    /// The id of a frame whose end has not come.
    pending: Option<u64>,
    /// All that came on this connection, if it is kept.
    kept: Option<Vec<u8>>,
}

impl Absent {
    /// So many readers, spread over the sessions, who have seen all up to `seen`.
    pub(crate) fn new(readers: usize, sessions: usize, seen: u64) -> Self {
        let place = |number| Place { session: number % sessions, seen };
        Self((0..readers).map(place).collect())
    }

    /// All come at once, each after its cursor, and read up to the event `last`; how long that took.
    pub(crate) async fn come(self, to: SocketAddr, last: u64) -> (Readers, Duration) {
        let begun = Instant::now();
        let mut coming = JoinSet::new();
        for (number, place) in self.0.into_iter().enumerate() {
            let kept = (number == 0).then(Vec::new);
            coming.spawn(async move {
                let mut reader = Reader::open(to, place, kept).await;
                reader.read_to(last).await;
                reader
            });
        }
        (Readers(all(coming).await), begun.elapsed())
    }
}

impl Readers {
    /// Each reads up to and with the event `last`.
    pub(crate) async fn read_to(self, last: u64) -> Self {
        let mut reading = JoinSet::new();
        for mut reader in self.0 {
            reading.spawn(async move {
                reader.read_to(last).await;
                reader
            });
        }
        Self(all(reading).await)
    }

    /// All connections are reset at once.
    pub(crate) fn cut(self) -> Absent {
        let cut = |reader: Reader| {
            SockRef::from(&reader.stream).set_linger(Some(Duration::ZERO)).unwrap();
            reader.place
        };
        Absent(self.0.into_iter().map(cut).collect())
    }

    /// The bytes that one of them got on its connection.
    pub(crate) fn bytes_of_one(&self) -> &[u8] {
        self.0.iter().find_map(|reader| reader.kept.as_deref()).unwrap()
    }
}

async fn all(mut readers: JoinSet<Reader>) -> Vec<Reader> {
    let mut done = Vec::with_capacity(readers.len());
    while let Some(reader) = readers.join_next().await {
        done.push(reader.unwrap());
    }
    done
}

impl Reader {
    async fn open(to: SocketAddr, place: Place, kept: Option<Vec<u8>>) -> Self {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let Place { session, seen } = place;
        let request = format!(
            "GET /agents/sessions/bench-{session}/events HTTP/1.1\r\nHost: {to}\r\n\
             Accept: text/event-stream\r\nLast-Event-ID: {seen}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reader = Self { place, stream, rest: Vec::new(), pending: None, kept };
        // The first comment: the stream is open on the other side, too.
        timeout(DEADLINE, async { while !reader.fill().await {} }).await.unwrap();
        reader
    }

    async fn read_to(&mut self, last: u64) {
        let reading = async {
            while self.place.seen < last {
                self.fill().await;
            }
        };
        timeout(DEADLINE, reading).await.expect("every event in time");
        assert_eq!(self.place.seen, last, "nothing beyond it");
    }

    /// Takes what comes; whether there was a comment in it.
    async fn fill(&mut self) -> bool {
        // A buffer of its own for each read: what waits holds none.
        let mut piece = Vec::with_capacity(16 << 10);
        let read = self.stream.read_buf(&mut piece).await.unwrap();
        assert!(read > 0, "the stream stays open");
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(&piece);
        }
        self.rest.append(&mut piece);
        let mut said = false;
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            said |= line.starts_with(b":");
            self.take(&line);
        }
        self.rest.shrink_to_fit();
        said
    }

    fn take(&mut self, line: &[u8]) {
        if let Some(id) = line.strip_prefix(b"id: ") {
            let id = std::str::from_utf8(id).unwrap().trim_end().parse().unwrap();
            assert_eq!(self.pending.replace(id), None, "one frame after another");
        } else if line == b"\n"
            && let Some(id) = self.pending.take()
        {
            assert_eq!(id, self.place.seen + 1, "each event once and in order");
            self.place.seen = id;
        } else if line.starts_with(b"HTTP/") {
            assert!(line.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(line));
        }
    }
}
