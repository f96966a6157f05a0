//! Looking for a prompt that went unanswered: found if and only if the box has it.

use afterbay::ids::SessionId;
use afterbay::upstream::{Accepted, Bound, Dispatch, Ending, Error, Found, Prepared};

use super::hop::Fault;
use super::request::Request;
use super::turn::Turn;
use super::{Promise, Scene, Stage, tells_no_secret};

pub(crate) const FINDING: &[Promise] = &[
    ("a prompt that the box has is found by any process, and its turn goes on", |stage| {
        Box::pin(arrived(stage))
    }),
    ("a prompt that the box has not is absent, and looking sends none", |stage| {
        Box::pin(absent(stage))
    }),
    ("an earlier prompt of the session is never taken for this one", |stage| {
        Box::pin(not_the_earlier(stage))
    }),
    ("a prompt in a session that is gone has not arrived", |stage| Box::pin(gone(stage))),
    ("looking at a box that is away finds nothing out", |stage| Box::pin(away(stage))),
];

/// Sends the request so that no answer comes.
async fn unanswered(stage: &dyn Stage, request: &Request, fault: Fault) -> Prepared {
    let prepared = request.prepared(stage).await;
    stage.hop().breaks(fault);
    let sent = request.dispatched(stage, &prepared).await;
    assert!(matches!(sent, Dispatch::Unanswered(_)), "{sent:?}");
    prepared
}

/// The turn of a prompt that was found.
fn goes_on<'s>(
    stage: &'s dyn Stage,
    request: &Request,
    prepared: Prepared,
    accepted: &Accepted,
) -> Turn<'s> {
    let Accepted { session, execution, .. } = accepted.clone();
    let bound = Bound { ids: request.ids.clone(), prepared, session, execution };
    Turn::bound(stage, request.name.clone(), bound, accepted)
}

async fn arrived(stage: &dyn Stage) {
    let request = Request::new(stage, Scene::Answers);
    let prepared = unanswered(stage, &request, Fault::LoseAnswer).await;
    let accepted = request.arrived(stage, &prepared).await;
    let again = request.arrived(stage, &prepared).await;
    assert_eq!(again.session, accepted.session);
    let mut turn = goes_on(stage, &request, prepared, &accepted);
    turn.end().await;
    assert_eq!(turn.view.ending, Some(Ending::Completed));
    turn.told.check_against(&turn.record().await);
    assert_eq!((stage.arrived(&request.name).await, stage.runs(&request.name).await), (1, 1));
}

async fn absent(stage: &dyn Stage) {
    let request = Request::new(stage, Scene::Answers);
    let prepared = unanswered(stage, &request, Fault::LosePrompt).await;
    for _ in 0..3 {
        let found = request.found(stage, &prepared).await;
        assert!(matches!(found, Found::Absent(_)), "{found:?}");
    }
    assert_eq!(stage.hop().prompts_with(&request.mark()), 1, "looking sends no prompt");
    assert_eq!((stage.arrived(&request.name).await, stage.runs(&request.name).await), (0, 0));
}

async fn not_the_earlier(stage: &dyn Stage) {
    let first = Request::new(stage, Scene::Answers);
    let mut turn = Turn::of(stage, first.clone()).await;
    turn.end().await;
    let session = turn.bound.session;
    // People say the same thing twice.
    for lost in [Request::next(stage, Scene::Answers, &session), first.again(stage, &session)] {
        let prepared = unanswered(stage, &lost, Fault::LosePrompt).await;
        let found = lost.found(stage, &prepared).await;
        assert!(matches!(found, Found::Absent(_)), "{found:?}");
    }

    let taken = Request::next(stage, Scene::Answers, &session);
    let prepared = unanswered(stage, &taken, Fault::LoseAnswer).await;
    let accepted = taken.arrived(stage, &prepared).await;
    assert_eq!(accepted.session, session);
    let mut second = goes_on(stage, &taken, prepared, &accepted);
    second.end().await;
    second.told.check_against(&second.record().await);
}

/// The prepared turn, as if it had been prepared in a session that is not there any more.
fn moved(prepared: &Prepared, session: &SessionId) -> Prepared {
    Prepared { session: prepared.session.as_ref().map(|_| session.clone()), ..prepared.clone() }
}

async fn gone(stage: &dyn Stage) {
    let request = Request::new(stage, Scene::Answers);
    let prepared = moved(&request.prepared(stage).await, &stage.unknown_session());
    let found = stage.adapter().find(Some(&stage.who()), &request.ids, &prepared).await;
    assert!(matches!(found, Ok(Found::Absent(_)) | Err(Error::Gone)), "{found:?}");
}

async fn away(stage: &dyn Stage) {
    let request = Request::new(stage, Scene::Answers);
    let prepared = unanswered(stage, &request, Fault::LosePrompt).await;
    stage.hop().refuse().await;
    match stage.adapter().find(Some(&stage.who()), &request.ids, &prepared).await {
        Err(error @ Error::Connect(_)) => tells_no_secret(stage, &error),
        other => panic!("{other:?}"),
    }
}
