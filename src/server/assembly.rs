//! Builds the floors from the configuration and takes them down again.
//!
//! The only place that knows them all. [`House::build`] opens what must be open before anything is
//! served; the order in which it is taken down is the server's, the acts are [`House::close`]'s.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio_util::sync::CancellationToken;

use crate::config::{
    Callers, Credentials, Deadlines, OnAbandon, Poll, Retention, SessionBus, Streams, Upstream,
};
use crate::credential::{HashKey, OwnToken};
use crate::http::admin::{self, Admin, Latch, ShownBox};
use crate::http::boxes::FurtherBox;
use crate::http::guard::Allowed;
use crate::http::own_tokens::OwnTokens;
use crate::http::passthrough::Passthrough;
use crate::http::{self, Doors};
use crate::limits;
use crate::log::{Options, RealDisk, Store};
use crate::metrics::{self, Metrics};
use crate::mode::{BoxKind, Mode};
use crate::session::boxes::{BoxEntry, Boxes};
use crate::session::readers_key::{self, Key};
use crate::session::recovered::Recovered;
use crate::session::retention::{self, Keep};
use crate::session::sealed::{self, Vault};
use crate::session::{self, Sessions};
use crate::tasks::Tasks;
use crate::turn;
use crate::upstream::budget::{BoxBudget, ProxyBudget};
use crate::upstream::client::BoxClient;
use crate::upstream::connect::Connect;
use crate::upstream::opencode::Opencode;
use crate::upstream::reach::Reach;
use crate::upstream::schedule::Intervals;
use crate::upstream::tangle::{self, Tangle};
use crate::upstream::trust::{Authorities, Trust};
use crate::upstream::via::ViaName;

/// What the floors are built from.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) data_dir: PathBuf,
    /// The box at the root.
    pub(super) upstream: Upstream,
    pub(super) further: Vec<Upstream>,
    /// Who else is trusted to say who a box is.
    pub(super) authorities: Authorities,
    pub(super) mode: Mode,
    pub(super) callers: Callers,
    pub(super) tokens: Option<Vec<OwnToken>>,
    pub(super) credentials: Credentials,
    pub(super) deadlines: Deadlines,
    pub(super) poll: Poll,
    pub(super) streams: Streams,
    pub(super) retention: Retention,
    pub(super) grace: Duration,
    /// Where clients really connect: port 0 is resolved by now.
    pub(super) bound: SocketAddr,
    /// Fires when the program begins to stop: not ready any more, no new turns, streams end.
    pub(super) drain: CancellationToken,
}

/// The floors, running.
#[derive(Debug)]
pub(super) struct House {
    /// The clients' door.
    pub(super) clients: Router,
    /// The operators' door.
    pub(super) operators: Router,
    /// Every task that is not a connection: drivers above all.
    pub(super) tasks: Tasks,
    store: Store,
}

impl House {
    /// Opens the log, resumes its turns, and hangs the doors.
    ///
    /// # Errors
    /// If the data folder is held by another process, damaged or not writable.
    pub(super) async fn build(plan: Plan) -> anyhow::Result<Self> {
        let Plan {
            data_dir,
            upstream,
            further,
            authorities,
            mode,
            callers,
            tokens,
            credentials,
            deadlines,
            poll,
            streams,
            retention,
            grace,
            bound,
            drain,
        } = plan;
        let metrics = Metrics::new()?;
        let (tasks, resumed) = (Tasks::new(), Latch::default());
        let is_tls = std::iter::once(&upstream).chain(&further).any(|one| one.endpoint.is_tls());
        let (connect, via) = (connect(is_tls, authorities).await?, ViaName::random());
        let front = |one: &Upstream| front(one, &connect, via.clone());
        let FurtherBox { name: box_name, passthrough, result_path } = front(&upstream);
        let shown = shown(&upstream, &further);
        let doors_further = further.iter().map(front).collect();
        let boxes = std::iter::once(upstream).chain(further);
        let boxes = configured_boxes(boxes, &connect, &via, poll, &metrics.upstream);
        let opened = open_data(data_dir, credentials, metrics.log.clone()).await?;
        let Opened { store, recovered, hash_key, vault } = opened;
        let tokens = tokens.map(|all| OwnTokens::required(hash_key.clone(), &all));
        let sessions = Sessions::open(
            session::Config {
                store: store.clone(),
                boxes,
                hash_key,
                vault,
                deadlines: turn_deadlines(deadlines),
                intervals: intervals(poll),
                fidelity: streams.fidelity,
                vouching: callers.readers,
                keep: keep(retention),
                tasks: tasks.clone(),
                drain: drain.clone(),
                metrics: metrics.turn.clone(),
            },
            recovered,
        );
        resumed.set();
        let keeping = retention::Retention::new(sessions.clone(), metrics.retention.clone());
        let room = sessions.room().clone();
        tasks.spawn("retention", keeping.run());
        let doors = Doors {
            sessions,
            passthrough,
            settings: http::Settings {
                result_path,
                tokens: tokens.unwrap_or_default(),
                ..door_settings(mode, callers, streams, grace, bound)
            },
            metrics: metrics.http.clone(),
            drain: drain.clone(),
            tasks: tasks.clone(),
            box_name,
            further: doors_further,
        };
        let admin =
            Admin { store: store.clone(), room, resumed, drain, mode, boxes: shown, metrics };
        Ok(Self { clients: http::router(doors), operators: admin::router(admin), tasks, store })
    }

    /// Closes the log: what is queued is written and synced. Comes last.
    pub(super) async fn close(self) {
        let Self { clients: _, operators: _, tasks: _, store } = self;
        store.close().await;
    }
}

/// The data folder, open.
struct Opened {
    store: Store,
    recovered: Recovered,
    hash_key: HashKey,
    vault: Option<Vault>,
}

/// Opens the key, the log and what is sealed, all under its lock; off the runtime's threads, since it reads all of it.
async fn open_data(
    data_dir: PathBuf,
    credentials: Credentials,
    metrics: metrics::log::Metrics,
) -> anyhow::Result<Opened> {
    let open = move || {
        let folder = data_dir.join("log");
        let disk = RealDisk::open(&folder)
            .with_context(|| format!("open the data folder {}", data_dir.display()))?;
        // Before the log, which takes what room there is ahead of need.
        let key = readers_key::load_or_create(&data_dir)?;
        let mut recovered = Recovered::default();
        let options = Options::new(turn::control::role);
        let store =
            Store::open(Arc::new(disk), options, metrics, &mut |found| recovered.fold(found))
                .with_context(|| format!("open the log in {}", folder.display()))?;
        let hash_key = match key {
            Key::Loaded(key) => key,
            Key::Created(key) => {
                if !recovered.is_empty() {
                    tracing::warn!(
                        "the readers' key is new: former credentials must be shown to the box again"
                    );
                }
                key
            }
        };
        let vault =
            open_vault(&data_dir, credentials, &mut recovered).context("open the sealed files")?;
        Ok(Opened { store, recovered, hash_key, vault })
    };
    tokio::task::spawn_blocking(open).await.context("open the data folder")?
}

/// How configured boxes are connected to: wherever they are. Who is trusted is read where a box is
/// reached by TLS, and nowhere else; off the runtime's threads, since it reads files.
async fn connect(is_tls: bool, authorities: Authorities) -> anyhow::Result<Connect> {
    if !is_tls {
        return Ok(Connect::default());
    }
    let trust = tokio::task::spawn_blocking(move || Trust::with(&authorities)).await;
    let trust = trust.context("read the certificate authorities")??;
    Ok(Connect::new(trust, Reach::Any))
}

fn open_vault(
    data_dir: &Path,
    credentials: Credentials,
    recovered: &mut Recovered,
) -> Result<Option<Vault>, sealed::Error> {
    match credentials {
        Credentials::Memory => sealed::clear(data_dir).map(|()| None),
        Credentials::Sealed(key) => {
            let vault = Vault::open(data_dir, key)?;
            recovered.unseal(&vault)?;
            Ok(Some(vault))
        }
    }
}

/// The boxes as operators see them.
fn shown(root: &Upstream, further: &[Upstream]) -> Vec<ShownBox> {
    let all = std::iter::once(root).chain(further);
    all.map(|one| ShownBox::new(&one.name, one.kind)).collect()
}

/// One box as the doors see it, with connections of its own.
fn front(upstream: &Upstream, connect: &Connect, via: ViaName) -> FurtherBox {
    let Upstream { name, endpoint, result_path, .. } = upstream;
    let passthrough = Passthrough::new(endpoint.clone().fixed(), connect).known_as(via);
    FurtherBox { name: name.clone(), passthrough, result_path: result_path.clone() }
}

/// The boxes as sessions see them.
fn configured_boxes(
    configured: impl Iterator<Item = Upstream>,
    connect: &Connect,
    via: &ViaName,
    poll: Poll,
    metrics: &metrics::upstream::Metrics,
) -> Boxes {
    // Polls of all boxes count together, so there is one budget that each box's is within.
    let all = ProxyBudget::new(poll.rate_total);
    configured.fold(Boxes::default(), |boxes, upstream| {
        let (name, endpoint) = (upstream.name.clone(), upstream.endpoint.clone().fixed());
        let client = BoxClient::new(endpoint, connect, metrics.clone()).known_as(via.clone());
        boxes.with(name, box_entry(upstream, client, all.for_box(poll.rate)))
    })
}

/// One box as sessions see it.
fn box_entry(upstream: Upstream, client: BoxClient, budget: BoxBudget) -> BoxEntry {
    let Upstream { name: _, endpoint: _, kind, credential, lane, result_path } = upstream;
    let adapter: Arc<dyn crate::upstream::Upstream> = match kind {
        BoxKind::Tangle => Arc::new(Tangle::new(client, tangle::Settings { lane, result_path })),
        BoxKind::Opencode => Arc::new(Opencode::new(client)),
    };
    BoxEntry { upstream: adapter, budget, credential }
}

fn turn_deadlines(configured: Deadlines) -> turn::Deadlines {
    let Deadlines { start, unreachable, unauthorized, quiet, turn, idle, on_abandon } = configured;
    match on_abandon {
        OnAbandon::Finish => {}
    }
    let redispatch = limits::REDISPATCH_GRACE;
    turn::Deadlines { start, redispatch, unreachable, unauthorized, quiet, turn, lost: idle }
}

const fn intervals(poll: Poll) -> Intervals {
    let Poll { fast, slow, waiting, rate: _, rate_total: _ } = poll;
    Intervals { fastest: fast, slowest: slow, waiting }
}

const fn keep(configured: Retention) -> Keep {
    let Retention { age, total, session, free, idempotency_age } = configured;
    Keep { age, total, session, free, idempotency_age }
}

/// Hosts that are bound or configured are ours; so is the public URL's, which the configuration
/// has put among them.
fn door_settings(
    mode: Mode,
    callers: Callers,
    streams: Streams,
    grace: Duration,
    bound: SocketAddr,
) -> http::Settings {
    let Callers { mut hosts, public_url: _, readers: _, origins } = callers;
    let Streams { head_wait, heartbeat, session_bus, fidelity } = streams;
    let session_bus = match session_bus {
        SessionBus::Log => http::SessionBus::Log,
        SessionBus::Pass => http::SessionBus::Pass,
    };
    hosts.push(bound.ip().to_string());
    let allowed = Allowed { hosts, origins };
    let usual = http::Settings::default();
    http::Settings { mode, session_bus, fidelity, head_wait, heartbeat, allowed, grace, ..usual }
}
