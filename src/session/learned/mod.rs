//! Boxes that the Sandbox API's answers tell of: where each is, and what was handed out for it.
//!
//! `directory` holds them, `known` is one of them, `plan` says what follows from an answer. They are
//! kept in a file of their own (`file`, `line`) and not in the log: retention must not take the newest
//! word about a box, which may be its oldest record, and a thousand moves must not stay.
//!
//! Durable: a new box and a new place are on disk before anyone is told of them. Of credentials there
//! are keyed hashes alone. Seeing a box again where it is known to be costs no write, except once
//! in [`limits::LEARNED_SEEN_INTERVAL`].
//!
//! A box that moved is followed by all who ask it, since they read its place anew each time. One whose
//! sandbox was deleted takes nothing new; what still runs on it goes on to its verdict.

mod directory;
mod file;
mod known;
mod line;
mod plan;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{OwnedMutexGuard, watch};

use super::boxes::BoxEntry;
use crate::credential::CredentialHash;
use crate::ids::BoxName;
use crate::limits;
use crate::metrics::front::{Change, Metrics};
use crate::upstream::budget::ProxyBudget;
use crate::upstream::client::BoxClient;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::tangle::{self, Tangle};
use directory::Directory;
pub use file::Error;
use file::{Found, LinesFile};
use known::Known;
use line::Kept;
use plan::Plan;

/// All of them. Clones share them.
#[derive(Debug, Clone)]
pub struct LearnedBoxes {
    directory: Arc<Directory>,
    file: Arc<tokio::sync::Mutex<LinesFile>>,
}

/// What the turns of such a box are run with.
#[derive(Debug)]
pub struct Means {
    /// Whose connections they share.
    pub client: BoxClient,
    /// Of which each box has its own part.
    pub budget: ProxyBudget,
    /// Polls per second of one box.
    pub rate: NonZeroU32,
}

/// A box as an answer shows it.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub(super) name: BoxName,
    pub(super) endpoint: Endpoint,
    /// The credential that the answer hands out for it.
    pub(super) handed_out: Option<CredentialHash>,
}

/// What became of a sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// The box is known, and known to be there.
    Known,
    /// There is no room for another one.
    NoRoom,
}

/// It cannot be kept what was learned, so it must not be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was learned of a box cannot be kept")]
pub struct NotKept;

impl LearnedBoxes {
    /// Reads what the file in `folder` holds.
    ///
    /// # Errors
    /// [`Error`]; the file is as it was.
    pub fn open(folder: &Path, means: Means, metrics: Metrics) -> Result<Self, Error> {
        let (file, Found { lines, damaged }) = LinesFile::open(folder)?;
        if damaged > 0 {
            tracing::error!(
                damaged,
                "the list of learned boxes is damaged; these are learned again when they are seen"
            );
        }
        let directory = Arc::new(Directory::new(lines, means, metrics));
        Ok(Self { directory, file: Arc::new(tokio::sync::Mutex::new(file)) })
    }

    /// The box, for new turns.
    pub(super) fn get(&self, name: &BoxName) -> Option<BoxEntry> {
        self.directory.entry(name, |known| !known.is_deleted)
    }

    /// The box, for what it may still have.
    pub(super) fn last_known(&self, name: &BoxName) -> Option<BoxEntry> {
        self.directory.entry(name, |_| true)
    }

    /// Where the box is, and will be.
    pub(super) fn endpoint(&self, name: &BoxName) -> Option<watch::Receiver<Endpoint>> {
        let known = self.directory.known();
        known.get(name).filter(|known| !known.is_deleted).map(|known| known.endpoint.subscribe())
    }

    /// Whether this credential was handed out for the box.
    pub(super) fn is_handed_out(&self, name: &BoxName, who: CredentialHash) -> bool {
        self.directory.known().get(name).is_some_and(|known| known.handed_out.contains(&who))
    }

    /// Takes in what an answer shows, one verdict for each; `busy` tells the boxes that turns run on.
    ///
    /// # Errors
    /// [`NotKept`]: nothing of it may be told.
    // Cancel-safe: what was begun is done to its end.
    pub(super) async fn learn(
        &self,
        seen: Vec<Sighting>,
        now_ms: u64,
        busy: impl FnOnce() -> HashSet<BoxName> + Send + 'static,
    ) -> Result<Vec<Learnt>, NotKept> {
        if self.directory.is_nothing_new(&seen, now_ms) {
            return Ok(vec![Learnt::Known; seen.len()]);
        }
        self.with_file(move |directory, file| {
            let (plan, learnt) = directory.plan(&seen, now_ms, busy);
            directory.carry_out(file, plan).map(|()| learnt)
        })
        .await?
    }

    /// The box's sandbox was deleted: nothing new goes there.
    // Cancel-safe, as above.
    pub(super) async fn delete(&self, name: BoxName, now_ms: u64) {
        let deleted = self.with_file(move |directory, file| {
            let kept =
                directory.known().get(&name).filter(|known| !known.is_deleted).map(Kept::from);
            let Some(kept) = kept else { return Ok(()) };
            let kept = Kept { is_deleted: true, seen_ms: now_ms, ..kept };
            let (boxes, changes) = (HashMap::from([(name, Some(kept))]), vec![Change::Deleted]);
            directory.carry_out(file, Plan { boxes, changes, is_told: false })
        });
        // Nothing is told here: what is not on disk is at worst found again after a restart.
        let _ = deleted.await;
    }

    /// Forgets boxes that were not seen for [`limits::LEARNED_BOX_AGE`] and that no turn runs on.
    // Cancel-safe, as above.
    pub(super) async fn forget_unseen(&self, now_ms: u64, busy: HashSet<BoxName>) {
        let age = u64::try_from(limits::LEARNED_BOX_AGE.as_millis()).unwrap_or(u64::MAX);
        let forgotten = self.with_file(move |directory, file| {
            let is_old = |(name, known): &(&BoxName, &Known)| {
                known.seen_ms.saturating_add(age) <= now_ms && !busy.contains(*name)
            };
            let old: HashMap<_, _> = {
                let known = directory.known();
                known.iter().filter(is_old).map(|(name, _)| (name.clone(), None)).collect()
            };
            if old.is_empty() {
                return Ok(());
            }
            let changes = vec![Change::Expired; old.len()];
            directory.carry_out(file, Plan { boxes: old, changes, is_told: false })
        });
        // They are looked for again.
        let _ = forgotten.await;
    }

    /// Runs `work` off the runtime's threads under the file's lock, to its end whoever waits for it.
    async fn with_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory, &mut LinesFile) -> T + Send + 'static,
    ) -> Result<T, NotKept> {
        let directory = Arc::clone(&self.directory);
        let mut file: OwnedMutexGuard<_> = Arc::clone(&self.file).lock_owned().await;
        let worked = tokio::task::spawn_blocking(move || work(&directory, &mut file));
        worked.await.map_err(|error| {
            tracing::error!(%error, "keep what was learned");
            NotKept
        })
    }
}

impl Means {
    fn entry(&self, endpoint: watch::Receiver<Endpoint>) -> BoxEntry {
        let Self { client, budget, rate } = self;
        let settings = tangle::Settings::default();
        let upstream = Arc::new(Tangle::new(client.to(endpoint), settings));
        BoxEntry { upstream, budget: budget.for_box(*rate), credential: None }
    }
}

#[cfg(test)]
mod tests;
