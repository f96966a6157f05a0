//! Raw sockets for both ends: a client that sends exactly the bytes it is given, and a box that
//! shows exactly the bytes that reached it. Every wait has a deadline.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longest wait for a fact. Nothing here waits for a time, so this only bounds a failure.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Conn {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Conn {
    /// Opens a connection.
    pub(super) async fn open(to: SocketAddr) -> Self {
        let stream = timeout(DEADLINE, TcpStream::connect(to)).await.expect("in time");
        Self { stream: stream.expect("connects"), buffer: Vec::new() }
    }

    /// This end of a connection that is open already.
    pub(super) const fn of(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends `bytes` as they are.
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(DEADLINE, self.stream.write_all(bytes.as_ref())).await;
        sent.expect("in time").expect("sends");
    }

    /// Sends `bytes` for as long as the other side takes them.
    pub(super) async fn send_what_is_taken(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(DEADLINE, self.stream.write_all(bytes.as_ref())).await;
        // A side that has answered may close before it has read all.
        let _ = sent.expect("in time");
    }

    /// Says that nothing more will be sent; what comes can still be read.
    pub(super) async fn shut(&mut self) {
        let shut = timeout(DEADLINE, self.stream.shutdown()).await.expect("in time");
        // The other side may have closed before.
        let _ = shut;
    }

    /// Reads up to and with `mark`; what follows stays for the next read.
    pub(super) async fn read_to(&mut self, mark: &str) -> String {
        loop {
            let found = self.buffer.windows(mark.len()).position(|w| w == mark.as_bytes());
            if let Some(at) = found {
                let rest = self.buffer.split_off(at + mark.len());
                return text(std::mem::replace(&mut self.buffer, rest));
            }
            let more = self.fill().await;
            assert!(more > 0, "closed before {mark:?}; got {:?}", text(self.buffer.clone()));
        }
    }

    /// Reads a head, with the empty line that ends it.
    pub(super) async fn read_head(&mut self) -> Head {
        Head(self.read_to("\r\n\r\n").await)
    }

    /// Reads so many bytes.
    pub(super) async fn read_exactly(&mut self, bytes: usize) -> String {
        while self.buffer.len() < bytes {
            let more = self.fill().await;
            assert!(more > 0, "closed after {:?}", text(self.buffer.clone()));
        }
        let rest = self.buffer.split_off(bytes);
        text(std::mem::replace(&mut self.buffer, rest))
    }

    /// Reads so many bytes that need not be text.
    pub(super) async fn read_bytes(&mut self, bytes: usize) -> Vec<u8> {
        while self.buffer.len() < bytes {
            let more = self.fill().await;
            assert!(more > 0, "closed after {} of {bytes} bytes", self.buffer.len());
        }
        let rest = self.buffer.split_off(bytes);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Reads until the other side closes.
    pub(super) async fn read_to_close(&mut self) -> String {
        while self.fill().await > 0 {}
        text(std::mem::take(&mut self.buffer))
    }

    /// Zero when the other side has closed or reset the connection.
    async fn fill(&mut self) -> usize {
        let read = timeout(DEADLINE, self.stream.read_buf(&mut self.buffer)).await;
        read.unwrap_or_else(|_| panic!("silence after {:?}", text(self.buffer.clone())))
            .unwrap_or(0)
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

/// The head of a request or an answer, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head(pub(super) String);

impl Head {
    /// The request line or status line.
    pub(super) fn first_line(&self) -> &str {
        self.0.lines().next().expect("a first line")
    }

    /// The status.
    pub(super) fn status(&self) -> u16 {
        let code = self.first_line().split(' ').nth(1).expect("a status");
        code.parse().expect("a number")
    }

    /// The values of `name` in their order.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.0.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The only value of `name`.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() <= 1, "{name} is there twice: {self:?}");
        values.first().copied()
    }

    /// The names, lower case, each once, in alphabetical order.
    pub(super) fn names(&self) -> Vec<String> {
        let fields = self.0.lines().skip(1).filter_map(|line| line.split_once(": "));
        let mut names: Vec<_> = fields.map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// A whole answer; a chunked body is joined.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) body: String,
    /// Whether the body has its proper end.
    pub(super) is_whole: bool,
}

/// Reads the answer to the last request of a connection.
pub(super) async fn read(mut client: Conn) -> Answer {
    let head = client.read_head().await;
    let raw = client.read_to_close().await;
    if head.one("transfer-encoding").is_none() {
        return Answer { head, body: raw, is_whole: true };
    }
    let (mut rest, mut body) = (raw.as_str(), String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        let (chunk, after) = after.split_at(size);
        if size == 0 {
            return Answer { head, body, is_whole: true };
        }
        body.push_str(chunk);
        rest = after.strip_prefix("\r\n").expect("the chunk's end");
    }
    Answer { head, body, is_whole: false }
}

impl Answer {
    /// Ids and names of the frames.
    pub(super) fn frames(&self) -> Vec<(Option<u64>, &str)> {
        let blocks = self.body.split("\n\n").filter(|block| block.contains("event: "));
        blocks
            .map(|block| {
                let field = |name| block.lines().find_map(|line| line.strip_prefix(name));
                let id = field("id: ").map(|id| id.parse().expect("a number"));
                (id, field("event: ").expect("a name"))
            })
            .collect()
    }

    /// The ids that frames have.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.frames().into_iter().filter_map(|(id, _)| id).collect()
    }

    /// The JSON of the last frame of this name.
    pub(super) fn last_data(&self, name: &str) -> Value {
        let block = self
            .body
            .rsplit("\n\n")
            .find(|block| block.lines().any(|line| line.strip_prefix("event: ") == Some(name)));
        let data = block.and_then(|block| block.lines().find_map(|l| l.strip_prefix("data: ")));
        let data = data.unwrap_or_else(|| panic!("no {name} in {:?}", self.body));
        serde_json::from_str(data).expect("JSON")
    }

    /// A text in a body of JSON.
    pub(super) fn json(&self, path: &str) -> String {
        let body: Value = serde_json::from_str(&self.body).expect("JSON");
        body.pointer(path).and_then(Value::as_str).expect("text").to_owned()
    }
}

/// A box that does what the test does.
#[derive(Debug)]
pub(super) struct RawBox {
    listener: TcpListener,
    pub(super) addr: SocketAddr,
}

impl RawBox {
    /// Listens on a free port.
    pub(super) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        Self { listener, addr }
    }

    /// Listens there.
    pub(super) async fn listen_on(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).await.expect("the port is still free");
        Self { listener, addr }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> Conn {
        let accepted = timeout(DEADLINE, self.listener.accept()).await.expect("in time");
        Conn { stream: accepted.expect("accepts").0, buffer: Vec::new() }
    }

    /// Whether nobody has connected that was not accepted: connections are accepted in the order
    /// in which they came, so one of our own must be the next.
    pub(super) async fn is_untouched(&self) -> bool {
        let own = Conn::open(self.addr).await;
        let next = self.accept().await;
        own.stream.local_addr().expect("an address") == next.stream.peer_addr().expect("an address")
    }
}
