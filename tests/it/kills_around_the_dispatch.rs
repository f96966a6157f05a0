//! Kills of everything between the intent, the prompt and its answer, at each point by aim and at
//! any disk operation by chance, over a disk that drops what was not synced; the box loses answers,
//! refuses, is started anew; the client comes back with its request, or does not.
//!
//! Whatever happens: nothing runs twice, at most one extra prompt leaves for a lost answer, a turn
//! that may have run keeps its ids and has one verdict, any other leaves nothing, and the log
//! opens. Some hundred kills, or as many as `AFTERBAY_KILLS` says. `AFTERBAY_SEED` plans one life
//! again; the threads of its log are as fast as they are.

mod ledger;
mod life;
mod plan;

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::time::Instant;

use ledger::Ledger;
use life::Life;
use plan::Plan;

const KILLS: usize = 500;
/// Lives that go on at once: most of each is waiting.
const LANES: usize = 24;

#[expect(clippy::disallowed_methods, reason = "the variables that tests read")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test]
async fn no_kill_around_the_dispatch_runs_a_turn_twice_or_leaves_it_without_a_verdict() {
    let began = Instant::now();
    let wanted = number("AFTERBAY_KILLS").map_or(KILLS, |n| usize::try_from(n).expect("few"));
    let (first, count) = match number("AFTERBAY_SEED") {
        Some(seed) => (seed, 1),
        None => (rand::random::<u32>().into(), usize::MAX),
    };
    println!("lives from AFTERBAY_SEED={first} on");
    let lives = stream::iter(first..).take(count).map(one_life).buffer_unordered(LANES);
    let mut lives = Box::pin(lives);
    let mut all = Ledger::default();
    // A slow machine comes more seldom to the points that have a deadline before them.
    let misses_some = |all: &Ledger| !all.reaches_every_point() && all.kills() < 4 * wanted;
    while all.kills() < wanted || misses_some(&all) {
        let Some(one) = lives.next().await else { break };
        all.add(one);
    }
    println!("{all}in {:.1} s", began.elapsed().as_secs_f64());
    assert!(count == 1 || all.reaches_every_point(), "some points were never come to");
}

async fn one_life(seed: u64) -> Ledger {
    let plan = Plan::from_seed(seed);
    let told = format!("AFTERBAY_SEED={seed} failed, with {plan:?}");
    match AssertUnwindSafe(Life::live(plan)).catch_unwind().await {
        Ok(ledger) => ledger,
        Err(_) => panic!("{told}"),
    }
}
