//! Stopping a turn, and no other.

use afterbay::upstream::Ending;
use serde_json::json as value;

use super::super::support::hall::Verdict;
use super::super::support::play::Play;
use super::{EVENTS, MESSAGE, ask, ask_as, check_error, json, run, start};

const CANCEL: &str = "POST /afterbay/v1/boxes/default/turns/e-1/cancel";
const TURN: &str = "GET /afterbay/v1/boxes/default/turns/e-1";

#[tokio::test]
async fn a_turn_that_runs_is_stopped_and_a_repeat_tells_how_it_ended() {
    let play = Play::new().await;
    start(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    let asked = ask(&play, CANCEL, "", "").await;
    assert!(matches!(asked.head.status(), 200 | 202), "{asked:?}");
    assert_eq!(json(&asked)["executionId"], "e-1");
    play.get(&format!("{EVENTS}?until=idle"), "").await;
    for _ in 0..2 {
        let again = ask(&play, CANCEL, "", "").await;
        let told = json(&again);
        assert_eq!((again.head.status(), &told["outcome"]), (200, &value!("cancelled")));
        assert_eq!((&told["state"], &told["code"]), (&value!("finished"), &value!("CANCELLED")));
        assert_eq!(told, json(&ask(&play, TURN, "", "").await));
    }
}

#[tokio::test]
async fn a_turn_that_is_over_stays_as_it_ended_and_the_next_one_goes_on() {
    let play = Play::new().await;
    run(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    play.hall.script.says("on");
    start(&play, "X-Execution-ID: e-2\r\n", MESSAGE).await;
    let told = ask(&play, CANCEL, "", "").await;
    assert_eq!((told.head.status(), &json(&told)["outcome"]), (200, &value!("completed")));
    let next = "GET /afterbay/v1/boxes/default/turns/e-2";
    play.hall.script.ends(Ending::Completed);
    play.get(&format!("{EVENTS}?until=idle"), "").await;
    assert_eq!(json(&ask(&play, next, "", "").await)["outcome"], "completed");
}

#[tokio::test]
async fn a_turn_that_the_box_has_not_answered_is_stopped_once_it_does() {
    let play = Play::impatient().await;
    play.hall.script.answers(Verdict::Silent);
    start(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    let asked = ask(&play, CANCEL, "", "").await;
    assert_eq!((asked.head.status(), &json(&asked)["state"]), (202, &value!("dispatching")));
    play.hall.script.answers(Verdict::Takes);
    play.get(&format!("{EVENTS}?until=idle"), "").await;
    assert_eq!(json(&ask(&play, TURN, "", "").await)["outcome"], "cancelled");
}

#[tokio::test]
async fn who_may_not_read_may_not_stop() {
    let play = Play::new().await;
    start(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    for (who, status, code) in [("Bearer bad", 403, "FORBIDDEN"), ("", 401, "UNAUTHORIZED")] {
        check_error(&ask_as(&play, who, CANCEL, "", "").await, status, code);
    }
    assert_eq!(json(&ask(&play, TURN, "", "").await)["state"], "running");
    let unknown = CANCEL.replace("e-1", "e-9");
    check_error(&ask(&play, &unknown, "", "").await, 404, "EXECUTION_NOT_FOUND");
}
