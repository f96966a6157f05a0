//! Starting a turn, attaching to one, and going on with one after a restart.
//!
//! What a client asked for goes on whether or not the client stays: the turn runs as a task of
//! its own. A repeated request with known ids attaches and never dispatches again.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::credential::Caller;
use crate::event::Seq;
use crate::ids::{BoxName, ExecutionId, SessionId, SessionKey, TurnId};
use crate::limits;
use crate::log::Health;
use crate::mode::Phase;
use crate::turn::control::{Accepted, wall_ms};
use crate::turn::driver::spans::Spans;
use crate::turn::driver::{Driver, Parts, Standing};
use crate::turn::handle::{self, Handle, Inside, Orders, Stop};
use crate::turn::machine::Machine;
use crate::turn::resume::Unfinished;
use crate::turn::timeline::Timeline;
use crate::upstream::schedule::Schedule;
use crate::upstream::{BadPrompt, Body, PollCursor, TextHash, TurnIds};

use super::boxes::BoxEntry;
use super::names::Execution;
use super::readers::Denied;
use super::registry::Sessions;
use super::sealed::Kept;
use super::{RunningTurn, Session, State, TurnRef, run};

/// A request for a turn. Ids are parsed, the body is a JSON object within bounds.
#[derive(Debug, Clone)]
pub struct TurnRequest {
    /// The client's session id.
    pub session: Option<SessionId>,
    /// The client's execution id (header or body).
    pub execution: Option<ExecutionId>,
    /// The client's turn id.
    pub turn: Option<TurnId>,
    /// Who asks.
    pub who: Option<Caller>,
    /// What will be sent to the box.
    pub body: Body,
}

/// A turn that was started or attached to.
#[derive(Debug)]
pub struct Started {
    /// False: the same ids were known, nothing new is dispatched.
    pub new: bool,
    /// The turn.
    pub turn: TurnRef,
}

/// Why a turn was not started. Nothing was logged or sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No right to this session.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Another turn runs on this session.
    #[error("another turn runs on this session")]
    Running {
        /// Where that one is.
        phase: Phase,
    },
    /// The body holds no prompt for this kind of box.
    #[error(transparent)]
    BadPrompt(#[from] BadPrompt),
    /// No box of that name.
    #[error("no box of that name")]
    UnknownBox,
    /// The log does not take records.
    #[error("the log takes no records")]
    LogUnavailable,
    /// Afterbay is stopping.
    #[error("afterbay is stopping")]
    Draining,
    /// The log has as much as it may keep, and nothing of it can go; or its disk is nearly full.
    #[error("the log has no room for another turn")]
    NoRoom,
    /// Too many turns or unsent bytes at once.
    #[error("too many turns at once")]
    Overloaded,
}

/// A place among the running turns, and for the body until it is sent.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) running: OwnedSemaphorePermit,
    pub(super) unsent: Option<OwnedSemaphorePermit>,
    /// What the adapter knows the prompt by.
    pub(super) text: Option<TextHash>,
}

impl Sessions {
    /// Starts a turn, or attaches to the one with the same ids. Rights are checked first.
    ///
    /// # Errors
    /// [`StartError`]; nothing was logged or sent.
    pub async fn start_turn(
        &self,
        box_name: &BoxName,
        request: TurnRequest,
    ) -> Result<Started, StartError> {
        for _ in 0..limits::START_TRIES {
            let known = self.known_turn(box_name, &request);
            let named = request.session.as_ref().and_then(|id| self.session(box_name, id));
            let session = known.as_ref().map(|turn| Arc::clone(&turn.session)).or(named);
            if let Some(session) = &session {
                match self.may_read(session, request.who.as_ref()).await {
                    Ok(()) => {}
                    // Its only turn was withdrawn meanwhile: there is nobody's session any more.
                    Err(_) if !self.is_registered(session) => continue,
                    Err(denied) => return Err(denied.into()),
                }
            }
            if let Some(turn) = known {
                return Ok(self.attach(turn, &request));
            }
            if let Some(session) = &session
                && let Err(busy) = self.wait_for_close_out(session).await
            {
                // It may be this very turn that runs, begun by a twin of the request.
                if self.known_turn(box_name, &request).is_some() {
                    continue;
                }
                return Err(busy);
            }
            // What is known can be read although its box is gone; anything new needs the box.
            let entry = self.boxes().get(box_name).ok_or(StartError::UnknownBox)?;
            let text = entry.upstream.check_prompt(&request.body)?;
            let admitted = self.admit(&request.body, text)?;
            let begun = match session {
                Some(session) => {
                    let mut state = session.state();
                    self.begin(&entry, &session, &mut state, &request, admitted)
                }
                None => self.begin_session(&entry, box_name, &request, admitted),
            };
            // Whoever lost a race for a name finds the winner's turn when it looks again.
            if let Some(turn) = begun {
                return Ok(Started { new: true, turn });
            }
        }
        Err(StartError::Overloaded)
    }

    /// A session with a running turn takes no other one; but a client that has just read `done`
    /// is not told that the turn still runs.
    async fn wait_for_close_out(&self, session: &Session) -> Result<(), StartError> {
        let handle = session.state().running.turn().map(|turn| turn.handle.clone());
        let Some(handle) = handle else { return Ok(()) };
        if handle.settled().await {
            return Ok(());
        }
        Err(StartError::Running { phase: handle.status().phase })
    }

    /// The turn that the request's ids already name.
    fn known_turn(&self, box_name: &BoxName, request: &TurnRequest) -> Option<TurnRef> {
        let by_execution = request.execution.as_ref().and_then(|id| self.turn(box_name, id));
        by_execution.or_else(|| {
            let session = self.session(box_name, request.session.as_ref()?)?;
            session.turn_by_client_id(request.turn.as_ref()?)
        })
    }

    /// A repeated request: no second dispatch, but a body that a restart lost may come back so.
    fn attach(&self, turn: TurnRef, request: &TurnRequest) -> Started {
        let digest = digest(&request.body);
        let waiting = {
            let state = turn.session.state();
            let running = state.running.turn();
            let same =
                |asked: &Accepted| asked.execution == turn.execution && asked.body_digest == digest;
            let same = running.filter(|running| same(&running.accepted));
            same.map(|turn| turn.handle.clone()).filter(|handle| handle.status().needs_body)
        };
        if let Some(handle) = waiting {
            if let Some(credential) = request.who.as_ref().and_then(Caller::credential) {
                handle.adopt(credential.clone());
            }
            handle.supply(request.body.clone());
        }
        Started { new: false, turn }
    }

    fn admit(&self, body: &Body, text: Option<TextHash>) -> Result<Admitted, StartError> {
        if self.inner.config.drain.is_cancelled() {
            return Err(StartError::Draining);
        }
        match self.health() {
            // Only the next record tells whether a disk that was full has room again, and this
            // turn's may be the only one to come.
            Health::Open | Health::Refusing => {}
            Health::Poisoned | Health::Closed => {
                return Err(StartError::LogUnavailable);
            }
        }
        if self.room().is_short() {
            return Err(StartError::NoRoom);
        }
        let overloaded = |_| StartError::Overloaded;
        let running = Arc::clone(&self.inner.running).try_acquire_owned().map_err(overloaded)?;
        let unsent = self.place_for(body).ok_or(StartError::Overloaded)?;
        Ok(Admitted { running, unsent: Some(unsent), text })
    }

    /// A place in memory for a body until it is sent.
    fn place_for(&self, body: &Body) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(body.bytes.len()).unwrap_or(u32::MAX);
        Arc::clone(&self.inner.unsent).try_acquire_many_owned(bytes).ok()
    }

    /// Starts the first turn of a new session, unless its name is taken.
    fn begin_session(
        &self,
        entry: &BoxEntry,
        box_name: &BoxName,
        request: &TurnRequest,
        admitted: Admitted,
    ) -> Option<TurnRef> {
        let key = SessionKey::mint();
        let state = State { client_session: request.session.clone(), ..State::default() };
        let session = Arc::new(Session::new(key, box_name.clone(), self.log(key), state));
        let name = request.session.clone().unwrap_or_else(|| key.session_id());
        // Locked until its turn stands in it: that tells whoever finds it by its name whose it is.
        let mut state = session.state();
        self.insert(Arc::clone(&session));
        if !self.inner.names.claim_session(box_name, &name, key) {
            self.remove(key);
            return None;
        }
        let begun = self.begin(entry, &session, &mut state, request, admitted);
        if begun.is_none() {
            self.inner.names.release_session(box_name, &name, key);
            self.remove(key);
        }
        begun
    }

    /// Starts a turn on a session, unless one runs or its name is taken. `state` is the session's.
    fn begin(
        &self,
        entry: &BoxEntry,
        session: &Arc<Session>,
        state: &mut State,
        request: &TurnRequest,
        admitted: Admitted,
    ) -> Option<TurnRef> {
        let TurnRequest { execution, turn, who, body, session: named } = request;
        let execution = execution.clone().unwrap_or_else(ExecutionId::mint);
        let name = Execution { key: session.key, execution: execution.clone() };
        // A session whose only turn was just withdrawn is on its way out and starts no more.
        // A turn of the same ids may have come and gone since they were last looked for.
        let free = state.running.turn().is_none()
            && !state.has_had(&execution, turn.as_ref())
            && self.is_registered(session)
            && self.inner.names.claim_execution(&session.box_name, &execution, name);
        if !free {
            return None;
        }
        let body_digest = digest(body);
        let accept = Accepted {
            at_ms: wall_ms(),
            box_name: session.box_name.clone(),
            client_session: state.client_session.clone().or_else(|| named.clone()),
            execution: execution.clone(),
            turn: turn.clone(),
            starter: who.as_ref().map(|who| self.hash(who)),
            by_own_token: matches!(who, Some(Caller::Own(_))),
            body_digest,
            text: admitted.text,
            trace: self.tracer().root(&body.headers),
        };
        let ids = TurnIds {
            client_session: accept.client_session.clone(),
            box_session: state.box_session.clone(),
            execution: execution.clone(),
            turn: turn.clone(),
            text: admitted.text,
        };
        let credential = who.as_ref().and_then(Caller::credential).cloned();
        let body = Some(body.clone());
        let orders = Orders { credential, body, ..Orders::default() };
        let (handle, inside) = handle::pair(orders, Timeline::of_new(accept.at_ms));
        let from = session.log.tail().next_seq;
        let (accepted, told) = (accept.clone(), handle.clone());
        state.running.begin(RunningTurn { accepted, dispatched: None, from, handle: told });
        let spans = Spans::of_new(self.tracer().clone(), &accept);
        let fresh = Fresh { ids, accept: Some(accept), first: from, inside, spans };
        let driver = Driver::new(self.parts(entry, session, fresh));
        self.spawn(session, driver, handle.clone(), admitted);
        Some(session.turn_ref(execution, from, Some(handle)))
    }

    /// Goes on with a turn that the log remembers without a verdict.
    /// `kept` is what was sealed of it.
    pub(super) fn resume(&self, session: &Arc<Session>, turn: &Unfinished, kept: Kept) {
        let cancel = turn.cancel_asked.then_some(Stop::TurnOnly);
        let Kept { credential, body, unopened: _ } = kept;
        let unsent = body.as_ref().and_then(|body| self.place_for(body));
        // Without a place in memory it waits for its repeat, as one whose body was not sealed.
        let body = body.filter(|_| unsent.is_some());
        let has_body = body.is_some();
        let orders = Orders { cancel, credential, body, spare: None };
        let (handle, inside) = handle::pair(orders, Timeline::of_resumed());
        // Also if it cannot go on now: its ids stay taken and its session busy.
        let (accepted, dispatched) = (turn.accepted.clone(), turn.dispatched.clone());
        let (from, told) = (turn.from, handle.clone());
        session.state().running.begin(RunningTurn { accepted, dispatched, from, handle: told });
        let Some(entry) = self.boxes().last_known(&session.box_name) else {
            tracing::warn!(box_name = %session.box_name, "a turn waits for a box that is not known");
            return;
        };
        let Ok(running) = Arc::clone(&self.inner.running).try_acquire_owned() else {
            tracing::error!(
                "more unfinished turns in the log than may run; one waits for the next start"
            );
            return;
        };
        let ids = turn.ids(session.state().box_session.clone());
        let (prepared, bound) = (turn.prepared(), turn.bound(&ids));
        let spans = Spans::of_resumed(self.tracer().clone(), &turn.accepted);
        let fresh = Fresh { ids, accept: None, first: turn.from, inside, spans };
        let point = turn.point(wall_ms());
        let deadlines = self.inner.config.deadlines.clone();
        let machine = Machine::resumed(Instant::now(), deadlines, &point);
        let machine = if has_body { machine.with_body() } else { machine };
        let parts = Parts {
            machine: machine.with_redispatch(entry.upstream.redispatch()),
            standing: Standing::of(&turn.accepted),
            prepared,
            bound,
            cursor: turn.cursor.clone(),
            ..self.parts(&entry, session, fresh)
        };
        parts.metrics.resumed.inc();
        let (id, execution) = (session.id(), &turn.accepted.execution);
        tracing::info!(session = %id, %execution, "turn goes on after a restart");
        let dispatched = turn.dispatched.is_some();
        let driver = Driver::new(parts);
        if dispatched {
            driver.announce(handle::Answered::Running);
        }
        self.spawn(session, driver, handle, Admitted { running, unsent, text: None });
    }

    fn parts(&self, entry: &BoxEntry, session: &Session, fresh: Fresh) -> Parts {
        let Fresh { ids, accept, first, inside, spans } = fresh;
        let BoxEntry { upstream, budget, credential } = entry.clone();
        let config = &self.inner.config;
        let metrics = config.metrics.of_box(self.label_of(&session.box_name), upstream.kind());
        let machine = Machine::new(Instant::now(), config.deadlines.clone());
        Parts {
            machine: machine.with_redispatch(upstream.redispatch()),
            upstream,
            budget,
            schedule: Schedule::new(config.intervals),
            log: session.log.clone(),
            inside,
            ids,
            standing: accept.as_ref().map_or(Standing::Nobody, Standing::of),
            accept,
            first,
            box_credential: credential,
            prepared: None,
            bound: None,
            cursor: PollCursor::default(),
            fidelity: config.fidelity,
            metrics,
            spans,
        }
    }

    fn spawn(&self, session: &Arc<Session>, driver: Driver, handle: Handle, admitted: Admitted) {
        let run = run::run(self.clone(), Arc::clone(session), driver, handle, admitted);
        self.tasks().spawn("turn", run);
    }
}

/// What is new about a turn's driver.
struct Fresh {
    ids: TurnIds,
    accept: Option<Accepted>,
    first: Seq,
    inside: Inside,
    spans: Spans,
}

fn digest(body: &Body) -> [u8; 32] {
    *blake3::hash(&body.bytes).as_bytes()
}
