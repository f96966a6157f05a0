//! What sessions do with the boxes that the Sandbox API's answers tell of, and for them.
//!
//! A box is known here as long as it is configured or learned, or the log holds a session of it: what
//! is in the log can be read although its sandbox was deleted long ago.

use std::collections::HashSet;

use tokio::sync::watch;

use super::learned::{Learnt, NotKept, Sighting};
use super::registry::Sessions;
use crate::credential::{Credential, CredentialHash};
use crate::ids::BoxName;
use crate::limits;
use crate::metrics::LEARNED_BOXES;
use crate::turn::control::wall_ms;
use crate::upstream::endpoint::Endpoint;

/// A box as an answer of the Sandbox API shows it.
#[derive(Debug)]
pub struct Shown {
    /// Its name: the sandbox's id.
    pub name: BoxName,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The credential that the answer hands out for it.
    pub handed_out: Option<Credential>,
}

impl Sessions {
    /// Takes in what an answer shows, one verdict for each. When this returns, it is durable.
    ///
    /// # Errors
    /// [`NotKept`]: nothing of it may be told.
    // Cancel-safe: what was begun is done to its end.
    pub async fn learn(&self, shown: Vec<Shown>) -> Result<Vec<Learnt>, NotKept> {
        let learned = self.boxes().learned().ok_or(NotKept)?;
        let seen = shown.into_iter().map(|Shown { name, endpoint, handed_out }| Sighting {
            name,
            endpoint,
            handed_out: handed_out.map(|who| self.inner.config.hash_key.hash(&who)),
        });
        let sessions = self.clone();
        learned.learn(seen.collect(), wall_ms(), move || sessions.busy_boxes()).await
    }

    /// The sandbox was deleted: its box takes nothing new.
    // Cancel-safe, as above.
    pub async fn sandbox_deleted(&self, name: BoxName) {
        if let Some(learned) = self.boxes().learned() {
            learned.delete(name, wall_ms()).await;
        }
    }

    /// Where a learned box is, and will be.
    #[must_use]
    pub fn learned_box(&self, name: &BoxName) -> Option<watch::Receiver<Endpoint>> {
        self.boxes().learned()?.endpoint(name)
    }

    /// Whether the name is a configured box's.
    #[must_use]
    pub fn is_configured(&self, name: &BoxName) -> bool {
        self.boxes().is_configured(name)
    }

    /// What counters call a box: the configured ones have a label each, so that there are few.
    #[must_use]
    pub fn label_of<'a>(&self, name: &'a BoxName) -> &'a str {
        if self.is_configured(name) { name.as_str() } else { LEARNED_BOXES }
    }

    /// Whether a box of that name is there, or was and left something in the log.
    #[must_use]
    pub fn knows_box(&self, name: &BoxName) -> bool {
        self.is_configured(name) || self.names().has_box(name) || self.learned_box(name).is_some()
    }

    /// Forgets learned boxes that nobody has seen for long, again and again, until it is told to stop.
    pub async fn forget_unseen_boxes(self) {
        let Some(learned) = self.boxes().learned() else { return };
        let stop = self.tasks().stop_token();
        loop {
            learned.forget_unseen(wall_ms(), self.busy_boxes()).await;
            // Both arms only wait.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(limits::LEARNED_SWEEP_INTERVAL) => {}
            }
        }
    }

    /// Whether the Sandbox API has handed out this credential for the box.
    pub(super) fn is_handed_out(&self, box_name: &BoxName, who: CredentialHash) -> bool {
        self.boxes().learned().is_some_and(|learned| learned.is_handed_out(box_name, who))
    }

    /// The boxes that turns run on.
    fn busy_boxes(&self) -> HashSet<BoxName> {
        let all = self.all().into_iter().filter(|session| session.is_busy());
        all.map(|session| session.box_name.clone()).collect()
    }
}
