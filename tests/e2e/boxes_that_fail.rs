//! Boxes that fail: each ends in a verdict with its own code, never in a stream that spins.

use super::box_hop::At;
use super::client::{Turn, Way};
use super::oracle::Verdict;
use super::stage::Stage;
use super::{daemon, opencode};

async fn hasty_stage() -> Stage {
    let patience = daemon::Patience::Hasty;
    let daemon = daemon::Settings { patience, ..daemon::Settings::default() };
    Stage::with(opencode::Settings::default(), daemon).await
}

#[tokio::test]
async fn a_model_that_the_box_does_not_know_is_a_turn_that_never_started() {
    let stage = Stage::start().await;
    let turn = Turn { model: Some("no-such-model"), ..Turn::new("turn-1", "[words=3]") };
    let mut client = stage.client(turn);
    client.run().await;
    stage.check_ended(&client, Verdict::Failed(&["NEVER_STARTED"])).await;
    assert_eq!(stage.model.runs("turn-1"), 0);
}

#[tokio::test]
async fn a_model_that_refuses_fails_the_turn_with_a_code() {
    let stage = Stage::start().await;
    let mut client = stage.client(Turn::new("turn-1", "[tool=bash:echo hi] [fail=400]"));
    client.run().await;
    stage.check_ended(&client, Verdict::Failed(&[])).await;
}

#[tokio::test]
async fn a_model_that_fails_for_a_while_is_a_warning_and_the_turn_completes() {
    let stage = Stage::start().await;
    let mut client = stage.client(Turn::new("turn-1", "[fail=500x2] [words=3]"));
    client.run().await;
    stage.check_completed(&client).await;
    let warned = client
        .seen
        .iter()
        .any(|frame| frame.event == "warning" && frame.data["code"] == "BOX_RETRYING");
    assert!(warned, "the retry is shown");
}

#[tokio::test]
async fn a_prompt_lost_on_its_way_is_looked_for_and_never_sent_again() {
    let stage = Stage::start().await;
    let mut client = stage.client(Turn::new("turn-1", "[words=3]"));
    let lost = stage.hop.cut_at(At::PromptRequest);
    tokio::join!(client.run(), lost.wait(At::PromptRequest));
    stage.check_ended(&client, Verdict::Failed(&["DISPATCH_UNCONFIRMED"])).await;
    assert_eq!(stage.hop.prompts_sent("turn-1"), 1);
    assert_eq!(stage.model.runs("turn-1"), 0);
}

#[tokio::test]
async fn a_prompt_whose_answer_is_lost_is_found_at_the_box_and_the_turn_completes() {
    let stage = Stage::start().await;
    let mut client = stage.client(Turn::new("turn-1", "[tool=bash:echo hi] [words=3]"));
    let lost = stage.hop.cut_at(At::PromptAnswer);
    tokio::join!(client.run(), lost.wait(At::PromptAnswer));
    stage.check_completed(&client).await;
}

#[tokio::test]
async fn a_box_killed_for_good_in_mid_turn_is_unreachable_in_the_end() {
    let mut stage = hasty_stage().await;
    let turn = Turn::new("turn-1", "[tool=bash:echo hi] [gate=never] [words=3]");
    let mut client = stage.client(turn);
    let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
    stage.model.called("turn-1", 2).await;
    stage.opencode.kill();
    client.read(&mut frames).await;
    stage.check_ended(&client, Verdict::Failed(&["BOX_UNREACHABLE", "BOX_LOST"])).await;
}

#[tokio::test]
async fn a_box_killed_and_started_again_has_lost_the_turn() {
    let mut stage = hasty_stage().await;
    let turn = Turn::new("turn-1", "[tool=bash:echo hi] [gate=never] [words=3]");
    let mut client = stage.client(turn);
    let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
    stage.model.called("turn-1", 2).await;
    stage.opencode.kill();
    stage.opencode.restart().await;
    client.read(&mut frames).await;
    // A boot that takes longer than the deadline of this set-up is the other verdict.
    stage.check_ended(&client, Verdict::Failed(&["BOX_LOST", "BOX_UNREACHABLE"])).await;

    let mut next = stage.client(Turn::new("turn-2", "[words=3]"));
    next.run().await;
    stage.check_completed(&next).await;
}
