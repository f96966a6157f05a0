//! Families of the http floor: requests, streams, WebSockets, what went out, what was passed on.
//!
//! Open streams and WebSockets are two counters each (opened, ended by reason), so that a scrape between two moments
//! still tells how many came and went. Labels are the closed sets below and the configured names of
//! boxes; an id is never one.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::mode::Mode;

const REQUESTS: (&str, &str) = (
    "afterbay_http_requests_total",
    "Requests answered, by what was asked, of which configured box, in which mode, and status class.",
);
const OPENED: (&str, &str) = ("afterbay_http_streams_opened_total", "Event streams opened.");
const ENDED: (&str, &str) = ("afterbay_http_streams_ended_total", "Event streams ended, by why.");
const SOCKETS_OPENED: (&str, &str) =
    ("afterbay_http_websockets_opened_total", "WebSockets that the box agreed to.");
const SOCKETS_ENDED: (&str, &str) =
    ("afterbay_http_websockets_ended_total", "WebSockets ended, by why.");
const EVENTS: (&str, &str) = (
    "afterbay_http_events_sent_total",
    "Events sent to clients; replayed ones were in the log before the stream was opened.",
);
const BYTES: (&str, &str) =
    ("afterbay_http_stream_bytes_total", "Bytes of event streams handed to the socket.");
const RECONNECTS: (&str, &str) =
    ("afterbay_http_reconnects_total", "Streams asked for with a cursor.");
const HEARTBEATS: (&str, &str) = ("afterbay_http_heartbeats_total", "Keep-alive comments sent.");
const GAPS: (&str, &str) = ("afterbay_http_gaps_total", "Warnings sent that events have expired.");
const REFUSED: (&str, &str) = (
    "afterbay_http_late_refusals_total",
    "Turns told as refused or withdrawn inside their stream, after its head.",
);

/// What was asked, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A turn: start, attach, or replay by POST.
    Turn,
    /// A turn's events, by GET.
    Replay,
    /// A session's events.
    Session,
    /// To stop what runs.
    Abort,
    /// Anything of the native API.
    Native,
    /// A WebSocket.
    WebSocket,
    /// Anything else for the box.
    Passed,
    /// Anything for the Sandbox API.
    Api,
    /// OPTIONS, a wrong method, or a request refused before it was routed.
    Other,
}

impl Asked {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Replay => "replay",
            Self::Session => "session",
            Self::Abort => "abort",
            Self::WebSocket => "websocket",
            Self::Native => "native",
            Self::Passed => "passed",
            Self::Api => "api",
            Self::Other => "other",
        }
    }
}

/// Why a stream ended, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything was sent.
    Complete,
    /// The turn was refused or withdrawn after the head.
    Refused,
    /// Afterbay is stopping.
    Drained,
    /// The log could not be read, or was closed under the stream.
    Cut,
    /// The client went away.
    Gone,
}

impl Ended {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::Drained => "drained",
            Self::Cut => "cut",
            Self::Gone => "gone",
        }
    }
}

/// Why a WebSocket ended, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketEnded {
    /// Both sides ended it.
    Closed,
    /// One side broke off.
    Broken,
    /// One side ended it, and the other said nothing more.
    HalfClosed,
    /// Afterbay is stopping.
    Drained,
}

impl SocketEnded {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::HalfClosed => "half_closed",
            Self::Drained => "drained",
        }
    }
}

/// The handles; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    opened: IntCounter,
    ended: IntCounterVec,
    sockets_opened: IntCounter,
    sockets_ended: IntCounterVec,
    replayed: IntCounter,
    live: IntCounter,
    bytes: IntCounter,
    reconnects: IntCounter,
    heartbeats: IntCounter,
    gaps: IntCounter,
    late_refusals: IntCounter,
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let plain = |(name, help): (&str, &str)| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let labelled = |(name, help): (&str, &str), labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let events = labelled(EVENTS, &["kind"])?;
        Ok(Self {
            requests: labelled(REQUESTS, &["asked", "box", "mode", "status"])?,
            opened: plain(OPENED)?,
            ended: labelled(ENDED, &["reason"])?,
            sockets_opened: plain(SOCKETS_OPENED)?,
            sockets_ended: labelled(SOCKETS_ENDED, &["reason"])?,
            replayed: events.with_label_values(&["replayed"]),
            live: events.with_label_values(&["live"]),
            bytes: plain(BYTES)?,
            reconnects: plain(RECONNECTS)?,
            heartbeats: plain(HEARTBEATS)?,
            gaps: plain(GAPS)?,
            late_refusals: plain(REFUSED)?,
        })
    }

    /// A request in this mode was answered with `status` (the head; a stream may go on). The name of
    /// the box that it was about stands in the configuration, whatever the request says, or is empty.
    pub fn answered(&self, asked: Asked, box_name: &str, mode: Mode, status: u16) {
        let class = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        let labels = [asked.as_str(), box_name, mode.as_str(), class];
        self.requests.with_label_values(&labels).inc();
    }

    /// A stream was opened.
    pub fn stream_opened(&self) {
        self.opened.inc();
    }

    /// A stream ended.
    pub fn stream_ended(&self, why: Ended) {
        self.ended.with_label_values(&[why.as_str()]).inc();
    }

    /// A WebSocket is carried.
    pub fn socket_opened(&self) {
        self.sockets_opened.inc();
    }

    /// A WebSocket ended.
    pub fn socket_ended(&self, why: SocketEnded) {
        self.sockets_ended.with_label_values(&[why.as_str()]).inc();
    }

    /// Events went out: those that were in the log before the stream was opened, and later ones.
    pub fn events_sent(&self, replayed: u64, live: u64) {
        self.replayed.inc_by(replayed);
        self.live.inc_by(live);
    }

    /// Bytes of a stream were handed to the socket.
    pub fn bytes_sent(&self, bytes: usize) {
        self.bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// A client came with a cursor.
    pub fn reconnected(&self) {
        self.reconnects.inc();
    }

    /// A keep-alive comment was sent.
    pub fn heartbeat(&self) {
        self.heartbeats.inc();
    }

    /// A client was told that events have expired.
    pub fn gap_shown(&self) {
        self.gaps.inc();
    }

    /// A turn was told as refused after its head.
    pub fn refused_late(&self) {
        self.late_refusals.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_can_be_read_and_a_second_registration_is_refused() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).expect("names are free");
        metrics.answered(Asked::Turn, "one", Mode::Poll, 200);
        metrics.answered(Asked::Turn, "one", Mode::Poll, 204);
        metrics.answered(Asked::Passed, "two", Mode::Sse, 200);
        metrics.events_sent(3, 1);
        metrics.stream_ended(Ended::Gone);
        let text =
            prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("encodes");
        for line in [
            "afterbay_http_requests_total{asked=\"turn\",box=\"one\",mode=\"poll\",status=\"2xx\"} 2",
            "afterbay_http_requests_total{asked=\"passed\",box=\"two\",mode=\"sse\",status=\"2xx\"} 1",
            "afterbay_http_events_sent_total{kind=\"replayed\"} 3",
            "afterbay_http_streams_ended_total{reason=\"gone\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
        assert!(Metrics::new(&registry).is_err());
    }
}
