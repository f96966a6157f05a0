//! Families of the upstream floor: the calls to boxes, how they ended, how long they took, and
//! how much was read.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// Calls to boxes by kind and by how they ended: `ok`, `refused`, or the class of the error.
const CALLS: (&str, &str) =
    ("afterbay_box_calls_total", "Calls to boxes, by call and by how they ended.");
/// Seconds from the start of a call to the last byte of its answer.
const SECONDS: (&str, &str) =
    ("afterbay_box_call_seconds", "Time from the start of a call to a box to the answer's end.");
/// Body bytes read from boxes.
const BYTES: (&str, &str) =
    ("afterbay_box_read_bytes_total", "Body bytes read in answers of boxes.");

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
        let calls = IntCounterVec::new(Opts::new(CALLS.0, CALLS.1), &["call", "result"])?;
        let seconds = HistogramVec::new(HistogramOpts::new(SECONDS.0, SECONDS.1), &["call"])?;
        let bytes = IntCounter::new(BYTES.0, BYTES.1)?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Self { calls, seconds, bytes })
    }

    /// Counts one call; `result` is `ok`, `refused`, or an error's class.
    pub fn called(&self, call: Call, result: &'static str, took: Duration, read: usize) {
        self.calls.with_label_values(&[call.as_str(), result]).inc();
        self.seconds.with_label_values(&[call.as_str()]).observe(took.as_secs_f64());
        self.bytes.inc_by(read as u64);
    }
}
