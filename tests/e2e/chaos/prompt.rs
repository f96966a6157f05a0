//! What one turn is told to do: a prompt of random words for the simulated box, and what follows
//! from them for its verdict.
//!
//! Most words only change how the box looks. What goes wrong with the dispatch is counted here and
//! not left to the box's own chances, so that every prompt that is sent twice has its reason.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// How a turn ends if nothing breaks in on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Success,
    /// With this code.
    Failure(&'static str),
    /// The agent never begins.
    Never,
    /// The box refuses the prompt with this status, as often as it comes.
    Refused(u16),
}

/// A prompt and what is known about it.
#[derive(Debug, Clone)]
pub(super) struct Prompt {
    pub(super) words: String,
    pub(super) end: End,
    /// How many of its dispatches get no clear answer.
    pub(super) unclear: u32,
    /// How many of its dispatches are told to come later.
    pub(super) later: u32,
    /// Only the stream tells which session the box gave it, and the box soon forgets the stream.
    pub(super) hides: bool,
}

/// How much may go wrong with a prompt's dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Anything.
    Any,
    /// Anything but a box that takes a prompt and says itself that it has not: one that then
    /// crashes runs it again, and nobody could have known.
    Honest,
    /// Nothing that a client has to repeat: this one cannot.
    Losses,
}

impl Prompt {
    /// Random words.
    pub(super) fn random(random: &mut StdRng, trouble: Trouble) -> Self {
        let mut prompt =
            Self { words: prose(random), end: End::Success, unclear: 0, later: 0, hides: false };
        prompt.agent(random);
        prompt.session(random);
        prompt.shapes(random);
        prompt.trouble(random, trouble);
        prompt.end(random, trouble);
        prompt
    }

    fn add(&mut self, word: &str) {
        self.words.push(' ');
        self.words.push_str(word);
    }

    fn maybe(&mut self, random: &mut StdRng, chance: f64, word: impl Fn(&mut StdRng) -> String) {
        if random.random_bool(chance) {
            let word = word(random);
            self.add(&word);
        }
    }

    fn agent(&mut self, random: &mut StdRng) {
        self.add(&format!("parts={}", random.random_range(1..=4)));
        self.add(&format!("step={}ms", random.random_range(20..400)));
        self.maybe(random, 0.6, |random| format!("grow={}", random.random_range(2..=10)));
        self.maybe(random, 0.5, |random| format!("tool={}", random.random_range(1..=4)));
        self.maybe(random, 0.4, |random| format!("quiet={}ms", random.random_range(100..4000)));
        self.maybe(random, 0.2, |_| "rewrite".to_owned());
        self.maybe(random, 0.2, |_| "shrink".to_owned());
        self.maybe(random, 0.06, |random| format!("big={}KB", random.random_range(1..=200)));
        self.maybe(random, 0.15, |random| {
            let what = ["question", "approval", "plan"].choose(random).expect("three");
            format!("wait={}ms wait-for={what}", random.random_range(100..2000))
        });
    }

    fn session(&mut self, random: &mut StdRng) {
        self.maybe(random, 0.2, |random| format!("start={}ms", random.random_range(50..4000)));
        self.maybe(random, 0.2, |random| format!("idle={}ms", random.random_range(50..1500)));
        self.maybe(random, 0.2, |random| format!("linger={}ms", random.random_range(50..2000)));
        self.maybe(random, 0.3, |_| "assign".to_owned());
        self.maybe(random, 0.2, |_| "cancel-on-drop".to_owned());
        self.maybe(random, 0.1, |random| format!("idle-cut={}ms", random.random_range(300..900)));
        self.maybe(random, 0.1, |_| "reap-buffer=500ms".to_owned());
    }

    fn shapes(&mut self, random: &mut StdRng) {
        self.maybe(random, 0.2, |_| "receipt".to_owned());
        self.maybe(random, 0.1, |random| format!("hold={}ms", random.random_range(100..3500)));
        self.maybe(random, 0.5, |random| {
            format!("shape={}", ["bare", "messages", "data"].choose(random).expect("three"))
        });
        for word in ["info", "bare-status", "no-turn-id", "enveloped"] {
            self.maybe(random, 0.25, |_| word.to_owned());
        }
    }

    /// At most one thing goes wrong with a dispatch.
    fn trouble(&mut self, random: &mut StdRng, trouble: Trouble) {
        if !random.random_bool(0.3) {
            return;
        }
        let unclear = ["500", "502", "504", "522", "524", "html", "empty", "half"];
        let kinds = if trouble == Trouble::Losses { 0..2 } else { 0..5 };
        match random.random_range(kinds) {
            0 => self.unclear("lose=answer"),
            1 => self.unclear("lose=prompt"),
            2 => self.unclear(&format!("dispatch={}", unclear.choose(random).expect("eight"))),
            3 => self.unclear(&format!("answer={}", unclear.choose(random).expect("eight"))),
            _ => {
                let lies = trouble == Trouble::Any && random.random_bool(0.5);
                let lane = if lies { "answer" } else { "dispatch" };
                let status = [429, 503][random.random_range(0..2)];
                let times = random.random_range(1..=3);
                self.later += times;
                self.add(&format!("{lane}={status}x{times}"));
            }
        }
    }

    fn unclear(&mut self, word: &str) {
        self.unclear += 1;
        self.add(word);
    }

    fn end(&mut self, random: &mut StdRng, trouble: Trouble) {
        let (end, word) = match random.random_range(0..100) {
            0..12 => {
                let codes = ["AGENT_FAILED", "MODEL_ERROR", "OUT_OF_TOKENS"];
                let code = *codes.choose(random).expect("three");
                (End::Failure(code), format!("fail={code}"))
            }
            12 => (End::Never, "never".to_owned()),
            13..16 if trouble != Trouble::Losses => {
                let status = *[400, 403, 422].choose(random).expect("three");
                (End::Refused(status), format!("refuse={status}"))
            }
            _ => return,
        };
        self.end = end;
        self.add(&word);
    }
}

/// A few words that mean nothing, some of them hard for careless readers of JSON and UTF-8.
fn prose(random: &mut StdRng) -> String {
    let words = ["please", "build", "Größe", "\"quoted\"", "back\\slash", "naïve", "日本", "🦀"];
    let count = random.random_range(1..6);
    let chosen: Vec<_> = (0..count).filter_map(|_| words.choose(random).copied()).collect();
    chosen.join(" ")
}

#[test]
fn every_prompt_is_understood_by_the_box() {
    use afterbay::simbox::Faults;
    use rand::SeedableRng;

    let mut random = StdRng::seed_from_u64(1);
    let mut troubled = 0;
    for _ in 0..500 {
        let prompt = Prompt::random(&mut random, Trouble::Any);
        let plan = Faults::default().with_words_of(&prompt.words).expect(&prompt.words);
        assert_eq!(plan.never, prompt.end == End::Never, "{}", prompt.words);
        assert_eq!(plan.fail.is_some(), matches!(prompt.end, End::Failure(_)), "{}", prompt.words);
        let faults = [plan.lose.is_some(), plan.dispatch.is_some(), plan.answer.is_some()];
        let faults = faults.into_iter().filter(|fault| *fault).count();
        assert_eq!(faults == 1, prompt.unclear + prompt.later > 0, "{}", prompt.words);
        troubled += faults;
    }
    assert!((50..400).contains(&troubled), "{troubled} of 500 prompts have trouble");
}
