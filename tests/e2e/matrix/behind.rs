//! What stands behind the daemon, and how a turn there is held in its middle until told to go on.

use std::net::SocketAddr;

use super::super::client::{Client, Turn, Way};
use super::super::daemon::{self, Daemon};
use super::super::frames::Frames;
use super::super::opencode;
use super::super::simbox::set::{self, Set};
use super::super::stage::Stage;
use super::cast::Cast;

/// A box with the daemon in front of it.
#[derive(Debug)]
pub(crate) enum Behind {
    Simbox(Set),
    Opencode(Stage),
}

/// Lets the pages of the cast in, and takes further flags.
fn daemon(cast: &Cast, flags: &[&'static str]) -> daemon::Settings {
    // The box asks seldom while a person is waited for; a test has no time.
    let flags = [&["--poll-waiting", "200ms"], flags].concat();
    let environment = vec![("AFTERBAY_ORIGINS", cast.pages.origin.clone().into())];
    daemon::Settings { flags, environment, ..daemon::Settings::default() }
}

impl Behind {
    /// A simulated box.
    pub(crate) async fn simbox(cast: &Cast, flags: &[&'static str]) -> Self {
        let daemon = daemon(cast, flags);
        Self::Simbox(Set::with(set::Settings { daemon, ..set::Settings::default() }).await)
    }

    /// A real one.
    pub(crate) async fn opencode(cast: &Cast) -> Self {
        Self::Opencode(Stage::with(opencode::Settings::default(), daemon(cast, &[])).await)
    }

    pub(crate) fn daemon(&self) -> &Daemon {
        match self {
            Self::Simbox(set) => &set.daemon,
            Self::Opencode(stage) => &stage.daemon,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.daemon().address()
    }

    /// `kill -9`, and another life.
    pub(crate) async fn restart_daemon(&mut self) {
        let daemon = match self {
            Self::Simbox(set) => &mut set.daemon,
            Self::Opencode(stage) => &mut stage.daemon,
        };
        daemon.kill();
        daemon.restart().await;
    }

    /// Starts a turn and reads all that comes before it is held.
    pub(crate) async fn held_turn(&self, marker: &str) -> (Client, Frames) {
        let script = match self {
            Self::Simbox(_) => "parts=6 step=20ms wait=answer".to_owned(),
            Self::Opencode(_) => {
                format!("[tool=bash:echo one] [gate={marker}] [tool=bash:echo two] [words=5]")
            }
        };
        let turn = Turn::new(marker, &script);
        let mut client = Client::new(self.address(), turn, &[Way::RunStream]);
        let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
        match self {
            // Its beginning, half of its parts and the question.
            Self::Simbox(_) => {
                while client.seen.len() < 5 {
                    client.read_one(&mut frames).await;
                }
            }
            Self::Opencode(_) => {
                while !has_a_result(&client) {
                    client.read_one(&mut frames).await;
                }
            }
        }
        (client, frames)
    }

    /// Lets a held turn go on.
    pub(crate) fn go_on(&self, marker: &str) {
        match self {
            Self::Simbox(set) => set.simbox.answer_waiting(),
            Self::Opencode(stage) => stage.model.open(marker),
        }
    }
}

/// Whether the first tool has come to its end.
fn has_a_result(client: &Client) -> bool {
    let mut parts = client.seen.iter().map(|frame| &frame.data["part"]);
    parts.any(|part| part["type"] == "tool" && part["state"]["status"] == "completed")
}
