//! Proxies that cut a stream on which nothing comes for so long as they allow. A daemon that sends its
//! comments more seldom is cut again and again, and nothing is lost; one as it is shipped is not cut.
//!
//! `AFTERBAY_HOP_CUT=60` has them cut after so many seconds, 60 being what nginx does by itself.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::super::client::{Client, Turn, WAYS, Way};
use super::super::daemon;
use super::super::frames::Stop;
use super::super::oracle::Verdict;
use super::super::wait;
use super::measure::asked_for;
use super::proxy::{Hop, Program, Proxy};
use super::set::{Set, Settings};
use super::shown::{self, Seen};

/// What the normal run can afford.
const SHORT: Duration = Duration::from_secs(15);

/// For everything around the silence.
const REST: Duration = Duration::from_secs(60);

/// Flags of a daemon whose comments come too late for every proxy here.
const SELDOM: [&str; 2] = ["--heartbeat", "5m"];

/// A turn with a silence that is longer than the proxy allows, read through it; how often it was cut.
async fn silent_turn(program: Program, allowed: Duration, flags: &[&'static str]) -> Option<usize> {
    let daemon = daemon::Settings { flags: flags.to_vec(), ..daemon::Settings::default() };
    let set = Set::with(Settings { daemon, ..Settings::default() }).await;
    let proxy = Proxy { silence: Some(allowed), ..Proxy::plain(program) };
    let hop = Hop::start(proxy, set.daemon.address()).await?;
    let quiet = allowed.mul_f64(1.3);
    let script = format!("parts=4 tool=1 step=50ms quiet={}ms", quiet.as_millis());
    let mut client = Client::new(hop.listen, Turn::new("turn-1", &script), &WAYS);
    let begun = Instant::now();
    let reading = read(&mut client, allowed + REST);
    let cuts = wait::within(quiet + REST, "the whole turn", reading).await;
    let took = begun.elapsed();
    assert!(took >= quiet, "{program:?}: the turn was over after {took:?}");
    shown::check(&set, &client, Verdict::Completed, Seen::Last).await;
    println!(
        "{program:?} allows {allowed:?}, {flags:?}: {cuts} cuts, {} streams, {} events, {took:.1?}",
        client.streams,
        client.seen.len(),
    );
    Some(cuts)
}

/// Reads until the client has all; how often it was cut.
async fn read(client: &mut Client, patience: Duration) -> usize {
    let mut cuts = 0;
    for way in [Way::SamePost].into_iter().chain(WAYS.into_iter().cycle()) {
        let frames = client.open(way).await.expect("the proxy answers").stream();
        let stop = client.read(&mut frames.patient(patience)).await;
        cuts += usize::from(stop == Stop::Cut);
        if client.has_all() {
            break;
        }
    }
    cuts
}

#[tokio::test]
async fn a_silence_that_a_proxy_cuts_costs_reconnects_and_one_with_comments_is_not_cut() {
    let allowed = asked_for("AFTERBAY_HOP_CUT", SHORT);
    let programs = [Program::Nginx, Program::Haproxy];
    let cut = programs.map(|program| silent_turn(program, allowed, &SELDOM));
    let whole = programs.map(|program| silent_turn(program, allowed, &[]));
    let (cut, whole) = tokio::join!(join_all(cut), join_all(whole));
    for cuts in cut.into_iter().flatten() {
        assert!(cuts >= 1, "the proxy was to cut");
    }
    for cuts in whole.into_iter().flatten() {
        assert_eq!(cuts, 0, "comments come before the proxy cuts");
    }
}

/// nginx speaks HTTP/1.0 to what is behind it unless told otherwise, and there the end of a connection
/// is the end of an answer: a daemon that was killed looks as if it had said all.
#[tokio::test]
async fn a_killed_daemon_is_a_cut_behind_nginx_if_that_speaks_http_1_1_to_it() {
    for (further, stop) in [("", Stop::Ended), ("proxy_http_version 1.1;", Stop::Cut)] {
        let mut set = Set::for_waiting_turns().await;
        let proxy = Proxy { further, ..Proxy::plain(Program::Nginx) };
        let Some(hop) = Hop::start(proxy, set.daemon.address()).await else { continue };
        let turn = Turn::new("turn-1", "parts=4 tool=1 step=50ms wait=answer");
        let mut client = Client::new(hop.listen, turn, &WAYS);
        let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
        client.read_until(&mut frames, "interaction").await;
        set.daemon.kill();
        assert_eq!(client.read(&mut frames).await, stop, "{further:?}");
        set.daemon.restart().await;
        set.simbox.answer_waiting();
        client.run().await;
        shown::check(&set, &client, Verdict::Completed, Seen::Last).await;
    }
}
