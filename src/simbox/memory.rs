//! What the box remembers, and what a crash makes it forget.
//!
//! Sessions, executions with their buffers, and which ids mean which execution. All of it is of
//! one boot: whoever acts for an execution says which, and what an earlier boot ran can no longer
//! change anything. What is due to be forgotten is forgotten when it is next looked at.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::buffer::Buffer;
use super::faults::Faults;
use super::ledger::TurnNo;
use super::messages::{Message, Part};
use super::session::{Newest, Phase, Session};

/// One execution of a turn.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) id: String,
    pub(super) supplied_session: Option<String>,
    /// The session that it was given.
    pub(super) session: String,
    pub(super) turn_id: Option<String>,
    /// Its number in the account.
    pub(super) no: TurnNo,
    pub(super) plan: Faults,
    pub(super) buffer: Buffer,
    /// Somebody wants it to end.
    pub(super) abort: CancellationToken,
    /// What it waits for was answered.
    pub(super) answered: CancellationToken,
    /// Ends with the boot that it is of.
    pub(super) boot: CancellationToken,
}

/// A prompt that is to be taken.
#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) execution: String,
    pub(super) session: Option<String>,
    pub(super) turn: Option<String>,
    pub(super) text: String,
    pub(super) plan: Faults,
    pub(super) no: TurnNo,
}

/// What became of a prompt.
#[derive(Debug)]
pub(super) enum Taken {
    /// It is a new execution; its agent is to be started.
    New(Arc<Execution>),
    /// It was there already.
    Existing(Arc<Execution>),
    /// The session has another turn running.
    Busy,
}

#[derive(Debug)]
pub(super) struct Memory {
    /// Tells this boot from the others.
    pub(super) boot_id: String,
    pub(super) boot: CancellationToken,
    /// Until when nobody listens.
    pub(super) down_until: Option<Instant>,
    sessions: HashMap<String, Session>,
    executions: HashMap<String, Arc<Execution>>,
    /// From session and turn id to execution id.
    turns: HashMap<(String, String), String>,
    /// From supplied to given session ids, where they differ.
    given: BTreeMap<String, String>,
    minted: u64,
}

impl Memory {
    /// Nothing remembered, in a boot that ends with `boot`.
    pub(super) fn new(boot: CancellationToken) -> Self {
        Self {
            boot_id: format!("boot_{}", uuid::Uuid::now_v7().simple()),
            boot,
            down_until: None,
            sessions: HashMap::new(),
            executions: HashMap::new(),
            turns: HashMap::new(),
            given: BTreeMap::new(),
            minted: 0,
        }
    }

    /// Forgets what a crash forgets and begins the next boot; the executions that it ended.
    pub(super) fn crash(
        &mut self,
        boot: CancellationToken,
        down_until: Instant,
        keep_sessions: bool,
    ) -> Vec<Arc<Execution>> {
        let was = std::mem::replace(self, Self::new(boot));
        was.boot.cancel();
        let down = was.down_until.map_or(down_until, |until| until.max(down_until));
        self.down_until = Some(down);
        let (running, resting): (Vec<_>, Vec<_>) =
            was.sessions.into_iter().partition(|(_, session)| session.is_busy());
        if keep_sessions {
            self.sessions = resting.into_iter().collect();
            self.given = was.given;
            self.given.retain(|_, given| self.sessions.contains_key(given));
        }
        let newest = running.into_iter().filter_map(|(_, session)| session.newest);
        newest.map(|newest| newest.execution).collect()
    }

    /// Takes a prompt, unless it was taken before.
    pub(super) fn take(&mut self, prompt: Prompt) -> Taken {
        self.forget_what_is_due();
        if let Some(existing) = self.find(&prompt) {
            return Taken::Existing(existing);
        }
        let session_id = self.give_session(&prompt);
        let Prompt { execution, session: supplied, turn, text, plan, no } = prompt;
        let boot = self.boot.clone();
        let session = self.sessions.entry(session_id.clone());
        let session = session.or_insert_with(|| Session::new(session_id.clone()));
        if session.is_busy() {
            return Taken::Busy;
        }
        let execution = Arc::new(Execution {
            id: execution,
            supplied_session: supplied,
            session: session_id,
            turn_id: turn,
            no,
            buffer: Buffer::new(plan.reap_buffer),
            plan,
            abort: CancellationToken::new(),
            answered: CancellationToken::new(),
            boot,
        });
        session.messages.push(user_message(&execution, &text));
        session.last_event_at = now_ms();
        let phase = if execution.plan.never { Phase::Never } else { Phase::Queued };
        let taken_at = Instant::now();
        session.newest = Some(Newest { execution: Arc::clone(&execution), phase, taken_at });
        self.remember(&execution);
        Taken::New(execution)
    }

    fn find(&self, prompt: &Prompt) -> Option<Arc<Execution>> {
        let by_turn = || {
            let names = prompt.session.clone().zip(prompt.turn.clone())?;
            self.executions.get(self.turns.get(&names)?)
        };
        self.executions.get(&prompt.execution).or_else(by_turn).map(Arc::clone)
    }

    /// The session that a prompt goes to: the one supplied, or the one given for it.
    fn give_session(&mut self, prompt: &Prompt) -> String {
        let Some(supplied) = &prompt.session else {
            self.minted += 1;
            return format!("ses_{}_{}", self.minted, prompt.execution);
        };
        if let Some(given) = self.given.get(supplied) {
            return given.clone();
        }
        if !prompt.plan.assign || self.sessions.contains_key(supplied) {
            return supplied.clone();
        }
        let given = format!("ses_given_{supplied}");
        self.given.insert(supplied.clone(), given.clone());
        given
    }

    fn remember(&mut self, execution: &Arc<Execution>) {
        let sessions = [Some(&execution.session), execution.supplied_session.as_ref()];
        if let Some(turn) = &execution.turn_id {
            for session in sessions.into_iter().flatten() {
                self.turns.insert((session.clone(), turn.clone()), execution.id.clone());
            }
        }
        self.executions.insert(execution.id.clone(), Arc::clone(execution));
    }

    /// The session with this id, if it is known and not due to be forgotten.
    pub(super) fn session(&mut self, id: &str) -> Option<&mut Session> {
        if self.sessions.get(id)?.is_due(Instant::now()) {
            self.forget_what_is_due();
        }
        self.sessions.get_mut(id)
    }

    /// The execution with this id, if it is known.
    pub(super) fn execution(&mut self, id: &str) -> Option<Arc<Execution>> {
        self.forget_what_is_due();
        self.executions.get(id).map(Arc::clone)
    }

    /// Changes the session of `execution`, if that is still its newest turn in this boot.
    pub(super) fn change<T>(
        &mut self,
        execution: &Arc<Execution>,
        change: impl FnOnce(&mut Session) -> T,
    ) -> Option<T> {
        let session = self.sessions.get_mut(&execution.session)?;
        let newest = session.newest.as_ref()?;
        if !Arc::ptr_eq(&newest.execution, execution) || execution.boot.is_cancelled() {
            return None;
        }
        session.last_event_at = now_ms();
        Some(change(session))
    }

    /// Answers all that waits.
    pub(super) fn answer_waiting(&self) {
        for newest in self.sessions.values().filter_map(|session| session.newest.as_ref()) {
            match newest.phase {
                Phase::Waiting { .. } => newest.execution.answered.cancel(),
                Phase::Queued | Phase::Running | Phase::Ended { .. } | Phase::Never => {}
            }
        }
    }

    fn forget_what_is_due(&mut self) {
        let now = Instant::now();
        let before = self.sessions.len();
        self.sessions.retain(|_, session| !session.is_due(now));
        if self.sessions.len() == before {
            return;
        }
        let Self { sessions, executions, turns, given, .. } = self;
        executions.retain(|_, execution| sessions.contains_key(&execution.session));
        turns.retain(|_, execution| executions.contains_key(execution));
        given.retain(|_, given| sessions.contains_key(given));
    }
}

impl Session {
    fn is_busy(&self) -> bool {
        self.newest.as_ref().is_some_and(|newest| newest.phase.is_busy())
    }

    fn is_due(&self, now: Instant) -> bool {
        let reap = self.newest.as_ref().and_then(|newest| newest.execution.plan.reap_session);
        let due = self.ended_at().zip(reap).and_then(|(at, reap)| at.checked_add(reap));
        due.is_some_and(|due| due <= now)
    }
}

fn user_message(execution: &Execution, text: &str) -> Message {
    let id = format!("msg_{}_user", execution.id);
    let part = format!("prt_{}_user", execution.id);
    let json = json!({
        "id": part, "sessionID": execution.session, "messageID": id, "type": "text", "text": text,
    });
    let parts = vec![Part { id: part, json: json.to_string().into(), text: Some(text.into()) }];
    let turn_id = execution.turn_id.clone();
    Message { id, role: "user", status: "completed", interrupted: false, turn_id, parts }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
