//! Traces of turns, from a client over the built program to the box, as a collector gets them: one trace,
//! the right parents, whatever restarts; nothing where it is off; and no harm by a collector that fails.

mod stage;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use super::support::rig::until;
use super::support::scripted_sidecar::{Canned, Route, Seen};
use stage::{CLIENT, Stage, TRACE, flag, hex, number, taken, text, traceparent};

/// The span that a request to the box names, if it names one of this trace.
fn named_span(seen: &Seen, trace: &str) -> Option<String> {
    let header = seen.header("traceparent")?;
    let span = header.strip_prefix(&format!("00-{trace}-"))?.strip_suffix("-01")?;
    Some(span.to_owned())
}

fn polls(stage: &Stage) -> Vec<Seen> {
    let status = stage.sidecar.seen(Route::Status);
    status.into_iter().filter(|seen| seen.path.ends_with("/sess_box")).collect()
}

fn is_below(span: &Span, parent: &Span) -> bool {
    span.trace_id == parent.trace_id && span.parent_span_id == parent.span_id
}

#[tokio::test]
async fn a_turn_is_one_trace_from_its_client_to_its_box() {
    let mut stage = Stage::traced().await;
    let fields = format!("{}tracestate: a=1\r\ntracestate: b@c=2\r\n", traceparent("01"));
    let answer = stage.turn("s", &fields).await;
    let lines = stage.stop().await;
    let spans = stage.spans();
    for span in &spans {
        assert_eq!(hex(&span.trace_id), TRACE, "{span:?}");
        assert_eq!(span.trace_state, "a=1,b@c=2", "{span:?}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        assert!(span.start_time_unix_nano > 1_700_000_000_000_000_000, "{span:?}");
        assert!(span.status.as_ref().is_none_or(|status| status.code == 0), "{span:?}");
    }
    let (turn, dispatch, deliver) =
        (stage.one("turn"), stage.one("dispatch"), stage.one("deliver"));
    assert_eq!(hex(&turn.parent_span_id), CLIENT);
    assert_eq!(text(&turn, "afterbay.outcome").as_deref(), Some("completed"));
    assert_eq!(text(&turn, "afterbay.execution").as_deref(), Some("e-s"));
    assert_eq!(text(&turn, "gen_ai.conversation.id").as_deref(), Some("sess_box"));
    assert_eq!(flag(&turn, "afterbay.resumed"), Some(false));
    assert_eq!(number(&turn, "afterbay.events"), Some(answer.ids().len() as i64));
    for span in ["prepare", "dispatch", "poll"].into_iter().flat_map(|name| stage.named(name)) {
        assert!(is_below(&span, &turn), "{span:?}");
        assert!(turn.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    }
    let poll = stage.one("poll");
    let appends = stage.named("append");
    let below = |parent| appends.iter().filter(|span| is_below(span, parent)).count();
    assert_eq!((below(&dispatch), below(&poll), below(&turn)), (1, 1, 1), "{appends:?}");
    let appended: i64 = appends.iter().filter_map(|span| number(span, "afterbay.events")).sum();
    assert_eq!(appended, answer.ids().len() as i64);
    let last = appends.iter().filter_map(|span| number(span, "afterbay.last_event")).max();
    assert_eq!(last, answer.ids().last().map(|id| *id as i64));
    // Whoever started the turn reads it within its own span.
    assert_eq!(hex(&deliver.parent_span_id), CLIENT);
    assert_eq!(deliver.links.len(), 1);
    assert_eq!(deliver.links[0].span_id, turn.span_id);
    assert_eq!(text(&deliver, "afterbay.ended").as_deref(), Some("complete"));
    let sent =
        number(&deliver, "afterbay.replayed_events").zip(number(&deliver, "afterbay.live_events"));
    assert_eq!(sent.map(|(replayed, live)| replayed + live), Some(appended));
    assert_eq!(number(&deliver, "afterbay.bytes"), Some(answer.body.len() as i64));
    let sent = stage.sidecar.seen(Route::Run);
    assert_eq!(named_span(&sent[0], TRACE), Some(hex(&dispatch.span_id)));
    assert_eq!(sent[0].header("tracestate"), Some("a=1,b@c=2"));
    assert!(!polls(&stage).is_empty());
    for poll in polls(&stage) {
        assert_eq!(named_span(&poll, TRACE), Some(hex(&turn.span_id)));
    }
    assert!(lines.contains(&format!("\"trace_id\":\"{TRACE}\"")), "{lines}");
    for request in stage.requests() {
        let bytes = String::from_utf8_lossy(&request.body);
        assert!(!bytes.contains("prompt-word") && !bytes.contains("answer-word"));
    }
}

#[tokio::test]
async fn what_fails_says_why_and_the_close_out_is_the_turns_own() {
    let mut stage = Stage::traced_with(&["--turn-deadline", "5s"]).await;
    stage.box_takes();
    let busy = json!({"data": {"session": {"state": "running"}}});
    let [odd, busy] = [Canned::error(500, "ODD"), Canned::json(200, &busy)];
    stage.sidecar.says(Route::Status, [busy.clone(), busy.clone(), odd, busy]);
    stage.sidecar.says(Route::Abort, [Canned::json(200, &json!({"data": {"cancelled": true}}))]);
    let answer = stage.post("s", &traceparent("01")).await;
    assert_eq!(answer.last_data("done")["status"], "failed");
    stage.stop().await;
    let (turn, cancel) = (stage.one("turn"), stage.one("cancel"));
    assert_eq!(text(&turn, "error.type").as_deref(), Some("TURN_DEADLINE"));
    assert_eq!(turn.status.as_ref().map(|status| status.code), Some(2), "{turn:?}");
    assert!(is_below(&cancel, &turn), "{cancel:?}");
    let asked = &stage.sidecar.seen(Route::Abort)[0];
    assert_eq!(named_span(asked, TRACE), Some(hex(&cancel.span_id)));
    let appends = stage.named("append");
    let last = appends.iter().max_by_key(|span| span.start_time_unix_nano).expect("a close-out");
    assert!(is_below(last, &turn), "{last:?} is not below {turn:?}");
    let poll = stage.one("poll");
    assert_eq!(text(&poll, "error.type").as_deref(), Some("status"), "{poll:?}");
}

#[tokio::test]
async fn a_prompt_that_the_box_refuses_is_told_with_its_status() {
    let mut stage = Stage::traced().await;
    stage.sidecar.says(Route::Run, [Canned::error(400, "NO")]);
    let answer = stage.post("s", &traceparent("01")).await;
    assert_eq!(answer.head.status(), 400);
    stage.stop().await;
    let (turn, dispatch) = (stage.one("turn"), stage.one("dispatch"));
    assert_eq!(number(&dispatch, "http.response.status_code"), Some(400));
    assert_eq!(text(&dispatch, "error.type").as_deref(), Some("400"));
    assert_eq!(text(&turn, "error.type").as_deref(), Some("DISPATCH_REFUSED"));
    assert_eq!((stage.named("poll"), stage.named("append")), (vec![], vec![]));
}

#[tokio::test]
async fn a_turn_that_a_kill_interrupts_goes_on_in_its_trace() {
    let mut stage = Stage::traced().await;
    stage.box_takes();
    let turns = "POST /afterbay/v1/boxes/default/sessions/s/turns";
    let fields = format!("Content-Type: application/json\r\n{}", traceparent("01"));
    let started = stage.ask(turns, &fields, r#"{"message":"prompt-word"}"#).await;
    assert_eq!(started.head.status(), 202, "{}", started.body);
    until("it is polled", || !polls(&stage).is_empty()).await;
    let root = named_span(&polls(&stage)[0], TRACE).expect("the poll names its trace");
    stage.kill_and_start().await;
    let before = polls(&stage).len();
    until("it is polled again", || polls(&stage).len() > before).await;
    assert_eq!(stage.named("turn"), []);
    stage.box_answers();
    until("it is told", || !stage.named("turn").is_empty()).await;
    stage.stop().await;
    let turn = stage.one("turn");
    assert_eq!((hex(&turn.trace_id), hex(&turn.span_id)), (TRACE.to_owned(), root.clone()));
    assert_eq!(hex(&turn.parent_span_id), CLIENT);
    assert_eq!(flag(&turn, "afterbay.resumed"), Some(true));
    for poll in polls(&stage) {
        assert_eq!(named_span(&poll, TRACE).as_ref(), Some(&root));
    }
    let poll = stage.one("poll");
    assert!(is_below(&poll, &turn), "{poll:?}");
    // It began when it was accepted, in the process before.
    assert!(turn.start_time_unix_nano < poll.start_time_unix_nano, "{turn:?} {poll:?}");
    let unchanged = number(&turn, "afterbay.unchanged_polls").expect("a count");
    assert!(unchanged > 0, "{turn:?}");
}

#[tokio::test]
async fn a_reader_sees_its_delivery_in_its_own_trace_with_a_link_to_the_turn() {
    let mut stage = Stage::traced().await;
    // No traceparent, so a trace of our own; one that is none is ignored.
    stage.turn("s", "traceparent: 00-0-0-01\r\ntracestate: a=1\r\n").await;
    let events = "GET /agents/executions/e-s/events";
    for fields in [traceparent("01"), String::new(), traceparent("00")] {
        let shown = stage.ask(events, &fields, "").await;
        assert_eq!(shown.last_data("done")["status"], "success");
    }
    let passed = stage.ask("GET /other", "traceparent: 00-x\r\ntracestate: y\r\n", "").await;
    assert_eq!(passed.head.status(), 404);
    stage.stop().await;
    let turn = stage.one("turn");
    let trace = hex(&turn.trace_id);
    assert!(trace != TRACE && turn.parent_span_id.is_empty() && turn.trace_state.is_empty());
    let delivered = stage.named("deliver");
    let (own, ours): (Vec<_>, Vec<_>) =
        delivered.iter().partition(|span| hex(&span.trace_id) == TRACE);
    assert_eq!((own.len(), ours.len()), (1, 2), "{delivered:?}");
    assert_eq!((hex(&own[0].parent_span_id), own[0].links.len()), (CLIENT.to_owned(), 1));
    assert_eq!(own[0].links[0].trace_id, turn.trace_id);
    assert!(ours.iter().all(|span| is_below(span, &turn) && span.links.is_empty()), "{ours:?}");
    let sent = &stage.sidecar.seen(Route::Run)[0];
    assert_eq!(named_span(sent, &trace), Some(hex(&stage.one("dispatch").span_id)));
    assert_eq!(sent.header("tracestate"), None);
    let passed = &stage.sidecar.seen_at("GET /other")[0];
    assert_eq!(
        (passed.header("traceparent"), passed.header("tracestate")),
        (Some("00-x"), Some("y"))
    );
}

#[tokio::test]
async fn where_nothing_is_traced_the_clients_headers_reach_the_box_as_they_are_and_no_others() {
    let given = format!("00-{TRACE}-{CLIENT}");
    for (stage, flags) in [(Stage::untraced().await, "01"), (Stage::traced().await, "00")] {
        let mut stage = stage;
        stage.turn("s", &format!("{}tracestate: a=1\r\n", traceparent(flags))).await;
        let odd = "traceparent: odd\r\n";
        if flags == "01" {
            stage.turn("odd", odd).await;
            stage.turn("none", "").await;
        }
        stage.stop().await;
        let sent = stage.sidecar.seen(Route::Run);
        let of = |header| sent.iter().map(|seen| seen.header(header)).collect::<Vec<_>>();
        let given = format!("{given}-{flags}");
        let rest = if flags == "01" { &[Some("odd"), None][..] } else { &[] };
        assert_eq!(of("traceparent"), [&[Some(&*given)][..], rest].concat());
        assert_eq!(of("tracestate")[0], Some("a=1"));
        for route in [Route::Status, Route::Messages, Route::Replay, Route::Health] {
            for seen in stage.sidecar.seen(route) {
                assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (None, None));
            }
        }
        assert_eq!(stage.spans(), []);
    }
}

#[tokio::test]
async fn a_collector_that_refuses_costs_spans_and_no_turn() {
    let mut stage = Stage::traced().await;
    stage.collector_says([Canned::error(500, "NO")]);
    stage.turn("s", "").await;
    stage.waits_for_spans("failed", 5).await;
    stage.turn("t", "").await;
    assert_eq!(
        (stage.spans_counted("exported").await, stage.spans_counted("dropped").await),
        (0, 0)
    );
    let lines = stage.stop().await;
    assert_eq!(lines.matches("spans do not reach the collector of traces").count(), 1, "{lines}");
}

#[tokio::test]
async fn a_collector_that_is_overloaded_gets_the_spans_later() {
    let mut stage = Stage::traced().await;
    let busy = Canned::error(503, "BUSY").with("retry-after", "1");
    let partial_success = Some(ExportTracePartialSuccess {
        rejected_spans: 1,
        error_message: "one of them".to_owned(),
    });
    let told = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let in_part = Canned::text(200, "application/x-protobuf", told);
    stage.collector_says([busy, in_part, taken()]);
    stage.turn("s", "").await;
    stage.waits_for_spans("exported", 1).await;
    assert_eq!(stage.spans_counted("failed").await, 1);
    let requests = stage.requests();
    assert_eq!(requests[0].body, requests[1].body);
    // One that takes only some is told of, too; the next batch it takes whole.
    stage.turn("t", "").await;
    let lines = stage.stop().await;
    for change in ["spans do not reach", "spans reach the collector of traces again"] {
        assert_eq!(lines.matches(change).count(), 1, "{lines}");
    }
}

#[tokio::test]
async fn a_collector_that_hangs_or_is_not_there_holds_nothing_up() {
    for hangs in [true, false] {
        // Nobody listens on a port below the free ones.
        let mut stage = if hangs {
            Stage::traced().await
        } else {
            Stage::traced_to("http://127.0.0.1:1").await
        };
        stage.collector_says([taken().hangs()]);
        stage.turn("s", "").await;
        if hangs {
            until("it is asked", || !stage.requests().is_empty()).await;
        }
        stage.turn("t", "").await;
        stage.turn("u", "").await;
        stage.stop().await;
    }
}
