//! Families of the http floor: requests, WebSockets, what was passed on; event streams have a file of
//! their own.
//!
//! Open WebSockets are two counters (opened, ended by reason), so that a scrape between two moments
//! still tells how many came and went. Labels are the closed sets below and the configured names of
//! boxes; an id is never one.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, Registry};

use super::families::Families;
use super::streams;
use crate::mode::Mode;

const REQUESTS: (&str, &str) = (
    "afterbay_http_requests_total",
    "Requests answered, by what was asked, of which configured box, in which mode, and status class.",
);
const SOCKETS_OPENED: (&str, &str) =
    ("afterbay_http_websockets_opened_total", "WebSockets that the box agreed to.");
const SOCKETS_ENDED: (&str, &str) =
    ("afterbay_http_websockets_ended_total", "WebSockets ended, by why.");
const PASSED: (&str, &str) = (
    "afterbay_http_passed_seconds",
    "Time from a passed request to the head of its answer, by status class or what failed.",
);

/// A hop on the same machine, one over a network, a box that works on the answer, and the times after
/// which clients and hops give up (10, 30, 60, 100 s).
const PASS_TIMES: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 30.0, 60.0, 100.0];

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

/// What came of passing a request on, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// The box answered with this status.
    Status(u16),
    /// There was no connection to the box.
    Unreachable,
    /// The box broke off, or answered with no HTTP.
    Broke,
    /// It was refused, or the client stopped sending it.
    Refused,
}

impl Passed {
    const ALL: [Self; 7] = [
        Self::Status(200),
        Self::Status(300),
        Self::Status(400),
        Self::Status(500),
        Self::Unreachable,
        Self::Broke,
        Self::Refused,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Status(status) => class(status),
            Self::Unreachable => "unreachable",
            Self::Broke => "broke",
            Self::Refused => "refused",
        }
    }
}

const fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
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
    const ALL: [Self; 4] = [Self::Closed, Self::Broken, Self::HalfClosed, Self::Drained];

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
    /// The event streams.
    pub streams: streams::Metrics,
    requests: IntCounterVec,
    sockets_opened: IntCounter,
    sockets_ended: IntCounterVec,
    passed: HistogramVec,
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let of = Families(registry);
        let sockets_ended = of.counters(SOCKETS_ENDED, &["reason"])?;
        SocketEnded::ALL
            .into_iter()
            .for_each(|why| drop(sockets_ended.with_label_values(&[why.as_str()])));
        Ok(Self {
            streams: streams::Metrics::new(registry)?,
            requests: of.counters(REQUESTS, &["asked", "box", "mode", "status"])?,
            sockets_opened: of.counter(SOCKETS_OPENED)?,
            sockets_ended,
            passed: of.histograms(PASSED, &["box", "result"], &PASS_TIMES)?,
        })
    }

    /// Puts what passes to this box at 0, so that the first failure shows as an increase.
    pub fn begin(&self, box_name: &str) {
        Passed::ALL
            .into_iter()
            .for_each(|passed| drop(self.passed.with_label_values(&[box_name, passed.as_str()])));
    }

    /// A request in this mode was answered with `status` (the head; a stream may go on). The name of
    /// the box that it was about stands in the configuration, whatever the request says, or is empty.
    pub fn answered(&self, asked: Asked, box_name: &str, mode: Mode, status: u16) {
        let labels = [asked.as_str(), box_name, mode.as_str(), class(status)];
        self.requests.with_label_values(&labels).inc();
    }

    /// A request was passed on to this box and came to this, after `took`.
    pub fn passed(&self, box_name: &str, what: Passed, took: Duration) {
        let labels = [box_name, what.as_str()];
        self.passed.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A WebSocket is carried.
    pub fn socket_opened(&self) {
        self.sockets_opened.inc();
    }

    /// A WebSocket ended.
    pub fn socket_ended(&self, why: SocketEnded) {
        self.sockets_ended.with_label_values(&[why.as_str()]).inc();
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
        metrics.streams.events_sent(3, 1);
        drop(metrics.streams.open());
        metrics.passed("two", Passed::Status(304), Duration::ZERO);
        let text =
            prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("encodes");
        for line in [
            "afterbay_http_requests_total{asked=\"turn\",box=\"one\",mode=\"poll\",status=\"2xx\"} 2",
            "afterbay_http_requests_total{asked=\"passed\",box=\"two\",mode=\"sse\",status=\"2xx\"} 1",
            "afterbay_http_events_sent_total{source=\"replayed\"} 3",
            "afterbay_http_streams_ended_total{reason=\"gone\"} 1",
            "afterbay_http_stream_age_seconds_bucket{reason=\"gone\",le=\"1\"} 1",
            "afterbay_http_passed_seconds_count{box=\"two\",result=\"3xx\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
        assert!(Metrics::new(&registry).is_err());
    }
}
