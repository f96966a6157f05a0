//! Builds the floors from the configuration and takes them down again.
//!
//! The only place that knows them all. [`House::build`] opens what must be open before anything is
//! served; the order in which it is taken down is the server's, the acts are [`House::close`]'s.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::announcement::Addresses;
use super::data::{Opened, open_data};
use super::reload::Replaceable;
use super::sandbox_api::{self, Bound, Wired};
use crate::config::{
    Api, Callers, Credentials, Deadlines, OnAbandon, Poll, Retention, SessionBus, Streams, Upstream,
};
use crate::credential::{AdminToken, HashKey, OwnToken};
use crate::http::admin::{self, Admin, Controls, Latch, ShownBox};
use crate::http::boxes::NamedBox;
use crate::http::guard::Allowed;
use crate::http::own_tokens::OwnTokens;
use crate::http::passthrough::Passthrough;
use crate::http::{self, Doors};
use crate::limits;
use crate::log::Store;
use crate::metrics::{self, Metrics};
use crate::mode::{BoxKind, Mode};
use crate::session::boxes::{BoxEntry, Boxes};
use crate::session::retention::{self, Keep};
use crate::session::{self, Sessions};
use crate::tasks::Tasks;
use crate::telemetry::otlp::{self, Export};
use crate::turn::{self, verdict};
use crate::upstream;
use crate::upstream::budget::{BoxBudget, ProxyBudget};
use crate::upstream::client::BoxClient;
use crate::upstream::connect::Connect;
use crate::upstream::endpoint::Endpoint;
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
    /// The first one is at the root.
    pub(super) boxes: Vec<Upstream>,
    pub(super) api: Option<Api>,
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
    /// Where a collector of traces is.
    pub(super) otlp: Option<Endpoint>,
    /// Where clients and operators really connect.
    pub(super) bound: Bound,
    /// Fires when the program begins to stop: not ready any more, no new turns, streams end.
    pub(super) drain: CancellationToken,
    /// For operators.
    pub(super) controls: Controls,
}

/// The floors, running.
#[derive(Debug)]
pub(super) struct House {
    /// The clients' door.
    pub(super) clients: http::Service,
    /// The operators' door.
    pub(super) operators: Router,
    /// Every task that is not a connection: drivers above all.
    pub(super) tasks: Tasks,
    /// What lets operators in.
    pub(super) token: AdminToken,
    store: Store,
    export: Export,
}

impl House {
    /// Opens the log, resumes its turns, and hangs the doors.
    ///
    /// # Errors
    /// If the data folder is held by another process, damaged or not writable.
    pub(super) async fn build(plan: Plan) -> anyhow::Result<(Self, Replaceable)> {
        let Plan {
            data_dir,
            boxes: configured,
            api,
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
            otlp,
            bound,
            drain,
            controls,
        } = plan;
        let metrics = counters(&configured, api.as_ref())?;
        let (tasks, resumed, via) = (Tasks::new(), Latch::default(), ViaName::random());
        let connect = connect(tls(&configured, api.as_ref(), otlp.as_ref()), authorities).await?;
        // Polls of all boxes count together, so there is one budget that each box's is within.
        let polls = (ProxyBudget::new(poll.rate_total), poll.rate);
        let views = Views::of(configured, &connect, &via, &polls, &metrics.upstream);
        let opened = open_data(data_dir.clone(), credentials, metrics.log.clone()).await?;
        let Opened { store, recovered, hash_key, vault, token } = opened;
        let tokens = own_tokens(tokens, &hash_key);
        let (tracer, export) = otlp::start(otlp.as_ref(), &connect, &metrics.trace);
        let api = api.map(|api| wired(api, connect, via, &callers, bound));
        let (boxes, front) =
            sandbox_api::behind(api, views.boxes, data_dir, polls, &metrics).await?;
        let replaceable = replaceable(&tokens, &hash_key, &boxes, &metrics);
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
                tracer,
            },
            recovered,
        );
        resumed.set();
        keep_up(&sessions, &metrics, &tasks);
        let doors = Doors {
            sessions,
            settings: door_settings(mode, callers, streams, grace, bound, tokens),
            metrics: metrics.http.clone(),
            drain: drain.clone(),
            tasks: tasks.clone(),
            root: views.root,
            further: views.further,
            front,
        };
        let (entry, clients) = (token.clone(), Addresses::url(bound.scheme, bound.clients));
        let service = http::Service::new(doors.clone());
        let boxes = views.shown;
        let admin = Admin { token: entry, resumed, doors, boxes, metrics, controls, clients };
        let operators = admin::router(admin);
        Ok((Self { clients: service, operators, tasks, token, store, export }, replaceable))
    }

    /// Closes the log: what is queued is written and synced. Comes last. The last spans go meanwhile.
    ///
    /// # Errors
    /// If the log does not close in time.
    pub(super) async fn close(self) -> Result<(), Elapsed> {
        let Self { clients: _, operators: _, tasks: _, token: _, store, export } = self;
        let (closed, ()) =
            tokio::join!(timeout(limits::LOG_CLOSE_WAIT, store.close()), export.finish());
        closed
    }
}

/// All counters, those of the boxes at 0: a series that is born at 1 never shows as an increase.
fn counters(boxes: &[Upstream], api: Option<&Api>) -> anyhow::Result<Metrics> {
    let metrics = Metrics::new()?;
    let configured = boxes.iter().map(|one| (one.name.as_str(), one.kind));
    let learned = api.map(|_| (metrics::LEARNED_BOXES, BoxKind::Tangle));
    for (name, kind) in configured.chain(learned) {
        let of_box = metrics.turn.of_box(name, kind);
        of_box.begin();
        verdict::begin_counters(&of_box);
        upstream::Error::CLASSES.into_iter().for_each(|class| drop(of_box.errors(class)));
        metrics.http.begin(name);
    }
    Ok(metrics)
}

fn own_tokens(tokens: Option<Vec<OwnToken>>, hash_key: &HashKey) -> OwnTokens {
    let own = tokens.map(|tokens| OwnTokens::required(hash_key.clone(), &tokens));
    own.unwrap_or_default()
}

fn wired(api: Api, connect: Connect, via: ViaName, callers: &Callers, bound: Bound) -> Wired {
    Wired { api, connect, via, public_url: callers.public_url.clone(), bound }
}

/// The parts that a reload replaces; they share them with the floors.
fn replaceable(
    tokens: &OwnTokens,
    hash_key: &HashKey,
    boxes: &Boxes,
    metrics: &Metrics,
) -> Replaceable {
    let (tokens, hash_key) = (tokens.clone(), hash_key.clone());
    Replaceable { tokens, hash_key, boxes: boxes.clone(), metrics: metrics.reload.clone() }
}

/// What goes on by itself as long as the program runs.
fn keep_up(sessions: &Sessions, metrics: &Metrics, tasks: &Tasks) {
    let keeping = retention::Retention::new(sessions.clone(), metrics.retention.clone());
    tasks.spawn("retention", keeping.run());
    tasks.spawn("learned boxes", sessions.clone().forget_unseen_boxes());
}

/// Whether anything is reached by TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    Never,
    /// No box that is configured; one that is learned may be, or the collector of traces, for which nothing
    /// else stands still.
    Perhaps,
    Surely,
}

fn tls(boxes: &[Upstream], api: Option<&Api>, otlp: Option<&Endpoint>) -> Tls {
    let configured = boxes.iter().map(|one| &one.endpoint);
    let mut configured = configured.chain(api.map(|api| &api.endpoint));
    if configured.any(Endpoint::is_tls) {
        Tls::Surely
    } else if api.is_some() || otlp.is_some_and(Endpoint::is_tls) {
        Tls::Perhaps
    } else {
        Tls::Never
    }
}

/// How configured boxes are connected to: wherever they are. Who is trusted is read where something
/// is reached by TLS, and nowhere else; off the runtime's threads, since it reads files.
async fn connect(tls: Tls, authorities: Authorities) -> anyhow::Result<Connect> {
    if tls == Tls::Never {
        return Ok(Connect::default());
    }
    let trust = tokio::task::spawn_blocking(move || Trust::with(&authorities)).await;
    match (trust.context("read the certificate authorities")?, tls) {
        (Ok(trust), _) => Ok(Connect::new(trust, Reach::Any)),
        (Err(error), Tls::Perhaps) => {
            tracing::warn!(%error, "no box that is learned, and no collector, can be reached by https");
            Ok(Connect::default())
        }
        (Err(error), Tls::Never | Tls::Surely) => Err(error.into()),
    }
}

/// The configured boxes, as each floor sees them.
struct Views {
    /// The doors: the one at the root, and the others.
    root: Option<NamedBox>,
    further: Vec<NamedBox>,
    /// The operators.
    shown: Vec<ShownBox>,
    /// The sessions.
    boxes: Boxes,
}

impl Views {
    fn of(
        configured: Vec<Upstream>,
        connect: &Connect,
        via: &ViaName,
        polls: &(ProxyBudget, NonZeroU32),
        metrics: &metrics::upstream::Metrics,
    ) -> Self {
        let shown = configured.iter().map(|one| ShownBox::new(&one.name, one.kind)).collect();
        let mut named = configured.iter().map(|one| named_box(one, connect, via.clone()));
        let (root, further) = (named.next(), named.collect());
        let boxes = configured_boxes(configured, connect, via, polls, metrics);
        Self { root, further, shown, boxes }
    }
}

/// One box as the doors see it, with connections of its own.
fn named_box(upstream: &Upstream, connect: &Connect, via: ViaName) -> NamedBox {
    let Upstream { name, endpoint, result_path, .. } = upstream;
    let passthrough = Passthrough::new(endpoint.clone().fixed(), connect).known_as(via);
    NamedBox { name: name.clone(), passthrough, result_path: result_path.clone() }
}

/// The configured boxes as sessions see them.
fn configured_boxes(
    configured: Vec<Upstream>,
    connect: &Connect,
    via: &ViaName,
    (all, rate): &(ProxyBudget, NonZeroU32),
    metrics: &metrics::upstream::Metrics,
) -> Boxes {
    configured.into_iter().fold(Boxes::default(), |boxes, upstream| {
        let (name, endpoint) = (upstream.name.clone(), upstream.endpoint.clone().fixed());
        let client = BoxClient::new(endpoint, connect, metrics.clone()).known_as(via.clone());
        boxes.with(name, box_entry(upstream, client, all.for_box(*rate)))
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
    bound: Bound,
    tokens: OwnTokens,
) -> http::Settings {
    let Callers { mut hosts, public_url: _, readers: _, origins } = callers;
    let Streams { head_wait, heartbeat, session_bus, fidelity } = streams;
    let session_bus = match session_bus {
        SessionBus::Log => http::SessionBus::Log,
        SessionBus::Pass => http::SessionBus::Pass,
    };
    hosts.push(bound.clients.ip().to_string());
    let allowed = Allowed { hosts, origins };
    let usual = http::Settings::default();
    let usual = http::Settings { tokens, allowed, grace, ..usual };
    http::Settings { mode, session_bus, fidelity, head_wait, heartbeat, ..usual }
}
