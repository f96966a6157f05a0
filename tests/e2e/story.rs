//! The story that `opencode.sh` tells: a turn with a quiet time, the client cut, the daemon
//! killed, and every event delivered once. Each line of the account starts with `| `.

use super::client::{Turn, Way};
use super::client_hop::Plan;
use super::frames::{Frame, Stop};
use super::oracle;
use super::oracle::Verdict;
use super::stage::Stage;

fn tell(line: &str) {
    println!("| {line}");
}

/// `execution.started 1, message.part.updated 7, …`
fn counts(frames: &[Frame]) -> String {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for frame in frames {
        match names.iter_mut().find(|(name, _)| *name == frame.event) {
            Some((_, count)) => *count += 1,
            None => names.push((&frame.event, 1)),
        }
    }
    let told: Vec<String> = names.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
}

#[tokio::test]
async fn story() {
    let mut stage = Stage::start().await;
    tell(&format!("opencode serves at http://{}", stage.opencode.address()));
    tell(&format!("afterbay serves at http://{} in front of it", stage.daemon.address()));
    let script = "[tool=bash:echo building] [quiet=6s] [gate=restarted] [words=12 pace=20ms]";
    let cut = Plan::Cut { event: 3, more: 30 };
    let (mut client, hop) = stage.behind(Turn::new("turn-1", script), [cut]).await;

    let mut frames = client.open(Way::SamePost).await.expect("afterbay answers").stream();
    tell("a client starts a turn: a tool call, then a quiet time, then an answer");
    let stop = client.read(&mut frames).await;
    assert_eq!((hop.seen().cuts, stop), (1, Stop::Cut));
    tell(&format!(
        "the client's connection is cut within a frame; it has: {}",
        counts(&client.seen)
    ));

    let before = client.seen.len();
    let mut frames = client.open(Way::RunStream).await.expect("afterbay answers").stream();
    stage.model.called("turn-1", 2).await;
    client.read_until(&mut frames, "message.part.updated").await;
    stage.daemon.kill();
    client.read(&mut frames).await;
    tell(&format!("it came back after id {before} and got: {}", counts(&client.seen[before..])));
    tell("afterbay is killed with kill -9 in the quiet time");

    stage.daemon.restart().await;
    stage.model.open("restarted");
    tell("afterbay is started again on the same folder; the agent goes on");
    let before = client.seen.len();
    client.run().await;
    tell(&format!(
        "the client came back after id {before} and got: {}",
        counts(&client.seen[before..])
    ));

    stage.check_completed(&client).await;
    oracle::check(&client, stage.daemon.address(), Verdict::Completed).await;
    tell(&format!(
        "in all {} events over {} connections, ids 1 to {} without a hole or a repeat, byte for \
         byte what four full replays say",
        client.seen.len(),
        client.streams,
        client.last_id()
    ));
    tell(&format!(
        "the prompt was run {} time; one verdict; the answer: {:?}",
        stage.model.runs("turn-1"),
        oracle::final_text(&client).trim()
    ));
}
