//! Through reverse proxies as people run them, with their defaults: nginx and haproxy in front of the
//! daemon. What is there comes through at once, also while nothing follows it; a proxy that dies
//! costs a reconnect and nothing else.
//!
//! `AFTERBAY_HOPS=200` reads turns of so many parts and prints how far behind a direct reader the
//! frames came through each proxy.

use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;

use super::super::client::{Client, Turn, WAYS, Way};
use super::super::frames::Frames;
use super::super::oracle::{self, Verdict};
use super::measure;
use super::proxy::{Hop, Proxy};
use super::set::{Set, Settings};
use super::shown::{self, Seen};

/// The whole turn through the hop, and all that was there before its gate while it was shut.
#[tokio::test]
async fn what_is_there_comes_through_a_proxy_while_nothing_follows() {
    for proxy in Proxy::PLAIN {
        let set = Set::for_waiting_turns().await;
        let Some(hop) = Hop::start(proxy, set.daemon.address()).await else { continue };
        let turn = Turn::new("turn-1", "parts=4 tool=1 step=50ms wait=answer");
        let mut client = Client::new(hop.listen, turn, &WAYS);
        let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
        client.read_until(&mut frames, "interaction").await;
        let before = client.seen.len();
        assert!(before > 2, "{proxy}: {before} frames before the gate");
        // One who comes to what is there, and has to wait for more.
        let mut late = Client::new(hop.listen, client.turn.clone(), &[Way::Execution]);
        late.execution = client.execution.clone();
        let mut follows = late.open(Way::Execution).await.expect("a stream").stream();
        late.read_until(&mut follows, "interaction").await;
        assert_eq!(oracle::bytes_of(&late.seen), oracle::bytes_of(&client.seen));
        set.simbox.answer_waiting();
        client.read(&mut frames).await;
        late.read(&mut follows).await;
        assert!(late.has_all(), "{proxy}");
        shown::check(&set, &client, Verdict::Completed, Seen::Last).await;
    }
}

#[tokio::test]
async fn a_proxy_that_dies_and_comes_back_costs_a_reconnect_and_nothing_else() {
    for proxy in Proxy::PLAIN {
        let set = Set::for_waiting_turns().await;
        let Some(mut hop) = Hop::start(proxy, set.daemon.address()).await else { continue };
        let turn = Turn::new("turn-1", "parts=6 tool=1 step=50ms wait=answer");
        let mut client = Client::new(hop.listen, turn, &WAYS);
        let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
        client.read_until(&mut frames, "interaction").await;
        for _ in 0..2 {
            hop.restart().await;
            client.read(&mut frames).await;
            frames = client.open(Way::Execution).await.expect("a stream").stream();
        }
        set.simbox.answer_waiting();
        drop(frames);
        client.run().await;
        assert!(client.streams >= 4, "{proxy}: {} streams", client.streams);
        shown::check(&set, &client, Verdict::Completed, Seen::Last).await;
    }
}

/// curl reads a session's log over cleartext HTTP/2, as it stands in the log.
#[tokio::test]
async fn a_log_is_the_same_over_http_2() {
    let set = Set::with(Settings::default()).await;
    let mut client = set.client(Turn::new("turn-1", "parts=4 tool=1 step=20ms"));
    client.run().await;
    let url = format!(
        "http://{}/agents/sessions/{}/events?until=idle",
        set.daemon.address(),
        client.turn.session
    );
    let arguments =
        ["--silent", "--show-error", "--fail", "--http2-prior-knowledge", "--max-time", "60"];
    let read = tokio::task::spawn_blocking(move || {
        Command::new("curl")
            .args(arguments)
            .args(["--write-out", "\n%{http_version}"])
            .arg(url)
            .output()
    });
    let read = read.await.expect("curl ends").expect("curl is installed");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = String::from_utf8(read.stdout).expect("text");
    let (stream, version) = text.rsplit_once('\n').expect("two parts");
    assert_eq!(version, "2");
    let log = String::from_utf8(oracle::bytes_of(&client.seen)).expect("text");
    assert!(stream.ends_with(&log), "{stream}");
}

/// When each frame came, by its id.
async fn times(client: &mut Client, frames: &mut Frames) -> Vec<Instant> {
    let mut times = Vec::new();
    while !client.has_all() {
        client.read_one(frames).await;
        times.push(Instant::now());
    }
    times
}

/// Prints the figures; that everything came is all that it holds.
#[tokio::test]
async fn through_a_proxy_frames_come_as_they_come_to_a_direct_reader() {
    let parts = measure::number("AFTERBAY_HOPS", 20);
    for proxy in [Proxy::PLAIN[0], Proxy::PLAIN[1], Proxy::WITHOUT_DELAY] {
        let set = Set::with(Settings::default()).await;
        let Some(hop) = Hop::start(proxy, set.daemon.address()).await else { continue };
        let turn = Turn::new("turn-1", &format!("parts={parts} step=50ms"));
        let asked = Instant::now();
        let mut through = Client::new(hop.listen, turn, &WAYS);
        let mut frames = through.open(Way::SamePost).await.expect("the turn starts").stream();
        let head = asked.elapsed();
        let mut direct = set.client(through.turn.clone());
        direct.execution = through.execution.clone();
        let mut own = direct.open(Way::Execution).await.expect("a stream").stream();
        let (far, near) =
            tokio::join!(times(&mut through, &mut frames), times(&mut direct, &mut own));
        assert_eq!(oracle::bytes_of(&through.seen), oracle::bytes_of(&direct.seen));
        let mut behind: Vec<Duration> =
            far.iter().zip(&near).map(|(far, near)| far.saturating_duration_since(*near)).collect();
        behind.sort();
        let (median, most) = (behind[behind.len() / 2], behind[behind.len() - 1]);
        println!(
            "{proxy}: the head after {head:?}; {} frames, behind a direct reader by {median:?} (median), {most:?} (most)",
            behind.len(),
        );
    }
}
