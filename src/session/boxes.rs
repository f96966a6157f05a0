//! The boxes that turns can run on, by name.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::learned::LearnedBoxes;
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

/// All boxes: those of the config, and those that the Sandbox API's answers tell of. Clones share
/// them.
#[derive(Debug, Clone, Default)]
pub struct Boxes {
    configured: Arc<RwLock<HashMap<BoxName, BoxEntry>>>,
    learned: Option<LearnedBoxes>,
}

impl Boxes {
    /// Adds a box, or replaces the one of that name.
    #[must_use]
    pub fn with(self, name: BoxName, entry: BoxEntry) -> Self {
        self.configured.write().unwrap_or_else(PoisonError::into_inner).insert(name, entry);
        self
    }

    /// Gives a configured box another credential: for turns that begin from now on, and for stops.
    pub fn replace_credential(&self, name: &BoxName, credential: Option<Credential>) {
        let mut configured = self.configured.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = configured.get_mut(name) {
            entry.credential = credential;
        }
    }

    fn configured(&self, name: &BoxName) -> Option<BoxEntry> {
        self.configured.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Adds those that are learned. A configured box's name is never one of theirs.
    #[must_use]
    pub fn with_learned(mut self, learned: LearnedBoxes) -> Self {
        self.learned = Some(learned);
        self
    }

    /// The box of that name, for new turns.
    pub(super) fn get(&self, name: &BoxName) -> Option<BoxEntry> {
        self.configured(name).or_else(|| self.learned.as_ref()?.get(name))
    }

    /// The box of that name, for what it may still have although its sandbox was deleted.
    pub(super) fn last_known(&self, name: &BoxName) -> Option<BoxEntry> {
        self.configured(name).or_else(|| self.learned.as_ref()?.last_known(name))
    }

    /// Whether the name is a configured box's.
    pub(super) fn is_configured(&self, name: &BoxName) -> bool {
        self.configured(name).is_some()
    }

    /// Those that are learned, if any can be.
    pub(super) fn learned(&self) -> Option<&LearnedBoxes> {
        self.learned.as_ref()
    }
}
