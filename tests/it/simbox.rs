//! The simulated box over real sockets: its routes and shapes, and that its faults and its account
//! are what they say. It is the oracle of other tests, so it is itself tested here.

use std::net::SocketAddr;
use std::time::Duration;

use afterbay::simbox::{Account, Faults, Simbox, State};
use afterbay::tasks::Tasks;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::raw::{Answer, Conn, DEADLINE, read};

mod accounting;
mod command;
mod faults;
mod routes;

/// A served box.
struct Stage {
    simbox: Simbox,
    addr: SocketAddr,
    stop: CancellationToken,
    tasks: Tasks,
}

impl Stage {
    /// A box whose default faults are these words.
    async fn with(words: &str) -> Self {
        let faults = Faults::default().with_words_of(words).expect("good words");
        Self::serving(Simbox::new(faults)).await
    }

    async fn serving(simbox: Simbox) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let (stop, tasks) = (CancellationToken::new(), Tasks::new());
        let serving = simbox.clone().serve(listener, stop.clone());
        tasks.spawn("simbox", async move { serving.await.expect("served to its end") });
        Self { simbox, addr, stop, tasks }
    }

    /// Opens a connection and sends a request on it that will be its last.
    async fn send(&self, line: &str, headers: &str, body: &str) -> Conn {
        let mut conn = Conn::open(self.addr).await;
        let length = body.len();
        conn.send(format!(
            "{line} HTTP/1.1\r\nhost: box\r\nconnection: close\r\ncontent-length: {length}\r\n\
             {headers}\r\n{body}"
        ))
        .await;
        conn
    }

    async fn get(&self, path: &str) -> Answer {
        read(self.send(&format!("GET {path}"), "", "").await).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        read(self.send(&format!("POST {path}"), "", &body.to_string()).await).await
    }

    /// Begins a turn; the answer is still to be read.
    async fn dispatch(&self, execution: &str, headers: &str, body: Value) -> Conn {
        let headers = format!("x-execution-id: {execution}\r\n{headers}");
        self.send("POST /agents/run/stream", &headers, &body.to_string()).await
    }

    /// Runs a turn to the end of its stream, in a session of the execution's name.
    async fn run(&self, execution: &str, words: &str) -> Answer {
        let body = json!({ "sessionId": format!("s-{execution}"), "message": words });
        read(self.dispatch(execution, "", body).await).await
    }

    /// Begins a turn and reads its stream as far as `mark`.
    async fn begin(&self, execution: &str, words: &str, mark: &str) -> Conn {
        let body = json!({
            "sessionId": format!("s-{execution}"), "turnId": "t", "message": words, "detach": true,
        });
        let mut conn = self.dispatch(execution, "", body).await;
        conn.read_to(mark).await;
        conn
    }

    async fn status(&self, session: &str) -> Value {
        let answer = self.get(&format!("/agents/sessions/{session}")).await;
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        body["data"].clone()
    }

    async fn boot(&self) -> String {
        self.get("/health").await.json("/bootId")
    }

    /// Waits until the account says what `fact` wants of it.
    async fn until(&self, what: &str, fact: impl Fn(&Account) -> bool) -> Account {
        let begun = Instant::now();
        loop {
            let account = self.simbox.account();
            if fact(&account) {
                return account;
            }
            assert!(begun.elapsed() < DEADLINE, "{what} in {account:?}");
            // The box runs in this process: it gets its turn between two looks.
            tokio::task::yield_now().await;
        }
    }

    async fn until_state(&self, execution: &str, state: State) -> Account {
        let what = format!("{execution} is {state:?}");
        self.until(&what, |all| all.turn(execution).is_some_and(|turn| turn.state == state)).await
    }

    /// Waits until it can be connected to again.
    async fn back(&self) {
        let begun = Instant::now();
        while TcpStream::connect(self.addr).await.is_err() {
            assert!(begun.elapsed() < DEADLINE, "it comes back");
            tokio::task::yield_now().await;
        }
    }

    /// Ends the box; nothing of it may be left. Its port is free then, so it proves nothing who
    /// answers there.
    async fn end(self) {
        self.stop.cancel();
        timeout(DEADLINE, self.tasks.wait()).await.expect("an end in time");
    }
}

fn parsed(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).expect("JSON")
}

#[tokio::test]
async fn a_box_listens_on_loopback_only_and_ends_when_told() {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let refused = Simbox::new(Faults::default()).serve(listener, CancellationToken::new()).await;
    assert_eq!(refused.map_err(|error| error.kind()), Err(std::io::ErrorKind::InvalidInput));
    let stage = Stage::with("").await;
    let _held = stage.begin("e", "wait=answer", "event: interaction\n").await;
    stage.end().await;
}

/// Longer than a request on loopback takes, short enough to be waited for.
const SHORT: Duration = Duration::from_millis(300);
