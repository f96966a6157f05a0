//! A client that is cut and comes back: it starts a turn, reads its frames, and resumes from its
//! last id in every form there is, until it has the close-out.
//!
//! It keeps every frame that came whole and checks as it goes that ids follow each other without
//! a hole, a repeat or a step back, over all connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::frames::{Frame, Frames, Stop};
use super::http::Request;
use super::wait;

/// The longest any turn of these tests may take from the first request to the close-out.
const TURN_LIMIT: Duration = Duration::from_secs(120);

/// How a client comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `GET /agents/run/stream?executionId=` with `Last-Event-ID`.
    RunStream,
    /// `GET /agents/executions/{id}/events` with `Last-Event-ID`.
    Execution,
    /// `POST /agents/run/stream` with `X-Execution-ID`, `Last-Event-ID` and an empty message.
    EmptyPost,
    /// The first POST once more, with `Last-Event-ID`.
    SamePost,
}

/// Every way, in the order in which a client tries them.
pub(crate) const WAYS: [Way; 4] = [Way::RunStream, Way::Execution, Way::EmptyPost, Way::SamePost];

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    /// `turn-<n>`, the turn's name for the fake model, and its `turnId`.
    pub(crate) marker: String,
    pub(crate) session: String,
    /// What the client calls the execution, if it says so.
    pub(crate) execution: Option<String>,
    /// The script, without the marker.
    pub(crate) script: String,
    /// A model other than the configured one.
    pub(crate) model: Option<&'static str>,
    pub(crate) authorization: Option<String>,
}

impl Turn {
    /// A turn of a session of its own.
    pub(crate) fn new(marker: &str, script: &str) -> Self {
        Self {
            marker: marker.to_owned(),
            session: format!("session-of-{marker}"),
            execution: None,
            script: script.to_owned(),
            model: None,
            authorization: None,
        }
    }

    /// The request that starts it, or attaches to it.
    pub(crate) fn post(&self) -> Request {
        let mut body = json!({
            "identifier": "default",
            "message": format!("[{}] {}", self.marker, self.script),
            "sessionId": self.session,
            "turnId": self.marker,
        });
        if let Some(model) = self.model {
            body["backend"] = json!({"model": {"provider": "fake", "model": model}});
        }
        self.dressed(Request::post("/agents/run/stream", &body))
            .maybe("x-execution-id", self.execution.as_deref())
    }

    /// Adds the turn's credential.
    pub(crate) fn dressed(&self, request: Request) -> Request {
        request.maybe("authorization", self.authorization.as_deref())
    }
}

/// What a request for events came to.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A stream.
    Stream(Box<Frames>),
    /// 204: nothing more will come.
    NoMore,
    /// Another status.
    Status(StatusCode, Value),
}

impl Opened {
    /// The stream, in a test that goes wrong without one.
    pub(crate) fn stream(self) -> Frames {
        match self {
            Self::Stream(frames) => *frames,
            Self::NoMore => panic!("a stream was asked for: 204"),
            Self::Status(status, body) => panic!("a stream was asked for: {status} {body}"),
        }
    }
}

/// A client of one turn, with everything it has seen.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) turn: Turn,
    /// Where it connects: the daemon, or a hop in front of it.
    pub(crate) address: SocketAddr,
    /// Every whole frame, in order.
    pub(crate) seen: Vec<Frame>,
    /// The execution id of the head.
    pub(crate) execution: Option<String>,
    /// The session id of the head.
    pub(crate) session: Option<String>,
    /// Connections on which a stream was read.
    pub(crate) streams: usize,
    ways: Vec<Way>,
}

impl Client {
    /// A client that has not asked yet; `ways` are taken in turn, again and again.
    pub(crate) fn new(address: SocketAddr, turn: Turn, ways: &[Way]) -> Self {
        assert!(!ways.is_empty(), "a client needs a way to come back");
        let execution = turn.execution.clone();
        let (seen, ways) = (Vec::new(), ways.to_vec());
        Self { turn, address, seen, execution, session: None, streams: 0, ways }
    }

    /// Makes it come back in this one way. Only [`Way::SamePost`] brings a prompt back that the
    /// daemon lost before it was sent.
    pub(crate) fn only(&mut self, way: Way) {
        self.ways = vec![way];
    }

    /// The last id it has seen; 0 before the first.
    pub(crate) fn last_id(&self) -> u64 {
        self.seen.last().map_or(0, |frame| frame.id)
    }

    /// Whether it has the whole close-out.
    pub(crate) fn has_all(&self) -> bool {
        self.seen.last().is_some_and(|frame| frame.event == "done")
    }

    /// Starts the turn and reads, cut by cut, until it has the close-out.
    pub(crate) async fn run(&mut self) {
        self.run_within(TURN_LIMIT).await;
    }

    /// As [`Client::run`], for a turn that may take up to `limit`.
    pub(crate) async fn run_within(&mut self, limit: Duration) {
        let what = format!("{} has its close-out", self.turn.marker);
        wait::within(limit, &what, self.run_unbounded()).await;
    }

    async fn run_unbounded(&mut self) {
        let mut ways = self.ways.clone().into_iter().cycle();
        let mut tries = tokio::time::interval(Duration::from_millis(50));
        tries.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.has_all() {
            // Until the first head nobody but the client knows that there is a turn.
            let known = self.streams > 0 && self.execution.is_some();
            let way = if known { ways.next().unwrap_or(Way::SamePost) } else { Way::SamePost };
            tries.tick().await;
            match self.open(way).await {
                Ok(Opened::Stream(mut frames)) => {
                    self.read(&mut frames).await;
                }
                Ok(Opened::Status(StatusCode::SERVICE_UNAVAILABLE, _)) | Err(_) => {}
                Ok(Opened::Status(status, body)) => {
                    panic!("{way:?} of {}: {status} {body}", self.turn.marker)
                }
                Ok(Opened::NoMore) => panic!("{way:?} of {}: 204", self.turn.marker),
            }
        }
    }

    /// Asks for what follows the last id.
    pub(crate) async fn open(&mut self, way: Way) -> io::Result<Opened> {
        let answer = self.request(way).send(self.address).await?;
        match answer.status {
            StatusCode::OK => {
                assert_eq!(answer.header("x-afterbay-cursor"), None, "the cursor was refused");
                let execution = answer.header("x-execution-id").expect("an execution id");
                if let Some(known) = &self.execution {
                    assert_eq!(execution, known, "the execution has another name now");
                }
                self.execution = Some(execution.to_owned());
                self.session = answer.header("x-session-id").map(str::to_owned);
                self.streams += 1;
                Ok(Opened::Stream(Box::new(Frames::of(answer))))
            }
            StatusCode::NO_CONTENT => Ok(Opened::NoMore),
            status => Ok(Opened::Status(status, answer.json().await?)),
        }
    }

    fn request(&self, way: Way) -> Request {
        let execution = self.execution.as_deref().unwrap_or_default();
        let request = match way {
            Way::RunStream => Request::get(format!("/agents/run/stream?executionId={execution}")),
            Way::Execution => Request::get(format!("/agents/executions/{execution}/events")),
            Way::EmptyPost => {
                let body = json!({"identifier": "default", "message": ""});
                Request::post("/agents/run/stream", &body).header("x-execution-id", execution)
            }
            Way::SamePost => self.turn.post(),
        };
        let last = (self.last_id() > 0).then(|| self.last_id().to_string());
        self.turn.dressed(request).maybe("last-event-id", last.as_deref())
    }

    /// Reads a stream to its end.
    pub(crate) async fn read(&mut self, frames: &mut Frames) -> Stop {
        loop {
            match frames.next().await {
                Ok(frame) => self.take(frame),
                Err(Stop::Ended) => return Stop::Ended,
                Err(Stop::Cut) => return Stop::Cut,
            }
        }
    }

    /// Reads until a frame of this name has come.
    pub(crate) async fn read_until(&mut self, frames: &mut Frames, event: &str) {
        let what = format!("{} shows `{event}`", self.turn.marker);
        wait::within(TURN_LIMIT, &what, async {
            while self.seen.last().is_none_or(|frame| frame.event != event) {
                self.read_one(frames).await;
            }
        })
        .await;
    }

    /// Reads one frame, in a test that goes wrong if the stream stops instead.
    pub(crate) async fn read_one(&mut self, frames: &mut Frames) {
        let next = wait::within(TURN_LIMIT, "one more frame", frames.next()).await;
        let stopped = |stop| panic!("the stream of {} stopped: {stop:?}", self.turn.marker);
        self.take(next.unwrap_or_else(stopped));
    }

    fn take(&mut self, frame: Frame) {
        let marker = &self.turn.marker;
        assert!(!self.has_all(), "{marker}: a frame after `done`: {frame:?}");
        if let Some(last) = self.seen.last() {
            assert_eq!(frame.id, last.id + 1, "{marker}: ids must follow each other");
        }
        self.seen.push(frame);
    }
}
