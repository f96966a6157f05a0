//! The daemon killed at each aimed point, one point a test. `fifty.rs` mixes them.

use std::collections::BTreeMap;

use super::box_hop::At;
use super::client::{Client, Turn, Way};
use super::client_hop::Plan;
use super::kill_at_sync::KillAtSync;
use super::oracle::Verdict;
use super::stage::Stage;
use super::{daemon, opencode};

/// Where the daemon is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// The box's session is open; the prompt has not left.
    BeforeDispatch,
    /// The prompt has left and did not arrive.
    SentNotArrived,
    /// The prompt has arrived; the box's answer has not.
    ArrivedNotAnswered,
    /// Events are written and not synced.
    BetweenAppendAndSync,
    /// The close-out is synced; the client has not seen `done`.
    BetweenDoneAndClient,
}

/// Every point.
pub(crate) const POINTS: [Point; 5] = [
    Point::BeforeDispatch,
    Point::SentNotArrived,
    Point::ArrivedNotAnswered,
    Point::BetweenAppendAndSync,
    Point::BetweenDoneAndClient,
];

impl Point {
    /// Where the hop before the box stops a request for it, if that is how it is aimed.
    fn stop(self) -> Option<At> {
        match self {
            Self::BeforeDispatch => Some(At::SessionAnswer),
            Self::SentNotArrived => Some(At::PromptRequest),
            Self::ArrivedNotAnswered => Some(At::PromptAnswer),
            Self::BetweenAppendAndSync | Self::BetweenDoneAndClient => None,
        }
    }
}

/// A stage whose daemon carries the library that kills it at a sync.
#[derive(Debug)]
pub(crate) struct KillStage {
    pub(crate) stage: Stage,
    killer: KillAtSync,
    /// How often the daemon was killed at each point.
    pub(crate) hits: BTreeMap<Point, usize>,
}

impl KillStage {
    pub(crate) async fn start() -> Self {
        let killer = KillAtSync::build();
        let environment = killer.environment().to_vec();
        let settings = daemon::Settings { environment, ..daemon::Settings::default() };
        let stage = Stage::with(opencode::Settings::default(), settings).await;
        Self { stage, killer, hits: POINTS.map(|point| (point, 0)).into() }
    }

    /// Runs `turn`, kills the daemon at `point`, starts it again; resolves with the client once
    /// it has its close-out. `plans` are for the client's connections.
    pub(crate) async fn run(&mut self, turn: Turn, point: Point, plans: &[Plan]) -> Client {
        let plans = if point == Point::BetweenDoneAndClient { &[Plan::HoldDone] } else { plans };
        let (mut client, hop) = self.stage.behind(turn, plans.iter().copied()).await;
        if point == Point::BeforeDispatch {
            client.only(Way::SamePost);
        }
        let marker = client.turn.marker.clone();
        let Self { stage, killer, hits } = self;
        let Stage { daemon, hop: box_hop, model, .. } = stage;
        // Armed before the client says its first word.
        let stopped = point.stop().map(|at| (at, box_hop.stop_at(at)));
        let killing = async {
            if let Some((at, reached)) = stopped {
                reached.wait(at).await;
                let prompts = usize::from(at != At::SessionAnswer);
                assert_eq!(box_hop.prompts_sent(&marker), prompts, "{marker}: prompts sent");
            } else if point == Point::BetweenAppendAndSync {
                model.called(&marker, 1).await;
                let before = killer.hits();
                killer.arm();
                daemon.killed().await;
                assert_eq!(killer.hits(), before + 1, "killed at a sync");
            } else {
                hop.held().await;
            }
            daemon.kill();
            *hits.entry(point).or_default() += 1;
            daemon.restart().await;
        };
        tokio::join!(client.run(), killing);
        client
    }

    /// Checks the turn as it must end after a kill at `point`.
    pub(crate) async fn check(&self, client: &Client, point: Point) {
        let marker = &client.turn.marker;
        if point == Point::SentNotArrived {
            let verdict = Verdict::Failed(&["DISPATCH_UNCONFIRMED"]);
            self.stage.check_ended(client, verdict).await;
            assert_eq!(self.stage.hop.prompts_sent(marker), 1, "sent once and not again");
            assert_eq!(self.stage.model.runs(marker), 0, "it did not arrive, so it was not run");
        } else {
            self.stage.check_completed(client).await;
        }
    }
}

async fn check_point(point: Point) {
    let mut kill = KillStage::start().await;
    let script = "[tool=bash:echo one] [tool=bash:echo two] [quiet=300ms] [words=9 pace=10ms]";
    let client = kill.run(Turn::new("turn-1", script), point, &[]).await;
    assert_eq!(kill.hits.get(&point), Some(&1));
    kill.check(&client, point).await;
}

#[tokio::test]
async fn killed_before_the_dispatch_the_repeated_post_starts_the_turn_once() {
    check_point(Point::BeforeDispatch).await;
}

#[tokio::test]
async fn killed_while_the_prompt_is_lost_on_its_way_the_turn_is_unconfirmed_and_never_run() {
    check_point(Point::SentNotArrived).await;
}

#[tokio::test]
async fn killed_while_the_boxs_answer_is_on_its_way_the_turn_is_found_and_run_once() {
    check_point(Point::ArrivedNotAnswered).await;
}

#[tokio::test]
async fn killed_between_append_and_sync_nothing_that_was_shown_is_lost() {
    check_point(Point::BetweenAppendAndSync).await;
}

#[tokio::test]
async fn killed_between_done_and_the_client_the_close_out_comes_once() {
    check_point(Point::BetweenDoneAndClient).await;
}
