//! The operator's story: a Prometheus scrapes afterbay under load, every query of the dashboard shows
//! something, and every alert rule can be evaluated. That each fires by its fault: `alerts`,
//! `slow_faults` and `short_disk`.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::task::JoinSet;

use super::super::client::{Client, Opened, Turn, WAYS, Way};
use super::super::http::Request;
use super::super::readme;
use super::super::wait;
use super::prometheus::Prometheus;
use super::set::{Set, Settings};
use super::watch::{RULES, SOON};

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
