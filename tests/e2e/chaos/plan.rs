//! What happens in one seed, drawn before anything runs: whose turns there are, under which names,
//! who reads them, and who breaks in on them.
//!
//! Each conversation has random choices of its own, so that what one client meets does not change
//! what the next one does.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::prompt::{End, Prompt, Trouble};
use crate::e2e::client_hop::Plan as Cut;
use crate::e2e::http::Request;

/// How much happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Turns that begin at once.
    pub(super) turns: usize,
    /// How often the daemon is killed.
    pub(super) kills: usize,
}

/// The names and the prompt of a turn.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    /// For people.
    pub(super) label: String,
    pub(super) session: Option<String>,
    pub(super) turn: Option<String>,
    pub(super) execution: Option<String>,
    pub(super) prompt: Prompt,
    /// The credential that its clients show.
    pub(super) token: Option<String>,
    form: Form,
}

/// How the POST is written.
#[derive(Debug, Clone, Copy)]
struct Form {
    execution_in_body: bool,
    as_parts: bool,
    detach: Option<bool>,
}

impl Turn {
    /// Whether the same POST once more means the same turn.
    pub(super) fn is_repeatable(&self) -> bool {
        self.execution.is_some() || (self.session.is_some() && self.turn.is_some())
    }

    /// Another short turn on its session.
    pub(super) fn intruder(&self) -> Self {
        let words = "step=5ms".to_owned();
        let prompt = Prompt { words, end: End::Success, unclear: 0, later: 0, hides: false };
        let label = format!("intruder-of-{}", self.label);
        let (turn, execution) = (format!("id-of-{label}"), format!("execution-of-{label}"));
        Self { label, turn: Some(turn), execution: Some(execution), prompt, ..self.clone() }
    }

    /// The body of its POST.
    pub(super) fn body(&self) -> Value {
        let Form { execution_in_body, as_parts, detach } = self.form;
        let mut body = json!({ "identifier": "default" });
        let words = &self.prompt.words;
        if as_parts {
            body["parts"] = json!([{ "type": "text", "text": words }]);
        } else {
            body["message"] = json!(words);
        }
        let execution = self.execution.clone().filter(|_| execution_in_body);
        let named =
            [("sessionId", &self.session), ("turnId", &self.turn), ("executionId", &execution)];
        for (key, value) in named {
            if let Some(value) = value {
                body[key] = json!(value);
            }
        }
        if let Some(detach) = detach {
            body["detach"] = json!(detach);
        }
        body
    }

    /// Its POST with this body.
    pub(super) fn post(&self, path: &str, body: &Value) -> Request {
        let execution = self.execution.as_deref().filter(|_| !self.form.execution_in_body);
        Request::post(path, body).maybe("x-execution-id", execution)
    }

    /// Adds its credential.
    pub(super) fn dressed(&self, request: Request) -> Request {
        let token = self.token.as_ref().map(|token| format!("Bearer {token}"));
        request.maybe("authorization", token.as_deref())
    }
}

/// One client of a turn.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    /// Where its connections are cut.
    pub(super) cuts: Vec<Cut>,
    /// How many of its requests it gives up before they are answered.
    pub(super) hasty: u32,
    pub(super) seed: u64,
}

/// A turn with all who take part.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) turn: Turn,
    pub(super) starter: Guest,
    /// Whoever repeats the POST in the same moment, and then reads along.
    pub(super) others: Vec<Guest>,
    /// After so many events somebody stops the turn.
    pub(super) abort_after: Option<usize>,
    /// Somebody tries to begin another turn on the session while it runs.
    pub(super) intruder: bool,
}

/// Turns of one session, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Conversation {
    pub(super) scenes: Vec<Scene>,
    /// Somebody reads the session's log all the while.
    pub(super) log_reader: Option<Guest>,
}

/// What breaks in on everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    /// The daemon is killed wherever it is.
    Kill,
    /// The daemon is killed between a write and its sync.
    KillAtSync,
    /// The box crashes and is away for so many milliseconds.
    Crash(u64),
}

/// Everything that one seed says.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) conversations: Vec<Conversation>,
    /// With the share of all progress after which each falls; in order.
    pub(super) blows: Vec<(f64, Blow)>,
    /// The words of the whole box.
    pub(super) faults: Vec<(&'static str, String)>,
    pub(super) token: Option<String>,
    /// Whether the box crashes.
    pub(super) has_crash: bool,
}

/// What all turns of a seed share.
struct Everyone {
    token: Option<String>,
    has_crash: bool,
}

impl Plan {
    pub(super) fn draw(seed: u64, size: Size) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let token = random.random_bool(0.4).then(|| "chaos-token".to_owned());
        let blows = blows(&mut random, size.kills);
        let has_crash = blows.iter().any(|(_, blow)| matches!(blow, Blow::Crash(_)));
        let faults = faults(&mut random, seed);
        let everyone = Everyone { token: token.clone(), has_crash };
        let conversations = (0..size.turns).map(|number| {
            let mut own = StdRng::seed_from_u64(random.random());
            conversation(&mut own, number, &everyone)
        });
        Self { conversations: conversations.collect(), blows, faults, token, has_crash }
    }
}

fn faults(random: &mut StdRng, seed: u64) -> Vec<(&'static str, String)> {
    let mut faults = vec![("seed", seed.to_string())];
    if random.random_bool(0.8) {
        let chance = random.random_range(1..=2);
        let polls = ["500", "502", "503", "522", "html", "empty", "half"];
        let polls = polls.map(|mishap| format!("{mishap}:0.00{chance}")).join(",");
        faults.push(("polls", format!("{polls},429:0.001")));
    }
    if random.random_bool(0.5) {
        faults.push(("keep-sessions", "on".to_owned()));
    }
    faults
}

fn blows(random: &mut StdRng, kills: usize) -> Vec<(f64, Blow)> {
    let mut blows: Vec<(f64, Blow)> = Vec::new();
    for number in 0..kills {
        let blow = if number % 2 == 0 { Blow::Kill } else { Blow::KillAtSync };
        blows.push((random.random_range(0.01..0.85), blow));
    }
    if random.random_bool(0.35) {
        let away = random.random_range(200..3000);
        blows.push((random.random_range(0.1..0.8), Blow::Crash(away)));
    }
    blows.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    blows
}

fn conversation(random: &mut StdRng, number: usize, everyone: &Everyone) -> Conversation {
    let session = random.random_bool(0.85).then(|| format!("session-{number}"));
    let count = if session.is_some() && random.random_bool(0.15) { 2 } else { 1 };
    let scenes = (1..=count).map(|nth| {
        let label = format!("turn-{number}.{nth}");
        scene(random, label, session.clone(), everyone)
    });
    let scenes: Vec<_> = scenes.collect();
    let log_reader = session.filter(|_| random.random_bool(0.15)).map(|_| guest(random));
    Conversation { scenes, log_reader }
}

fn scene(
    random: &mut StdRng,
    label: String,
    session: Option<String>,
    everyone: &Everyone,
) -> Scene {
    let turn = random.random_bool(0.8).then(|| format!("id-of-{label}"));
    let execution = random.random_bool(0.6).then(|| format!("execution-of-{label}"));
    let form = Form {
        execution_in_body: random.random_bool(0.5),
        as_parts: random.random_bool(0.3),
        detach: [None, Some(true), Some(false)][random.random_range(0..3)],
    };
    let repeatable = execution.is_some() || (session.is_some() && turn.is_some());
    let trouble = match (repeatable, everyone.has_crash) {
        (false, _) => Trouble::Losses,
        (true, true) => Trouble::Honest,
        (true, false) => Trouble::Any,
    };
    let mut prompt = Prompt::random(random, trouble);
    let says = |word| prompt.words.contains(word);
    prompt.hides = says("reap-buffer") && (says("assign") || session.is_none());
    let plain = prompt.end == End::Success && repeatable;
    let abort_after =
        (plain && session.is_some() && random.random_bool(0.06)).then(|| random.random_range(0..6));
    let intruder = session.is_some() && abort_after.is_none() && random.random_bool(0.1);
    let others = if repeatable && !matches!(prompt.end, End::Refused(_)) {
        [0, 0, 0, 1, 1, 2][random.random_range(0..6)]
    } else {
        0
    };
    let others = (0..others).map(|_| guest(random)).collect();
    let mut starter = guest(random);
    if !repeatable {
        starter.hasty = 0;
    }
    let token = everyone.token.clone();
    let turn = Turn { label, session, turn, execution, prompt, token, form };
    Scene { turn, starter, others, abort_after, intruder }
}

fn guest(random: &mut StdRng) -> Guest {
    let count = [0, 1, 1, 2, 3, 5][random.random_range(0..6)];
    let mut cuts: Vec<_> = (0..count).map(|_| cut(random)).collect();
    // A connection in between stays whole as far as the hop can help it.
    if random.random_bool(0.3) {
        cuts.push(Cut::Whole);
        cuts.shuffle(random);
    }
    Guest { cuts, hasty: [0, 0, 0, 1, 2][random.random_range(0..5)], seed: random.random() }
}

fn cut(random: &mut StdRng) -> Cut {
    let far = random.random_bool(0.05);
    let more = random.random_range(0..if far { 100_000 } else { 400 });
    Cut::Cut { event: random.random_range(1..5), more }
}
