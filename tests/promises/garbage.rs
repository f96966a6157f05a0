//! A gateway in the box's place, half answers, no answers: each is an error, and an error changes
//! nothing and tells nothing.

use afterbay::upstream::{Depth, Error, Prepare};

use super::hop::{Fault, Garbage};
use super::request::Request;
use super::turn::Turn;
use super::{Promise, Scene, Stage, tells_no_secret};

pub(crate) const GARBAGE: &[Promise] = &[
    ("an answer that makes no sense is an error in every call", |stage| Box::pin(garbled(stage))),
    ("a box that is away is a failed connection in every call", |stage| Box::pin(away(stage))),
];

#[track_caller]
fn failed<T: std::fmt::Debug>(stage: &dyn Stage, call: &str, result: Result<T, Error>) -> Error {
    match result {
        Err(error) => {
            tells_no_secret(stage, &error);
            error
        }
        Ok(answer) => panic!("{call}: {answer:?}"),
    }
}

/// Every call but the sending, and what is wrong with its answer.
async fn all_calls(turn: &Turn<'_>, request: &Request) -> Vec<(&'static str, Error)> {
    let (stage, adapter, who) = (turn.stage, turn.stage.adapter(), turn.stage.who());
    let session = &turn.bound.session;
    let mut errors = Vec::new();
    for depth in [Depth::Status, Depth::Messages] {
        let page = adapter.poll(Some(&who), &turn.bound, &turn.cursor, depth).await;
        errors.push(("poll", failed(stage, "poll", page)));
    }
    let found = adapter.find(Some(&who), &turn.bound.ids, &turn.bound.prepared).await;
    errors.push(("find", failed(stage, "find", found)));
    errors.push(("vouch", failed(stage, "vouch", adapter.vouch(&who, session).await)));
    let prepare = adapter.prepare(Some(&who), &request.ids).await;
    let Prepare::Failed(error) = prepare else { panic!("prepare: {prepare:?}") };
    errors.push(("prepare", failed::<()>(stage, "prepare", Err(error))));
    errors
}

async fn garbled(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::Answers).await;
    turn.end().await;
    let told = turn.told.events.len();
    for garbage in Garbage::ALL {
        let request = Request::next(stage, Scene::Answers, &turn.bound.session);
        stage.hop().breaks(Fault::GarbleReads(garbage));
        for (call, error) in all_calls(&turn, &request).await {
            let is_no_answer = matches!(error, Error::Unauthorized(_) | Error::Gone);
            assert!(!is_no_answer, "{garbage:?}: {call}: {error:?}");
        }
        stage.hop().mend().await;
    }
    turn.poll().await;
    assert_eq!(turn.told.events.len(), told, "the errors have left nothing behind");
}

async fn away(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::Answers).await;
    turn.end().await;
    let request = Request::next(stage, Scene::Answers, &turn.bound.session);
    stage.hop().refuse().await;
    for (call, error) in all_calls(&turn, &request).await {
        assert!(matches!(error, Error::Connect(_)), "{call}: {error:?}");
    }
    let stopped = turn.adapter.cancel(Some(&stage.who()), &turn.bound.session).await;
    let stopped = failed(stage, "cancel", stopped);
    assert!(matches!(stopped, Error::Connect(_)), "{stopped:?}");
}
