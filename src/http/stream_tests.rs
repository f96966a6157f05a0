//! The stream against a scripted log: what bytes a client gets, piece by piece.
//!
//! Time is stopped and moves only when everything waits, so a silence of minutes costs nothing
//! and every piece has its exact moment.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use prometheus::Registry;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::event::Control;
use crate::http::outgoing::Outgoing;
use crate::http::place::Places;
use crate::http::settings::Settings;
use crate::http::source::SCRIPTED_FINISH;
use crate::ids::{ExecutionId, SessionId};
use crate::upstream::Refusal;

const HEARTBEAT: Duration = Duration::from_secs(10);

/// A stream under test: the test plays the log, the dispatch, and the server that stops.
struct Play {
    body: Body,
    steps: mpsc::Sender<Result<Step, log::Error>>,
    drain: CancellationToken,
    /// The last event, once nothing runs any more.
    last: watch::Sender<Option<u64>>,
    registry: Registry,
}

fn play_with(scope: Scope, after: u64, retry: Option<u64>, answer: Option<Unanswered>) -> Play {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).expect("names are free");
    let (steps, script) = mpsc::channel(64);
    let drain = CancellationToken::new();
    let last = watch::Sender::new(None);
    let (known, idle) = (last.subscribe(), last.subscribe());
    let words = Names {
        session: SessionId::parse("s").expect("an id"),
        execution: ExecutionId::parse("e").expect("an id"),
    };
    let feed = Feed {
        source: Source::Script(script),
        after: Seq::new(after),
        next_at_open: Seq::new(after + 2),
        scope,
        last: Box::new(move || known.borrow().map(Seq::new)),
        idle: (scope == Scope::SessionUntilIdle)
            .then(|| -> Idle { Box::new(move || until_some(idle.clone())) }),
        unanswered: answer.map(|answer| (answer, words)),
    };
    let places = Places::new(&Settings::default(), CancellationToken::new());
    let manner = Manner {
        heartbeat: HEARTBEAT,
        retry,
        lines: DataLines::One,
        fidelity: Fidelity::Full,
        leave: Leave::early(drain.clone(), Duration::from_secs(10)),
        lane: Outgoing::new(0).lane(),
        _place: places.take().expect("a place"),
        metrics,
        delivery: Delivery::default(),
    };
    Play { body: body(feed, manner), steps, drain, last, registry }
}

fn until_some(mut last: watch::Receiver<Option<u64>>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        last.wait_for(Option::is_some).await.expect("the test holds the sender");
    })
}

fn turn_after(after: u64) -> Play {
    play_with(Scope::Turn(Seq::new(5)), after, None, None)
}

impl Play {
    async fn piece(&mut self) -> Option<Result<Bytes, axum::Error>> {
        let frame = self.body.frame().await?;
        Some(frame.map(|frame| frame.into_data().expect("data")))
    }

    async fn text(&mut self) -> String {
        let piece = self.piece().await.expect("a piece").expect("no cut");
        String::from_utf8(piece.to_vec()).expect("UTF-8")
    }

    /// Takes the comment that opens every stream.
    async fn opened(mut self) -> Self {
        assert_eq!(self.text().await, ": connected\n\n");
        self
    }

    async fn log(&self, step: Step) {
        self.steps.send(Ok(step)).await.expect("the stream lives");
    }

    async fn log_events(&self, seqs: std::ops::RangeInclusive<u64>) {
        self.log(Step::Records(seqs.map(event).collect())).await;
    }

    #[track_caller]
    fn check_counted(&self, line: &str) {
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("encodes");
        assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
    }
}

fn event_of(seq: u64, json: &str) -> Logged {
    let data = crate::event::WireJson::from_json(json.as_bytes()).expect("an object");
    let name = crate::event::EventName::from_static("n");
    Logged::Event { seq: Seq::new(seq), event: Event { name, data } }
}

fn event(seq: u64) -> Logged {
    event_of(seq, "{}")
}

fn frame_of(seq: u64) -> String {
    format!("id: {seq}\nevent: n\ndata: {{}}\n\n")
}

fn control(kind: u16) -> Logged {
    Logged::Control(Control { kind, bytes: Bytes::new() })
}

fn finish() -> Logged {
    control(SCRIPTED_FINISH)
}

#[tokio::test(start_paused = true)]
async fn a_first_comment_comes_at_once_and_retry_is_a_block_of_its_own() {
    let started = Instant::now();
    let mut get = play_with(Scope::Session, 0, Some(1234), None);
    assert_eq!(get.text().await, ": connected\n\nretry: 1234\n\n");
    turn_after(4).opened().await;
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn ready_frames_come_in_one_piece_and_the_turns_end_ends_the_stream() {
    let mut play = turn_after(4).opened().await;
    let records = vec![control(1), event(5), control(2), event(6), event(7), finish()];
    play.log(Step::Records(records)).await;
    assert_eq!(play.text().await, [frame_of(5), frame_of(6), frame_of(7)].concat());
    assert!(play.piece().await.is_none());
    drop(play.body);
    let play = Play { body: Body::empty(), ..play };
    play.check_counted("afterbay_http_streams_ended_total{reason=\"complete\"} 1");
    play.check_counted("afterbay_http_events_sent_total{source=\"replayed\"} 1");
    play.check_counted("afterbay_http_events_sent_total{source=\"live\"} 2");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_turn_before_does_not_end_the_stream() {
    let mut play = turn_after(4).opened().await;
    play.log(Step::Records(vec![finish(), control(1)])).await;
    play.log(Step::Records(vec![event(5), finish()])).await;
    assert_eq!(play.text().await, frame_of(5));
    assert!(play.piece().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_only_the_turns_end_left_ends() {
    let mut play = turn_after(7).opened().await;
    play.log(Step::Records(vec![finish(), control(1), event(8)])).await;
    assert!(play.piece().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_filled_with_comments_counted_from_the_last_bytes() {
    let mut play = turn_after(4).opened().await;
    let started = Instant::now();
    assert_eq!(play.text().await, ": keepalive\n\n");
    assert_eq!(started.elapsed(), HEARTBEAT);
    tokio::time::advance(Duration::from_secs(7)).await;
    play.log_events(5..=5).await;
    assert_eq!(play.text().await, frame_of(5));
    assert_eq!(play.text().await, ": keepalive\n\n");
    assert_eq!(started.elapsed(), HEARTBEAT + Duration::from_secs(7) + HEARTBEAT);
    play.check_counted("afterbay_http_heartbeats_total 2");
}

#[tokio::test(start_paused = true)]
async fn pieces_are_bounded_and_no_frame_is_ever_split() {
    let mut play = turn_after(4).opened().await;
    let big = format!("{{\"a\":\"{}\"}}", "x".repeat(16 << 10));
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(200 << 10));
    let mut records: Vec<_> = (5..=20).map(|seq| event_of(seq, &big)).collect();
    records.push(event_of(21, &huge));
    records.extend([event(22), finish()]);
    play.log(Step::Records(records)).await;
    let (mut seen, mut pieces) = (Vec::new(), 0);
    while let Some(piece) = play.piece().await {
        let text = String::from_utf8(piece.expect("no cut").to_vec()).expect("UTF-8");
        assert!(text.starts_with("id: ") && text.ends_with("\n\n"));
        let ids: Vec<u64> =
            text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
        assert!(text.len() <= limits::SMALL_PIECE_BYTES * 5 / 4 || ids.len() == 1);
        seen.extend(ids);
        pieces += 1;
    }
    assert_eq!(seen, (5..=22).collect::<Vec<_>>());
    assert_eq!(pieces, 10, "two of 16 KiB fit into one piece");
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_told_with_its_bounds_and_its_last_id() {
    let mut play = turn_after(4).opened().await;
    play.log(Step::Gap { from: Seq::new(5), to: Seq::new(9) }).await;
    play.log(Step::Records(vec![event(10), finish()])).await;
    let warning =
        "id: 9\nevent: warning\ndata: {\"code\":\"EVENTS_EXPIRED\",\"from\":5,\"to\":9}\n\n";
    assert_eq!(play.text().await, warning);
    assert_eq!(play.text().await, frame_of(10));
    assert!(play.piece().await.is_none());
    play.check_counted("afterbay_http_gaps_total 1");
}

#[tokio::test(start_paused = true)]
async fn a_gap_stays_within_the_turn_and_within_what_the_client_has_not_seen() {
    let mut play = turn_after(6).opened().await;
    play.last.send_replace(Some(8));
    play.log(Step::Gap { from: Seq::new(1), to: Seq::new(20) }).await;
    let warning =
        "id: 8\nevent: warning\ndata: {\"code\":\"EVENTS_EXPIRED\",\"from\":7,\"to\":8}\n\n";
    assert_eq!(play.text().await, warning);
    // Nothing of the turn is kept, so the stream closes; the records behind are another turn's.
    assert!(play.piece().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_cuts_the_stream() {
    let errors = [Ok(Step::End), Err(log::Error::Read(Arc::new(std::io::Error::other("torn"))))];
    for step in errors {
        let mut play = turn_after(4).opened().await;
        play.steps.send(step).await.expect("the stream lives");
        assert!(play.piece().await.expect("a piece").is_err());
        play.body = Body::empty();
        play.check_counted("afterbay_http_streams_ended_total{reason=\"cut\"} 1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_ends_the_stream_cleanly_between_frames() {
    let mut play = turn_after(4).opened().await;
    play.log_events(5..=5).await;
    assert_eq!(play.text().await, frame_of(5));
    let asked = Instant::now();
    play.drain.cancel();
    assert!(play.piece().await.is_none());
    assert!(asked.elapsed() <= Duration::from_secs(4));
    play.body = Body::empty();
    play.check_counted("afterbay_http_streams_ended_total{reason=\"drained\"} 1");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_always_has_more_to_send_leaves_too() {
    let mut play = turn_after(4).opened().await;
    let big = format!("{{\"a\":\"{}\"}}", "x".repeat(limits::STREAM_CHUNK_BYTES));
    play.log(Step::Records((5..=60).map(|seq| event_of(seq, &big)).collect())).await;
    play.drain.cancel();
    let mut pieces = 0;
    while let Some(piece) = play.piece().await {
        assert!(piece.is_ok());
        pieces += 1;
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert!(pieces <= 41, "left after {pieces} pieces, one in 100 ms");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_closed_because_the_server_stops_is_a_clean_end() {
    let mut play = turn_after(4).opened().await;
    play.drain.cancel();
    play.log(Step::End).await;
    assert!(play.piece().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_is_counted_without_a_write() {
    let mut play = turn_after(4).opened().await;
    play.body = Body::empty();
    play.check_counted("afterbay_http_streams_ended_total{reason=\"gone\"} 1");
    play.check_counted("afterbay_http_streams_opened_total 1");
}

fn refused() -> Answered {
    let (status, headers) = (StatusCode::CONFLICT, HeaderMap::new());
    Answered::Refused(Refusal { status, headers, body: Bytes::new() })
}

fn unanswered() -> (oneshot::Sender<Answered>, Unanswered) {
    let (tell, told) = oneshot::channel();
    (tell, Box::pin(async move { told.await.expect("an answer") }))
}

#[tokio::test(start_paused = true)]
async fn a_late_refusal_is_told_unnumbered_and_ends_the_stream() {
    let (tell, answer) = unanswered();
    let mut play = play_with(Scope::Turn(Seq::new(5)), 4, None, Some(answer)).opened().await;
    assert_eq!(play.text().await, ": keepalive\n\n");
    tell.send(refused()).expect("the stream waits");
    let text = play.text().await;
    let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["error", "result", "done"]);
    assert!(text.contains("DISPATCH_REFUSED") && !text.contains("id: "));
    assert!(play.piece().await.is_none());
    play.check_counted("afterbay_http_late_refusals_total 1");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_runs_after_all_is_shown_from_the_log() {
    let (tell, answer) = unanswered();
    let mut play = play_with(Scope::Turn(Seq::new(5)), 4, None, Some(answer)).opened().await;
    tell.send(Answered::Running).expect("the stream waits");
    play.log(Step::Records(vec![event(5), finish()])).await;
    assert_eq!(play.text().await, frame_of(5));
    assert!(play.piece().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn events_of_the_turn_after_a_refused_one_are_not_shown_as_its_own() {
    let (tell, answer) = unanswered();
    let mut play = play_with(Scope::Turn(Seq::new(5)), 4, None, Some(answer)).opened().await;
    tell.send(refused()).expect("the stream waits");
    play.log_events(5..=6).await;
    let text = play.text().await;
    assert!(text.contains("DISPATCH_REFUSED") && !text.contains("id: "), "{text}");
    assert!(play.piece().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_between_two_looks_still_comes_before_the_next_turns_events() {
    // Refused just after the stream has looked, and the next turn's events are in the log.
    let mut looks = 0;
    let answer = std::future::poll_fn(move |_| {
        looks += 1;
        if looks == 1 { std::task::Poll::Pending } else { std::task::Poll::Ready(refused()) }
    });
    let mut play =
        play_with(Scope::Turn(Seq::new(5)), 4, None, Some(Box::pin(answer))).opened().await;
    play.log_events(5..=6).await;
    let text = play.text().await;
    assert!(text.contains("DISPATCH_REFUSED") && !text.contains("id: "), "{text}");
    assert!(play.piece().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_sessions_stream_goes_on_over_the_ends_of_turns() {
    let mut play = play_with(Scope::Session, 0, None, None).opened().await;
    play.last.send_replace(Some(2));
    play.log(Step::Records(vec![event(1), event(2), finish()])).await;
    assert_eq!(play.text().await, [frame_of(1), frame_of(2)].concat());
    play.log(Step::Records(vec![event(3), finish()])).await;
    assert_eq!(play.text().await, frame_of(3));
    assert_eq!(play.text().await, ": keepalive\n\n");
}

#[tokio::test(start_paused = true)]
async fn until_idle_ends_at_an_end_of_a_turn_that_no_other_follows() {
    let mut play = play_with(Scope::SessionUntilIdle, 0, None, None).opened().await;
    play.log(Step::Records(vec![event(1), finish(), event(2)])).await;
    assert_eq!(play.text().await, [frame_of(1), frame_of(2)].concat());
    play.last.send_replace(Some(3));
    play.log(Step::Records(vec![event(3), finish()])).await;
    assert_eq!(play.text().await, frame_of(3));
    assert!(play.piece().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn until_idle_ends_also_when_the_session_says_so_after_the_log() {
    let mut play = play_with(Scope::SessionUntilIdle, 0, None, None).opened().await;
    play.log(Step::Records(vec![event(1), finish()])).await;
    assert_eq!(play.text().await, frame_of(1));
    let begun = Instant::now();
    let last = play.last.clone();
    let (told, ()) = tokio::join!(play.piece(), async move {
        tokio::task::yield_now().await;
        last.send_replace(Some(1));
    });
    assert!(told.is_none());
    assert_eq!(begun.elapsed(), Duration::ZERO, "the session says so itself");
}

#[tokio::test(start_paused = true)]
async fn until_idle_reads_the_rest_of_the_log_before_it_ends() {
    let mut play = play_with(Scope::SessionUntilIdle, 0, None, None).opened().await;
    play.last.send_replace(Some(2));
    // Idle, and two events are still to be read: silence until they come.
    assert_eq!(play.text().await, ": keepalive\n\n");
    play.log(Step::Records(vec![event(1)])).await;
    assert_eq!(play.text().await, frame_of(1));
    play.log(Step::Records(vec![event(2), finish()])).await;
    assert_eq!(play.text().await, frame_of(2));
    assert!(play.piece().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn until_idle_ends_on_a_session_whose_only_turn_never_was() {
    let mut play = play_with(Scope::SessionUntilIdle, 0, None, None).opened().await;
    play.last.send_replace(Some(0));
    assert!(play.piece().await.is_none());
}

#[tokio::test]
async fn an_answer_with_nothing_to_show_is_a_comment_and_an_end() {
    let bytes = nothing(None).collect().await.expect("a body").to_bytes();
    assert_eq!(bytes, ": connected\n\n");
    let bytes = nothing(Some(2000)).collect().await.expect("a body").to_bytes();
    assert_eq!(bytes, ": connected\n\nretry: 2000\n\n");
}
