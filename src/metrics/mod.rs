//! What is counted, one file per floor: families, help texts, label values.
//!
//! No statics: [`Metrics::new`] makes a registry of its own, and each floor is handed its part.
//! Labels are closed sets, the configured names of boxes among them; an id is never a label. What is
//! known beforehand stands at 0 from the start: a series that is born at 1 never shows as an increase.

mod families;
pub mod front;
pub mod http;
pub mod life;
pub mod log;
pub mod of_box;
pub mod process;
pub mod reload;
pub mod retention;
pub mod streams;
pub mod trace;
pub mod turn;
pub mod upstream;

use prometheus::{Registry, TextEncoder};

/// The label of all boxes that are not configured; no box can be named so.
pub const LEARNED_BOXES: &str = "(learned)";

/// All families, registered once. Clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// The program as a whole.
    pub process: process::Metrics,
    /// The log's part.
    pub log: log::Metrics,
    /// What is kept of the log, and what goes.
    pub retention: retention::Metrics,
    /// The calls to boxes.
    pub upstream: upstream::Metrics,
    /// The turns.
    pub turn: turn::Metrics,
    /// The Sandbox API.
    pub front: front::Metrics,
    /// The doors.
    pub http: http::Metrics,
    /// The configuration, read anew.
    pub reload: reload::Metrics,
    /// The spans.
    pub trace: trace::Metrics,
}

impl Metrics {
    /// Registers every family.
    ///
    /// # Errors
    /// If two families share a name: a mistake of this program, reported at start.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self {
            process: process::Metrics::new(&registry)?,
            log: log::Metrics::new(&registry)?,
            retention: retention::Metrics::new(&registry)?,
            upstream: upstream::Metrics::new(&registry)?,
            turn: turn::Metrics::new(&registry)?,
            front: front::Metrics::new(&registry)?,
            http: http::Metrics::new(&registry)?,
            reload: reload::Metrics::new(&registry)?,
            trace: trace::Metrics::new(&registry)?,
            registry,
        })
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    /// If a family cannot be encoded.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
