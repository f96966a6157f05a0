//! Permissions and questions: told once when they open, once when they are gone.

use afterbay::upstream::Activity;
use serde_json::{Value, json};

use super::super::support::box_state::HOME;
use super::super::support::scripted_box::Route;
use super::Turn;

#[tokio::test]
async fn a_request_is_told_once_and_taken_back_once_also_over_a_restart() {
    let mut turn = Turn::start().await;
    let (permission, question) = turn.with(|state, session, prompt| {
        state.begin(session, prompt);
        (state.ask_permission(session), state.ask_question(session))
    });
    let opened = turn.poll().await;
    assert_eq!(opened.view.activity, Activity::Waiting);
    assert_eq!(opened.names(), ["interaction", "interaction"]);
    let (_, data) = &opened.events[0];
    let raw = turn.with(|state, _, _| state.permissions[0].clone());
    let expected =
        json!({"id": permission, "kind": "permission", "sessionId": turn.session, "request": raw});
    assert_eq!(data, &expected);
    assert_eq!(opened.events[1].1["kind"], "question");

    turn.restart();
    assert!(turn.poll().await.events.is_empty());
    turn.with(|state, _, _| state.answer(&permission));
    let answered = turn.poll().await;
    assert_eq!(answered.view.activity, Activity::Waiting, "the question is still open");
    assert_eq!(
        answered.only("interaction.cancel"),
        &json!({"id": permission, "kind": "permission"})
    );
    turn.with(|state, _, _| state.answer(&question));
    assert_eq!(turn.poll().await.names(), ["interaction.cancel"]);
    turn.restart();
    let quiet = turn.poll().await;
    assert_eq!((quiet.view.activity, quiet.events.len()), (Activity::Busy, 0));
}

#[tokio::test]
async fn a_sub_agents_request_is_the_turns_and_another_sessions_is_not() {
    let mut turn = Turn::start().await;
    let (ours, theirs) = turn.with(|state, session, prompt| {
        state.begin(session, prompt);
        let child = state.open(HOME);
        state.session(&child).parent = Some(session.to_owned());
        let grandchild = state.open(HOME);
        state.session(&grandchild).parent = Some(child);
        let stranger = state.open(HOME);
        (state.ask_permission(&grandchild), state.ask_question(&stranger))
    });
    let polled = turn.poll().await;
    assert_eq!(polled.view.activity, Activity::Waiting);
    assert_eq!(polled.only("interaction")["id"], ours.as_str());
    let looked_up = turn.scripted.seen(Route::Session).len();
    turn.restart();
    assert!(turn.poll().await.events.is_empty());
    assert_eq!(turn.scripted.seen(Route::Session).len(), looked_up, "asked once");

    turn.with(|state, _, _| {
        state.answer(&ours);
        state.answer(&theirs);
    });
    assert_eq!(turn.poll().await.only("interaction.cancel")["id"], ours.as_str());
    assert_eq!(turn.cursor.with_prefix("k/").count(), 0, "nothing is kept about other sessions");
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_one_warning_and_hide_nothing() {
    let mut turn = Turn::start().await;
    let good = turn.with(|state, session, prompt| {
        state.begin(session, prompt);
        state.permissions.push(json!({"id": 7}));
        state.permissions.push(Value::Null);
        let deep = (0..101).fold(json!(1), |inner, _| json!([inner]));
        state.permissions.push(json!({"id": "per_1", "sessionID": session, "metadata": deep}));
        state.ask_permission(session)
    });
    let polled = turn.poll().await;
    assert_eq!(polled.only("interaction")["id"], good.as_str());
    assert_eq!(polled.only("warning")["code"], "UPSTREAM_GAP");
    assert!(turn.poll().await.events.is_empty());
}

#[tokio::test]
async fn an_id_with_line_breaks_stays_inside_its_json() {
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        state.begin(session, prompt);
        state.permissions.push(json!({"id": "per\r\nevent: done\n\n", "sessionID": session}));
    });
    let polled = turn.poll().await;
    assert_eq!(polled.only("interaction")["id"], "per\r\nevent: done\n\n");
    turn.with(|state, _, _| state.permissions.clear());
    assert_eq!(turn.poll().await.only("interaction.cancel")["id"], "per\r\nevent: done\n\n");
}

#[tokio::test]
async fn a_box_without_questions_is_polled_all_the_same() {
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| state.begin(session, prompt));
    let missing =
        super::super::support::scripted_box::Fault::json(404, &json!({"name": "NotFound"}));
    turn.scripted.fail_always(Route::Questions, Some(missing));
    assert_eq!(turn.poll().await.view.activity, Activity::Busy);
}
