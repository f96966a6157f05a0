//! Ids that are guessed: a number that is tried a thousand times brings nobody in, costs a box next to
//! nothing, and an answer to somebody without a right says nothing of what goes on.

use futures_util::future::join_all;

use super::super::raw::Answer;
use super::super::support::scripted_box::Route;
use super::stage::{GOOD, Stage, answer_at_once, check};

const PROMPT: &str = r#"{"message":"hi","sessionId":"ses"}"#;
const STRANGER: &str = "Authorization: Bearer bad-canary\r\n";

/// All of an answer that does not change from one second to the next.
fn said(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let names = answer.head.names().into_iter().filter(|name| name != "date");
    let fields = names.map(|name| (name.clone(), answer.head.all(&name).join("\n")));
    (answer.head.status(), fields.collect(), answer.body.clone())
}

#[tokio::test]
async fn a_thousand_guesses_bring_nobody_in_and_ask_the_box_next_to_nothing() {
    let stage = Stage::new().await;
    stage.scripted.with(|state| state.authorization = Some(GOOD.to_owned()));
    let turn = stage.post("X-Execution-ID: exec-500\r\n", PROMPT).await;
    assert_eq!(turn.last_data("done")["status"], "success", "{turn:?}");
    let before = stage.scripted.all_seen().len();
    let guessed = &stage;
    let guess = async |number: usize| {
        let line = format!("GET /agents/executions/exec-{number}/events");
        (number, guessed.ask(&line, STRANGER, "").await)
    };
    for hundred in 0..10 {
        for (number, answer) in join_all((0..100).map(|n| guess(hundred * 100 + n))).await {
            if number == 500 {
                check(&answer, 401, "UNAUTHORIZED");
                continue;
            }
            check(&answer, 404, "EXECUTION_NOT_FOUND");
            assert_eq!(answer.json("/resourceId"), format!("exec-{number}"));
        }
    }
    // Each of what is unknown is told alike, and without a word from the box.
    let (one, other) = (guess(1001).await.1, guess(1002).await.1);
    let named = |answer: &Answer| {
        let (status, fields, body) = said(answer);
        (status, fields, body.replace("exec-1002", "exec-1001"))
    };
    assert_eq!(named(&one), named(&other));
    assert_eq!(stage.scripted.all_seen().len(), before + 1, "one credential was shown to it, once");
    // Whoever goes on guessing at the one that is there is told from memory.
    for (_, answer) in join_all((0..100).map(|_| guess(500))).await {
        check(&answer, 401, "UNAUTHORIZED");
    }
    let asked = stage.scripted.all_seen().len() - before;
    assert!(asked <= 5, "the box was asked {asked} times");
    stage.scripted.with(|state| state.authorization = None);
    stage.holds(1).await;
}

#[tokio::test]
async fn who_has_no_right_is_told_the_same_whatever_goes_on() {
    let stage = Stage::new().await;
    stage.scripted.with(|state| state.authorization = Some(GOOD.to_owned()));
    stage.scripted.on_prompt(|state, session, prompt| drop(state.begin(session, prompt)));
    let with_turn = r#"{"message":"hi","sessionId":"ses","turnId":"t"}"#;
    let mut owner = stage
        .send(
            "POST /agents/run/stream",
            &format!("Authorization: {GOOD}\r\nX-Execution-ID: e\r\n"),
            with_turn,
        )
        .await;
    owner.read_to("event: execution.started").await;
    let native = "Content-Type: application/json\r\n";
    let asked = [
        // Another turn on the session, which would be a conflict while one runs.
        ("POST /agents/run/stream", "", PROMPT),
        // The same turn, and the same ids with another message.
        ("POST /agents/run/stream", "", with_turn),
        ("POST /agents/run/stream", "X-Execution-ID: e\r\n", r#"{"message":"other"}"#),
        ("POST /agents/run/stream", "X-Execution-ID: e\r\nLast-Event-ID: 1\r\n", ""),
        ("POST /agents/run/stream", "X-Execution-ID: e\r\nLast-Event-ID: 999999\r\n", ""),
        ("POST /agents/sessions/ses/abort", "", "{}"),
        ("GET /agents/executions/e/events", "", ""),
        ("GET /agents/executions/e/events", "Last-Event-ID: 999999\r\n", ""),
        ("HEAD /agents/executions/e/events", "", ""),
        ("GET /agents/sessions/ses/events?until=idle", "", ""),
        ("GET /afterbay/v1/boxes/default/sessions/ses", "", ""),
        ("GET /afterbay/v1/boxes/default/sessions/ses/events?after=999999", "", ""),
        ("GET /afterbay/v1/boxes/default/turns/e", "", ""),
        ("POST /afterbay/v1/boxes/default/turns/e/cancel", "", ""),
        ("POST /afterbay/v1/boxes/default/sessions/ses/turns", native, PROMPT),
        ("GET /afterbay/v1/sessions", "", ""),
    ];
    let look = async || {
        let mut all = Vec::new();
        for (line, fields, body) in asked {
            let answer = stage.ask(line, &format!("{STRANGER}{fields}"), body).await;
            let status = answer.head.status();
            let listed = line == "GET /afterbay/v1/sessions";
            assert_eq!(status, if listed { 200 } else { 401 }, "{line}: {answer:?}");
            for word in ["x-session-id", "x-execution-id"] {
                assert_eq!(answer.head.one(word), None, "{line}");
            }
            all.push((line, said(&answer)));
        }
        all
    };
    let while_it_runs = look().await;
    stage.scripted.with(|state| {
        let (id, session) = state.sessions.iter().next().expect("a session");
        let (id, last) = (id.clone(), session.messages.last().expect("a message"));
        let message = last["info"]["id"].as_str().expect("an id").to_owned();
        state.complete(&id, &message, Some("stop"));
        state.idle(&id);
    });
    assert!(owner.read_to_close().await.contains("event: done"), "nobody has stopped it");
    let when_it_is_over = look().await;
    for (before, after) in while_it_runs.iter().zip(&when_it_is_over) {
        assert_eq!(before, after);
    }
    assert!(stage.scripted.seen(Route::Abort).is_empty());
    stage.scripted.with(|state| state.authorization = None);
    stage.scripted.on_prompt(answer_at_once);
    stage.holds(1).await;
}
