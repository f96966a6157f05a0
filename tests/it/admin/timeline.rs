//! How a turn went, as operators see it: polls, events, and the comings and goings of clients.

use afterbay::turn::control::wall_ms;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::stage::Stage;
use crate::it::support::rig::within;
use crate::it::support::scripted_box::{Fault, Route};

const TIMELINE: &str = "GET /admin/sessions/s/turns/e-1/timeline";
const COLUMNS: [&str; 7] = ["polls", "pollsFailed", "events", "opened", "resumed", "cut", "ended"];
/// Between the wall clock's reading at a turn's start and the steady clock's.
const CLOCKS_APART_MS: u64 = 50;

/// The timeline once it is as wanted.
async fn seen(stage: &Stage, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let seen = async {
        loop {
            let (status, told) = stage.operate(TIMELINE, "").await;
            assert_eq!(status, 200, "{told}");
            if is_wanted(&told) {
                return told;
            }
        }
    };
    within(what, seen).await
}

/// Waits until the turn is so many slots old.
async fn older(stage: &Stage, slots: usize) {
    seen(stage, "an older turn", |told| column(told, "polls").len() >= slots).await;
}

fn column(timeline: &Value, name: &str) -> Vec<u64> {
    let column = timeline["slots"][name].as_array().unwrap_or_else(|| panic!("{name}: {timeline}"));
    column.iter().map(|count| count.as_u64().expect("a number")).collect()
}

fn sum(timeline: &Value, name: &str) -> u64 {
    column(timeline, name).iter().sum()
}

fn number(timeline: &Value, name: &str) -> u64 {
    timeline[name].as_u64().unwrap_or_else(|| panic!("{name}: {timeline}"))
}

/// That all of a column lies in the slots from the one of `from_ms` to that of `to_ms`.
#[track_caller]
fn check_slots(timeline: &Value, name: &str, from_ms: u64, to_ms: u64) {
    let (since, width) = (number(timeline, "sinceMs"), number(timeline, "slotMs"));
    let from = from_ms.saturating_sub(CLOCKS_APART_MS).saturating_sub(since) / width;
    let to = (to_ms + CLOCKS_APART_MS - since) / width;
    for (slot, count) in (0..).zip(column(timeline, name)) {
        assert!(
            count == 0 || (from..=to).contains(&slot),
            "{name} not in {from}..={to}: {timeline}"
        );
    }
}

fn states(timeline: &Value) -> Vec<&str> {
    let states = timeline["states"].as_array().expect("a list").iter();
    states.map(|state| state["state"].as_str().expect("a word")).collect()
}

#[tokio::test]
async fn polls_events_and_clients_stand_in_the_slots_in_which_they_were() {
    let stage = Stage::open().await;
    let began = wall_ms();
    stage.turn("s", "e-1").await;
    let (session, turn) = ("/agents/sessions/s/events?until=idle", "/agents/executions/e-1/events");
    let mut whole = stage.read_as_client(session, "").await;
    let mut cut = stage.read_as_client(turn, "").await;
    within("an event", whole.read_to("id: 1\n")).await;
    within("an event", cut.read_to("id: 1\n")).await;
    let opened = wall_ms();
    // An operator's tail is none of the readers.
    let mut tail = stage.open_stream("/admin/sessions/s/events", &stage.token()).await;
    within("an event", tail.read_to("id: 1\n")).await;
    let both = seen(&stage, "two readers", |told| told["readers"] == 2).await;
    assert_eq!((sum(&both, "opened"), sum(&both, "cut"), sum(&both, "resumed")), (2, 0, 0));
    assert_eq!((&both["whole"], &both["executionId"]), (&json!(true), &json!("e-1")));
    let (_, shown) = stage.operate("GET /admin/sessions/s", "").await;
    assert_eq!(shown["readers"], 2);

    older(&stage, 3).await;
    let failing = wall_ms();
    stage.scripted.fail_next(Route::Status, Fault::html(502));
    seen(&stage, "a failed poll", |told| sum(told, "pollsFailed") == 1).await;
    let failed = wall_ms();
    older(&stage, 5).await;
    let cutting = wall_ms();
    drop(cut);
    seen(&stage, "a cut", |told| sum(told, "cut") == 1 && told["readers"] == 1).await;
    let gone = wall_ms();
    older(&stage, 7).await;
    let returning = wall_ms();
    let mut back = stage.read_as_client(turn, "Last-Event-ID: 1\r\n").await;
    within("the rest", back.read_to("id: 2\n")).await;
    seen(&stage, "the return", |told| sum(told, "resumed") == 1 && told["readers"] == 2).await;
    let resumed = wall_ms();
    older(&stage, 9).await;
    let ending = wall_ms();
    stage.end_turn();
    for stream in [&mut whole, &mut back] {
        within("the end", stream.read_to("event: done")).await;
        within("the close", stream.read_to_close()).await;
    }
    let told = seen(&stage, "the end", |told| sum(told, "ended") == 2).await;
    let ended = wall_ms();

    for (name, from, to) in [
        ("polls", began, ended),
        ("opened", began, opened),
        ("pollsFailed", failing, failed),
        ("cut", cutting, gone),
        ("resumed", returning, resumed),
        ("ended", ending, ended),
    ] {
        check_slots(&told, name, from, to);
    }
    let slots = (number(&told, "untilMs") - number(&told, "sinceMs")) / number(&told, "slotMs") + 1;
    for name in COLUMNS {
        assert_eq!(column(&told, name).len() as u64, slots, "{name}");
    }
    let (_, shown) = stage.operate("GET /admin/sessions/s", "").await;
    assert_eq!(told["readers"], 0, "the tail is open still");
    assert_eq!(json!(sum(&told, "events")), shown["turns"][0]["events"]);
    assert_eq!(["opened", "cut", "resumed"].map(|name| sum(&told, name)), [2, 1, 1]);
    assert!(sum(&told, "polls") > 2, "{told}");
    let states = states(&told);
    assert_eq!((states.first(), states.last()), (Some(&"accepted"), Some(&"finished")), "{told}");
    assert!(states.contains(&"running"), "{states:?}");

    let mut replay = stage.read_as_client(turn, "").await;
    within("the end once more", replay.read_to("event: done")).await;
    let mut idle = stage.read_as_client("/agents/sessions/s/events", "").await;
    within("the end once more", idle.read_to("event: done")).await;
    within("the close", replay.read_to_close()).await;
    let again = seen(&stage, "only one stays", |told| told["readers"] == 1).await;
    assert_eq!((&again["slots"], &again["untilMs"]), (&told["slots"], &told["untilMs"]));
}

#[tokio::test]
async fn a_turn_that_goes_on_after_a_restart_is_not_whole_and_one_that_was_over_has_none() {
    let stage = Stage::open().await;
    stage.turn("over", "e-0").await;
    stage.end_turn();
    let mut first = stage.read_as_client("/agents/executions/e-0/events", "").await;
    within("the end", first.read_to("event: done")).await;
    let over = "GET /admin/sessions/over/turns/e-0/timeline";
    assert_eq!(stage.operate(over, "").await.0, 200);
    stage.turn("s", "e-1").await;
    let before = seen(&stage, "it runs", |told| states(told).contains(&"running")).await;
    assert_eq!((&before["whole"], before.get("statesLeftOut")), (&json!(true), None));
    stage.daemon.signal(Signal::KILL);
    let restarted = wall_ms();
    let again = stage.again().await;
    // It goes on with the credential that its reader comes back with.
    let back = "Last-Event-ID: 1\r\n";
    let _reader = again.read_as_client("/agents/executions/e-1/events", back).await;
    let goes_on = |told: &Value| sum(told, "polls") > 0 && sum(told, "resumed") == 1;
    let told = seen(&again, "it goes on", goes_on).await;
    assert_eq!(sum(&told, "opened"), 0, "{told}");
    assert_eq!((&told["whole"], states(&told)), (&json!(false), vec!["running"]));
    assert!(number(&told, "sinceMs") >= restarted, "what was before is not known: {told}");
    for (line, code) in [
        (over, "TIMELINE_NOT_KEPT"),
        ("GET /admin/sessions/s/turns/e-0/timeline", "EXECUTION_NOT_FOUND"),
        ("GET /admin/sessions/none/turns/e-1/timeline", "SESSION_NOT_FOUND"),
        ("GET /admin/sessions/s/turns/e-1/timeline?box=none", "SESSION_NOT_FOUND"),
    ] {
        let (status, told) = again.operate(line, "").await;
        assert_eq!((status, &told["error"]["code"]), (404, &json!(code)), "{line}");
    }
}
