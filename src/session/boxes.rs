//! The boxes that turns can run on, by name.

use std::collections::HashMap;
use std::sync::Arc;

use crate::credential::Credential;
use crate::ids::BoxName;
use crate::upstream::Upstream;
use crate::upstream::budget::BoxBudget;

/// One box as sessions see it.
#[derive(Debug, Clone)]
pub struct BoxEntry {
    /// Its adapter.
    pub upstream: Arc<dyn Upstream>,
    /// How often it may be polled.
    pub budget: BoxBudget,
    /// The configured credential, for drivers of turns whose starter showed one of their own.
    pub credential: Option<Credential>,
}

/// All boxes of the config.
#[derive(Debug, Clone, Default)]
pub struct Boxes {
    entries: HashMap<BoxName, BoxEntry>,
}

impl Boxes {
    /// Adds a box, or replaces the one of that name.
    #[must_use]
    pub fn with(mut self, name: BoxName, entry: BoxEntry) -> Self {
        self.entries.insert(name, entry);
        self
    }

    /// The box of that name.
    #[must_use]
    pub fn get(&self, name: &BoxName) -> Option<&BoxEntry> {
        self.entries.get(name)
    }
}
