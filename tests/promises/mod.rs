//! What every adapter promises (`upstream`'s module docs), as one suite that runs on any [`Stage`]:
//! a box, the adapter of its kind, and a hop between the two.
//!
//! A promise is one function over a stage. It makes turns of its own, so promises can follow each
//! other on one box. [`keep`] runs a group of them to its end and then names all that are broken.
//! What a box cannot do is said by its stage, with the reason, and shown as `not applicable`.
//!
//! The suite knows a box only by the stage's verbs: what it was asked, ran and has on record is
//! told by the box itself and never by the adapter.

mod dispatching;
mod ending;
mod finding;
mod garbage;
mod hop;
mod polling;
mod record;
mod request;
mod rights;
mod told;
mod turn;
mod waiting;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use afterbay::credential::Credential;
use afterbay::ids::SessionId;
use afterbay::upstream::{Error, Upstream};
use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, timeout};

pub(crate) use dispatching::DISPATCHING;
pub(crate) use ending::ENDING;
pub(crate) use finding::FINDING;
pub(crate) use garbage::GARBAGE;
pub(crate) use hop::Hop;
pub(crate) use polling::POLLING;
pub(crate) use rights::RIGHTS;
pub(crate) use waiting::WAITING;

/// A word that stands in every prompt and in every page of a gateway, and in no error text.
pub(crate) const CANARY: &str = "canary-7c1e";

/// Far above what any promise takes, so that only a hang meets it.
const LONG: Duration = Duration::from_secs(40);

/// Between two looks at a fact that nobody announces.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What an agent does with a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// It calls a tool, says something, and ends well.
    Answers,
    /// It calls a tool and then works on until it is stopped.
    Works,
    /// It ends with a failure.
    Fails,
    /// It waits for a person, and ends well once it has its answer.
    Asks,
    /// One of its parts grows in many small steps beyond 8 KB, and it ends well.
    Grows,
    /// What it says is more than one step of a page can hold; it ends well.
    SaysMuch,
    /// The box takes the prompt and never begins.
    NeverBegins,
}

/// A box under test, with the adapter of its kind.
#[async_trait]
pub(crate) trait Stage: Send + Sync {
    /// What stands between the adapter and the box.
    fn hop(&self) -> &Hop;

    /// A new adapter that goes through the hop: what another process would make.
    fn adapter(&self) -> Arc<dyn Upstream>;

    /// The credential that the box accepts.
    fn who(&self) -> Credential;

    /// One that it does not.
    fn stranger(&self) -> Credential;

    /// An id in the box's shape, of a session that it does not have.
    fn unknown_session(&self) -> SessionId;

    /// A number that no turn on this stage had.
    fn number(&self) -> usize;

    /// The fields of a request body that make the agent play `scene`; the text is in `message`.
    fn prompt(&self, scene: Scene) -> Value;

    /// Where the box tells what the session is doing.
    fn status_path(&self, session: &SessionId) -> String;

    /// Whether the text of [`Scene::Grows`] can be seen growing; if not, why.
    fn shows_growing_text(&self) -> Result<(), &'static str>;

    /// Lets the agent of the turn `name` do its next step, if it does none by itself.
    async fn go_on(&self, name: &str);

    /// A person answers what the turn `name` waits for.
    async fn answer(&self, name: &str);

    /// How often the prompt of the turn `name` has arrived at the box.
    async fn arrived(&self, name: &str) -> usize;

    /// How often the box has run the turn `name`, or will.
    async fn runs(&self, name: &str) -> usize;

    /// The JSON list of the session's messages, as the box has it, past the hop.
    async fn record(&self, session: &SessionId) -> String;
}

/// A promise, and how it is proven.
pub(crate) type Promise = (&'static str, for<'a> fn(&'a dyn Stage) -> LocalBoxFuture<'a, ()>);

/// Runs all promises of `groups`; panics at the end with the names of those that are broken.
pub(crate) async fn keep(stage: &dyn Stage, groups: &[&[Promise]]) {
    let mut broken = Vec::new();
    for (name, proof) in groups.iter().copied().flatten() {
        let proof = timeout(LONG, AssertUnwindSafe(proof(stage)).catch_unwind()).await;
        if !matches!(proof, Ok(Ok(()))) {
            broken.push(if proof.is_err() {
                format!("{name} (hangs)")
            } else {
                (*name).to_owned()
            });
        }
        stage.hop().mend().await;
    }
    assert!(broken.is_empty(), "{} broken: {broken:#?}", broken.len());
}

/// Looks until `look` finds something; panics with `what` when that takes too long.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        let mut looks = interval(LOOK_AGAIN);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    let found = timeout(LONG / 2, looking).await;
    found.unwrap_or_else(|_| panic!("in time: {what}"))
}

/// Waits until the prompt has arrived at the box: some say that they have it before they show it.
async fn arrives(stage: &dyn Stage, name: &str) {
    let there = async || (stage.arrived(name).await > 0).then_some(());
    until("the box shows the prompt", there).await;
    assert_eq!(stage.arrived(name).await, 1, "{name} has arrived more than once");
}

/// An error text holds no credential, no query and no body.
#[track_caller]
fn tells_no_secret(stage: &dyn Stage, error: &Error) {
    let text = format!("{error} {error:?}");
    for secret in [stage.who(), stage.stranger()] {
        let token = secret.expose().split_once(' ').map_or(secret.expose(), |(_, token)| token);
        assert!(!text.contains(token), "a credential in {text}");
    }
    for word in [CANARY, "directory=", "limit=", "[turn-"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}
