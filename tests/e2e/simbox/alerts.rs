//! Each alert fires by its fault: those whose fault takes seconds.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::task::JoinSet;

use super::super::client::{Turn, Way};
use super::super::daemon::{self, Daemon, Patience};
use super::super::http::Request;
use super::set::{Set, Settings};
use super::watch::{RULES, Watch};
use super::{short_disk, slow_faults};

/// What fires here.
const HERE: [&str; 11] = [
    "AfterbayDown",
    "AfterbayNotReady",
    "AfterbayRefusesTurns",
    "AfterbayLogDamaged",
    "AfterbayTurnsUnresolved",
    "AfterbayTurnsLost",
    "AfterbayBoxUnreachable",
    "AfterbayTurnsNeedCredential",
    "AfterbayReconnectStorm",
    "AfterbayPassThroughFails",
    "AfterbayRestarts",
];

#[test]
fn each_alert_has_a_test_in_which_it_fires() {
    let names = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let fire = [&HERE[..], &slow_faults::HERE, &short_disk::HERE].concat();
    for name in names.clone() {
        assert_eq!(fire.iter().filter(|known| **known == name).count(), 1, "{name}");
    }
    assert_eq!(names.count(), fire.len());
}

#[tokio::test]
async fn alerts_fire_by_their_faults() {
    let hasty = daemon::Settings { patience: Patience::Hasty, ..daemon::Settings::default() };
    let mut faulty = Set::with(Settings { daemon: hasty, ..Settings::default() }).await;
    let tokens = vec!["a-token".to_owned()];
    let mut guarded = Set::with(Settings { tokens, ..Settings::default() }).await;
    let flags = vec!["--retention-free", "9999999TiB"];
    let full = daemon::Settings { flags, ..daemon::Settings::default() };
    let full = Daemon::start("http://127.0.0.1:1".to_owned(), full).await;
    let targets = [faulty.daemon.operators(), guarded.daemon.operators(), full.operators()];
    let Some(watch) = Watch::start(&targets).await else { return };
    let [at, guarded_at, full_at] = targets;

    watch.fires("AfterbayNotReady", full_at).await;
    watch.fires("AfterbayRefusesTurns", full_at).await;
    let mut early = watch.names(at).await;
    early.remove("AfterbayDiskShort");
    assert!(early.is_empty(), "before any fault: {early:?}");

    box_goes_away(&faulty, &watch).await;
    clients_come_back_all_the_time(&faulty, &watch).await;
    credential_is_lost(&mut guarded, &watch, guarded_at).await;

    faulty.daemon.kill();
    watch.fires("AfterbayDown", at).await;
    damage(&faulty.daemon.log_folder());
    for restarts in 1..=3 {
        faulty.daemon.restart().await;
        let started = format!(r#"process_start_time_seconds{{instance="{at}"}}"#);
        watch.sees(&format!("changes({started}[30m]) >= {restarts}")).await;
        // It is told in whole seconds, so the next start must be in another one.
        watch.sees(&format!("time() - {started} > 2")).await;
    }
    watch.fires("AfterbayRestarts", at).await;
    watch.fires("AfterbayLogDamaged", at).await;
    watch.has_seen(&HERE);
}

/// While one turn runs and the prompt of another is on its way.
async fn box_goes_away(set: &Set, watch: &Watch) {
    let (at, clients) = (set.daemon.operators(), set.daemon.address());
    let mut running = set.client(Turn::new("turn-1", "parts=2 wait=answer"));
    let mut frames = running.open(Way::SamePost).await.expect("an answer").stream();
    running.read_until(&mut frames, "interaction").await;
    let mut unanswered = set.client(Turn::new("turn-2", "hold=1h"));
    let opened = unanswered.open(Way::SamePost).await;
    watch.sees(r#"afterbay_turns{phase="dispatching"} == 1"#).await;
    set.link.go_down().await;
    watch.fires("AfterbayTurnsUnresolved", at).await;
    watch.fires("AfterbayTurnsLost", at).await;
    let pass = || async {
        let passed = Request::get("/agents/anything").send(clients).await.expect("an answer");
        assert_eq!(passed.status, 502);
    };
    watch.fires_while("AfterbayPassThroughFails", at, pass).await;
    let again = set.client(Turn::new("turn-3", "parts=1"));
    let mut posted = JoinSet::new();
    posted.spawn(async move { drop(again.turn.post().send(clients).await) });
    watch.fires("AfterbayBoxUnreachable", at).await;
    set.link.come_back().await;
    drop((opened, frames));
}

async fn clients_come_back_all_the_time(set: &Set, watch: &Watch) {
    let mut client = set.client(Turn::new("turn-4", "parts=3"));
    client.run().await;
    let execution = client.execution.clone().expect("an execution");
    let (at, clients) = (set.daemon.operators(), set.daemon.address());
    let come_back = || async {
        let path = format!("/agents/executions/{execution}/events");
        let again = Request::get(path).header("last-event-id", "1").send(clients).await;
        drop(again.expect("an answer").bytes().await);
    };
    watch.fires_while("AfterbayReconnectStorm", at, come_back).await;
}

/// A restart forgets the credential of a turn, and its client does not come back.
async fn credential_is_lost(set: &mut Set, watch: &Watch, at: SocketAddr) {
    let turn = Turn::new("turn-5", "parts=2 wait=answer");
    let mut client = set.client(Turn { authorization: Some("Bearer a-token".to_owned()), ..turn });
    let mut frames = client.open(Way::SamePost).await.expect("an answer").stream();
    client.read_until(&mut frames, "interaction").await;
    set.daemon.kill();
    set.daemon.restart().await;
    watch.fires("AfterbayTurnsNeedCredential", at).await;
}

/// Changes one byte in the middle of what was written.
fn damage(log: &Path) {
    let files = fs::read_dir(log).expect("the log").map(|file| file.expect("a file").path());
    let mut segments: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    segments.sort();
    let word = b"execution.started";
    let is_in = |path: &PathBuf| {
        let bytes = fs::read(path).expect("a segment");
        let at = bytes.windows(word.len()).position(|window| window == word)?;
        Some((path.clone(), bytes, at))
    };
    let found = segments.iter().rev().find_map(is_in);
    let (path, mut bytes, at) = found.expect("a turn in the log");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("write the segment");
}
