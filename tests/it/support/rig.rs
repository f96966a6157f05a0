//! The real sessions, turns and log over a faulty disk and a box on strings; stopped, killed and
//! started again as often as the test likes, in one process.

use std::sync::Arc;
use std::time::Duration;

use afterbay::credential::{Caller, Credential, HashKey};
use afterbay::event::Seq;
use afterbay::ids::{BoxName, ExecutionId, SessionId, TurnId};
use afterbay::log::{Logged, Options, Step, Store, UpkeepBy};
use afterbay::metrics::Metrics;
use afterbay::mode::Fidelity;
use afterbay::seal::SealKey;
use afterbay::session::boxes::{BoxEntry, Boxes};
use afterbay::session::recovered::Recovered;
use afterbay::session::retention::{Keep, Retention};
use afterbay::session::sealed::Vault;
use afterbay::session::{
    Config, Session, Sessions, StartError, Started, TurnRef, TurnRequest, Vouching,
};
use afterbay::tasks::Tasks;
use afterbay::trace::Tracer;
use afterbay::turn::Deadlines;
use afterbay::turn::control::{role, wall_ms};
use afterbay::upstream::Body;
use afterbay::upstream::budget::ProxyBudget;
use afterbay::upstream::schedule::Intervals;
use http::HeaderMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::faulty_disk::FaultyDisk;
use super::puppet::{GOOD, Puppet};

/// Longest wait for a fact.
const PATIENCE: Duration = Duration::from_secs(20);
const OFTEN: NonZeroU32 = NonZeroU32::new(100_000).expect("not zero");

/// An event as a reader sees it: number, name, data.
pub(crate) type Line = (u64, String, String);

pub(crate) struct Rig {
    pub(crate) disk: FaultyDisk,
    pub(crate) puppet: Arc<Puppet>,
    pub(crate) deadlines: Deadlines,
    pub(crate) box_credential: Option<&'static str>,
    /// Where it seals what its turns need, if it does.
    pub(crate) seal: Option<Seal>,
    keep: Keep,
    fidelity: Fidelity,
    live: Option<Live>,
}

/// A folder of sealed files on a real disk, and the key.
pub(crate) struct Seal {
    folder: TempDir,
    pub(crate) key: u8,
}

impl Seal {
    fn vault(&self) -> Vault {
        let key = SealKey::from_bytes([self.key; 32]);
        Vault::open(self.folder.path(), key).expect("a folder")
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join("sealed")
    }

    /// The files that are there.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder()).expect("a folder");
        entries.map(|entry| entry.expect("a file").path()).collect()
    }
}

/// What dies with the process.
struct Live {
    sessions: Sessions,
    store: Store,
    tasks: Tasks,
    retention: Retention,
    metrics: Metrics,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Deadlines::default(), None)
    }

    pub(crate) fn with(deadlines: Deadlines, box_credential: Option<&'static str>) -> Self {
        Self::before(Puppet::new(), 1, deadlines, box_credential)
    }

    /// Before a given box, over a disk of this seed.
    pub(crate) fn before(
        puppet: Arc<Puppet>,
        seed: u64,
        deadlines: Deadlines,
        box_credential: Option<&'static str>,
    ) -> Self {
        let disk = FaultyDisk::new(seed);
        let rig = Self::idle(disk, puppet);
        Self { deadlines, box_credential, ..rig }.started()
    }

    /// Over a disk of this seed, keeping so much of what is over.
    pub(crate) fn keeping(seed: u64, keep: Keep) -> Self {
        let rig = Self::idle(FaultyDisk::new(seed), Puppet::new());
        Self { keep, ..rig }.started()
    }

    /// Telling so much of its turns.
    pub(crate) fn telling(fidelity: Fidelity) -> Self {
        let rig = Self::idle(FaultyDisk::new(1), Puppet::new());
        Self { fidelity, ..rig }.started()
    }

    fn idle(disk: FaultyDisk, puppet: Arc<Puppet>) -> Self {
        let (deadlines, keep, fidelity) =
            (Deadlines::default(), Keep::default(), Fidelity::default());
        Self {
            disk,
            puppet,
            deadlines,
            box_credential: None,
            seal: None,
            keep,
            fidelity,
            live: None,
        }
    }

    /// The same, with credentials and unsent bodies sealed; nothing has happened yet.
    pub(crate) fn sealing(mut self) -> Self {
        self.live = None;
        self.seal = Some(Seal { folder: tempfile::tempdir().expect("a folder"), key: 1 });
        self.started()
    }

    fn started(mut self) -> Self {
        self.start();
        self
    }

    pub(crate) fn start(&mut self) {
        let metrics = Metrics::new().expect("names are free");
        let mut recovered = Recovered::default();
        let options = Options {
            segment_bytes: 32 << 10,
            group_bytes: 8 << 10,
            upkeep: UpkeepBy::Writer,
            ..Options::new(role)
        };
        let store = Store::open(self.disk.boot(), options, metrics.log.clone(), &mut |found| {
            recovered.fold(found);
        });
        let (store, tasks) = (store.expect("the log opens"), Tasks::new());
        let soon = Duration::from_millis(2);
        let entry = BoxEntry {
            upstream: Arc::clone(&self.puppet) as _,
            budget: ProxyBudget::new(OFTEN).for_box(OFTEN),
            credential: self.box_credential.map(Credential::new),
        };
        let vault = self.seal.as_ref().map(Seal::vault);
        if let Some(vault) = &vault {
            recovered.unseal(vault).expect("the sealed files can be looked at");
        }
        let config = Config {
            store: store.clone(),
            boxes: Boxes::default().with(BoxName::default_box(), entry),
            hash_key: HashKey::from_bytes([7; 32]),
            vault,
            deadlines: self.deadlines.clone(),
            intervals: Intervals { fastest: soon, slowest: soon, waiting: soon },
            fidelity: self.fidelity,
            vouching: Vouching::default(),
            keep: self.keep.clone(),
            tasks: tasks.clone(),
            drain: CancellationToken::new(),
            metrics: metrics.turn.clone(),
            tracer: Tracer::default(),
        };
        let sessions = Sessions::open(config, recovered);
        let retention = Retention::new(sessions.clone(), metrics.retention.clone());
        self.live = Some(Live { sessions, store, tasks, retention, metrics });
    }

    /// Stops as the program does, and starts again on what is in the log.
    pub(crate) async fn restart(&mut self) {
        let Live { sessions, store, tasks, retention, .. } = self.live.take().expect("running");
        tasks.stop();
        within("the tasks end", tasks.wait()).await;
        within("the log closes", store.close()).await;
        drop((sessions, retention));
        self.start();
    }

    /// The process is killed and started again.
    pub(crate) async fn kill(&mut self) {
        self.die().await;
        self.start();
    }

    /// The process is killed: nothing that it does from here on reaches the disk.
    pub(crate) async fn die(&mut self) {
        let Live { sessions, store, tasks, retention, .. } = self.live.take().expect("running");
        drop(self.disk.boot());
        tasks.stop();
        // A prompt that was about to leave may still arrive; nobody hears the answer.
        self.puppet.release_all();
        within("the tasks end", tasks.wait()).await;
        drop((sessions, store, retention));
    }

    /// Looks once at what has to go, as if it were so much later.
    pub(crate) async fn look_later(&self, later: Duration) {
        let later = u64::try_from(later.as_millis()).expect("a time of ours");
        self.live.as_ref().expect("running").retention.look(wall_ms() + later).await;
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.live.as_ref().expect("running").metrics
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.live.as_ref().expect("running").sessions
    }

    /// Posts a turn on session `s` as its owner.
    pub(crate) async fn post(&self, execution: &str) -> Result<Started, StartError> {
        self.post_as(Some(GOOD), Some("s"), Some(execution), None).await
    }

    pub(crate) async fn post_as(
        &self,
        who: Option<&str>,
        session: Option<&str>,
        execution: Option<&str>,
        turn: Option<&str>,
    ) -> Result<Started, StartError> {
        let request = request(who, session, execution, turn);
        self.sessions().start_turn(&BoxName::default_box(), request).await
    }

    pub(crate) fn session(&self, id: &str) -> Option<Arc<Session>> {
        let id = SessionId::parse(id).expect("an id");
        self.sessions().session(&BoxName::default_box(), &id)
    }

    pub(crate) fn turn(&self, execution: &str) -> Option<TurnRef> {
        let id = ExecutionId::parse(execution).expect("an id");
        self.sessions().turn(&BoxName::default_box(), &id)
    }

    /// Reads as this credential would, and so offers it.
    pub(crate) async fn look(&self, session: &str, who: Option<&str>) -> Result<(), u16> {
        let session = self.session(session).expect("a session");
        let who = who.map(Credential::new).map(Caller::Holder);
        let may = self.sessions().may_read(&session, who.as_ref()).await;
        may.map_err(|denied| denied.status.as_u16())
    }

    /// Waits until this turn has its verdict.
    pub(crate) async fn ended(&self, execution: &str) -> TurnRef {
        let turn = self.turn(execution).expect("a turn");
        until("the turn ends", || turn.last().is_some()).await;
        turn
    }

    /// The same, and gives its events.
    pub(crate) async fn finished(&self, execution: &str) -> Vec<Line> {
        let turn = self.ended(execution).await;
        let (from, last) = (turn.from.get(), turn.last().expect("just seen").get());
        let all = events(&turn.session).await;
        all.into_iter().filter(|(seq, ..)| (from..=last).contains(seq)).collect()
    }
}

/// What a client posts.
pub(crate) fn request(
    who: Option<&str>,
    session: Option<&str>,
    execution: Option<&str>,
    turn: Option<&str>,
) -> TurnRequest {
    TurnRequest {
        session: session.map(|id| SessionId::parse(id).expect("an id")),
        execution: execution.map(|id| ExecutionId::parse(id).expect("an id")),
        turn: turn.map(|id| TurnId::parse(id).expect("an id")),
        who: who.map(Credential::new).map(Caller::Holder),
        body: Body {
            headers: HeaderMap::new(),
            bytes: bytes::Bytes::from_static(b"{\"message\":\"hi\"}"),
        },
    }
}

/// Everything that a session's log shows now; numbers are checked to be without holes.
pub(crate) async fn events(session: &Session) -> Vec<Line> {
    let mut lines = Vec::new();
    let last = session.tail().next_seq.previous();
    let mut cursor = session.cursor(Seq::START);
    let text = |bytes: &bytes::Bytes| String::from_utf8_lossy(bytes).into_owned();
    while lines.len() < usize::try_from(last.get()).expect("few") {
        let step = within("the log is read", cursor.next()).await.expect("readable");
        let Step::Records(records) = step else { panic!("not records but {step:?}") };
        for logged in records {
            if let Logged::Event { seq, event } = logged {
                assert_eq!(seq.get(), lines.len() as u64 + 1, "numbers have a hole");
                lines.push((seq.get(), text(event.name.as_bytes()), text(event.data.as_bytes())));
            }
        }
    }
    lines
}

/// The names of events.
pub(crate) fn names(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|(_, name, _)| name.as_str()).collect()
}

/// Holds what a turn's `done` tells of its lines against the lines.
#[track_caller]
pub(crate) fn check_digest(lines: &[Line]) {
    let Some(((_, name, done), before)) = lines.split_last() else { panic!("no lines") };
    assert_eq!(name, "done", "{lines:?}");
    let frame = |(id, name, data): &Line| format!("id: {id}\nevent: {name}\ndata: {data}\n\n");
    let digest = blake3::hash(before.iter().map(frame).collect::<String>().as_bytes());
    let told = format!(",\"events\":{},\"digest\":\"{digest}\"}}", before.len());
    assert!(done.ends_with(&told), "not {told} in {lines:?}");
}

/// Waits for a fact that has no channel of its own.
pub(crate) async fn until(what: &str, fact: impl Fn() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let deadline = Instant::now() + PATIENCE;
    while !fact() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        ticks.tick().await;
    }
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}
