//! A box on strings: what it accepts, takes, says and refuses is pulled by the test, and each of
//! its calls can be held in mid-air.
//!
//! It keeps every promise of an adapter: a poll with the same cursor gives the same events. It
//! counts which prompts left, arrived and ran, so that a test can tell a lost one from a doubled
//! one. On request it tells repeats, and it can be started anew, which `memory` keeps.

mod fault;
mod memory;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use afterbay::credential::Credential;
use afterbay::event::Event;
use afterbay::ids::SessionId;
use afterbay::mode::BoxKind;
use afterbay::trace::context::TraceContext;
use afterbay::upstream::{
    Accepted, Activity, Answer, BadPrompt, Body, Bound, CursorDelta, Depth, Dispatch, Ended,
    Ending, Error, Found, Page, PageStep, PollCursor, Prepare, Prepared, Redispatch, Refusal,
    TextHash, TurnIds, Upstream, View, Vouched,
};
pub(crate) use fault::Fault;
use http::{HeaderMap, StatusCode};
use memory::Books;
pub(crate) use memory::{Delivery, Memory};
use serde_json::json;
use tokio::sync::watch;

use super::rig::within;

/// How many of the agent's words one step of a page tells at most.
const WORDS_OF_A_STEP: usize = 2;

/// The credential that every new box accepts.
pub(crate) const GOOD: &str = "Bearer good";

/// What is asked of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Prepare,
    Dispatch,
    Find,
    Poll,
    Cancel,
    Vouch,
}

#[derive(Debug)]
pub(crate) struct Puppet {
    state: Mutex<State>,
    held: watch::Sender<BTreeSet<Call>>,
    standing: watch::Sender<BTreeMap<Call, usize>>,
}

#[derive(Debug, Default)]
struct State {
    /// The credentials that it accepts; none at all: it asks for none.
    credentials: BTreeSet<String>,
    deliveries: VecDeque<Delivery>,
    faults: Vec<(Call, Fault)>,
    prompts: BTreeMap<String, Prompt>,
    books: Books,
    calls: Vec<Call>,
}

#[derive(Debug, Default)]
struct Prompt {
    /// Where it arrived, if it did.
    session: Option<SessionId>,
    said: Vec<String>,
    ending: Option<Ending>,
}

impl Puppet {
    pub(crate) fn new() -> Arc<Self> {
        Self::remembering(Memory::default())
    }

    pub(crate) fn remembering(memory: Memory) -> Arc<Self> {
        let credentials = BTreeSet::from([GOOD.to_owned()]);
        let state = Mutex::new(State { credentials, books: Books::of(memory), ..State::default() });
        let (held, standing) = (watch::Sender::default(), watch::Sender::default());
        Arc::new(Self { state, held, standing })
    }

    /// What becomes of the next prompts, one after the other; without a word they are taken.
    pub(crate) fn deliver(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        self.state().deliveries.extend(deliveries);
    }

    /// The next call of this kind fails so.
    pub(crate) fn fail(&self, call: Call, fault: Fault) {
        self.state().faults.push((call, fault));
    }

    pub(crate) fn mend(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.deliveries.clear();
    }

    pub(crate) fn accept(&self, credential: &str) {
        self.state().credentials.insert(credential.to_owned());
    }

    pub(crate) fn revoke(&self, credential: &str) {
        self.state().credentials.remove(credential);
    }

    /// The agent says something in this execution.
    pub(crate) fn says(&self, execution: &str, text: &str) {
        self.state().prompts.entry(execution.to_owned()).or_default().said.push(text.to_owned());
    }

    pub(crate) fn ends(&self, execution: &str, ending: Ending) {
        self.state().prompts.entry(execution.to_owned()).or_default().ending = Some(ending);
    }

    /// Whether the agent is done with this execution, or was stopped.
    pub(crate) fn has_ended(&self, execution: &str) -> bool {
        self.state().prompts.get(execution).is_some_and(|prompt| prompt.ending.is_some())
    }

    /// What the agent said in this execution.
    pub(crate) fn said(&self, execution: &str) -> Vec<String> {
        self.state().prompts.get(execution).map(|prompt| prompt.said.clone()).unwrap_or_default()
    }

    /// How many prompts of this execution have arrived.
    pub(crate) fn arrivals(&self, execution: &str) -> usize {
        self.state().books.arrivals(execution)
    }

    /// How often the agent began to work on this execution.
    pub(crate) fn runs(&self, execution: &str) -> usize {
        self.state().books.runs(execution)
    }

    /// How many prompts of this execution have left and fared so.
    pub(crate) fn posts(&self, execution: &str, which: impl Fn(Delivery) -> bool) -> usize {
        self.state().books.posts(execution, which)
    }

    /// The box is killed and started again: it forgets its ids and what ran.
    pub(crate) fn start_anew(&self) {
        self.state().books.start_anew();
    }

    /// The same while nobody looks.
    pub(crate) fn start_unwatched(&self) {
        self.state().books.start_unwatched();
    }

    /// How often the box was started anew.
    pub(crate) fn starts(&self) -> usize {
        self.state().books.starts()
    }

    /// Prompts that were on their way arrive.
    pub(crate) fn let_arrive(&self) {
        self.state().books.let_arrive();
    }

    /// Whether this ran before the box was started anew.
    pub(crate) fn has_forgotten(&self, execution: &str) -> bool {
        self.state().books.has_forgotten(execution)
    }

    /// How often this was asked of the box.
    pub(crate) fn calls(&self, call: Call) -> usize {
        self.state().calls.iter().filter(|made| **made == call).count()
    }

    /// From here on such calls stand still.
    pub(crate) fn hold(&self, call: Call) {
        self.held.send_modify(|held| held.extend([call]));
    }

    pub(crate) fn release_all(&self) {
        self.held.send_replace(BTreeSet::new());
    }

    pub(crate) fn release(&self, call: Call) {
        self.held.send_modify(|held| held.retain(|other| *other != call));
    }

    /// Resolves when such a call stands still.
    pub(crate) async fn stands(&self, call: Call) {
        let mut standing = self.standing.subscribe();
        let stands = |standing: &BTreeMap<Call, usize>| standing.get(&call).is_some_and(|n| *n > 0);
        let waited = within(&format!("{call:?} stands"), standing.wait_for(stands)).await;
        drop(waited.expect("the box lives"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// A call comes in: it may have to stand still, may be refused, may fail.
    async fn enter(&self, call: Call, who: Option<&Credential>) -> Result<(), Error> {
        self.state().calls.push(call);
        let mut held = self.held.subscribe();
        if held.borrow_and_update().contains(&call) {
            let _stands = Stands::new(self, call);
            held.wait_for(|held| !held.contains(&call)).await.expect("the box lives");
        }
        let mut state = self.state();
        if let Some(at) = state.faults.iter().position(|(faulty, _)| *faulty == call) {
            return Err(state.faults.remove(at).1.error());
        }
        let known = who.is_some_and(|who| state.credentials.contains(who.expose()));
        let free = state.credentials.is_empty();
        if known || free { Ok(()) } else { Err(Error::Unauthorized(StatusCode::UNAUTHORIZED)) }
    }
}

/// Counts a call that stands still, also if it is dropped meanwhile.
struct Stands<'a>(&'a Puppet, Call);

impl<'a> Stands<'a> {
    fn new(puppet: &'a Puppet, call: Call) -> Self {
        puppet.standing.send_modify(|standing| *standing.entry(call).or_default() += 1);
        Self(puppet, call)
    }
}

impl Drop for Stands<'_> {
    fn drop(&mut self) {
        self.0.standing.send_modify(|standing| *standing.entry(self.1).or_default() -= 1);
    }
}

/// What the box calls a session: one for each name, so that turns of a session stay together.
fn assigned(ids: &TurnIds) -> SessionId {
    let name = ids.client_session.as_ref().map_or(ids.execution.as_str(), |id| id.as_str());
    let fresh = || SessionId::parse(&format!("box-{name}")).expect("an id");
    ids.box_session.clone().unwrap_or_else(fresh)
}

fn refusal(status: StatusCode) -> Refusal {
    Refusal { status, headers: HeaderMap::new(), body: bytes::Bytes::from_static(b"{}") }
}

fn taken(ids: &TurnIds) -> Accepted {
    Accepted { session: assigned(ids), execution: None, frames: Vec::new(), ended: None }
}

/// The end of a turn as the box's own frames tell it.
fn told() -> Ended {
    let frame = |name| Event::ours(name, &json!({ "by": "the box" }));
    let frames = vec![frame("result"), frame("done")];
    Ended { ending: Ending::Completed, answer: Answer::default(), frames }
}

#[async_trait::async_trait]
impl Upstream for Puppet {
    fn kind(&self) -> BoxKind {
        BoxKind::Opencode
    }

    fn within(self: Arc<Self>, _trace: &TraceContext) -> Arc<dyn Upstream> {
        self
    }

    fn redispatch(&self) -> Redispatch {
        self.state().books.memory.repeats
    }

    fn check_prompt(&self, _body: &Body) -> Result<Option<TextHash>, BadPrompt> {
        Ok(None)
    }

    async fn prepare(&self, who: Option<&Credential>, ids: &TurnIds) -> Prepare {
        match self.enter(Call::Prepare, who).await {
            Ok(()) => {
                let notes = self.state().books.prepare(ids.execution.as_str());
                Prepare::Ready(Prepared { session: Some(assigned(ids)), notes })
            }
            Err(Error::Unauthorized(status)) => Prepare::Refused(refusal(status)),
            Err(Error::Later { status, .. }) => Prepare::Later(refusal(status), None),
            Err(error) => Prepare::Failed(error),
        }
    }

    async fn dispatch(
        &self,
        who: Option<&Credential>,
        ids: &TurnIds,
        _prepared: &Prepared,
        _body: &Body,
    ) -> Dispatch {
        if let Err(error) = self.enter(Call::Dispatch, who).await {
            let asked = refusal(StatusCode::UNAUTHORIZED);
            return if let Error::Unauthorized(_) = error {
                Dispatch::Refused(asked)
            } else {
                Dispatch::NotSent(error)
            };
        }
        let mut state = self.state();
        let delivery = state.deliveries.pop_front().unwrap_or(Delivery::Taken);
        let execution = ids.execution.as_str();
        state.books.post(execution, delivery);
        state.prompts.entry(execution.to_owned()).or_default().session = Some(assigned(ids));
        let silence = || Error::NoAnswer("reset".into());
        match delivery {
            Delivery::Taken => Dispatch::Accepted(taken(ids)),
            Delivery::TakenInSilence | Delivery::LostOnTheWay | Delivery::Delayed => {
                Dispatch::Unanswered(silence())
            }
            Delivery::Unnamed => Dispatch::Unnamed(silence()),
            Delivery::Told => Dispatch::Accepted(Accepted { ended: Some(told()), ..taken(ids) }),
            Delivery::NotSent => Dispatch::NotSent(Error::Connect("refused".into())),
            Delivery::Refused => Dispatch::Refused(refusal(StatusCode::CONFLICT)),
            Delivery::Later => Dispatch::Later(refusal(StatusCode::SERVICE_UNAVAILABLE), None),
        }
    }

    async fn find(
        &self,
        who: Option<&Credential>,
        ids: &TurnIds,
        prepared: &Prepared,
    ) -> Result<Found, Error> {
        self.enter(Call::Find, who).await?;
        let mut state = self.state();
        let execution = ids.execution.as_str();
        let boot = state.books.look(execution, &prepared.notes).map_err(Fault::error)?;
        let knows = state.books.knows(execution);
        Ok(if knows { Found::Arrived(taken(ids)) } else { Found::Absent(boot) })
    }

    async fn poll(
        &self,
        who: Option<&Credential>,
        turn: &Bound,
        cursor: &PollCursor,
        _depth: Depth,
    ) -> Result<Page, Error> {
        self.enter(Call::Poll, who).await?;
        let state = self.state();
        let execution = turn.ids.execution.as_str();
        let prompt = state.prompts.get(execution).filter(|_| state.books.knows(execution));
        let Some(prompt) = prompt else {
            let started = cursor.get("at").is_some();
            let view = View { activity: Activity::Gone, started, ..View::default() };
            return Ok(Page { steps: Vec::new(), view, messages_took: None });
        };
        let at = cursor.get("at").map_or(0, |at| at.parse().expect("own mark"));
        let new = prompt.said.get(at..).unwrap_or_default();
        let steps = new.chunks(WORDS_OF_A_STEP).scan(at, |told, texts| {
            *told += texts.len();
            let mut delta = CursorDelta::default();
            delta.set("at", told.to_string());
            let part = |text| json!({ "part": { "text": text } });
            let event = |text| Event::ours("message.part.updated", &part(text));
            Some(PageStep { events: texts.iter().map(event).collect(), delta })
        });
        let (final_text, ending) = (prompt.said.concat(), prompt.ending.clone());
        let activity = if ending.is_some() { Activity::Idle } else { Activity::Busy };
        let answer = Some(Answer { final_text, ..Answer::default() });
        let view = View { activity, started: true, ending, answer };
        Ok(Page { steps: steps.collect(), view, messages_took: None })
    }

    async fn cancel(&self, who: Option<&Credential>, session: &SessionId) -> Result<(), Error> {
        self.enter(Call::Cancel, who).await?;
        let mut state = self.state();
        let State { prompts, books, .. } = &mut *state;
        for (execution, prompt) in prompts {
            if books.knows(execution) && prompt.session.as_ref() == Some(session) {
                prompt.ending.get_or_insert(Ending::Cancelled);
            }
        }
        Ok(())
    }

    async fn vouch(&self, who: &Credential, _session: &SessionId) -> Result<Vouched, Error> {
        match self.enter(Call::Vouch, Some(who)).await {
            Ok(()) => Ok(Vouched::Yes),
            Err(Error::Unauthorized(status)) => Ok(Vouched::No(status)),
            Err(Error::Gone) => Ok(Vouched::UnknownSession),
            Err(error) => Err(error),
        }
    }
}
