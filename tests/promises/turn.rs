//! A turn that the box has taken, and what a driver would keep of it. Each poll checks what must
//! hold of every page.

use std::sync::Arc;

use afterbay::event::Event;
use afterbay::limits;
use afterbay::upstream::{
    Accepted, Activity, Bound, CursorDelta, Depth, Dispatch, Error, Page, PageStep, PollCursor,
    Upstream, View,
};
use bytes::Bytes;

use super::record::Record;
use super::request::Request;
use super::told::{PART, Told};
use super::{Scene, Stage, until};

/// The turn.
pub(super) struct Turn<'s> {
    pub(super) stage: &'s dyn Stage,
    pub(super) name: String,
    pub(super) bound: Bound,
    pub(super) adapter: Arc<dyn Upstream>,
    pub(super) cursor: PollCursor,
    /// What a log would hold of the cursor.
    deltas: Vec<Bytes>,
    /// All that was told, in order.
    pub(super) told: Told,
    pub(super) view: View,
}

impl<'s> Turn<'s> {
    /// A new session's first turn.
    pub(super) async fn start(stage: &'s dyn Stage, scene: Scene) -> Self {
        Self::of(stage, Request::new(stage, scene)).await
    }

    /// Sends `request`.
    pub(super) async fn of(stage: &'s dyn Stage, request: Request) -> Self {
        let prepared = request.prepared(stage).await;
        let sent = request.dispatched(stage, &prepared).await;
        let accepted = if matches!(sent, Dispatch::Unnamed(_)) {
            // Taken, and the box does not say where until it is asked.
            request.arrived(stage, &prepared).await
        } else {
            let Dispatch::Accepted(accepted) = sent else { panic!("not taken: {sent:?}") };
            accepted
        };
        let bound = Bound {
            ids: request.ids,
            prepared,
            session: accepted.session.clone(),
            execution: accepted.execution.clone(),
        };
        Self::bound(stage, request.name, bound, &accepted)
    }

    /// A new session's turn whose agent has done something and works on.
    pub(super) async fn at_work(stage: &'s dyn Stage) -> Self {
        let mut turn = Self::start(stage, Scene::Works).await;
        until("the agent is at work", async || {
            turn.poll().await;
            stage.go_on(&turn.name).await;
            (turn.view.started && turn.told.count(PART) > 0).then_some(())
        })
        .await;
        turn
    }

    pub(super) fn bound(
        stage: &'s dyn Stage,
        name: String,
        bound: Bound,
        accepted: &Accepted,
    ) -> Self {
        assert_eq!(accepted.ended, None, "the turns of this suite are not over that soon");
        Self {
            stage,
            name,
            bound,
            adapter: stage.adapter(),
            cursor: PollCursor::default(),
            deltas: Vec::new(),
            told: Told::default(),
            view: View::default(),
        }
    }

    /// Reads what is new and takes nothing over.
    pub(super) async fn page(&self, depth: Depth) -> Result<Page, Error> {
        let who = self.stage.who();
        self.stage.hop().take_served();
        let page = self.adapter.poll(Some(&who), &self.bound, &self.cursor, depth).await?;
        let served = self.stage.hop().take_served();
        for step in &page.steps {
            check_step(step);
            Told::check_served(&step.events, &served);
        }
        assert!(page.view.started || page.view.ending.is_none(), "an end before a start");
        let was_started = self.view.started;
        let forgets = was_started && !page.view.started && page.view.activity != Activity::Gone;
        assert!(!forgets, "the start is forgotten");
        Ok(page)
    }

    /// Takes a step over, as a driver does once it is durable.
    pub(super) fn take_over(&mut self, step: PageStep) {
        let bytes = step.delta.encode();
        assert_eq!(CursorDelta::decode(&bytes).expect("own bytes"), step.delta);
        self.cursor.fold(step.delta);
        self.deltas.push(bytes);
        self.told.take_in(step.events);
    }

    /// Polls and takes everything over; gives what is new.
    pub(super) async fn poll(&mut self) -> Vec<Event> {
        let page = self.page(Depth::Messages).await.expect("the box answers sensibly");
        self.view = page.view;
        let events = page.steps.iter().flat_map(|step| step.events.clone()).collect();
        page.steps.into_iter().for_each(|step| self.take_over(step));
        events
    }

    /// Goes on in another process, which has only the log.
    pub(super) fn restart(&mut self) {
        let mut folded = PollCursor::default();
        for delta in &self.deltas {
            folded.fold(CursorDelta::decode(delta).expect("own bytes"));
        }
        assert_eq!(folded, self.cursor, "the log does not give the cursor again");
        self.cursor = folded;
        self.adapter = self.stage.adapter();
    }

    /// Polls until the box says what is wanted.
    pub(super) async fn follow(&mut self, what: &str, is_so: impl Fn(&View) -> bool) {
        until(what, async || {
            self.poll().await;
            if is_so(&self.view) {
                return Some(());
            }
            self.stage.go_on(&self.name).await;
            None
        })
        .await;
    }

    /// Polls until the turn is over and nothing runs.
    pub(super) async fn end(&mut self) {
        self.follow("an end", |view| view.ending.is_some() && view.activity == Activity::Idle)
            .await;
    }

    /// The box's own record of the turn.
    pub(super) async fn record(&self) -> Record {
        Record::of(&self.stage.record(&self.bound.session).await, &format!("[{}]", self.name))
    }

    /// Runs `look` until the box's record did not move meanwhile, so that its answers can be held
    /// against each other.
    pub(super) async fn while_still<T>(&mut self, mut look: impl AsyncFnMut(&mut Self) -> T) -> T {
        until("the box's record stands still", async || {
            let before = self.record().await;
            let seen = look(self).await;
            (self.record().await == before).then_some(seen)
        })
        .await
    }
}

fn check_step(step: &PageStep) {
    let bytes: usize = step.events.iter().map(Event::len).sum();
    assert!(bytes <= limits::MAX_STEP_BYTES || step.events.len() == 1, "a step of {bytes} bytes");
    let delta = step.delta.encode().len();
    assert!(delta <= limits::MAX_CURSOR_STEP_BYTES, "a delta of {delta} bytes");
    assert!(!step.events.is_empty() || !step.delta.is_empty(), "a step of nothing");
    assert!(step.events.is_empty() || !step.delta.is_empty(), "events that belong to no delta");
}
