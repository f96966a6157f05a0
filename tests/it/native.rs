//! The native API on real sockets. Whatever it answers here is held against the document that it
//! serves: the route is in it, the status too, and the body has the shape that it says.

mod contract;
mod listing;
mod naming;
mod polling;
mod reading;
mod refusing;
mod restarts;
mod starting;
mod stopping;

use super::raw::{Answer, read};
use super::support::hall::GOOD;
use super::support::play::Play;
use afterbay::upstream::Ending;
use serde_json::Value;

/// The session that these tests use, as a path.
const SESSION: &str = "/afterbay/v1/boxes/default/sessions/ses";
const TURNS: &str = "/afterbay/v1/boxes/default/sessions/ses/turns";
const EVENTS: &str = "/afterbay/v1/boxes/default/sessions/ses/events";
const MESSAGE: &str = r#"{"message":"hi"}"#;
const AS_JSON: &str = "Accept: application/json\r\n";

/// Asks with the credential that the box accepts, and holds the answer against the document.
async fn ask(play: &Play, line: &str, fields: &str, body: &str) -> Answer {
    ask_as(play, GOOD, line, fields, body).await
}

async fn ask_as(play: &Play, who: &str, line: &str, fields: &str, body: &str) -> Answer {
    let answer = read(play.ask_as(who, line, fields, body).await).await;
    contract::check(play, line, &answer).await;
    answer
}

/// Starts a turn on [`SESSION`].
async fn start(play: &Play, fields: &str, body: &str) -> Answer {
    let fields = format!("Content-Type: application/json\r\n{fields}");
    ask(play, &format!("POST {TURNS}"), &fields, body).await
}

/// Starts a turn with two messages and waits for its end: the events 1 to 5, or the next five.
async fn run(play: &Play, fields: &str, body: &str) -> Answer {
    play.hall.script.says("one");
    play.hall.script.says("two");
    play.hall.script.ends(Ending::Completed);
    let answer = start(play, fields, body).await;
    play.get(&format!("{EVENTS}?until=idle"), "").await;
    answer
}

/// The body of an answer.
fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("no JSON: {answer:?}"))
}

#[track_caller]
fn check_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.head.status(), answer.json("/error/code").as_str()), (status, code));
    assert_eq!(answer.head.one("x-afterbay-error"), Some(code));
    assert_eq!(answer.head.one("content-type"), Some("application/json"));
}
