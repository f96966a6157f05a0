//! Sending a prompt: once, and with a clear word on what became of it.

use std::time::Duration;

use afterbay::upstream::{Accepted, Dispatch, Ending, Found, Prepare, Upstream};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::super::support::box_state::HOME;
use super::super::support::scripted_box::{Fault, Route, ScriptedBox};
use super::{SECRET, adapter, new_turn, prepared, prompt, session_id, who};

/// What a dispatch came to, in one word, after this fault; and how many prompts the box then has.
async fn dispatched_after(fault: Fault) -> (String, usize) {
    let scripted = ScriptedBox::start().await;
    let adapter = adapter(&scripted);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    scripted.fail_next(Route::Prompt, fault);
    let body = prompt(r#"{"message":"x"}"#);
    let word = match adapter.dispatch(Some(&who()), &ids, &prepared, &body).await {
        Dispatch::Accepted(_) => "accepted".into(),
        Dispatch::NotSent(error) => format!("not sent {}", error.class()),
        Dispatch::Later(refusal, wait) => {
            format!("later {} {:?}", refusal.status.as_u16(), wait.map(|wait| wait.as_secs()))
        }
        Dispatch::Refused(refusal) => format!("refused {}", refusal.status.as_u16()),
        Dispatch::Unanswered(error) => format!("unanswered {}", error.class()),
        Dispatch::Unnamed(error) => format!("unnamed {}", error.class()),
    };
    let session = prepared.session.clone().expect("prepared");
    let found = adapter.find(Some(&who()), &ids, &prepared).await.expect("the box answers");
    let prompts = scripted.with(|state| state.session(session.as_str()).messages.len());
    assert_eq!(matches!(found, Found::Arrived(_)), prompts == 1);
    (word, prompts)
}

#[tokio::test]
async fn what_became_of_a_prompt_is_told_by_what_can_be_known() {
    for (fault, word, prompts) in [
        (Fault::json(400, &json!({"name": "BadRequest"})), "refused 400", 0),
        (Fault::json(404, &json!({"name": "NotFoundError"})), "refused 404", 0),
        (Fault::answer(401, "text/plain", ""), "refused 401", 0),
        (Fault::retry_after(429, "7"), "later 429 Some(7)", 0),
        (Fault::Answer(503, Vec::new(), r#"{"name":"Busy"}"#.into()), "later 503 None", 0),
        (Fault::retry_after(503, ""), "unanswered status", 0),
        (Fault::LoseRequest, "unanswered no_answer", 0),
        (Fault::LoseAnswer, "unanswered no_answer", 1),
        (Fault::AnswerAfterEffect(502), "unanswered status", 1),
        (Fault::AnswerAfterEffect(504), "unanswered status", 1),
        (Fault::AnswerAfterEffect(524), "unanswered status", 1),
        (Fault::AnswerAfterEffect(500), "unanswered status", 1),
        (Fault::AnswerAfterEffect(200), "unanswered nonsense", 1),
        (Fault::html(200), "unanswered nonsense", 0),
        (Fault::html(503), "unanswered status", 0),
        (Fault::Endless, "unanswered too_large", 0),
    ] {
        let shown = format!("{fault:?}");
        assert_eq!(dispatched_after(fault).await, (word.to_owned(), prompts), "{shown}");
    }
}

#[tokio::test]
async fn a_box_that_nobody_reaches_was_sent_nothing() {
    let scripted = ScriptedBox::start().await;
    let adapter = adapter(&scripted);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    scripted.stop().await;
    let body = prompt(r#"{"message":"x"}"#);
    let sent = adapter.dispatch(Some(&who()), &ids, &prepared, &body).await;
    assert!(matches!(sent, Dispatch::NotSent(_)), "{sent:?}");
    assert!(
        matches!(adapter.prepare(None, &ids).await, Prepare::Failed(error) if error.class() == "connect")
    );
}

#[tokio::test]
async fn a_box_that_says_nothing_is_unanswered_within_a_bound() {
    let scripted = ScriptedBox::start().await;
    let adapter = adapter(&scripted);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    scripted.fail_next(Route::Prompt, Fault::Silence);
    let body = prompt(r#"{"message":"x"}"#);
    let who = who();
    let send = adapter.dispatch(Some(&who), &ids, &prepared, &body);
    let mut send = std::pin::pin!(send);
    // The request leaves in real time; only the waiting is made short.
    let arrived = async {
        while scripted.seen(Route::Prompt).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        sent = &mut send => panic!("answered by silence: {sent:?}"),
        () = arrived => {}
    }
    tokio::time::pause();
    let sent = tokio::time::timeout(Duration::from_secs(120), send).await.expect("bounded");
    assert!(
        matches!(&sent, Dispatch::Unanswered(error) if error.class() == "no_answer"),
        "{sent:?}"
    );
}

#[tokio::test]
async fn each_prompt_goes_out_on_a_connection_of_its_own_and_only_once() {
    // On a kept connection a request may cross the box's closing of it, and nobody can know.
    let scripted = ScriptedBox::start().await;
    let adapter = adapter(&scripted);
    for _ in 0..3 {
        let ids = new_turn();
        let prepared = prepared(&adapter, &ids).await;
        adapter.find(Some(&who()), &ids, &prepared).await.expect("leaves a connection to keep");
        let body = prompt(r#"{"message":"x"}"#);
        let sent = adapter.dispatch(Some(&who()), &ids, &prepared, &body).await;
        assert!(matches!(sent, Dispatch::Accepted(_)), "{sent:?}");
    }
    let prompts: Vec<usize> = scripted.seen(Route::Prompt).iter().map(|p| p.connection).collect();
    assert_eq!(prompts.len(), 3);
    for route in [Route::Open, Route::Messages, Route::Prompt] {
        for seen in scripted.seen(route) {
            let shared = prompts.iter().filter(|prompt| **prompt == seen.connection).count();
            assert_eq!(shared, usize::from(route == Route::Prompt), "{route:?}");
        }
    }
}

#[tokio::test]
async fn the_prompt_carries_our_message_id_and_the_clients_end_to_end_headers() {
    let scripted = ScriptedBox::start().await;
    let adapter = adapter(&scripted);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-length", "9999"),
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("accept-encoding", "br"),
        ("host", "evil"),
        ("authorization", "Bearer stale"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("digest", "sha-256=x"),
        ("expect", "100-continue"),
        ("x-trace", "t-1"),
        ("x-execution-id", "client-says-other"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let body = afterbay::upstream::Body {
        headers,
        bytes: Bytes::from_static(br#"{"parts":[{"type":"text","text":"a"}],"agent":"plan"}"#),
    };
    let sent = adapter.dispatch(Some(&who()), &ids, &prepared, &body).await;
    let Dispatch::Accepted(Accepted { session, frames, .. }) = sent else { panic!("{sent:?}") };
    assert_eq!((Some(session), frames.len()), (prepared.session.clone(), 0));
    let seen = scripted.seen(Route::Prompt).pop().expect("arrived");
    let header = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("content-length"), Some(seen.body.len().to_string()).as_deref());
    assert_eq!(header("authorization"), Some(SECRET));
    assert_eq!((header("x-trace"), header("x-execution-id")), (Some("t-1"), Some("exec_1")));
    for gone in ["x-hop", "content-encoding", "accept-encoding", "digest", "expect"] {
        assert_eq!(header(gone), None, "{gone}");
    }
    assert!(header("host").is_some_and(|host| host.starts_with("127.0.0.1")));
    let notes: Value = serde_json::from_str(&prepared.notes).expect("JSON");
    let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
    let expected = json!({"messageID": notes["messageID"], "agent": "plan",
        "parts": [{"type": "text", "text": "a"}]});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_refusal_is_the_boxs_answer_cut_at_its_bound() {
    let scripted = ScriptedBox::start().await;
    let adapter = adapter(&scripted);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    let headers = vec![("x-box", "yes".to_owned()), ("content-type", "text/plain".to_owned())];
    let long = Bytes::from(vec![b'x'; 1 << 20]);
    scripted.fail_next(Route::Prompt, Fault::Answer(422, headers, long));
    let body = prompt(r#"{"message":"x"}"#);
    let sent = adapter.dispatch(Some(&who()), &ids, &prepared, &body).await;
    let Dispatch::Refused(refusal) = sent else { panic!("{sent:?}") };
    assert_eq!(refusal.status, 422);
    assert_eq!(refusal.headers.get("x-box").map(HeaderValue::as_bytes), Some(&b"yes"[..]));
    assert_eq!(refusal.headers.get("content-length"), None);
    assert_eq!(refusal.body.len(), afterbay::limits::MAX_REFUSAL_BYTES);
}

#[tokio::test]
async fn a_bad_prompt_is_told_before_anything_is_sent() {
    let scripted = ScriptedBox::start().await;
    let adapter = adapter(&scripted);
    for body in [
        "[]",
        "{",
        "{}",
        r#"{"message":7}"#,
        &format!("{{\"message\":\"x\",\"a\":{}", "[".repeat(1 << 20)),
    ] {
        assert!(adapter.check_prompt(&prompt(body)).is_err(), "{}", &body[..body.len().min(40)]);
    }
    adapter.check_prompt(&prompt(r#"{"message":"x"}"#)).expect("a good one");
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    let sent = adapter.dispatch(None, &ids, &prepared, &prompt("{}")).await;
    assert!(matches!(sent, Dispatch::NotSent(_)), "{sent:?}");
    assert!(scripted.seen(Route::Prompt).is_empty());
}

#[tokio::test]
async fn the_session_is_the_bound_one_or_the_clients_or_a_new_one() {
    let scripted = ScriptedBox::start().await;
    let adapter = adapter(&scripted);
    let there = scripted.with(|state| state.open(HOME));
    let opened = || scripted.seen(Route::Open).len();

    let mut ids = new_turn();
    ids.client_session = Some(session_id(&there));
    assert_eq!(prepared(&adapter, &ids).await.session, Some(session_id(&there)));
    assert_eq!(opened(), 0);

    for alias in ["my-chat", "ses_unknown"] {
        ids.client_session = Some(session_id(alias));
        let session = prepared(&adapter, &ids).await.session.expect("opened");
        assert!(session.as_str() != alias && session.as_str().starts_with("ses_"));
    }
    assert_eq!(opened(), 2);

    ids.box_session = Some(session_id(&there));
    assert_eq!(prepared(&adapter, &ids).await.session, Some(session_id(&there)));
    ids.box_session = Some(session_id("ses_gone"));
    let gone = adapter.prepare(Some(&who()), &ids).await;
    assert!(matches!(gone, Prepare::Forgotten), "{gone:?}");
    assert_eq!(opened(), 2);
}

#[tokio::test]
async fn a_prompt_is_found_behind_many_messages_of_others() {
    let scripted = ScriptedBox::start().await;
    let adapter = adapter(&scripted);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    let session = prepared.session.clone().expect("opened").to_string();
    assert!(matches!(adapter.find(None, &ids, &prepared).await, Ok(Found::Absent(_))));
    let sent = adapter.dispatch(None, &ids, &prepared, &prompt(r#"{"message":"x"}"#)).await;
    assert!(matches!(sent, Dispatch::Accepted(_)));
    scripted.with(|state| {
        let ours = state.last_prompt(&session);
        for _ in 0..100 {
            let message = state.begin(&session, &ours);
            state.complete(&session, &message, Some("tool-calls"));
        }
    });
    let found = adapter.find(None, &ids, &prepared).await;
    assert!(matches!(&found, Ok(Found::Arrived(accepted)) if accepted.session.as_str() == session));
    scripted.with(|state| state.sessions.clear());
    assert!(adapter.find(None, &ids, &prepared).await.is_err_and(|error| error.class() == "gone"));
}

#[tokio::test]
async fn a_very_short_turn_is_read_whole_at_the_first_poll() {
    let scripted = ScriptedBox::start().await;
    scripted.on_prompt(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.text(session, &message, "prt_1", "done already", true);
        state.complete(session, &message, Some("stop"));
        state.idle(session);
    });
    let mut turn = super::Turn::start_on(scripted, new_turn()).await;
    let polled = turn.poll().await;
    assert!(polled.view.started);
    assert_eq!(polled.view.ending, Some(Ending::Completed));
    assert_eq!(polled.view.answer.expect("read").final_text, "done already");
}
