//! Preparing and sending: what reaches the box, how often, and what is said of it.

use afterbay::credential::Credential;
use afterbay::upstream::{Dispatch, Error, Prepare, Redispatch};

use super::hop::{Fault, Garbage};
use super::request::Request;
use super::turn::Turn;
use super::{Promise, Scene, Stage, arrives, tells_no_secret, until};

pub(crate) const DISPATCHING: &[Promise] = &[
    ("preparing leaves no prompt and is harmless twice", |stage| Box::pin(preparing(stage))),
    ("a prompt is sent once a call", |stage| Box::pin(sent_once(stage))),
    ("a refused connection is a prompt that was not sent", |stage| Box::pin(refused(stage))),
    ("a credential that cannot be sent sends nothing", |stage| Box::pin(unsendable(stage))),
    ("a lost answer is unanswered and nothing is sent again", |stage| Box::pin(lost(stage))),
    ("an answer that makes no sense is unanswered", |stage| Box::pin(garbled(stage))),
    ("a box that dedupes runs a repeat once, any other is never sent one", |stage| {
        Box::pin(repeated(stage))
    }),
];

async fn preparing(stage: &dyn Stage) {
    let request = Request::new(stage, Scene::Answers);
    let first = request.prepared(stage).await;
    let second = request.prepared(stage).await;
    assert_eq!(stage.hop().prompts_with(&request.mark()), 0);
    assert_eq!((stage.arrived(&request.name).await, stage.runs(&request.name).await), (0, 0));
    // Whichever of the two the log has, the turn goes its way.
    assert_eq!(first.session.is_some(), second.session.is_some());
    request.accepted(stage, &first).await;
    arrives(stage, &request.name).await;

    let mut turn = Turn::start(stage, Scene::Answers).await;
    turn.end().await;
    let before = stage.record(&turn.bound.session).await;
    let next = Request::next(stage, Scene::Answers, &turn.bound.session);
    next.prepared(stage).await;
    let prepared = next.prepared(stage).await;
    assert_eq!(stage.record(&turn.bound.session).await, before);
    let accepted = next.accepted(stage, &prepared).await;
    assert_eq!(accepted.session, turn.bound.session, "the turn goes to the session it belongs to");
}

async fn sent_once(stage: &dyn Stage) {
    let request = Request::new(stage, Scene::Answers);
    let prepared = request.prepared(stage).await;
    let accepted = request.accepted(stage, &prepared).await;
    assert_eq!(stage.hop().prompts_with(&request.mark()), 1);
    arrives(stage, &request.name).await;
    assert!(stage.record(&accepted.session).await.contains(&request.mark()), "in another session");
    if let Some(expected) = prepared.session {
        assert_eq!(accepted.session, expected);
    }
}

async fn refused(stage: &dyn Stage) {
    let request = Request::new(stage, Scene::Answers);
    let prepared = request.prepared(stage).await;
    stage.hop().refuse().await;
    for _ in 0..2 {
        let sent = request.dispatched(stage, &prepared).await;
        let Dispatch::NotSent(error @ Error::Connect(_)) = sent else { panic!("{sent:?}") };
        tells_no_secret(stage, &error);
    }
    let prepare = request.adapter.prepare(Some(&stage.who()), &request.ids).await;
    let Prepare::Failed(error @ Error::Connect(_)) = prepare else { panic!("{prepare:?}") };
    tells_no_secret(stage, &error);
    stage.hop().mend().await;
    assert_eq!(stage.arrived(&request.name).await, 0);
    request.accepted(stage, &prepared).await;
    arrives(stage, &request.name).await;
    let runs = async || (stage.runs(&request.name).await > 0).then_some(());
    until("the prompt runs", runs).await;
    assert_eq!(stage.runs(&request.name).await, 1);
}

async fn unsendable(stage: &dyn Stage) {
    let request = Request::new(stage, Scene::Answers);
    let prepared = request.prepared(stage).await;
    let before = stage.hop().requests();
    let nobody = Credential::new("Bearer of\nbad news");
    let sent =
        request.adapter.dispatch(Some(&nobody), &request.ids, &prepared, &request.body).await;
    let Dispatch::NotSent(error @ Error::Unauthorized(_)) = sent else { panic!("{sent:?}") };
    tells_no_secret(stage, &error);
    assert_eq!(stage.hop().requests(), before, "something was sent");
}

async fn lost(stage: &dyn Stage) {
    for fault in [Fault::LoseAnswer, Fault::LosePrompt] {
        let request = Request::new(stage, Scene::Answers);
        let prepared = request.prepared(stage).await;
        stage.hop().breaks(fault);
        let sent = request.dispatched(stage, &prepared).await;
        let Dispatch::Unanswered(error) = sent else { panic!("{fault:?}: {sent:?}") };
        tells_no_secret(stage, &error);
        assert_eq!(stage.hop().prompts_with(&request.mark()), 1, "{fault:?}: sent again");
        if fault == Fault::LoseAnswer {
            arrives(stage, &request.name).await;
        } else {
            assert_eq!(stage.arrived(&request.name).await, 0);
        }
    }
}

async fn garbled(stage: &dyn Stage) {
    for garbage in Garbage::ALL {
        let request = Request::new(stage, Scene::Answers);
        let prepared = request.prepared(stage).await;
        stage.hop().breaks(Fault::GarbleAnswer(garbage));
        let sent = request.dispatched(stage, &prepared).await;
        let Dispatch::Unanswered(error) = sent else { panic!("{garbage:?}: {sent:?}") };
        tells_no_secret(stage, &error);
        assert_eq!(stage.hop().prompts_with(&request.mark()), 1, "{garbage:?}: sent again");
    }
}

async fn repeated(stage: &dyn Stage) {
    let request = Request::new(stage, Scene::Answers);
    let prepared = request.prepared(stage).await;
    stage.hop().breaks(Fault::LoseAnswer);
    let lost = request.dispatched(stage, &prepared).await;
    assert!(matches!(lost, Dispatch::Unanswered(_)), "{lost:?}");
    let again = Request { adapter: stage.adapter(), ..request.clone() };
    again.accepted(stage, &prepared).await;
    assert_eq!(stage.hop().prompts_with(&request.mark()), 2);
    until("the box has taken both", async || {
        (stage.arrived(&request.name).await == 2).then_some(())
    })
    .await;
    match request.adapter.redispatch() {
        Redispatch::Deduped => assert_eq!(stage.runs(&request.name).await, 1),
        // The box has put the same words in twice, which is why a driver never sends them again.
        Redispatch::Never => {
            let session = prepared.session.expect("known before the dispatch");
            let record = stage.record(&session).await;
            assert_eq!(record.matches(&request.mark()).count(), 2);
        }
    }
}
