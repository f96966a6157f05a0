//! A box that refuses connections in mid-turn and forgets nothing: survived if it is back before
//! the deadline, one verdict with its own code if it is not.

use std::time::Duration;

use afterbay::simbox::State;

use super::super::client::{Client, Turn, Way};
use super::super::daemon::{self, Patience};
use super::super::frames::Frames;
use super::super::oracle::{self, Verdict};
use super::super::wait;
use super::measure::asked_for;
use super::set::{Set, Settings};
use super::shown::{self, Seen};

/// What the normal run can afford.
const SHORT: Duration = Duration::from_secs(2);
/// For everything around the outage.
const REST: Duration = Duration::from_secs(60);

async fn set(patience: Patience) -> Set {
    let daemon = daemon::Settings { patience, ..daemon::Settings::default() };
    Set::with(Settings { daemon, ..Settings::default() }).await
}

/// Starts a turn and takes the box away when its first part was seen.
async fn cut_off(set: &Set, script: &str) -> (Client, Frames) {
    let mut client = set.client(Turn::new("turn-1", script));
    let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
    client.read_until(&mut frames, "message.part.updated").await;
    set.link.go_down().await;
    (client, frames)
}

#[tokio::test]
async fn refused_connections_in_mid_turn_are_survived() {
    let outage = asked_for("AFTERBAY_OUTAGE", SHORT);
    // The turn goes on for as long again after the outage.
    let set = set(Patience::AsShipped).await;
    let script = format!("parts=10 grow=2 tool=2 step={}ms", outage.as_millis() / 13);
    let (mut client, mut frames) = cut_off(&set, &script).await;
    let before = client.seen.len();
    let polled = set.told(&client).polls;
    let refusing = tokio::time::timeout(outage, client.read(&mut frames)).await;
    assert!(refusing.is_err(), "the stream stopped in the outage: {refusing:?}");
    assert_eq!(client.seen.len(), before, "nobody could say anything");
    assert_eq!(set.told(&client).polls, polled, "nothing reached the box");
    set.link.come_back().await;
    wait::within(outage + REST, "the turn goes on to its end", client.read(&mut frames)).await;
    assert_eq!(client.streams, 1, "the client noticed nothing");
    shown::check(&set, &client, Verdict::Completed, Seen::Last).await;
    println!(
        "outage {outage:?}: {before} frames before, {} after; polls {:?}; {} connections",
        client.seen.len() - before,
        set.told(&client).polls,
        set.link.seen().connections
    );
}

#[tokio::test]
async fn a_turn_that_ends_while_the_box_is_unreachable_is_read_when_it_is_back() {
    let set = set(Patience::AsShipped).await;
    let (mut client, mut frames) = cut_off(&set, "parts=6 step=100ms").await;
    wait::until(REST, "the turn ends at the box", || async {
        (set.told(&client).state == State::Succeeded).then_some(())
    })
    .await;
    set.link.come_back().await;
    wait::within(REST, "the turn is read to its end", client.read(&mut frames)).await;
    shown::check(&set, &client, Verdict::Completed, Seen::All).await;
}

#[tokio::test]
async fn a_restart_while_the_box_is_unreachable_loses_nothing() {
    let mut set = set(Patience::AsShipped).await;
    let (mut client, frames) = cut_off(&set, "parts=8 tool=2 step=100ms").await;
    drop(frames);
    set.daemon.kill();
    set.daemon.restart().await;
    let mut frames = client.open(Way::RunStream).await.expect("afterbay answers").stream();
    let before = client.seen.len();
    // A life that finds no box has tried at least once.
    wait::until(REST, "the new life has asked for the box", || async {
        (set.daemon.metric("afterbay_polls_total").await >= 1.0).then_some(())
    })
    .await;
    set.link.come_back().await;
    wait::within(REST, "the turn is read to its end", client.read(&mut frames)).await;
    assert!(client.seen.len() > before, "the rest came after the restart");
    shown::check(&set, &client, Verdict::Completed, Seen::Last).await;
}

#[tokio::test]
async fn an_outage_beyond_the_deadline_is_one_verdict_although_the_box_comes_back() {
    let set = set(Patience::Hasty).await;
    let (mut client, mut frames) = cut_off(&set, "parts=4 step=100ms wait=answer").await;
    wait::within(REST, "a verdict", client.read(&mut frames)).await;
    oracle::check_frames("turn-1", &client.seen, Verdict::Failed(&["BOX_UNREACHABLE"]));
    set.link.come_back().await;
    set.simbox.answer_waiting();
    wait::until(REST, "the turn ends at the box", || async {
        (set.told(&client).state == State::Succeeded).then_some(())
    })
    .await;
    // Whatever the box says now, the verdict stands and nothing follows it.
    let verdict = Verdict::Failed(&["BOX_UNREACHABLE"]);
    oracle::check(&client, set.daemon.address(), verdict).await;
    assert_eq!(set.daemon.metric("afterbay_turns_finished_total").await, 1.0);
    let told = set.told(&client);
    shown::check_cost("turn-1", &told);
}
