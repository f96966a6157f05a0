//! Families of the log floor: what was appended and refused, how well writes are shared, how long
//! syncs take, and what was found damaged.

use prometheus::{Histogram, IntCounter, IntGauge, Registry};

use super::families::Families;

/// The handles; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Batches that became durable.
    pub appends: IntCounter,
    /// Batches that were not taken.
    pub refused: IntCounter,
    /// Write groups that became durable.
    pub groups: IntCounter,
    /// Bytes of those groups.
    pub written_bytes: IntCounter,
    /// Batches in one group.
    pub group_batches: Histogram,
    /// Bytes of one batch on disk.
    pub batch_bytes: Histogram,
    /// What one sync of a group took, in seconds.
    pub sync_seconds: Histogram,
    /// 1 after a failed sync or a fault of the log's own, until restart.
    pub poisoned: IntGauge,
    /// 1 while the disk refuses what is to be written.
    pub refusing: IntGauge,
    /// Bytes found damaged.
    pub damaged_bytes: IntCounter,
    /// Sessions in the index.
    pub sessions: IntGauge,
    /// Segment files.
    pub segments: IntGauge,
    /// Segments that got their index.
    pub sealed: IntCounter,
    /// Sealed segments that were rewritten because little of them counted.
    pub compacted: IntCounter,
}

const APPENDS: (&str, &str) = ("afterbay_log_appends_total", "Batches that became durable.");
const REFUSED: (&str, &str) = (
    "afterbay_log_refused_total",
    "Batches that were not taken because the disk refused a write or a sync failed.",
);
const GROUPS: (&str, &str) =
    ("afterbay_log_groups_total", "Write groups (one write, one sync) that became durable.");
const WRITTEN_BYTES: (&str, &str) =
    ("afterbay_log_written_bytes_total", "Bytes of durable write groups, padding included.");
const GROUP_BATCHES: (&str, &str) =
    ("afterbay_log_group_batches", "Batches that shared one write group.");
const BATCH_BYTES: (&str, &str) =
    ("afterbay_log_batch_bytes", "Bytes of one durable batch on disk.");
const SYNC_SECONDS: (&str, &str) =
    ("afterbay_log_sync_seconds", "What the sync of one write group took.");
const POISONED: (&str, &str) = (
    "afterbay_log_poisoned",
    "1 after a failed sync or a fault: restart afterbay, check the disk.",
);
const REFUSING: (&str, &str) =
    ("afterbay_log_refusing", "1 while the disk takes no writes: it is full, or out of order.");
const DAMAGED_BYTES: (&str, &str) =
    ("afterbay_log_damaged_bytes_total", "Bytes of the log found damaged.");
const SESSIONS: (&str, &str) = ("afterbay_log_sessions", "Sessions in the log's index.");
const SEALED: (&str, &str) = ("afterbay_log_sealed_total", "Full segments that got their index.");
const COMPACTED: (&str, &str) = (
    "afterbay_log_compacted_total",
    "Sealed segments that were rewritten since little of them counted any more.",
);
const SEGMENTS: (&str, &str) = ("afterbay_log_segments", "Segment files of the log.");

/// From one batch alone to a full queue, by fours.
const BATCH_COUNTS: [f64; 7] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0];
/// From a small control record to the largest batch, by sixteens.
const BATCH_SIZES: [f64; 6] = [256.0, 4096.0, 65_536.0, 1_048_576.0, 16_777_216.0, 134_217_728.0];
/// From a fast device's write cache to a disk that hangs.
const SYNC_TIMES: [f64; 10] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.01, 0.05, 0.25, 1.0, 10.0];

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let of = Families(registry);
        Ok(Self {
            appends: of.counter(APPENDS)?,
            refused: of.counter(REFUSED)?,
            groups: of.counter(GROUPS)?,
            written_bytes: of.counter(WRITTEN_BYTES)?,
            group_batches: of.histogram(GROUP_BATCHES, &BATCH_COUNTS)?,
            batch_bytes: of.histogram(BATCH_BYTES, &BATCH_SIZES)?,
            sync_seconds: of.histogram(SYNC_SECONDS, &SYNC_TIMES)?,
            poisoned: of.gauge(POISONED)?,
            refusing: of.gauge(REFUSING)?,
            damaged_bytes: of.counter(DAMAGED_BYTES)?,
            sessions: of.gauge(SESSIONS)?,
            segments: of.gauge(SEGMENTS)?,
            sealed: of.counter(SEALED)?,
            compacted: of.counter(COMPACTED)?,
        })
    }
}
