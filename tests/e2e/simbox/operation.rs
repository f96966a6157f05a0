//! The operator's story: a Prometheus scrapes afterbay under load, every query of the dashboard shows
//! something, every alert rule can be evaluated, and those whose fault takes seconds fire by it.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use super::super::client::{Client, Opened, Turn, WAYS, Way};
use super::super::daemon::{self, Daemon, Patience};
use super::super::http::Request;
use super::super::readme;
use super::super::wait;
use super::prometheus::Prometheus;
use super::set::{Set, Settings};

const RULES: &str = include_str!("../../../deploy/prometheus/alerts.yml");
const DASHBOARD: &str = include_str!("../../../deploy/grafana/dashboard.json");
/// Turns that show something, are silent, fail, and get lost on their way.
const SCRIPTS: [&str; 4] =
    ["parts=8 tool=2 step=40ms", "parts=3 quiet=1200ms", "fail=BROKEN", "lose=prompt"];
/// What such turns and their clients must have moved.
const MOVED: [&str; 20] = [
    "afterbay_turns_accepted_total",
    r#"afterbay_turns_finished_total{outcome="completed",code="none"}"#,
    r#"afterbay_turns_finished_total{outcome="failed",code="AGENT_FAILED"}"#,
    r#"afterbay_turn_phase_seconds_count{phase="running"}"#,
    r#"afterbay_turn_phase_seconds_count{phase="resolving"}"#,
    r#"afterbay_turns{phase="running"}"#,
    // One silence, and not the sum of many short ones.
    r#"sum(afterbay_turn_quiet_seconds_count) - sum(afterbay_turn_quiet_seconds_bucket{le="1"})"#,
    r#"afterbay_dispatch_answers_total{answer="accepted"}"#,
    r#"afterbay_dispatch_answers_total{answer="unanswered"}"#,
    "afterbay_dispatches_repeated_total",
    r#"afterbay_box_errors_total{class="no_answer"}"#,
    r#"afterbay_polls_total{result="changed"}"#,
    r#"afterbay_polls_total{result="unchanged"}"#,
    "afterbay_poll_events_sum - afterbay_poll_events_count",
    r#"afterbay_http_stream_age_seconds_count{reason="gone"}"#,
    r#"afterbay_http_stream_age_seconds_count{reason="complete"}"#,
    "afterbay_http_lag_events_count",
    "afterbay_http_reconnects_total",
    r#"afterbay_http_events_sent_total{source="live"}"#,
    r#"afterbay_http_passed_seconds_count{result="4xx"}"#,
];
/// For a scrape and an evaluation each second, also while the machine is busy.
const SOON: Duration = Duration::from_secs(90);

/// Each query of the dashboard, as Grafana would send it.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let queries: Vec<_> = targets
        .map(|target| target["expr"].as_str().expect("a query").to_owned())
        .map(|query| query.replace("$instance", ".*").replace("$__rate_interval", "10s"))
        .collect();
    assert!(queries.len() > 50, "{queries:?}");
    queries
}

/// Turns of every kind, clients that come back, and requests that pass, until it is dropped.
fn load(at: SocketAddr) -> JoinSet<()> {
    let mut load = JoinSet::new();
    for lane in 0..4 {
        load.spawn(async move {
            for number in 0_u32.. {
                let script = SCRIPTS[number as usize % SCRIPTS.len()];
                let turn = Turn::new(&format!("turn-{lane}-{number}"), script);
                let mut client = Client::new(at, turn, &WAYS);
                if let Ok(Opened::Stream(mut frames)) = client.open(Way::SamePost).await {
                    client.read_one(&mut frames).await;
                }
                client.run().await;
                let passed = Request::get("/agents/anything").send(at).await.expect("an answer");
                drop(passed.bytes().await);
            }
        });
    }
    load
}

#[tokio::test]
async fn every_query_of_the_dashboard_has_data_and_every_rule_can_be_evaluated() {
    let set = Set::with(Settings::default()).await;
    let targets = [set.daemon.operators()];
    let Some(prometheus) = Prometheus::start(&targets, RULES).await else { return };
    let _load = load(set.daemon.address());
    for query in queries() {
        // `NaN` is what a quantile or a quotient of nothing is.
        wait::until(SOON, &query, || async {
            let found = prometheus.query(&query).await;
            found.iter().any(|value| value.is_finite()).then_some(())
        })
        .await;
    }
    for moved in MOVED {
        let query = format!("({moved}) > 0");
        wait::until(SOON, &query, || async {
            (!prometheus.query(&query).await.is_empty()).then_some(())
        })
        .await;
    }
    let rules = wait::until(SOON, "each rule was evaluated", || async {
        let rules = prometheus.rules().await;
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    })
    .await;
    assert_eq!(rules.len(), RULES.matches("- alert: ").count());
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    labels_are_bounded(&prometheus).await;
    println!("{} queries, {} rules", queries().len(), rules.len());
}

/// Under load, too, no label has a value that README does not list.
async fn labels_are_bounded(prometheus: &Prometheus) {
    for (label, listed) in readme::label_values() {
        let seen: BTreeSet<_> = prometheus.label_values(&label).await.into_iter().collect();
        match label.as_str() {
            "box" => assert!(seen.iter().all(|name| name == "default"), "{seen:?}"),
            "version" => assert_eq!(seen.len(), 1),
            _ => assert!(seen.is_subset(&listed), "{label}: {seen:?} of {listed:?}"),
        }
    }
}

/// The rules with their times in seconds, but for those of half an hour and more: the conditions stay.
fn hastened() -> String {
    let mut rules = RULES.to_owned();
    for minutes in ["1m", "2m", "5m", "10m", "15m", "20m"] {
        rules = rules.replace(&format!("for: {minutes}\n"), "for: 0s\n");
        rules = rules.replace(&format!("[{minutes}]"), "[8s]");
    }
    rules
}

/// The daemons of the faults and who watches them.
struct Watch {
    prometheus: Prometheus,
}

impl Watch {
    /// Waits until this alert fires for the daemon at `instance`, while `act` is done again and again.
    async fn fires_while<F>(&self, name: &'static str, at: SocketAddr, act: impl Fn() -> F)
    where
        F: Future<Output = ()>,
    {
        let alert = wait::until(SOON, &format!("{name} fires"), || async {
            act().await;
            let firing = self.prometheus.firing().await.into_iter();
            let (name, at) = (Value::from(name), Value::from(at.to_string()));
            let is_it = |alert: &Value| {
                alert["labels"]["alertname"] == name && alert["labels"]["instance"] == at
            };
            firing.into_iter().find(is_it)
        })
        .await;
        let summary = alert["annotations"]["summary"].as_str().expect("a summary");
        assert!(!summary.contains("<no value>") && !summary.contains("error"), "{alert}");
        println!("{name}: {summary}");
    }

    async fn fires(&self, name: &'static str, at: SocketAddr) {
        self.fires_while(name, at, || async {}).await;
    }

    /// Waits until a query finds something.
    async fn sees(&self, query: &str) {
        wait::until(SOON, query, || async {
            (!self.prometheus.query(query).await.is_empty()).then_some(())
        })
        .await;
    }
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
    let Some(prometheus) = Prometheus::start(&targets, &hastened()).await else { return };
    let watch = Watch { prometheus };
    let [at, guarded_at, full_at] = targets;

    watch.fires("AfterbayNotReady", full_at).await;
    watch.fires("AfterbayRefusesTurns", full_at).await;
    let early = watch.prometheus.firing().await;
    let about_faulty = |alert: &&Value| alert["labels"]["instance"] == at.to_string();
    let early: Vec<_> = early.iter().filter(about_faulty).collect();
    let disk = |alert: &&&Value| alert["labels"]["alertname"] != "AfterbayDiskShort";
    assert_eq!(early.iter().filter(disk).count(), 0, "before any fault: {early:?}");

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
