//! `Config -> bound -> running -> stopped`.
//!
//! [`run`] builds the floors, serves both doors, says so (`announcement`), and stops in order when it
//! is told: readiness goes and new turns are refused, streams end, connections drain, drivers stop
//! after the append in hand, the log closes last. All of that within the grace; what hangs beyond
//! it is named and left. Whatever was answered is durable already, so leaving loses nothing.

mod announcement;
mod answers;
mod assembly;
mod connections;
mod data;
mod listeners;
mod own_door;
mod reload;
mod sandbox_api;
mod terms;

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Identity};
use crate::http::admin::{Controls, LogLevel};
use crate::shutdown::Hangups;
use crate::supervisor::Supervisor;
use crate::tasks::Tasks;
pub use announcement::Addresses;
use announcement::{Announced, Announcement};
pub use answers::Answers;
use assembly::{House, Plan};
pub use connections::{Wire, serve_connections};
pub use listeners::{Listeners, raise_descriptor_limit};
pub use reload::Reread;
use reload::{Fixed, Reload};
use sandbox_api::Bound;
pub use terms::{Ends, Newcomers, Settings};

/// What the program has to do with besides its clients.
pub struct Outside<'a> {
    /// Who started it, and hears how it is.
    pub supervisor: &'a Supervisor,
    /// Calls to read the configuration anew.
    pub hangups: Hangups,
    /// How that is done.
    pub reread: Reread,
    /// The level of the log.
    pub level: LogLevel,
}

impl fmt::Debug for Outside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("supervisor", self.supervisor).finish_non_exhaustive()
    }
}

/// Serves until `stop` resolves, then stops in order. The supervisor hears of both.
///
/// # Errors
/// If a box is this program, the floors cannot be built, a door dies, or the log does not close in time.
pub async fn run(
    config: Config,
    listeners: Listeners,
    outside: Outside<'_>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let Outside { supervisor, mut hangups, reread, level } = outside;
    let fixed = Fixed::of(&config);
    let Config {
        boxes,
        api,
        authorities,
        mode,
        data_dir,
        listen: _,
        identity,
        callers,
        tokens,
        credentials,
        deadlines,
        poll,
        streams,
        retention,
        shutdown_grace,
        telemetry,
    } = config;
    let Listeners { clients, operators, newcomers } = listeners;
    let bound = clients.local_addr().context("ask for the clients' address")?;
    let admin = operators.as_ref().map(TcpListener::local_addr).transpose();
    let admin = admin.context("ask for the operators' address")?;
    let doors: Vec<_> = [bound].into_iter().chain(admin).collect();
    own_door::check(&boxes, api.as_ref(), telemetry.otlp.as_ref(), &doors).await?;
    let (scheme, wire) = wire(identity.clone());
    let (ends, shutdown) = (Ends::default(), CancellationToken::new());
    let plan = Plan {
        data_dir: data_dir.clone(),
        boxes,
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
        grace: shutdown_grace,
        otlp: telemetry.otlp.clone(),
        bound: Bound { scheme, clients: bound, operators: admin },
        drain: ends.drain.clone(),
        controls: Controls { log_level: level.clone(), shutdown: shutdown.clone() },
    };
    let (house, replaceable) = House::build(plan).await?;
    let reload = Reload::new(replaceable, identity, level, fixed);
    let settings = Settings { newcomers, ..Settings::CLIENTS };
    let mut clients =
        Door::open("clients' door", clients, wire, house.clients.clone(), settings, ends);
    let mut operators = operators.map(|listener| Door::operators(listener, &house));
    let admin = admin.map(|admin| Addresses::url("http", admin));
    let addresses = Addresses { clients: Addresses::url(scheme, bound), admin };
    let announcement = Announcement { addresses, token: house.token.clone(), data_dir };
    let announced = announcement.make(telemetry.format).await;
    supervisor.ready();
    // Dropping `stop` or a door's wait loses nothing: what they wait for stays true. Telling and
    // reloading never end; a reload that is dropped has replaced nothing, or all.
    tokio::select! {
        () = stop => {}
        () = shutdown.cancelled() => tracing::info!("an operator asks to stop"),
        () = supervisor.keep_telling() => {}
        () = reload.follow(&mut hangups, &reread, supervisor) => {}
        () = clients.died() => anyhow::bail!("the clients' door died"),
        () = died(operators.as_mut()) => anyhow::bail!("the operators' door died"),
    }
    supervisor.stopping();
    stop_in_order(clients, operators, house, announced, shutdown_grace).await
}

/// As [`Door::died`]; a door that is not there cannot.
async fn died(door: Option<&mut Door>) {
    match door {
        Some(door) => door.died().await,
        None => std::future::pending().await,
    }
}

/// What clients' bytes travel in, and its name in a URL.
fn wire(identity: Option<Identity>) -> (&'static str, Wire) {
    match identity {
        None => ("http", Wire::Clear),
        Some(identity) => ("https", Wire::Tls(identity)),
    }
}

/// One listener being served.
struct Door {
    ends: Ends,
    connections: Tasks,
    serving: JoinHandle<()>,
}

impl Door {
    fn open(
        name: &'static str,
        listener: TcpListener,
        wire: Wire,
        service: impl Answers,
        settings: Settings,
        ends: Ends,
    ) -> Self {
        let connections = Tasks::new();
        let serve =
            serve_connections(listener, wire, service, settings, ends.clone(), connections.clone());
        let serving = connections.spawn(name, serve);
        Self { ends, connections, serving }
    }

    fn operators(listener: TcpListener, house: &House) -> Self {
        let (routes, settings) = (house.operators.clone(), Settings::OPERATORS);
        Self::open("operators' door", listener, Wire::Clear, routes, settings, Ends::default())
    }

    /// Resolves when the accept loop ends unasked, which only a panic does.
    async fn died(&mut self) {
        // The panic itself has been logged by its hook.
        let _ = (&mut self.serving).await;
    }
}

/// How much of the grace connections get: a little more than the 70 % within which the doors end
/// their streams. Drivers only finish the append in hand.
fn connections_share(grace: Duration) -> Duration {
    grace / 4 * 3
}

/// Connections end first, then drivers, then the log. The operators' door goes last, so that
/// probes see the whole of it.
async fn stop_in_order(
    clients: Door,
    operators: Option<Door>,
    house: House,
    announced: Announced,
    grace: Duration,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    tracing::info!(?grace, "stopping");
    let mut at_work =
        AtWork { connections: &clients.connections, drivers: &house.tasks, is_over: false };
    clients.ends.drain.cancel();
    end_by(begun + connections_share(grace), "connections", &clients.connections).await;
    clients.ends.cut.cancel();
    house.tasks.stop();
    end_by(begun + grace, "drivers", &house.tasks).await;
    at_work.is_over = true;
    drop(at_work);
    // While the folder is still held: it may be the next process's file by the time that it is not.
    announced.take_back().await;
    let closed = house.close().await;
    if let Some(operators) = operators {
        operators.ends.cut.cancel();
    }
    closed.context("the log did not close in time")?;
    tracing::info!(took = ?begun.elapsed(), "stopped");
    Ok(())
}

/// Waits for `tasks` until `end`, and names those that hang.
async fn end_by(end: Instant, what: &'static str, tasks: &Tasks) {
    if timeout_at(end, tasks.wait()).await.is_err() {
        let hanging = tasks.names();
        tracing::warn!(what, ?hanging, "the grace is over; these are left");
    }
}

/// What an end waits for. Dropped before that end, which is what a second signal does, it names what is
/// left.
struct AtWork<'a> {
    connections: &'a Tasks,
    drivers: &'a Tasks,
    is_over: bool,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let Self { connections, drivers, is_over } = self;
        if !*is_over {
            let (connections, drivers) = (connections.names(), drivers.names());
            tracing::warn!(?connections, ?drivers, "the end is not waited for; these are left");
        }
    }
}
