//! The traps of a real opencode server, each as it was seen there.

use std::time::Duration;

use afterbay::upstream::{Activity, Depth, Ending, Upstream};
use serde_json::{Value, json};

use super::super::support::box_state::HOME;
use super::super::support::scripted_box::{Route, ScriptedBox};
use super::{Turn, adapter, new_turn, prepared, session_id, who};

#[tokio::test]
async fn trap_1_idle_before_busy_is_not_started_and_not_ended() {
    let mut turn = Turn::start().await;
    let before = turn.poll_at(Depth::Status).await;
    assert_eq!(before.view.activity, Activity::Idle);
    assert!(!before.view.started && before.view.ending.is_none() && before.events.is_empty());

    turn.with(|state, session, prompt| state.begin(session, prompt));
    let running = turn.poll_at(Depth::Status).await;
    assert_eq!(running.view.activity, Activity::Busy);
    assert!(running.view.started, "the status moved, so the messages are read");
}

#[tokio::test]
async fn trap_2_an_end_that_comes_between_two_reads_is_seen_in_either_order() {
    // Done before idle.
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.text(session, &message, "prt_1", "hello", true);
        state.complete(session, &message, Some("stop"));
    });
    let done = turn.poll().await;
    assert_eq!((done.view.activity, done.view.ending), (Activity::Busy, Some(Ending::Completed)));

    // Idle is read first; the last word comes before the messages are read.
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| state.begin(session, prompt));
    turn.poll().await;
    turn.with(|state, session, _| {
        let message = state.session(session).messages.last().expect("one")["info"]["id"].clone();
        let message = message.as_str().expect("an id").to_owned();
        state.text(session, &message, "prt_1", "late", true);
        state.complete(session, &message, Some("stop"));
        state.idle(session);
    });
    let last = turn.poll_at(Depth::Status).await;
    assert!(last.read_messages, "idle reads the messages whatever the depth");
    assert_eq!(last.only("message.part.updated")["part"]["text"], "late");
    assert_eq!(last.view.ending, Some(Ending::Completed));
    assert_eq!(last.view.answer.expect("read").final_text, "late");

    // The end comes after the poll that saw it idle.
    let mut turn = Turn::start().await;
    let message = turn.with(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.idle(session);
        message
    });
    assert_eq!(turn.poll_at(Depth::Status).await.view.ending, None);
    turn.with(|state, session, _| state.complete(session, &message, Some("stop")));
    assert_eq!(turn.poll_at(Depth::Status).await.view.ending, Some(Ending::Completed));
}

#[tokio::test]
async fn trap_3_everything_is_asked_for_in_the_sessions_own_directory() {
    let scripted = ScriptedBox::start().await;
    let elsewhere = "/else where/a&b=c#d?e%é+";
    let session = scripted.with(|state| state.open(elsewhere));
    let mut ids = new_turn();
    ids.box_session = Some(session_id(&session));
    let mut turn = Turn::start_on(scripted, ids).await;
    turn.with(|state, session, prompt| {
        state.begin(session, prompt);
        state.ask_permission(session);
    });
    let polled = turn.poll().await;
    assert_eq!(polled.view.activity, Activity::Waiting);
    polled.only("interaction");
    turn.adapter.cancel(Some(&who()), &turn.bound.session).await.expect("asked");
    turn.with(|state, session, _| assert_eq!(state.session(session).status, None));
    for route in [
        Route::Prompt,
        Route::Status,
        Route::Messages,
        Route::Permissions,
        Route::Questions,
        Route::Abort,
    ] {
        let seen = turn.scripted.seen(route).pop().expect("asked");
        assert_eq!(seen.directory.as_deref(), Some(elsewhere), "{route:?}");
    }
}

#[tokio::test]
async fn trap_4_an_unknown_model_leaves_a_prompt_without_an_answer() {
    let mut turn = Turn::start().await;
    for _ in 0..3 {
        let polled = turn.poll().await;
        assert_eq!(polled.view.activity, Activity::Idle);
        assert!(!polled.view.started && polled.view.ending.is_none() && polled.events.is_empty());
    }
}

#[tokio::test]
async fn trap_5_a_killed_box_is_idle_without_an_ending() {
    for finish in [None, Some("tool-calls")] {
        let mut turn = Turn::start().await;
        turn.with(|state, session, prompt| {
            let message = state.begin(session, prompt);
            state.tool(session, &message, "prt_1", "completed", "done");
            if let Some(finish) = finish {
                state.complete(session, &message, Some(finish));
            }
            state.kill_and_restart();
        });
        let polled = turn.poll().await;
        assert_eq!(polled.view.activity, Activity::Idle);
        assert!(polled.view.started);
        assert_eq!(polled.view.ending, None, "finish {finish:?}");
    }
}

#[tokio::test]
async fn trap_6_a_retry_is_told_once_for_each_attempt() {
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        state.begin(session, prompt);
        state.retrying(session, 1, 1000, "slow down");
    });
    let first = turn.poll_at(Depth::Status).await;
    assert_eq!(first.view.activity, Activity::Retrying);
    assert_eq!(
        first.only("warning"),
        &json!({"code": "BOX_RETRYING", "message": "slow down", "attempt": 1})
    );
    turn.restart();
    assert_eq!(turn.poll().await.names(), Vec::<&str>::new());
    turn.with(|state, session, _| state.retrying(session, 2, 2000, "slow down"));
    assert_eq!(turn.poll().await.only("warning")["attempt"], 2);
    // A later failure counts from one again.
    turn.with(|state, session, _| state.session(session).status = Some(json!({"type": "busy"})));
    assert_eq!(turn.poll().await.names(), Vec::<&str>::new());
    for next in [9000, 20_000] {
        turn.with(|state, session, _| state.retrying(session, 1, next, "slow down"));
        assert_eq!(turn.poll().await.only("warning")["attempt"], 1);
    }
}

#[tokio::test]
async fn trap_7_an_abort_in_a_retry_leaves_no_error_and_is_a_cancel() {
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        state.begin(session, prompt);
        state.retrying(session, 1, 1000, "slow down");
    });
    turn.poll().await;
    turn.adapter.cancel(Some(&who()), &turn.bound.session).await.expect("asked");
    assert_eq!(turn.poll().await.view.ending, Some(Ending::Cancelled));
}

#[tokio::test]
async fn trap_8_a_compaction_in_mid_turn_goes_on_under_another_prompt() {
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.tool(session, &message, "prt_1", "completed", "out");
        state.complete(session, &message, Some("tool-calls"));
        let order = state.new_id("msg");
        state.user_message(session, &order, &json!([{"type": "compaction", "auto": true}]));
        let summary = state.begin(session, &order);
        state.message(session, &summary)["info"]["summary"] = json!(true);
        state.text(session, &summary, "prt_2", "what happened", true);
        state.complete(session, &summary, Some("stop"));
    });
    let compacted = turn.poll().await;
    assert_eq!(compacted.view.ending, None, "a summary is no answer");

    turn.with(|state, session, _| {
        let go_on = state.new_id("msg");
        let text = json!([{"type": "text", "text": "Continue", "synthetic": true}]);
        state.user_message(session, &go_on, &text);
        let message = state.begin(session, &go_on);
        state.text(session, &message, "prt_3", "the answer", true);
        state.complete(session, &message, Some("stop"));
        state.idle(session);
    });
    let done = turn.poll().await;
    assert_eq!(done.only("message.part.updated")["part"]["text"], "the answer");
    assert_eq!(done.view.ending, Some(Ending::Completed));
    let answer = done.view.answer.expect("read");
    assert_eq!((answer.final_text.as_str(), answer.total_cost_usd), ("the answer", Some(0.75)));
}

#[tokio::test]
async fn trap_9_a_refused_permission_stops_the_turn_without_an_error() {
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.tool(session, &message, "prt_1", "error", "The user rejected permission");
        state.complete(session, &message, Some("tool-calls"));
    });
    assert_eq!(turn.poll().await.view.ending, None, "while it is busy, another step may follow");
    turn.with(|state, session, _| state.idle(session));
    assert_eq!(turn.poll().await.view.ending, Some(Ending::Cancelled));
}

#[tokio::test]
async fn trap_10_a_request_that_an_abort_left_open_is_not_open() {
    let mut turn = Turn::start().await;
    let id = turn.with(|state, session, prompt| {
        state.begin(session, prompt);
        state.ask_permission(session)
    });
    assert_eq!(turn.poll().await.only("interaction")["id"], id.as_str());
    turn.adapter.cancel(Some(&who()), &turn.bound.session).await.expect("asked");
    let aborted = turn.poll().await;
    assert_eq!(aborted.view.activity, Activity::Idle);
    assert_eq!(aborted.only("interaction.cancel")["id"], id.as_str());

    // The next turn of the session is not bothered by it either.
    let mut ids = new_turn();
    ids.box_session = Some(turn.bound.session.clone());
    let mut next = Turn::start_on(turn.scripted, ids).await;
    next.with(|state, session, prompt| state.begin(session, prompt));
    let polled = next.poll().await;
    assert_eq!(polled.view.activity, Activity::Busy);
    assert_eq!(polled.names(), Vec::<&str>::new());
}

#[tokio::test]
async fn an_error_ends_the_turn_with_its_name_as_code() {
    for (name, code) in [
        ("ProviderAuthError", "PROVIDER_AUTH_ERROR"),
        ("APIError", "API_ERROR"),
        ("MessageOutputLengthError", "MESSAGE_OUTPUT_LENGTH_ERROR"),
        ("bad\r\nname", "AGENT_FAILED"),
        ("", "AGENT_FAILED"),
    ] {
        let mut turn = Turn::start().await;
        turn.with(|state, session, prompt| {
            let message = state.begin(session, prompt);
            state.fail(session, &message, name, "no key");
            state.idle(session);
        });
        let ending = turn.poll().await.view.ending;
        let expected = Ending::Failed { code: code.into(), message: "no key".into() };
        assert_eq!(ending, Some(expected), "{name:?}");
    }
}

#[tokio::test]
async fn an_abort_is_a_cancel_with_what_was_said_so_far() {
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.text(session, &message, "prt_1", "partial", false);
    });
    turn.poll().await;
    turn.adapter.cancel(Some(&who()), &turn.bound.session).await.expect("asked");
    let polled = turn.poll().await;
    assert_eq!(polled.view.ending, Some(Ending::Cancelled));
    assert_eq!(polled.view.answer.expect("read").final_text, "partial");
}

#[tokio::test]
async fn a_session_that_is_gone_is_gone_and_stopping_it_is_harmless() {
    let mut turn = Turn::start().await;
    turn.scripted.with(|state| state.sessions.clear());
    assert_eq!(turn.poll_at(Depth::Status).await.view.activity, Activity::Gone);
    turn.adapter.cancel(Some(&who()), &turn.bound.session).await.expect("nothing to stop");
}

#[tokio::test]
async fn only_the_turns_own_messages_are_told() {
    let scripted = ScriptedBox::start().await;
    let session = scripted.with(|state| {
        let session = state.open(HOME);
        for n in 0..40 {
            let prompt = state.new_id("msg");
            state.user_message(&session, &prompt, &json!([{"type": "text", "text": "old"}]));
            let message = state.begin(&session, &prompt);
            state.text(&session, &message, &format!("prt_old{n}"), "old answer", true);
            state.complete(&session, &message, Some("stop"));
            state.idle(&session);
        }
        session
    });
    let mut ids = new_turn();
    ids.box_session = Some(session_id(&session));
    let mut turn = Turn::start_on(scripted, ids).await;
    let before = turn.poll().await;
    assert!(!before.view.started && before.events.is_empty() && before.view.ending.is_none());
    turn.with(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.text(session, &message, "prt_new", "new answer", true);
        state.complete(session, &message, Some("stop"));
    });
    let polled = turn.poll().await;
    assert_eq!(polled.only("message.part.updated")["part"]["id"], "prt_new");
}

#[tokio::test]
async fn a_long_turn_reads_only_what_is_not_settled() {
    let mut turn = Turn::start().await;
    let mut told = 0;
    for n in 0..100 {
        turn.with(|state, session, prompt| {
            let message = state.begin(session, prompt);
            for part in 0..5 {
                state.tool(session, &message, &format!("prt_{n}_{part}"), "completed", "out");
            }
            state.complete(session, &message, Some("tool-calls"));
        });
        told += turn.poll().await.events.len();
    }
    assert_eq!(told, 500, "each part once");
    turn.restart();
    assert!(turn.poll().await.events.is_empty());
    let reads = turn.scripted.seen(Route::Messages);
    assert!(reads.iter().all(|seen| seen.query.contains("limit=8")), "the window never grew");
    let marks = turn.cursor.with_prefix("").count();
    assert!(marks < 20, "{marks} marks");
    turn.with(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.text(session, &message, "prt_last", "answer", true);
        state.complete(session, &message, Some("stop"));
        state.idle(session);
    });
    let answer = turn.poll().await.view.answer.expect("read");
    assert_eq!((answer.final_text.as_str(), answer.total_cost_usd), ("answer", Some(101.0 * 0.25)));
    assert_eq!(
        serde_json::from_slice::<Value>(answer.token_usage.expect("told").as_bytes())
            .expect("JSON"),
        json!({"total": 18, "input": 11, "output": 7})
    );
}

#[tokio::test]
async fn a_poll_is_repeatable_until_its_cursor_is_taken_over() {
    let turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.text(session, &message, "prt_1", "hello", false);
        state.ask_permission(session);
        state.retrying(session, 1, 5, "slow");
    });
    let poll = || turn.adapter.poll(None, &turn.bound, &turn.cursor, Depth::Messages);
    let (one, two) = (poll().await.expect("a page"), poll().await.expect("a page"));
    assert_eq!((one.steps, one.view), (two.steps, two.view));
    assert!(one.messages_took.expect("read") < Duration::from_secs(10));
}

#[tokio::test]
async fn a_busy_turn_is_not_read_at_status_depth_unless_something_moved() {
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| state.begin(session, prompt));
    turn.poll().await;
    assert!(!turn.poll_at(Depth::Status).await.read_messages);
    turn.with(|state, session, _| state.ask_question(session));
    assert!(turn.poll_at(Depth::Status).await.read_messages);
}

#[tokio::test]
async fn preparing_twice_leaves_no_prompt_and_orders_ids_by_the_boxs_clock() {
    let scripted = ScriptedBox::start().await;
    let adapter = adapter(&scripted);
    prepared(&adapter, &new_turn()).await;
    let prepared = prepared(&adapter, &new_turn()).await;
    scripted.with(|state| {
        assert_eq!(state.sessions.len(), 2);
        assert!(state.sessions.values().all(|session| session.messages.is_empty()));
        let notes: Value = serde_json::from_str(&prepared.notes).expect("JSON");
        let later = {
            state.now += 2;
            state.new_id("msg")
        };
        assert!(notes["messageID"].as_str().expect("an id") < later.as_str());
    });
}
