//! Families of the upstream floor: the calls to boxes, how they ended, how long they took, and
//! how much was read.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, Registry};

use super::families::Families;

/// Calls to boxes by kind and by how they ended: `ok`, `refused`, or the class of the error.
const CALLS: (&str, &str) =
    ("afterbay_box_calls_total", "Calls to boxes, by call and by how they ended.");
/// Seconds from the start of a call to the last byte of its answer.
const SECONDS: (&str, &str) =
    ("afterbay_box_call_seconds", "Time from the start of a call to a box to the answer's end.");
/// Body bytes read from boxes.
const BYTES: (&str, &str) =
    ("afterbay_box_read_bytes_total", "Body bytes read in answers of boxes.");

/// From a box on the same machine, over a busy one (a second was seen), to the longest silence
/// (15 s) and the longest call (60 s) that are waited for.
const CALL_TIMES: [f64; 10] = [0.002_5, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 5.0, 15.0, 60.0];

/// What is asked of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Open or look up a session.
    Session,
    /// Send a prompt.
    Prompt,
    /// Ask for an execution's stream again.
    Replay,
    /// Read what sessions are doing.
    Status,
    /// Read a session's messages.
    Messages,
    /// List what waits for a person.
    Interactions,
    /// Read a turn's result.
    Result,
    /// Stop a session's work.
    Abort,
    /// Read which process of the box answers.
    Health,
}

impl Call {
    const ALL: [Self; 9] = [
        Self::Session,
        Self::Prompt,
        Self::Replay,
        Self::Status,
        Self::Messages,
        Self::Interactions,
        Self::Result,
        Self::Abort,
        Self::Health,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Prompt => "prompt",
            Self::Replay => "replay",
            Self::Status => "status",
            Self::Messages => "messages",
            Self::Interactions => "interactions",
            Self::Result => "result",
            Self::Abort => "abort",
            Self::Health => "health",
        }
    }
}

/// The handles; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    calls: IntCounterVec,
    seconds: HistogramVec,
    bytes: IntCounter,
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let of = Families(registry);
        let metrics = Self {
            calls: of.counters(CALLS, &["call", "result"])?,
            seconds: of.histograms(SECONDS, &["call"], &CALL_TIMES)?,
            bytes: of.counter(BYTES)?,
        };
        // The good results are there from the start, so that a first call shows as an increase.
        for call in Call::ALL {
            metrics.calls.with_label_values(&[call.as_str(), "ok"]);
            metrics.seconds.with_label_values(&[call.as_str()]);
        }
        Ok(metrics)
    }

    /// Counts one call; `result` is `ok`, `refused`, or an error's class.
    pub fn called(&self, call: Call, result: &'static str, took: Duration, read: usize) {
        self.calls.with_label_values(&[call.as_str(), result]).inc();
        self.seconds.with_label_values(&[call.as_str()]).observe(took.as_secs_f64());
        self.bytes.inc_by(read as u64);
    }
}
