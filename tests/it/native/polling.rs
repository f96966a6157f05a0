//! Events as JSON: at once, after a wait, in pages, and around what is gone.

use afterbay::http::Settings;
use afterbay::limits;
use afterbay::turn::control::wall_ms;
use afterbay::upstream::Ending;
use serde_json::{Value, json as value};

use super::super::raw::{Answer, read};
use super::super::support::play::Play;
use super::super::support::rig::within;
use super::{AS_JSON, EVENTS, MESSAGE, ask, check_error, json, run, start};
use crate::it::retention::TOO_OLD;

async fn poll(play: &Play, query: &str) -> Answer {
    ask(play, &format!("GET {EVENTS}?{query}"), AS_JSON, "").await
}

#[track_caller]
fn ids(answer: &Value) -> Vec<u64> {
    let events = answer["events"].as_array().expect("events");
    events.iter().map(|event| event["id"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn what_is_there_is_told_at_once_in_pages() {
    let play = Play::new().await;
    run(&play, "", MESSAGE).await;
    let answer = poll(&play, "wait=50").await;
    assert_eq!(answer.head.one("content-type"), Some("application/json"));
    let told = json(&answer);
    assert_eq!((ids(&told), &told["next"]), (vec![1, 2, 3, 4, 5], &value!(5)));
    assert_eq!(told.get("gap"), None);
    let names: Vec<_> = (0..5).map(|at| told["events"][at]["event"].clone()).collect();
    let expected =
        ["execution.started", "message.part.updated", "message.part.updated", "result", "done"];
    assert_eq!(names, expected);
    assert_eq!(told["events"][1]["data"], value!({"part": {"text": "one"}}));
    let mut cursor = 0;
    for expected in [vec![1, 2], vec![3, 4], vec![5], vec![]] {
        let told = json(&poll(&play, &format!("limit=2&after={cursor}")).await);
        assert_eq!(ids(&told), expected);
        cursor = told["next"].as_u64().expect("a number");
    }
    assert_eq!(cursor, 5);
    for query in ["lastEventId=3", "last_event_id=3", "starting_after=3", "after=003"] {
        assert_eq!(ids(&json(&poll(&play, query).await)), [4, 5], "{query}");
    }
    let fields = format!("{AS_JSON}Last-Event-ID: 4\r\n");
    let told = ask(&play, &format!("GET {EVENTS}?after=1"), &fields, "").await;
    assert_eq!(ids(&json(&told)), [5]);
}

#[tokio::test]
async fn a_poll_waits_for_the_first_event_and_not_for_more() {
    let play = Play::new().await;
    start(&play, "", MESSAGE).await;
    let line = format!("GET {EVENTS}?after=1&wait=50");
    let waiting = play.ask(&line, AS_JSON, "").await;
    play.hall.script.says("one");
    let told = json(&within("the event is told", read(waiting)).await);
    assert_eq!((ids(&told), &told["next"]), (vec![2], &value!(2)));
}

#[tokio::test]
async fn a_poll_ends_with_nothing_when_its_wait_is_over() {
    let play = Play::new().await;
    start(&play, "", MESSAGE).await;
    for query in ["after=1", "after=1&wait=0", "after=1&wait=1"] {
        let told = json(&poll(&play, query).await);
        assert_eq!(told, value!({"events": [], "next": 1}), "{query}");
    }
}

#[tokio::test]
async fn a_server_that_stops_ends_the_wait() {
    let play = Play::with(Settings { max_streams: 1, ..Settings::default() }).await;
    start(&play, "", MESSAGE).await;
    let waiting = play.ask(&format!("GET {EVENTS}?after=1&wait=50"), AS_JSON, "").await;
    // It waits once it has the only place.
    while poll(&play, "after=1").await.head.status() != 429 {}
    play.hall.drain.cancel();
    let answer = within("the wait ends", read(waiting)).await;
    assert_eq!(json(&answer), value!({"events": [], "next": 1}));
    check_error(&poll(&play, "after=1").await, 503, "DRAINING");
}

#[tokio::test]
async fn a_poll_takes_one_of_the_places_for_streams() {
    let play = Play::with(Settings { max_streams: 1, ..Settings::default() }).await;
    start(&play, "", MESSAGE).await;
    let mut stream = play.ask(&format!("GET {EVENTS}"), "", "").await;
    stream.read_to("execution.started").await;
    let refused = poll(&play, "after=1").await;
    check_error(&refused, 429, "TOO_MANY_STREAMS");
    assert_eq!(refused.json("/quotaType"), "streams");
    // An event stream that a page may come back for is told to.
    let line = format!("GET {EVENTS}");
    let native = ask(&play, &line, "Accept: text/event-stream\r\n", "").await;
    assert_eq!((native.head.status(), native.frames()), (200, Vec::new()));
}

#[tokio::test]
async fn what_is_gone_is_a_gap_with_its_bounds() {
    let play = Play::new().await;
    run(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    let later = wall_ms() + u64::try_from(TOO_OLD.as_millis()).expect("a time of ours");
    play.hall.retention.look(later).await;
    let gap = |from, to| value!({"events": [], "next": 5, "gap": {"from": from, "to": to}});
    for (query, expected) in
        [("", gap(1, 5)), ("after=0&wait=50", gap(1, 5)), ("after=3", gap(4, 5))]
    {
        assert_eq!(json(&poll(&play, query).await), expected, "{query}");
    }
    assert_eq!(json(&poll(&play, "after=5").await), value!({"events": [], "next": 5}));
    run(&play, "X-Execution-ID: e-2\r\n", MESSAGE).await;
    let told = json(&poll(&play, "after=2&limit=3").await);
    assert_eq!(told["gap"], value!({"from": 3, "to": 5}));
    assert_eq!((ids(&told), &told["next"]), (vec![6, 7, 8], &value!(8)));
}

#[tokio::test]
async fn an_answer_has_its_bounds() {
    let play = Play::new().await;
    let large = "x".repeat(limits::MAX_POLL_BYTES / 2);
    for _ in 0..3 {
        play.hall.script.says(&large);
    }
    play.hall.script.says(&"y".repeat(limits::MAX_POLL_BYTES + 1));
    run(&play, "", MESSAGE).await;
    let mut cursor = 0;
    let mut pages = Vec::new();
    while cursor < 9 {
        let told = json(&poll(&play, &format!("after={cursor}")).await);
        cursor = told["next"].as_u64().expect("a number");
        pages.push(ids(&told));
    }
    assert_eq!(pages, [vec![1, 2], vec![3], vec![4], vec![5], vec![6, 7, 8, 9]]);
    for query in ["limit=0", "limit=1001", "limit=x", "limit=-1", "wait=51", "wait=-1", "wait=0.5"]
    {
        check_error(&poll(&play, query).await, 400, "INVALID_QUERY");
        let stream = ask(&play, &format!("GET {EVENTS}?until=idle&{query}"), "", "").await;
        check_error(&stream, 400, "INVALID_QUERY");
    }
    assert_eq!(json(&poll(&play, "limit=1000&after=9").await)["next"], 9);
}

#[tokio::test]
async fn a_whole_turn_can_be_read_by_polls_alone() {
    let play = Play::new().await;
    let accepted = json(&start(&play, "", MESSAGE).await);
    let (mut cursor, mut names) = (accepted["cursor"].as_u64().expect("a number"), Vec::new());
    play.hall.script.says("one");
    play.hall.script.ends(Ending::Completed);
    while names.last().is_none_or(|name| name != "done") {
        let told = json(&poll(&play, &format!("after={cursor}&wait=20")).await);
        let events = told["events"].as_array().expect("events");
        names.extend(events.iter().map(|event| event["event"].as_str().expect("text").to_owned()));
        cursor = told["next"].as_u64().expect("a number");
    }
    assert_eq!(names, ["execution.started", "message.part.updated", "result", "done"]);
}
