//! Families of the upstream floor.

use prometheus::Registry;

/// The handles; clones share the counters.
#[derive(Debug, Clone)]
pub struct Metrics {}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(_registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {})
    }
}
