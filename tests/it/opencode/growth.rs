//! What changing parts are told as, and what growing ones cost.

use afterbay::limits;
use afterbay::upstream::{Depth, Upstream};
use serde_json::{Value, json};

use super::super::support::scripted_box::{Fault, Route};
use super::{Polled, Turn};

fn parts(polled: &Polled) -> Vec<(&Value, Option<&str>)> {
    let parts = polled.events.iter().filter(|(name, _)| name == "message.part.updated");
    parts.map(|(_, data)| (&data["part"], data["delta"].as_str())).collect()
}

#[tokio::test]
async fn text_that_grows_carries_its_delta_and_text_that_is_rewritten_does_not() {
    let mut turn = Turn::start().await;
    let message = turn.with(|state, session, prompt| state.begin(session, prompt));
    for (text, delta) in [
        ("", None),
        ("Hel", Some("Hel")),
        ("Hello \"é😀\"\n", Some("lo \"é😀\"\n")),
        ("Hello", None),
        ("Jello", None),
        ("Jello\u{2028}!", Some("\u{2028}!")),
    ] {
        turn.with(|state, session, _| state.text(session, &message, "prt_1", text, false));
        turn.restart();
        let polled = turn.poll().await;
        let [(part, told)] = parts(&polled)[..] else { panic!("{polled:?}") };
        assert_eq!((part["text"].as_str(), told), (Some(text), delta));
        assert!(turn.poll().await.events.is_empty(), "unchanged is never sent again");
    }
}

#[tokio::test]
async fn parts_come_in_the_order_of_messages_and_parts_with_the_boxs_own_bytes() {
    let turn = Turn::start().await;
    let prompt = turn.prompt.clone();
    let raw = format!(
        r#"[{{"info":{{"id":"{prompt}","role":"user","time":{{"created":1}}}},"parts":[{{"id":"u","type":"text","text":"mine"}}]}},
        {{"info":{{"id":"msg_a","role":"assistant","parentID":"{prompt}","time":{{"created":1}}}},"parts":[
          {{"id":"p1","type":"text","text":"half \ud83d" , "n":1.0e2, "u":"\u00e9"}}, {{"id":"p2","type":"step-start"}}]}},
        {{"info":{{"id":"msg_b","role":"assistant","parentID":"{prompt}","time":{{"created":1}}}},"parts":[
          {{"id":"p3","type":"new-kind","deep":[[[{{"x":null}}]]]}}]}}]"#
    );
    turn.scripted.fail_next(Route::Messages, Fault::answer(200, "application/json", raw));
    let page =
        turn.adapter.poll(None, &turn.bound, &turn.cursor, Depth::Messages).await.expect("a page");
    let data: Vec<String> = page
        .steps
        .iter()
        .flat_map(|step| &step.events)
        .map(|event| String::from_utf8(event.data.as_bytes().to_vec()).expect("UTF-8"))
        .collect();
    assert_eq!(
        data,
        [
            r#"{"part":{"id":"p1","type":"text","text":"half \ud83d","n":1.0e2,"u":"\u00e9"},"delta":"half \ud83d"}"#,
            r#"{"part":{"id":"p2","type":"step-start"}}"#,
            r#"{"part":{"id":"p3","type":"new-kind","deep":[[[{"x":null}]]]}}"#,
        ]
    );
}

#[tokio::test]
async fn a_large_part_is_sent_again_when_its_state_changes_it_closes_or_grew_by_an_eighth() {
    let mut turn = Turn::start().await;
    let message = turn.with(|state, session, prompt| state.begin(session, prompt));
    let tool = |turn: &Turn, status: &str, size: usize| {
        let output = "x".repeat(size);
        turn.with(|state, session, _| state.tool(session, &message, "prt_1", status, &output));
    };
    for (status, size, sent) in [
        ("pending", 10_000, 1),
        ("pending", 10_100, 0),
        ("running", 10_200, 1),
        ("running", 11_000, 0),
        ("running", 11_700, 1),
        ("running", 9_000, 0),
        ("completed", 9_000, 1),
    ] {
        tool(&turn, status, size);
        turn.restart();
        assert_eq!(turn.poll().await.events.len(), sent, "{status} {size}");
    }
    let mut turn = Turn::start().await;
    let message = turn.with(|state, session, prompt| state.begin(session, prompt));
    let text = |turn: &Turn, size: usize, closed| {
        let text = "x".repeat(size);
        turn.with(|state, session, _| state.text(session, &message, "prt_1", &text, closed));
    };
    for (size, closed, delta) in
        [(10_000, false, Some(10_000)), (10_100, false, None), (10_200, true, Some(200))]
    {
        text(&turn, size, closed);
        let polled = turn.poll().await;
        let told = parts(&polled).first().and_then(|(_, delta)| delta.map(str::len));
        assert_eq!(told, delta, "{size}");
    }
}

#[tokio::test]
async fn what_was_held_back_is_sent_when_the_box_is_done() {
    let mut turn = Turn::start().await;
    let message = turn.with(|state, session, prompt| state.begin(session, prompt));
    for size in [10_000, 10_500] {
        let output = "x".repeat(size);
        turn.with(|state, session, _| state.tool(session, &message, "prt_1", "running", &output));
        turn.poll().await;
    }
    turn.with(|state, _, _| state.kill_and_restart());
    let last = turn.poll().await;
    let output = &parts(&last)[0].0["state"]["metadata"]["output"];
    assert_eq!(output.as_str().map(str::len), Some(10_500));
    assert!(turn.poll().await.events.is_empty());
}

#[tokio::test]
async fn a_tool_output_that_grows_to_10_mb_costs_at_most_12_times_that() {
    const SIZE: usize = 10_000_000;
    let mut turn = Turn::start().await;
    let message = turn.with(|state, session, prompt| state.begin(session, prompt));
    let mut sent = 0;
    let mut size: usize = 100;
    while size < SIZE {
        // Two steps are just over an eighth: what is sent is sent as early as it can be.
        size = (size + size.div_ceil(16)).min(SIZE);
        let output = "x".repeat(size);
        turn.with(|state, session, _| state.tool(session, &message, "prt_1", "running", &output));
        sent += turn.poll().await.bytes;
    }
    let output = "x".repeat(SIZE);
    turn.with(|state, session, _| {
        state.tool(session, &message, "prt_1", "completed", &output);
        state.complete(session, &message, Some("stop"));
        state.idle(session);
    });
    let last = turn.poll().await;
    assert_eq!(parts(&last)[0].0["state"]["output"].as_str().map(str::len), Some(SIZE));
    sent += last.bytes;
    println!("10 MB of output cost {:.1} times that", sent as f64 / SIZE as f64);
    assert!(sent <= 12 * SIZE, "{sent} bytes");
    let marks: usize =
        turn.cursor.with_prefix("").map(|(name, value)| name.len() + value.len()).sum();
    assert!(marks < 1000, "the cursor holds {marks} bytes");
}

#[tokio::test]
async fn text_that_grows_to_10_mb_costs_at_most_12_times_that() {
    const SIZE: usize = 10_000_000;
    let mut turn = Turn::start().await;
    let message = turn.with(|state, session, prompt| state.begin(session, prompt));
    let (mut sent, mut size, mut deltas) = (0, 100_usize, 0);
    while size < SIZE {
        size = (size + size.div_ceil(16)).min(SIZE);
        let text = "x".repeat(size);
        turn.with(|state, session, _| state.text(session, &message, "prt_1", &text, size == SIZE));
        let polled = turn.poll().await;
        deltas += parts(&polled).iter().filter_map(|(_, delta)| delta.map(str::len)).sum::<usize>();
        sent += polled.bytes;
    }
    println!("10 MB of text cost {:.1} times that", sent as f64 / SIZE as f64);
    assert_eq!(deltas, SIZE, "the deltas put together are the text");
    assert!(sent <= 12 * SIZE, "{sent} bytes");
}

#[tokio::test]
async fn a_page_of_many_parts_comes_in_short_steps() {
    let turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        let message = state.begin(session, prompt);
        for n in 0..1000 {
            state.text(session, &message, &format!("prt_{n:04}"), &"x".repeat(5_000), true);
        }
        state.tool(session, &message, "prt_big", "running", &"x".repeat(3_000_000));
    });
    let page =
        turn.adapter.poll(None, &turn.bound, &turn.cursor, Depth::Messages).await.expect("a page");
    assert_eq!(page.steps.iter().map(|step| step.events.len()).sum::<usize>(), 1001);
    for step in &page.steps {
        let bytes: usize = step.events.iter().map(afterbay::event::Event::len).sum();
        assert!(bytes <= limits::MAX_STEP_BYTES || step.events.len() == 1, "{bytes}");
        assert!(step.delta.encode().len() <= limits::MAX_CURSOR_STEP_BYTES);
    }
}

#[tokio::test]
async fn parts_that_cannot_be_read_are_one_warning_each() {
    let mut turn = Turn::start().await;
    turn.with(|state, session, prompt| {
        let message = state.begin(session, prompt);
        let bad =
            [json!(null), json!("text"), json!({"type": "text"}), json!({"id": 7, "type": "text"})];
        state.message(session, &message)["parts"] = json!(bad);
        state.text(session, &message, "prt_1", "good", false);
    });
    let polled = turn.poll().await;
    assert_eq!(
        polled.names(),
        ["warning", "warning", "warning", "warning", "message.part.updated"]
    );
    assert_eq!(polled.events[0].1["code"], "UPSTREAM_GAP");
    assert!(turn.poll().await.events.is_empty());
}
