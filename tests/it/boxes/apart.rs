//! Boxes are isolated by name: the same ids on two of them are two sessions and two turns, also
//! after a crash, and each box has its own share of the polls.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::super::raw::RawBox;
use super::super::support::scripted_sidecar::{Canned, Route, Sidecar};
use super::{Stage, answers, table};

const PROMPT: &str = r#"{"message":"hi","sessionId":"ses","turnId":"t"}"#;
const EXECUTION: &str = "X-Execution-ID: e\r\n";
const RUN: &str = "/agents/run/stream";

/// Two sidecars with an answer each; the second tells results.
async fn two(more: &[&str]) -> (Sidecar, Sidecar, Stage) {
    let (one, two) = (Sidecar::start().await, Sidecar::start().await);
    answers(&one, "of one");
    answers(&two, "of two");
    let tables =
        [table("one", &one.base(), ""), table("two", &two.base(), "result_path = \"/r/{id}\"")];
    let stage = Stage::of(&tables, more).await;
    (one, two, stage)
}

/// What the box called `one` is reached under, and the other.
const PREFIXES: [(&str, &str); 3] =
    [("", "of one"), ("/box/one", "of one"), ("/box/two", "of two")];

async fn check_replays(stage: &Stage) {
    for (prefix, text) in PREFIXES {
        for target in [
            format!("GET {prefix}{RUN}?executionId=e"),
            format!("GET {prefix}/agents/executions/e/events"),
            format!("GET {prefix}/agents/sessions/ses/events?until=idle"),
            format!("GET {prefix}/agents/events?sessionId=ses&until=idle"),
            format!("POST {prefix}{RUN}"),
        ] {
            let body = if target.starts_with("POST") { PROMPT } else { "" };
            let answer = stage.ask(&target, "", body).await;
            assert_eq!(answer.head.status(), 200, "{target}");
            assert_eq!(answer.last_data("result")["finalText"], text, "{target}");
            assert_eq!(answer.ids().first(), Some(&1), "{target}");
        }
    }
}

/// Turns and requests are told apart by the configured names, and by nothing that a request says.
async fn check_counted(stage: &Stage) {
    for name in ["one", "nobody"] {
        stage.ask(&format!("GET /afterbay/v1/boxes/{name}/sessions/ses"), "", "").await;
    }
    let metrics = stage.metrics().await;
    for line in [
        "afterbay_dispatches_total{box=\"one\",kind=\"tangle\"} 1",
        "afterbay_dispatches_total{box=\"two\",kind=\"tangle\"} 1",
        "afterbay_turns_finished_total{box=\"two\",code=\"none\",kind=\"tangle\",mode=\"poll\",outcome=\"completed\"} 1",
        "afterbay_http_requests_total{asked=\"turn\",box=\"two\",mode=\"poll\",status=\"2xx\"} 2",
        "afterbay_http_requests_total{asked=\"native\",box=\"one\",mode=\"poll\",status=\"2xx\"} 1",
        "afterbay_http_requests_total{asked=\"native\",box=\"\",mode=\"poll\",status=\"4xx\"} 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} not in\n{metrics}");
    }
    assert!(!metrics.contains("nobody"));
}

#[tokio::test]
async fn the_same_ids_on_two_boxes_are_two_turns_in_two_logs_also_after_a_crash() {
    let (one, two, stage) = two(&[]).await;
    for (prefix, text) in [("", "of one"), ("/box/two", "of two")] {
        let answer = stage.ask(&format!("POST {prefix}{RUN}"), EXECUTION, PROMPT).await;
        assert_eq!(answer.last_data("result")["finalText"], text);
        assert_eq!(answer.head.one("x-execution-id"), Some("e"));
    }
    check_replays(&stage).await;
    check_counted(&stage).await;
    let stage = stage.killed_and_again().await;
    check_replays(&stage).await;
    // Each prompt went to its own box, once.
    assert_eq!((one.seen(Route::Run).len(), two.seen(Route::Run).len()), (1, 1));
    assert_eq!(two.seen(Route::Run)[0].path, RUN);
}

#[tokio::test]
async fn the_native_api_starts_a_turn_on_the_box_that_it_names() {
    let (one, two, stage) = two(&[]).await;
    for (name, text) in [("two", "of two"), ("one", "of one")] {
        let sessions = format!("/afterbay/v1/boxes/{name}/sessions/ses");
        let json = "Content-Type: application/json\r\n";
        let body = r#"{"message":"hi","turnId":"t"}"#;
        let started = stage.ask(&format!("POST {sessions}/turns"), json, body).await;
        assert_eq!(started.head.status(), 202, "{}", started.body);
        let events = stage.ask(&format!("GET {sessions}/events?until=idle"), "", "").await;
        assert_eq!(events.last_data("result")["finalText"], text);
    }
    assert_eq!((one.seen(Route::Run).len(), two.seen(Route::Run).len()), (1, 1));
    let listed = stage.ask("GET /afterbay/v1/sessions?box=two", "", "").await;
    assert_eq!(listed.json("/sessions/0/box").as_str(), "two", "{}", listed.body);
    let unknown = stage.ask("GET /afterbay/v1/boxes/three/sessions/ses", "", "").await;
    assert_eq!(unknown.head.one("x-afterbay-error"), Some("BOX_UNKNOWN"));
}

#[tokio::test]
async fn what_one_box_knows_is_unknown_at_the_other() {
    let (one, two, stage) = two(&[]).await;
    let owner = "Authorization: Bearer owner\r\n";
    stage.ask(&format!("POST {RUN}"), &format!("{EXECUTION}{owner}"), PROMPT).await;
    let unknown = stage.ask("GET /box/two/agents/executions/e/events", owner, "").await;
    assert_eq!(unknown.head.one("x-afterbay-error"), Some("EXECUTION_NOT_FOUND"));
    // A session that is not known is the box's request: it says 404 to the path that it is sent.
    let events = stage.ask("GET /box/two/agents/sessions/ses/events", owner, "").await;
    assert_eq!((events.head.status(), events.head.one("x-afterbay-error")), (404, None));
    let passed = two.seen(Route::Other).pop().expect("a request");
    assert_eq!(passed.path, "/agents/sessions/ses/events");
    stage.ask("POST /box/two/agents/sessions/ses/abort", owner, "").await;
    assert_eq!((one.seen(Route::Abort).len(), two.seen(Route::Abort).len()), (0, 1));
    // Who reads at one box does not read at the other.
    let other = "Authorization: Bearer other\r\n";
    stage.ask(&format!("POST /box/two{RUN}"), &format!("{EXECUTION}{other}"), PROMPT).await;
    two.says(Route::Status, [Canned::error(403, "FORBIDDEN")]);
    let denied = stage.ask("GET /box/two/agents/executions/e/events", owner, "").await;
    assert_eq!(denied.head.status(), 403, "{denied:?}");
    let allowed = stage.ask("GET /agents/executions/e/events", owner, "").await;
    assert_eq!(allowed.last_data("result")["finalText"], "of one");
}

#[tokio::test]
async fn each_box_tells_its_results_where_its_own_table_says() {
    let (_one, _two, stage) = two(&[]).await;
    for prefix in ["", "/box/two"] {
        stage.ask(&format!("POST {prefix}{RUN}"), EXECUTION, PROMPT).await;
    }
    let told = stage.ask("GET /box/two/r/ses", "", "").await;
    assert_eq!((told.head.status(), told.head.one("x-afterbay-source")), (200, Some("log")));
    assert_eq!(told.json("/finalText"), "of two");
    let passed = stage.ask("GET /r/ses", "", "").await;
    assert_eq!((passed.head.status(), passed.head.one("x-afterbay-source")), (404, None));
}

#[tokio::test]
async fn a_box_that_is_gone_takes_no_other_along() {
    let (one, _two, stage) = two(&["--unreachable-deadline", "1s", "--start-deadline", "1s"]).await;
    one.stop().await;
    let gone = stage.ask(&format!("POST {RUN}"), EXECUTION, PROMPT).await;
    assert_eq!(gone.head.status(), 502, "{gone:?}");
    let other = stage.ask(&format!("POST /box/two{RUN}"), EXECUTION, PROMPT).await;
    assert_eq!(other.last_data("result")["finalText"], "of two");
}

#[tokio::test]
async fn a_redirect_of_the_box_is_not_followed_by_what_polls_it() {
    let (one, _two, stage) = two(&["--unreachable-deadline", "1s", "--start-deadline", "1s"]).await;
    let elsewhere = RawBox::listen().await;
    let target = format!("http://{}/agents/sessions/sess_box", elsewhere.addr);
    for (route, status) in [(Route::Status, 302), (Route::Run, 307), (Route::Messages, 308)] {
        answers(&one, "of one");
        let redirect = Canned::json(status, &json!({})).with("location", &target);
        one.says(route, [redirect]);
        let body = PROMPT.replace("\"t\"", &format!("\"{status}\""));
        let told = stage.ask(&format!("POST {RUN}"), "Authorization: Bearer a\r\n", &body).await;
        let refused = told.head.status() != 200;
        assert!(refused || told.last_data("done")["status"] == "failed", "{route:?} {told:?}");
        assert!(!one.seen(route).is_empty(), "{route:?}");
        assert!(elsewhere.is_untouched().await, "{route:?}");
    }
}

#[tokio::test]
async fn all_boxes_together_are_polled_within_one_total() {
    let (one, two, stage) = two(&["--poll-rate-total", "4"]).await;
    let busy = json!({"data": {"session": {"state": "running"}}});
    for sidecar in [&one, &two] {
        sidecar.says(Route::Status, [Canned::json(200, &busy)]);
    }
    let begun = Instant::now();
    let _first = stage.send(&format!("POST {RUN}"), EXECUTION, PROMPT).await;
    let _second = stage.send(&format!("POST /box/two{RUN}"), EXECUTION, PROMPT).await;
    let polls = || one.seen(Route::Status).len() + two.seen(Route::Status).len();
    while polls() < 16 {
        tokio::task::yield_now().await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{} polls", polls());
    }
    // Four at once, then four a second.
    assert!(begun.elapsed() >= Duration::from_millis(2900), "{:?}", begun.elapsed());
    let both = [&one, &two].map(|sidecar| sidecar.seen(Route::Status).len());
    assert!(both.iter().all(|polls| *polls >= 4), "{both:?}");
}

#[tokio::test]
async fn a_box_that_is_polled_at_its_rate_takes_nothing_from_the_others() {
    let (one, two, stage) = two(&["--poll-rate", "1", "--poll-rate-total", "1000"]).await;
    let busy = json!({"data": {"session": {"state": "running"}}});
    one.says(Route::Status, [Canned::json(200, &busy)]);
    let mut held = Vec::new();
    // Twenty seconds of polls, at this rate, for one look at each turn.
    for turn in 0..20 {
        let body = format!(r#"{{"message":"hi","sessionId":"s{turn}"}}"#);
        held.push(stage.send(&format!("POST {RUN}"), "", &body).await);
    }
    for client in &mut held {
        assert_eq!(client.read_head().await.status(), 200);
    }
    let begun = Instant::now();
    let other = stage.ask(&format!("POST /box/two{RUN}"), EXECUTION, PROMPT).await;
    assert_eq!(other.last_data("result")["finalText"], "of two");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(two.seen(Route::Status).len() < 5);
}
