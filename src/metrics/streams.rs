//! Families of event streams: who reads, from where, what goes out, how far behind, and how old streams
//! are when they end.
//!
//! Open streams are two counters (opened, ended by reason), so that a scrape between two moments
//! still tells how many came and went.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry};
use tokio::time::Instant;

use super::families::Families;

const OPENED: (&str, &str) = ("afterbay_http_streams_opened_total", "Event streams opened.");
const ENDED: (&str, &str) = ("afterbay_http_streams_ended_total", "Event streams ended, by why.");
const AGE: (&str, &str) = (
    "afterbay_http_stream_age_seconds",
    "Age of event streams at their end, by why; many that are gone at one age name a hop's timer.",
);
const EVENTS: (&str, &str) = (
    "afterbay_http_events_sent_total",
    "Events sent to clients; replayed ones were in the log before the stream was opened.",
);
const LAG: (&str, &str) = (
    "afterbay_http_lag_events",
    "Events that were in the log behind a piece that was just handed to the socket.",
);
const BYTES: (&str, &str) =
    ("afterbay_http_stream_bytes_total", "Bytes of event streams handed to the socket.");
const RECONNECTS: (&str, &str) =
    ("afterbay_http_reconnects_total", "Streams asked for with a cursor.");
const HEARTBEATS: (&str, &str) = ("afterbay_http_heartbeats_total", "Keep-alive comments sent.");
const GAPS: (&str, &str) = ("afterbay_http_gaps_total", "Warnings sent that events have expired.");
const GAP_EVENTS: (&str, &str) =
    ("afterbay_http_gap_events_total", "Events that warnings told as expired.");
const REFUSED: (&str, &str) = (
    "afterbay_http_late_refusals_total",
    "Turns told as refused or withdrawn inside their stream, after its head.",
);

/// Narrow around the timers that hops have (30, 60, 100, 300 and 600 s): what ends between an edge just
/// below one and an edge some seconds above it was cut by such a timer. The seconds are for the
/// client's end to be seen. Above 10 min only the order of magnitude counts.
const AGES: [f64; 14] =
    [1.0, 10.0, 29.0, 33.0, 59.0, 64.0, 99.0, 105.0, 299.0, 310.0, 599.0, 615.0, 3600.0, 14_400.0];
/// At the tail, one frame behind, one joined piece behind, and so on by tens to a whole long log.
const LAGS: [f64; 7] = [0.0, 1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0];

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
    const ALL: [Self; 5] = [Self::Complete, Self::Refused, Self::Drained, Self::Cut, Self::Gone];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::Drained => "drained",
            Self::Cut => "cut",
            Self::Gone => "gone",
        }
    }
}

/// The handles; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    opened: IntCounter,
    ended: IntCounterVec,
    age: HistogramVec,
    replayed: IntCounter,
    live: IntCounter,
    lag: Histogram,
    bytes: IntCounter,
    reconnects: IntCounter,
    heartbeats: IntCounter,
    gaps: IntCounter,
    gap_events: IntCounter,
    late_refusals: IntCounter,
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let of = Families(registry);
        let (ended, age) =
            (of.counters(ENDED, &["reason"])?, of.histograms(AGE, &["reason"], &AGES)?);
        for why in Ended::ALL {
            ended.with_label_values(&[why.as_str()]);
            age.with_label_values(&[why.as_str()]);
        }
        let events = of.counters(EVENTS, &["source"])?;
        Ok(Self {
            opened: of.counter(OPENED)?,
            ended,
            age,
            replayed: events.with_label_values(&["replayed"]),
            live: events.with_label_values(&["live"]),
            lag: of.histogram(LAG, &LAGS)?,
            bytes: of.counter(BYTES)?,
            reconnects: of.counter(RECONNECTS)?,
            heartbeats: of.counter(HEARTBEATS)?,
            gaps: of.counter(GAPS)?,
            gap_events: of.counter(GAP_EVENTS)?,
            late_refusals: of.counter(REFUSED)?,
        })
    }

    /// A stream is opened. Until it says otherwise, its end is that its client has gone.
    #[must_use]
    pub fn open(&self) -> OpenStream {
        self.opened.inc();
        OpenStream { metrics: self.clone(), since: Instant::now(), why: Ended::Gone }
    }

    /// Events went out: those that were in the log before the stream was opened, and later ones.
    pub fn events_sent(&self, replayed: u64, live: u64) {
        self.replayed.inc_by(replayed);
        self.live.inc_by(live);
    }

    /// So many events were in the log behind those that went out.
    pub fn lags(&self, events: u64) {
        self.lag.observe(events as f64);
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

    /// A client was told that so many events have expired.
    pub fn gap_shown(&self, events: u64) {
        self.gaps.inc();
        self.gap_events.inc_by(events);
    }

    /// A turn was told as refused after its head.
    pub fn refused_late(&self) {
        self.late_refusals.inc();
    }
}

/// An open stream. Its end is counted whoever ends it: a client that goes away drops the stream.
#[derive(Debug)]
pub struct OpenStream {
    metrics: Metrics,
    since: Instant,
    why: Ended,
}

impl OpenStream {
    /// It is about to end, for this reason.
    pub fn ends(&mut self, why: Ended) {
        self.why = why;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let (reason, age) = ([self.why.as_str()], self.since.elapsed());
        self.metrics.ended.with_label_values(&reason).inc();
        self.metrics.age.with_label_values(&reason).observe(age.as_secs_f64());
    }
}
