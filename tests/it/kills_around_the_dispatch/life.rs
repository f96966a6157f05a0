//! One life of a turn over several kills, as planned, and the laws at its end.

use std::time::Duration;

use afterbay::credential::{Caller, Credential};
use afterbay::log::Health;
use afterbay::mode::Phase;
use afterbay::session::StartError;
use afterbay::turn::Deadlines;
use afterbay::upstream::{Ending, Redispatch};

use super::ledger::Ledger;
use super::plan::{Moment, Plan, Point, Stage};
use crate::it::support::puppet::{Call, Delivery, Fault, GOOD, Memory, Puppet};
use crate::it::support::rig::{Line, Rig, check_digest, events, until};

const TURN: &str = "e-1";
const SESSION: &str = "s";
/// How long a point is waited for that may never come.
const PATIENCE: Duration = Duration::from_millis(150);

pub(super) struct Life {
    rig: Rig,
    memory: Memory,
    ledger: Ledger,
    /// A kill came when a prompt may have been without its answer.
    answer_may_be_lost: bool,
}

impl Life {
    pub(super) async fn live(plan: Plan) -> Ledger {
        let Plan { seed, memory, deliveries, has_box_credential, seals, stages, returns_at_last } =
            plan;
        let deadlines = Deadlines {
            start: Duration::from_millis(80),
            redispatch: Duration::from_millis(3),
            unauthorized: Duration::from_millis(300),
            lost: Duration::from_millis(10),
            ..Deadlines::default()
        };
        let puppet = Puppet::remembering(memory);
        puppet.deliver(deliveries);
        puppet.says(TURN, "a");
        let rig = Rig::before(puppet, seed, deadlines, has_box_credential.then_some(GOOD));
        let rig = if seals { rig.sealing() } else { rig };
        let ledger = Ledger { lives: 1, ..Ledger::default() };
        let mut life = Self { rig, memory, ledger, answer_may_be_lost: false };
        for stage in &stages {
            life.pass(stage).await;
        }
        life.calm_down(returns_at_last).await;
        life.check().await;
        life.kill(true).await;
        life.ledger.after += 1;
        life.check().await;
        life.count().await;
        life.check_ids().await;
        life.ledger
    }

    /// One process, from its start (it runs already) to the start of the next.
    async fn pass(&mut self, stage: &Stage) {
        let Stage { point, refused, power_is_lost, .. } = stage;
        for call in refused {
            self.rig.puppet.fail(*call, Fault::Connect);
        }
        self.box_moves(stage, Moment::Before);
        let reached = {
            let comes_to_it = tokio::time::timeout(PATIENCE, self.come_to(stage));
            tokio::select! {
                biased;
                reached = comes_to_it => reached.is_ok(),
                () = self.verdict_comes() => false,
            }
        };
        let power_is_lost = *power_is_lost || self.rig.disk.is_off();
        self.die(power_is_lost).await;
        self.box_moves(stage, Moment::WhileDead);
        self.rig.start();
        match reached {
            true => *self.ledger.at.entry(*point).or_default() += 1,
            false => self.ledger.elsewhere += 1,
        }
    }

    /// Resolves when there is nothing left to kill.
    async fn verdict_comes(&self) {
        let over = || self.rig.turn(TURN).is_some_and(|turn| turn.last().is_some());
        until("the turn is over", over).await;
    }

    fn box_moves(&self, stage: &Stage, now: Moment) {
        if stage.late_arrival == Some(now) {
            self.rig.puppet.let_arrive();
        }
        if stage.box_starts == Some(now) {
            match now {
                Moment::Before | Moment::AtThePoint => self.rig.puppet.start_anew(),
                Moment::WhileDead => self.rig.puppet.start_unwatched(),
            }
        }
    }

    /// Brings the process to the point of its kill; may wait for ever.
    async fn come_to(&self, stage: &Stage) {
        let Stage { point, operations, client_returns, .. } = stage;
        let (puppet, disk) = (&self.rig.puppet, &self.rig.disk);
        let dispatches = puppet.calls(Call::Dispatch);
        let held = match point {
            Point::PrepareInTheAir | Point::PreparedRecord => Some(Call::Prepare),
            Point::PromptInTheAir | Point::RecordAfterThePrompt => Some(Call::Dispatch),
            Point::SearchInTheAir | Point::RecordAfterASearch => Some(Call::Find),
            Point::Running => Some(Call::Poll),
            Point::RepeatInTheAir | Point::RecordAfterTheRepeat if dispatches > 0 => {
                Some(Call::Dispatch)
            }
            Point::AcceptedRecord
            | Point::RepeatInTheAir
            | Point::RecordAfterTheRepeat
            | Point::SearchAfterTheRepeat
            | Point::AnyOperation => None,
        };
        if matches!(point, Point::AcceptedRecord | Point::AnyOperation) {
            disk.crash_at(*operations);
        }
        held.into_iter().for_each(|call| puppet.hold(call));
        if *client_returns {
            self.client_posts().await;
        }
        let held = match (held, point) {
            (Some(call), _) => Some(call),
            (None, Point::RepeatInTheAir | Point::RecordAfterTheRepeat) => {
                until("it is dispatched", || puppet.calls(Call::Dispatch) > 0).await;
                puppet.hold(Call::Dispatch);
                Some(Call::Dispatch)
            }
            (None, Point::SearchAfterTheRepeat) => {
                until("it is sent again", || puppet.calls(Call::Dispatch) > 1).await;
                puppet.hold(Call::Find);
                Some(Call::Find)
            }
            (None, _) => None,
        };
        let Some(call) = held else {
            return until("the power goes off", || disk.is_off()).await;
        };
        puppet.stands(call).await;
        self.box_moves(stage, Moment::AtThePoint);
        let is_of_the_disk = matches!(
            point,
            Point::PreparedRecord
                | Point::RecordAfterThePrompt
                | Point::RecordAfterASearch
                | Point::RecordAfterTheRepeat
        );
        if is_of_the_disk {
            disk.crash_at(*operations);
            puppet.release(call);
            until("the power goes off", || disk.is_off()).await;
        }
    }

    async fn client_posts(&self) {
        match self.rig.post(TURN).await {
            Ok(started) => assert_eq!(started.turn.execution.as_str(), TURN),
            // The power has just gone off.
            Err(StartError::LogUnavailable) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn die(&mut self, power_is_lost: bool) {
        let phase = self.rig.session(SESSION).and_then(|session| session.phase());
        let heard = matches!(phase, Some(Phase::Running | Phase::Waiting | Phase::Draining));
        if power_is_lost {
            self.rig.disk.lose_power();
        }
        self.rig.die().await;
        self.answer_may_be_lost |= !heard && self.sent() > 0;
    }

    async fn kill(&mut self, power_is_lost: bool) {
        self.die(power_is_lost).await;
        self.rig.start();
    }

    /// Everything works again; the turn comes to its end.
    async fn calm_down(&mut self, client_returns: bool) {
        self.rig.puppet.mend();
        self.rig.puppet.release_all();
        assert_eq!(self.rig.sessions().health(), Health::Open);
        if client_returns {
            self.client_posts().await;
        } else if let Some(session) = self.rig.session(SESSION) {
            let who = Caller::Holder(Credential::new(GOOD));
            let right = self.rig.sessions().may_read(&session, Some(&who)).await;
            // A session whose only turn is withdrawn in this moment is nobody's.
            assert!(right.is_ok() || self.rig.session(SESSION).is_none(), "{right:?}");
        }
        self.rig.puppet.ends(TURN, Ending::Completed);
        let over = || self.rig.turn(TURN).is_none_or(|turn| turn.last().is_some());
        until("the turn is over", over).await;
    }

    /// Prompts that left and to which the box did not say no.
    fn sent(&self) -> usize {
        let no = |delivery| matches!(delivery, Delivery::Refused | Delivery::Later);
        self.rig.puppet.posts(TURN, |delivery| !no(delivery))
    }

    async fn check(&self) {
        let puppet = &self.rig.puppet;
        let (runs, sent) = (puppet.runs(TURN), self.sent());
        assert!(runs <= 1, "{runs} runs");
        let silent = puppet.posts(TURN, |delivery| {
            matches!(
                delivery,
                Delivery::TakenInSilence | Delivery::LostOnTheWay | Delivery::Delayed
            )
        });
        let lost = silent > 0 || self.answer_may_be_lost;
        let extra = usize::from(lost && self.memory.repeats == Redispatch::Deduped);
        assert!(sent <= 1 + extra, "{sent} prompts, {silent} in silence");
        let Some(turn) = self.rig.turn(TURN) else {
            assert_eq!((runs, sent), (0, 0), "it may have run, and its ids are free");
            assert!(self.rig.session(SESSION).is_none(), "a withdrawn turn leaves its session");
            return;
        };
        let lines = events(&turn.session).await;
        let last = turn.last().expect("a verdict");
        assert_eq!((turn.from.get(), last.get()), (1, lines.len() as u64), "{lines:?}");
        self.check_events(&lines);
    }

    fn check_events(&self, lines: &[Line]) {
        let count = |wanted: &str| lines.iter().filter(|(_, name, _)| name == wanted).count();
        assert_eq!((count("done"), count("result")), (1, 1), "{lines:?}");
        assert_eq!(lines.last().map(|(_, name, _)| name.as_str()), Some("done"), "{lines:?}");
        check_digest(lines);
        let (started, told) = (count("execution.started"), count("message.part.updated"));
        let runs = self.rig.puppet.runs(TURN);
        assert!(started <= runs && told <= started, "{lines:?}");
        if count("error") == 0 {
            assert_eq!((started, told), (1, 1), "completed, and something is missing: {lines:?}");
        }
        let found = started == 1 && !self.rig.puppet.has_forgotten(TURN);
        // The one other way to lose sight of it is that nobody with a credential comes back.
        let allowed = ["completed", "BOX_UNAUTHORIZED"];
        assert!(!found || allowed.contains(&verdict(lines).as_str()), "{lines:?}");
    }

    /// What may have run never runs again; what left nothing may start again.
    async fn check_ids(&self) {
        let known = self.rig.turn(TURN).is_some();
        let runs = self.rig.puppet.runs(TURN);
        let started = self.rig.post(TURN).await.expect("taken");
        assert_eq!(started.new, !known);
        // On a slow machine the start deadline may pass before a new one is sent.
        let over = || self.rig.turn(TURN).is_none_or(|turn| turn.last().is_some());
        until("it is over", over).await;
        let now = self.rig.puppet.runs(TURN);
        assert!(now == runs || (!known && now == 1), "{now} runs");
    }

    async fn count(&mut self) {
        let puppet = &self.rig.puppet;
        self.ledger.runs += puppet.runs(TURN);
        self.ledger.box_starts += puppet.starts();
        self.ledger.posts += puppet.posts(TURN, |_| true);
        self.ledger.repeats += self.sent().saturating_sub(1);
        let verdict = match self.rig.turn(TURN) {
            None => "withdrawn".to_owned(),
            Some(turn) => verdict(&events(&turn.session).await),
        };
        *self.ledger.verdicts.entry(verdict).or_default() += 1;
    }
}

fn verdict(lines: &[Line]) -> String {
    let error = lines.iter().find(|(_, name, _)| name == "error");
    let Some((_, _, data)) = error else { return "completed".to_owned() };
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
    data["code"].as_str().expect("a code").to_owned()
}
