//! A thousand clients on two hundred running turns while afterbay is told to stop and started again:
//! they leave spread over their part of the grace, come back to the next process and miss nothing,
//! and the turns, which go on at the box all the while, run once.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::super::client::{Client, Opened, Turn, Way};
use super::super::daemon;
use super::super::frames::{Frames, Stop};
use super::super::oracle::{self, Verdict};
use super::super::wait;
use super::set::{Set, Settings};

const TURNS: usize = 200;
/// By GET, besides the one who started the turn by POST: a thousand streams in all.
const READERS: usize = 4;

/// Events come all the time; no turn ends before the next process is there.
const SCRIPT: &str = "parts=20 step=1s wait=answer";

const GRACE: Duration = Duration::from_secs(10);
/// Readers leave within the first 40 % of the grace, starters from 50 to 70 % of it.
const READERS_LEAVE: Duration = Duration::from_secs(4);
const STARTERS_LEAVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(7));
/// What the news of an end may take on a busy machine.
const LATE: Duration = Duration::from_millis(1500);

/// Parts of the time in which readers leave, and how many of a hundred may leave in one: evenly
/// spread it were twelve.
const SLICES: usize = 8;
const MOST_IN_A_SLICE: usize = 30;

/// Everything from the first request to the last `done`.
const LIMIT: Duration = Duration::from_secs(150);

/// What one client went through.
struct Guest {
    client: Client,
    /// When its stream ended, while the program stopped.
    left: Instant,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_leave_spread_out_and_come_back_to_whole_turns_that_ran_once() {
    afterbay::server::raise_descriptor_limit();
    let flags = vec!["--shutdown-grace", "10s", "--log-level", "warn"];
    let pace = daemon::Pace::AsShipped;
    let daemon = daemon::Settings { flags, pace, ..daemon::Settings::default() };
    let mut set = Set::with(Settings { daemon, ..Settings::default() }).await;
    let here = watch::Sender::new(0);
    let mut starters = JoinSet::new();
    for number in 0..TURNS {
        starters.spawn(guest(set.client(turn(number)), Way::SamePost, here.clone()));
    }
    all_are_here(&here, TURNS).await;
    let mut readers = JoinSet::new();
    for number in 0..TURNS * READERS {
        let reader = set.client(turn(number % TURNS));
        readers.spawn(guest(reader, Way::Execution, here.clone()));
    }
    all_are_here(&here, TURNS * (1 + READERS)).await;

    let told = Instant::now();
    set.daemon.signal(Signal::TERM);
    assert_eq!(set.daemon.exit_code().await, Some(0), "{}", set.daemon.stderr());
    let stopped = told.elapsed();
    assert!(stopped < GRACE, "{stopped:?}");
    assert!(!set.daemon.stderr().contains("the grace is over"), "{}", set.daemon.stderr());
    set.daemon.restart().await;
    println!("stopped after {stopped:?}, serves again after {:?}", told.elapsed());

    let answering = async {
        let mut looks = tokio::time::interval(Duration::from_millis(500));
        loop {
            looks.tick().await;
            set.simbox.answer_waiting();
        }
    };
    let gathering = wait::within(LIMIT, "everybody has all", async {
        (all(&mut starters).await, all(&mut readers).await)
    });
    // Answering never ends; dropping it between two looks loses nothing.
    let (starters, readers) = tokio::select! {
        guests = gathering => guests,
        () = answering => unreachable!("it answers for ever"),
    };
    left_spread_out(told, &readers);
    let starters_left: Vec<_> = starters.iter().map(|guest| guest.left - told).collect();
    let (from, to) = STARTERS_LEAVE;
    let on_time = |left: &Duration| (from..to + LATE).contains(left);
    assert!(starters_left.iter().all(on_time), "{starters_left:?}");
    miss_nothing(&starters, &readers);
    let totals = set.simbox.account().totals;
    let turns = TURNS as u64;
    assert_eq!((totals.turns, totals.dispatches, totals.runs), (turns, turns, turns));
}

fn turn(number: usize) -> Turn {
    let marker = format!("turn-{number}");
    Turn { execution: Some(format!("execution-of-{marker}")), ..Turn::new(&marker, SCRIPT) }
}

async fn all_are_here(here: &watch::Sender<usize>, all: usize) {
    let mut here = here.subscribe();
    let all = here.wait_for(|here| *here == all);
    wait::within(LIMIT, "everybody has a stream", all).await.expect("the test holds the other end");
}

/// Reads a turn; comes back when the stream ends before the turn does.
async fn guest(mut client: Client, way: Way, here: watch::Sender<usize>) -> Guest {
    let mut frames = opened(&mut client, way).await;
    here.send_modify(|here| *here += 1);
    let stop = client.read(&mut frames).await;
    assert_eq!((stop, client.has_all()), (Stop::Ended, false), "{}", client.turn.marker);
    let left = Instant::now();
    while !client.has_all() {
        // As an EventSource: it was told how long to wait; others take a second.
        sleep(frames.retry().map_or(Duration::from_secs(1), Duration::from_millis)).await;
        frames = opened(&mut client, way).await;
        client.read(&mut frames).await;
    }
    Guest { client, left }
}

/// Asks until there is a stream, a second after each try that came to nothing.
async fn opened(client: &mut Client, way: Way) -> Frames {
    loop {
        match client.open(way).await {
            Ok(Opened::Stream(frames)) => return *frames,
            Ok(Opened::Status(StatusCode::SERVICE_UNAVAILABLE, _)) | Err(_) => {}
            Ok(other) => panic!("{way:?} of {}: {other:?}", client.turn.marker),
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn all(guests: &mut JoinSet<Guest>) -> Vec<Guest> {
    let mut all = Vec::new();
    while let Some(guest) = guests.join_next().await {
        all.push(guest.expect("a client reads its turn to the end"));
    }
    all
}

/// No part of their time sees more than its share of them go.
fn left_spread_out(told: Instant, readers: &[Guest]) {
    let slice = READERS_LEAVE / u32::try_from(SLICES).expect("a small number");
    let mut left = [0; SLICES];
    for guest in readers {
        let after = guest.left - told;
        assert!(after < READERS_LEAVE + LATE, "a reader left after {after:?}");
        let number = after.as_millis() / slice.as_millis();
        left[usize::try_from(number).expect("a small number").min(SLICES - 1)] += 1;
    }
    println!("readers left in each {slice:?}: {left:?}");
    let most = readers.len() * MOST_IN_A_SLICE / 100;
    assert!(left.iter().all(|left| (1..=most).contains(left)), "{left:?}, of {}", readers.len());
}

/// Each client has the whole turn, and all clients of a turn have the same bytes.
fn miss_nothing(starters: &[Guest], readers: &[Guest]) {
    let mut turns = BTreeMap::new();
    for Guest { client, .. } in starters {
        oracle::check_frames(&client.turn.marker, &client.seen, Verdict::Completed);
        turns.insert(&client.turn.marker, oracle::bytes_of(&client.seen));
    }
    assert_eq!(turns.len(), TURNS);
    for Guest { client, .. } in readers {
        let marker = &client.turn.marker;
        assert!(turns[marker] == oracle::bytes_of(&client.seen), "{marker}: other bytes");
    }
}
