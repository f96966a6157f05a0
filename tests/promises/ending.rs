//! How turns begin and end: by the box's own word, and never by an earlier turn's.

use std::collections::BTreeSet;

use afterbay::upstream::{Activity, Depth, Ending};

use super::request::Request;
use super::turn::Turn;
use super::{Promise, Scene, Stage};

pub(crate) const ENDING: &[Promise] = &[
    ("a box that has not begun is neither started nor at an end", |stage| Box::pin(early(stage))),
    ("a completed turn has its final text", |stage| Box::pin(completed(stage))),
    ("a failed turn has a code", |stage| Box::pin(failed(stage))),
    ("a stopped turn is cancelled and keeps what was said", |stage| Box::pin(cancelled(stage))),
    ("stopping is harmless where nothing runs", |stage| Box::pin(stopped_in_vain(stage))),
    ("a session's second turn tells nothing of the first", |stage| Box::pin(second(stage))),
    ("a turn behind a failed one has not failed", |stage| Box::pin(after_a_failure(stage))),
    ("a session that the box does not know is gone, which is no end", |stage| {
        Box::pin(gone(stage))
    }),
];

async fn early(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::NeverBegins).await;
    for _ in 0..20 {
        turn.poll().await;
        assert_eq!((turn.view.started, &turn.view.ending), (false, &None));
        stage.go_on(&turn.name).await;
    }
    turn.follow("the box is idle", |view| view.activity == Activity::Idle).await;
    assert_eq!((turn.view.started, &turn.view.ending), (false, &None));
    assert_eq!(turn.told.count("message.part.updated"), 0);
}

async fn completed(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::Answers).await;
    turn.end().await;
    assert_eq!(turn.view.ending, Some(Ending::Completed));
    assert!(turn.view.started);
    let text = turn.record().await.final_text();
    assert!(!text.is_empty());
    let answer = turn.view.answer.as_ref().expect("the messages were read");
    assert_eq!(answer.final_text, text);
    turn.restart();
    turn.poll().await;
    assert_eq!(turn.view.ending, Some(Ending::Completed), "an end stays");
    assert_eq!(turn.view.answer.as_ref().map(|answer| &answer.final_text), Some(&text));
}

async fn failed(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::Fails).await;
    turn.end().await;
    let Some(Ending::Failed { code, message }) = &turn.view.ending else {
        panic!("{:?}", turn.view.ending)
    };
    let is_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    assert!(!code.is_empty() && code.chars().all(is_code), "{code}");
    assert!(!message.is_empty());
}

async fn cancelled(stage: &dyn Stage) {
    let mut turn = Turn::at_work(stage).await;
    for _ in 0..2 {
        let stopped = turn.adapter.cancel(Some(&stage.who()), &turn.bound.session).await;
        stopped.expect("the box stops");
    }
    turn.end().await;
    assert_eq!(turn.view.ending, Some(Ending::Cancelled));
    turn.told.check_against(&turn.record().await);
}

async fn stopped_in_vain(stage: &dyn Stage) {
    let adapter = stage.adapter();
    let unknown = adapter.cancel(Some(&stage.who()), &stage.unknown_session()).await;
    unknown.expect("nothing runs in a session that is not there");
    let mut turn = Turn::start(stage, Scene::Answers).await;
    turn.end().await;
    let over = adapter.cancel(Some(&stage.who()), &turn.bound.session).await;
    over.expect("nothing runs in a session at rest");
    assert_eq!(turn.poll().await, vec![]);
    assert_eq!(turn.view.ending, Some(Ending::Completed), "an end stays");
}

async fn second(stage: &dyn Stage) {
    let mut first = Turn::start(stage, Scene::Answers).await;
    first.end().await;
    let next = Request::next(stage, Scene::Answers, &first.bound.session);
    let mut second = Turn::of(stage, next).await;
    second.end().await;
    assert_eq!(second.view.ending, Some(Ending::Completed));
    second.told.check_against(&second.record().await);
    let ids: BTreeSet<_> = first.told.part_ids().collect();
    assert!(second.told.part_ids().all(|id| !ids.contains(id)), "the first turn's parts");
    let text = second.record().await.final_text();
    assert_eq!(second.view.answer.as_ref().map(|answer| &answer.final_text), Some(&text));
    // Nor does the first one take what came after it for its own.
    assert_eq!(first.poll().await, vec![]);
    assert_eq!(first.view.ending, Some(Ending::Completed));
}

async fn after_a_failure(stage: &dyn Stage) {
    let mut first = Turn::start(stage, Scene::Fails).await;
    first.end().await;
    // A box may read as the turn before left it until the next one begins.
    let status = stage.status_path(&first.bound.session);
    for reads_the_old in [true, false] {
        let next = Request::next(stage, Scene::NeverBegins, &first.bound.session);
        if reads_the_old {
            stage.hop().freeze(&status);
        }
        let mut never = Turn::of(stage, next).await;
        for _ in 0..5 {
            never.poll().await;
            assert_eq!((never.view.started, &never.view.ending), (false, &None));
        }
        stage.hop().mend().await;
    }
    let next = Request::next(stage, Scene::Answers, &first.bound.session);
    let mut second = Turn::of(stage, next).await;
    second.end().await;
    assert_eq!(second.view.ending, Some(Ending::Completed));
}

async fn gone(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::Answers).await;
    turn.end().await;
    turn.bound.session = stage.unknown_session();
    let page = turn.page(Depth::Messages).await.expect("a box that does not know is an answer");
    assert_eq!((page.view.activity, page.view.ending), (Activity::Gone, None));
    assert!(page.steps.iter().all(|step| step.events.is_empty()), "{:?}", page.steps);
}
