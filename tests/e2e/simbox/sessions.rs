//! What the routes of a session promise before a box of the sandbox's kind: abort, the session's
//! log, repeated turns, one turn at a time, ids that the box assigned, receipts.

use std::time::Duration;

use afterbay::simbox::State;
use serde_json::json;

use super::super::client::{Client, Opened, Turn, WAYS, Way};
use super::super::frames::{Frame, Frames};
use super::super::http::{Request, Response};
use super::super::oracle::{self, Verdict};
use super::super::wait;
use super::set::Set;
use super::shown::{self, Seen};

/// A gate in mid-turn.
const WAITS: &str = "parts=4 tool=1 step=50ms wait=answer";

async fn send(set: &Set, request: Request) -> Response {
    request.send(set.daemon.address()).await.expect("the daemon answers")
}

/// Starts `turn` and reads to its gate.
async fn at_the_gate(set: &Set, turn: Turn) -> (Client, Frames) {
    let mut client = set.client(turn);
    let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
    client.read_until(&mut frames, "interaction").await;
    (client, frames)
}

fn assigned(client: &Client) -> &str {
    client.seen[0].data["sessionId"].as_str().expect("the assigned session")
}

/// All frames of a session's log that ends when nothing runs.
async fn session_log(set: &Set, path: &str, after: Option<u64>) -> Vec<Frame> {
    let after = after.map(|id| id.to_string());
    let answer = send(set, Request::get(path).maybe("last-event-id", after.as_deref())).await;
    let mut frames = Frames::of(answer);
    let mut all = Vec::new();
    while let Ok(frame) = frames.next().await {
        all.push(frame);
    }
    all
}

#[tokio::test]
async fn an_aborted_turn_is_cancelled_once_under_each_of_its_sessions_names() {
    let set = Set::for_waiting_turns().await;
    for (marker, under_the_assigned) in [("turn-1", false), ("turn-2", true)] {
        let turn = Turn::new(marker, &format!("{WAITS} assign"));
        let (mut client, mut frames) = at_the_gate(&set, turn).await;
        let supplied = client.turn.session.clone();
        let name = if under_the_assigned { assigned(&client).to_owned() } else { supplied };
        let abort = Request::post(format!("/agents/sessions/{name}/abort"), &json!({}));
        let answer = send(&set, abort.clone()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json().await.expect("a body")["data"]["cancelled"], true);
        client.read(&mut frames).await;
        oracle::check(&client, set.daemon.address(), Verdict::Cancelled).await;
        assert_eq!(set.told(&client).state, State::Aborted);
        shown::check_cost(marker, &set.told(&client));
        // Nothing runs any more: the answer is the box's, and nothing happens.
        assert_eq!(send(&set, abort).await.status, 404);
        let path = format!("/agents/sessions/{name}/events?until=idle");
        let log = session_log(&set, &path, None).await;
        assert_eq!(oracle::bytes_of(&log), oracle::bytes_of(&client.seen));
    }
}

#[tokio::test]
async fn the_log_of_a_session_is_its_turns_and_ends_when_told_to() {
    let set = Set::for_waiting_turns().await;
    let mut first = set.client(Turn::new("turn-1", "parts=3 step=50ms assign"));
    first.run().await;
    let second = Turn { session: first.turn.session.clone(), ..Turn::new("turn-2", WAITS) };
    let (mut second, mut frames) = at_the_gate(&set, second).await;
    let paths = [first.turn.session.as_str(), assigned(&first)].map(|session| {
        [
            format!("/agents/sessions/{session}/events?until=idle"),
            format!("/agents/events?sessionId={session}&until=idle"),
        ]
    });
    // Opened while a turn runs, it follows that one to its end.
    let following = session_log(&set, &paths[0][0], None);
    let ending = async {
        set.simbox.answer_waiting();
        second.read(&mut frames).await;
    };
    let (followed, ()) = wait::within(Duration::from_secs(60), "the log ends", async {
        tokio::join!(following, ending)
    })
    .await;
    shown::check(&set, &first, Verdict::Completed, Seen::Last).await;
    shown::check(&set, &second, Verdict::Completed, Seen::Last).await;
    assert_eq!(second.seen[0].id, first.last_id() + 1, "one row of ids");
    let both = [oracle::bytes_of(&first.seen), oracle::bytes_of(&second.seen)].concat();
    assert_eq!(oracle::bytes_of(&followed), both);
    for path in paths.iter().flatten() {
        assert_eq!(oracle::bytes_of(&session_log(&set, path, None).await), both, "{path}");
        let rest = session_log(&set, path, Some(first.last_id())).await;
        assert_eq!(oracle::bytes_of(&rest), oracle::bytes_of(&second.seen), "{path}");
        // The one cursor that names the first event it wants.
        let since = format!("{path}&since={}", second.seen[0].id);
        let rest = session_log(&set, &since, None).await;
        assert_eq!(oracle::bytes_of(&rest), oracle::bytes_of(&second.seen), "{since}");
    }
}

#[tokio::test]
async fn a_repeated_turn_attaches_while_it_runs_and_replays_when_it_is_over() {
    let set = Set::for_waiting_turns().await;
    let turn = Turn::new("turn-1", WAITS);
    let (mut first, mut frames) = at_the_gate(&set, turn.clone()).await;
    let mut again = set.client(turn.clone());
    let mut repeated = again.open(Way::SamePost).await.expect("the daemon answers").stream();
    again.read_until(&mut repeated, "interaction").await;
    set.simbox.answer_waiting();
    tokio::join!(first.read(&mut frames), again.read(&mut repeated));
    // The same turn id with other words is the same turn, as at the sandbox.
    let mut other_words = set.client(Turn { script: "parts=1".to_owned(), ..turn });
    other_words.run().await;
    for client in [&again, &other_words] {
        assert_eq!(client.execution, first.execution);
        assert_eq!(oracle::bytes_of(&client.seen), oracle::bytes_of(&first.seen));
    }
    shown::check(&set, &first, Verdict::Completed, Seen::Last).await;
    let totals = set.simbox.account().totals;
    assert_eq!((totals.turns, totals.dispatches, totals.runs), (1, 1, 1));
}

#[tokio::test]
async fn another_turn_on_a_busy_session_is_told_so_and_may_come_later() {
    let set = Set::for_waiting_turns().await;
    let (mut first, mut frames) = at_the_gate(&set, Turn::new("turn-1", WAITS)).await;
    let second = Turn { session: first.turn.session.clone(), ..Turn::new("turn-2", "parts=2") };
    let mut second = set.client(second);
    let opened = second.open(Way::SamePost).await.expect("the daemon answers");
    let Opened::Status(status, body) = opened else { panic!("it runs: {opened:?}") };
    assert_eq!((status.as_u16(), &body["error"]["code"]), (409, &json!("TURN_RUNNING")), "{body}");
    assert!(body["currentState"].is_string() && body["success"] == false, "{body}");
    assert_eq!(set.simbox.account().totals.dispatches, 1, "the box was not bothered");
    set.simbox.answer_waiting();
    first.read(&mut frames).await;
    shown::check(&set, &first, Verdict::Completed, Seen::Last).await;
    second.run().await;
    shown::check(&set, &second, Verdict::Completed, Seen::Last).await;
}

#[tokio::test]
async fn receipts_and_assigned_ids_make_no_difference_to_a_client() {
    let set = Set::for_waiting_turns().await;
    for (marker, words) in
        [("turn-1", "receipt"), ("turn-2", "assign"), ("turn-3", "receipt assign")]
    {
        let turn = Turn::new(marker, &format!("parts=3 tool=1 step=50ms {words}"));
        let mut client = set.client(turn);
        client.run().await;
        let started = &client.seen[0];
        assert_eq!((started.id, started.event.as_str()), (1, "execution.started"));
        assert_eq!(started.data["executionId"].as_str(), client.execution.as_deref());
        let told = set.told(&client);
        assert_eq!(told.session.as_deref(), Some(assigned(&client)), "{marker}");
        assert_eq!(assigned(&client) != client.turn.session, words.contains("assign"), "{marker}");
        shown::check(&set, &client, Verdict::Completed, Seen::Last).await;
        // A stream of this client and none of a box that answers with a receipt.
        assert_eq!(told.streams_opened, u32::from(!words.contains("receipt")), "{marker}");
    }
}

#[tokio::test]
async fn a_client_may_go_on_under_the_id_that_the_box_assigned() {
    let set = Set::for_waiting_turns().await;
    let mut first = set.client(Turn::new("turn-1", "parts=2 assign"));
    first.run().await;
    let session = assigned(&first).to_owned();
    // The same turn under the other name is the same turn.
    let same = Turn { session: session.clone(), ..first.turn.clone() };
    let mut same = Client::new(set.daemon.address(), same, &WAYS);
    same.run().await;
    assert_eq!(oracle::bytes_of(&same.seen), oracle::bytes_of(&first.seen));
    let next = Turn { session, ..Turn::new("turn-2", "parts=2 assign") };
    let mut next = set.client(next);
    next.run().await;
    assert_eq!(next.seen[0].id, first.last_id() + 1, "one session, one row of ids");
    shown::check(&set, &next, Verdict::Completed, Seen::Last).await;
}
