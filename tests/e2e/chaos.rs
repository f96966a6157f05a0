//! Chaos: many turns at once on a simulated box that misbehaves, clients that are cut and come
//! back in every form, a daemon that is killed again and again; and a judge that knows what the
//! box did.
//!
//! Everything follows from a printed seed. `AFTERBAY_SEED` runs one again; `AFTERBAY_CHAOS=20`
//! runs so many seeds with two hundred turns each, `AFTERBAY_BIN` against that daemon.
//!
//! Parts in reading order: what is drawn (prompt, plan), the stage (world), who plays (ways,
//! reader, log reader, conversation), and who judges (close-out, truth, judge, tally).

mod close_out;
mod conversation;
mod judge;
mod log_reader;
mod plan;
mod prompt;
mod reader;
mod tally;
mod truth;
mod ways;
mod world;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use judge::Judge;
use plan::{Plan, Size};
use tally::Tally;
use world::{Progress, World};

use super::{seed, wait};

const SMALL: Size = Size { turns: 60, kills: 3 };
const LARGE: Size = Size { turns: 200, kills: 5 };

/// Replays of turns that are over: far above what some thousand of them take.
const JUDGE_LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_loses_doubles_and_reorders_nothing_and_runs_each_turn_once() {
    let first = seed::given_or_fresh();
    let (count, size) = many().map_or((1, SMALL), |count| (count, LARGE));
    for number in 0..count {
        let seed = first.wrapping_add(number);
        println!("chaos {} of {count}: AFTERBAY_SEED={seed}", number + 1);
        println!("{}", Box::pin(run(seed, size)).await);
    }
}

/// How many seeds with many turns are asked for.
#[expect(clippy::disallowed_methods, reason = "a variable of the tests' own")]
fn many() -> Option<u64> {
    let given = std::env::var("AFTERBAY_CHAOS").ok()?;
    Some(given.parse().expect("a number of seeds"))
}

async fn run(seed: u64, size: Size) -> Tally {
    let begun = Instant::now();
    let plan = Plan::draw(seed, size);
    println!("  blows {:?}, faults {:?}, token {}", plan.blows, plan.faults, plan.token.is_some());
    let mut world = World::start(&plan).await;
    let daemon = world.daemon.address();
    let turns: usize = plan.conversations.iter().map(|it| it.scenes.len()).sum();
    let progress = Progress::new(2 * turns);
    let playing = plan.conversations.iter().map(|it| conversation::play(it, daemon, &progress));
    let playing = join_all(playing);
    let striking = world.strike(&plan.blows, &progress);
    let (told, kills) = tokio::join!(playing, striking);
    println!("  played after {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(kills, size.kills, "every kill has its time");
    world.settle(&plan).await;
    println!("  settled after {:.1} s", begun.elapsed().as_secs_f64());
    let mut judge = Judge::new(&plan, &world, seed, kills);
    wait::within(JUDGE_LIMIT, "the judge is done", judge.judge(&told)).await;
    world.end().await;
    let mut tally = judge.tally;
    tally.wall = begun.elapsed();
    tally
}
