//! Families about the program as a whole: which version runs, and whether it takes new turns. What its
//! process takes (CPU, memory, descriptors, start time) is told by the collector of the library.

use prometheus::{IntGauge, IntGaugeVec, Registry};

use super::families::Families;

const BUILD: (&str, &str) = ("afterbay_build_info", "1, with the version that runs.");
const READY: (&str, &str) =
    ("afterbay_ready", "1 while new turns are taken, as /readyz says at the moment of the scrape.");
const CONDITION: (&str, &str) =
    ("afterbay_ready_condition", "1 for each condition of readiness that holds.");

/// The handles; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    ready: IntGauge,
    conditions: IntGaugeVec,
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let of = Families(registry);
        of.gauges(BUILD, &["version"])?.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self { ready: of.gauge(READY)?, conditions: of.gauges(CONDITION, &["condition"])? })
    }

    /// What holds of the conditions of readiness, each by its name.
    pub fn readiness<const N: usize>(&self, conditions: [(&'static str, bool); N]) {
        for (name, holds) in conditions {
            self.conditions.with_label_values(&[name]).set(holds.into());
        }
        self.ready.set(conditions.iter().all(|(_, holds)| *holds).into());
    }
}
