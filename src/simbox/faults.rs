//! Everything that a simulated box can be told to do: what its agent does, and what goes wrong.
//!
//! The same fields serve as defaults for all turns (flags, the admin route, [`Faults`] in code)
//! and as the plan of one turn, where the words of its prompt have changed them. All off is a
//! well-behaved box whose agent says one part at once.

use std::time::Duration;

use super::setting::{Chance, Code, Repeated, Value};

/// What the agent does and what goes wrong; `None`, `false` and empty are off.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    // ---- the agent ----
    /// How many text parts the agent writes; one if unset.
    pub parts: Option<u32>,
    /// Pause before each visible change; none if unset.
    pub step: Option<Duration>,
    /// In how many steps each text part grows; one (it appears whole) if unset.
    pub grow: Option<u32>,
    /// How many tool parts there are; each is pending, running, completed.
    pub tool: Option<u32>,
    /// Silence in the middle of the turn.
    pub quiet: Option<Duration>,
    /// Each whole text part is replaced by another text.
    pub rewrite: bool,
    /// Each whole text part loses its second half.
    pub shrink: bool,
    /// One more text part of this many bytes.
    pub big: Option<usize>,
    /// The turn fails at its end, with this code.
    pub fail: Option<Code>,
    /// The turn waits for a person in its middle.
    pub wait: Option<Wait>,
    /// What it waits for; a question if unset.
    pub wait_for: Option<WaitFor>,

    // ---- how a turn begins and ends ----
    /// The prompt is taken, the agent never starts, the session reads idle.
    pub never: bool,
    /// The agent begins this long after the prompt was taken; until then it is queued.
    pub start: Option<Duration>,
    /// The session reads idle for this long after the prompt was taken.
    pub idle: Option<Duration>,
    /// The session reads running for this long after the end.
    pub linger: Option<Duration>,

    // ---- how a dispatch is answered ----
    /// A JSON receipt instead of a stream.
    pub receipt: bool,
    /// The session gets another id than the one supplied.
    pub assign: bool,
    /// The connection is dropped instead of an answer, for so many dispatches of a turn.
    pub lose: Option<Repeated<Lose>>,
    /// The prompt is not taken, and answered so, for so many dispatches of a turn.
    pub dispatch: Option<Repeated<Mishap>>,
    /// The prompt is taken, but answered so, for so many dispatches of a turn.
    pub answer: Option<Repeated<Mishap>>,
    /// The answer to a dispatch comes this late; the turn goes on meanwhile.
    pub hold: Option<Duration>,
    /// Every dispatch is refused with this status.
    pub refuse: Option<Refusal>,

    // ---- shapes ----
    /// How the list of messages is wrapped; bare if unset.
    pub shape: Option<Shape>,
    /// Each message's own fields are under `info`.
    pub info: bool,
    /// The status has no `data` around it.
    pub bare_status: bool,
    /// Messages do not say which turn they belong to.
    pub no_turn_id: bool,
    /// A frame's JSON is `{"type", "properties"}`.
    pub enveloped: bool,

    // ---- streams and memory ----
    /// A stream is cut after this long without bytes.
    pub idle_cut: Option<Duration>,
    /// A stream's buffer is forgotten, and its streams cut, this long after its last event.
    pub reap_buffer: Option<Duration>,
    /// A session and its executions are forgotten this long after the end of its turn.
    pub reap_session: Option<Duration>,
    /// Dropping the stream of a dispatch without `detach` cancels the turn.
    pub cancel_on_drop: bool,

    // ---- of the whole box ----
    /// The seed of all chances below.
    pub seed: Option<u64>,
    /// What a poll may be answered with instead.
    pub polls: Vec<Chance<Mishap>>,
    /// What a dispatch may be answered with, not being taken.
    pub dispatches: Vec<Chance<Mishap>>,
    /// What a dispatch may be answered with, having been taken.
    pub answers: Vec<Chance<Mishap>>,
    /// What may be lost of a dispatch.
    pub losses: Vec<Chance<Lose>>,
    /// The `Retry-After` of a 429, in whole seconds; 1 s if unset.
    pub retry_after: Option<Duration>,
    /// A token is accepted for this long after it became known; expired, it is answered 401.
    pub token_life: Option<Duration>,
    /// Sessions without a running turn outlive a crash, with their messages.
    pub keep_sessions: bool,
}

/// For how long a turn waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// So long; then it goes on by itself.
    Until(Duration),
    /// Until it is answered.
    Answered,
}

impl Value for Wait {
    fn read(text: &str) -> Result<Self, String> {
        if text == "answer" { Ok(Self::Answered) } else { Duration::read(text).map(Self::Until) }
    }

    fn show(&self) -> String {
        match self {
            Self::Until(time) => time.show(),
            Self::Answered => "answer".to_owned(),
        }
    }
}

/// Reads one of `all`, by its name.
fn one_of<T: Copy>(text: &str, all: &[(&'static str, T)]) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        format!("`{text}` is none of {}", names.join(", "))
    })
}

/// What a waiting turn waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// An answer to a question.
    Question,
    /// The approval of a tool call.
    Approval,
    /// A decision on a plan.
    Plan,
}

impl WaitFor {
    pub(super) const ALL: [(&'static str, Self); 3] =
        [("question", Self::Question), ("approval", Self::Approval), ("plan", Self::Plan)];

    /// Its word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Approval => "approval",
            Self::Plan => "plan",
        }
    }
}

impl Value for WaitFor {
    fn read(text: &str) -> Result<Self, String> {
        one_of(text, &Self::ALL)
    }

    fn show(&self) -> String {
        self.name().to_owned()
    }
}

/// What is lost of a dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lose {
    /// The turn runs, nobody is told.
    Answer,
    /// Nothing arrived; the turn does not run.
    Prompt,
}

impl Value for Lose {
    fn read(text: &str) -> Result<Self, String> {
        one_of(text, &[("answer", Self::Answer), ("prompt", Self::Prompt)])
    }

    fn show(&self) -> String {
        match self {
            Self::Answer => "answer",
            Self::Prompt => "prompt",
        }
        .to_owned()
    }
}

/// How the list of messages is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `[…]`
    Bare,
    /// `{"messages":[…]}`
    Messages,
    /// `{"data":{"messages":[…]}}`
    Data,
}

impl Value for Shape {
    fn read(text: &str) -> Result<Self, String> {
        let all = [("bare", Self::Bare), ("messages", Self::Messages), ("data", Self::Data)];
        one_of(text, &all)
    }

    fn show(&self) -> String {
        match self {
            Self::Bare => "bare",
            Self::Messages => "messages",
            Self::Data => "data",
        }
        .to_owned()
    }
}

/// A bad answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// This status, with the body that goes with it.
    Status(u16),
    /// 200 and a web page.
    Html,
    /// 200 and no body.
    Empty,
    /// 200 and the first half of a JSON body.
    Half,
}

/// The statuses that a mishap may have.
const STATUSES: [u16; 9] = [401, 403, 429, 500, 502, 503, 504, 522, 524];

impl Value for Mishap {
    fn read(text: &str) -> Result<Self, String> {
        let status = STATUSES.iter().find(|status| status.to_string() == text);
        if let Some(status) = status {
            return Ok(Self::Status(*status));
        }
        let all = [("html", Self::Html), ("empty", Self::Empty), ("half", Self::Half)];
        one_of(text, &all).map_err(|error| format!("{error}, {STATUSES:?}"))
    }

    fn show(&self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Html => "html".to_owned(),
            Self::Empty => "empty".to_owned(),
            Self::Half => "half".to_owned(),
        }
    }
}

/// The status of a refusal, 400 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(pub(super) u16);

impl Refusal {
    /// A refusal with `status`, if it is one.
    #[must_use]
    pub fn with_status(status: u16) -> Option<Self> {
        (400..600).contains(&status).then_some(Self(status))
    }
}

impl Value for Refusal {
    fn read(text: &str) -> Result<Self, String> {
        let status = text.parse().ok().and_then(Self::with_status);
        status.ok_or_else(|| format!("`{text}` is not a status from 400 to 599"))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}
