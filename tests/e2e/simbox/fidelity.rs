//! `fidelity = "result"`: of a turn its clients see what the original poll mode told, and nothing
//! else: one `result`, after an `error` if it failed.

use super::super::client::Turn;
use super::super::daemon;
use super::super::frames::{Frame, Frames};
use super::super::http::Request;
use super::set::{Set, Settings};
use super::shown;

/// The box's route for results tells its own code of a failure; its status does not.
async fn set() -> Set {
    let flags = vec!["--fidelity", "result", "--result-path", "/agents/sessions/{id}/result"];
    let daemon = daemon::Settings { flags, ..daemon::Settings::default() };
    Set::with(Settings { daemon, ..Settings::default() }).await
}

/// Everything of a turn, and its execution id.
async fn all(set: &Set, request: Request) -> (Vec<Frame>, String) {
    let answer = request.send(set.daemon.address()).await.expect("the daemon answers");
    let mut frames = Frames::of(answer);
    let execution = frames.header("x-execution-id").expect("an execution id").to_owned();
    let mut all = Vec::new();
    while let Ok(frame) = frames.next().await {
        all.push(frame);
    }
    (all, execution)
}

#[tokio::test]
async fn a_turn_is_one_result_and_a_failure_is_an_error_before_it() {
    let set = set().await;
    let cases: [(&str, &str, &[&str]); 3] = [
        ("turn-1", "parts=3 grow=3 tool=2 step=30ms", &["result"]),
        ("turn-2", "parts=2 receipt assign", &["result"]),
        ("turn-3", "parts=2 step=30ms fail=OUT_OF_TOKENS", &["error", "result"]),
    ];
    for (marker, script, expected) in cases {
        let turn = Turn::new(marker, script);
        let (frames, execution) = all(&set, turn.post()).await;
        let names: Vec<_> = frames.iter().map(|frame| frame.event.as_str()).collect();
        assert_eq!(names, expected, "{marker}");
        let account = set.simbox.account();
        let told = account.turn(&execution).expect("the box knows the turn");
        shown::check_cost(marker, told);
        let result = &frames.last().expect("a result").data;
        let success = expected.len() == 1;
        assert_eq!(result["success"], success, "{result}");
        assert_eq!(result["finalText"].as_str(), told.final_text.text.as_deref(), "{result}");
        if !success {
            assert_eq!(frames[0].data["code"], "OUT_OF_TOKENS");
            assert_eq!(result["errorCode"], "OUT_OF_TOKENS");
        }
        check_again(&set, &turn, &execution, &frames).await;
    }
}

/// The same again for whoever comes later, and nothing after the end.
async fn check_again(set: &Set, turn: &Turn, execution: &str, frames: &[Frame]) {
    let path = format!("/agents/executions/{execution}/events");
    for request in [turn.post(), Request::get(path.as_str())] {
        let (again, _) = all(set, request).await;
        assert_eq!(again, frames);
    }
    let last = frames.last().expect("a result").id.to_string();
    let after = Request::get(path).header("last-event-id", last);
    let after = after.send(set.daemon.address()).await.expect("the daemon answers");
    assert_eq!(after.status, 204);
}
