//! What a scenario on a simulated box needs, put up in one go: the box, the hop in front of it,
//! the daemon.

use std::net::SocketAddr;
use std::time::Duration;

use afterbay::simbox::{self, Faults, Simbox};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::client::{Client, Turn, WAYS};
use super::super::daemon::{self, Daemon};
use super::link::Link;

/// Silences of connections that no scenario reaches by chance.
pub(crate) const NO_CUTTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The whole set-up. Fields are dropped in this order: the daemon first.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) daemon: Daemon,
    /// Between the daemon and the box.
    pub(crate) link: Link,
    pub(crate) simbox: Simbox,
    /// The box itself, past the hop.
    pub(crate) box_address: SocketAddr,
    _server: JoinSet<()>,
}

impl Set {
    /// Puts it up for turns that wait for a person: the box is asked seldom then, and a test has no
    /// time.
    pub(crate) async fn for_waiting_turns() -> Self {
        let flags = vec!["--poll-waiting", "200ms"];
        let daemon = daemon::Settings { flags, ..daemon::Settings::default() };
        Self::with(Settings { daemon, ..Settings::default() }).await
    }

    /// Puts everything up.
    pub(crate) async fn with(settings: Settings) -> Self {
        let Settings { tokens, idle_cut, mut daemon } = settings;
        let simbox = Simbox::new(Faults::default());
        simbox.accept_tokens(tokens);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the box");
        let box_address = listener.local_addr().expect("the box's address");
        let mut server = JoinSet::new();
        let served = simbox.clone().serve(listener, CancellationToken::new());
        server.spawn(async move { served.await.expect("serve the box") });
        let link = Link::start(box_address, idle_cut.unwrap_or(NO_CUTTER)).await;
        daemon.kind = daemon::Kind::Tangle;
        let daemon = Daemon::start(format!("http://{}", link.address()), daemon).await;
        Self { daemon, link, simbox, box_address, _server: server }
    }

    /// A client of `turn` that talks to the daemon directly.
    pub(crate) fn client(&self, turn: Turn) -> Client {
        Client::new(self.daemon.address(), turn, &WAYS)
    }

    /// What the box says of the client's turn.
    pub(crate) fn told(&self, client: &Client) -> simbox::Turn {
        let execution = client.execution.as_deref().expect("the client knows its execution");
        let account = self.simbox.account();
        let told = account.turn(execution).unwrap_or_else(|| panic!("no {execution} at the box"));
        told.clone()
    }
}

/// How the set-up is to be.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// What the box accepts; without any it asks for none.
    pub(crate) tokens: Vec<String>,
    /// Between the daemon and the box, connections are cut when they are silent for so long.
    pub(crate) idle_cut: Option<Duration>,
    pub(crate) daemon: daemon::Settings,
}
