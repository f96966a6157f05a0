//! What is told of sessions and turns, and the stream of a session's events.

use afterbay::turn::control::wall_ms;
use afterbay::upstream::Ending;
use serde_json::{Value, json as value};

use super::super::raw::read;
use super::super::support::play::Play;
use super::super::support::rig::within;
use super::{EVENTS, MESSAGE, SESSION, ask, check_error, json, run, start};
use crate::it::retention::TOO_OLD;

const TURN: &str = "GET /afterbay/v1/boxes/default/turns/e-1";

async fn trim(play: &Play) {
    let later = wall_ms() + u64::try_from(TOO_OLD.as_millis()).expect("a time of ours");
    play.hall.retention.look(later).await;
}

#[tokio::test]
async fn a_turn_tells_where_it_is_and_then_what_it_came_to() {
    let play = Play::new().await;
    start(&play, "X-Execution-ID: e-1\r\nIdempotency-Key: t-1\r\n", MESSAGE).await;
    let running = value!({
        "box": "default", "sessionId": "box-1", "executionId": "e-1", "turnId": "t-1",
        "state": "running", "firstEventId": 1, "expired": false
    });
    assert_eq!(json(&ask(&play, TURN, "", "").await), running);
    play.hall.script.ends(Ending::Completed);
    play.get(&format!("{EVENTS}?until=idle"), "").await;
    let told = json(&ask(&play, TURN, "", "").await);
    assert_eq!((&told["state"], &told["outcome"]), (&value!("finished"), &value!("completed")));
    assert_eq!((&told["lastEventId"], told.get("code")), (&value!(3), None));
    assert_eq!(told["result"]["finalText"], "hello");
    assert_eq!(told["result"]["metadata"]["sessionId"], "box-1");
}

#[tokio::test]
async fn a_failed_turn_tells_its_code() {
    let play = Play::new().await;
    play.hall.script.ends(Ending::Failed { code: "MODEL_GONE".into(), message: "m".into() });
    start(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    play.get(&format!("{EVENTS}?until=idle"), "").await;
    let told = json(&ask(&play, TURN, "", "").await);
    assert_eq!((&told["outcome"], &told["code"]), (&value!("failed"), &value!("MODEL_GONE")));
    assert_eq!(told["result"]["success"], false);
}

#[tokio::test]
async fn a_session_tells_its_turns_oldest_first() {
    let play = Play::new().await;
    run(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    play.hall.script.says("on");
    start(&play, "X-Execution-ID: e-2\r\n", MESSAGE).await;
    ask(&play, &format!("GET {EVENTS}?after=6&wait=20"), super::AS_JSON, "").await;
    for id in ["ses", "box-1"] {
        let line = format!("GET /afterbay/v1/boxes/default/sessions/{id}");
        let told = json(&ask(&play, &line, "", "").await);
        let expected = value!({
            "box": "default", "sessionId": "box-1", "state": "busy", "turnCount": 2,
            "lastEventId": 7,
            "turns": [
                {"executionId": "e-1", "state": "finished", "outcome": "completed",
                    "firstEventId": 1, "lastEventId": 5, "expired": false},
                {"executionId": "e-2", "state": "running", "firstEventId": 6, "expired": false}
            ]
        });
        assert_eq!(told, expected);
    }
    play.hall.script.ends(Ending::Completed);
    play.get(&format!("{EVENTS}?until=idle"), "").await;
    let told = json(&ask(&play, &format!("GET {SESSION}"), "", "").await);
    assert_eq!((&told["state"], &told["lastEventId"]), (&value!("idle"), &value!(9)));
}

#[tokio::test]
async fn a_turn_that_is_gone_is_still_told_without_its_result() {
    let play = Play::new().await;
    run(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    trim(&play).await;
    let told = json(&ask(&play, TURN, "", "").await);
    assert_eq!((&told["outcome"], &told["expired"]), (&value!("completed"), &value!(true)));
    assert_eq!(told.get("result"), None);
    let told = json(&ask(&play, &format!("GET {SESSION}"), "", "").await);
    assert_eq!(told["turns"][0]["expired"], true);
    // A repeat still starts nothing.
    let again = start(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    assert_eq!(again.head.status(), 200);
    let other = start(&play, "X-Execution-ID: e-1\r\n", r#"{"message":"other"}"#).await;
    check_error(&other, 409, "IDEMPOTENCY_CONFLICT");
}

#[tokio::test]
async fn the_stream_is_that_of_the_sandboxs_session_log() {
    let play = Play::new().await;
    run(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    let native = ask(&play, &format!("GET {EVENTS}?until=idle&after=2"), "", "").await;
    let theirs = play.get("/agents/sessions/ses/events?until=idle&after=2", "").await;
    assert_eq!((native.head.status(), native.ids()), (200, vec![3, 4, 5]));
    let frames = |body: &str| body[body.find("id: 3\n").expect("a frame")..].to_owned();
    assert_eq!(frames(&native.body), frames(&theirs.body));
    assert_eq!(native.head.one("content-type"), Some("text/event-stream"));
    let at_end = ask(&play, &format!("GET {EVENTS}?until=idle"), "Last-Event-ID: 5\r\n", "").await;
    assert_eq!((at_end.head.status(), at_end.body.as_str()), (204, ""));
    let bare = ask(&play, &format!("HEAD {EVENTS}"), "", "").await;
    assert_eq!((bare.head.status(), bare.body.as_str()), (200, ""));
    // Without `until=idle` it waits for the turns to come.
    let mut page = play.ask(&format!("GET {EVENTS}?after=5"), "", "").await;
    page.read_head().await;
    run(&play, "X-Execution-ID: e-2\r\n", MESSAGE).await;
    page.read_to("id: 10\nevent: done\n").await;
}

#[tokio::test]
async fn a_cursor_without_sense_is_an_error_and_not_a_replay() {
    let play = Play::new().await;
    run(&play, "", MESSAGE).await;
    for accept in ["", super::AS_JSON] {
        for value in ["x", "-1", "+5", "18446744073709551616", "1.0"] {
            let value = value.replace('+', "%2B");
            let answer = ask(&play, &format!("GET {EVENTS}?after={value}"), accept, "").await;
            check_error(&answer, 400, "INVALID_CURSOR");
        }
        for name in ["after", "lastEventId", "last_event_id", "starting_after"] {
            let line = format!("GET {EVENTS}?{name}=6");
            // A stream would not end.
            let answer = within("it is refused", ask(&play, &line, accept, "")).await;
            check_error(&answer, 409, "CURSOR_BEYOND_TAIL");
        }
        let fields = format!("{accept}Last-Event-ID: 6\r\n");
        check_error(
            &ask(&play, &format!("GET {EVENTS}?after=1"), &fields, "").await,
            409,
            "CURSOR_BEYOND_TAIL",
        );
    }
}

#[tokio::test]
async fn json_routes_answer_a_head_with_the_head() {
    let play = Play::new().await;
    run(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    let turn = TURN.replace("GET ", "");
    for target in [&turn, SESSION, "/afterbay/v1/sessions", "/afterbay/v1/openapi.json"] {
        let whole = ask(&play, &format!("GET {target}"), "", "").await;
        let bare = read(play.ask(&format!("HEAD {target}"), "", "").await).await;
        assert_eq!((bare.head.status(), bare.body.as_str()), (200, ""), "{target}");
        assert_eq!(bare.head.one("content-length"), whole.head.one("content-length"));
        assert_eq!(whole.head.one("content-type"), Some("application/json"));
    }
    // Neither does a poll wait for it.
    let fields = super::AS_JSON;
    let bare = ask(&play, &format!("HEAD {EVENTS}?after=5&wait=50"), fields, "").await;
    assert_eq!((bare.head.status(), bare.body.as_str()), (200, ""));
}

#[tokio::test]
async fn what_the_box_said_is_told_untouched() {
    let play = Play::new().await;
    play.hall.script.says("a\u{2028}b \u{e9} \\ \"");
    run(&play, "", MESSAGE).await;
    let answer = ask(&play, &format!("GET {EVENTS}?limit=2"), super::AS_JSON, "").await;
    let stream = ask(&play, &format!("GET {EVENTS}?until=idle"), "", "").await;
    let line = stream.body.lines().find(|l| l.starts_with("data: ") && l.contains("\\u2028"));
    let data = line.and_then(|line| line.strip_prefix("data: ")).expect("the line");
    assert!(answer.body.contains(&format!("\"data\":{data}")), "{}", answer.body);
    let text: &Value = &json(&answer)["events"][1]["data"]["part"]["text"];
    assert_eq!(text, "a\u{2028}b \u{e9} \\ \"");
}
