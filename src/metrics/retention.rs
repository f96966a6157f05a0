//! Families of the session floor about what is kept: what was trimmed, what is left of it, and the
//! room that there is.

use prometheus::{IntCounter, IntGauge, Registry};

use super::families::Families;

/// The handles; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Trims that are durable.
    pub trims: IntCounter,
    /// Turns whose events they cut off.
    pub trimmed_turns: IntCounter,
    /// Those events.
    pub trimmed_events: IntCounter,
    /// Their bytes, as estimated.
    pub trimmed_bytes: IntCounter,
    /// Turns that are known by their tombstone alone.
    pub tombstones: IntGauge,
    /// Tombstones that were forgotten before their time.
    pub forgotten_early: IntCounter,
    /// Bytes of all sessions that no trim has cut off.
    pub kept_bytes: IntGauge,
    /// Bytes of the log's files.
    pub file_bytes: IntGauge,
    /// Bytes left on the log's file system.
    pub free_bytes: IntGauge,
    /// 1 while new turns are refused because there is no room for them.
    pub refusing: IntGauge,
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let of = Families(registry);
        Ok(Self {
            trims: of.counter((
                "afterbay_retention_trims_total",
                "Times that the oldest turns of a session were cut off.",
            ))?,
            trimmed_turns: of.counter((
                "afterbay_retention_trimmed_turns_total",
                "Turns whose events were cut off.",
            ))?,
            trimmed_events: of.counter((
                "afterbay_retention_trimmed_events_total",
                "Events that were cut off.",
            ))?,
            trimmed_bytes: of.counter((
                "afterbay_retention_trimmed_bytes_total",
                "Bytes of the log that were cut off, about.",
            ))?,
            tombstones: of.gauge((
                "afterbay_retention_tombstones",
                "Turns without events whose ids are still taken.",
            ))?,
            forgotten_early: of.counter((
                "afterbay_retention_forgotten_early_total",
                "Turns whose ids became free before their time: too many of one session.",
            ))?,
            kept_bytes: of.gauge((
                "afterbay_log_kept_bytes",
                "Bytes of the log that are not cut off, about.",
            ))?,
            file_bytes: of.gauge((
                "afterbay_log_file_bytes",
                "Bytes of the log's files: with what is cut off and not removed yet, and room ahead.",
            ))?,
            free_bytes: of.gauge((
                "afterbay_log_free_bytes",
                "Bytes left on the file system of the log.",
            ))?,
            refusing: of.gauge((
                "afterbay_retention_refusing_turns",
                "1 while new turns are refused for want of room: the quota or the disk is full.",
            ))?,
        })
    }
}
