//! Credentials: the box's word on them comes through as it is, from every call.

use afterbay::credential::Credential;
use afterbay::upstream::{Depth, Dispatch, Error, Prepare, Vouched};

use super::request::Request;
use super::turn::Turn;
use super::{Promise, Scene, Stage, tells_no_secret};

pub(crate) const RIGHTS: &[Promise] = &[
    ("the box vouches for its owner, for nobody else, and for no session that it lacks", |stage| {
        Box::pin(vouching(stage))
    }),
    ("a wrong credential or none is unauthorized in every read", |stage| Box::pin(reading(stage))),
    ("a wrong credential or none is refused a turn, and nothing runs", |stage| {
        Box::pin(acting(stage))
    }),
];

async fn vouching(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::Answers).await;
    turn.end().await;
    let session = &turn.bound.session;
    let adapter = stage.adapter();
    let yes = adapter.vouch(&stage.who(), session).await;
    assert!(matches!(yes, Ok(Vouched::Yes)), "{yes:?}");
    let no = adapter.vouch(&stage.stranger(), session).await;
    assert!(matches!(&no, Ok(Vouched::No(status)) if is_refusal(status.as_u16())), "{no:?}");
    let unknown = adapter.vouch(&stage.who(), &stage.unknown_session()).await;
    assert!(matches!(unknown, Ok(Vouched::UnknownSession)), "{unknown:?}");
}

fn is_refusal(status: u16) -> bool {
    status == 401 || status == 403
}

#[track_caller]
fn unauthorized<T: std::fmt::Debug>(stage: &dyn Stage, call: &str, result: Result<T, Error>) {
    match result {
        Err(error @ Error::Unauthorized(_)) => tells_no_secret(stage, &error),
        other => panic!("{call}: {other:?}"),
    }
}

async fn reading(stage: &dyn Stage) {
    let mut turn = Turn::at_work(stage).await;
    let (ids, prepared) = (&turn.bound.ids, &turn.bound.prepared);
    let adapter = stage.adapter();
    for who in [Some(stage.stranger()), Some(Credential::new("Bearer of\nbad news")), None] {
        let who = who.as_ref();
        for depth in [Depth::Status, Depth::Messages] {
            let page = adapter.poll(who, &turn.bound, &turn.cursor, depth).await;
            unauthorized(stage, "poll", page);
        }
        unauthorized(stage, "find", adapter.find(who, ids, prepared).await);
        unauthorized(stage, "cancel", adapter.cancel(who, &turn.bound.session).await);
    }
    // Nobody was let in: the turn goes on.
    turn.poll().await;
    assert_eq!(turn.view.ending, None);
}

async fn acting(stage: &dyn Stage) {
    for who in [Some(stage.stranger()), None] {
        let request = Request::new(stage, Scene::Answers);
        let prepare = request.adapter.prepare(who.as_ref(), &request.ids).await;
        let Prepare::Refused(refusal) = prepare else { panic!("{prepare:?}") };
        assert!(is_refusal(refusal.status.as_u16()), "{refusal:?}");

        let prepared = request.prepared(stage).await;
        let Request { ids, body, .. } = &request;
        let sent = request.adapter.dispatch(who.as_ref(), ids, &prepared, body).await;
        let Dispatch::Refused(refusal) = sent else { panic!("{sent:?}") };
        assert!(is_refusal(refusal.status.as_u16()), "{refusal:?}");
        assert_eq!(stage.hop().prompts_with(&request.mark()), 1, "sent once");
        assert_eq!(stage.runs(&request.name).await, 0);
    }
}
