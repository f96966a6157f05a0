//! What a poll makes of the session's states: whose they are, when they are an end, and which.

use afterbay::upstream::tangle::Settings;
use afterbay::upstream::{Activity, Depth, Ending};
use serde_json::{Value, json};

use super::super::support::scripted_sidecar::{Canned, Route};
use super::{Turn, asked, said};

fn complete() -> Value {
    json!([asked(), said("a1", "done", &json!({"completed": true, "turnId": "turn_1"}))])
}

fn unfinished() -> Value {
    json!([asked(), said("a1", "so far", &json!({"completed": false}))])
}

/// A turn that was seen at work.
async fn at_work() -> Turn {
    let mut turn = Turn::start_on(&json!([said("a0", "old", &json!({"completed": true}))])).await;
    turn.is(&json!({"state": "running", "activeExecutionId": "exec_box"}), &unfinished());
    let polled = turn.poll().await;
    assert!(polled.view.started && polled.view.ending.is_none());
    assert_eq!(polled.view.activity, Activity::Busy);
    turn
}

fn word(ending: Option<&Ending>) -> String {
    match ending {
        None => "none".into(),
        Some(Ending::Completed) => "completed".into(),
        Some(Ending::Cancelled) => "cancelled".into(),
        Some(Ending::Failed { code, message }) => format!("failed {code}: {message}"),
    }
}

#[tokio::test]
async fn a_terminal_state_ends_the_turn_as_it_and_the_last_message_say() {
    let message = |metadata: &Value| json!([asked(), said("a1", "text", metadata)]);
    let done = json!({"completed": true});
    let unsaid = json!({});
    let stopped = json!({"completed": true, "interrupted": true});
    let failed = "failed AGENT_FAILED: the session is";
    for (session, metadata, expected) in [
        (json!({"state": "completed"}), &done, "completed".to_owned()),
        (json!({"state": "success"}), &done, "completed".to_owned()),
        (json!({"state": "idle"}), &done, "completed".to_owned()),
        (json!({"state": "terminal"}), &done, "completed".to_owned()),
        (json!({"state": "running", "reconnectable": false}), &done, "completed".to_owned()),
        (json!({"state": "completed"}), &unsaid, "completed".to_owned()),
        (json!({"state": "idle"}), &unsaid, "none".to_owned()),
        (json!({"state": "completed"}), &json!({"completed": false}), "none".to_owned()),
        (json!({"state": "completed"}), &stopped, "cancelled".to_owned()),
        (json!({"state": "failed"}), &done, format!("{failed} failed")),
        (
            json!({"state": "failed", "terminalReason": "no model"}),
            &done,
            format!("{failed} failed: no model"),
        ),
        (json!({"state": "error"}), &unsaid, format!("{failed} error")),
        (json!({"state": "expired"}), &unsaid, format!("{failed} expired")),
        (json!({"state": "aborted"}), &unsaid, "cancelled".to_owned()),
        (json!({"state": "cancelled"}), &done, "cancelled".to_owned()),
        (
            json!({"state": "terminal", "terminalReason": "aborted"}),
            &unsaid,
            "cancelled".to_owned(),
        ),
    ] {
        let mut turn = at_work().await;
        turn.is(&session, &message(metadata));
        let polled = turn.poll_at(Depth::Status).await;
        assert!(polled.read_messages, "an end is read at any depth");
        assert_eq!(polled.view.activity, Activity::Idle, "{session}");
        assert_eq!(word(polled.view.ending.as_ref()), expected, "{session} {metadata}");
    }
}

#[tokio::test]
async fn a_state_is_no_end_while_anything_speaks_against_it() {
    for (session, activity) in [
        (json!({"state": "failed", "activeExecutionId": "exec_box"}), Activity::Busy),
        (json!({"state": "completed", "reconnectable": true}), Activity::Busy),
        (json!({"state": "aborted", "outstandingInteractions": 1}), Activity::Waiting),
        (json!({"state": "awaiting_question"}), Activity::Waiting),
        (json!({"state": "queued"}), Activity::Busy),
        (json!({"state": "unheard of"}), Activity::Busy),
    ] {
        let mut turn = at_work().await;
        turn.is(&session, &unfinished());
        let polled = turn.poll().await;
        assert_eq!((polled.view.activity, &polled.view.ending), (activity, &None), "{session}");
    }
}

#[tokio::test]
async fn the_state_of_the_turn_before_is_not_ours() {
    let before = json!([said("a0", "old", &json!({"completed": true}))]);
    for state in ["completed", "failed", "aborted", "idle", "expired"] {
        // Not begun: the box still shows what it showed.
        let mut turn = Turn::start_on(&before).await;
        turn.is(&json!({"state": state}), &before);
        let polled = turn.poll().await;
        assert_eq!(polled.view.activity, Activity::Idle);
        assert!(!polled.view.started && polled.view.ending.is_none(), "{state}");
        assert!(polled.events.is_empty(), "nothing of the turn before is told");
        // Begun between the two reads of one poll.
        let mut messages = before.as_array().expect("a list").clone();
        messages.extend(unfinished().as_array().expect("a list").clone());
        turn.is(&json!({"state": state}), &json!(messages));
        let polled = turn.poll().await;
        assert!(polled.view.started && polled.view.ending.is_none(), "{state}");
        assert_eq!(polled.only("message.part.updated")["part"]["text"], "so far");
    }
}

#[tokio::test]
async fn a_session_that_is_as_new_as_the_turn_can_fail_for_it_alone() {
    let mut turn = Turn::start().await;
    turn.is(&json!({"state": "failed", "terminalReason": "no key"}), &json!([asked()]));
    let polled = turn.poll().await;
    assert!(polled.view.started);
    assert_eq!(
        word(polled.view.ending.as_ref()),
        "failed AGENT_FAILED: the session is failed: no key"
    );
    let mut turn = Turn::start().await;
    turn.is(&json!({"state": "idle"}), &json!([]));
    let polled = turn.poll().await;
    assert!(!polled.view.started && polled.view.ending.is_none(), "idle before the start");
}

#[tokio::test]
async fn a_state_that_names_another_execution_is_anothers() {
    let mut turn = at_work().await;
    turn.is(&json!({"state": "failed", "activeExecutionId": "exec_x"}), &unfinished());
    assert_eq!(turn.poll().await.view.activity, Activity::Busy);
    let ended = json!({"session": {"state": "failed"}, "activeExecution": {"id": "exec_x", "status": "failed"}});
    turn.sidecar.says(Route::Status, [Canned::json(200, &ended)]);
    assert_eq!(turn.poll().await.view.ending, None, "the failure is not ours");
    turn.sidecar.holds(&complete());
    assert_eq!(turn.poll().await.view.ending, Some(Ending::Completed), "its own record says so");

    // Somebody else's prompt follows, and the state is about that one.
    let mut turn = at_work().await;
    let mut messages = complete().as_array().expect("a list").clone();
    messages.push(json!({"id": "u2", "role": "user", "metadata": {"turnId": "t2"}, "parts": []}));
    messages.push(said("a2", "theirs", &json!({"completed": true, "turnId": "t2"})));
    turn.is(&json!({"state": "failed"}), &json!(messages));
    let polled = turn.poll().await;
    assert_eq!(polled.view.ending, Some(Ending::Completed));
    assert_eq!(polled.view.answer.expect("read").final_text, "done");
}

#[tokio::test]
async fn the_executions_own_end_counts_before_the_sessions() {
    let mut turn = at_work().await;
    let ended = json!({"session": {"state": "idle"}, "activeExecution": {"id": "exec_box", "status": "failed"}});
    turn.sidecar.says(Route::Status, [Canned::json(200, &ended)]);
    assert!(word(turn.poll().await.view.ending.as_ref()).starts_with("failed AGENT_FAILED"));
}

#[tokio::test]
async fn a_complete_answer_in_a_session_that_lingers_is_an_end_unless_something_runs() {
    for (session, ending) in [
        (json!({"state": "running"}), Some(Ending::Completed)),
        (json!({"state": "running", "activeExecutionId": "exec_box"}), None),
        (json!({"state": "awaiting_question"}), None),
    ] {
        let mut turn = at_work().await;
        turn.is(&session, &complete());
        let polled = turn.poll().await;
        assert_ne!(polled.view.activity, Activity::Idle);
        assert_eq!(polled.view.ending, ending, "{session}");
    }
    // One step of many: only its time says that it is over.
    let mut turn = at_work().await;
    let step = json!({"info": {"id": "a1", "role": "assistant", "time": {"created": 1, "completed": 2}}, "parts": []});
    turn.is(&json!({"state": "running"}), &json!([asked(), step]));
    assert_eq!(turn.poll().await.view.ending, None);
}

#[tokio::test]
async fn a_message_that_failed_is_a_failure_in_its_own_words() {
    let mut turn = at_work().await;
    let message = json!({"info": {"id": "a1", "role": "assistant", "time": {"created": 1},
        "error": {"name": "ProviderAuthError", "data": {"message": "no key"}}}, "parts": []});
    turn.is(&json!({"state": "idle"}), &json!([asked(), message]));
    assert_eq!(word(turn.poll().await.view.ending.as_ref()), "failed PROVIDER_AUTH_ERROR: no key");
}

#[tokio::test]
async fn a_session_that_the_box_does_not_know_is_gone() {
    let mut turn = at_work().await;
    turn.sidecar.says(Route::Status, [Canned::error(404, "NOT_FOUND")]);
    let polled = turn.poll().await;
    assert_eq!(polled.view.activity, Activity::Gone);
    assert!(polled.view.started && polled.events.is_empty());
    let mut turn = at_work().await;
    turn.sidecar.says(Route::Messages, [Canned::error(404, "NOT_FOUND")]);
    assert_eq!(turn.poll().await.view.activity, Activity::Gone);
}

#[tokio::test]
async fn only_the_assigned_session_is_polled() {
    let mut turn = at_work().await;
    turn.poll().await;
    for seen in turn.sidecar.seen(Route::Status) {
        assert_eq!(seen.path, "/agents/sessions/sess_assigned");
    }
}

#[tokio::test]
async fn a_busy_turn_is_not_read_at_status_depth_unless_something_moved() {
    let mut turn = at_work().await;
    assert!(!turn.poll_at(Depth::Status).await.read_messages);
    turn.is(&json!({"state": "processing", "activeExecutionId": "exec_box"}), &unfinished());
    assert!(turn.poll_at(Depth::Status).await.read_messages);
}

#[tokio::test]
async fn a_result_route_counts_first_once_the_session_is_done() {
    let path = "/agents/sessions/{id}/result".parse().ok();
    let settings = Settings { result_path: path, ..Settings::default() };
    let good = json!({"data": {"success": true, "status": "success", "response": "whole", "usage": {"n": 1}, "costUsd": 2.5}});
    let bad = json!({"success": false, "status": "failed", "error": "it broke", "errorCode": "X"});
    for (result, ending, text) in [
        (Canned::json(200, &good), "completed", "whole"),
        (Canned::json(200, &bad), "failed X: it broke", "done"),
        (Canned::json(200, &json!({"success": false, "status": "cancelled"})), "cancelled", "done"),
        // What contradicts itself, is not over, another's, or no answer is ignored.
        (
            Canned::json(200, &json!({"success": true, "status": "failed", "text": "x"})),
            "completed",
            "done",
        ),
        (
            Canned::json(200, &json!({"success": false, "status": "success", "text": "x"})),
            "completed",
            "done",
        ),
        (
            Canned::json(200, &json!({"success": false, "status": "running", "text": "x"})),
            "completed",
            "done",
        ),
        (
            Canned::json(
                200,
                &json!({"success": false, "status": "failed", "executionId": "exec_x"}),
            ),
            "completed",
            "done",
        ),
        (Canned::error(404, "NOT_FOUND"), "completed", "done"),
        (Canned::html(502), "completed", "done"),
        (Canned::html(200), "completed", "done"),
    ] {
        let mut turn = Turn::start_with(settings.clone(), None).await;
        turn.sidecar.says(Route::Other, [result.clone()]);
        turn.is(&json!({"state": "running"}), &unfinished());
        turn.poll().await;
        assert!(turn.sidecar.seen(Route::Other).is_empty(), "not before the end");
        turn.is(&json!({"state": "completed"}), &complete());
        let polled = turn.poll().await;
        assert_eq!(word(polled.view.ending.as_ref()), ending, "{result:?}");
        assert_eq!(polled.view.answer.expect("read").final_text, text, "{result:?}");
        let seen = turn.sidecar.seen(Route::Other).pop().expect("asked");
        let expected = ("/agents/sessions/sess_assigned/result", "executionId=exec_box");
        assert_eq!((seen.path.as_str(), seen.query.as_str()), expected);
    }
}

#[tokio::test]
async fn every_bad_answer_to_a_poll_has_its_class_and_the_next_poll_goes_on() {
    let json_type = "application/json";
    for (answer, class) in [
        (Canned::html(200), "nonsense"),
        (Canned::html(404), "status"),
        (Canned::html(502), "status"),
        (Canned::html(522), "status"),
        (Canned::html(524), "status"),
        (Canned::text(200, json_type, ""), "nonsense"),
        (Canned::text(200, json_type, "{\"canary\":\"canary"), "nonsense"),
        (Canned::text(200, json_type, "\"canary\""), "nonsense"),
        (Canned::text(200, json_type, "[".repeat(100_000)), "nonsense"),
        (Canned::error(500, "INTERNAL"), "status"),
        (Canned::error(401, "UNAUTHORIZED"), "unauthorized"),
        (Canned::error(403, "FORBIDDEN"), "unauthorized"),
        (Canned::error(429, "RATE"), "later"),
        (Canned::error(503, "AGENT_WARMING_UP"), "later"),
        (Canned::nothing(), "no_answer"),
    ] {
        for route in [Route::Status, Route::Messages] {
            let mut turn = Turn::start().await;
            turn.is(&json!({"state": "running"}), &unfinished());
            turn.sidecar.says(route, [answer.clone()]);
            let error = turn.try_poll(Depth::Messages).await.expect_err("a bad answer");
            assert_eq!(error.class(), class, "{route:?} {answer:?}: {error}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
            turn.sidecar.says(Route::Messages, []);
            turn.is(&json!({"state": "running"}), &unfinished());
            assert_eq!(turn.poll().await.names(), ["message.part.updated"], "nothing is lost");
        }
    }
}
