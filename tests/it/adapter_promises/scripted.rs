//! The stage of opencode's adapter: the scripted box, whose agent plays a scene step by step.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use afterbay::credential::Credential;
use afterbay::ids::SessionId;
use afterbay::metrics::upstream::Metrics;
use afterbay::upstream::Upstream;
use afterbay::upstream::client::BoxClient;
use afterbay::upstream::connect::Connect;
use afterbay::upstream::endpoint::Endpoint;
use afterbay::upstream::opencode::Opencode;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::support::box_state::BoxState;
use super::super::support::scripted_box::ScriptedBox;
use super::promises::{Hop, Scene, Stage};

const OWNER: &str = "Basic canary-owner-41d0";

/// How many steps the growing part takes.
const GROWTH_STEPS: usize = 100;

/// The box and the hop in front of it.
pub(super) struct Scripted {
    scripted: ScriptedBox,
    hop: Hop,
    numbers: AtomicUsize,
    plays: Arc<Mutex<BTreeMap<String, Play>>>,
}

/// An agent at work on one prompt.
struct Play {
    session: String,
    prompt: String,
    /// The message that it writes, once it has begun.
    message: String,
    /// Names its parts apart from those of other turns.
    name: String,
    steps: VecDeque<Step>,
}

/// What an agent does at once.
#[derive(Debug, Clone, Copy)]
enum Step {
    Begin,
    Tool(&'static str, usize),
    Text {
        part: usize,
        bytes: usize,
        closed: bool,
    },
    Ask,
    /// Goes on only when nothing is open.
    Wait,
    Complete(&'static str),
    Fail,
    Idle,
}

fn steps(scene: &str) -> VecDeque<Step> {
    let text = |part, bytes, closed| Step::Text { part, bytes, closed };
    let tool = [Step::Begin, Step::Tool("running", 4), Step::Tool("completed", 9)];
    let end = [text(1, 9, false), text(1, 30, true), Step::Complete("stop"), Step::Idle];
    match scene {
        "Answers" => [tool, [Step::Complete("tool-calls"), Step::Begin, text(0, 5, true)]]
            .concat()
            .into_iter()
            .chain(end)
            .collect(),
        "Works" => tool.into(),
        "Fails" => tool.into_iter().chain([Step::Fail, Step::Idle]).collect(),
        "Asks" => [Step::Begin, Step::Ask, Step::Wait].into_iter().chain(end).collect(),
        "Grows" => {
            let growing = (1..=GROWTH_STEPS).map(|step| text(0, step * 300, false));
            let whole = [text(0, GROWTH_STEPS * 300, true)];
            [Step::Begin].into_iter().chain(growing).chain(whole).chain(end).collect()
        }
        "SaysMuch" => {
            let much = (2..4).map(|part| text(part, 550_000, true));
            tool.into_iter().chain(much).chain(end).collect()
        }
        "NeverBegins" => VecDeque::new(),
        other => panic!("no such scene: {other}"),
    }
}

impl Scripted {
    pub(super) async fn start() -> Self {
        let scripted = ScriptedBox::start().await;
        let address = scripted.base().trim_start_matches("http://").parse().expect("an address");
        let plays: Arc<Mutex<BTreeMap<String, Play>>> = Arc::default();
        let cast = Arc::clone(&plays);
        scripted.on_prompt(move |state, session, prompt| {
            let play = Play::of(state, session, prompt);
            let mut plays = cast.lock().expect("no test panics while it holds the plays");
            plays.entry(play.name.clone()).or_insert(play);
        });
        scripted.with(|state| state.authorization = Some(OWNER.to_owned()));
        let hop = Hop::start(address, |path, _| path.ends_with("/prompt_async")).await;
        Self { scripted, hop, numbers: AtomicUsize::new(0), plays }
    }
}

fn prompts(state: &BoxState) -> impl Iterator<Item = &str> {
    let messages = state.sessions.values().flat_map(|session| &session.messages);
    let users = messages.filter(|message| message["info"]["role"] == "user");
    let parts = users.flat_map(|message| message["parts"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str())
}

impl Play {
    fn of(state: &mut BoxState, session: &str, prompt: &str) -> Self {
        let parts = state.message(session, prompt)["parts"].clone();
        let text = parts[0]["text"].as_str().expect("a prompt has a text");
        let (name, rest) = text.trim_start_matches('[').split_once("] ").expect("a marked prompt");
        let scene = rest.split(' ').next().expect("a scene");
        let (session, prompt) = (session.to_owned(), prompt.to_owned());
        Self { session, prompt, message: String::new(), name: name.into(), steps: steps(scene) }
    }

    fn part(&self, number: usize) -> String {
        format!("prt_{}_{number}", self.name)
    }

    fn go_on(&mut self, state: &mut BoxState) {
        if matches!(self.steps.front(), Some(Step::Wait)) && !state.permissions.is_empty() {
            return;
        }
        let Some(step) = self.steps.pop_front() else { return };
        let (session, message) = (&self.session, &self.message);
        match step {
            Step::Begin => self.message = state.begin(session, &self.prompt),
            Step::Tool(status, bytes) => {
                state.tool(session, message, &self.part(9), status, &"x".repeat(bytes));
            }
            Step::Text { part, bytes, closed } => {
                let text: String = "naïve text ".chars().cycle().take(bytes).collect();
                state.text(session, message, &self.part(part), &text, closed);
            }
            Step::Ask => drop(state.ask_permission(session)),
            Step::Wait => {}
            Step::Complete(finish) => state.complete(session, message, Some(finish)),
            Step::Fail => state.fail(session, message, "APIError", "the model is down"),
            Step::Idle => state.idle(session),
        }
    }
}

#[async_trait]
impl Stage for Scripted {
    fn hop(&self) -> &Hop {
        &self.hop
    }

    fn adapter(&self) -> Arc<dyn Upstream> {
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("a registry of its own");
        let endpoint = self.hop.url().parse::<Endpoint>().expect("a URL").fixed();
        Arc::new(Opencode::new(BoxClient::new(endpoint, &Connect::default(), metrics)))
    }

    fn who(&self) -> Credential {
        Credential::new(OWNER)
    }

    fn stranger(&self) -> Credential {
        Credential::new("Basic canary-stranger-9b27")
    }

    fn unknown_session(&self) -> SessionId {
        SessionId::parse("ses_000000000000gone").expect("an id")
    }

    fn number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn prompt(&self, scene: Scene) -> Value {
        json!({ "message": format!("{scene:?}") })
    }

    fn status_path(&self, _session: &SessionId) -> String {
        "/session/status".to_owned()
    }

    fn shows_growing_text(&self) -> Result<(), &'static str> {
        Ok(())
    }

    async fn go_on(&self, name: &str) {
        let mut plays = self.plays.lock().expect("no test panics while it holds the plays");
        if let Some(play) = plays.get_mut(name) {
            self.scripted.with(|state| play.go_on(state));
        }
    }

    async fn answer(&self, _name: &str) {
        self.scripted.with(|state| state.permissions.clear());
    }

    async fn arrived(&self, name: &str) -> usize {
        let mark = format!("[{name}]");
        self.scripted.with(|state| prompts(state).filter(|text| text.contains(&mark)).count())
    }

    /// Whatever arrives is run.
    async fn runs(&self, name: &str) -> usize {
        self.arrived(name).await
    }

    async fn record(&self, session: &SessionId) -> String {
        self.scripted.with(|state| {
            let messages = &state.session(session.as_str()).messages;
            Value::from(messages.clone()).to_string()
        })
    }
}
