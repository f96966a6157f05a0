//! Lives of a log by a seed: several sessions, many segments, trims, openings, losses of power.

use std::collections::BTreeMap;
use std::sync::Arc;

use afterbay::event::{Control, Seq};
use afterbay::log::{Appended, Batch, Disk, Error, Health, Options, Role, Store, UpkeepBy};
use bytes::Bytes;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::faulty_disk::FaultyDisk;
use super::log_model::{SMALL, append_grouped, batch, key, metrics};

/// Sizes that give many segments, and control records of each role.
pub(crate) const OPTIONS: Options = Options { roles: role, ..SMALL };

pub(crate) fn role(kind: u16) -> Role {
    match kind {
        8 => Role::Passing,
        9 => Role::Closing,
        _ => Role::Lasting,
    }
}

pub(crate) fn open(disk: Arc<dyn Disk>, upkeep: UpkeepBy) -> Store {
    open_with(disk, Options { upkeep, ..OPTIONS })
}

pub(crate) fn open_with(disk: Arc<dyn Disk>, options: Options) -> Store {
    Store::open(disk, options, metrics(), &mut |_| {}).expect("the log opens")
}

/// What it takes to append and to trim as it comes.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) rng: StdRng,
    sessions: u8,
    batches: u64,
    /// How many trims cut something off.
    pub(crate) trims: u64,
    /// Of each session: the last events of its batches, which a trim may cut off.
    ends: BTreeMap<u8, Vec<Seq>>,
    /// On it groups are the same each time.
    disk: Option<FaultyDisk>,
}

impl Life {
    pub(crate) fn new(seed: u64, sessions: u8) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self { rng, sessions, batches: 0, trims: 0, ends: BTreeMap::new(), disk: None }
    }

    /// The same again each time.
    pub(crate) fn on(disk: &FaultyDisk, seed: u64, sessions: u8) -> Self {
        Self { disk: Some(disk.clone()), ..Self::new(seed, sessions) }
    }

    fn batch(&mut self) -> Batch {
        self.batches += 1;
        let shape = ["e", "c", "ec", "cce", "eeee", "ceec"][self.rng.random_range(0..6)];
        let padding = [0, 40, 300, 900][self.rng.random_range(0..4)];
        let kind = self.rng.random_range(7..10);
        let control = Control { kind, bytes: Bytes::from(format!("{}", self.batches)) };
        let batch = batch(self.batches, shape, padding);
        if self.rng.random() { batch.control(control) } else { batch }
    }

    fn note(&mut self, session: u8, appended: &Appended) {
        let last = appended.tail.next_seq.previous();
        if last >= appended.first_seq {
            self.ends.entry(session).or_default().push(last);
        }
    }

    /// Appends some batches at once, or trims. Errors are those of a machine that dies.
    pub(crate) async fn step(&mut self, store: &Store) -> Result<(), Error> {
        let is_off = self.disk.as_ref().is_some_and(FaultyDisk::is_off);
        if is_off || store.health() == Health::Poisoned {
            return Err(Error::Closed);
        }
        if self.rng.random_bool(0.25) { self.trim(store).await } else { self.append(store).await }
    }

    /// Appends some batches at once.
    pub(crate) async fn append(&mut self, store: &Store) -> Result<(), Error> {
        let chosen: Vec<u8> = (0..self.rng.random_range(1..5))
            .map(|_| self.rng.random_range(1..=self.sessions))
            .collect();
        let appends: Vec<_> =
            chosen.iter().map(|session| (store.log(key(*session)), self.batch())).collect();
        let answers = match &self.disk {
            Some(disk) => append_grouped(disk, appends).await,
            None => {
                let appends = appends.into_iter();
                join_all(appends.map(|(log, batch)| async move { log.append(batch).await })).await
            }
        };
        for (session, answer) in chosen.into_iter().zip(answers) {
            match answer {
                Ok(appended) => self.note(session, &appended),
                Err(Error::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn trim(&mut self, store: &Store) -> Result<(), Error> {
        let session = self.rng.random_range(1..=self.sessions);
        let ends = self.ends.entry(session).or_default();
        if ends.is_empty() {
            return Ok(());
        }
        // Mostly much of it, so that segments go.
        let at = (0..2).map(|_| self.rng.random_range(0..ends.len())).max().unwrap_or_default();
        let through = ends[at];
        ends.drain(..=at);
        let batch = self.batch();
        match store.log(key(session)).trim(through, batch).await {
            Ok(Some(appended)) => {
                self.trims += 1;
                self.note(session, &appended);
                Ok(())
            }
            Ok(None) | Err(Error::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One more batch for each session, so that none of them ends early.
    pub(crate) async fn step_all(&mut self, store: &Store) {
        for session in 1..=self.sessions {
            let batch = self.batch();
            let appended = store.log(key(session)).append(batch).await.expect("append");
            self.note(session, &appended);
        }
    }

    /// After a loss of power some of what is known may not be.
    pub(crate) fn forget(&mut self) {
        self.ends.clear();
    }
}
