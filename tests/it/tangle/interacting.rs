//! What waits for a person: told once when it opens, once when it is gone.

use afterbay::upstream::Activity;
use serde_json::{Value, json};

use super::{ASSIGNED, Turn, asked};

fn waiting(outstanding: &Value) -> Value {
    json!({"state": "awaiting_question", "activeExecutionId": "exec_box", "outstandingInteractions": outstanding})
}

#[tokio::test]
async fn a_request_is_told_once_and_taken_back_once() {
    let mut turn = Turn::start().await;
    let question = json!({"id": "q1", "kind": "question", "text": "which?", "n": 1.0});
    turn.is(&waiting(&json!([question])), &json!([asked()]));
    let opened = turn.poll().await;
    assert_eq!(opened.view.activity, Activity::Waiting);
    let expected =
        json!({"id": "q1", "kind": "question", "sessionId": ASSIGNED, "request": question});
    assert_eq!(opened.only("interaction"), &expected);
    assert!(turn.poll().await.events.is_empty());

    turn.is(&waiting(&json!([question, "q2"])), &json!([asked()]));
    assert_eq!(turn.poll().await.only("interaction"), &json!({"id": "q2", "sessionId": ASSIGNED}));
    turn.is(&waiting(&json!(["q2"])), &json!([asked()]));
    let gone = turn.poll().await;
    assert_eq!(gone.only("interaction.cancel"), &json!({"id": "q1", "kind": "question"}));
    turn.is(&json!({"state": "running"}), &json!([asked()]));
    assert_eq!(turn.poll().await.names(), ["interaction.cancel"]);
    assert!(turn.poll().await.events.is_empty());
}

#[tokio::test]
async fn requests_that_are_only_counted_are_told_apart_by_number() {
    let mut turn = Turn::start().await;
    for (count, told) in [
        (1, vec!["interaction"]),
        (3, vec!["interaction", "interaction"]),
        (3, vec![]),
        (1, vec!["interaction.cancel", "interaction.cancel"]),
        (0, vec!["interaction.cancel"]),
    ] {
        let session = json!({"state": "running", "outstandingInteractions": count});
        turn.is(&session, &json!([asked()]));
        let polled = turn.poll().await;
        assert_eq!(polled.names(), told, "{count}");
        let activity = if count > 0 { Activity::Waiting } else { Activity::Busy };
        assert_eq!(polled.view.activity, activity, "{count}");
    }
}

#[tokio::test]
async fn a_waiting_state_says_so_even_without_a_list() {
    for state in ["awaiting_question", "awaiting_plan_decision", "blocked_on_approval"] {
        let mut turn = Turn::start().await;
        turn.is(&json!({"state": state}), &json!([asked()]));
        let polled = turn.poll().await;
        assert_eq!(polled.view.activity, Activity::Waiting);
        assert_eq!(polled.only("interaction")["kind"], state);
        assert!(turn.poll().await.events.is_empty());
    }
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_one_warning_and_still_wait() {
    let mut turn = Turn::start().await;
    let deep = (0..101).fold(json!(1), |inner, _| json!([inner]));
    let session =
        json!({"state": "running", "outstandingInteractions": [null, {"id": "d", "x": deep}]});
    turn.is(&session, &json!([asked()]));
    let polled = turn.poll().await;
    assert_eq!(polled.view.activity, Activity::Waiting);
    assert_eq!(polled.only("warning")["code"], "UPSTREAM_GAP");
    assert!(turn.poll().await.events.is_empty());
}

#[tokio::test]
async fn anothers_requests_are_not_the_turns() {
    let mut turn = Turn::start().await;
    let session = json!({"state": "awaiting_question", "activeExecutionId": "exec_x", "outstandingInteractions": ["q"]});
    turn.is(&session, &json!([asked()]));
    let polled = turn.poll().await;
    assert_eq!((polled.view.activity, polled.events.len()), (Activity::Busy, 0));
}
