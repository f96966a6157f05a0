//! Looking for a lost prompt: where, in which order, and what its absence means.

use afterbay::ids::TurnId;
use afterbay::upstream::{Boot, Found, Redispatch, Upstream};
use serde_json::{Value, json};

use super::super::support::scripted_sidecar::{Canned, Route, Sidecar};
use super::{ASSIGNED, adapter, new_turn, prepared, said, status, who};

const STARTED: &str = r#"{"executionId":"exec_box","sessionId":"sess_assigned"}"#;

fn user(id: &str, text: &str, turn: &Value) -> Value {
    json!({"id": id, "role": "user", "metadata": {"turnId": turn},
        "parts": [{"id": format!("prt_{id}"), "type": "text", "text": text}]})
}

/// What `find` says on the client's session, which held `before` when the turn was prepared.
async fn found_after(before: &Value, script: impl Fn(&Sidecar)) -> (String, Sidecar) {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let ids = new_turn();
    if before != &Value::Null {
        sidecar.holds(before);
    }
    let prepared = prepared(&adapter, &ids).await;
    script(&sidecar);
    let word = match adapter.find(Some(&who()), &ids, &prepared).await {
        Ok(Found::Arrived(accepted)) => {
            let execution = accepted.execution.map(|id| id.to_string()).unwrap_or_default();
            format!("{} {execution}", accepted.session)
        }
        Ok(Found::Absent(boot)) => format!("absent {boot:?}"),
        Err(error) => error.class().to_owned(),
    };
    (word, sidecar)
}

async fn found(before: &Value, script: impl Fn(&Sidecar)) -> String {
    found_after(before, script).await.0
}

#[tokio::test]
async fn a_replay_that_tells_only_that_it_failed_is_no_trace_of_the_prompt() {
    let error = r#"{"message":"no such execution","code":"NOT_FOUND"}"#;
    let failed = Canned::stream(&[("start", "{}"), ("error", error), ("done", "{}")]);
    let before = json!([said("a0", "old", &json!({}))]);
    for before in [&Value::Null, &before] {
        let word = found(before, |sidecar| sidecar.says(Route::Replay, [failed.clone()])).await;
        assert_eq!(word, "absent Same");
    }
    // The failure of ours, and of another session's: it names what it is about.
    let ours = r#"{"message":"it broke","executionId":"exec_box","sessionId":"sess_assigned"}"#;
    let failed = Canned::stream(&[("error", ours)]);
    let word = found(&Value::Null, |sidecar| sidecar.says(Route::Replay, [failed.clone()])).await;
    assert_eq!(word, format!("{ASSIGNED} exec_box"));
}

#[tokio::test]
async fn a_replay_names_the_session_and_nothing_else_is_asked() {
    let replay = Canned::stream(&[("execution.started", STARTED)]).hangs();
    let (word, sidecar) =
        found_after(&Value::Null, |sidecar| sidecar.says(Route::Replay, [replay.clone()])).await;
    assert_eq!(word, format!("{ASSIGNED} exec_box"));
    assert!(sidecar.seen(Route::Status).is_empty());
    let seen = sidecar.seen(Route::Replay).pop().expect("asked");
    assert_eq!(seen.header("x-execution-id"), Some("exec_1"));
    assert_eq!(seen.header("last-event-id"), Some("0"));
    let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
    assert_eq!((&body["message"], &body["detach"]), (&json!(""), &json!(true)));
    assert!(sidecar.seen(Route::Run).is_empty(), "no prompt is sent");

    let receipt = Canned::json(200, &json!({"data": {"sessionId": ASSIGNED}}));
    let word = found(&Value::Null, |sidecar| sidecar.says(Route::Replay, [receipt.clone()])).await;
    assert_eq!(word, format!("{ASSIGNED} "));
}

#[tokio::test]
async fn without_a_replay_the_status_and_then_the_messages_are_asked() {
    for no_replay in
        [Canned::error(404, "NOT_FOUND"), Canned::error(400, "NO_MESSAGE"), Canned::error(405, "X")]
    {
        let word = found(&Value::Null, |sidecar| {
            sidecar.says(Route::Replay, [no_replay.clone()]);
            sidecar.says(Route::Status, [status(&json!({"activeExecutionId": "exec_1"}))]);
        });
        assert_eq!(word.await, "mine ");
    }
    let old = json!([user("u0", "build it", &Value::Null), said("a0", "", &json!({}))]);
    for (newer, word) in [
        (vec![], "absent Same"),
        (vec![user("u1", "other", &Value::Null)], "absent Same"),
        (vec![user("u1", "build it", &json!("turn_other"))], "absent Same"),
        (vec![user("u1", "build it", &Value::Null)], "mine "),
        (vec![user("u1", "changed by the box", &json!("turn_1"))], "mine "),
        (vec![said("a1", "", &json!({"turnId": "turn_1"}))], "mine "),
    ] {
        let mut messages = old.as_array().expect("a list").clone();
        messages.extend(newer.clone());
        let got = found(&old, |sidecar| {
            sidecar.says(Route::Status, [status(&json!({"state": "idle"}))]);
            sidecar.holds(&json!(messages));
        });
        assert_eq!(got.await, word, "{newer:?}");
    }
}

#[tokio::test]
async fn a_prompt_is_found_behind_many_messages() {
    let old = json!([said("a0", "", &json!({}))]);
    let mut messages = vec![said("a0", "", &json!({})), user("u1", "build it", &Value::Null)];
    messages.extend((1..60).map(|n| said(&format!("a{n}"), "", &json!({}))));
    let (word, sidecar) = found_after(&old, |sidecar| sidecar.holds(&json!(messages))).await;
    assert_eq!(word, "mine ");
    let limits: Vec<String> =
        sidecar.seen(Route::Messages).into_iter().skip(1).map(|seen| seen.query).collect();
    // By the turn id first, which is not there, so all is read once.
    assert_eq!(limits[..4], ["limit=8", "limit=16", "limit=32", "limit=64"]);
}

#[tokio::test]
async fn absence_means_what_the_boot_mark_says() {
    for (health, word) in [
        (Canned::json(200, &json!({"bootId": "b1"})), "absent Same"),
        (Canned::json(200, &json!({"bootId": "b2"})), "absent Changed"),
        (Canned::json(200, &json!({"status": "ok"})), "absent Unknown"),
        (Canned::html(502), "absent Unknown"),
    ] {
        let got = found(&Value::Null, |sidecar| sidecar.says(Route::Health, [health.clone()]));
        assert_eq!(got.await, word);
    }
    let ids = new_turn();
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let prepared = prepared(&adapter, &ids).await;
    sidecar.stop().await;
    let error = adapter.find(None, &ids, &prepared).await.expect_err("nobody listens");
    assert_eq!(error.class(), "connect");
    assert_eq!(adapter.redispatch(), Redispatch::Deduped);
}

#[tokio::test]
async fn what_cannot_be_asked_is_no_absence() {
    let old = json!([said("a0", "", &json!({}))]);
    for (answer, class) in [
        (Canned::error(401, "UNAUTHORIZED"), "unauthorized"),
        (Canned::error(503, "X"), "later"),
        (Canned::html(404), "status"),
        (Canned::html(524), "status"),
        (Canned::html(200), "nonsense"),
        (Canned::nothing(), "no_answer"),
    ] {
        for route in [Route::Replay, Route::Status, Route::Messages] {
            let got = found(&old, |sidecar| {
                sidecar.says(Route::Status, [status(&json!({"state": "idle"}))]);
                sidecar.says(route, [answer.clone()]);
            });
            assert_eq!(got.await, class, "{route:?} {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_turn_without_ids_of_the_clients_is_looked_for_by_its_execution() {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let mut ids = new_turn();
    (ids.client_session, ids.turn) = (None, None::<TurnId>);
    let prepared = prepared(&adapter, &ids).await;
    let found = adapter.find(None, &ids, &prepared).await;
    assert!(matches!(found, Ok(Found::Absent(Boot::Same))), "{found:?}");
    assert_eq!(sidecar.seen(Route::Replay).len(), 1);
    assert!(sidecar.seen(Route::Messages).is_empty());
}

#[tokio::test]
async fn a_box_that_goes_away_during_the_search_is_away_and_tells_no_absence() {
    let old = json!([said("a0", "", &json!({}))]);
    for before in [&Value::Null, &old] {
        let mut answers = 1;
        let last = loop {
            let word = found(before, |sidecar| {
                sidecar.says(Route::Status, [status(&json!({"state": "idle"}))]);
                sidecar.leaves_after(answers);
            });
            match word.await.as_str() {
                "connect" => answers += 1,
                word => break word.to_owned(),
            }
        };
        // Only one that has told its mark was there all the while.
        assert_eq!(last, "absent Same", "after {answers} answers");
        assert!(answers >= 4, "replay, status, messages and mark are asked");
    }
}
