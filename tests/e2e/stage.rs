//! Everything a scenario needs, put up in one go: the fake model, the box, the hop in front of
//! the box, the daemon.

use super::box_hop::BoxHop;
use super::client::{Client, Turn, WAYS};
use super::client_hop::{ClientHop, Plan};
use super::daemon::{self, Daemon};
use super::fake_model::FakeModel;
use super::opencode::{self, Opencode};
use super::oracle::{self, Verdict};

/// The whole set-up. Fields are dropped in this order: the daemon first.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) hop: BoxHop,
    pub(crate) opencode: Opencode,
    pub(crate) model: FakeModel,
}

impl Stage {
    /// Puts everything up as most scenarios want it.
    pub(crate) async fn start() -> Self {
        Self::with(opencode::Settings::default(), daemon::Settings::default()).await
    }

    /// Puts everything up.
    pub(crate) async fn with(opencode: opencode::Settings, daemon: daemon::Settings) -> Self {
        let model = FakeModel::start().await;
        let opencode = Opencode::start(&model.base_url(), opencode).await;
        let hop = BoxHop::start(opencode.address()).await;
        let daemon = Daemon::start(hop.url(), daemon).await;
        Self { daemon, hop, opencode, model }
    }

    /// A client of `turn` that talks to the daemon directly.
    pub(crate) fn client(&self, turn: Turn) -> Client {
        Client::new(self.daemon.address(), turn, &WAYS)
    }

    /// A client of `turn` behind a hop with these plans.
    pub(crate) async fn behind(
        &self,
        turn: Turn,
        plans: impl IntoIterator<Item = Plan>,
    ) -> (Client, ClientHop) {
        let hop = ClientHop::start(self.daemon.address(), plans).await;
        (Client::new(hop.address(), turn, &WAYS), hop)
    }

    /// Checks a turn that should have completed: the oracle, the text, one prompt sent and run.
    pub(crate) async fn check_completed(&self, client: &Client) {
        oracle::check(client, self.daemon.address(), Verdict::Completed).await;
        let marker = &client.turn.marker;
        let said = self.opencode.final_text(marker).await;
        assert_eq!(said.as_deref(), Some(oracle::final_text(client)), "{marker}: the text");
        self.check_sent_once(client);
    }

    /// Checks a turn that should have ended otherwise.
    pub(crate) async fn check_ended(&self, client: &Client, verdict: Verdict) {
        oracle::check(client, self.daemon.address(), verdict).await;
        assert!(self.model.runs(&client.turn.marker) <= 1, "a prompt ran twice");
        assert!(self.hop.prompts_sent(&client.turn.marker) <= 1, "a prompt was sent twice");
    }

    /// One prompt left the daemon, and one was run.
    pub(crate) fn check_sent_once(&self, client: &Client) {
        let marker = &client.turn.marker;
        assert_eq!(self.hop.prompts_sent(marker), 1, "{marker}: prompts sent");
        assert_eq!(self.model.runs(marker), 1, "{marker}: prompts run");
    }
}
