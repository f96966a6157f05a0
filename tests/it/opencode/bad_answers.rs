//! A box, or something in its place, that answers what makes no sense: each is an error of its
//! class, nothing of the answer or the credential is in its text, and the next poll goes on.

use std::time::Duration;

use afterbay::limits;
use afterbay::upstream::{Depth, Error, Prepare, Upstream, Vouched};
use bytes::Bytes;
use serde_json::json;

use super::super::support::scripted_box::{Fault, Route};
use super::{SECRET, Turn, adapter, new_turn, session_id, who};

/// A fault and the class that it must come out as.
fn faults() -> Vec<(Fault, &'static str)> {
    let json = "application/json";
    vec![
        (Fault::html(200), "nonsense"),
        (Fault::html(502), "status"),
        (Fault::html(404), "status"),
        (Fault::html(522), "status"),
        (Fault::answer(200, json, "<html>canary</html>"), "nonsense"),
        (Fault::answer(200, json, ""), "nonsense"),
        (Fault::answer(200, json, " \n"), "nonsense"),
        (Fault::answer(200, json, "[{\"canary\":\"canary"), "nonsense"),
        (Fault::answer(200, json, "{\"canary\":1} x"), "nonsense"),
        (Fault::answer(200, json, "\"canary\""), "nonsense"),
        (Fault::answer(200, json, Bytes::from_static(b"[\"\xff\xfe\"]")), "nonsense"),
        (Fault::answer(200, json, "[".repeat(100_000)), "nonsense"),
        (Fault::Endless, "too_large"),
        (Fault::json(500, &json!({"name": "canary"})), "status"),
        (Fault::json(400, &json!({"name": "canary"})), "status"),
        (Fault::Answer(302, vec![("location", "http://canary/".into())], Bytes::new()), "status"),
        (Fault::json(401, &json!({})), "unauthorized"),
        (Fault::html(403), "unauthorized"),
        (Fault::retry_after(429, "7"), "later"),
        (Fault::retry_after(503, "soon"), "later"),
    ]
}

#[tokio::test]
async fn every_bad_answer_to_a_poll_has_its_class_and_the_next_poll_goes_on() {
    for route in [Route::Status, Route::Permissions, Route::Questions, Route::Messages] {
        for (fault, class) in faults() {
            let mut turn = Turn::start().await;
            turn.with(|state, session, prompt| {
                let message = state.begin(session, prompt);
                state.text(session, &message, "prt_1", "hello", false);
            });
            turn.scripted.fail_next(route, fault.clone());
            let error = turn.try_poll(Depth::Messages).await.expect_err("a bad answer");
            assert_eq!(error.class(), class, "{route:?} {fault:?}: {error}");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("canary") && !text.contains("directory"), "{text}");
            assert_eq!(turn.poll().await.names(), ["message.part.updated"], "nothing is lost");
        }
    }
}

#[tokio::test]
async fn retry_after_reaches_the_caller_bounded() {
    let mut turn = Turn::start().await;
    for (value, wait) in [("7", 7), ("86400", limits::MAX_RETRY_AFTER.as_secs())] {
        turn.scripted.fail_next(Route::Status, Fault::retry_after(429, value));
        let error = turn.try_poll(Depth::Status).await.expect_err("not now");
        let Error::Later { retry_after, .. } = error else { panic!("{error:?}") };
        assert_eq!(retry_after.map(|wait| wait.as_secs()), Some(wait));
    }
}

#[tokio::test]
async fn a_status_with_line_breaks_in_it_is_just_busy() {
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        state.begin(session, prompt);
        state.session(session).status = Some(json!({"type": "busy\r\nevent: done"}));
    });
    let polled = turn.poll().await;
    assert_eq!(polled.view.activity, afterbay::upstream::Activity::Busy);
    assert!(polled.events.is_empty());
}

#[tokio::test]
async fn a_read_on_a_connection_that_breaks_is_repeated_once_and_no_false_verdict() {
    let mut turn = Turn::start().await;
    let before = turn.scripted.seen(Route::Status).len();
    turn.scripted.fail_next(Route::Status, Fault::LoseRequest);
    turn.try_poll(Depth::Status).await.expect("repeated on a connection of its own");
    assert_eq!(turn.scripted.seen(Route::Status).len(), before + 2);
    turn.scripted.fail_always(Route::Status, Some(Fault::LoseAnswer));
    let error = turn.try_poll(Depth::Status).await.expect_err("it breaks each time");
    assert_eq!(error.class(), "no_answer");
    assert_eq!(turn.scripted.seen(Route::Status).len(), before + 4);
}

#[tokio::test]
async fn trap_11_a_call_that_a_starting_box_never_answers_costs_one_poll() {
    let mut turn = Turn::start().await;
    turn.scripted.fail_next(Route::Status, Fault::Silence);
    let asked = turn.scripted.seen(Route::Status).len();
    {
        let mut poll =
            std::pin::pin!(turn.adapter.poll(None, &turn.bound, &turn.cursor, Depth::Status));
        let arrived = async {
            while turn.scripted.seen(Route::Status).len() == asked {
                tokio::task::yield_now().await;
            }
        };
        // The request leaves in real time; only the waiting is made short.
        tokio::select! {
            biased;
            page = &mut poll => panic!("answered by silence: {page:?}"),
            () = arrived => {}
        }
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        let error = poll.await.expect_err("no answer");
        assert_eq!(error.class(), "no_answer");
        let bound = limits::BOX_STATUS_TIMEOUT + Duration::from_millis(100);
        assert!(start.elapsed() < bound, "{:?}", start.elapsed());
        tokio::time::resume();
    }
    turn.try_poll(Depth::Status).await.expect("the next call is answered");
}

#[tokio::test]
async fn a_box_that_is_gone_is_told_apart_from_one_that_breaks() {
    let mut turn = Turn::start().await;
    turn.poll().await;
    turn.scripted.stop().await;
    let error = turn.try_poll(Depth::Messages).await.expect_err("nobody listens");
    assert_eq!(error.class(), "connect", "{error}");
}

#[tokio::test]
async fn a_credential_that_the_box_refuses_is_unauthorized_and_shows_nowhere() {
    let mut turn = Turn::start().await;
    turn.scripted.with(|state| state.authorization = Some("Bearer other".into()));
    let error = turn.try_poll(Depth::Messages).await.expect_err("refused");
    assert!(matches!(error, Error::Unauthorized(status) if status == 401));
    assert!(!format!("{error} {error:?} {turn:?}", turn = turn.adapter).contains("canary"));
    turn.scripted.with(|state| state.authorization = Some(SECRET.into()));
    turn.try_poll(Depth::Messages).await.expect("the right one");
}

#[tokio::test]
async fn every_call_carries_the_credential() {
    let mut turn = Turn::start().await;
    turn.scripted.with(|state| state.authorization = Some(SECRET.into()));
    turn.with(|state, session, prompt| state.begin(session, prompt));
    turn.poll().await;
    turn.adapter.cancel(Some(&who()), &turn.bound.session).await.expect("accepted");
    assert!(turn.adapter.cancel(None, &turn.bound.session).await.is_err());
    let ids = new_turn();
    let refused = turn.adapter.prepare(None, &ids).await;
    assert!(matches!(refused, Prepare::Refused(refusal) if refusal.status == 401));
}

#[tokio::test]
async fn the_box_vouches_for_a_credential_on_a_session() {
    let turn = Turn::start().await;
    turn.scripted.with(|state| state.authorization = Some(SECRET.into()));
    let session = &turn.bound.session;
    let vouch = |who, session| async move { turn.adapter.vouch(&who, &session).await };
    assert!(matches!(vouch(who(), session.clone()).await, Ok(Vouched::Yes)));
    let turn = Turn::start().await;
    turn.scripted.with(|state| state.authorization = Some("Bearer other".into()));
    let answer = turn.adapter.vouch(&who(), &turn.bound.session).await;
    assert!(matches!(answer, Ok(Vouched::No(status)) if status == 401), "{answer:?}");
    turn.scripted.with(|state| state.authorization = None);
    let answer = turn.adapter.vouch(&who(), &session_id("ses_unknown")).await;
    assert!(matches!(answer, Ok(Vouched::UnknownSession)), "{answer:?}");
    turn.scripted.fail_next(Route::Session, Fault::html(404));
    let answer = turn.adapter.vouch(&who(), &turn.bound.session).await;
    assert!(answer.is_err(), "a gateway's page is not the box's word");
    turn.scripted.fail_next(Route::Session, Fault::html(200));
    assert!(turn.adapter.vouch(&who(), &turn.bound.session).await.is_err());
}

#[tokio::test]
async fn a_prepare_that_gets_a_bad_answer_may_be_tried_again() {
    for (fault, class) in faults() {
        let turn = Turn::start().await;
        let adapter = adapter(&turn.scripted);
        turn.scripted.fail_next(Route::Open, fault.clone());
        let prepare = adapter.prepare(Some(&who()), &new_turn()).await;
        let said = match &prepare {
            Prepare::Ready(_) => "ready",
            Prepare::Refused(_) => "refused",
            Prepare::Forgotten => "forgotten",
            Prepare::Later(..) => "later",
            Prepare::Failed(error) => error.class(),
        };
        let expected = match (class, &fault) {
            ("unauthorized", _) | (_, Fault::Answer(400, ..)) => "refused",
            (class, _) => class,
        };
        assert_eq!(said, expected, "{fault:?}");
    }
}
