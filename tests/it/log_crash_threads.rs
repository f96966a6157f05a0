//! The log on a machine that dies while its threads are at work: the power goes off in the middle of
//! an operation of the writer, or of upkeep, whichever comes first.
//!
//! The same model as for the log whose upkeep is done in place (`log_crash`). What the threads make of
//! each other is the scheduler's: a seed repeats the choices, not the run.

use std::collections::BTreeMap;

use afterbay::log::{Error, Health, Options, Store, UpkeepBy};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::support::faulty_disk::{FaultyDisk, Operation};
use super::support::log_model::{Model, SMALL, batch, key, open_with};

/// `AFTERBAY_THREAD_CRASHES` asks for more.
const CRASHES: u64 = 100;
const SESSIONS: u8 = 4;
const OPTIONS: Options = Options { upkeep: UpkeepBy::Thread, ..SMALL };

/// In which thread, and at which operation.
type Hits = BTreeMap<(String, Operation), u64>;

struct World {
    disk: FaultyDisk,
    model: Model,
    rng: StdRng,
    hits: Hits,
}

impl World {
    fn new(seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(!seed);
        let (disk, model) = (FaultyDisk::new(seed), Model::default());
        Self { disk, model, rng, hits: Hits::new() }
    }

    /// Boots, opens and checks; `None` if the machine died meanwhile, or has no room.
    async fn open(&mut self, crash_at: Option<usize>, is_full: bool) -> Option<Store> {
        let disk = self.disk.boot();
        if let Some(n) = crash_at {
            self.disk.crash_at(n);
        }
        let (store, folded) = match open_with(disk, OPTIONS) {
            Ok(opened) => opened,
            Err(error) => {
                assert!(self.disk.is_off() || is_full, "not opened: {error}");
                return None;
            }
        };
        match self.model.check(&store).await {
            Ok(()) => self.model.check_fold(&folded),
            Err(error) => {
                assert!(self.disk.is_off(), "not read: {error}");
                return None;
            }
        }
        Some(store)
    }

    /// Some batches for some sessions, at once. Whether the machine still runs.
    async fn append(&mut self, store: &Store) -> bool {
        let mut sent = Vec::new();
        for _ in 0..self.rng.random_range(1..8) {
            let key = key(self.rng.random_range(0..SESSIONS));
            let shape = ["e", "c", "ec", "cce", "eeee", "ceec"][self.rng.random_range(0..6)];
            let padding = [0, 40, 300, 900][self.rng.random_range(0..4)];
            let id = self.model.send(key);
            let batch = batch(id, shape, padding);
            let batch = if self.rng.random_bool(0.2) { batch.urgent() } else { batch };
            sent.push((key, id, store.log(key), batch));
        }
        let appends = sent
            .into_iter()
            .map(|(key, id, log, batch)| async move { (key, id, log.append(batch).await) });
        let answers = join_all(appends).await;
        // What a dying machine refuses is refused by nobody.
        let is_off = self.disk.is_off();
        for (key, id, answer) in answers {
            if answer.is_ok() || !is_off {
                self.model.answered(key, id, &answer);
            }
        }
        self.model.see_tails(store);
        !is_off && store.health() != Health::Poisoned
    }

    async fn trim(&mut self, store: &Store) {
        let key = key(self.rng.random_range(0..SESSIONS));
        if let Err(error) = self.model.check(store).await {
            return assert!(self.disk.is_off(), "not read: {error}");
        }
        let Some((dropped, through, id)) = self.model.ask_to_trim(key, &mut self.rng) else {
            return;
        };
        match store.log(key).trim(through, batch(id, "c", 40)).await {
            Ok(Some(appended)) => {
                self.model.answered(key, id, &Ok(appended));
                self.model.trimmed(key, dropped);
            }
            Ok(None) => panic!("{through} ends a batch that is kept"),
            Err(error @ Error::Refused(_)) if !self.disk.is_off() => {
                self.model.answered(key, id, &Err(error));
            }
            Err(error) => assert!(self.disk.is_off(), "{error}"),
        }
    }

    fn note_crash(&mut self) {
        if self.disk.is_off() {
            let operation = *self.disk.done().last().expect("an operation");
            *self.hits.entry((self.disk.crashed_in(), operation)).or_default() += 1;
        }
    }

    /// One process: mostly until the power goes off.
    async fn boot(&mut self) {
        let crash_at = self.rng.random_bool(0.9).then(|| self.rng.random_range(0..120));
        let is_full = self.rng.random_bool(0.2);
        let crumbs = self.rng.random_range(0..30_000);
        self.disk.set_free(is_full.then_some(crumbs));
        if let Some(store) = self.open(crash_at, is_full).await {
            for _ in 0..self.rng.random_range(4..20) {
                if !self.append(&store).await {
                    break;
                }
                if self.rng.random_bool(0.3) {
                    self.trim(&store).await;
                }
            }
            if self.rng.random_bool(0.2) {
                store.close().await;
            }
        }
        self.note_crash();
        if self.rng.random_bool(0.7) {
            self.disk.lose_power();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "variables that tests alone read")]
fn asked_for(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[tokio::test]
async fn whatever_thread_a_crash_hits_nothing_acknowledged_or_shown_is_lost() {
    let wanted = asked_for("AFTERBAY_THREAD_CRASHES").unwrap_or(CRASHES);
    let mut hits = Hits::new();
    let mut seed = asked_for("AFTERBAY_SEED").unwrap_or_default();
    let mut crashes = 0;
    while crashes < wanted {
        println!("the choices again with AFTERBAY_SEED={seed}");
        let mut world = World::new(seed);
        for _ in 0..6 {
            world.boot().await;
        }
        world.disk.set_free(None);
        let store = world.open(None, false).await.expect("a healthy machine");
        assert!(world.append(&store).await);
        world.model.check(&store).await.expect("readable");
        for (place, count) in world.hits {
            crashes += count;
            *hits.entry(place).or_default() += count;
        }
        seed += 1;
    }
    println!("{crashes} crashes: {hits:?}");
    for thread in ["afterbay-log", "afterbay-log-keep"] {
        // A few may miss it.
        assert!(
            wanted < CRASHES || hits.keys().any(|(name, _)| name == thread),
            "no crash hit {thread}"
        );
    }
}
