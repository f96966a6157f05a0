//! A simulated box: the sandbox's contract on loopback, with faults on request and an account.
//!
//! It is for trying things without a box, for showing what goes wrong, and for tests that need to
//! know what a box did. It is written from the contract alone and shares nothing with the code
//! that talks to boxes, so that one misunderstanding cannot sit on both sides. Its agent is
//! scripted by words in the prompt ([`WORDS`]); the same words are faults for all turns.
//!
//! It simulates no sandbox: nothing is executed, nothing is kept, no secret is safe here.

mod access;
mod account;
mod admin;
mod agent;
mod answers;
mod buffer;
mod content;
mod dispatch;
mod faults;
mod ledger;
mod listener;
mod memory;
mod messages;
mod routes;
mod script;
mod session;
mod setting;
mod status;
mod streams;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use account::{Account, Polls, State, Text, Totals, Turn, Version};
pub use faults::{Faults, Lose, Mishap, Refusal, Shape, Wait, WaitFor};
pub use script::{Mistake, WORDS, Word};
pub use setting::{Chance, Code, Repeated};

use crate::tasks::Tasks;
use ledger::{Ledger, TurnNo};
use memory::{Execution, Memory};

/// A simulated box. Clones are the same box.
#[derive(Clone)]
pub struct Simbox {
    inner: Arc<Inner>,
}

struct Inner {
    faults: Mutex<Faults>,
    /// Whoever needs this and the ledger takes this one first.
    memory: Mutex<Memory>,
    ledger: Ledger,
    access: access::Access,
    dice: Mutex<StdRng>,
    tasks: Tasks,
    /// How often the listener was closed.
    closed: watch::Sender<u64>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn dice(faults: &Faults) -> StdRng {
    StdRng::seed_from_u64(faults.seed.unwrap_or(0))
}

impl Simbox {
    /// A box with these faults. It listens when it is served.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        let tasks = Tasks::new();
        let memory = Memory::new(tasks.stop_token().child_token());
        let inner = Inner {
            dice: Mutex::new(dice(&faults)),
            faults: Mutex::new(faults),
            memory: Mutex::new(memory),
            ledger: Ledger::default(),
            access: access::Access::default(),
            tasks,
            closed: watch::Sender::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Serves the box on `listener` until `stop`, then ends all that runs in it. The account can
    /// be read afterwards; a box is served once.
    ///
    /// # Errors
    /// If `listener` is not on loopback, or the address cannot be had back after a crash.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let served = listener::serve(&self, listener, &stop).await;
        self.tasks().stop();
        self.tasks().wait().await;
        served
    }

    /// What happened so far.
    #[must_use]
    pub fn account(&self) -> Account {
        self.ledger().account()
    }

    /// The faults of all turns to come.
    #[must_use]
    pub fn faults(&self) -> Faults {
        locked(&self.inner.faults).clone()
    }

    /// Changes the faults of all turns to come. A new seed begins its row of chances anew.
    pub fn set_faults(&self, faults: Faults) {
        let mut current = locked(&self.inner.faults);
        if current.seed != faults.seed {
            *locked(&self.inner.dice) = dice(&faults);
        }
        *current = faults;
    }

    /// Drops every connection, forgets everything that runs or is buffered, and refuses
    /// connections for `down`. Sessions at rest are kept if the faults say so.
    pub fn crash(&self, down: Duration) {
        let keep_sessions = self.faults().keep_sessions;
        let boot = self.tasks().stop_token().child_token();
        let until = Instant::now() + down;
        let mut memory = self.memory();
        for lost in memory.crash(boot, until, keep_sessions) {
            self.ledger().is_now(lost.no, State::Lost);
        }
        self.ledger().crashed();
    }

    /// As [`Simbox::crash`], of a box that is served; resolves when its listener is closed, so that
    /// whoever connects afterwards is refused, or meets the next boot.
    pub async fn crash_and_wait(&self, down: Duration) {
        let mut closed = self.inner.closed.subscribe();
        self.crash(down);
        let stop = self.tasks().stop_token().clone();
        // Dropping either wait loses nothing: both are of facts that stay.
        tokio::select! {
            _ = closed.changed() => {}
            () = stop.cancelled() => {}
        }
    }

    /// Accepts these bearer tokens and no others; with none, none is asked for.
    pub fn accept_tokens(&self, tokens: Vec<String>) {
        self.access().accept(tokens);
    }

    /// Answers every turn that waits for a person.
    pub fn answer_waiting(&self) {
        self.memory().answer_waiting();
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        locked(&self.inner.memory)
    }

    fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    fn access(&self) -> &access::Access {
        &self.inner.access
    }

    fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }

    fn listener_is_closed(&self) {
        self.inner.closed.send_modify(|times| *times += 1);
    }

    fn start_agent(&self, execution: Arc<Execution>) {
        self.tasks().spawn("simbox agent", agent::run(self.clone(), execution));
    }

    /// The number of the newest turn of `session`.
    fn newest_turn(&self, session: &str) -> Option<TurnNo> {
        let mut memory = self.memory();
        let newest = memory.session(session)?.newest.as_ref()?;
        Some(newest.execution.no)
    }

    /// Which of `chances` happens, if any. One throw decides between all of them.
    fn chance<T: Copy>(&self, chances: &[Chance<T>]) -> Option<T> {
        if chances.is_empty() {
            return None;
        }
        let mut thrown: f64 = locked(&self.inner.dice).random();
        let happens = chances.iter().find(|chance| {
            thrown -= chance.chance;
            thrown < 0.0
        });
        happens.map(|chance| chance.what)
    }
}

impl fmt::Debug for Simbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simbox").field("faults", &self.faults()).finish_non_exhaustive()
    }
}
