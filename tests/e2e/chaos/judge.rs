//! The judge: when all is over, every client's frames against one full replay, the replay against
//! the box, replays from random places in every form, the sessions' logs, and the sums.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use afterbay::simbox::Account;
use http::StatusCode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::conversation::{Fared, Played, Told};
use super::plan::{Plan, Turn};
use super::prompt::{End, Prompt};
use super::reader::Outcome;
use super::tally::Tally;
use super::truth::{self, Circumstances};
use super::ways::Way;
use super::world::World;
use crate::e2e::frames::{Frame, Frames, Stop};
use crate::e2e::http::Request;

/// A stream may be silent for so long before it is dropped.
const SILENCE: Duration = Duration::from_secs(1);

/// By how much later the box may see it dropped: the way of the news on an idle machine.
const TICK: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Judge<'a> {
    plan: &'a Plan,
    daemon: SocketAddr,
    account: Account,
    random: StdRng,
    around: Circumstances,
    /// By how much this process was woken late at most.
    lag: Duration,
    /// The frames of every turn that has any, by its execution.
    replays: HashMap<String, Vec<Frame>>,
    pub(super) tally: Tally,
}

impl<'a> Judge<'a> {
    pub(super) fn new(plan: &'a Plan, world: &World, seed: u64, kills: usize) -> Self {
        let account = world.account();
        let around = Circumstances { kills: kills > 0, crash: plan.has_crash, stopped: false };
        let lag = world.lag();
        let tally = Tally::of(&account, kills, lag);
        let (random, replays) = (StdRng::seed_from_u64(seed), HashMap::new());
        let daemon = world.daemon.address();
        Self { plan, daemon, account, random, around, lag, replays, tally }
    }

    /// Panics at the first thing that is not as it must be.
    pub(super) async fn judge(&mut self, told: &[Told<'_>]) {
        for Told { turns, intruders, log: _ } in told {
            for played in turns {
                self.judge_turn(played).await;
            }
            for (turn, fared) in intruders {
                self.judge_client(turn, fared, Circumstances { stopped: false, ..self.around })
                    .await;
            }
        }
        self.judge_the_rest().await;
        for told in told {
            self.judge_log(told).await;
        }
        self.judge_sums();
    }

    async fn judge_turn(&mut self, played: &Played<'_>) {
        let Played { turn, clients, stopped, blows } = played;
        let around = Circumstances { stopped: *stopped, ..self.around };
        for fared in clients {
            self.judge_client(turn, fared, around).await;
        }
        self.judge_dispatches(turn, clients, *blows);
    }

    async fn judge_client(&mut self, turn: &Turn, fared: &Fared, around: Circumstances) {
        self.tally.add(fared);
        let label = &turn.label;
        match fared.outcome {
            Outcome::Done => self.judge_frames(turn, fared, around).await,
            Outcome::Refused => {
                assert!(matches!(turn.prompt.end, End::Refused(_)), "{label} was refused");
                self.check_traceless(turn).await;
            }
            Outcome::Forgotten => {
                assert!(around.crash, "the box has forgotten what was before {label}");
                self.check_traceless(turn).await;
            }
            Outcome::Busy => self.check_traceless(turn).await,
            Outcome::Stopped => assert!(around.stopped, "nobody stopped {label}"),
            Outcome::Orphaned => assert!(around.kills, "{label} is an orphan for no reason"),
        }
    }

    async fn judge_frames(&mut self, turn: &Turn, fared: &Fared, around: Circumstances) {
        let words = &turn.prompt.words;
        let execution = fared.execution.clone().expect("a turn that is done has a name");
        if !self.replays.contains_key(&execution) {
            let replay = self.replay(turn, &execution).await;
            let replay = replay.unwrap_or_else(|status| panic!("{}: {status}", turn.label));
            self.check_truth(&execution, &replay, Some(&turn.prompt), around);
            self.check_any_place(turn, &execution, &replay).await;
            self.replays.insert(execution.clone(), replay);
        }
        let whole = &self.replays[&execution];
        assert_eq!(fared.seen.len(), whole.len(), "{}: `{words}`", turn.label);
        assert_eq!(fared.seen, *whole, "{}: other bytes than were seen: `{words}`", turn.label);
    }

    fn check_truth(
        &mut self,
        execution: &str,
        replay: &[Frame],
        prompt: Option<&Prompt>,
        around: Circumstances,
    ) {
        let account = self.account.turn(execution);
        match truth::check(replay, account, prompt, around) {
            Ok(close_out) => self.tally.verdict(close_out.name(), replay),
            Err(why) => {
                let words = prompt.map_or("", |prompt| &prompt.words);
                let frames: Vec<_> = replay.iter().map(Frame::data_text).collect();
                panic!("{execution} `{words}`: {why}\n{account:#?}\n{}", frames.join("\n"))
            }
        }
    }

    /// The whole turn, or with which status there is none.
    async fn replay(&mut self, turn: &Turn, execution: &str) -> Result<Vec<Frame>, StatusCode> {
        let path = format!("/agents/executions/{execution}/events");
        let answer = turn.dressed(Request::get(path)).send(self.daemon).await;
        let answer = answer.expect("the daemon answers");
        if answer.status != StatusCode::OK {
            return Err(answer.status);
        }
        Ok(all(&mut Frames::of(answer)).await)
    }

    /// From any place, in any form: what follows, byte for byte.
    async fn check_any_place(&mut self, turn: &Turn, execution: &str, whole: &[Frame]) {
        for _ in 0..2 {
            let way = Way::random(&mut self.random);
            let at = self.random.random_range(0..=whole.len());
            let last = if at == 0 { 0 } else { whole[at - 1].id };
            let rest = if way.after(last) == 0 { whole } else { &whole[at..] };
            let request = way.request(turn, Some(execution), last);
            let answer = request.send(self.daemon).await.expect("the daemon answers");
            let what = format!("{way:?} after {last} of {}", turn.label);
            if rest.is_empty() && answer.status == StatusCode::NO_CONTENT {
                continue;
            }
            assert_eq!(answer.status, StatusCode::OK, "{what}");
            assert_eq!(all(&mut Frames::of(answer)).await, rest, "{what}");
        }
    }

    /// A turn that never was has no events, and the box has not run it.
    async fn check_traceless(&mut self, turn: &Turn) {
        let Some(execution) = &turn.execution else { return };
        let status = self.replay(turn, execution).await.err();
        assert_eq!(status, Some(StatusCode::NOT_FOUND), "{} left something", turn.label);
        let runs = self.account.turn(execution).map_or(0, |turn| turn.runs);
        assert_eq!(runs, 0, "{} was run", turn.label);
    }

    /// Turns of which nobody has heard the end: each is over all the same, or never was.
    async fn judge_the_rest(&mut self) {
        let anybody = &self.plan.conversations[0].scenes[0].turn;
        for account in self.account.turns.clone() {
            let label = format!("{:?} {:?}", account.execution_ids, account.state);
            assert!(account.runs <= 1, "{label} was run {} times", account.runs);
            if account.execution_ids.iter().any(|id| self.replays.contains_key(id)) {
                continue;
            }
            let around = Circumstances { stopped: true, ..self.around };
            let mut found = false;
            for execution in &account.execution_ids {
                if let Ok(replay) = self.replay(anybody, execution).await {
                    self.check_truth(execution, &replay, None, around);
                    self.replays.insert(execution.clone(), replay);
                    self.tally.unheard += 1;
                    found = true;
                }
            }
            assert!(found || account.runs == 0, "{label} was run, and nothing tells of it");
        }
    }

    /// At most one extra POST for each answer that was lost or unclear.
    fn judge_dispatches(&mut self, turn: &Turn, clients: &[Fared], blows: usize) {
        let execution = clients.iter().find_map(|fared| fared.execution.as_deref());
        let Some(account) = execution.and_then(|id| self.account.turn(id)) else { return };
        let extra = account.dispatches.saturating_sub(1);
        let Prompt { unclear, later, .. } = turn.prompt;
        let again: usize = clients.iter().map(|fared| fared.figures.turned_away.len()).sum();
        let again = u32::try_from(again).expect("a few");
        // A restart in mid-dispatch is one more answer that nobody heard.
        let blows = u32::try_from(blows).expect("a few");
        let reasons = unclear + later + again + blows;
        let words = &turn.prompt.words;
        assert!(extra <= reasons, "{}: {extra} more POSTs: `{words}`", turn.label);
        let explained = unclear + later + again;
        self.tally.dispatches(extra, extra.saturating_sub(explained), unclear, later);
    }

    /// A session's log is its turns, one after the other, and nothing else.
    async fn judge_log(&mut self, told: &Told<'_>) {
        let Some(turn) = told.turns.first().map(|played| played.turn) else { return };
        let Some(session) = &turn.session else { return };
        let path = format!("/agents/sessions/{session}/events?until=idle");
        let answer = turn.dressed(Request::get(path)).send(self.daemon).await;
        let answer = answer.expect("the daemon answers");
        let log = match answer.status {
            StatusCode::OK => all(&mut Frames::of(answer)).await,
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Vec::new(),
            status => panic!("the log of {session}: {status}"),
        };
        let ids = log.iter().map(|frame| frame.id);
        assert!(ids.eq(1..=log.len() as u64), "ids of the log of {session}");
        self.check_turns_of(session, told, &log);
        if let Some(seen) = &told.log {
            // Its reader came before the end, and read until it.
            assert_eq!(seen.len(), log.len(), "the reader of the log of {session}");
            assert_eq!(*seen, log, "the reader of the log of {session} saw other bytes");
        }
    }

    fn check_turns_of(&self, session: &str, told: &Told<'_>, log: &[Frame]) {
        let clients = told.turns.iter().flat_map(|played| &played.clients);
        let intruders = told.intruders.iter().map(|(_, fared)| fared);
        let named = clients.chain(intruders).filter_map(|fared| fared.execution.as_deref());
        let executions: HashSet<_> = named.collect();
        let mut turns: Vec<_> =
            executions.iter().filter_map(|execution| self.replays.get(*execution)).collect();
        turns.sort_by_key(|frames| frames.first().map(|frame| frame.id));
        let close_outs = log.iter().filter(|frame| frame.event == "done").count();
        let orphans = told.turns.iter().flat_map(|played| &played.clients);
        let orphans = orphans.filter(|fared| fared.outcome == Outcome::Orphaned).count();
        // An orphan's name is not known here; its frames are in the log.
        assert!(close_outs - turns.len() <= orphans, "{session}: {close_outs} close-outs");
        for turn in turns {
            let first = turn.first().map_or(1, |frame| frame.id);
            let place = usize::try_from(first - 1).expect("a short log");
            let here = log.get(place..place + turn.len());
            assert_eq!(here, Some(turn.as_slice()), "{session}: the log has other bytes");
        }
    }

    fn judge_sums(&self) {
        assert_eq!(self.account.totals.streams_open, 0, "streams are still open at the box");
        let longest = self.account.turns.iter().max_by_key(|turn| turn.longest_silence_ms);
        let Some(longest) = longest else { return };
        // Box, clients and daemon share the cores: whoever is woken late here is so there, once
        // when the stream begins and once when its time is over.
        let allowed = SILENCE + TICK + 2 * self.lag;
        let held = Duration::from_millis(longest.longest_silence_ms);
        assert!(held <= allowed, "held silent for {held:?} of {allowed:?}: {longest:#?}");
    }
}

/// A whole stream.
async fn all(frames: &mut Frames) -> Vec<Frame> {
    let mut seen: Vec<Frame> = Vec::new();
    loop {
        match frames.next().await {
            Ok(frame) => {
                let expected = seen.last().map_or(frame.id, |last| last.id + 1);
                assert_eq!(frame.id, expected, "ids of a replay");
                seen.push(frame);
            }
            Err(stop) => {
                assert_eq!(stop, Stop::Ended, "a replay ends cleanly");
                return seen;
            }
        }
    }
}
