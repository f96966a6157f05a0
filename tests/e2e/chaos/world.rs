//! What one seed plays on: the simulated box in this process, the daemon as a process of its own
//! with the library that kills it at a sync, and how far everybody is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use afterbay::simbox::{Account, Faults, Simbox};
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::plan::{Blow, Plan};
use crate::e2e::daemon::{self, Daemon, Kind, Patience};
use crate::e2e::frames::Frames;
use crate::e2e::http::Request;
use crate::e2e::kill_at_sync::KillAtSync;
use crate::e2e::{port, wait};

/// Polls as often as a test can use; what many turns share is bounded by the box's budget.
const FLAGS: [&str; 6] =
    ["--poll-waiting", "300ms", "--heartbeat", "2s", "--unauthorized-deadline", "12s"];

/// The set-up. Fields are dropped in this order: the daemon first.
#[derive(Debug)]
pub(super) struct World {
    pub(super) daemon: Daemon,
    killer: KillAtSync,
    simbox: Simbox,
    stop: CancellationToken,
    server: JoinSet<()>,
    lag: watch::Receiver<Duration>,
    _pulse: JoinSet<()>,
}

/// How far everybody is, in steps: a turn has two of them, its first frame and its end.
#[derive(Debug)]
pub(super) struct Progress {
    steps: watch::Sender<usize>,
    all: usize,
    blows: AtomicUsize,
}

impl Progress {
    pub(super) fn new(all: usize) -> Self {
        Self { steps: watch::Sender::new(0), all, blows: AtomicUsize::new(0) }
    }

    /// One more.
    pub(super) fn step(&self) {
        self.steps.send_modify(|steps| *steps += 1);
    }

    /// How many blows have fallen, or are about to.
    pub(super) fn blows(&self) -> usize {
        self.blows.load(Ordering::SeqCst)
    }

    /// Resolves when this share of all steps is done.
    async fn reaches(&self, share: f64) {
        // Far below the numbers that a float cannot count.
        #[expect(clippy::cast_precision_loss, reason = "a few hundred steps")]
        let done = |steps: &usize| *steps as f64 >= share * self.all as f64;
        let mut steps = self.steps.subscribe();
        steps.wait_for(done).await.expect("the sender lives as long as this");
    }
}

/// Reads a turn to its end, if there is such a turn. Whoever reads brings the credential that a
/// turn has lost with the daemon.
async fn hear_out(daemon: SocketAddr, execution: &str, token: Option<&str>) {
    let token = token.map(|token| format!("Bearer {token}"));
    let request = Request::get(format!("/agents/executions/{execution}/events"));
    let request = request.maybe("authorization", token.as_deref());
    let answer = request.send(daemon).await.expect("the daemon answers");
    if answer.status != 200 {
        return;
    }
    let mut frames = Frames::of(answer).with_last_words();
    while frames.next().await.is_ok() {}
}

/// Tells the longest time by which a pulse came late.
async fn feel_lag(tell: watch::Sender<Duration>) {
    let mut pulse = interval(Duration::from_millis(10));
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = pulse.tick().await;
        tell.send_if_modified(|longest| {
            let late = due.elapsed();
            let longer = late > *longest;
            *longest = late.max(*longest);
            longer
        });
    }
}

impl World {
    pub(super) async fn start(plan: &Plan) -> Self {
        let mut faults = Faults::default();
        for (name, value) in &plan.faults {
            faults.set(name, value).expect("a fault of the box");
        }
        let simbox = Simbox::new(faults);
        simbox.accept_tokens(plan.token.clone().into_iter().collect());
        let listener =
            TcpListener::bind(("127.0.0.1", port::lasting())).await.expect("bind the box");
        let url = format!("http://{}", listener.local_addr().expect("the box's address"));
        let (stop, mut server) = (CancellationToken::new(), JoinSet::new());
        let (serving, stopped) = (simbox.clone(), stop.clone());
        server
            .spawn(async move { serving.serve(listener, stopped).await.expect("the box serves") });
        let (tell, lag) = watch::channel(Duration::ZERO);
        let mut pulse = JoinSet::new();
        pulse.spawn(feel_lag(tell));
        let killer = KillAtSync::build();
        let settings = daemon::Settings {
            kind: Kind::Tangle,
            patience: Patience::Crowded,
            flags: FLAGS.to_vec(),
            environment: killer.environment().to_vec(),
            canaries: plan.token.clone().into_iter().collect(),
            ..daemon::Settings::default()
        };
        let daemon = Daemon::start(url, settings).await;
        Self { daemon, killer, simbox, stop, server, lag, _pulse: pulse }
    }

    /// By how much a task of this process was woken late at most: so busy the machine is.
    pub(super) fn lag(&self) -> Duration {
        *self.lag.borrow()
    }

    /// What the box says that happened.
    pub(super) fn account(&self) -> Account {
        self.simbox.account()
    }

    /// Lets all blows fall, each when its time has come. The daemon serves in the end.
    pub(super) async fn strike(&mut self, blows: &[(f64, Blow)], progress: &Progress) -> usize {
        let mut kills = 0;
        for (share, blow) in blows {
            progress.reaches(*share).await;
            progress.blows.fetch_add(1, Ordering::SeqCst);
            match blow {
                Blow::Kill => {
                    self.daemon.kill();
                    self.daemon.restart().await;
                    kills += 1;
                }
                Blow::KillAtSync => {
                    self.killer.arm();
                    self.daemon.killed().await;
                    self.daemon.restart().await;
                    kills += 1;
                }
                Blow::Crash(away) => self.simbox.crash(Duration::from_millis(*away)),
            }
        }
        kills
    }

    /// Restarts the daemon once more and waits until it has no unfinished turn.
    pub(super) async fn settle(&mut self, plan: &Plan) {
        self.daemon.kill();
        self.daemon.restart().await;
        let daemon = &self.daemon;
        let account = self.account();
        let executions = account.turns.iter().flat_map(|turn| &turn.execution_ids);
        let address = daemon.address();
        let hearing = executions.map(|id| hear_out(address, id, plan.token.as_deref()));
        wait::within(Duration::from_secs(60), "all turns are over", join_all(hearing)).await;
        wait::until(Duration::from_secs(60), "no turn is unfinished", || async {
            let resumed = daemon.metric("afterbay_turns_resumed_total").await;
            let finished = daemon.metric("afterbay_turns_finished_total").await;
            let withdrawn = daemon.metric("afterbay_turns_withdrawn_total").await;
            (resumed <= finished + withdrawn).then_some(())
        })
        .await;
        assert!(daemon.is_ready().await, "the daemon is ready");
    }

    /// Stops all of it.
    pub(super) async fn end(mut self) {
        self.daemon.kill();
        self.stop.cancel();
        let ended = self.server.join_next();
        let ended = wait::within(Duration::from_secs(10), "the box stops", ended).await;
        ended.expect("the box was served").expect("the box does not panic");
    }
}
