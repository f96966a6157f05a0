//! A box whose status misleads: it lags behind, names ids in other types, or answers for a record
//! that was there before. No verdict follows from any of that.

use afterbay::upstream::tangle::Settings;
use afterbay::upstream::{Activity, Depth, Ending};
use serde_json::{Value, json};

use super::super::support::scripted_sidecar::{Canned, Route};
use super::{ASSIGNED, Turn, asked, said, session_id};

fn before() -> Value {
    said("a0", "old", &json!({"completed": true}))
}

fn open() -> Value {
    said("a1", "so far", &json!({"completed": false}))
}

fn complete() -> Value {
    said("a1", "done", &json!({"completed": true}))
}

#[tokio::test]
async fn a_state_that_lags_behind_the_messages_is_still_the_one_before() {
    for state in ["failed", "aborted", "expired", "completed", "idle"] {
        let mut turn = Turn::start_on(&json!([before()])).await;
        let stale = json!({"state": state, "terminalReason": "of the turn before"});
        turn.is(&stale, &json!([before()]));
        turn.poll().await;
        for _ in 0..3 {
            turn.is(&stale, &json!([before(), asked(), open()]));
            let polled = turn.poll().await;
            assert!(polled.view.started && polled.view.ending.is_none(), "{state}: {polled:?}");
        }
        // It was complete before the state moved.
        turn.is(&stale, &json!([before(), asked(), complete()]));
        turn.poll().await;
        // The state moves at last, and what it says is about the turn.
        turn.is(&json!({"state": "running"}), &json!([before(), asked(), open()]));
        assert_eq!(turn.poll().await.view.ending, None);
        turn.is(&json!({"state": "failed"}), &json!([before(), asked(), open()]));
        let polled = turn.poll().await;
        assert!(matches!(polled.view.ending, Some(Ending::Failed { .. })), "{state}: {polled:?}");
    }
}

#[tokio::test]
async fn a_result_of_the_turn_before_is_not_ours() {
    let path = "/agents/sessions/{id}/result".parse().ok();
    let settings = Settings { result_path: path, ..Settings::default() };
    let mut turn = Turn::start_with(settings, Some(&json!([before()]))).await;
    let old = json!({"success": true, "status": "success", "response": "old"});
    turn.sidecar.says(Route::Other, [Canned::json(200, &old)]);
    let stale = json!({"state": "completed"});
    turn.is(&stale, &json!([before()]));
    turn.poll().await;
    turn.is(&stale, &json!([before(), asked(), open()]));
    turn.poll().await;
    let polled = turn.poll().await;
    assert_eq!(polled.view.ending, None, "{polled:?}");
    assert_eq!(polled.view.answer.expect("read").final_text, "so far");
}

#[tokio::test]
async fn an_execution_is_active_whatever_type_its_id_has() {
    for session in [
        json!({"state": "idle", "activeExecutionId": 42}),
        json!({"state": "failed", "activeExecutionId": {"id": "exec_x"}}),
        json!({"state": "completed", "activeExecutionId": true}),
    ] {
        let mut turn = Turn::start().await;
        turn.is(&session, &json!([asked(), open()]));
        let polled = turn.poll().await;
        assert_eq!((polled.view.activity, polled.view.ending), (Activity::Busy, None), "{session}");
    }
    for execution in [json!({"status": "running"}), json!({"id": 7, "status": "running"})] {
        let mut turn = Turn::start().await;
        let told = json!({"session": {"state": "idle"}, "activeExecution": execution});
        turn.is(&json!({}), &json!([asked(), open()]));
        turn.sidecar.says(Route::Status, [Canned::json(200, &told)]);
        let polled = turn.poll().await;
        assert_eq!((polled.view.activity, polled.view.ending), (Activity::Busy, None), "{told}");
    }
    for nothing in [json!(null), json!(""), json!(false)] {
        let mut turn = Turn::start().await;
        let session = json!({"state": "idle", "activeExecutionId": nothing});
        turn.is(&session, &json!([asked(), complete()]));
        assert_eq!(turn.poll().await.view.ending, Some(Ending::Completed), "{session}");
    }
}

#[tokio::test]
async fn an_assigned_session_that_is_older_than_the_turn_keeps_its_past() {
    // The box answers under another session than the one that was asked for, and that has a past:
    // the same words, another failure.
    let mut old = asked();
    old["id"] = json!("msg_old");
    old["metadata"] = json!({});
    let mut ours = asked();
    ours["metadata"] = json!({});
    let mut turn = Turn::start().await;
    assert_eq!(turn.bound.session, session_id(ASSIGNED));
    turn.bound.ids.turn = None;
    let past = vec![old, before()];
    let failed = json!({"state": "failed", "terminalReason": "of the turn before"});
    let mut list = past.clone();
    list.push(ours);
    turn.is(&failed, &json!(list));
    let polled = turn.poll_at(Depth::Messages).await;
    assert!(polled.events.is_empty(), "{:?}", polled.events);
    assert_eq!(polled.view.ending, None);
    list.push(open());
    turn.is(&json!({"state": "running"}), &json!(list));
    assert_eq!(turn.poll().await.only("message.part.updated")["delta"], "so far");
}
