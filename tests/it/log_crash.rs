//! The log on a machine that dies: at each operation, also while it recovers, also again.
//!
//! Whatever was acknowledged or shown must be there afterwards, whole; see the model.

use std::collections::BTreeMap;

use afterbay::ids::SessionKey;
use afterbay::log::{Health, Store};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::support::faulty_disk::{FaultyDisk, Operation};
use super::support::log_model::{Model, append_grouped, batch, key, open, read_kept};

/// About twenty seconds in a dev build on two cores. `AFTERBAY_CRASHES` asks for more,
/// and `AFTERBAY_FIRST_SEED` for others.
const SEEDS: u64 = 3000;

/// How many crashes hit each operation, while opening and while running.
#[derive(Debug, Default)]
struct Hits(BTreeMap<(bool, Operation), usize>);

/// Where a segment's header says why it was made, and the word for a rewritten one.
const ORIGIN_AT: usize = 36;
const REWRITTEN: u8 = 3;

/// A machine with its model.
struct World {
    disk: FaultyDisk,
    model: Model,
    rng: StdRng,
    hits: Hits,
    /// Whether the disk has hardly any room: then the log may find none to open.
    is_full: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = FaultyDisk::new(seed);
        let rng = StdRng::seed_from_u64(!seed);
        Self { disk, model: Model::default(), rng, hits: Hits::default(), is_full: false }
    }

    /// Boots, opens and checks; `None` if the machine died meanwhile.
    async fn open(&mut self, crash_at: Option<usize>) -> Option<Store> {
        let disk = self.disk.boot();
        if let Some(n) = crash_at {
            self.disk.crash_at(n);
        }
        let opened = open(disk);
        if self.disk.is_off() {
            self.note_crash(true);
        }
        let (store, folded) = match opened {
            Ok(opened) => opened,
            Err(e) => {
                assert!(self.disk.is_off() || self.is_full, "not opened: {e}");
                return None;
            }
        };
        if let Err(e) = self.model.check(&store).await {
            assert!(self.disk.is_off(), "not read: {e}");
            return None;
        }
        self.model.check_fold(&folded);
        Some(store)
    }

    /// Appends `batches`, and notes what became of them.
    async fn append(&mut self, store: &Store, batches: &[(SessionKey, &str, usize)]) {
        let mut sent = Vec::new();
        let mut contents = Vec::new();
        for (key, shape, padding) in batches {
            let id = self.model.send(*key);
            sent.push((*key, id));
            contents.push((store.log(*key), batch(id, shape, *padding)));
        }
        let was_off = self.disk.is_off();
        let answers = append_grouped(&self.disk, contents).await;
        let is_off = self.disk.is_off();
        for ((key, id), answer) in sent.into_iter().zip(answers) {
            // What a dying machine refuses is refused by nobody.
            if answer.is_ok() || !is_off {
                self.model.answered(key, id, &answer);
            }
        }
        self.model.see_tails(store);
        if is_off && !was_off {
            self.note_crash(false);
        }
    }

    /// Trims a session somewhere, and notes what became of that.
    async fn trim_one(&mut self, store: &Store) {
        let key = key(self.rng.random_range(0..4));
        // Of a machine that is off nothing can be said for sure.
        if self.disk.is_off() || store.health() == Health::Poisoned {
            return;
        }
        self.model.check(store).await.expect("readable");
        let Some((dropped, through, id)) = self.model.ask_to_trim(key, &mut self.rng) else {
            return;
        };
        let was_off = self.disk.is_off();
        let answer = store.log(key).trim(through, batch(id, "c", 40)).await;
        let is_off = self.disk.is_off();
        match answer {
            Ok(Some(appended)) => {
                self.model.answered(key, id, &Ok(appended));
                self.model.trimmed(key, dropped);
            }
            Ok(None) => panic!("{through} ends a batch that is kept"),
            Err(error) if !is_off => self.model.answered(key, id, &Err(error)),
            Err(_) => {}
        }
        if is_off && !was_off {
            self.note_crash(false);
        }
    }

    fn note_crash(&mut self, opening: bool) {
        let operation = *self.disk.done().last().expect("an operation");
        *self.hits.0.entry((opening, operation)).or_default() += 1;
    }

    /// Some batches for some of a few sessions.
    async fn append_some(&mut self, store: &Store) {
        let mut batches = Vec::new();
        for _ in 0..self.rng.random_range(1..6) {
            let shape = ["e", "c", "ec", "cce", "eeee", "ceec"][self.rng.random_range(0..6)];
            let padding = [0, 40, 300, 900][self.rng.random_range(0..4)];
            batches.push((key(self.rng.random_range(0..4)), shape, padding));
        }
        self.append(store, &batches).await;
    }
}

/// One machine's life: it boots a few times and mostly ends badly. Says also how many of its segments
/// were rewritten in the end.
async fn live(seed: u64) -> (Hits, usize) {
    let mut world = World::new(seed);
    for _ in 0..world.rng.random_range(2..6) {
        let crash_at = world.rng.random_bool(0.8).then(|| world.rng.random_range(0..24));
        world.is_full = world.rng.random_bool(0.2);
        let crumbs = world.rng.random_range(0..8000);
        world.disk.set_free(world.is_full.then_some(crumbs));
        if let Some(store) = world.open(crash_at).await {
            for _ in 0..world.rng.random_range(0..6) {
                if world.disk.is_off() || store.health() == Health::Poisoned {
                    break;
                }
                let full = world.rng.random_bool(0.15);
                let free = world.rng.random_range(0..3000);
                if !world.is_full {
                    world.disk.set_free(full.then_some(free));
                }
                world.append_some(&store).await;
                if !world.is_full {
                    world.disk.set_free(None);
                }
                if world.rng.random_bool(0.3) {
                    world.trim_one(&store).await;
                }
            }
            if !world.disk.is_off() && world.rng.random_bool(0.3) {
                store.close().await;
            }
        }
        if world.rng.random_bool(0.7) {
            world.disk.lose_power();
        }
    }
    world.is_full = false;
    world.disk.set_free(None);
    let store = world.open(None).await.expect("a healthy machine");
    world.append(&store, &[(key(0), "ec", 10), (key(1), "e", 10)]).await;
    world.model.check(&store).await.expect("readable");
    assert!(world.model.acknowledged() >= 2);
    let is_segment = |name: &String| name.starts_with("segment-") && name.ends_with(".log");
    let segments = world.disk.names().into_iter().filter(is_segment);
    let rewritten = segments.filter(|name| world.disk.content(name)[ORIGIN_AT] == REWRITTEN);
    (world.hits, rewritten.count())
}

#[expect(clippy::disallowed_methods, reason = "variables that tests alone read")]
fn seeds() -> Vec<u64> {
    let asked_for = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    match (asked_for("AFTERBAY_SEED"), asked_for("AFTERBAY_CRASHES")) {
        (Some(seed), _) => vec![seed],
        (None, count) => {
            let first = asked_for("AFTERBAY_FIRST_SEED").unwrap_or_default();
            (first..first + count.unwrap_or(SEEDS)).collect()
        }
    }
}

#[tokio::test]
async fn whatever_crashes_nothing_acknowledged_or_shown_is_lost_and_nothing_else_appears() {
    let seeds = seeds();
    let mut hits = Hits::default();
    let mut rewritten = 0;
    for seed in &seeds {
        println!("run again with AFTERBAY_SEED={seed}");
        let (of_seed, segments) = live(*seed).await;
        rewritten += segments;
        for (place, count) in of_seed.0 {
            *hits.0.entry(place).or_default() += count;
        }
    }
    println!("crashes (while opening, operation): {hits:?}; {rewritten} segments rewritten");
    if seeds.len() > 1 {
        assert!(rewritten * 40 > seeds.len(), "{rewritten} segments were rewritten");
        for operation in Operation::ALL {
            assert!(hits.0.contains_key(&(true, operation)), "no opening died at {operation:?}");
        }
        for operation in Operation::ALL {
            assert!(hits.0.contains_key(&(false, operation)), "no writer died at {operation:?}");
        }
    }
}

/// A fixed workload that rotates, with a crash at each of its operations, and at each of those of
/// the opening that follows, and once more.
#[tokio::test]
async fn a_crash_at_every_operation_and_at_every_operation_of_the_recovery_is_survived() {
    let mut first = 0;
    loop {
        let mut second = 0;
        loop {
            let Ends { died_first, died_second } = die_twice(first, second).await;
            if !died_first {
                assert!(first > 20, "the workload has {first} operations");
                return;
            }
            if !died_second {
                assert!(second >= 4, "a recovery has {second} operations");
                break;
            }
            second += 1;
        }
        first += 1;
    }
}

struct Ends {
    died_first: bool,
    died_second: bool,
}

async fn die_twice(first: usize, second: usize) -> Ends {
    let mut ends = Ends { died_first: false, died_second: false };
    for (keep_cache, seed) in [(true, 1), (false, 2), (false, 3)] {
        println!("crash at {first}, then at {second}, page cache kept: {keep_cache}");
        let mut world = World::new((first * 1000 + second) as u64 * 10 + seed);
        if let Some(store) = world.open(Some(first)).await {
            for _ in 0..4 {
                if world.disk.is_off() {
                    break;
                }
                let batches = [(key(1), "ece", 300), (key(2), "ce", 600), (key(1), "c", 900)];
                world.append(&store, &batches).await;
            }
        }
        ends.died_first = world.disk.is_off();
        if !keep_cache {
            world.disk.lose_power();
        }
        let store = world.open(Some(second)).await;
        ends.died_second = store.is_none();
        drop(store);
        world.disk.lose_power();
        let store = world.open(None).await.expect("a healthy machine");
        world.append(&store, &[(key(1), "e", 10)]).await;
        world.disk.lose_power();
        world.open(None).await.expect("a healthy machine");
    }
    ends
}

/// Dead segments are given back behind one that stays, and that has its index only since then; with a
/// crash at each operation of that, and at each of those of the opening that follows.
#[tokio::test]
async fn a_crash_while_segments_are_given_back_takes_nothing_that_stays() {
    for (keep_cache, seed) in [(true, 1), (false, 4)] {
        let mut first = 0;
        let mut died = true;
        while died {
            let mut second = 0;
            loop {
                println!("crash at {first}, then at {second}, page cache kept: {keep_cache}");
                let disk = FaultyDisk::new((first * 1000 + second) as u64 * 10 + seed);
                let ends = give_back(&disk, first, second, keep_cache).await;
                died = ends.died_first;
                if !ends.died_second {
                    break;
                }
                second += 1;
            }
            first += 1;
        }
        assert!(first > 15, "giving back has {first} operations");
    }
}

async fn give_back(disk: &FaultyDisk, first: usize, second: usize, keep_cache: bool) -> Ends {
    let (store, _) = open(disk.boot()).expect("open");
    let (one, two) = (store.log(key(1)), store.log(key(2)));
    two.append(batch(1, "e", 0)).await.expect("append");
    // No index, so that all segments stay until then.
    disk.refuse_to_create(Some(".tmp"));
    for id in 2..16 {
        one.append(batch(id, "e", 900)).await.expect("append");
    }
    disk.refuse_to_create(None);
    let (last, tail) = (one.tail().next_seq.previous(), two.tail());
    disk.crash_at(first);
    let trim = one.trim(last, batch(16, "c", 0)).await;
    let died_first = disk.is_off();
    assert!(trim.is_ok() || died_first, "{trim:?}");
    drop((one, two, store));
    if !keep_cache {
        disk.lose_power();
    }
    let booted = disk.boot();
    disk.crash_at(second);
    drop(open(booted));
    let died_second = disk.is_off();
    disk.lose_power();
    let (store, _) = open(disk.boot()).expect("a healthy machine");
    // It would go on behind what may have been lost.
    assert_eq!(store.log(key(2)).tail(), tail);
    assert_eq!(read_kept(&store.log(key(2))).await.expect("readable").len(), 1);
    Ends { died_first, died_second }
}
