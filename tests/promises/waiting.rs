//! Waiting for a person: said so, told once, taken back once.

use afterbay::upstream::{Activity, Ending};

use super::turn::Turn;
use super::{Promise, Scene, Stage};

pub(crate) const WAITING: &[Promise] = &[
    ("a turn that waits says so, tells it once and takes it back once", |stage| {
        Box::pin(answered(stage))
    }),
    ("a turn that is stopped while it waits is cancelled, and waits no more", |stage| {
        Box::pin(stopped(stage))
    }),
];

async fn answered(stage: &dyn Stage) {
    let mut turn = waiting(stage).await;
    let requests = (turn.told.count("interaction"), turn.told.count("interaction.cancel"));
    assert_eq!(requests, (1, 0));
    // Another process, which knows only the log, does not tell it again.
    for _ in 0..3 {
        turn.restart();
        turn.poll().await;
        assert_eq!((turn.view.activity, &turn.view.ending), (Activity::Waiting, &None));
    }
    stage.answer(&turn.name).await;
    turn.restart();
    turn.end().await;
    assert_eq!(turn.view.ending, Some(Ending::Completed));
    let requests = (turn.told.count("interaction"), turn.told.count("interaction.cancel"));
    assert_eq!(requests, (1, 1));
    turn.told.check_against(&turn.record().await);
}

async fn stopped(stage: &dyn Stage) {
    let mut turn = waiting(stage).await;
    let stopped = turn.adapter.cancel(Some(&stage.who()), &turn.bound.session).await;
    stopped.expect("the box stops");
    turn.end().await;
    assert_eq!(turn.view.ending, Some(Ending::Cancelled));
    let requests = (turn.told.count("interaction"), turn.told.count("interaction.cancel"));
    assert_eq!(requests, (1, 1));
}

async fn waiting(stage: &dyn Stage) -> Turn<'_> {
    let mut turn = Turn::start(stage, Scene::Asks).await;
    turn.follow("the turn waits", |view| view.activity == Activity::Waiting).await;
    assert!(turn.view.started, "who asks has begun");
    turn
}
