//! Builds the floors from the configuration and takes them down again.
//!
//! The only place that knows them all. [`House::build`] opens what must be open before anything is
//! served; the order in which it is taken down is the server's, the acts are [`House::close`]'s.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use tokio_util::sync::CancellationToken;

use crate::config::{Callers, Deadlines, Poll, Streams, Upstream};
use crate::metrics::Metrics;
use crate::mode::Mode;
use crate::tasks::Tasks;

/// What the floors are built from.
#[derive(Debug)]
#[expect(dead_code, reason = "the floors that take the parts are not hung yet")]
pub(super) struct Plan {
    pub(super) data_dir: PathBuf,
    pub(super) upstream: Upstream,
    pub(super) mode: Mode,
    pub(super) callers: Callers,
    pub(super) deadlines: Deadlines,
    pub(super) poll: Poll,
    pub(super) streams: Streams,
    /// Where clients really connect: port 0 is resolved by now.
    pub(super) bound: SocketAddr,
    /// Fires when the program begins to stop: not ready any more, no new turns, streams end.
    pub(super) drain: CancellationToken,
    /// Streams have ended this long after `drain`; then their connections are cut.
    pub(super) streams_end_within: Duration,
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
}

impl House {
    /// Opens the log, resumes its turns, and hangs the doors.
    ///
    /// # Errors
    /// If the data folder is held by another process, damaged or not writable.
    // Each floor's part goes here, in this order:
    //   log       plan.data_dir, metrics.log, tasks      -> Store and what it recovered
    //   rights    session::readers_key::load_or_create(plan.data_dir), under the store's lock
    //   upstream  plan.upstream, plan.poll, metrics.upstream -> the adapter of its kind
    //   session   all of these, plan.deadlines, metrics.turn, tasks, plan.drain -> Sessions
    //   http      Sessions, plan.mode, plan.callers, plan.streams, plan.bound, metrics.http,
    //             plan.drain, plan.streams_end_within -> the clients' router; Store, Metrics, plan.drain -> the operators'
    pub(super) async fn build(plan: Plan) -> anyhow::Result<Self> {
        let Plan {
            data_dir: _,
            upstream: _,
            mode: _,
            callers: _,
            deadlines: _,
            poll: _,
            streams: _,
            bound: _,
            drain: _,
            streams_end_within: _,
        } = plan;
        let _metrics = Metrics::new()?;
        Ok(Self { clients: Router::new(), operators: Router::new(), tasks: Tasks::new() })
    }

    /// Closes the log: what is queued is written and synced. Comes last.
    // The store's `close()` goes here.
    pub(super) async fn close(self) {
        let Self { clients: _, operators: _, tasks: _ } = self;
    }
}
