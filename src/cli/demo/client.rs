//! A plain SSE client, as applications have them: it starts a turn, reads its stream, and when the
//! stream is cut it waits a little and comes back with the last id it has seen.
//!
//! It gives up after three answers in a row that are no stream. A refused connection is no answer:
//! like a browser's `EventSource` it simply tries again. It counts what it sees, keeps nothing
//! else, and knows nothing of what it talks to.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::CONTENT_TYPE;
use http_body_util::BodyDataStream;
use tokio::sync::watch;

use super::seen::Seen;
use super::tale::Tale;
use crate::limits;
use crate::sse::parser::frames;

/// A client for one turn.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    execution: String,
    turn: Bytes,
    pause: Duration,
    seen: watch::Sender<Seen>,
}

/// How a turn ended for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It has read `done`.
    Done,
    /// It was turned away too often and gave up.
    Lost,
}

/// What became of one attempt to read.
enum Attempt {
    Done,
    Cut,
    TurnedAway,
    Refused,
}

impl Client {
    /// A client that will run `prompt` in `session` at `base`, and waits `pause` before it comes
    /// back.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub(super) fn new(
        base: &str,
        session: &str,
        prompt: &str,
        pause: Duration,
    ) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build();
        let turn = serde_json::json!({
            "identifier": "default", "sessionId": session, "message": prompt,
        });
        Ok(Self {
            http: http.context("set up an HTTP client")?,
            url: format!("{base}/agents/run/stream"),
            execution: format!("{session}-turn"),
            turn: Bytes::from(turn.to_string()),
            pause,
            seen: watch::Sender::new(Seen::default()),
        })
    }

    /// The id of its turn's execution.
    pub(super) fn execution(&self) -> &str {
        &self.execution
    }

    /// What it has seen, as it goes.
    pub(super) fn watch(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// Runs the turn to its end, one way or the other.
    ///
    /// # Errors
    /// If stdout takes nothing.
    pub(super) async fn run(&self, tale: &Tale) -> anyhow::Result<Ended> {
        loop {
            match self.attempt(tale).await? {
                Attempt::Done => return Ok(Ended::Done),
                Attempt::TurnedAway if self.seen.borrow().strikes >= limits::DEMO_CLIENT_TRIES => {
                    tale.tell("the client gives up")?;
                    return Ok(Ended::Lost);
                }
                Attempt::Cut | Attempt::TurnedAway | Attempt::Refused => {}
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    async fn attempt(&self, tale: &Tale) -> anyhow::Result<Attempt> {
        let last = self.seen.borrow().last;
        let mut request = self.http.post(&self.url).header("x-execution-id", &self.execution);
        request = request.header(CONTENT_TYPE, "application/json");
        request = if self.seen.borrow().streams == 0 {
            tale.tell("the client starts the turn")?;
            request.body(self.turn.clone())
        } else {
            // How a stream is asked for again: the same request, its id, no message.
            request.header("last-event-id", last.to_string()).body(r#"{"message":""}"#)
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(_) => {
                self.seen.send_modify(|seen| seen.refused += 1);
                tale.tell("the client comes back: connection refused")?;
                return Ok(Attempt::Refused);
            }
        };
        let status = answer.status();
        if !status.is_success() {
            self.seen.send_modify(|seen| seen.turned_away());
            tale.tell(format_args!("the client comes back after event {last}: {status}"))?;
            return Ok(Attempt::TurnedAway);
        }
        let again = self.seen.borrow().streams > 0;
        if again {
            tale.tell(format_args!("the client comes back after event {last}: {status}"))?;
        }
        self.read(answer, tale).await
    }

    /// Reads a stream to `done` or to its end.
    async fn read(&self, answer: reqwest::Response, tale: &Tale) -> anyhow::Result<Attempt> {
        self.seen.send_modify(Seen::stream_opened);
        let bytes = BodyDataStream::new(reqwest::Body::from(answer));
        let mut frames = frames(bytes, limits::MAX_DEMO_FRAME_BYTES);
        while let Some(Ok(frame)) = frames.next().await {
            self.seen.send_modify(|seen| seen.take(&frame));
            if self.seen.borrow().done > 0 {
                tale.tell(format_args!("done, after {} events", self.seen.borrow().events))?;
                return Ok(Attempt::Done);
            }
        }
        self.seen.send_modify(|seen| seen.cuts += 1);
        let last = self.seen.borrow().last;
        tale.tell(format_args!("the stream is cut; the last event was {last}"))?;
        Ok(Attempt::Cut)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers connections with these answers, one each, then no longer; returns the requests.
    async fn answer(listener: TcpListener, answers: &[&str]) -> Vec<String> {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = Vec::new();
            // A request's body ends with the brace of its JSON.
            while !request.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut request).await.expect("a request"), 0);
            }
            requests.push(String::from_utf8(request).expect("UTF-8"));
            stream.write_all(answer.as_bytes()).await.expect("an open connection");
        }
        requests
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    const GONE: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

    fn frame(id: u64, name: &str) -> String {
        let frame = format!("id: {id}\nevent: {name}\ndata: {{}}\n\n");
        format!("{:x}\r\n{frame}\r\n", frame.len())
    }

    async fn run(answers: &[&str]) -> (Ended, Seen, Vec<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let client = Client::new(&base, "s", "work", Duration::from_millis(10)).expect("a client");
        let tale = Tale::begin("a test").expect("an open stdout");
        let both = async { tokio::join!(client.run(&tale), answer(listener, answers)) };
        let limit = Duration::from_secs(10);
        let (ended, requests) = tokio::time::timeout(limit, both).await.expect("an end");
        let seen = client.watch().borrow().clone();
        (ended.expect("an open stdout"), seen, requests)
    }

    #[tokio::test]
    async fn a_cut_stream_is_asked_for_again_after_the_last_event() {
        let (cut, rest) =
            (format!("{HEAD}{}", frame(1, "raw")), format!("{HEAD}{}", frame(2, "done")));
        let (ended, seen, requests) = run(&[&cut, GONE, GONE, &rest]).await;
        assert_eq!(ended, Ended::Done);
        assert_eq!((seen.events, seen.last, seen.cuts, seen.strikes), (2, 2, 1, 0));
        let [first, again @ ..] = &requests[..] else { panic!("no request") };
        assert!(first.contains("\"message\":\"work\"") && !first.contains("last-event-id"));
        assert_eq!(again.len(), 3);
        for again in again {
            assert!(again.contains("last-event-id: 1\r\n"), "{again}");
            assert!(again.contains("x-execution-id: s-turn\r\n"), "{again}");
            assert!(again.ends_with(r#"{"message":""}"#), "{again}");
        }
    }

    #[tokio::test]
    async fn three_refusals_in_a_row_are_the_end() {
        let cut = format!("{HEAD}{}", frame(1, "raw"));
        let (ended, seen, requests) = run(&[&cut, GONE, GONE, GONE]).await;
        assert_eq!((ended, seen.strikes, requests.len()), (Ended::Lost, 3, 4));
    }

    #[tokio::test]
    async fn a_refused_connection_is_tried_again() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let base = format!("http://{address}");
        let client = Client::new(&base, "s", "work", Duration::from_millis(10)).expect("a client");
        let (tale, mut seen) = (Tale::begin("a test").expect("stdout"), client.watch());
        let refused = async { seen.wait_for(|seen| seen.refused > 5).await.is_ok() };
        let limit = Duration::from_secs(10);
        // Whichever ends first, nothing is left behind.
        tokio::select! {
            ended = client.run(&tale) => panic!("it gave up: {ended:?}"),
            many = tokio::time::timeout(limit, refused) => assert_eq!(many, Ok(true)),
        }
    }
}
