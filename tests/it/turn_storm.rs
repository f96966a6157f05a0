//! Any order of everything: a seeded storm of turns, aborts, attaches, faults of the box and of
//! the disk, stops and kills over the real sessions, turns and log.
//!
//! Whatever happens: a prompt runs at most once, a turn that the box has ends in exactly one
//! close-out, one that it refused leaves nothing, and the agent's words are there as it said them,
//! in order, none twice. Half of the boxes tell repeats and are started anew now and then: they get
//! at most one extra prompt, and only of what they forgot may words be missing, the last ones.
//! `AFTERBAY_SEED` runs a storm again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use afterbay::credential::{Caller, Credential};
use afterbay::log::Health;
use afterbay::session::{Answered, StartError};
use afterbay::turn::Deadlines;
use afterbay::upstream::{Ending, Redispatch};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use super::support::faulty_disk::Operation;
use super::support::puppet::{Call, Delivery, Fault, GOOD, Memory, Puppet};
use super::support::rig::{Line, Rig, check_digest, events, until, within};

const STORMS: u64 = 25;
/// However slow the machine, no further storm begins after this.
const ENOUGH: Duration = Duration::from_secs(10);
const SESSIONS: [&str; 3] = ["s-0", "s-1", "s-2"];

#[expect(clippy::disallowed_methods, reason = "the one variable that tests read")]
fn seeds() -> Vec<u64> {
    match std::env::var("AFTERBAY_SEED") {
        Ok(seed) => vec![seed.parse().expect("AFTERBAY_SEED is a number")],
        Err(_) => (0..STORMS).map(|_| rand::random()).collect(),
    }
}

struct Storm {
    rig: Rig,
    rng: StdRng,
    memory: Memory,
    /// The executions that were posted, by session.
    posted: BTreeMap<String, &'static str>,
    /// Those whose starter was told that nothing of them is kept, for good.
    gone: BTreeSet<String>,
}

#[tokio::test]
async fn whatever_happens_no_turn_is_lost_doubled_or_invented() {
    let began = Instant::now();
    for seed in seeds() {
        println!("run again with AFTERBAY_SEED={seed}");
        let mut storm = Storm::new(seed);
        for _ in 0..60 {
            storm.step().await;
        }
        storm.calm_down().await;
        if began.elapsed() > ENOUGH {
            break;
        }
    }
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let deadlines = Deadlines {
            start: Duration::from_millis(rng.random_range(50..400)),
            redispatch: Duration::from_millis(rng.random_range(0..20)),
            lost: Duration::from_millis(30),
            ..Deadlines::default()
        };
        let repeats = if rng.random() { Redispatch::Deduped } else { Redispatch::Never };
        let memory = Memory { repeats, has_mark: rng.random() };
        let credential = rng.random_bool(0.5).then_some(GOOD);
        let rig = Rig::before(Puppet::remembering(memory), seed, deadlines, credential);
        Self { rig, rng, memory, posted: BTreeMap::new(), gone: BTreeSet::new() }
    }

    async fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..30 => self.post().await,
            30..50 => self.agent_works(),
            50..58 => self.box_fails(),
            58..64 => self.disk_fails(),
            64..70 => self.abort().await,
            70..78 => self.look().await,
            78..83 => self.rig.restart().await,
            83..88 => self.rig.kill().await,
            88..90 => self.box_starts_anew(),
            90..92 => self.rig.puppet.let_arrive(),
            _ => self.time_passes().await,
        }
    }

    /// Posts a new turn, or an old one again.
    async fn post(&mut self) {
        let session = *SESSIONS.choose(&mut self.rng).expect("some");
        let fresh = format!("e-{}", self.posted.len());
        let old: Vec<_> = self.posted.keys().cloned().collect();
        let again = old.choose(&mut self.rng).filter(|_| self.rng.random_bool(0.4));
        let execution = again.cloned().unwrap_or(fresh);
        let session = *self.posted.get(&execution).unwrap_or(&session);
        let post = || self.rig.post_as(Some(GOOD), Some(session), Some(&execution), None);
        let started = match self.rng.random_bool(0.3) {
            true => tokio::join!(post(), post()).0,
            false => post().await,
        };
        match started {
            Ok(started) => {
                assert_eq!(started.turn.execution.as_str(), execution);
                self.posted.insert(execution, session);
            }
            Err(StartError::Running { .. } | StartError::LogUnavailable) => {}
            Err(error) => panic!("{execution}: {error:?}"),
        }
    }

    fn agent_works(&mut self) {
        let all: Vec<_> = self.posted.keys().cloned().collect();
        let Some(execution) = all.choose(&mut self.rng) else { return };
        if self.rig.puppet.has_ended(execution) || self.rig.puppet.has_forgotten(execution) {
            return;
        }
        let n = self.rig.puppet.said(execution).len();
        match self.rng.random_range(0..4) {
            0 => self.rig.puppet.ends(execution, Ending::Completed),
            _ => self.rig.puppet.says(execution, &format!("{execution} says {n}")),
        }
    }

    fn box_starts_anew(&self) {
        if self.memory.repeats == Redispatch::Deduped {
            self.rig.puppet.start_anew();
        }
    }

    fn box_fails(&mut self) {
        let calls = [Call::Prepare, Call::Dispatch, Call::Find, Call::Poll, Call::Cancel];
        let deliveries = [
            Delivery::TakenInSilence,
            Delivery::LostOnTheWay,
            Delivery::Delayed,
            Delivery::NotSent,
            Delivery::Refused,
            Delivery::Later,
            Delivery::Unnamed,
        ];
        if self.rng.random_bool(0.5) {
            let delivery = *deliveries.choose(&mut self.rng).expect("some");
            return self.rig.puppet.deliver([delivery]);
        }
        let call = *calls.choose(&mut self.rng).expect("some");
        for _ in 0..self.rng.random_range(1..4) {
            let fault = *Fault::ALL.choose(&mut self.rng).expect("some");
            self.rig.puppet.fail(call, fault);
        }
    }

    fn disk_fails(&mut self) {
        // A failed sync poisons until the next start; a failed write is only refused.
        let (operation, errno) =
            if self.rng.random_bool(0.2) { (Operation::Sync, 5) } else { (Operation::Write, 28) };
        self.rig.disk.fail(operation, self.rng.random_range(0..4), errno);
    }

    async fn abort(&mut self) {
        let session = *SESSIONS.choose(&mut self.rng).expect("some");
        if let Some(session) = self.rig.session(session) {
            let who = Caller::Holder(Credential::new(GOOD));
            // The box may be down; then the caller is told so.
            drop(self.rig.sessions().abort(&session, Some(&who)).await);
        }
    }

    async fn look(&mut self) {
        let session = *SESSIONS.choose(&mut self.rng).expect("some");
        if self.rig.session(session).is_some() {
            let right = self.rig.look(session, Some(GOOD)).await;
            // A session whose only turn is withdrawn in this moment is nobody's.
            assert!(right.is_ok() || self.rig.session(session).is_none(), "{right:?}");
        }
    }

    /// Waits until the box was asked something more, or for a moment.
    async fn time_passes(&mut self) {
        let polls = self.rig.puppet.calls(Call::Poll);
        let more = self.rng.random_range(1..4);
        let polled = async {
            while self.rig.puppet.calls(Call::Poll) < polls + more {
                tokio::task::yield_now().await;
            }
        };
        drop(tokio::time::timeout(Duration::from_millis(10), polled).await);
    }

    /// Everything works again; every turn comes to its end, and the books are checked.
    async fn calm_down(&mut self) {
        self.rig.puppet.mend();
        self.rig.restart().await;
        assert_eq!(self.rig.sessions().health(), Health::Open);
        for execution in self.posted.clone().keys() {
            if !self.rig.puppet.has_ended(execution) {
                self.rig.puppet.ends(execution, Ending::Completed);
            }
            let Some(turn) = self.rig.turn(execution) else {
                self.gone.insert(execution.clone());
                continue;
            };
            if let Some(session) = self.rig.session(self.posted[execution]) {
                let who = Caller::Holder(Credential::new(GOOD));
                drop(self.rig.sessions().may_read(&session, Some(&who)).await);
            }
            let answered = within("it is answered", turn.answered()).await;
            if matches!(answered, Answered::Running) {
                until("it ends", || turn.last().is_some()).await;
            } else {
                self.gone.insert(execution.clone());
            }
        }
        self.check("before").await;
        self.rig.kill().await;
        self.check("after").await;
    }

    async fn check(&self, when: &str) {
        for execution in self.posted.keys() {
            let runs = self.rig.puppet.runs(execution);
            assert!(runs <= 1, "{execution} ran {runs} times");
            self.check_posts(execution);
            let turn = self.rig.turn(execution);
            assert_eq!(turn.is_none(), self.gone.contains(execution), "{execution} {when}");
            let Some(turn) = turn else {
                assert_eq!(runs, 0, "{execution} ran and is forgotten");
                continue;
            };
            let (from, last) = (turn.from.get(), turn.last().expect("over").get());
            let mut own = events(&turn.session).await;
            own.retain(|(seq, ..)| (from..=last).contains(seq));
            self.check_turn(execution, runs, &own);
        }
        for session in SESSIONS {
            let Some(known) = self.rig.session(session) else { continue };
            let dones = events(&known).await.iter().filter(|(_, name, _)| name == "done").count();
            let mine = |(e, s): &(&String, &&str)| **s == session && !self.gone.contains(*e);
            assert_eq!(dones, self.posted.iter().filter(mine).count(), "{session} {when}");
        }
    }

    /// What the box said no to may be sent again; what it may have, once, if it tells repeats.
    fn check_posts(&self, execution: &str) {
        let said_no = |delivery| matches!(delivery, Delivery::Refused | Delivery::Later);
        let posts = self.rig.puppet.posts(execution, |delivery| !said_no(delivery));
        let extra = usize::from(self.memory.repeats == Redispatch::Deduped);
        assert!(posts <= 1 + extra, "{execution} was sent {posts} times");
    }

    fn check_turn(&self, execution: &str, runs: usize, own: &[Line]) {
        let count = |wanted: &str| own.iter().filter(|(_, name, _)| name == wanted).count();
        assert_eq!((count("done"), count("result")), (1, 1), "{execution}: {own:?}");
        let (started, cut) = (count("execution.started"), self.rig.puppet.has_forgotten(execution));
        assert!(started == runs || (cut && started == 0), "{execution}: {own:?}");
        assert_eq!(own.last().expect("some").1, "done", "{execution}: {own:?}");
        check_digest(own);
        let told = own.iter().filter(|(_, name, _)| name == "message.part.updated");
        let told: Vec<_> = told.map(|(_, _, data)| data.clone()).collect();
        let said = self.rig.puppet.said(execution).into_iter();
        let said: Vec<_> =
            said.map(|text| format!("{{\"part\":{{\"text\":\"{text}\"}}}}")).collect();
        if cut {
            assert!(said.starts_with(&told), "{execution}: {own:?}");
        } else if runs == 1 {
            assert_eq!(told, said, "{execution}: {own:?}");
        } else {
            assert!(told.is_empty() && count("error") == 1, "{execution}: {own:?}");
        }
    }
}
