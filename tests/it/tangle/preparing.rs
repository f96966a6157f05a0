//! What is read before a prompt leaves, and what the box vouches for.

use afterbay::upstream::tangle::{Lane, Settings};
use afterbay::upstream::{Prepare, TextHash, Upstream, Vouched};
use serde_json::{Value, json};

use super::super::support::scripted_sidecar::{Canned, Route, Sidecar};
use super::{
    ASSIGNED, SECRET, adapter, adapter_with, new_turn, prepared, prompt, said, session_id, status,
    who,
};

#[tokio::test]
async fn preparing_reads_the_boot_mark_and_the_newest_messages_and_leaves_no_prompt() {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let mut ids = new_turn();
    let unknown: Value = serde_json::from_str(&prepared(&adapter, &ids).await.notes).expect("JSON");
    assert_eq!(unknown["candidates"], json!([{"id": "mine", "known": false}]));

    ids.box_session = Some(session_id(ASSIGNED));
    sidecar.holds(&json!([said("a0", "", &json!({})), said("a1", "", &json!({}))]));
    let prepared = prepared(&adapter, &ids).await;
    let notes: Value = serde_json::from_str(&prepared.notes).expect("JSON");
    let known = |id: &str| json!({"id": id, "known": true, "last": "a1"});
    assert_eq!(notes["candidates"], json!([known(ASSIGNED), known("mine")]));
    assert!(notes["boot"].as_str().is_some_and(|mark| mark.contains("b1")), "{notes}");
    assert_eq!(prepared.session, None, "the box assigns it");

    let health = sidecar.seen(Route::Health).pop().expect("asked");
    assert_eq!(health.header("authorization"), None, "no credential where none is needed");
    let read = sidecar.seen(Route::Messages).pop().expect("asked");
    assert_eq!((read.query.as_str(), read.header("authorization")), ("limit=1", Some(SECRET)));
    for route in [Route::Run, Route::Replay, Route::Say, Route::Abort, Route::Other] {
        assert!(sidecar.seen(route).is_empty(), "{route:?}");
    }
}

#[tokio::test]
async fn a_box_without_a_mark_is_as_good() {
    let no_mark = [
        Canned::json(200, &json!({"status": "ok"})),
        Canned::html(200),
        Canned::html(502),
        Canned::error(404, "NOT_FOUND"),
        Canned::nothing(),
    ];
    for health in no_mark {
        let sidecar = Sidecar::start().await;
        sidecar.says(Route::Health, [health]);
        let notes = prepared(&adapter(&sidecar), &new_turn()).await.notes;
        assert!(!notes.contains("boot"), "{notes}");
    }
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    sidecar.stop().await;
    let prepare = adapter.prepare(None, &new_turn()).await;
    assert!(
        matches!(&prepare, Prepare::Failed(error) if error.class() == "connect"),
        "{prepare:?}"
    );
}

#[tokio::test]
async fn a_bad_answer_to_preparing_is_a_refusal_or_may_be_tried_again() {
    for (answer, expected) in [
        (Canned::error(401, "UNAUTHORIZED"), "refused 401"),
        (Canned::error(403, "FORBIDDEN"), "refused 403"),
        (Canned::error(400, "BAD"), "refused 400"),
        (Canned::error(429, "RATE"), "later 429"),
        (Canned::error(503, "AGENT_WARMING_UP"), "later 503"),
        (Canned::error(404, "NOT_FOUND"), "ready"),
        (Canned::html(404), "failed status"),
        (Canned::html(502), "failed status"),
        (Canned::html(200), "failed nonsense"),
        (Canned::text(200, "application/json", "{\"messages\":[{}"), "failed nonsense"),
        (Canned::json(200, &json!({"messages": [{"id": 7}]})), "failed nonsense"),
        (Canned::nothing(), "failed no_answer"),
    ] {
        let sidecar = Sidecar::start().await;
        sidecar.says(Route::Messages, [answer.clone()]);
        let prepare = adapter(&sidecar).prepare(Some(&who()), &new_turn()).await;
        assert_eq!(word(&prepare), expected, "{answer:?}");
    }
}

fn word(prepare: &Prepare) -> String {
    match prepare {
        Prepare::Ready(_) => "ready".to_owned(),
        Prepare::Refused(refusal) => format!("refused {}", refusal.status.as_u16()),
        Prepare::Forgotten => "forgotten".to_owned(),
        Prepare::Later(refusal, _) => format!("later {}", refusal.status.as_u16()),
        Prepare::Failed(error) => format!("failed {}", error.class()),
    }
}

#[tokio::test]
async fn a_session_of_earlier_turns_is_forgotten_only_where_nothing_shows_it() {
    let gone = || Canned::error(404, "NOT_FOUND");
    let idle = status(&json!({"state": "idle"}));
    let some = Canned::json(200, &json!([said("a0", "", &json!({}))]));
    for (messages, status, expected) in [
        (vec![gone()], gone(), "forgotten"),
        (vec![gone()], idle, "ready"),
        // The client's own name for it.
        (vec![gone(), some.clone()], gone(), "ready"),
        (vec![some], gone(), "ready"),
        (vec![gone()], Canned::html(404), "failed status"),
        (vec![gone()], Canned::html(200), "failed nonsense"),
        (vec![gone()], Canned::nothing(), "failed no_answer"),
        (vec![gone()], Canned::error(401, "UNAUTHORIZED"), "refused 401"),
        (vec![gone()], Canned::error(503, "AGENT_WARMING_UP"), "later 503"),
    ] {
        let sidecar = Sidecar::start().await;
        sidecar.says(Route::Messages, messages.clone());
        sidecar.says(Route::Status, [status.clone()]);
        let mut ids = new_turn();
        ids.box_session = Some(session_id(ASSIGNED));
        let prepare = adapter(&sidecar).prepare(Some(&who()), &ids).await;
        assert_eq!(word(&prepare), expected, "{messages:?} {status:?}");
        ids.box_session = None;
        sidecar.says(Route::Messages, [gone()]);
        assert_eq!(word(&adapter(&sidecar).prepare(Some(&who()), &ids).await), "ready");
    }
}

#[tokio::test]
async fn a_message_for_a_session_that_nobody_names_is_refused_at_once() {
    let sidecar = Sidecar::start().await;
    let settings = Settings { lane: Lane::Messages, ..Settings::default() };
    let mut ids = new_turn();
    ids.client_session = None;
    let prepare = adapter_with(&sidecar, settings).prepare(None, &ids).await;
    assert!(matches!(prepare, Prepare::Refused(refusal) if refusal.status == 400));
    assert!(matches!(adapter(&sidecar).prepare(None, &ids).await, Prepare::Ready(_)));
}

#[tokio::test]
async fn the_box_vouches_for_a_credential_on_a_session() {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let session = session_id(ASSIGNED);
    for (answer, expected) in [
        (status(&json!({"state": "idle"})), "yes"),
        (Canned::error(401, "UNAUTHORIZED"), "no 401"),
        (Canned::error(403, "FORBIDDEN"), "no 403"),
        (Canned::error(404, "NOT_FOUND"), "unknown"),
        (Canned::html(404), "status"),
        (Canned::html(200), "nonsense"),
        (Canned::error(503, "X"), "later"),
    ] {
        sidecar.says(Route::Status, [answer]);
        let said = match adapter.vouch(&who(), &session).await {
            Ok(Vouched::Yes) => "yes".to_owned(),
            Ok(Vouched::No(status)) => format!("no {}", status.as_u16()),
            Ok(Vouched::UnknownSession) => "unknown".to_owned(),
            Err(error) => error.class().to_owned(),
        };
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn a_stop_is_harmless_where_nothing_runs() {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let session = session_id(ASSIGNED);
    for (answer, class) in [
        (Canned::json(200, &json!({"data": {"cancelled": true}})), None),
        (Canned::json(200, &json!({"data": {"cancelled": false, "reason": "idle"}})), None),
        (Canned::error(404, "NOT_FOUND"), None),
        (Canned::error(409, "CONFLICT"), None),
        (Canned::html(404), Some("status")),
        (Canned::error(403, "FORBIDDEN"), Some("unauthorized")),
        (Canned::html(502), Some("status")),
    ] {
        sidecar.says(Route::Abort, [answer.clone()]);
        let said = adapter.cancel(Some(&who()), &session).await.err();
        assert_eq!(said.map(|error| error.class()), class, "{answer:?}");
    }
    let seen = sidecar.seen(Route::Abort).pop().expect("asked");
    assert_eq!(seen.path, "/agents/sessions/sess_assigned/abort");
    assert_eq!((seen.body.as_ref(), seen.header("authorization")), (&b"{}"[..], Some(SECRET)));
}

#[tokio::test]
async fn a_prompt_is_checked_before_anything_is_sent_and_known_by_its_text() {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    for good in [
        r#"{"message":"build it"}"#,
        r#"{"parts":[{"type":"text","text":"build it"}],"detach":false}"#,
    ] {
        let hash = adapter.check_prompt(&prompt(good));
        assert_eq!(hash, Ok(Some(TextHash::of("build it"))), "{good}");
    }
    for bad in ["", "[]", "{}", r#"{"message":7}"#, r#"{"message":"x","detach":"no"}"#] {
        assert!(adapter.check_prompt(&prompt(bad)).is_err(), "{bad}");
    }
    assert!(sidecar.seen(Route::Run).is_empty() && sidecar.seen(Route::Health).is_empty());
}
