//! What both turns are played on: one simulated box, and a folder for what afterbay keeps.
//!
//! The box runs inside this process, so that it can say afterwards what it really did.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::scenes::Times;
use super::seen::by_id;
use super::verdict::BoxSays;
use crate::limits;
use crate::simbox::{Faults, Simbox, State, Version};
use crate::tasks::Tasks;

/// A box that serves, and a folder that goes with it.
#[derive(Debug)]
pub(super) struct Stage {
    simbox: Simbox,
    url: String,
    folder: TempDir,
    tasks: Tasks,
}

impl Stage {
    /// Starts the box.
    ///
    /// # Errors
    /// If it gets no port or no folder.
    pub(super) async fn set(times: Times) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for afterbay's log")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("find a port for the simulated box")?;
        let address = listener.local_addr().context("ask for the simulated box's address")?;
        let simbox = Simbox::new(Faults {
            idle_cut: Some(times.cut),
            reap_buffer: Some(times.reap()),
            ..Faults::default()
        });
        let tasks = Tasks::new();
        // It fails only where it does not listen on loopback, which it does.
        tasks.spawn("simulated box", simbox.clone().serve(listener, tasks.stop_token().clone()));
        Ok(Self { simbox, url: format!("http://{address}"), folder, tasks })
    }

    /// Where the box is.
    pub(super) fn box_url(&self) -> &str {
        &self.url
    }

    /// Where afterbay may keep things.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the box says of `execution`, once that turn is over; at the latest after
    /// [`limits::DEMO_END_WAIT`], over or not.
    // Cancel-safe: it only looks.
    pub(super) async fn box_says(&self, execution: &str) -> BoxSays {
        let over = async {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            while !self.box_says_now(execution).finished {
                looks.tick().await;
            }
        };
        // Whether it is over is in the answer.
        let _ = tokio::time::timeout(limits::DEMO_END_WAIT, over).await;
        self.box_says_now(execution)
    }

    /// What the box says of `execution` at this moment.
    pub(super) fn box_says_now(&self, execution: &str) -> BoxSays {
        let account = self.simbox.account();
        account.turn(execution).map_or_else(BoxSays::default, |turn| BoxSays {
            runs: turn.runs,
            finished: turn.state == State::Succeeded,
            answer: turn.final_text.text.clone().unwrap_or_default(),
            parts: turn.versions.iter().filter_map(part).collect(),
        })
    }
}

/// A version of a part, under its id.
fn part(version: &Version) -> Option<(String, Value)> {
    by_id(serde_json::from_str(version.json.text.as_deref()?).ok()?)
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}
