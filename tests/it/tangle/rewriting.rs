//! A record that its box rewrites under the reader's eyes: ids that repeat or hold anything, text
//! that grows late, messages that come late, vanish or change after others followed. Each word is
//! told, and none of them twice.

use serde_json::{Value, json};

use super::super::support::scripted_sidecar::{Canned, Route};
use super::{Polled, Turn, asked, said};

fn running() -> Value {
    json!({"state": "running", "activeExecutionId": "exec_box"})
}

fn text(id: &str, text: &str) -> Value {
    json!({"id": id, "type": "text", "text": text})
}

fn agents(id: &str, parts: &[Value]) -> Value {
    json!({"id": id, "role": "assistant", "parts": parts})
}

/// The texts of the parts that were told.
fn texts(polled: &Polled) -> Vec<&str> {
    polled.events.iter().filter_map(|(_, data)| data["part"]["text"].as_str()).collect()
}

#[tokio::test]
async fn parts_and_messages_with_the_same_id_are_told_once_each() {
    let mut turn = Turn::start().await;
    let parts = [text("p", "one"), text("p", "two"), text("p", "three")];
    turn.is(&running(), &json!([asked(), agents("a1", &parts)]));
    assert_eq!(texts(&turn.poll().await), ["one", "two", "three"]);
    assert!(turn.poll().await.events.is_empty(), "nothing changed");

    // A message that is listed twice: the later form counts.
    let mut turn = Turn::start().await;
    let (old, new) = (agents("a1", &[text("p", "one")]), agents("a1", &[text("p", "one two")]));
    turn.is(&running(), &json!([asked(), old, agents("a2", &[]), new]));
    assert_eq!(texts(&turn.poll().await), ["one two"]);
    assert!(turn.poll().await.events.is_empty(), "nothing changed");
}

#[tokio::test]
async fn ids_that_hold_anything_do_not_get_into_each_others_way() {
    let long = "l".repeat(100_000);
    for (one, two) in [("m", "m/p"), ("m/", "m//"), ("m", "m%2Fp"), ("m", long.as_str())] {
        let mut turn = Turn::start().await;
        let mut messages = vec![
            asked(),
            agents(one, &[text("p/x", "1"), text("p", "2"), text("#2", "3"), Value::Null]),
            agents(two, &[text("x", "4"), text("\u{0}\r\n", "5"), text("../é", "6")]),
        ];
        turn.is(&running(), &json!(messages));
        assert_eq!(texts(&turn.poll().await), ["1", "2", "3", "4", "5", "6"], "{one}");
        for n in 0..12 {
            messages.push(agents(&format!("{one}{two}{n}"), &[text("p", "more")]));
            turn.is(&running(), &json!(messages));
            assert_eq!(texts(&turn.poll().await), ["more"], "{one} {n}");
        }
        assert!(turn.cursor.with_prefix("p/").all(|(name, _)| name.len() < 1000));
    }
}

#[tokio::test]
async fn the_last_words_of_a_long_text_are_told_whatever_the_box_said_before() {
    let long = |more: &str| format!("{}{more}", "x".repeat(10_000));
    let idle = json!({"state": "idle"});
    let told = |polled: &Polled| polled.events.last().map(|(_, data)| data["delta"].clone());

    // Idle for a moment, in the middle of it.
    let mut turn = Turn::start().await;
    for (state, more, delta) in [
        (running(), "", Some(json!(long("")))),
        (running(), "a", None),
        (idle.clone(), "ab", Some(json!("ab"))),
        (running(), "abc", None),
        (idle.clone(), "abcd", Some(json!("cd"))),
    ] {
        turn.is(&state, &json!([asked(), said("a1", &long(more), &json!({}))]));
        assert_eq!(told(&turn.poll().await), delta, "{more}");
    }

    // Followed by another message, and never marked as complete.
    let mut turn = Turn::start().await;
    let open = |more: &str| said("a1", &long(more), &json!({"completed": false}));
    turn.is(&running(), &json!([asked(), open("")]));
    turn.poll().await;
    turn.is(&idle, &json!([asked(), open("the end"), agents("a2", &[])]));
    assert_eq!(told(&turn.poll().await), Some(json!("the end")));
}

#[tokio::test]
async fn a_delta_never_begins_in_the_middle_of_a_character() {
    let mut turn = Turn::start().await;
    for (text, delta) in [
        (r"so \ud83d", Some(r"so \ud83d")),
        (r"so \ud83d\ude00", None),
        (r"so \ud83d\ude00 \\ud83d", Some(r" \\ud83d")),
        (r"so \ud83d\ude00 \\ud83d\ude00", Some(r"\ude00")),
    ] {
        let body = format!(
            r#"[{{"id":"u","role":"user","metadata":{{"turnId":"turn_1"}},"parts":[]}},
            {{"id":"a","role":"assistant","parts":[{{"id":"p","type":"text","text":"{text}"}}]}}]"#
        );
        turn.is(&running(), &json!([]));
        turn.sidecar.says(Route::Messages, [Canned::text(200, "application/json", body)]);
        let told = turn.raw_poll().await;
        let delta = delta.map_or_else(String::new, |delta| format!(",\"delta\":\"{delta}\""));
        let part = format!(r#"{{"id":"p","type":"text","text":"{text}"}}"#);
        assert_eq!(told, [format!(r#"{{"part":{part}{delta}}}"#)]);
    }
}

#[tokio::test]
async fn text_is_read_where_it_stands() {
    let mut turn = Turn::start().await;
    for (part, delta) in [
        (json!({"id": "p", "type": "text", "text": "", "content": "one"}), "one"),
        (json!({"id": "p", "type": "text", "text": "one two", "content": "one"}), " two"),
        (json!({"id": "p", "type": "text", "content": "one two three"}), " three"),
    ] {
        turn.is(&running(), &json!([asked(), agents("a1", &[part])]));
        assert_eq!(turn.poll().await.only("message.part.updated")["delta"], delta);
    }
}

#[tokio::test]
async fn what_changes_after_others_followed_and_what_comes_late_is_told() {
    let mut turn = Turn::start().await;
    let one = |text: &str| said("a1", text, &json!({"completed": true}));
    let message = |id: &str| said(id, id, &json!({"completed": true}));
    for (messages, told) in [
        (vec![one("1")], vec!["1"]),
        (vec![one("1"), message("a3")], vec!["a3"]),
        (vec![one("1 and more"), message("a3")], vec!["1 and more"]),
        (vec![one("1 and more"), message("a2"), message("a3")], vec!["a2"]),
        (vec![one("1 and more"), message("a2"), message("a3"), message("a4")], vec!["a4"]),
        // Out of order.
        (vec![message("a2"), one("1 and more"), message("a4"), message("a3")], vec![]),
    ] {
        let mut list = vec![asked()];
        list.extend(messages);
        turn.is(&running(), &json!(list));
        assert_eq!(texts(&turn.poll().await), told, "{list:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_taken_back_brings_none_of_the_others_again() {
    let mut turn = Turn::start().await;
    let message = |n: usize| {
        json!({"id": format!("a{n}"), "role": "assistant", "cost": 0.5,
            "parts": [text("p", &format!("text {n}"))], "metadata": {"completed": true}})
    };
    let mut messages = vec![asked()];
    for n in 0..20 {
        messages.push(message(n));
        turn.is(&running(), &json!(messages));
        assert_eq!(turn.poll().await.events.len(), 1);
    }
    for _ in 0..10 {
        // Any of them may be the one that reading goes on from.
        messages.remove(messages.len() - 2);
        turn.is(&running(), &json!(messages));
        let polled = turn.poll().await;
        assert!(polled.events.is_empty(), "{:?} {:?}", polled.events, messages.len());
    }
}

#[tokio::test]
async fn a_box_that_gives_fewer_messages_than_there_are_loses_no_more_than_it_must() {
    let messages = |from: usize, to: usize| -> Vec<Value> {
        (from..to).map(|n| said(&format!("a{n}"), &format!("text {n}"), &json!({}))).collect()
    };
    let mut turn = Turn::start().await;
    turn.is(&running(), &json!(messages(0, 0)));
    let first: Vec<Value> = std::iter::once(asked()).chain(messages(0, 2)).collect();
    for (given, told) in [
        (first, 0..2),
        // The newest twenty, whatever was asked for: some that were told are among them.
        (messages(1, 21), 2..21),
        // None of them is.
        (messages(30, 50), 30..50),
        (messages(30, 50), 0..0),
    ] {
        turn.sidecar.says(Route::Messages, [Canned::json(200, &json!(given))]);
        let told: Vec<String> = told.map(|n| format!("text {n}")).collect();
        assert_eq!(texts(&turn.poll().await), told);
    }
    turn.sidecar
        .says(Route::Status, [Canned::json(200, &json!({"session": {"state": "completed"}}))]);
    let polled = turn.poll().await;
    assert_eq!(polled.view.ending, Some(afterbay::upstream::Ending::Completed));
}
