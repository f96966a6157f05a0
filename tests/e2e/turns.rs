//! Turns that go well at the box, whatever happens to the client's connection.

use std::collections::BTreeSet;

use rand::Rng;
use serde_json::Value;

use super::client::{Client, Turn, WAYS, Way};
use super::client_hop::{ClientHop, Plan};
use super::frames::{Frame, Frames, Stop};
use super::http::Request;
use super::oracle;
use super::stage::Stage;
use super::{daemon, opencode, seed};

/// A turn with several model calls, so that it has many frames.
const BUSY: &str = "[tool=bash:echo one] [tool=bash:echo two; sleep 0.3; echo three] \
                    [quiet=300ms] [tool=bash:echo four] [words=12 pace=20ms]";

/// The parts of this type that the frames show, as they came.
fn parts<'a>(frames: &'a [Frame], kind: &str) -> Vec<&'a Value> {
    let parts = frames.iter().filter(|frame| frame.event == "message.part.updated");
    parts.map(|frame| &frame.data["part"]).filter(|part| part["type"] == kind).collect()
}

#[tokio::test]
async fn a_turn_with_a_tool_call_and_a_quiet_time_is_one_stream_with_heartbeats() {
    let settings =
        daemon::Settings { flags: vec!["--heartbeat", "1s"], ..daemon::Settings::default() };
    let stage = Stage::with(opencode::Settings::default(), settings).await;
    let script = "[tool=bash:echo hi there] [quiet=5s] [words=20 pace=10ms]";
    let mut client = stage.client(Turn::new("turn-1", script));
    let answer = client.turn.post().send(client.address).await.expect("the daemon answers");
    let mut frames = Frames::of(answer);
    client.execution = frames.header("x-execution-id").map(str::to_owned);
    assert_eq!(client.read(&mut frames).await, Stop::Ended, "one stream is enough");
    // The first comment comes at once; the quiet time is worth a few more.
    assert!(frames.comments() >= 4, "{} comments in 5 s of quiet", frames.comments());

    stage.check_completed(&client).await;
    let first = client.seen.first().expect("a first frame");
    assert_eq!((first.id, first.event.as_str()), (1, "execution.started"));
    assert_eq!(first.data["executionId"].as_str(), client.execution.as_deref());
    assert!(first.data["sessionId"].is_string(), "{first:?}");
    let tools = parts(&client.seen, "tool");
    let last = tools.last().expect("a tool part");
    assert_eq!(last["state"]["status"], "completed");
    assert!(last["state"]["output"].as_str().is_some_and(|it| it.contains("hi there")), "{last}");
    let texts = parts(&client.seen, "text");
    let own = texts.iter().find(|part| part["text"].as_str().is_some_and(|it| it.contains('[')));
    assert_eq!(own, None, "the user's own message is not sent back");
}

#[tokio::test]
async fn a_client_cut_within_random_frames_comes_back_in_every_form_and_misses_nothing() {
    let mut random = seed::generator();
    let stage = Stage::start().await;
    let mut cuts = 0;
    for (number, way) in WAYS.into_iter().enumerate() {
        let mut plan =
            || Plan::Cut { event: random.random_range(1..4), more: random.random_range(0..90) };
        let plans = [plan(), plan(), plan(), plan()];
        println!("{way:?}: {plans:?}");
        let hop = ClientHop::start(stage.daemon.address(), plans).await;
        let turn = Turn::new(&format!("turn-{number}"), BUSY);
        let mut client = Client::new(hop.address(), turn, &[way]);
        client.run().await;
        let seen = hop.seen();
        assert!(seen.cuts > 0 && client.streams > 1, "{way:?} was never cut: {seen:?}");
        cuts += seen.cuts;
        stage.check_completed(&client).await;
    }
    println!("{cuts} cuts over {} forms of coming back", WAYS.len());
}

#[tokio::test]
async fn two_turns_of_a_session_stand_in_one_log_without_a_hole() {
    let stage = Stage::start().await;
    let mut first = stage.client(Turn::new("turn-1", "[tool=bash:echo a] [words=3]"));
    first.run().await;
    let turn = Turn { session: first.turn.session.clone(), ..Turn::new("turn-2", "[words=4]") };
    let mut second = stage.client(turn);
    second.run().await;
    stage.check_completed(&first).await;
    stage.check_completed(&second).await;
    let next = second.seen.first().expect("a first frame").id;
    assert_eq!(next, first.last_id() + 1, "the second turn goes on where the first ended");
    assert_ne!(first.execution, second.execution);

    let assigned = first.seen[0].data["sessionId"].as_str().expect("the assigned session");
    for session in [first.turn.session.as_str(), assigned] {
        let path = format!("/agents/sessions/{session}/events?until=idle");
        let answer = Request::get(path).send(stage.daemon.address()).await;
        let mut frames = Frames::of(answer.expect("the daemon answers"));
        let mut all = Vec::new();
        while let Ok(frame) = frames.next().await {
            all.push(frame);
        }
        let both = [oracle::bytes_of(&first.seen), oracle::bytes_of(&second.seen)].concat();
        assert_eq!(oracle::bytes_of(&all), both, "the log of {session} is its turns");
        assert!(frames.retry().is_some(), "a GET stream says when to come back");
    }
}

#[tokio::test]
async fn a_growing_tool_output_is_shown_as_it_grows_and_not_sent_whole_each_time() {
    let stage = Stage::start().await;
    let (line, enough) = ("x".repeat(99), stage.opencode.home().join("enough"));
    let script = format!(
        "[tool=bash:until test -e {}; do echo {line}; sleep 0.06; done; echo end] [words=3]",
        enough.display()
    );
    let mut client = stage.client(Turn::new("turn-1", &script));
    let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
    // The tool ends when its output was seen to grow. How often it is read is the daemon's affair,
    // and on a busy machine that is seldom: what reading costs sets the pace.
    while lengths(&client.seen).len() < 3 {
        let shown = client.seen.len();
        client.read_one(&mut frames).await;
        assert_eq!(client.seen.len(), shown + 1);
    }
    std::fs::write(enough, "").expect("let the tool end");
    client.read(&mut frames).await;
    stage.check_completed(&client).await;
    let tools = parts(&client.seen, "tool");
    let output = tools.last().expect("a tool part")["state"]["output"].as_str();
    let output = output.expect("the tool's output").len();
    let bytes: usize = client.seen.iter().map(|frame| frame.raw.len()).sum();
    assert!(bytes <= 12 * output, "{bytes} bytes of frames for {output} bytes of output");
}

/// The different lengths of a running tool's output that were shown.
fn lengths(seen: &[Frame]) -> BTreeSet<usize> {
    let tools = parts(seen, "tool").into_iter().filter(|it| it["state"]["status"] == "running");
    tools.filter_map(|it| it["state"]["metadata"]["output"].as_str().map(str::len)).collect()
}

#[tokio::test]
async fn an_answer_of_300_kilobytes_is_whole_in_its_frames() {
    let stage = Stage::start().await;
    let turn = Turn::new("turn-1", "[tool=bash:echo hi] [big=300k]");
    let cut = Plan::Cut { event: 5, more: 100_000 };
    let (mut client, hop) = stage.behind(turn, [cut]).await;
    client.run().await;
    stage.check_completed(&client).await;
    assert_eq!(oracle::final_text(&client).len(), 300 << 10);
    println!("cuts: {}", hop.seen().cuts);
}

#[tokio::test]
async fn a_repeated_post_attaches_and_runs_nothing_again() {
    let stage = Stage::start().await;
    let turn = Turn::new("turn-1", "[tool=bash:echo a] [gate=open] [words=5]");
    let mut first = stage.client(turn.clone());
    let mut others: Vec<Client> = (0..3).map(|_| stage.client(turn.clone())).collect();
    let opening = async {
        stage.model.called("turn-1", 2).await;
        for other in &mut others {
            let opened = other.open(Way::SamePost).await.expect("the daemon answers");
            let mut frames = opened.stream();
            other.read_until(&mut frames, "message.part.updated").await;
        }
        stage.model.open("open");
        for other in &mut others {
            other.run().await;
        }
    };
    tokio::join!(first.run(), opening);
    stage.check_completed(&first).await;
    for other in &others {
        assert_eq!(oracle::bytes_of(&other.seen), oracle::bytes_of(&first.seen));
    }
}
