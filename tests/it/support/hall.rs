//! The doors over real floors in this process: a log in a folder of its own, sessions, and a box
//! whose adapter does what the test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use afterbay::credential::{Credential, HashKey};
use afterbay::event::Event;
use afterbay::http::boxes::NamedBox;
use afterbay::http::passthrough::Passthrough;
use afterbay::http::{Doors, Service, Settings};
use afterbay::ids::{BoxName, SessionId};
use afterbay::limits;
use afterbay::log::{Options, RealDisk, Store};
use afterbay::metrics::Metrics;
use afterbay::mode::BoxKind;
use afterbay::session::boxes::{BoxEntry, Boxes};
use afterbay::session::recovered::Recovered;
use afterbay::session::retention::{Keep, Retention};
use afterbay::session::{self, Sessions, Vouching};
use afterbay::tasks::Tasks;
use afterbay::trace::Tracer;
use afterbay::trace::context::TraceContext;
use afterbay::turn::Deadlines;
use afterbay::turn::control::role;
use afterbay::upstream::budget::ProxyBudget;
use afterbay::upstream::connect::Connect;
use afterbay::upstream::endpoint::Endpoint;
use afterbay::upstream::result_path::ResultPath;
use afterbay::upstream::schedule::Intervals;
use afterbay::upstream::{
    Accepted, Activity, Answer, BadPrompt, Body, Boot, Bound, CursorDelta, Depth, Dispatch, Ending,
    Error, Found, Page, PageStep, PollCursor, Prepare, Prepared, Redispatch, Refusal, TextHash,
    TurnIds, Upstream, View, Vouched,
};
use axum::ServiceExt as _;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The credential that the scripted box accepts.
pub(crate) const GOOD: &str = "Bearer good";

/// An open hall: what the test holds of it.
pub(crate) struct Hall {
    pub(crate) addr: SocketAddr,
    pub(crate) script: Arc<Script>,
    pub(crate) drain: CancellationToken,
    pub(crate) retention: Retention,
    _folder: TempDir,
}

impl Hall {
    /// Opens the doors on `listener`; what is passed on goes to `base`.
    pub(crate) fn open(listener: TcpListener, base: &str, settings: Settings) -> Self {
        Self::telling_results(listener, base, settings, None)
    }

    /// The same before a box that tells results there.
    pub(crate) fn telling_results(
        listener: TcpListener,
        base: &str,
        settings: Settings,
        result_path: Option<ResultPath>,
    ) -> Self {
        let addr = listener.local_addr().expect("an address");
        let folder = tempfile::tempdir().expect("a folder");
        let disk = RealDisk::open(&folder.path().join("log")).expect("a data folder");
        let metrics = Metrics::new().expect("names are free");
        let mut recovered = Recovered::default();
        let store =
            Store::open(Arc::new(disk), Options::new(role), metrics.log.clone(), &mut |found| {
                recovered.fold(found)
            });
        let (tasks, drain, script) = (Tasks::new(), CancellationToken::new(), Script::new());
        let config = session::Config {
            store: store.expect("an empty log"),
            boxes: Boxes::default().with(BoxName::default_box(), box_entry(Arc::clone(&script))),
            hash_key: HashKey::from_bytes([7; 32]),
            vault: None,
            deadlines: Deadlines::default(),
            intervals: intervals(),
            fidelity: settings.fidelity,
            vouching: Vouching::default(),
            keep: Keep::default(),
            tasks: tasks.clone(),
            drain: drain.clone(),
            metrics: metrics.turn.clone(),
            tracer: Tracer::default(),
        };
        let sessions = Sessions::open(config, recovered);
        let retention = Retention::new(sessions.clone(), metrics.retention.clone());
        let endpoint = base.parse::<Endpoint>().expect("a URL").fixed();
        let doors = Doors {
            sessions,
            settings,
            metrics: metrics.http.clone(),
            drain: drain.clone(),
            tasks: tasks.clone(),
            root: Some(NamedBox {
                name: BoxName::default_box(),
                passthrough: Passthrough::new(endpoint, &Connect::default()),
                result_path,
            }),
            further: Vec::new(),
            front: None,
        };
        tasks.spawn("doors", async move {
            axum::serve(listener, Service::new(doors).into_make_service()).await
        });
        Self { addr, script, drain, retention, _folder: folder }
    }
}

fn box_entry(script: Arc<Script>) -> BoxEntry {
    let budget =
        ProxyBudget::new(limits::POLLS_PER_SECOND).for_box(limits::POLLS_PER_SECOND_PER_BOX);
    BoxEntry { upstream: script, budget, credential: None }
}

fn intervals() -> Intervals {
    let soon = Duration::from_millis(20);
    Intervals { fastest: soon, slowest: soon, waiting: soon }
}

/// How the box answers a dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not yet.
    Silent,
    /// It takes the prompt.
    Takes,
    /// It refuses it with 409 and a `Retry-After`.
    Refuses,
}

/// A box that does what the test says.
#[derive(Debug)]
pub(crate) struct Script {
    verdict: watch::Sender<Verdict>,
    scenes: Mutex<VecDeque<Scene>>,
    /// Credentials that it vouches for, besides [`GOOD`].
    accepted: Mutex<Vec<String>>,
    dispatches: AtomicUsize,
}

impl Script {
    fn new() -> Arc<Self> {
        let verdict = watch::Sender::new(Verdict::Takes);
        let (scenes, accepted) = (Mutex::default(), Mutex::default());
        Arc::new(Self { verdict, scenes, accepted, dispatches: AtomicUsize::new(0) })
    }

    /// From now on dispatches are answered so, also those that wait.
    pub(crate) fn answers(&self, verdict: Verdict) {
        self.verdict.send_replace(verdict);
    }

    /// From now on it vouches for this credential, too.
    pub(crate) fn accepts(&self, who: &str) {
        self.accepted.lock().expect("no panic").push(who.to_owned());
    }

    /// How many prompts have reached the box.
    pub(crate) fn dispatches(&self) -> usize {
        self.dispatches.load(Ordering::SeqCst)
    }

    /// The agent says something.
    pub(crate) fn says(&self, text: &str) {
        let events =
            vec![Event::ours("message.part.updated", &json!({ "part": { "text": text } }))];
        self.turn_page(Scene { events, view: busy() });
    }

    /// The agent is done, and the box goes on saying so until the agent says something again.
    pub(crate) fn ends(&self, ending: Ending) {
        let view = View { activity: Activity::Idle, ending: Some(ending), ..busy() };
        self.turn_page(Scene { events: Vec::new(), view });
    }

    fn turn_page(&self, scene: Scene) {
        let mut scenes = self.scenes.lock().expect("no panic");
        if scenes.back().is_some_and(|last| last.view.ending.is_some()) {
            scenes.clear();
        }
        scenes.push_back(scene);
    }

    /// What the next poll sees.
    fn next_scene(&self) -> Scene {
        let mut scenes = self.scenes.lock().expect("no panic");
        match scenes.front() {
            None => Scene { events: Vec::new(), view: busy() },
            Some(scene) if scene.view.ending.is_some() => scene.clone(),
            Some(_) => scenes.pop_front().expect("a scene"),
        }
    }
}

/// What one poll sees.
#[derive(Debug, Clone)]
struct Scene {
    events: Vec<Event>,
    view: View,
}

fn busy() -> View {
    let answer = Some(Answer { final_text: "hello".into(), ..Answer::default() });
    View { activity: Activity::Busy, started: true, ending: None, answer }
}

fn box_session() -> SessionId {
    SessionId::parse("box-1").expect("an id")
}

#[async_trait::async_trait]
impl Upstream for Script {
    fn kind(&self) -> BoxKind {
        BoxKind::Opencode
    }

    fn within(self: Arc<Self>, _trace: &TraceContext) -> Arc<dyn Upstream> {
        self
    }

    fn redispatch(&self) -> Redispatch {
        Redispatch::Never
    }

    fn check_prompt(&self, body: &Body) -> Result<Option<TextHash>, BadPrompt> {
        let empty = !body.bytes.windows(9).any(|window| window == b"\"message\"");
        if empty { Err(BadPrompt("no message".into())) } else { Ok(None) }
    }

    async fn prepare(&self, who: Option<&Credential>, _ids: &TurnIds) -> Prepare {
        if who.is_some_and(|who| who.expose() != GOOD) {
            return Prepare::Refused(refusal(StatusCode::FORBIDDEN));
        }
        let notes = String::new();
        Prepare::Ready(Prepared { session: Some(box_session()), notes })
    }

    async fn dispatch(
        &self,
        _who: Option<&Credential>,
        _ids: &TurnIds,
        _prepared: &Prepared,
        _body: &Body,
    ) -> Dispatch {
        self.dispatches.fetch_add(1, Ordering::SeqCst);
        let mut verdict = self.verdict.subscribe();
        let said = verdict.wait_for(|verdict| *verdict != Verdict::Silent).await;
        if *said.expect("the script lives") == Verdict::Refuses {
            return Dispatch::Refused(refusal(StatusCode::CONFLICT));
        }
        let (session, execution) = (box_session(), None);
        Dispatch::Accepted(Accepted { session, execution, frames: Vec::new(), ended: None })
    }

    async fn find(
        &self,
        _who: Option<&Credential>,
        _ids: &TurnIds,
        _prepared: &Prepared,
    ) -> Result<Found, Error> {
        Ok(Found::Absent(Boot::Unknown))
    }

    async fn poll(
        &self,
        _who: Option<&Credential>,
        _turn: &Bound,
        _cursor: &PollCursor,
        _depth: Depth,
    ) -> Result<Page, Error> {
        let Scene { events, view } = self.next_scene();
        let steps = if events.is_empty() {
            Vec::new()
        } else {
            vec![PageStep { events, delta: CursorDelta::default() }]
        };
        Ok(Page { steps, view, messages_took: None })
    }

    async fn cancel(&self, _who: Option<&Credential>, _session: &SessionId) -> Result<(), Error> {
        self.ends(Ending::Cancelled);
        Ok(())
    }

    async fn vouch(&self, who: &Credential, _session: &SessionId) -> Result<Vouched, Error> {
        let accepted = self.accepted.lock().expect("no panic");
        let good = who.expose() == GOOD || accepted.iter().any(|known| known == who.expose());
        Ok(if good { Vouched::Yes } else { Vouched::No(StatusCode::FORBIDDEN) })
    }
}

fn refusal(status: StatusCode) -> Refusal {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("7"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("content-length", HeaderValue::from_static("9999"));
    Refusal { status, headers, body: bytes::Bytes::from_static(b"{\"no\":1}") }
}
