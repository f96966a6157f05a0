//! Fifty turns in waves: in each wave the daemon is killed at an aimed point of one turn while
//! others run, and clients are cut within random frames. Every choice follows from the seed.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::client::{Client, Turn};
use super::client_hop::{ClientHop, Plan};
use super::kills::{KillStage, POINTS, Point};
use super::seed;

const TURNS: usize = 50;

/// Turns that run while another one is aimed at. Two cores carry a few at once.
const BYSTANDERS: usize = 4;

#[tokio::test]
async fn fifty_turns_with_cuts_and_kills_lose_double_and_reorder_nothing_and_run_once() {
    let mut random = seed::generator();
    let mut kill = KillStage::start().await;
    let mut tally = Tally::default();
    let mut points = points(&mut random);
    while tally.turns < TURNS {
        let point = points.pop().expect("a point for each wave");
        let first = tally.turns + 1;
        let bystanders = (first..TURNS).take(BYSTANDERS);
        let bystanders: Vec<_> = bystanders.map(|n| turn(&mut random, n)).collect();
        let aimed = turn(&mut random, first + bystanders.len());
        println!("wave from turn-{first}: {point:?} at {}", aimed.marker);
        wave(&mut random, &mut kill, bystanders, aimed, point, &mut tally).await;
    }
    println!("{tally}");
    println!("kill points: {:?}", kill.hits);
    assert_eq!(tally.turns, TURNS);
    assert_eq!(kill.stage.model.all_runs().len(), TURNS - tally.unconfirmed);
    assert!(tally.cuts > 0, "no client was cut");
    for (point, hits) in &kill.hits {
        assert!(*hits > 0, "{point:?} was never hit");
    }
}

/// A point for each wave: every point twice, in random order.
fn points(random: &mut StdRng) -> Vec<Point> {
    let mut points = [POINTS, POINTS].concat();
    points.shuffle(random);
    points
}

/// A turn with one to three tools, quiet times and words.
fn turn(random: &mut StdRng, number: usize) -> Turn {
    let mut script = String::new();
    for tool in 0..random.random_range(1..=3) {
        script.push_str(&format!("[tool=bash:echo {tool}; sleep 0.{tool}; echo {tool}] "));
    }
    let quiet = random.random_range(0..900);
    script.push_str(&format!("[quiet={quiet}ms] [words={} pace=5ms]", random.random_range(1..60)));
    let marker = format!("turn-{number}");
    let execution = random.random_bool(0.5).then(|| format!("execution-of-{marker}"));
    Turn { execution, ..Turn::new(&marker, &script) }
}

/// Up to five cuts of a client, each within one of the next frames.
fn cuts(random: &mut StdRng) -> Vec<Plan> {
    let count = random.random_range(0..=5);
    let mut cut =
        || Plan::Cut { event: random.random_range(1..6), more: random.random_range(0..120) };
    (0..count).map(|_| cut()).collect()
}

async fn wave(
    random: &mut StdRng,
    kill: &mut KillStage,
    bystanders: Vec<Turn>,
    aimed: Turn,
    point: Point,
    tally: &mut Tally,
) {
    let mut clients = Vec::new();
    for turn in bystanders {
        clients.push(kill.stage.behind(turn, cuts(random)).await);
    }
    let aimed_cuts = cuts(random);
    let markers: Vec<_> = clients.iter().map(|(it, _)| it.turn.marker.clone()).collect();
    let running = join_all(clients.iter_mut().map(|(client, _)| client.run()));
    let aiming = async {
        // The aimed turn's session must be the next that is opened.
        join_all(markers.iter().map(|marker| kill.stage.model.called(marker, 1))).await;
        kill.run(aimed, point, &aimed_cuts).await
    };
    let (_, aimed) = tokio::join!(running, aiming);
    kill.check(&aimed, point).await;
    tally.add(&aimed, 0);
    tally.unconfirmed += usize::from(point == Point::SentNotArrived);
    for (client, hop) in &clients {
        kill.stage.check_completed(client).await;
        tally.add(client, cuts_of(hop));
    }
}

fn cuts_of(hop: &ClientHop) -> usize {
    hop.seen().cuts
}

/// What was seen in all.
#[derive(Debug, Default)]
struct Tally {
    turns: usize,
    streams: usize,
    cuts: usize,
    unconfirmed: usize,
    events: BTreeMap<String, usize>,
}

impl Tally {
    fn add(&mut self, client: &Client, cuts: usize) {
        self.turns += 1;
        self.streams += client.streams;
        self.cuts += cuts;
        for frame in &client.seen {
            *self.events.entry(frame.event.clone()).or_default() += 1;
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { turns, streams, cuts, unconfirmed, events } = self;
        let frames: usize = events.values().sum();
        write!(f, "{turns} turns, {frames} frames over {streams} streams, {cuts} cuts, ")?;
        write!(f, "{unconfirmed} unconfirmed; {events:?}")
    }
}
