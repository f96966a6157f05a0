//! Messages in each of their shapes, and what parts that change are told as.

use afterbay::upstream::{Activity, Depth, Ending, Upstream};
use serde_json::{Value, json};

use super::super::support::scripted_sidecar::{Canned, Route};
use super::{Turn, asked, said, who};

fn running() -> Value {
    json!({"state": "running", "activeExecutionId": "exec_box"})
}

#[tokio::test]
async fn messages_are_read_bare_listed_or_wrapped_flat_or_under_info() {
    let text = json!({"id": "p1", "type": "text", "content": "hello"});
    let flat = json!([asked(), {"id": "a1", "role": "assistant", "metadata": {"completed": true}, "parts": [text]}]);
    let info = json!([
        {"info": {"id": "msg_ours", "role": "user"}, "parts": [{"type": "text", "text": "build it"}]},
        {"info": {"id": "a1", "role": "assistant", "time": {"completed": 2}, "finish": "stop"}, "parts": [text]}
    ]);
    for list in [flat, info] {
        for body in [
            list.clone(),
            json!({"messages": list}),
            json!({"data": {"messages": list}}),
            json!({"data": list}),
        ] {
            let mut turn = Turn::start().await;
            turn.is(&json!({"state": "idle"}), &json!([]));
            turn.sidecar.says(Route::Messages, [Canned::json(200, &body)]);
            let polled = turn.poll().await;
            let data = polled.only("message.part.updated");
            assert_eq!((&data["part"], &data["delta"]), (&text, &json!("hello")), "{body}");
            assert_eq!(polled.view.ending, Some(Ending::Completed), "{body}");
            assert_eq!(polled.view.answer.expect("read").final_text, "hello");
        }
    }
}

#[tokio::test]
async fn a_part_is_told_with_the_boxs_own_bytes() {
    let turn = Turn::start().await;
    turn.is(&running(), &json!([]));
    let body = r#"[{"id":"u","role":"user","metadata":{"turnId":"turn_1"},"parts":[]},
        {"id":"a","role":"assistant","parts":[{"id":"p1", "type":"text","text":"half \ud83d","n":1.0e2},
        {"id":"p2","type":"new-kind","deep":[[null]]}]}]"#;
    turn.sidecar.says(Route::Messages, [Canned::text(200, "application/json", body)]);
    let page = turn.adapter.poll(Some(&who()), &turn.bound, &turn.cursor, Depth::Messages).await;
    let steps = page.expect("a page").steps;
    let data: Vec<String> = steps
        .iter()
        .flat_map(|step| &step.events)
        .map(|event| String::from_utf8(event.data.as_bytes().to_vec()).expect("UTF-8"))
        .collect();
    assert_eq!(
        data,
        [
            r#"{"part":{"id":"p1","type":"text","text":"half \ud83d","n":1.0e2},"delta":"half \ud83d"}"#,
            r#"{"part":{"id":"p2","type":"new-kind","deep":[[null]]}}"#,
        ]
    );
}

#[tokio::test]
async fn text_that_grows_carries_its_delta_and_text_that_is_rewritten_or_shrinks_does_not() {
    let mut turn = Turn::start().await;
    for (text, delta) in [
        ("Hel", Some("Hel")),
        ("Hello \"é😀\"\n", Some("lo \"é😀\"\n")),
        ("Hello", None),
        ("Jello", None),
        ("Jello!", Some("!")),
    ] {
        turn.is(&running(), &json!([asked(), said("a1", text, &json!({}))]));
        let polled = turn.poll().await;
        let data = polled.only("message.part.updated");
        assert_eq!((data["part"]["text"].as_str(), data["delta"].as_str()), (Some(text), delta));
        assert!(turn.poll().await.events.is_empty(), "unchanged is never sent again");
    }
}

#[tokio::test]
async fn a_large_part_is_sent_again_when_its_state_changes_or_it_grew_by_an_eighth() {
    let mut turn = Turn::start().await;
    for (status, size, sent) in [
        ("pending", 10_000, 1),
        ("pending", 10_100, 0),
        ("running", 10_200, 1),
        ("running", 11_000, 0),
        ("running", 11_700, 1),
        ("completed", 11_700, 1),
    ] {
        let tool = json!({"id": "p", "type": "tool", "tool": "bash", "callID": "c",
            "state": {"status": status, "output": "x".repeat(size)}});
        let message = json!({"id": "a1", "role": "assistant", "parts": [tool]});
        turn.is(&running(), &json!([asked(), message]));
        assert_eq!(turn.poll().await.events.len(), sent, "{status} {size}");
    }
}

#[tokio::test]
async fn a_long_turn_reads_only_what_is_not_settled() {
    let mut turn = Turn::start().await;
    let mut messages = vec![asked()];
    for n in 0..40 {
        messages.push(json!({"info": {"id": format!("a{n}"), "role": "assistant", "cost": 0.25,
            "time": {"created": 1, "completed": 2}, "finish": "tool-calls"},
            "parts": [{"id": format!("p{n}"), "type": "tool", "state": {"status": "completed"}}]}));
        turn.is(&running(), &json!(messages));
        assert_eq!(turn.poll().await.names(), ["message.part.updated"]);
    }
    let reads = turn.sidecar.seen(Route::Messages);
    assert!(reads.iter().skip(1).all(|seen| seen.query == "limit=8"), "the window never grew");
    assert!(turn.cursor.with_prefix("").count() < 10, "{:?}", turn.cursor);
    messages.push(said("last", "answer", &json!({"completed": true})));
    turn.is(&json!({"state": "completed"}), &json!(messages));
    let polled = turn.poll().await;
    assert_eq!(polled.view.ending, Some(Ending::Completed));
    let answer = polled.view.answer.expect("read");
    assert_eq!((answer.final_text.as_str(), answer.total_cost_usd), ("answer", Some(10.0)));
}

#[tokio::test]
async fn a_prompt_far_back_is_reached_by_doubling() {
    let mut turn = Turn::start().await;
    let mut messages = vec![asked()];
    messages.extend((0..100).map(|n| said(&format!("a{n}"), "x", &json!({"completed": false}))));
    turn.is(&running(), &json!(messages));
    assert_eq!(turn.poll().await.events.len(), 100);
    let widest = turn.sidecar.seen(Route::Messages).pop().expect("read").query;
    assert_eq!(widest, "limit=128");
}

#[tokio::test]
async fn messages_and_parts_that_cannot_be_read_are_warnings_and_hide_nothing() {
    let mut turn = Turn::start().await;
    let message = json!({"id": "a1", "role": "assistant",
        "parts": [null, {"id": 7}, {"id": "p", "type": "text", "text": "good"}]});
    turn.is(&running(), &json!([asked(), {"role": 7}, null, message]));
    let polled = turn.poll().await;
    assert_eq!(polled.names(), ["warning", "warning", "warning", "message.part.updated"]);
    assert_eq!(polled.events[0].1["code"], "UPSTREAM_GAP");
    assert!(turn.poll().await.events.is_empty());
    assert_eq!(turn.poll().await.view.activity, Activity::Busy);
}

#[tokio::test]
async fn a_poll_is_repeatable_until_its_cursor_is_taken_over() {
    let turn = Turn::start().await;
    turn.is(
        &json!({"state": "awaiting_question", "outstandingInteractions": [{"id": "q1"}]}),
        &json!([asked(), said("a1", "hello", &json!({}))]),
    );
    let poll = || turn.adapter.poll(None, &turn.bound, &turn.cursor, Depth::Messages);
    let (one, two) = (poll().await.expect("a page"), poll().await.expect("a page"));
    assert_eq!((one.steps, one.view), (two.steps, two.view));
}
